/* limit_headers.c: from verdicts to header lines.
 *
 * The one hard thing is to choose: of several rules with several windows, X-RateLimit-* can show
 * only one. It is the window that refused; while none did, the one with the least left, because
 * that is what the client will meet first. Pure.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/limit_headers.h"

#include "wire/ratelimit.h"

#define LIMIT_HEADERS_NAME_BYTES 256  /* a longer name is not worth a problem document's space */
#define LIMIT_HEADERS_TEXT_BYTES 2048 /* of one rule's policies */

/* The window of one rule, as a policy of the RateLimit fields. */
static struct ratelimit_item limit_headers_item(const struct limit_rule *rule, unsigned i)
{
    return (struct ratelimit_item){.name = rule->name,
                                   .has_suffix = rule->window_count > 1,
                                   .quota = rule->windows[i].count,
                                   .window_ms = rule->windows[i].window_ms};
}

err limit_headers_prepare(const struct limit_rule *rule, struct arena *arena,
                          struct limit_headers_text *out)
{
    struct ratelimit_item items[LIMIT_WINDOW_MAX];
    struct buf text CLEANUP(buf_done);
    buf_init(&text, LIMIT_HEADERS_TEXT_BYTES);
    for (unsigned i = 0; i < rule->window_count; i++) {
        items[i] = limit_headers_item(rule, i);
        buf_reset(&text);
        TRY(ratelimit_add_prefix(&text, &items[i]));
        out->prefix[i] = arena_copy(arena, buf_span(&text));
    }
    buf_reset(&text);
    TRY(ratelimit_add_policy(&text, items, rule->window_count));
    out->policy = arena_copy(arena, buf_span(&text));
    return OK;
}

/* The entry whose deciding window X-RateLimit-* show; NULL when all are shadows. */
static const struct limit_headers_entry *
limit_headers_tightest(const struct limit_headers_entry *entries, unsigned entry_count)
{
    const struct limit_headers_entry *tightest = NULL;
    for (unsigned e = 0; e < entry_count; e++) {
        const struct limit_headers_entry *entry = &entries[e];
        if (entry->rule->is_shadow)
            continue;
        if (entry->verdict->is_exceeded)
            return entry;
        if (tightest == NULL ||
            entry->verdict->windows[entry->verdict->deciding].remaining <
                tightest->verdict->windows[tightest->verdict->deciding].remaining)
            tightest = entry;
    }
    return tightest;
}

static void limit_headers_line(struct put *out, struct span name, uint64_t value)
{
    put_span(out, name);
    put_u64(out, value);
    put_span(out, SPAN("\r\n"));
}

static void limit_headers_policies(struct put *out, const struct limit_headers_entry *entries,
                                   unsigned entry_count)
{
    struct span separator = SPAN("ratelimit-policy: ");
    for (unsigned e = 0; e < entry_count; e++) {
        if (entries[e].rule->is_shadow)
            continue;
        put_span(out, separator);
        put_span(out, entries[e].text->policy);
        separator = SPAN(", ");
    }
    put_span(out, SPAN("\r\n"));
}

static void limit_headers_states(struct put *out, const struct limit_headers_entry *entries,
                                 unsigned entry_count)
{
    struct span separator = SPAN("ratelimit: ");
    for (unsigned e = 0; e < entry_count; e++) {
        const struct limit_verdict *v = entries[e].verdict;
        for (unsigned i = 0; i < v->window_count && !entries[e].rule->is_shadow; i++) {
            put_span(out, separator);
            put_span(out, entries[e].text->prefix[i]);
            ratelimit_put_state(out, v->windows[i].remaining, v->windows[i].reset_ms);
            separator = SPAN(", ");
        }
    }
    put_span(out, SPAN("\r\n"));
}

void limit_headers_put(struct put *out, const struct limit_headers_entry *entries,
                       unsigned entry_count, uint64_t wall_ns)
{
    const struct limit_headers_entry *tightest = limit_headers_tightest(entries, entry_count);
    if (tightest == NULL)
        return;
    const struct limit_verdict *v = tightest->verdict;
    const struct limit_window_verdict *w = &v->windows[v->deciding];
    limit_headers_policies(out, entries, entry_count);
    limit_headers_states(out, entries, entry_count);
    limit_headers_line(out, SPAN("x-ratelimit-limit: "), w->count);
    limit_headers_line(out, SPAN("x-ratelimit-remaining: "), w->remaining);
    limit_headers_line(out, SPAN("x-ratelimit-reset: "),
                       ratelimit_seconds(wall_ns / 1000000 + w->reset_ms));
    if (v->is_exceeded)
        limit_headers_line(out, SPAN("retry-after: "), ratelimit_seconds(v->retry_after_ms));
}

unsigned limit_headers_violated(const struct limit_headers_entry *entries, unsigned entry_count,
                                struct arena *arena, struct span names[LIMIT_HEADERS_ITEMS_MAX])
{
    struct buf name CLEANUP(buf_done);
    buf_init(&name, LIMIT_HEADERS_NAME_BYTES);
    unsigned count = 0;
    for (unsigned e = 0; e < entry_count; e++) {
        const struct limit_headers_entry *entry = &entries[e];
        if (entry->rule->is_shadow || !entry->verdict->is_exceeded)
            continue;
        for (unsigned i = 0; i < entry->verdict->window_count; i++) {
            struct ratelimit_item item = limit_headers_item(entry->rule, i);
            buf_reset(&name);
            if (entry->verdict->windows[i].remaining == 0 && count < LIMIT_HEADERS_ITEMS_MAX &&
                err_ok(ratelimit_add_name(&name, &item)))
                names[count++] = arena_copy(arena, buf_span(&name));
        }
    }
    return count;
}
