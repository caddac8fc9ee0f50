/* settings.c: builds and frees snapshots.
 *
 * The one hard thing: a snapshot that is found wrong half-way must be freed like a whole one, so
 * every piece can be freed while empty. Control thread; the last unref: any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/settings.h"

#include "core/mem.h"

#define SETTINGS_ARENA_MAX (64 * 1024 * 1024)

/* Written where there is no `limits` key. */
static const struct limit_window_options settings_default_windows[] = {
    {100, 1000}, {3000, 60000}, {60000, 3600000}};

static void settings_read_sizes(struct settings *s)
{
    const struct config_node *root = config_root(s->config);
    const struct config_node *http = config_child(root, "http");
    const struct config_node *connections = config_child(root, "connections");
    s->http1 = (struct http1_limits){.target_bytes = (size_t)config_int(http, "target"),
                                     .head_bytes = (size_t)config_int(http, "head"),
                                     .field_count = (unsigned)config_int(http, "fields"),
                                     .trailer_bytes = (size_t)config_int(http, "trailers"),
                                     .chunk_line_bytes = (size_t)config_int(http, "chunk_line")};
    s->body_rate_min = (uint64_t)config_int(http, "body_rate");
    s->body_rate_grace_ms = (uint64_t)config_int(http, "body_rate_grace");
    s->connections_max = (unsigned)config_int(connections, "max");
    s->connections_per_ip = (unsigned)config_int(connections, "per_ip");
    s->requests_per_connection = (unsigned)config_int(connections, "requests");
    s->sends_limit_headers = config_bool(root, "limit_headers");
    s->logs_access = config_bool(root, "access_log");
}

static void settings_read_timeouts(struct settings *s)
{
    const struct config_node *t = config_child(config_root(s->config), "timeouts");
    s->timeouts = (struct settings_timeouts){
        .handshake_ms = (uint64_t)config_int(t, "handshake"),
        .header_ms = (uint64_t)config_int(t, "header"),
        .request_ms = (uint64_t)config_int(t, "request"),
        .idle_ms = (uint64_t)config_int(t, "idle"),
        .stall_ms = (uint64_t)config_int(t, "stall"),
        .linger_ms = (uint64_t)config_int(t, "linger"),
        .tunnel_idle_ms = (uint64_t)config_int(t, "tunnel_idle"),
        .drain_ms = (uint64_t)config_int(t, "drain"),
    };
}

static void settings_read_trust(struct settings *s, struct config_report *report)
{
    const struct config_node *list = config_child(config_root(s->config), "trusted_proxies");
    unsigned count = config_count(list);
    struct ip_network *networks = arena_alloc(&s->arena, size_mul(count, sizeof *networks));
    for (unsigned i = 0; i < count; i++) {
        struct fault why = {0};
        if (!err_ok(ip_network_parse(config_value(config_at(list, i)), &networks[i], &why)))
            (void)config_fault(config_at(list, i), report, "%s", why.text);
    }
    s->trust = (struct forwarded_trust){networks, count};
}

static void settings_default_limits(struct settings *s)
{
    struct limit_rule_options options = {.name = SPAN("client"),
                                         .window_count = COUNT_OF(settings_default_windows)};
    struct limits_entry *entry = ARENA_NEW(&s->arena, struct limits_entry);
    memcpy(options.windows, settings_default_windows, sizeof settings_default_windows);
    must(err_ok(limit_rule_init(&entry->rule, &options, NULL)));
    must(err_ok(limit_headers_prepare(&entry->rule, &s->arena, &entry->text)));
    entry->per = LIMITS_PER_ip;
    s->limits = (struct limits_set){entry, 1};
}

static void settings_read_limits(struct settings *s, struct config_report *report)
{
    const struct config_node *root = config_root(s->config);
    if (config_is_set(root, "limits"))
        (void)err_ok(limits_build(config_child(root, "limits"), SPAN("global"), &s->arena,
                                  &s->limits, report));
    else if (!config_is_off(root, "limits"))
        settings_default_limits(s);
}

/* ---- listeners ---- */

static void settings_listener_tls(struct settings *s, struct settings_listener *l,
                                  const struct settings_options *options,
                                  const struct config_node *tls, struct config_report *report)
{
    const struct config_node *more = config_child(tls, "certificates");
    unsigned count = config_count(more) + (config_is_set(tls, "certificate") ? 1 : 0), at = 0;
    struct fault why = {0};
    if (count == 0 || config_is_set(tls, "certificate") != config_is_set(tls, "key")) {
        (void)config_fault(tls, report, "certificate and key are needed, or certificates");
        return;
    }
    struct tls_context_source *sources = arena_alloc(&s->arena, size_mul(count, sizeof *sources));
    if (config_is_set(tls, "certificate"))
        sources[at++] = (struct tls_context_source){config_span(tls, "certificate").at,
                                                    config_span(tls, "key").at};
    for (unsigned i = 0; i < config_count(more); i++)
        sources[at++] =
            (struct tls_context_source){config_span(config_at(more, i), "certificate").at,
                                        config_span(config_at(more, i), "key").at};
    struct tls_context_server server = {.sources = sources,
                                        .source_count = count,
                                        .tickets = options->tickets,
                                        .accepts_readable_keys = config_bool(tls, "shared_keys"),
                                        .clock = options->node->clock};
    if (!err_ok(tls_context_new_server(&server, &l->tls, &why)))
        (void)config_fault(tls, report, "%s: %s", why.file, why.text);
}

static void settings_listener_address(struct settings_listener *l, const struct config_node *place,
                                      struct config_report *report)
{
    struct fault why = {0};
    if (!err_ok(sock_address_resolve(l->address_text, &l->address, &why)))
        (void)config_fault(place, report, "%s", why.text);
}

static void settings_read_listeners(struct settings *s, const struct settings_options *options,
                                    struct config_report *report)
{
    const struct config_node *list = config_child(config_root(s->config), "listen");
    s->listener_count = config_count(list);
    s->listeners = mem_alloc(size_mul(s->listener_count, sizeof *s->listeners));
    for (unsigned i = 0; i < s->listener_count; i++) {
        const struct config_node *node = config_at(list, i);
        const struct config_node *tls = config_child(node, "tls");
        s->listeners[i].address_text = config_span(node, "address");
        settings_listener_address(&s->listeners[i], node, report);
        if (tls != NULL)
            settings_listener_tls(s, &s->listeners[i], options, tls, report);
    }
}

static void settings_read_admin_listeners(struct settings *s, struct config_report *report)
{
    const struct config_node *admin = config_child(config_root(s->config), "admin");
    struct span address = config_span(admin, "address");
    struct span socket = config_span(admin, "socket");
    s->listeners = mem_alloc(size_mul(2, sizeof *s->listeners));
    if (address.at != NULL) {
        struct settings_listener *l = &s->listeners[s->listener_count++];
        *l = (struct settings_listener){.address_text = address, .is_admin = true};
        settings_listener_address(l, config_child(admin, "address"), report);
        struct ip_address ip;
        uint16_t port = 0;
        l->is_local_admin =
            err_ok(ip_from_sockaddr(&l->address.any, &ip, &port)) && ip_is_loopback(&ip);
    }
    if (socket.at != NULL) {
        struct settings_listener *l = &s->listeners[s->listener_count++];
        *l = (struct settings_listener){.is_admin = true, .is_control_socket = true};
        l->address_text = arena_printf(&s->arena, "unix:%.*s", SPAN_ARGS(socket));
        settings_listener_address(l, config_child(admin, "socket"), report);
    }
}

err settings_new(const struct settings_options *options, bool is_admin, struct settings **out,
                 struct config_report *report)
{
    struct settings *s = MEM_NEW(struct settings);
    atomic_init(&s->refs, 1);
    s->config = config_ref(options->config);
    s->limit_table = options->limit_table;
    arena_init(&s->arena, NULL, SETTINGS_ARENA_MAX);
    settings_read_sizes(s);
    settings_read_timeouts(s);
    settings_read_trust(s, report);
    if (is_admin) {
        s->logs_access = false;
        settings_read_admin_listeners(s, report);
        settings_routes_build_admin(s, options, report);
    } else {
        settings_read_limits(s, report);
        settings_read_listeners(s, options, report);
        settings_upstreams_build(s, options, report);
        settings_routes_build(s, options, report);
    }
    if (report->count > 0) {
        settings_unref(s);
        return FAIL(CONFIG);
    }
    *out = s;
    return OK;
}

struct settings *settings_ref(struct settings *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void settings_unref(struct settings *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    settings_routes_free(s);
    settings_upstreams_free(s);
    for (unsigned i = 0; i < s->listener_count; i++)
        tls_context_unref(s->listeners[i].tls);
    mem_free(s->listeners);
    config_unref(s->config);
    arena_done(&s->arena);
    mem_free(s);
}
