/* block.c: a free list of equal blocks.
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/block.h"

#include "core/mem.h"

void block_pool_init(struct block_pool *pool, size_t block_bytes, unsigned spare_max)
{
    *pool = (struct block_pool){.block_bytes = block_bytes, .spare_max = spare_max};
}

void block_pool_done(struct block_pool *pool)
{
    must(pool->taken == 0);
    while (pool->spare != NULL) {
        struct block *block = pool->spare;
        pool->spare = block->next;
        mem_free(block);
    }
    pool->spare_count = 0;
}

struct block *block_take(struct block_pool *pool)
{
    struct block *block = pool->spare;
    pool->taken++;
    if (block == NULL)
        return mem_alloc_raw(size_add(sizeof *block, pool->block_bytes));
    pool->spare = block->next;
    pool->spare_count--;
    return block;
}

void block_give(struct block_pool *pool, struct block **block)
{
    struct block *given = *block;
    if (given == NULL)
        return;
    *block = NULL;
    must(pool->taken > 0);
    pool->taken--;
    if (pool->spare_count >= pool->spare_max) {
        mem_free(given);
        return;
    }
    given->next = pool->spare;
    pool->spare = given;
    pool->spare_count++;
}
