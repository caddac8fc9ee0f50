/* limit_cell.h: 40 bytes that remember one client's recent requests under one rule.
 *
 * Exactness costs one time stamp a request, which is too much for a million clients; counters per
 * slice of time are cheap, but the slice that a window's edge cuts must be counted whole, and so
 * a burst is held against its client for longer than the window. Here the log of requests is
 * thinned out by number instead: `group_size` consecutive admissions form a group, and a group has
 * one byte, the ticks for which it still counts. That time runs from its *latest* admission, and
 * then the group leaves as a whole. What follows:
 *
 *   never too many   each admission is counted until it is more than window_ms old, because its
 *                    group's latest is not older than itself and ticks are rounded up;
 *   burst            from idle, all of the count at once; it comes back, all at once as well,
 *                    window_ms and at most two ticks (a 254th of the window each) later;
 *   not too few      only the oldest group can hold requests that have left the window, so at
 *                    most group_size - 1 are held too many: a client that paces itself is never
 *                    refused up to (count - group_size + 1) / count of the rate;
 *   small counts     (up to 32 for a rule of one window, 10 of three) are exact: group_size 1.
 *
 * The head holds the time of the last use (40 bits of milliseconds, read relative to now, so that
 * it may wrap), the rule's horizon (6 bits) and a part of the key (18 bits). Bytes are zero in a
 * cell that was never used, and zero means free.
 *
 * Pure; the caller sees to it that one thread uses a cell at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "edge/limit_table.h"

#define LIMIT_CELL_BYTES 32u

struct limit_cell {
    uint64_t head;
    uint8_t bytes[LIMIT_CELL_BYTES];
};

#define LIMIT_CELL_TIME_BITS    40
#define LIMIT_CELL_TIME_MASK    ((1ull << LIMIT_CELL_TIME_BITS) - 1)
#define LIMIT_CELL_HORIZON_BITS 6
#define LIMIT_CELL_HORIZON_MASK ((1u << LIMIT_CELL_HORIZON_BITS) - 1)
#define LIMIT_CELL_KEY_BITS     18

/* Makes the cell that of a key without history. */
static inline void limit_cell_start(struct limit_cell *cell, uint32_t key_part,
                                    const struct limit_rule *rule, uint64_t now_ms)
{
    *cell = (struct limit_cell){.head = (uint64_t)key_part
                                            << (LIMIT_CELL_TIME_BITS + LIMIT_CELL_HORIZON_BITS) |
                                        (uint64_t)rule->horizon_bits << LIMIT_CELL_TIME_BITS |
                                        (now_ms & LIMIT_CELL_TIME_MASK)};
}

static inline uint32_t limit_cell_key_part(const struct limit_cell *cell)
{
    return (uint32_t)(cell->head >> (LIMIT_CELL_TIME_BITS + LIMIT_CELL_HORIZON_BITS));
}

/* The time of the last use, which may lie ahead of now_ms: another loop's clock was read later. */
static inline uint64_t limit_cell_used_ms(const struct limit_cell *cell, uint64_t now_ms)
{
    uint64_t behind = (now_ms - cell->head) & LIMIT_CELL_TIME_MASK;
    if (behind > LIMIT_CELL_TIME_MASK / 2)
        return now_ms + (LIMIT_CELL_TIME_MASK + 1 - behind);
    return now_ms - behind;
}

/* Whether nothing in it counts any more. */
static inline bool limit_cell_is_expired(const struct limit_cell *cell, uint64_t now_ms)
{
    uint64_t used_ms = limit_cell_used_ms(cell, now_ms);
    unsigned horizon_bits =
        (unsigned)(cell->head >> LIMIT_CELL_TIME_BITS) & LIMIT_CELL_HORIZON_MASK;
    return used_ms <= now_ms && now_ms - used_ms >= 1ull << horizon_bits;
}

/* Brings the cell up to now_ms and returns the time it then stands at: now_ms, or the last use if
 * that is later. */
uint64_t limit_cell_advance(struct limit_cell *cell, const struct limit_rule *rule,
                            uint64_t now_ms);

/* Judges one request at the time the cell stands at. */
void limit_cell_judge(const struct limit_cell *cell, const struct limit_rule *rule, uint64_t at_ms,
                      struct limit_verdict *out);

/* Enters the request that `verdict` admitted in every window, and brings the verdict up to date. */
void limit_cell_charge(struct limit_cell *cell, const struct limit_rule *rule, uint64_t at_ms,
                       struct limit_verdict *verdict);

/* Takes back one request that was entered at charged_ms, from the windows whose tick has not
 * ended since. In the others it stays, because a later request may stand in its group by now, and
 * that one must not leave early. */
void limit_cell_refund(struct limit_cell *cell, const struct limit_rule *rule, uint64_t at_ms,
                       uint64_t charged_ms);
