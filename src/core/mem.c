/* mem.c: the only caller of malloc.
 *
 * Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

#include "core/fault_point.h"

void *mem_alloc(size_t size)
{
    void *block = calloc(1, size == 0 ? 1 : size);
    must(block != NULL);
    return block;
}

void *mem_alloc_raw(size_t size)
{
    void *block = malloc(size == 0 ? 1 : size);
    must(block != NULL);
    return block;
}

err mem_try_alloc(size_t size, void **out)
{
    if (fault_point("mem.try_alloc"))
        return FAIL(NO_MEMORY);
    void *block = calloc(1, size == 0 ? 1 : size);
    if (block == NULL)
        return FAIL(NO_MEMORY);
    *out = block;
    return OK;
}

err mem_try_resize(void **block, size_t size)
{
    if (fault_point("mem.try_resize"))
        return FAIL(NO_MEMORY);
    void *moved = realloc(*block, size == 0 ? 1 : size);
    if (moved == NULL)
        return FAIL(NO_MEMORY);
    *block = moved;
    return OK;
}

void mem_free(void *block)
{
    free(block);
}

char *mem_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = mem_alloc_raw(size);
    memcpy(copy, text, size);
    return copy;
}

void mem_wipe(void *block, size_t size)
{
    if (size > 0)
        explicit_bzero(block, size);
}
