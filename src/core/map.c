/* map.c: linear probing; removal shifts the following run back, so there are no tombstones.
 *
 * One thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/map.h"

#include "core/hash.h"
#include "core/mem.h"

#define MAP_FIRST_CAP 16

void map_init(struct map *m)
{
    *m = (struct map){0};
}

void map_done(struct map *m)
{
    mem_free(m->slots);
    *m = (struct map){0};
}

static size_t map_home(const struct map *m, struct span key)
{
    return (size_t)hash_span(hash_process_key(), key) & (m->cap - 1);
}

/* The slot of the key, or the free slot where it belongs. */
static struct map_slot *map_find(const struct map *m, struct span key)
{
    size_t at = map_home(m, key);
    while (m->slots[at].key.at != NULL && !span_eq(m->slots[at].key, key))
        at = (at + 1) & (m->cap - 1);
    return &m->slots[at];
}

static void map_grow(struct map *m)
{
    struct map old = *m;
    m->cap = old.cap == 0 ? MAP_FIRST_CAP : size_mul(old.cap, 2);
    m->slots = mem_alloc(size_mul(m->cap, sizeof *m->slots));
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].key.at != NULL)
            *map_find(m, old.slots[i].key) = old.slots[i];
    mem_free(old.slots);
}

void *map_put(struct map *m, struct span key, void *value)
{
    must(key.at != NULL);
    if ((m->count + 1) * 4 > m->cap * 3)
        map_grow(m);
    struct map_slot *slot = map_find(m, key);
    void *before = slot->key.at == NULL ? NULL : slot->value;
    if (slot->key.at == NULL)
        m->count++;
    *slot = (struct map_slot){key, value};
    return before;
}

void *map_get(const struct map *m, struct span key)
{
    return m->count == 0 ? NULL : map_find(m, key)->value;
}

void *map_remove(struct map *m, struct span key)
{
    if (m->count == 0)
        return NULL;
    struct map_slot *slot = map_find(m, key);
    if (slot->key.at == NULL)
        return NULL;
    void *value = slot->value;
    size_t hole = (size_t)(slot - m->slots);
    size_t mask = m->cap - 1;
    for (size_t at = (hole + 1) & mask; m->slots[at].key.at != NULL; at = (at + 1) & mask) {
        size_t home = map_home(m, m->slots[at].key);
        /* Move back only what may stand at the hole: its home is not between hole and at. */
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            m->slots[hole] = m->slots[at];
            hole = at;
        }
    }
    m->slots[hole] = (struct map_slot){0};
    m->count--;
    return value;
}

const struct map_slot *map_next(const struct map *m, size_t *cursor)
{
    while (*cursor < m->cap) {
        const struct map_slot *slot = &m->slots[(*cursor)++];
        if (slot->key.at != NULL)
            return slot;
    }
    return NULL;
}
