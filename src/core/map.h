/* map.h: the one hash map, from bytes to pointers.
 *
 * Open addressing with linear probing, keyed hash. Keys are borrowed: they must live as long as
 * their entry. Not for the hot path's shared state, which has its own tables.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/span.h"

struct map_slot {
    struct span key; /* key.at == NULL: free */
    void *value;
};

struct map {
    struct map_slot *slots; /* owned */
    size_t count;
    size_t cap; /* 0 or a power of two */
};

void map_init(struct map *m);
void map_done(struct map *m); /* values are the caller's */
/* Sets or replaces; returns the value that stood there before, or NULL. key.at != NULL. */
void *map_put(struct map *m, struct span key, void *value);
void *map_get(const struct map *m, struct span key); /* NULL when absent */
void *map_remove(struct map *m, struct span key);    /* the removed value, or NULL */
/* Next filled slot from *cursor (start with 0), or NULL. Order is unspecified. */
const struct map_slot *map_next(const struct map *m, size_t *cursor);
