/* test_put.c: what fits is written, what does not marks the writer.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/put.h"
#include "core/random.h"

static void test_numbers_are_written_as_printf_writes_them(void **state)
{
    (void)state;
    struct random r;
    random_init_seeded(&r, 7);
    for (unsigned i = 0; i < 20000; i++) {
        char room[20], expected[32];
        uint64_t value = i < 1200 ? i : random_u64(&r) >> random_below(&r, 64);
        struct put w = put_into(room, sizeof room);
        put_u64(&w, value);
        int len = snprintf(expected, sizeof expected, "%" PRIu64, value);
        assert_false(w.is_full);
        assert_int_equal(w.at - room, len);
        assert_memory_equal(room, expected, (size_t)len);
    }
    random_done(&r);
}

static void test_a_piece_that_does_not_fit_marks_the_writer_and_writes_nothing(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 8; size++) {
        char room[8];
        struct put w = put_into(room, size);
        put_line(&w, SPAN("ab"), SPAN("cd"));
        assert_int_equal(w.is_full, size < 8);
        assert_true(w.at <= room + size);
        if (size == 8)
            assert_memory_equal(room, "ab: cd\r\n", 8);
    }
}

static void test_characters_fill_the_room_and_no_more(void **state)
{
    (void)state;
    char room[2];
    struct put w = put_into(room, 1);
    put_char(&w, '!');
    assert_false(w.is_full);
    put_char(&w, '!');
    assert_true(w.is_full && w.at == room + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_written_as_printf_writes_them),
        cmocka_unit_test(test_a_piece_that_does_not_fit_marks_the_writer_and_writes_nothing),
        cmocka_unit_test(test_characters_fill_the_room_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
