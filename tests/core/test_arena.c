/* test_arena.c: memory that is freed all at once, bounded and pooled.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/arena.h"

#define CHUNK_BYTES 4096

static void test_arena_memory_is_aligned_and_does_not_overlap(void **state)
{
    (void)state;
    struct arena a CLEANUP(arena_done);
    arena_init(&a, NULL, 1 << 20);
    unsigned char *blocks[300];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = arena_alloc(&a, i);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)(i & 0xff), i);
    }
    for (size_t i = 0; i < COUNT_OF(blocks); i++)
        for (size_t k = 0; k < i; k++)
            assert_int_equal(blocks[i][k], i & 0xff);
}

static void test_arena_new_is_zeroed(void **state)
{
    (void)state;
    struct arena a CLEANUP(arena_done);
    arena_init(&a, NULL, CHUNK_BYTES);
    memset(arena_alloc(&a, 64), 0xff, 64);
    arena_reset(&a);
    struct span *s = ARENA_NEW(&a, struct span);
    assert_null(s->at);
    assert_int_equal(s->len, 0);
}

static void test_arena_stops_at_its_maximum_and_works_again_after_reset(void **state)
{
    (void)state;
    struct arena a CLEANUP(arena_done);
    arena_init(&a, NULL, 2 * CHUNK_BYTES);
    void *block = NULL;
    assert_true(err_is(arena_try_alloc(&a, 2 * CHUNK_BYTES, &block), ERR_TOO_LARGE));
    assert_null(block);
    assert_true(err_ok(arena_try_alloc(&a, 2 * CHUNK_BYTES - 16, &block)));
    void *second = NULL;
    assert_true(err_is(arena_try_alloc(&a, 1, &second), ERR_TOO_LARGE));
    assert_null(second);
    arena_reset(&a);
    assert_int_equal(a.used_bytes, 0);
    assert_true(err_ok(arena_try_alloc(&a, 1, &second)));
    assert_true(err_ok(arena_try_alloc(&a, CHUNK_BYTES - 32, &second)));
    assert_int_equal(a.used_bytes, CHUNK_BYTES);
    assert_true(err_ok(arena_try_alloc(&a, 1, &second)));
    assert_int_equal(a.used_bytes, 2 * CHUNK_BYTES);
}

static void test_arena_pool_keeps_standard_chunks_up_to_its_maximum(void **state)
{
    (void)state;
    struct arena_pool pool CLEANUP(arena_pool_done);
    arena_pool_init(&pool, 2);
    struct arena a CLEANUP(arena_done);
    arena_init(&a, &pool, 1 << 20);
    for (int i = 0; i < 3; i++)
        (void)arena_alloc(&a, CHUNK_BYTES - 16);
    (void)arena_alloc(&a, 3 * CHUNK_BYTES); /* a large one does not go to the pool */
    arena_reset(&a);
    assert_int_equal(pool.spare_count, 2);
    (void)arena_alloc(&a, 1);
    assert_int_equal(pool.spare_count, 1);
    arena_done(&a);
    arena_done(&a);
    assert_int_equal(pool.spare_count, 2);
    arena_pool_done(&pool);
    arena_pool_done(&pool);
    assert_int_equal(pool.spare_count, 0);
}

static void test_arena_copies_and_formats(void **state)
{
    (void)state;
    struct arena a CLEANUP(arena_done);
    arena_init(&a, NULL, 1 << 20);
    char source[] = "ship";
    struct span copy = arena_copy(&a, span_from(source));
    source[0] = 'x';
    assert_true(span_eq(copy, SPAN("ship")));
    assert_true(span_eq(arena_copy(&a, SPAN("")), SPAN("")));
    assert_true(span_eq(arena_printf(&a, "%d%%-%s", 42, "x"), SPAN("42%-x")));
    struct span wide = arena_printf(&a, "%9000d", 1);
    assert_int_equal(wide.len, 9000);
    assert_int_equal(wide.at[8999], '1');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_memory_is_aligned_and_does_not_overlap),
        cmocka_unit_test(test_arena_new_is_zeroed),
        cmocka_unit_test(test_arena_stops_at_its_maximum_and_works_again_after_reset),
        cmocka_unit_test(test_arena_pool_keeps_standard_chunks_up_to_its_maximum),
        cmocka_unit_test(test_arena_copies_and_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
