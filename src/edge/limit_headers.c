/* limit_headers.c: from verdicts to header lines.
 *
 * The one hard thing is to choose: of several rules with several windows, X-RateLimit-* can show
 * only one. It is the window that refused; while none did, the one with the least left, because
 * that is what the client will meet first. Pure.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/limit_headers.h"

#include "wire/ratelimit.h"

#define LIMIT_HEADERS_NAME_BYTES 256 /* a longer name is not worth a problem document's space */

/* The window of one rule, as a policy of the RateLimit fields. */
static struct ratelimit_item limit_headers_item(const struct limit_headers_entry *e, unsigned i)
{
    const struct limit_window_verdict *w = &e->verdict->windows[i];
    return (struct ratelimit_item){.name = e->rule->name,
                                   .has_suffix = e->rule->window_count > 1,
                                   .quota = w->count,
                                   .window_ms = w->window_ms,
                                   .remaining = w->remaining,
                                   .reset_ms = w->reset_ms};
}

static unsigned limit_headers_items(const struct limit_headers_entry *entries, unsigned entry_count,
                                    struct ratelimit_item *items, unsigned item_max)
{
    unsigned count = 0;
    for (unsigned e = 0; e < entry_count; e++) {
        if (entries[e].rule->is_shadow)
            continue;
        for (unsigned i = 0; i < entries[e].verdict->window_count && count < item_max; i++)
            items[count++] = limit_headers_item(&entries[e], i);
    }
    return count;
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

static err limit_headers_line(struct buf *out, struct span name, uint64_t value)
{
    TRY(buf_add(out, name));
    TRY(buf_add_u64(out, value));
    return buf_add(out, SPAN("\r\n"));
}

err limit_headers_write(struct buf *out, const struct limit_headers_entry *entries,
                        unsigned entry_count, uint64_t wall_ns)
{
    struct ratelimit_item items[LIMIT_HEADERS_ITEMS_MAX];
    unsigned count = limit_headers_items(entries, entry_count, items, LIMIT_HEADERS_ITEMS_MAX);
    const struct limit_headers_entry *tightest = limit_headers_tightest(entries, entry_count);
    if (tightest == NULL)
        return OK;
    TRY(buf_add(out, SPAN("ratelimit-policy: ")));
    TRY(ratelimit_add_policy(out, items, count));
    TRY(buf_add(out, SPAN("\r\nratelimit: ")));
    TRY(ratelimit_add_status(out, items, count));
    TRY(buf_add(out, SPAN("\r\n")));
    const struct limit_verdict *v = tightest->verdict;
    const struct limit_window_verdict *w = &v->windows[v->deciding];
    TRY(limit_headers_line(out, SPAN("x-ratelimit-limit: "), w->count));
    TRY(limit_headers_line(out, SPAN("x-ratelimit-remaining: "), w->remaining));
    TRY(limit_headers_line(out, SPAN("x-ratelimit-reset: "),
                           ratelimit_seconds(wall_ns / 1000000 + w->reset_ms)));
    if (!v->is_exceeded)
        return OK;
    return limit_headers_line(out, SPAN("retry-after: "), ratelimit_seconds(v->retry_after_ms));
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
            struct ratelimit_item item = limit_headers_item(entry, i);
            buf_reset(&name);
            if (item.remaining == 0 && count < LIMIT_HEADERS_ITEMS_MAX &&
                err_ok(ratelimit_add_name(&name, &item)))
                names[count++] = arena_copy(arena, buf_span(&name));
        }
    }
    return count;
}
