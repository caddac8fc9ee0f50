/* mem.h: the heap.
 *
 * mem_alloc aborts when memory is out: limits and admission control protect the process, and the
 * error paths that never ran are worse than a restart. mem_try_alloc is required wherever an
 * outsider chooses the size. Only mem.c may call malloc.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stddef.h>

#include "core/err.h"

/* Zeroed memory, never NULL; free with mem_free. Any thread. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
/* Not zeroed. */
void *mem_alloc_raw(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
/* Zeroed memory, or ERR_NO_MEMORY (also by fault point "mem.try_alloc"). */
err mem_try_alloc(size_t size, void **out);
/* Grows or shrinks a block of mem_try_alloc or mem_alloc; on ERR_NO_MEMORY *block is unchanged.
 * New bytes are not zeroed. */
err mem_try_resize(void **block, size_t size);
void mem_free(void *block); /* accepts NULL */
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull, warn_unused_result));
/* Wipes the bytes in a way that the compiler keeps. */
void mem_wipe(void *block, size_t size);

#define MEM_NEW(type) ((type *)mem_alloc(sizeof(type)))

/* Checked size arithmetic: an overflow is our bug, because limits come first. */
static inline size_t size_add(size_t a, size_t b)
{
    size_t sum;
    must(!__builtin_add_overflow(a, b, &sum));
    return sum;
}

static inline size_t size_mul(size_t a, size_t b)
{
    size_t product;
    must(!__builtin_mul_overflow(a, b, &product));
    return product;
}
