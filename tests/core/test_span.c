/* test_span.c: comparing, cutting and reading borrowed bytes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/span.h"

static void assert_span(struct span s, const char *expected)
{
    assert_int_equal(s.len, strlen(expected));
    assert_memory_equal(s.at, expected, s.len);
}

static void test_span_equality_is_bytewise_and_knows_nul(void **state)
{
    (void)state;
    assert_true(span_eq(SPAN("a\0b"), SPAN("a\0b")));
    assert_false(span_eq(SPAN("a\0b"), SPAN("a\0c")));
    assert_false(span_eq(SPAN("a"), SPAN("ab")));
    assert_true(span_eq(SPAN(""), (struct span){NULL, 0}));
    assert_true(span_eq(span_from(NULL), SPAN("")));
    assert_true(span_eq(span_from("xyz"), SPAN("xyz")));
}

static void test_span_nocase_folds_ascii_letters_alone(void **state)
{
    (void)state;
    assert_true(span_eq_nocase(SPAN("Content-LENGTH"), SPAN("cONTENT-length")));
    assert_false(span_eq_nocase(SPAN("a"), SPAN("b")));
    assert_false(span_eq_nocase(SPAN("a"), SPAN("aa")));
    /* 0x20 apart, yet no letters. */
    assert_false(span_eq_nocase(SPAN("["), SPAN("{")));
    assert_false(span_eq_nocase(SPAN("@"), SPAN("`")));
    assert_false(span_eq_nocase(SPAN("\xc4"), SPAN("\xe4")));
}

static void test_span_starts_and_ends_at_the_exact_bytes(void **state)
{
    (void)state;
    assert_true(span_starts(SPAN("abc"), SPAN("ab")));
    assert_true(span_starts(SPAN("abc"), SPAN("")));
    assert_true(span_starts(SPAN("abc"), SPAN("abc")));
    assert_false(span_starts(SPAN("abc"), SPAN("abcd")));
    assert_false(span_starts(SPAN("abc"), SPAN("b")));
    assert_true(span_ends(SPAN("abc"), SPAN("bc")));
    assert_true(span_ends(SPAN("abc"), SPAN("")));
    assert_true(span_ends(SPAN("abc"), SPAN("abc")));
    assert_false(span_ends(SPAN("abc"), SPAN("zabc")));
    assert_false(span_ends(SPAN("abc"), SPAN("ab")));
}

static void test_span_order_is_unsigned_bytes_then_length(void **state)
{
    (void)state;
    assert_true(span_compare(SPAN("a"), SPAN("b")) < 0);
    assert_true(span_compare(SPAN("b"), SPAN("a")) > 0);
    assert_true(span_compare(SPAN("a"), SPAN("aa")) < 0);
    assert_true(span_compare(SPAN("aa"), SPAN("a")) > 0);
    assert_true(span_compare(SPAN("\x7f"), SPAN("\x80")) < 0);
    assert_int_equal(span_compare(SPAN("a"), SPAN("a")), 0);
    assert_int_equal(span_compare(SPAN(""), (struct span){NULL, 0}), 0);
}

static void test_span_find_gives_the_length_when_absent(void **state)
{
    (void)state;
    assert_int_equal(span_find(SPAN("a=b=c"), '='), 1);
    assert_int_equal(span_find(SPAN("abc"), '='), 3);
    assert_int_equal(span_find((struct span){NULL, 0}, '='), 0);
    assert_int_equal(span_find(SPAN("a\0b"), '\0'), 1);
}

static void test_span_cut_yields_every_field_and_then_ends(void **state)
{
    (void)state;
    static const char *const expected[] = {"a", "", "bc", ""};
    struct span rest = SPAN("a,,bc,");
    unsigned fields = 0;
    while (rest.at != NULL) {
        assert_true(fields < COUNT_OF(expected));
        assert_span(span_cut(&rest, ','), expected[fields++]);
    }
    assert_int_equal(fields, COUNT_OF(expected));
    assert_int_equal(rest.len, 0);
}

static void test_span_trim_takes_spaces_and_tabs_only(void **state)
{
    (void)state;
    assert_span(span_trim(SPAN(" \t a b\t ")), "a b");
    assert_span(span_trim(SPAN(" \t ")), "");
    assert_span(span_trim(SPAN("\r\na\v")), "\r\na\v");
}

static void test_span_number_is_digits_up_to_the_maximum(void **state)
{
    (void)state;
    uint64_t value = 77;
    assert_true(err_ok(span_parse_u64(SPAN("0"), 0, &value)));
    assert_int_equal(value, 0);
    assert_true(err_ok(span_parse_u64(SPAN("18446744073709551615"), UINT64_MAX, &value)));
    assert_true(value == UINT64_MAX);
    assert_true(err_ok(span_parse_u64(SPAN("99"), 100, &value)));
    assert_true(err_ok(span_parse_u64(SPAN("100"), 100, &value)));
    assert_int_equal(value, 100);
    static const char *const bad[] = {"101",
                                      "",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1x",
                                      "0x1",
                                      "18446744073709551616",
                                      "99999999999999999999"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_true(err_is(span_parse_u64(span_from(bad[i]), i == 0 ? 100 : UINT64_MAX, &value),
                           ERR_INVALID));
    assert_int_equal(value, 100); /* written only on success */
}

static void test_span_knows_well_formed_utf8(void **state)
{
    (void)state;
    static const struct {
        struct span bytes;
        size_t length;
    } cases[] = {
        {SPAN_INIT("a"), 1},
        {SPAN_INIT("\0"), 1},
        {SPAN_INIT("\x7f\xff"), 1},
        {SPAN_INIT("\xc3\xa9"), 2},
        {SPAN_INIT("\xe2\x82\xac."), 3},
        {SPAN_INIT("\xf4\x8f\xbf\xbf"), 4},
        {SPAN_INIT("\xc3"), 0},
        {SPAN_INIT("\xe2\x82"), 0},
        {SPAN_INIT("\x80"), 0},
        {SPAN_INIT("\xc0\xaf"), 0}, /* overlong */
        {SPAN_INIT("\xe0\x80\xaf"), 0},
        {SPAN_INIT("\xed\xa0\x80"), 0},     /* surrogate */
        {SPAN_INIT("\xf4\x90\x80\x80"), 0}, /* above U+10FFFF */
        {SPAN_INIT("\xff"), 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(span_utf8_length(cases[i].bytes), cases[i].length);
}

static void test_span_utf8_prefix_never_cuts_a_sequence(void **state)
{
    (void)state;
    struct span text = SPAN("ab\xf0\x9f\x98\x80"
                            "c");
    static const size_t kept[] = {0, 1, 2, 2, 2, 2, 6, 7, 7};
    for (size_t max = 0; max < COUNT_OF(kept); max++)
        assert_int_equal(span_utf8_prefix(text, max).len, kept[max]);
    /* Bytes that are no text are cut somewhere, not looked at for ever. */
    assert_int_equal(span_utf8_prefix(SPAN("\x80\x80\x80\x80\x80\x80\x80"), 6).len, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_span_knows_well_formed_utf8),
        cmocka_unit_test(test_span_utf8_prefix_never_cuts_a_sequence),
        cmocka_unit_test(test_span_equality_is_bytewise_and_knows_nul),
        cmocka_unit_test(test_span_nocase_folds_ascii_letters_alone),
        cmocka_unit_test(test_span_starts_and_ends_at_the_exact_bytes),
        cmocka_unit_test(test_span_order_is_unsigned_bytes_then_length),
        cmocka_unit_test(test_span_find_gives_the_length_when_absent),
        cmocka_unit_test(test_span_cut_yields_every_field_and_then_ends),
        cmocka_unit_test(test_span_trim_takes_spaces_and_tabs_only),
        cmocka_unit_test(test_span_number_is_digits_up_to_the_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
