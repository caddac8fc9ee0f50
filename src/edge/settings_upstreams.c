/* settings_upstreams.c: the upstreams of a snapshot, resolved and ready to connect to.
 *
 * Names are resolved here, once per load. Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/hash.h"
#include "core/mem.h"
#include "edge/settings.h"
#include "egress/upstream_config.h"

static struct span settings_upstreams_host(struct span address)
{
    size_t end = address.len;
    while (end > 0 && address.at[end - 1] != ':')
        end--;
    struct span host = span_of(address.at, end > 0 ? end - 1 : 0);
    if (host.len >= 2 && host.at[0] == '[')
        host = span_of(host.at + 1, host.len - 2);
    return host;
}

/* Connections of the same key are interchangeable: what was opened without verification, or for
 * another name, must not serve those who ask for more after a reload. */
static uint64_t settings_upstreams_key(struct settings *s, const struct settings_upstream *up,
                                       const struct upstream_config_links *links, unsigned index)
{
    struct span tls = SPAN("plain");
    if (links->has_tls)
        tls = arena_printf(&s->arena, "tls %s %.*s %.*s", links->is_verified ? "verified" : "any",
                           SPAN_ARGS(up->server_names[index]), SPAN_ARGS(links->ca_path));
    struct span identity =
        arena_printf(&s->arena, "%.*s %.*s %.*s", SPAN_ARGS(up->upstream->name),
                     SPAN_ARGS(up->upstream->set.members[index].target->address), SPAN_ARGS(tls));
    return hash_span(hash_process_key(), identity);
}

static void settings_upstreams_connect(struct settings *s, struct settings_upstream *up,
                                       const struct upstream_config_links *links,
                                       const struct config_node *node, struct config_report *report)
{
    const struct balance_set *set = &up->upstream->set;
    up->addresses = arena_alloc(&s->arena, size_mul(set->member_count, sizeof *up->addresses));
    up->link_keys = arena_alloc(&s->arena, size_mul(set->member_count, sizeof *up->link_keys));
    up->server_names = arena_alloc(&s->arena, size_mul(set->member_count, sizeof(struct span)));
    for (unsigned i = 0; i < set->member_count; i++) {
        struct span address = set->members[i].target->address;
        struct fault why = {0};
        if (!err_ok(sock_address_resolve(address, &up->addresses[i], &why)))
            (void)config_fault(node, report, "%s", why.text);
        up->server_names[i] =
            links->server_name.len > 0 ? links->server_name : settings_upstreams_host(address);
        up->link_keys[i] = settings_upstreams_key(s, up, links, i);
    }
}

static void settings_upstreams_tls(struct settings_upstream *up,
                                   const struct upstream_config_links *links,
                                   const struct settings_options *options,
                                   const struct config_node *node, struct config_report *report)
{
    struct fault why = {0};
    if (!links->has_tls)
        return;
    struct tls_context_client client = {.is_unverified = !links->is_verified,
                                        .ca_path = links->ca_path.at,
                                        .clock = options->node->clock};
    if (!err_ok(tls_context_new_client(&client, &up->tls, &why)))
        (void)config_fault(config_child(node, "tls"), report, "%s: %s", why.file, why.text);
}

static void settings_upstreams_one(struct settings *s, struct settings_upstream *up,
                                   const struct settings_options *options,
                                   const struct config_node *node, struct config_report *report)
{
    struct upstream_target_options targets[UPSTREAM_TARGETS_MAX];
    struct upstream_options wanted;
    struct upstream_config_links links;
    struct fault why = {0};
    unsigned before = report->count;
    upstream_config_read(node, targets, &wanted, &links, report);
    if (report->count != before)
        return;
    uint64_t now_ms = clock_mono_ms(options->node->clock);
    if (!err_ok(upstream_new(options->upstreams, &wanted, now_ms, &why, &up->upstream))) {
        (void)config_fault(node, report, "%s", why.text);
        return;
    }
    up->idle_timeout_ms = links.idle_timeout_ms;
    up->idle_max = links.idle_max;
    settings_upstreams_connect(s, up, &links, node, report);
    settings_upstreams_tls(up, &links, options, node, report);
}

void settings_upstreams_build(struct settings *s, const struct settings_options *options,
                              struct config_report *report)
{
    const struct config_node *table = config_child(config_root(s->config), "upstreams");
    s->upstream_count = config_count(table);
    s->upstreams = mem_alloc(size_mul(s->upstream_count, sizeof *s->upstreams));
    for (unsigned i = 0; i < s->upstream_count; i++) {
        s->upstreams[i].index = i;
        settings_upstreams_one(s, &s->upstreams[i], options, config_at(table, i), report);
    }
}

void settings_upstreams_free(struct settings *s)
{
    for (unsigned i = 0; i < s->upstream_count; i++) {
        tls_context_unref(s->upstreams[i].tls);
        upstream_unref(s->upstreams[i].upstream);
    }
    mem_free(s->upstreams);
}

const struct settings_upstream *settings_upstreams_find(const struct settings *s, struct span name)
{
    for (unsigned i = 0; i < s->upstream_count; i++) {
        const struct upstream *u = s->upstreams[i].upstream;
        if (u != NULL && span_eq(u->name, name))
            return &s->upstreams[i];
    }
    return NULL;
}
