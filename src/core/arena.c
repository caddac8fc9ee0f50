/* arena.c: chunks of 4 KiB, larger ones for larger requests.
 *
 * The one hard thing: only standard chunks go back to the pool, so that one large request does
 * not make every later one carry its memory. One thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/mem.h"

#define ARENA_CHUNK_BYTES 4096
#define ARENA_ALIGN       16

struct arena_chunk {
    struct arena_chunk *next;
    size_t size_bytes; /* with this header */
};

static_assert(sizeof(struct arena_chunk) % ARENA_ALIGN == 0, "chunk data must stay aligned");

void arena_pool_init(struct arena_pool *pool, unsigned spare_max)
{
    *pool = (struct arena_pool){.spare_max = spare_max};
}

void arena_pool_done(struct arena_pool *pool)
{
    while (pool->spare != NULL) {
        struct arena_chunk *chunk = pool->spare;
        pool->spare = chunk->next;
        mem_free(chunk);
    }
    pool->spare_count = 0;
}

void arena_init(struct arena *a, struct arena_pool *pool, size_t max_bytes)
{
    *a = (struct arena){.pool = pool, .max_bytes = max_bytes};
}

static void arena_release_chunk(struct arena_pool *pool, struct arena_chunk *chunk)
{
    bool is_standard = chunk->size_bytes == ARENA_CHUNK_BYTES;
    if (pool == NULL || !is_standard || pool->spare_count >= pool->spare_max) {
        mem_free(chunk);
        return;
    }
    chunk->next = pool->spare;
    pool->spare = chunk;
    pool->spare_count++;
}

void arena_reset(struct arena *a)
{
    while (a->chunks != NULL) {
        struct arena_chunk *chunk = a->chunks;
        a->chunks = chunk->next;
        arena_release_chunk(a->pool, chunk);
    }
    a->at = NULL;
    a->end = NULL;
    a->used_bytes = 0;
}

void arena_done(struct arena *a)
{
    arena_reset(a);
}

static err arena_add_chunk(struct arena *a, size_t needed)
{
    size_t size = size_add(needed, sizeof(struct arena_chunk));
    if (size < ARENA_CHUNK_BYTES)
        size = ARENA_CHUNK_BYTES;
    if (size > a->max_bytes - a->used_bytes)
        return FAIL(TOO_LARGE);
    struct arena_chunk *chunk = NULL;
    if (size == ARENA_CHUNK_BYTES && a->pool != NULL && a->pool->spare != NULL) {
        chunk = a->pool->spare;
        a->pool->spare = chunk->next;
        a->pool->spare_count--;
    } else {
        void *block = NULL;
        TRY(mem_try_alloc(size, &block));
        chunk = block;
    }
    chunk->size_bytes = size;
    chunk->next = a->chunks;
    a->chunks = chunk;
    a->used_bytes += size;
    a->at = (char *)(chunk + 1);
    a->end = (char *)chunk + size;
    return OK;
}

err arena_try_alloc(struct arena *a, size_t size, void **out)
{
    size_t rounded = (size_add(size, ARENA_ALIGN - 1)) & ~(size_t)(ARENA_ALIGN - 1);
    if (rounded == 0)
        rounded = ARENA_ALIGN;
    if ((size_t)(a->end - a->at) < rounded)
        TRY(arena_add_chunk(a, rounded));
    *out = a->at;
    a->at += rounded;
    return OK;
}

void *arena_alloc(struct arena *a, size_t size)
{
    void *block = NULL;
    must(err_ok(arena_try_alloc(a, size, &block)));
    return block;
}

struct span arena_copy(struct arena *a, struct span s)
{
    char *copy = arena_alloc(a, s.len);
    if (s.len > 0)
        memcpy(copy, s.at, s.len);
    return span_of(copy, s.len);
}

struct span arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    must(length >= 0);
    char *text = arena_alloc(a, (size_t)length + 1);
    va_start(args, format);
    (void)vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return span_of(text, (size_t)length);
}
