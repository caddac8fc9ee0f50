/* test_block.c: blocks are reused up to a number, and counted.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/block.h"

#include <string.h>

#include "cmocka_all.h"
#include "core/mem.h"

#define BLOCK_BYTES 128

static void test_block_has_the_bytes_that_were_asked_for(void **state)
{
    (void)state;
    struct block_pool pool;
    block_pool_init(&pool, BLOCK_BYTES, 2);
    struct block *block = block_take(&pool);
    memset(block->bytes, 'x', BLOCK_BYTES);
    assert_int_equal(block->bytes[BLOCK_BYTES - 1], 'x');
    assert_int_equal(pool.taken, 1);
    block_give(&pool, &block);
    assert_null(block);
    assert_int_equal(pool.taken, 0);
    block_pool_done(&pool);
}

static void test_block_given_back_is_the_next_one_taken(void **state)
{
    (void)state;
    struct block_pool pool;
    block_pool_init(&pool, BLOCK_BYTES, 2);
    struct block *first = block_take(&pool), *second = block_take(&pool);
    assert_ptr_not_equal(first, second);
    const struct block *was_first = first, *was_second = second;
    block_give(&pool, &first);
    block_give(&pool, &second);
    assert_int_equal(pool.spare_count, 2);
    first = block_take(&pool);
    second = block_take(&pool);
    assert_ptr_equal(first, was_second);
    assert_ptr_equal(second, was_first);
    assert_int_equal(pool.spare_count, 0);
    block_give(&pool, &first);
    block_give(&pool, &second);
    block_pool_done(&pool);
}

static void test_block_pool_keeps_no_more_than_its_maximum(void **state)
{
    (void)state;
    for (unsigned max = 0; max < 3; max++) {
        struct block_pool pool;
        struct block *blocks[3];
        block_pool_init(&pool, BLOCK_BYTES, max);
        for (unsigned i = 0; i < COUNT_OF(blocks); i++)
            blocks[i] = block_take(&pool);
        assert_int_equal(pool.taken, 3);
        for (unsigned i = 0; i < COUNT_OF(blocks); i++) {
            block_give(&pool, &blocks[i]);
            assert_int_equal(pool.spare_count, i + 1 < max ? i + 1 : max);
        }
        block_pool_done(&pool);
        assert_int_equal(pool.spare_count, 0);
    }
}

static void test_block_that_nobody_took_is_not_given(void **state)
{
    (void)state;
    struct block_pool pool;
    struct block *none = NULL;
    block_pool_init(&pool, BLOCK_BYTES, 2);
    block_give(&pool, &none);
    assert_int_equal(pool.spare_count, 0);
    block_pool_done(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block_has_the_bytes_that_were_asked_for),
        cmocka_unit_test(test_block_given_back_is_the_next_one_taken),
        cmocka_unit_test(test_block_pool_keeps_no_more_than_its_maximum),
        cmocka_unit_test(test_block_that_nobody_took_is_not_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
