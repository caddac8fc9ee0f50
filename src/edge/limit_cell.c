/* limit_cell.c: the arithmetic of one window in a few bytes; limit_cell.h tells how and why.
 *
 * In each window stand first the fill (requests in the newest group, little endian, absent when
 * groups hold one), then the groups' remaining ticks, newest first: they never grow toward the
 * end, and the first 0 ends them.
 *
 * A cell may be read under another rule than it was written, when two keys collide in all 48 bits
 * that are kept. Nothing here may then leave the cell or break a must: values out of range are
 * read as the largest that is possible.
 *
 * Pure.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/limit_cell.h"

#include <endian.h>

/* Both go by four bytes at once, which the window has. Without a fill the mask is 0, and what is
 * read is then 0, which is out of range: the size of a group, 1. */
static uint32_t limit_cell_fill(const uint8_t *at, const struct limit_window *w)
{
    uint32_t fill;
    memcpy(&fill, at, sizeof fill);
    fill = le32toh(fill) & w->fill_mask;
    return fill - 1 < w->group_size ? fill : w->group_size;
}

static void limit_cell_set_fill(uint8_t *at, const struct limit_window *w, uint32_t fill)
{
    if (w->fill_mask == 0)
        return;
    uint32_t old;
    memcpy(&old, at, sizeof old);
    fill = htole32((le32toh(old) & ~w->fill_mask) | fill);
    memcpy(at, &fill, sizeof fill);
}

static unsigned limit_cell_live(const uint8_t *groups, const struct limit_window *w)
{
    unsigned live = 0;
    while (live < w->group_count && groups[live] != 0)
        live++;
    return live;
}

/* The most requests that can be in the window now. */
static uint32_t limit_cell_held(const uint8_t *at, const struct limit_window *w, unsigned live)
{
    return live == 0 ? 0 : (live - 1) * w->group_size + limit_cell_fill(at, w);
}

uint64_t limit_cell_advance(struct limit_cell *cell, const struct limit_rule *rule, uint64_t now_ms)
{
    uint64_t used_ms = limit_cell_used_ms(cell, now_ms);
    if (used_ms >= now_ms)
        return used_ms;
    for (unsigned i = 0; i < rule->window_count; i++) {
        const struct limit_window *w = &rule->windows[i];
        uint64_t ticks = now_ms / w->tick_ms - used_ms / w->tick_ms;
        if (ticks == 0)
            continue;
        uint8_t step = ticks < UINT8_MAX ? (uint8_t)ticks : UINT8_MAX;
        uint8_t *groups = cell->bytes + w->offset + w->fill_bytes;
        for (unsigned g = 0; g < w->group_count && groups[g] != 0; g++)
            groups[g] = groups[g] > step ? (uint8_t)(groups[g] - step) : 0;
    }
    cell->head = (cell->head & ~LIMIT_CELL_TIME_MASK) | (now_ms & LIMIT_CELL_TIME_MASK);
    return now_ms;
}

void limit_cell_judge(const struct limit_cell *cell, const struct limit_rule *rule, uint64_t at_ms,
                      struct limit_verdict *out)
{
    uint64_t longest_ms = 0;
    unsigned longest = 0, tightest = 0;
    bool is_exceeded = false;
    for (unsigned i = 0; i < rule->window_count; i++) {
        const struct limit_window *w = &rule->windows[i];
        const uint8_t *at = cell->bytes + w->offset;
        const uint8_t *groups = at + w->fill_bytes;
        unsigned live = limit_cell_live(groups, w);
        uint32_t held = limit_cell_held(at, w, live);
        struct limit_window_verdict *v = &out->windows[i];
        v->window_ms = w->window_ms;
        v->count = w->count;
        v->remaining = held < w->count ? w->count - held : 0;
        v->reset_ms = live == 0 ? 0 : (uint64_t)groups[live - 1] * w->tick_ms - at_ms % w->tick_ms;
        if (v->remaining == 0 && v->reset_ms > longest_ms) {
            is_exceeded = true;
            longest_ms = v->reset_ms;
            longest = i;
        }
        if (v->remaining <= out->windows[tightest].remaining)
            tightest = i;
    }
    out->window_count = rule->window_count;
    out->is_exceeded = is_exceeded;
    out->is_admitted = !is_exceeded || rule->is_shadow;
    out->deciding = (uint8_t)(is_exceeded ? longest : tightest);
    out->retry_after_ms = longest_ms;
    out->charged_ms = 0;
}

void limit_cell_charge(struct limit_cell *cell, const struct limit_rule *rule, uint64_t at_ms,
                       struct limit_verdict *verdict)
{
    verdict->charged_ms = at_ms;
    for (unsigned i = 0; i < rule->window_count; i++) {
        const struct limit_window *w = &rule->windows[i];
        uint8_t *at = cell->bytes + w->offset;
        uint8_t *groups = at + w->fill_bytes;
        uint32_t fill = limit_cell_fill(at, w);
        if (groups[0] == 0 || fill == w->group_size) {
            memmove(groups + 1, groups, w->group_count - 1u);
            fill = 0;
        }
        limit_cell_set_fill(at, w, fill + 1);
        groups[0] = w->life_ticks;
        struct limit_window_verdict *v = &verdict->windows[i];
        v->remaining--;
        if (v->reset_ms == 0)
            v->reset_ms = (uint64_t)w->life_ticks * w->tick_ms - at_ms % w->tick_ms;
    }
}

void limit_cell_refund(struct limit_cell *cell, const struct limit_rule *rule, uint64_t at_ms,
                       uint64_t charged_ms)
{
    for (unsigned i = 0; i < rule->window_count; i++) {
        const struct limit_window *w = &rule->windows[i];
        uint8_t *at = cell->bytes + w->offset;
        uint8_t *groups = at + w->fill_bytes;
        if (at_ms / w->tick_ms != charged_ms / w->tick_ms || groups[0] != w->life_ticks)
            continue;
        uint32_t fill = limit_cell_fill(at, w);
        if (fill > 1) {
            limit_cell_set_fill(at, w, fill - 1);
            continue;
        }
        memmove(groups, groups + 1, w->group_count - 1u);
        groups[w->group_count - 1] = 0;
        limit_cell_set_fill(at, w, w->group_size);
    }
}
