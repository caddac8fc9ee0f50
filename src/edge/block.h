/* block.h: the fixed pieces of memory in which bytes wait on their way through a loop.
 *
 * What a connection may buffer is a number of blocks, so memory is bounded by counting. An idle
 * connection holds none. Blocks of a loop are reused without asking the heap.
 *
 * Loop's own thread; a block belongs to whoever took it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stddef.h>

struct block {
    struct block *next; /* while spare */
    char bytes[];
};

struct block_pool {
    struct block *spare;
    unsigned spare_count;
    unsigned spare_max;
    unsigned taken;
    size_t block_bytes; /* usable bytes of each block */
};

void block_pool_init(struct block_pool *pool, size_t block_bytes, unsigned spare_max);
void block_pool_done(struct block_pool *pool); /* every block was given back */

/* Not zeroed; never NULL. */
struct block *block_take(struct block_pool *pool);
/* Gives the block back and sets the owner's pointer to NULL; a NULL one is left alone. */
void block_give(struct block_pool *pool, struct block **block);
