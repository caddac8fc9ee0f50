/* test_utf8.c: exactly the sequences of RFC 3629 count, and cuts respect them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/utf8.h"

static void test_utf8_knows_the_edges_of_each_length(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        unsigned length;
    } cases[] = {
        {"a", 1},
        {"\x7f", 1},
        {"\x80", 0},
        {"\xc1\xbf", 0},
        {"\xc2\x80", 2},
        {"\xdf\xbf", 2},
        {"\xdf", 0},
        {"\xdf\x41", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xe0\xa0\x80", 3},
        {"\xed\x9f\xbf", 3},
        {"\xed\xa0\x80", 0},
        {"\xee\x80\x80", 3},
        {"\xef\xbf\xbf", 3},
        {"\xef\xbf", 0},
        {"\xef\xbf\x2e", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf0\x90\x80\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\xff", 0},
        {"\xf0\x9f\x98", 0},
        {"\xf0\x9f\x98\x2e", 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(utf8_sequence(span_from(cases[i].bytes)), cases[i].length);
    assert_int_equal(utf8_sequence(SPAN("")), 0);
}

static void test_utf8_text_is_valid_as_a_whole_or_not(void **state)
{
    (void)state;
    assert_true(utf8_is_valid(SPAN("")));
    assert_true(utf8_is_valid(SPAN("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80")));
    assert_false(utf8_is_valid(SPAN("na\xc3 ve")));
    assert_false(utf8_is_valid(SPAN("cut \xe2\x82")));
}

static void test_utf8_prefix_never_cuts_a_sequence(void **state)
{
    (void)state;
    struct span text = SPAN("ab\xf0\x9f\x98\x80"
                            "c");
    static const size_t kept[] = {0, 1, 2, 2, 2, 2, 6, 7, 7};
    for (size_t max = 0; max < COUNT_OF(kept); max++)
        assert_int_equal(utf8_prefix(text, max).len, kept[max]);
    /* Bytes that are no text are cut somewhere, not looked at for ever. */
    assert_int_equal(utf8_prefix(SPAN("\x80\x80\x80\x80\x80\x80\x80"), 6).len, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_knows_the_edges_of_each_length),
        cmocka_unit_test(test_utf8_text_is_valid_as_a_whole_or_not),
        cmocka_unit_test(test_utf8_prefix_never_cuts_a_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
