/* settings_routes.c: the routes of a snapshot, from configuration or from the parts' tables.
 *
 * What can be rendered once is rendered here: header lines, drop tables, protections.
 * Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/mem.h"
#include "edge/head.h"
#include "edge/settings.h"

/* Never forwarded as received: they are rebuilt, or end here. */
static const enum http_field_id settings_routes_request_own[] = {
    HTTP_FIELD_HOST,         HTTP_FIELD_CONTENT_LENGTH,    HTTP_FIELD_EXPECT,
    HTTP_FIELD_FORWARDED,    HTTP_FIELD_X_FORWARDED_FOR,   HTTP_FIELD_X_FORWARDED_HOST,
    HTTP_FIELD_X_REAL_IP,    HTTP_FIELD_X_FORWARDED_PROTO, HTTP_FIELD_X_FORWARDED_PORT,
    HTTP_FIELD_X_REQUEST_ID, HTTP_FIELD_TRACEPARENT,       HTTP_FIELD_TRAILER};

static const enum http_field_id settings_routes_response_own[] = {
    HTTP_FIELD_CONTENT_LENGTH, HTTP_FIELD_X_REQUEST_ID, HTTP_FIELD_TRAILER};

static const enum http_field_id settings_routes_limit_fields[] = {
    HTTP_FIELD_RATELIMIT, HTTP_FIELD_RATELIMIT_POLICY, HTTP_FIELD_X_RATELIMIT_LIMIT,
    HTTP_FIELD_X_RATELIMIT_RESET, HTTP_FIELD_X_RATELIMIT_REMAINING};

/* Written into every request, whatever the route says. */
static const enum http_field_id settings_routes_request_written[] = {
    HTTP_FIELD_FORWARDED,         HTTP_FIELD_X_FORWARDED_FOR, HTTP_FIELD_X_FORWARDED_HOST,
    HTTP_FIELD_X_FORWARDED_PROTO, HTTP_FIELD_X_REQUEST_ID,    HTTP_FIELD_TRACEPARENT};

/* One list of headers to set or remove, rendered. */
struct settings_routes_lines {
    struct span lines;
    struct span *drops;
    unsigned drop_count;
};

static bool settings_routes_is_value(struct span value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if (c < 0x20 || c == 0x7f)
            return false;
    }
    return true;
}

static bool settings_routes_has_id(const enum http_field_id *ids, size_t count,
                                   enum http_field_id id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* Why a header cannot be set or removed by a route; NULL when it can. Two of what we write
 * ourselves would go out. */
static const char *settings_routes_objection(struct span name, struct span value, bool is_request)
{
    enum http_field_id id = http_field_id_of(name);
    bool is_framing =
        http_field_is_hop_by_hop(id) || id == HTTP_FIELD_CONTENT_LENGTH || id == HTTP_FIELD_HOST;
    if (!http_is_token(name) || !settings_routes_is_value(value) || is_framing)
        return "not a header that can be set here";
    if (is_request)
        return settings_routes_has_id(settings_routes_request_written,
                                      COUNT_OF(settings_routes_request_written), id)
                   ? "Plimsoll writes this header itself"
                   : NULL;
    if (id == HTTP_FIELD_X_REQUEST_ID ||
        settings_routes_has_id(settings_routes_limit_fields, COUNT_OF(settings_routes_limit_fields),
                               id))
        return "Plimsoll writes this header itself";
    for (size_t i = 0; i < PROTECTIONS_HEADER_COUNT; i++)
        if (protections_table[i].field == id && value.at != NULL)
            return "this header is set by the key protections";
    return NULL;
}

static struct settings_routes_lines settings_routes_render(struct settings *s,
                                                           const struct config_node *strings,
                                                           bool is_request,
                                                           struct config_report *report)
{
    struct settings_routes_lines out = {0};
    struct buf lines;
    buf_init(&lines, 64 * 1024);
    out.drop_count = config_count(strings);
    out.drops = arena_alloc(&s->arena, size_mul(out.drop_count, sizeof *out.drops));
    for (unsigned i = 0; i < out.drop_count; i++) {
        const struct config_node *entry = config_at(strings, i);
        struct span name = config_name(entry), value = config_value(entry);
        const char *objection = settings_routes_objection(name, value, is_request);
        out.drops[i] = name;
        if (objection != NULL)
            (void)config_fault(entry, report, "%s", objection);
        else if (value.at != NULL &&
                 !err_ok(buf_printf(&lines, "%.*s: %.*s\r\n", SPAN_ARGS(name), SPAN_ARGS(value))))
            (void)config_fault(entry, report, "the headers are too long together");
    }
    /* They must fit beside a head of the largest size. */
    if (lines.len > 2048)
        (void)config_fault(strings, report, "the headers are longer than 2048 bytes together");
    out.lines = arena_copy(&s->arena, buf_span(&lines));
    buf_done(&lines);
    return out;
}

static void settings_routes_drop_tables(const struct settings *s, struct settings_route *r)
{
    for (size_t i = 0; i < COUNT_OF(settings_routes_request_own); i++)
        r->request_id_drops[settings_routes_request_own[i]] = true;
    for (size_t i = 0; i < COUNT_OF(settings_routes_response_own); i++)
        r->response_id_drops[settings_routes_response_own[i]] = true;
    bool sends_limits = s->sends_limit_headers && s->limits.count + r->limits.count > 0;
    for (size_t i = 0; sends_limits && i < COUNT_OF(settings_routes_limit_fields); i++)
        r->response_id_drops[settings_routes_limit_fields[i]] = true;
    for (unsigned id = 0; id < HTTP_FIELD_COUNT; id++)
        if (protections_drops(r->protections, (enum http_field_id)id))
            r->response_id_drops[id] = true;
}

static void settings_routes_headers(struct settings *s, struct settings_route *r,
                                    const struct config_node *node, struct config_report *report)
{
    struct settings_routes_lines request =
        settings_routes_render(s, config_child(node, "request_headers"), true, report);
    struct settings_routes_lines response =
        settings_routes_render(s, config_child(node, "response_headers"), false, report);
    r->request_lines = request.lines;
    r->request_drops = request.drops;
    r->request_drop_count = request.drop_count;
    r->response_lines = response.lines;
    r->response_drops = response.drops;
    r->response_drop_count = response.drop_count;
}

static void settings_routes_action(struct settings *s, struct settings_route *r,
                                   const struct config_node *node, struct config_report *report)
{
    const struct config_node *redirect = config_child(node, "redirect");
    const struct config_node *respond = config_child(node, "respond");
    unsigned ways = (config_is_set(node, "to") ? 1u : 0u) + (redirect != NULL ? 1u : 0u) +
                    (respond != NULL ? 1u : 0u);
    if (ways != 1) {
        (void)config_fault(node, report, "exactly one of to, redirect and respond is needed");
        return;
    }
    if (redirect != NULL) {
        r->action = SETTINGS_REDIRECT;
        r->status = (unsigned)config_int(redirect, "status");
        r->location = config_span(redirect, "to");
        if (!settings_routes_is_value(r->location))
            (void)config_fault(redirect, report, "a location has no control characters");
    } else if (respond != NULL) {
        r->action = SETTINGS_RESPOND;
        r->status = (unsigned)config_int(respond, "status");
        r->content_type = config_span(respond, "content_type");
        r->body = config_span(respond, "body");
        if (!settings_routes_is_value(r->content_type))
            (void)config_fault(respond, report, "a content type has no control characters");
    } else {
        struct span to = config_span(node, "to");
        r->action = SETTINGS_UPSTREAM;
        r->upstream = settings_upstreams_find(s, to);
        if (r->upstream == NULL &&
            config_find(config_child(config_root(s->config), "upstreams"), to) == NULL)
            (void)config_fault(config_child(node, "to"), report, "there is no upstream \"%.*s\"",
                               SPAN_ARGS(to));
    }
}

/* Copies the defaults and changes what the group says. */
static bool settings_routes_protections(const struct config_node *group,
                                        struct protections_options *options)
{
    bool is_changed = false;
    for (unsigned i = 0; i < PROTECTIONS_HEADER_COUNT; i++) {
        struct protections_option *one = &options->headers[i];
        const char *key = protections_table[i].key;
        if (config_is_off(group, key))
            one->is_on = false;
        else if (config_is_set(group, key))
            protections_set(one, config_span(group, key));
        is_changed = is_changed || config_is_off(group, key) || config_is_set(group, key);
    }
    if (config_is_set(group, "application_wins")) {
        const struct config_node *list = config_child(group, "application_wins");
        is_changed = true;
        for (unsigned i = 0; i < PROTECTIONS_HEADER_COUNT; i++)
            options->headers[i].does_app_win = false;
        for (unsigned i = 0; i < config_count(list); i++)
            options->headers[config_value_int(config_at(list, i))].does_app_win = true;
    }
    if (config_is_set(group, "report_only"))
        options->is_csp_report_only = config_bool(group, "report_only");
    if (config_is_set(group, "remove_server"))
        options->removes[PROTECTIONS_REMOVE_SERVER] = config_bool(group, "remove_server");
    if (config_is_set(group, "remove_powered_by"))
        options->removes[PROTECTIONS_REMOVE_POWERED_BY] = config_bool(group, "remove_powered_by");
    return is_changed || config_is_set(group, "report_only") ||
           config_is_set(group, "remove_server") || config_is_set(group, "remove_powered_by");
}

static struct protections *
settings_routes_make_protections(const struct protections_options *options,
                                 const struct config_node *group, struct config_report *report)
{
    struct protections *made = NULL;
    struct fault why = {0};
    if (!err_ok(protections_new(options, &made, &why)))
        (void)config_fault(group, report, "%s", why.text);
    return made;
}

static struct span settings_routes_name(struct settings *s, const struct config_node *node)
{
    const struct config_node *match = config_child(node, "match");
    if (config_is_set(node, "name"))
        return config_span(node, "name");
    struct span path = config_span(match, "path");
    return arena_printf(&s->arena, "%.*s%.*s", SPAN_ARGS(config_span(match, "host")),
                        SPAN_ARGS(path.len == 0 ? SPAN("/*") : path));
}

static void settings_routes_rule(struct settings *s, const struct config_node *match,
                                 struct router_rule *rule)
{
    const struct config_node *methods = config_child(match, "methods");
    const struct config_node *headers = config_child(match, "headers");
    unsigned count = config_count(headers);
    struct router_condition *conditions =
        arena_alloc(&s->arena, size_mul(count, sizeof *conditions));
    *rule = (struct router_rule){.host = config_span(match, "host"),
                                 .path = config_span(match, "path"),
                                 .conditions = conditions,
                                 .condition_count = count};
    for (unsigned i = 0; i < config_count(methods); i++)
        rule->methods |= 1u << config_value_int(config_at(methods, i));
    for (unsigned i = 0; i < count; i++) {
        const struct config_node *entry = config_at(headers, i);
        conditions[i] = (struct router_condition){.name = config_name(entry),
                                                  .value = config_value(entry),
                                                  .is_presence = config_value(entry).at == NULL};
    }
}

/* The lines that this route adds must fit beside a head of the largest size. */
static void settings_routes_check_room(const struct settings *s, const struct settings_route *r,
                                       const struct config_node *place,
                                       struct config_report *report)
{
    size_t bytes = r->response_lines.len +
                   (r->protections == NULL ? 0 : protections_bytes_max(r->protections));
    if (s->sends_limit_headers)
        bytes += limits_header_bytes_max(&s->limits) + limits_header_bytes_max(&r->limits);
    if (bytes > HEAD_CONFIGURED_BYTES)
        (void)config_fault(place, report,
                           "protections, limits and response_headers of a response can have %zu "
                           "bytes together; %d are allowed",
                           bytes, HEAD_CONFIGURED_BYTES);
}

static void settings_routes_one(struct settings *s, struct settings_route *r,
                                const struct config_node *node,
                                const struct protections_options *defaults,
                                struct config_report *report)
{
    const struct config_node *http = config_child(config_root(s->config), "http");
    const struct config_node *group = config_child(node, "protections");
    struct protections_options options = *defaults;
    r->name = settings_routes_name(s, node);
    r->protections = s->protections;
    if (settings_routes_protections(group, &options)) {
        r->own_protections = settings_routes_make_protections(&options, group, report);
        r->protections = r->own_protections;
    }
    r->body_max_bytes = (uint64_t)(config_is_set(node, "body_max") ? config_int(node, "body_max")
                                                                   : config_int(http, "body_max"));
    r->deadline_ms = (uint64_t)config_int(node, "deadline");
    r->keeps_host = !config_is_set(node, "host");
    r->upstream_host = config_span(node, "host");
    (void)err_ok(
        limits_build(config_child(node, "limits"), r->name, &s->arena, &r->limits, report));
    settings_routes_headers(s, r, node, report);
    settings_routes_action(s, r, node, report);
    if (r->protections != NULL)
        settings_routes_drop_tables(s, r);
    settings_routes_check_room(s, r, node, report);
}

static void settings_routes_no_route(struct settings *s)
{
    struct settings_route *r = &s->no_route;
    r->name = SPAN("none");
    r->action = SETTINGS_RESPOND;
    r->status = 404;
    r->protections = s->protections;
    r->keeps_host = true;
    if (r->protections != NULL)
        settings_routes_drop_tables(s, r);
    s->server_route = *r;
    s->server_route.name = SPAN("server");
    s->server_route.status = 204;
    s->server_route.response_lines =
        SPAN("allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n");
}

static void settings_routes_make_router(struct settings *s, const struct router_rule *rules,
                                        const struct config_node *place,
                                        struct config_report *report)
{
    struct fault why = {0};
    if (!err_ok(router_new(rules, s->route_count, &s->router, &why)))
        (void)config_fault(place, report, "%s", why.text);
}

/* What the admin pages may load and do; the user's settings are for the application. */
static void settings_routes_admin_protections(struct protections_options *options)
{
    protections_set(&options->headers[PROTECTIONS_CSP],
                    SPAN("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                         "connect-src 'self'; base-uri 'none'; form-action 'none'; "
                         "frame-ancestors 'none'"));
    protections_set(&options->headers[PROTECTIONS_FRAME], SPAN("DENY"));
    protections_set(&options->headers[PROTECTIONS_REFERRER], SPAN("no-referrer"));
    protections_set(&options->headers[PROTECTIONS_OPENER], SPAN("same-origin"));
    protections_set(&options->headers[PROTECTIONS_RESOURCE], SPAN("same-origin"));
}

static void settings_routes_begin(struct settings *s, unsigned count, bool is_admin,
                                  struct protections_options *options, struct config_report *report)
{
    const struct config_node *group = config_child(config_root(s->config), "protections");
    protections_defaults(options);
    if (is_admin)
        settings_routes_admin_protections(options);
    else
        (void)settings_routes_protections(group, options);
    s->protections = settings_routes_make_protections(options, group, report);
    s->route_count = count;
    s->routes = mem_alloc(size_mul(count, sizeof *s->routes));
    settings_routes_no_route(s);
    settings_routes_check_room(s, &s->no_route, group, report);
}

void settings_routes_build(struct settings *s, const struct settings_options *options,
                           struct config_report *report)
{
    const struct config_node *list = config_child(config_root(s->config), "routes");
    struct protections_options defaults;
    unsigned count = config_count(list);
    (void)options;
    settings_routes_begin(s, count, /* is_admin= */ false, &defaults, report);
    struct router_rule *rules = mem_alloc(size_mul(count, sizeof *rules));
    for (unsigned i = 0; i < count; i++) {
        settings_routes_rule(s, config_child(config_at(list, i), "match"), &rules[i]);
        settings_routes_one(s, &s->routes[i], config_at(list, i), &defaults, report);
    }
    settings_routes_make_router(s, rules, list, report);
    mem_free(rules);
}

static unsigned settings_routes_count_admin(const struct node *n)
{
    unsigned count = 0;
    for (size_t i = 0; n->parts[i] != NULL; i++)
        for (const struct route *r = n->parts[i]->routes; r != NULL && r->pattern != NULL; r++)
            count++;
    return count;
}

void settings_routes_build_admin(struct settings *s, const struct settings_options *options,
                                 struct config_report *report)
{
    const struct node *n = options->node;
    struct protections_options defaults;
    unsigned count = settings_routes_count_admin(n), at = 0;
    settings_routes_begin(s, count, /* is_admin= */ true, &defaults, report);
    struct router_rule *rules = mem_alloc(size_mul(count, sizeof *rules));
    for (size_t i = 0; n->parts[i] != NULL; i++) {
        for (const struct route *r = n->parts[i]->routes; r != NULL && r->pattern != NULL; r++) {
            rules[at] =
                (struct router_rule){.path = span_from(r->pattern), .methods = 1u << r->method};
            s->routes[at] = s->no_route;
            s->routes[at].name = span_from(r->pattern);
            s->routes[at].action = SETTINGS_HANDLER;
            s->routes[at].handler = r;
            s->routes[at].body_max_bytes = s->http1.head_bytes;
            at++;
        }
    }
    settings_routes_make_router(s, rules, config_child(config_root(s->config), "admin"), report);
    mem_free(rules);
}

void settings_routes_free(struct settings *s)
{
    for (unsigned i = 0; i < s->route_count; i++)
        protections_free(s->routes[i].own_protections);
    mem_free(s->routes);
    protections_free(s->protections);
    router_free(s->router);
}
