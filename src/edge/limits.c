/* limits.c: from configuration to rules, and from a request to keys.
 *
 * The one hard thing: the default presets are part of the language of the configuration, so they
 * stand in one table that docs and validation read. Building: control thread; deciding: any loop.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/limits.h"

#include "core/mem.h"

static const char *const limits_per_names[] = {
#define X(name) #name,
    LIMITS_PER(X)
#undef X
        NULL};

/* X(name, per, count, window_ms, what for) */
#define LIMITS_PRESETS(X)                                                                          \
    X(auth, ip, 5, 60000)                                                                          \
    X(admin, ip, 10, 60000)                                                                        \
    X(api, ip, 100, 60000)                                                                         \
    X(uploads, ip, 20, 3600000)                                                                    \
    X(client, ip, 10, 1000)                                                                        \
    X(global, global, 100, 1000)

static const char *const limits_preset_names[] = {
#define X(name, per, count, window_ms) #name,
    LIMITS_PRESETS(X)
#undef X
        NULL};

static const struct limits_preset {
    enum limits_per per;
    struct limit_window_options window;
} limits_presets[] = {
#define X(name, per, count, window_ms) {LIMITS_PER_##per, {count, window_ms}},
    LIMITS_PRESETS(X)
#undef X
};

const struct config_key limits_keys[] = {
    {.name = "preset",
     .type = CONFIG_CHOICE,
     .choices = limits_preset_names,
     .help = "A ready-made limit: auth 5/min, admin 10/min, api 100/min, uploads 20/h and client "
             "10/s per client address, global 100/s for all together."},
    {.name = "per",
     .type = CONFIG_CHOICE,
     .choices = limits_per_names,
     .fallback = "ip",
     .help = "What is counted: each client address (IPv6 by /64), the route, each value of a "
             "header, or all requests together."},
    {.name = "header",
     .type = CONFIG_STRING,
     .min = 1,
     .max = 64,
     .help = "The header whose values are counted, with per: header; requests without it share "
             "one count.",
     .example = "x-api-key"},
    {.name = "rate",
     .type = CONFIG_RATE,
     .min = 1,
     .max = LIMIT_COUNT_MAX,
     .help = "The most requests in any window of this length.",
     .example = "100/min"},
    {.name = "rates",
     .type = CONFIG_LIST,
     .item = CONFIG_RATE,
     .min = 1,
     .max = LIMIT_WINDOW_MAX,
     .help = "Several windows that hold at the same time; in place of rate.",
     .example = "[10/s, 100/min, 1000/d]"},
    {.name = "shadow",
     .type = CONFIG_BOOL,
     .fallback = "false",
     .help = "Count and record what would be refused, but refuse nobody."},
    {.name = "name",
     .type = CONFIG_STRING,
     .min = 1,
     .max = 40,
     .help = "Shown to clients in RateLimit headers; counts survive a reload while name and rates "
             "stay the same."},
    {0}};

static unsigned limits_read_windows(const struct config_node *node,
                                    struct limit_window_options windows[LIMIT_WINDOW_MAX],
                                    enum limits_per *per)
{
    if (config_is_set(node, "preset")) {
        const struct limits_preset *preset = &limits_presets[config_int(node, "preset")];
        if (!config_is_set(node, "per"))
            *per = preset->per;
        windows[0] = preset->window;
        return 1;
    }
    if (config_is_set(node, "rate")) {
        struct config_rate rate = config_rate(node, "rate");
        windows[0] = (struct limit_window_options){rate.count, rate.window_ms};
        return 1;
    }
    const struct config_node *rates = config_child(node, "rates");
    unsigned count = config_count(rates);
    for (unsigned i = 0; i < count; i++) {
        struct config_rate rate = config_value_rate(config_at(rates, i));
        windows[i] = (struct limit_window_options){rate.count, rate.window_ms};
    }
    return count;
}

static struct span limits_name(const struct config_node *node, struct span owner, unsigned index,
                               struct arena *arena)
{
    if (config_is_set(node, "name"))
        return config_span(node, "name");
    if (config_is_set(node, "preset"))
        return arena_printf(arena, "%.*s-%s", SPAN_ARGS(owner),
                            limits_preset_names[config_int(node, "preset")]);
    return arena_printf(arena, "%.*s-%s-%u", SPAN_ARGS(owner),
                        limits_per_names[config_int(node, "per")], index + 1);
}

/* What the headers say of the rule is rendered with it. */
static err limits_prepare(struct limits_entry *entry, const struct limit_rule_options *options,
                          struct arena *arena, struct fault *why)
{
    TRY(limit_rule_init(&entry->rule, options, why));
    err outcome = limit_headers_prepare(&entry->rule, arena, &entry->text);
    if (!err_ok(outcome))
        return fault_set(why, outcome.code,
                         "the name is too long for RateLimit headers; set a shorter name");
    return OK;
}

static void limits_check(const struct config_node *node, enum limits_per per,
                         struct config_report *report)
{
    unsigned ways = (config_is_set(node, "preset") ? 1u : 0u) +
                    (config_is_set(node, "rate") ? 1u : 0u) +
                    (config_is_set(node, "rates") ? 1u : 0u);
    if (ways != 1)
        (void)config_fault(node, report, "exactly one of preset, rate and rates is needed");
    if ((per == LIMITS_PER_header) != config_is_set(node, "header"))
        (void)config_fault(node, report, "header goes with per: header, and only with it");
}

err limits_build(const struct config_node *list, struct span owner, struct arena *arena,
                 struct limits_set *out, struct config_report *report)
{
    unsigned count = config_count(list);
    struct limits_entry *entries = arena_alloc(arena, size_mul(count, sizeof *entries));
    for (unsigned i = 0; i < count; i++) {
        const struct config_node *node = config_at(list, i);
        struct fault why = {0};
        struct limit_rule_options options = {.is_shadow = config_bool(node, "shadow")};
        entries[i] = (struct limits_entry){.per = (enum limits_per)config_int(node, "per")};
        options.window_count = limits_read_windows(node, options.windows, &entries[i].per);
        options.name = limits_name(node, owner, i, arena);
        entries[i].header = config_span(node, "header");
        unsigned before = report->count;
        limits_check(node, entries[i].per, report);
        if (report->count == before && !err_ok(limits_prepare(&entries[i], &options, arena, &why)))
            (void)config_fault(node, report, "%s", why.text);
    }
    out->entries = entries;
    out->count = count;
    return report->count == 0 ? OK : FAIL(CONFIG);
}

size_t limits_header_bytes_max(const struct limits_set *set)
{
    size_t numbers_bytes = 64, bytes = 0; /* remaining, reset, and what stands between */
    for (unsigned i = 0; i < set->count; i++) {
        const struct limits_entry *entry = &set->entries[i];
        bytes += entry->text.policy.len;
        for (unsigned k = 0; k < entry->rule.window_count; k++)
            bytes += entry->text.prefix[k].len + numbers_bytes;
    }
    return bytes;
}

static struct span limits_client(const struct limits_entry *entry,
                                 const struct limits_request *request, struct ip_address *room)
{
    switch (entry->per) {
    case LIMITS_PER_ip:
        *room = ip_prefix64(request->client);
        return span_of((const char *)room->bytes, sizeof room->bytes);
    case LIMITS_PER_route:
        return request->route_name;
    case LIMITS_PER_header:
        for (unsigned i = 0; i < request->head->field_count; i++)
            if (span_eq_nocase(request->head->fields[i].name, entry->header))
                return request->head->fields[i].value;
        return SPAN("");
    case LIMITS_PER_global:
        return SPAN("");
    }
    must_fail("every kind of key is handled", __FILE__, __LINE__);
}

static unsigned limits_gather(const struct limits_set *set, const struct limits_request *request,
                              struct limit_check *checks, struct limits_outcome *out,
                              unsigned count)
{
    for (unsigned i = 0; i < set->count && count < LIMITS_PER_REQUEST_MAX; i++) {
        struct ip_address room;
        const struct limits_entry *entry = &set->entries[i];
        struct span client = limits_client(entry, request, &room);
        checks[count] =
            (struct limit_check){.rule = &entry->rule, .key = limit_rule_key(&entry->rule, client)};
        out->entries[count] =
            (struct limit_headers_entry){&entry->rule, &entry->text, &out->verdicts[count]};
        count++;
    }
    return count;
}

void limits_decide(struct limit_table *table, const struct limits_set *global,
                   const struct limits_set *route, const struct limits_request *request,
                   struct limits_outcome *out)
{
    struct limit_check checks[LIMITS_PER_REQUEST_MAX] NOT_CLEARED;
    unsigned count = limits_gather(global, request, checks, out, 0);
    count = limits_gather(route, request, checks, out, count);
    out->count = 0;
    out->is_refused = false;
    out->is_shadow_exceeded = false;
    if (count == 0)
        return;
    out->count = limit_table_admit_all(table, checks, count, request->now_ms, out->verdicts);
    must(out->count <= count);
    for (unsigned i = 0; i < out->count; i++) {
        const struct limit_verdict *verdict = &out->verdicts[i];
        if (verdict->is_exceeded && verdict->is_admitted)
            out->is_shadow_exceeded = true;
        if (!verdict->is_admitted) {
            out->is_refused = true;
            out->retry_after_ms = verdict->retry_after_ms;
            out->refused_by = checks[i].rule->name;
        }
    }
}
