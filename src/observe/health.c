/* health.c: the checks of all parts, as application/health+json.
 *
 * The one hard thing: a probe that restarts the process must never fail for a reason that a
 * restart does not cure. So /health/live looks at the process alone, /health/ready at what it
 * needs to serve, and only /health/system at the machine.
 * Format: draft-inadarei-api-health-check. Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "observe/health.h"

#include "core/check.h"
#include "core/clock.h"
#include "core/part.h"
#include "wire/promtext.h"

#define HEALTH_METRICS_ARENA (64 * 1024 * 1024)

struct health_page {
    struct check_sink sink; /* first */
    struct json json;
    const struct check *check;
    bool is_open; /* the check's array has begun */
    enum check_status worst;
    char time[CLOCK_RFC3339_BYTES];
};

static const char *health_status_text(enum check_status status)
{
    static const char *const texts[] = {
        [CHECK_PASS] = "pass", [CHECK_WARN] = "warn", [CHECK_FAIL] = "fail"};
    return texts[status];
}

static void health_add(struct check_sink *sink, const struct check_result *result)
{
    struct health_page *page = container_of(sink, struct health_page, sink);
    struct json *j = &page->json;
    if (!page->is_open) {
        json_key(j, page->check->name);
        json_array(j);
        page->is_open = true;
    }
    if (result->status > page->worst)
        page->worst = result->status;
    json_object(j);
    if (result->component_id.len > 0) {
        json_key(j, "componentId");
        json_string(j, result->component_id);
    }
    json_key(j, "componentType");
    json_text(j, page->check->type);
    if (result->has_value) {
        json_key(j, "observedValue");
        json_double(j, result->value);
    }
    if (result->unit != NULL) {
        json_key(j, "observedUnit");
        json_text(j, result->unit);
    }
    json_key(j, "status");
    json_text(j, health_status_text(result->status));
    if (result->output != NULL && result->status != CHECK_PASS) {
        json_key(j, "output");
        json_text(j, result->output);
    }
    json_key(j, "time");
    json_text(j, page->time);
    json_object_end(j);
}

static void health_run(struct health_page *page, const struct node *n, const struct check *check)
{
    page->check = check;
    page->is_open = false;
    check->run(n, &page->sink);
    if (page->is_open)
        json_array_end(&page->json);
}

/* The status comes first in the document, so the checks are run into a buffer of their own. */
static err health_checks(struct call *c, unsigned levels, struct buf *out,
                         enum check_status *out_worst)
{
    struct health_page page = {.sink = {health_add}, .worst = CHECK_PASS};
    clock_format_rfc3339(c->wall_ns, page.time);
    json_begin(&page.json, out);
    json_object(&page.json);
    for (size_t i = 0; c->node->parts[i] != NULL; i++) {
        const struct check *check = c->node->parts[i]->checks;
        for (; check != NULL && check->name != NULL; check++)
            if (levels & (1u << check->level))
                health_run(&page, c->node, check);
    }
    json_object_end(&page.json);
    TRY(json_end(&page.json));
    *out_worst = page.worst;
    return OK;
}

static err health_page(struct call *c, unsigned levels, const char *about)
{
    struct buf checks CLEANUP(buf_done);
    enum check_status worst = CHECK_PASS;
    struct json j;
    buf_init(&checks, 4 * 1024 * 1024);
    TRY(health_checks(c, levels, &checks, &worst));
    c->content_type = SPAN("application/health+json");
    c->status = worst == CHECK_FAIL ? 503 : 200;
    json_begin(&j, &c->answer);
    json_object(&j);
    json_key(&j, "status");
    json_text(&j, health_status_text(worst));
    json_key(&j, "version");
    json_text(&j, PLIMSOLL_VERSION);
    json_key(&j, "serviceId");
    json_text(&j, "plimsoll");
    json_key(&j, "description");
    json_text(&j, about);
    json_key(&j, "checks");
    json_value(&j, buf_span(&checks));
    json_object_end(&j);
    return json_end(&j);
}

static err health_live(struct call *c, struct fault *why)
{
    (void)why;
    return health_page(c, 1u << CHECK_LIVE, "the process works");
}

static err health_ready(struct call *c, struct fault *why)
{
    (void)why;
    return health_page(c, 1u << CHECK_READY, "requests can be served");
}

static err health_system(struct call *c, struct fault *why)
{
    (void)why;
    return health_page(c, 1u << CHECK_SYSTEM, "the machine has what is needed");
}

static err health_all(struct call *c, struct fault *why)
{
    (void)why;
    return health_page(c, 1u << CHECK_LIVE | 1u << CHECK_READY | 1u << CHECK_SYSTEM,
                       "process, service and machine");
}

static err health_metrics(struct call *c, struct fault *why)
{
    const struct http_field *accept = http_head_find(&c->request->head, HTTP_FIELD_ACCEPT);
    enum promtext_format format = promtext_negotiate(accept == NULL ? SPAN("") : accept->value);
    struct metric_snapshot snapshot;
    struct arena arena CLEANUP(arena_done);
    (void)why;
    arena_init(&arena, NULL, HEALTH_METRICS_ARENA);
    TRY(metric_snapshot_take(c->node->metrics, &arena, &snapshot));
    TRY(promtext_render(&snapshot, format, &c->answer));
    c->content_type = promtext_content_type(format);
    return OK;
}

const struct route health_routes[] = {
    {HTTP_GET, 0, "/health/live", health_live, "Whether the process works; for restarts."},
    {HTTP_GET, 0, "/health/ready", health_ready, "Whether it can serve; for load balancers."},
    {HTTP_GET, 0, "/health/system", health_system, "The machine: disk, memory, load, clock."},
    {HTTP_GET, 0, "/api/health", health_all, "All checks."},
    {HTTP_GET, 0, "/metrics", health_metrics, "Prometheus text or OpenMetrics."},
    {0}};
