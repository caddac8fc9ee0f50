/* test_lanes.c: every question gives the answer of a loop over the bytes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>

#include "cmocka_all.h"
#include "core/lanes.h"

static bool is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void test_lanes_answer_for_every_byte_at_every_place(void **state)
{
    (void)state;
    for (unsigned place = 0; place < LANES_BYTES; place++) {
        for (unsigned value = 0; value < 256; value++) {
            char bytes[LANES_BYTES];
            memset(bytes, ' ', sizeof bytes);
            bytes[place] = (char)value;
            struct lanes l = lanes_load(bytes);
            assert_int_equal(lanes_equal(l, ':') >> place & 1, value == ':');
            assert_int_equal(lanes_letters(l) >> place & 1, is_letter((unsigned char)value));
            assert_int_equal(lanes_between(l, '\0', 0x1f) >> place & 1, value <= 0x1f);
            assert_int_equal(lanes_between(l, (char)0xf0, 0x1f) >> place & 1,
                             value >= 0xf0 || value <= 0x0f);
        }
    }
}

static void test_lanes_answer_for_no_other_byte(void **state)
{
    (void)state;
    struct lanes l = lanes_load("a:A z-\x7f\x80\t:\r\n09@[");
    assert_int_equal(lanes_equal(l, ':'), 1u << 1 | 1u << 9);
    assert_int_equal(lanes_letters(l), 1u << 0 | 1u << 2 | 1u << 4);
    assert_int_equal(lanes_between(l, '\0', 0x1f), 1u << 8 | 1u << 10 | 1u << 11);
    assert_int_equal(lanes_between(l, '\0', 0xff), LANES_ALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lanes_answer_for_every_byte_at_every_place),
        cmocka_unit_test(test_lanes_answer_for_no_other_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
