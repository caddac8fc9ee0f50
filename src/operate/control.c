/* control.c: the admin API: status for everybody on the admin address, changes for the socket.
 *
 * Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operate/control.h"

#include "core/json.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/part.h"
#include "edge/access.h"
#include "edge/edge.h"
#include "operate/operate.h"
#include "operate/recent.h"
#include "operate/status.h"

static err control_status(struct call *c, struct fault *why)
{
    (void)why;
    return status_write(c->node, operate_recent(c->node), c->wall_ns, &c->answer);
}

static err control_recent(struct call *c, struct fault *why)
{
    (void)why;
    return recent_write(operate_recent(c->node), &c->answer);
}

static void control_write_report(struct json *j, const struct config_report *report)
{
    json_key(j, "errors");
    json_array(j);
    for (unsigned i = 0; i < report->count; i++) {
        const struct fault *f = &report->faults[i];
        json_object(j);
        json_key(j, "file");
        json_text(j, f->file);
        json_key(j, "line");
        json_u64(j, f->line);
        json_key(j, "column");
        json_u64(j, f->column);
        json_key(j, "text");
        json_text(j, f->text);
        json_object_end(j);
    }
    json_array_end(j);
}

static err control_do_reload(struct call *c, struct fault *why)
{
    struct config_report *report = MEM_NEW(struct config_report);
    unsigned restart_keys = 0;
    err outcome = operate_reload(c->node, report, &restart_keys);
    if (err_is(outcome, ERR_CONFLICT)) {
        mem_free(report);
        return fault_set(why, ERR_CONFLICT, "there is no configuration file to load again");
    }
    struct json j;
    json_begin(&j, &c->answer);
    json_object(&j);
    json_key(&j, "reloaded");
    json_bool(&j, err_ok(outcome));
    json_key(&j, "restart_keys");
    json_u64(&j, restart_keys);
    control_write_report(&j, report);
    json_object_end(&j);
    c->status = err_ok(outcome) ? 200 : 422;
    mem_free(report);
    return json_end(&j);
}

static err control_find_upstream(struct call *c, const struct settings_upstream **out,
                                 struct fault *why)
{
    struct span name = route_param(c, "upstream");
    const struct settings_upstream *up = settings_upstreams_find(edge_settings(c->node), name);
    if (up == NULL)
        return fault_set(why, ERR_NOT_FOUND, "there is no upstream \"%.*s\"", SPAN_ARGS(name));
    *out = up;
    return OK;
}

static void control_log(const char *event, struct span upstream, const char *key, struct span value)
{
    struct log_line l;
    log_begin(&l, LOG_INFO, event);
    log_str(&l, "upstream", upstream);
    log_str(&l, key, value);
    log_end(&l);
}

static err control_set_drain(struct call *c, bool is_draining, struct fault *why)
{
    const struct settings_upstream *up = NULL;
    struct span address;
    TRY(control_find_upstream(c, &up, why));
    /* In the query, because a Unix socket's path cannot stand inside of a path. */
    if (!route_query(c, "target", &address))
        return fault_set(why, ERR_BAD_REQUEST, "the query must name a target");
    must(up != NULL);
    struct target *t = upstream_find_target(up->upstream, address);
    if (t == NULL)
        return fault_set(why, ERR_NOT_FOUND, "upstream \"%.*s\" has no target \"%.*s\"",
                         SPAN_ARGS(up->upstream->name), SPAN_ARGS(address));
    target_drain(t, is_draining);
    control_log(is_draining ? "target_draining" : "target_undrained", up->upstream->name, "target",
                address);
    return status_write_target(t, c->now_ms, &c->answer);
}

static err control_drain(struct call *c, struct fault *why)
{
    return control_set_drain(c, true, why);
}

static err control_undrain(struct call *c, struct fault *why)
{
    return control_set_drain(c, false, why);
}

static err control_force(struct call *c, enum breaker_state state, struct fault *why)
{
    const struct settings_upstream *up = NULL;
    TRY(control_find_upstream(c, &up, why));
    must(up != NULL);
    if (up->upstream->breaker == NULL)
        return fault_set(why, ERR_CONFLICT, "upstream \"%.*s\" has no breaker",
                         SPAN_ARGS(up->upstream->name));
    breaker_force(up->upstream->breaker, state, c->now_ms);
    control_log("breaker_ordered", up->upstream->name, "state",
                span_from(breaker_state_text(state)));
    return status_write_breaker(up->upstream->breaker, c->now_ms, &c->answer);
}

static err control_breaker_open(struct call *c, struct fault *why)
{
    return control_force(c, BREAKER_FORCED_OPEN, why);
}

static err control_breaker_close(struct call *c, struct fault *why)
{
    return control_force(c, BREAKER_FORCED_CLOSED, why);
}

static err control_breaker_auto(struct call *c, struct fault *why)
{
    return control_force(c, BREAKER_CLOSED, why);
}

const struct route control_routes[] = {
    {HTTP_GET, 0, "/api/admin/status", control_status,
     "Traffic, upstreams, targets, breakers and limits as JSON."},
    {HTTP_GET, 0, "/api/admin/recent", control_recent,
     "The last five minutes of traffic, a point a second."},
    {HTTP_POST, ROUTE_PRIVILEGED, "/api/admin/reload", control_do_reload,
     "Load the configuration file again."},
    {HTTP_POST, ROUTE_PRIVILEGED, "/api/admin/targets/{upstream}/drain", control_drain,
     "Send no more requests to the target that the query names."},
    {HTTP_POST, ROUTE_PRIVILEGED, "/api/admin/targets/{upstream}/undrain", control_undrain,
     "Send requests to it again."},
    {HTTP_POST, ROUTE_PRIVILEGED, "/api/admin/breakers/{upstream}/open", control_breaker_open,
     "Hold a breaker open."},
    {HTTP_POST, ROUTE_PRIVILEGED, "/api/admin/breakers/{upstream}/close", control_breaker_close,
     "Hold a breaker closed."},
    {HTTP_POST, ROUTE_PRIVILEGED, "/api/admin/breakers/{upstream}/auto", control_breaker_auto,
     "Let a breaker decide again."},
    {0}};
