/* test_fault_point.c: the chosen hit fails, and memory survives each of its failures.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/arena.h"
#include "core/buf.h"
#include "core/fault_point.h"
#include "core/mem.h"

static int disarm(void **state)
{
    (void)state;
    fault_point_disarm();
    return 0;
}

static void test_fault_point_unarmed_never_fails(void **state)
{
    (void)state;
    fault_point_disarm();
    for (int i = 0; i < 100; i++)
        assert_false(fault_point("test.a"));
}

static void test_fault_point_fails_the_nth_hit_once(void **state)
{
    (void)state;
    fault_point_arm("", 3, false);
    bool expected[] = {false, false, true, false, false};
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        assert_int_equal(fault_point("test.a"), expected[i]);
    assert_int_equal(fault_point_fired(), 1);
}

static void test_fault_point_persistent_fails_from_the_nth_on(void **state)
{
    (void)state;
    fault_point_arm("", 2, true);
    bool expected[] = {false, true, true, true};
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        assert_int_equal(fault_point("test.a"), expected[i]);
    assert_int_equal(fault_point_fired(), 3);
}

static void test_fault_point_counts_only_names_with_the_prefix(void **state)
{
    (void)state;
    fault_point_arm("store.", 2, false);
    assert_false(fault_point("store.open"));
    assert_false(fault_point("mem.try_alloc"));
    assert_false(fault_point("stor"));
    assert_true(fault_point("store.commit"));
    assert_int_equal(fault_point_fired(), 1);
    fault_point_arm("store.", 1, false); /* arming starts anew */
    assert_int_equal(fault_point_fired(), 0);
    assert_true(fault_point("store.open"));
}

static void test_mem_resize_that_fails_leaves_the_block(void **state)
{
    (void)state;
    void *block = NULL;
    assert_true(err_ok(mem_try_alloc(4, &block)));
    memcpy(block, "abc", 4);
    void *before = block;
    fault_point_arm("mem.try_resize", 1, false);
    assert_true(err_is(mem_try_resize(&block, 4000), ERR_NO_MEMORY));
    assert_ptr_equal(block, before);
    assert_string_equal(block, "abc");
    assert_true(err_ok(mem_try_resize(&block, 4000)));
    assert_string_equal(block, "abc");
    mem_free(block);
}

/* A buf and an arena at work, as a request has them. On an error both must still be usable. */
static err scenario(struct buf *b, struct arena *a, unsigned *copies)
{
    for (int i = 0; i < 2000; i++)
        TRY(buf_printf(b, "line %d\n", i));
    for (int i = 0; i < 40; i++) {
        void *block = NULL;
        TRY(arena_try_alloc(a, i % 8 == 0 ? 6000 : 900, &block));
        memset(block, i, i % 8 == 0 ? 6000 : 900);
        ++*copies;
    }
    return OK;
}

static void test_memory_survives_every_single_failure(void **state)
{
    (void)state;
    unsigned rounds = 0;
    for (unsigned nth = 1;; nth++, rounds++) {
        struct arena_pool pool CLEANUP(arena_pool_done);
        arena_pool_init(&pool, 4);
        struct buf b CLEANUP(buf_done);
        buf_init(&b, 1 << 20);
        struct arena a CLEANUP(arena_done);
        arena_init(&a, &pool, 1 << 20);
        unsigned copies = 0;
        fault_point_arm("mem.", nth, false);
        err outcome = scenario(&b, &a, &copies);
        unsigned fired = fault_point_fired();
        fault_point_disarm();
        assert_true(err_is(outcome, fired > 0 ? ERR_NO_MEMORY : ERR_NONE));
        if (fired == 0) {
            assert_int_equal(copies, 40);
            break;
        }
        /* What was written before the failure is whole, and a second try works. */
        assert_true(b.len == 0 || b.at[b.len - 1] == '\n');
        buf_reset(&b);
        arena_reset(&a);
        copies = 0;
        assert_true(err_ok(scenario(&b, &a, &copies)));
        assert_int_equal(copies, 40);
    }
    assert_true(rounds >= 15); /* doublings of the buf and chunks of the arena */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_fault_point_unarmed_never_fails, disarm),
        cmocka_unit_test_teardown(test_fault_point_fails_the_nth_hit_once, disarm),
        cmocka_unit_test_teardown(test_fault_point_persistent_fails_from_the_nth_on, disarm),
        cmocka_unit_test_teardown(test_fault_point_counts_only_names_with_the_prefix, disarm),
        cmocka_unit_test_teardown(test_mem_resize_that_fails_leaves_the_block, disarm),
        cmocka_unit_test_teardown(test_memory_survives_every_single_failure, disarm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
