/* pages.c: serves the embedded files.
 *
 * They are not cached: a page of one release must never run with the script of another, and they
 * come from nearby. What they may load is said by the policy of the admin listener: scripts, styles
 * and data of this origin alone, nothing inline. Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "dashboard/pages.h"

#include "dashboard/assets.h"

static err pages_serve(struct call *c, struct span name, struct fault *why)
{
    for (const struct assets_file *file = assets_files; file->name.at != NULL; file++) {
        if (!span_eq(file->name, name))
            continue;
        c->content_type = file->content_type;
        return buf_add(&c->answer, file->content);
    }
    return fault_set(why, ERR_NOT_FOUND, "there is no file \"%.*s\"", SPAN_ARGS(name));
}

static err pages_index(struct call *c, struct fault *why)
{
    return pages_serve(c, SPAN("index.html"), why);
}

static err pages_asset(struct call *c, struct fault *why)
{
    return pages_serve(c, route_param(c, "name"), why);
}

const struct route pages_routes[] = {
    {HTTP_GET, 0, "/{$}", pages_index, "The status page."},
    {HTTP_GET, 0, "/assets/{name}", pages_asset, "What the status page needs."},
    {0}};
