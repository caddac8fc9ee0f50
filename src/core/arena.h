/* arena.h: memory that is freed all at once.
 *
 * Each request has one. Allocation moves a pointer; arena_reset gives every chunk back to the
 * pool of its thread, so the steady state calls no allocator. Nothing in an arena has a
 * destructor.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/span.h"

struct arena_chunk;

/* Spare chunks of one thread. A zeroed pool is valid. */
struct arena_pool {
    struct arena_chunk *spare;
    unsigned spare_count;
    unsigned spare_max; /* 0 = keep none */
};

struct arena {
    struct arena_pool *pool; /* borrowed, may be NULL; must outlive the arena */
    struct arena_chunk *chunks;
    char *at;
    char *end;
    size_t used_bytes; /* all chunks together */
    size_t max_bytes;
};

void arena_pool_init(struct arena_pool *pool, unsigned spare_max);
void arena_pool_done(struct arena_pool *pool);

/* Allocates nothing until the first use. */
void arena_init(struct arena *a, struct arena_pool *pool, size_t max_bytes);
void arena_reset(struct arena *a); /* frees all; the arena can be used again */
void arena_done(struct arena *a);  /* may run twice */

/* Aligned to 16, not zeroed. ERR_TOO_LARGE past max_bytes, ERR_NO_MEMORY. */
err arena_try_alloc(struct arena *a, size_t size, void **out);
/* For sizes that our own limits bound: passing max_bytes is our bug. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull));
#define ARENA_NEW(a, type) ((type *)memset(arena_alloc((a), sizeof(type)), 0, sizeof(type)))

struct span arena_copy(struct arena *a, struct span s);
struct span arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);
