/* limit_table.c: cells in sets of one page each, found by hash.
 *
 * A set holds 96 cells and three lines of 32 short tags. A key looks in one line first, and in the
 * next only if that one is full, so that a table that is not crowded costs the set's lock, one
 * line of tags and one cell. With max_keys keys the average set holds 65, which leaves almost four
 * standard deviations of room: a million live keys take 63 bytes each, and about one in 100,000
 * does not find a place.
 *
 * The one hard thing is the lock bit of a set. It is no mutex (core/spin.h): nobody sleeps on it,
 * no system call is made, and it is held for some 50 ns, a microsecond when a victim is sought in
 * a full set. Threads meet on it only when they serve the same client, or one of the 65 that
 * share its set, at the same instant. What it buys is that all windows are judged and charged as
 * one step, which is the promise of limit_table.h.
 *
 * Eviction stays inside the set: a cell with nothing left to count is taken first, otherwise the
 * least recently used of the key's first line, and that is counted, because from then on the
 * promise does not hold for the client that was forgotten.
 *
 * Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/limit_table.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "core/fault_point.h"
#include "core/mem.h"
#include "core/spin.h"
#include "edge/limit_cell.h"

#define LIMIT_TABLE_LINES     3u
#define LIMIT_TABLE_LINE      32u
#define LIMIT_TABLE_WAYS      (LIMIT_TABLE_LINES * LIMIT_TABLE_LINE)
#define LIMIT_TABLE_SET_BYTES 4096u
#define LIMIT_TABLE_SET_KEYS  65u /* a set's share of max_keys: 63 bytes a key */

struct limit_set {
    struct spin lock;
    char apart[60];
    uint16_t tags[LIMIT_TABLE_LINES][LIMIT_TABLE_LINE]; /* 0 = never used; used ones come first */
    struct limit_cell cells[LIMIT_TABLE_WAYS];
};

static_assert(sizeof(struct limit_set) == LIMIT_TABLE_SET_BYTES, "a set is one page");

struct limit_table {
    struct limit_set *sets; /* owned, mapped */
    size_t set_count;
    _Atomic uint64_t keys;
    _Atomic uint64_t reused_expired;
    _Atomic uint64_t evicted_live;
};

/* Where a key belongs. Set, tag and key part together keep 48 bits of it. */
struct limit_place {
    struct limit_set *set;
    uint16_t tag;
    unsigned line;
    uint32_t key_part;
};

err limit_table_new(size_t max_keys, struct limit_table **out)
{
    if (fault_point("limit_table.map"))
        return FAIL(NO_MEMORY);
    size_t set_count = max_keys / LIMIT_TABLE_SET_KEYS + (max_keys % LIMIT_TABLE_SET_KEYS != 0);
    set_count = set_count == 0 ? 1 : set_count;
    size_t size_bytes;
    if (__builtin_mul_overflow(set_count, sizeof(struct limit_set), &size_bytes))
        return FAIL(NO_MEMORY);
    void *sets = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (sets == MAP_FAILED)
        return FAIL(NO_MEMORY);
    struct limit_table *t = MEM_NEW(struct limit_table);
    t->sets = sets;
    t->set_count = set_count;
    *out = t;
    return OK;
}

void limit_table_free(struct limit_table *t)
{
    if (t == NULL)
        return;
    munmap(t->sets, t->set_count * sizeof(struct limit_set));
    mem_free(t);
}

static struct limit_place limit_table_place(const struct limit_table *t, uint64_t key)
{
    uint16_t tag = (uint16_t)key;
    unsigned line = (unsigned)(key >> 34) % LIMIT_TABLE_LINES;
    struct limit_set *set = &t->sets[(size_t)(((unsigned __int128)key * t->set_count) >> 64)];
    __builtin_prefetch(set->tags[line]); /* on its way while the lock is taken */
    return (struct limit_place){
        .set = set,
        .tag = tag == 0 ? 1 : tag,
        .line = line,
        .key_part = (uint32_t)(key >> 16) & ((1u << LIMIT_CELL_KEY_BITS) - 1),
    };
}

/* The key's cell, or NULL. Then *free_slot is a slot that was never used, LIMIT_TABLE_WAYS when
 * there is none. Keys go to the first line of their order with room and slots never become free
 * again, so the search may end at a line that has room. */
static struct limit_cell *limit_table_find(const struct limit_place *p, unsigned *free_slot)
{
    struct limit_set *set = p->set;
    for (unsigned n = 0; n < LIMIT_TABLE_LINES; n++) {
        unsigned line = (p->line + n) % LIMIT_TABLE_LINES;
        for (unsigned i = 0; i < LIMIT_TABLE_LINE; i++) {
            uint16_t tag = set->tags[line][i];
            struct limit_cell *cell = &set->cells[line * LIMIT_TABLE_LINE + i];
            if (tag == p->tag && limit_cell_key_part(cell) == p->key_part)
                return cell;
            if (tag == 0) {
                *free_slot = line * LIMIT_TABLE_LINE + i;
                return NULL;
            }
        }
    }
    *free_slot = LIMIT_TABLE_WAYS;
    return NULL;
}

/* A slot of a full set for a new key. */
static unsigned limit_table_victim(struct limit_table *t, const struct limit_place *p,
                                   uint64_t now_ms)
{
    unsigned oldest = p->line * LIMIT_TABLE_LINE;
    uint64_t oldest_ms = UINT64_MAX;
    for (unsigned n = 0; n < LIMIT_TABLE_WAYS; n++) {
        unsigned slot = (p->line * LIMIT_TABLE_LINE + n) % LIMIT_TABLE_WAYS;
        const struct limit_cell *cell = &p->set->cells[slot];
        if (limit_cell_is_expired(cell, now_ms)) {
            atomic_fetch_add_explicit(&t->reused_expired, 1, memory_order_relaxed);
            return slot;
        }
        uint64_t used_ms = limit_cell_used_ms(cell, now_ms);
        if (n < LIMIT_TABLE_LINE && used_ms < oldest_ms) {
            oldest = slot;
            oldest_ms = used_ms;
        }
    }
    atomic_fetch_add_explicit(&t->evicted_live, 1, memory_order_relaxed);
    return oldest;
}

/* The key's cell, made if there is none. The set is locked. */
static struct limit_cell *limit_table_cell(struct limit_table *t, const struct limit_place *p,
                                           const struct limit_rule *rule, uint64_t now_ms)
{
    unsigned slot;
    struct limit_cell *cell = limit_table_find(p, &slot);
    if (cell != NULL)
        return cell;
    if (slot == LIMIT_TABLE_WAYS)
        slot = limit_table_victim(t, p, now_ms);
    else
        atomic_fetch_add_explicit(&t->keys, 1, memory_order_relaxed);
    p->set->tags[slot / LIMIT_TABLE_LINE][slot % LIMIT_TABLE_LINE] = p->tag;
    cell = &p->set->cells[slot];
    limit_cell_start(cell, p->key_part, rule, now_ms);
    return cell;
}

/* The cell may stand ahead of this loop's clock; the wait is counted from the latter. */
static void limit_table_shift(struct limit_verdict *v, uint64_t ahead_ms)
{
    if (ahead_ms == 0)
        return;
    for (unsigned i = 0; i < v->window_count; i++)
        v->windows[i].reset_ms += v->windows[i].reset_ms == 0 ? 0 : ahead_ms;
    v->retry_after_ms += v->retry_after_ms == 0 ? 0 : ahead_ms;
}

void limit_table_admit(struct limit_table *t, const struct limit_rule *rule, uint64_t key,
                       uint64_t now_ms, struct limit_verdict *out)
{
    struct limit_place place = limit_table_place(t, key);
    spin_lock(&place.set->lock);
    struct limit_cell *cell = limit_table_cell(t, &place, rule, now_ms);
    uint64_t at_ms = limit_cell_advance(cell, rule, now_ms);
    limit_cell_judge(cell, rule, at_ms, out);
    if (!out->is_exceeded)
        limit_cell_charge(cell, rule, at_ms, out);
    spin_unlock(&place.set->lock);
    limit_table_shift(out, at_ms - now_ms);
}

void limit_table_peek(struct limit_table *t, const struct limit_rule *rule, uint64_t key,
                      uint64_t now_ms, struct limit_verdict *out)
{
    struct limit_place place = limit_table_place(t, key);
    struct limit_cell copy;
    unsigned free_slot;
    spin_lock(&place.set->lock);
    const struct limit_cell *cell = limit_table_find(&place, &free_slot);
    if (cell != NULL)
        copy = *cell;
    else
        limit_cell_start(&copy, place.key_part, rule, now_ms);
    spin_unlock(&place.set->lock);
    uint64_t at_ms = limit_cell_advance(&copy, rule, now_ms);
    limit_cell_judge(&copy, rule, at_ms, out);
    limit_table_shift(out, at_ms - now_ms);
}

void limit_table_refund(struct limit_table *t, const struct limit_rule *rule, uint64_t key,
                        uint64_t charged_ms)
{
    struct limit_place place = limit_table_place(t, key);
    unsigned free_slot;
    spin_lock(&place.set->lock);
    struct limit_cell *cell = limit_table_find(&place, &free_slot);
    if (cell != NULL)
        limit_cell_refund(cell, rule, limit_cell_used_ms(cell, charged_ms), charged_ms);
    spin_unlock(&place.set->lock);
}

unsigned limit_table_admit_all(struct limit_table *t, const struct limit_check *checks,
                               unsigned check_count, uint64_t now_ms,
                               struct limit_verdict *verdicts)
{
    for (unsigned i = 0; i < check_count; i++) {
        limit_table_admit(t, checks[i].rule, checks[i].key, now_ms, &verdicts[i]);
        if (verdicts[i].is_admitted)
            continue;
        for (unsigned k = 0; k < i; k++) {
            if (!verdicts[k].is_exceeded)
                limit_table_refund(t, checks[k].rule, checks[k].key, verdicts[k].charged_ms);
        }
        return i + 1;
    }
    return check_count;
}

void limit_table_stats(const struct limit_table *t, struct limit_table_stats *out)
{
    out->keys = atomic_load_explicit(&t->keys, memory_order_relaxed);
    out->keys_max = (uint64_t)t->set_count * LIMIT_TABLE_WAYS;
    out->reused_expired = atomic_load_explicit(&t->reused_expired, memory_order_relaxed);
    out->evicted_live = atomic_load_explicit(&t->evicted_live, memory_order_relaxed);
}
