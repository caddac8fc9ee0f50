/* limit_rule.c: checks a rule and lays its windows out in a cell.
 *
 * The one hard thing is the layout. All windows share LIMIT_CELL_BYTES: a window with a small
 * count takes one byte for each request and is exact, and what it leaves over goes to the others,
 * which put `group_size` requests behind one byte. Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/limit_rule.h"

#include "edge/limit_cell.h"

/* An entry's age is one byte: 0 is free, so a life has at most 255 ticks, and one of them is the
 * tick in which the request came. */
#define LIMIT_RULE_TICKS 254u

#define LIMIT_RULE_FILL_MAX 3u /* bytes that hold any fill up to LIMIT_COUNT_MAX */

static err limit_rule_validate(const struct limit_rule_options *options, struct fault *why)
{
    if (options->window_count == 0 || options->window_count > LIMIT_WINDOW_MAX)
        return fault_set(why, ERR_INVALID, "a limit needs 1 to %u windows", LIMIT_WINDOW_MAX);
    for (unsigned i = 0; i < options->window_count; i++) {
        const struct limit_window_options *w = &options->windows[i];
        if (w->count == 0 || w->count > LIMIT_COUNT_MAX)
            return fault_set(why, ERR_INVALID, "a limit's count is 1 to %u, not %u",
                             LIMIT_COUNT_MAX, w->count);
        if (w->window_ms == 0 || w->window_ms > LIMIT_WINDOW_MAX_MS)
            return fault_set(why, ERR_INVALID, "a limit's window is 1 ms to 400 days, not %llu ms",
                             (unsigned long long)w->window_ms);
        for (unsigned k = 0; k < i; k++) {
            if (options->windows[k].window_ms == w->window_ms)
                return fault_set(why, ERR_INVALID, "two windows of one limit have one length");
        }
    }
    return OK;
}

/* Shortest window first, so that the order in the configuration changes neither identity nor
 * headers. */
static void limit_rule_sort(struct limit_rule *rule)
{
    for (unsigned i = 1; i < rule->window_count; i++) {
        for (unsigned k = i; k > 0; k--) {
            struct limit_window *a = &rule->windows[k - 1], *b = &rule->windows[k];
            if (a->window_ms <= b->window_ms)
                break;
            struct limit_window swapped = *a;
            *a = *b;
            *b = swapped;
        }
    }
}

static uint32_t limit_rule_ceil_div(uint64_t a, uint64_t b)
{
    must(b > 0);
    return (uint32_t)((a + b - 1) / b);
}

/* Fits one window into `share` bytes and returns how many it takes. */
static unsigned limit_rule_fit(struct limit_window *w, unsigned share)
{
    must(share > LIMIT_RULE_FILL_MAX);
    if (w->count <= share) {
        w->fill_bytes = 0;
        w->group_size = 1;
        w->group_count = (uint8_t)w->count;
        return w->group_count;
    }
    static_assert(LIMIT_CELL_BYTES / LIMIT_WINDOW_MAX > LIMIT_RULE_FILL_MAX, "groups need room");
    for (unsigned fill_bytes = 1; fill_bytes <= LIMIT_RULE_FILL_MAX; fill_bytes++) {
        w->fill_bytes = (uint8_t)fill_bytes;
        w->group_size = limit_rule_ceil_div(w->count, share - fill_bytes);
        if (w->group_size < 1u << (8 * fill_bytes))
            break;
    }
    w->group_count = (uint8_t)limit_rule_ceil_div(w->count, w->group_size);
    w->fill_mask = (1u << (8 * w->fill_bytes)) - 1;
    must(w->fill_bytes + w->group_count >= sizeof w->fill_mask);
    return (unsigned)w->fill_bytes + w->group_count;
}

/* The windows with small counts choose first, because what they do not need helps the rest. */
static void limit_rule_lay_out(struct limit_rule *rule)
{
    bool is_placed[LIMIT_WINDOW_MAX] = {false};
    unsigned used = 0;
    for (unsigned placed = 0; placed < rule->window_count; placed++) {
        unsigned next = LIMIT_WINDOW_MAX;
        for (unsigned i = 0; i < rule->window_count; i++) {
            if (!is_placed[i] &&
                (next == LIMIT_WINDOW_MAX || rule->windows[i].count < rule->windows[next].count))
                next = i;
        }
        must(next < LIMIT_WINDOW_MAX);
        struct limit_window *w = &rule->windows[next];
        w->offset = (uint8_t)used;
        used += limit_rule_fit(w, (LIMIT_CELL_BYTES - used) / (rule->window_count - placed));
        is_placed[next] = true;
    }
    must(used <= LIMIT_CELL_BYTES);
}

static uint64_t limit_rule_identity(const struct limit_rule *rule)
{
    uint64_t parts[1 + 2 * LIMIT_WINDOW_MAX] = {hash_span(hash_process_key(), rule->name)};
    for (unsigned i = 0; i < rule->window_count; i++) {
        parts[1 + 2 * i] = rule->windows[i].count;
        parts[2 + 2 * i] = rule->windows[i].window_ms;
    }
    return hash_bytes(hash_process_key(), parts, sizeof parts);
}

err limit_rule_init(struct limit_rule *rule, const struct limit_rule_options *options,
                    struct fault *why)
{
    TRY(limit_rule_validate(options, why));
    *rule = (struct limit_rule){.name = options->name,
                                .window_count = (uint8_t)options->window_count,
                                .is_shadow = options->is_shadow};
    uint64_t horizon_ms = 1;
    for (unsigned i = 0; i < options->window_count; i++) {
        struct limit_window *w = &rule->windows[i];
        w->count = options->windows[i].count;
        w->window_ms = options->windows[i].window_ms;
        w->tick_ms = limit_rule_ceil_div(w->window_ms, LIMIT_RULE_TICKS);
        w->life_ticks = (uint8_t)(limit_rule_ceil_div(w->window_ms, w->tick_ms) + 1);
        uint64_t life_ms = (uint64_t)w->life_ticks * w->tick_ms;
        horizon_ms = life_ms > horizon_ms ? life_ms : horizon_ms;
    }
    while ((1ull << rule->horizon_bits) < horizon_ms)
        rule->horizon_bits++;
    limit_rule_sort(rule);
    limit_rule_lay_out(rule);
    rule->key = *hash_process_key();
    rule->key.k0 ^= limit_rule_identity(rule);
    return OK;
}

uint64_t limit_rule_key(const struct limit_rule *rule, struct span client)
{
    return hash_span(&rule->key, client);
}
