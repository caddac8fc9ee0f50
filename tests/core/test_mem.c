/* test_mem.c: zeroed blocks, sizes of zero, copies, and wiping.
 *
 * How failures of the allocator are met stands in test_fault_point.c.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/fault_point.h"
#include "core/mem.h"

#include <string.h>

static void test_mem_alloc_is_zeroed(void **state)
{
    (void)state;
    unsigned char *block = mem_alloc(1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(block[i], 0);
    mem_free(block);
}

static void test_mem_size_zero_is_a_block_too(void **state)
{
    (void)state;
    void *block = NULL;
    assert_true(err_ok(mem_try_alloc(0, &block)));
    assert_non_null(block);
    assert_true(err_ok(mem_try_resize(&block, 0)));
    assert_non_null(block);
    mem_free(block);
    mem_free(mem_alloc(0));
    mem_free(mem_alloc_raw(0));
    mem_free(NULL);
}

static void test_mem_try_alloc_writes_out_only_on_success(void **state)
{
    (void)state;
    int other = 0;
    void *out = &other;
    fault_point_arm("mem.try_alloc", 1, false);
    assert_true(err_is(mem_try_alloc(10, &out), ERR_NO_MEMORY));
    assert_ptr_equal(out, &other);
    fault_point_disarm();
}

static void test_mem_try_resize_keeps_the_bytes(void **state)
{
    (void)state;
    void *block = NULL;
    assert_true(err_ok(mem_try_alloc(3, &block)));
    memcpy(block, "abc", 3);
    assert_true(err_ok(mem_try_resize(&block, 100000)));
    assert_memory_equal(block, "abc", 3);
    assert_true(err_ok(mem_try_resize(&block, 1)));
    assert_memory_equal(block, "a", 1);
    mem_free(block);
}

static void test_mem_strdup_owns_its_copy(void **state)
{
    (void)state;
    char text[] = "plimsoll";
    char *copy = mem_strdup(text);
    text[0] = 'X';
    assert_string_equal(copy, "plimsoll");
    mem_free(copy);
    copy = mem_strdup("");
    assert_string_equal(copy, "");
    mem_free(copy);
}

static void test_mem_wipe_clears_exactly_its_bytes(void **state)
{
    (void)state;
    char text[] = "secret!";
    mem_wipe(text, 6);
    assert_memory_equal(text, "\0\0\0\0\0\0!", 8);
    mem_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mem_alloc_is_zeroed),
        cmocka_unit_test(test_mem_size_zero_is_a_block_too),
        cmocka_unit_test(test_mem_try_alloc_writes_out_only_on_success),
        cmocka_unit_test(test_mem_try_resize_keeps_the_bytes),
        cmocka_unit_test(test_mem_strdup_owns_its_copy),
        cmocka_unit_test(test_mem_wipe_clears_exactly_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
