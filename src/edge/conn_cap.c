/* conn_cap.c: tagged counters in an open table.
 *
 * Two connections of a new address that arrive on two loops in the same instant may take two
 * cells; each then counts its own share until both are empty. That errs by at most one cell's
 * share and only toward letting in. Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/conn_cap.h"

#include <stdatomic.h>

#include "core/hash.h"
#include "core/mem.h"

#define CONN_CAP_PROBES     16
#define CONN_CAP_COUNT_BITS 20
#define CONN_CAP_COUNT_MASK ((UINT64_C(1) << CONN_CAP_COUNT_BITS) - 1)

struct conn_cap {
    size_t cell_count; /* a power of two */
    _Atomic uint64_t cells[];
};

struct conn_cap *conn_cap_new(unsigned addresses)
{
    size_t count = 1024;
    while (count < (size_t)addresses * 2)
        count *= 2;
    struct conn_cap *cap = mem_alloc(size_add(sizeof *cap, size_mul(count, sizeof(uint64_t))));
    cap->cell_count = count;
    return cap;
}

void conn_cap_free(struct conn_cap *cap)
{
    mem_free(cap);
}

/* The cell that holds this tag, else the first free one, else NULL. */
static _Atomic uint64_t *conn_cap_find(struct conn_cap *cap, uint64_t hash, uint64_t tag)
{
    _Atomic uint64_t *vacant = NULL;
    for (size_t i = 0; i < CONN_CAP_PROBES; i++) {
        _Atomic uint64_t *cell = &cap->cells[(hash + i) & (cap->cell_count - 1)];
        uint64_t seen = atomic_load(cell);
        if ((seen & CONN_CAP_COUNT_MASK) != 0 && (seen & ~CONN_CAP_COUNT_MASK) == tag)
            return cell;
        if (vacant == NULL && (seen & CONN_CAP_COUNT_MASK) == 0)
            vacant = cell;
    }
    return vacant;
}

err conn_cap_enter(struct conn_cap *cap, const struct ip_address *ip, unsigned max,
                   struct conn_cap_place *out)
{
    struct ip_address key = ip_prefix64(ip);
    uint64_t hash = hash_bytes(hash_process_key(), key.bytes, sizeof key.bytes);
    uint64_t tag = hash & ~CONN_CAP_COUNT_MASK;
    must(max < CONN_CAP_COUNT_MASK);
    *out = (struct conn_cap_place){0};
    for (;;) {
        _Atomic uint64_t *cell = conn_cap_find(cap, hash, tag);
        if (cell == NULL)
            return OK;
        uint64_t seen = atomic_load(cell);
        uint64_t count = seen & CONN_CAP_COUNT_MASK;
        if (count != 0 && (seen & ~CONN_CAP_COUNT_MASK) != tag)
            continue;
        if (count >= max)
            return FAIL(OVERLOADED);
        if (atomic_compare_exchange_weak(cell, &seen, tag | (count + 1))) {
            out->cell = (uint32_t)(cell - cap->cells) + 1;
            return OK;
        }
    }
}

void conn_cap_leave(struct conn_cap *cap, struct conn_cap_place *place)
{
    if (place->cell == 0)
        return;
    uint64_t before = atomic_fetch_sub(&cap->cells[place->cell - 1], 1);
    must((before & CONN_CAP_COUNT_MASK) != 0);
    place->cell = 0;
}
