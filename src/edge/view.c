/* view.c: made when a loop switches snapshots, freed when its last request on it ends.
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/view.h"

#include "core/mem.h"
#include "edge/access.h"

struct view *view_new(struct settings *settings)
{
    struct view *v = MEM_NEW(struct view);
    v->settings = settings_ref(settings);
    v->pins = 1;
    v->balances = mem_alloc(size_mul(settings->upstream_count, sizeof *v->balances));
    for (unsigned i = 0; i < settings->upstream_count; i++)
        balance_init(&v->balances[i], &settings->upstreams[i].upstream->set);
    v->routes = access_routes_new(settings->route_count + 1);
    return v;
}

void view_pin(struct view *v)
{
    v->pins++;
}

void view_unpin(struct view *v)
{
    must(v->pins > 0);
    if (--v->pins > 0)
        return;
    for (unsigned i = 0; i < v->settings->upstream_count; i++)
        balance_done(&v->balances[i]);
    mem_free(v->balances);
    access_routes_free(v->routes);
    settings_unref(v->settings);
    mem_free(v);
}
