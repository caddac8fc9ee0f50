/* test_json.c: what the JSON writer writes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>

#include "cmocka_all.h"
#include "core/json.h"

static const char *text_of(struct buf *b)
{
    const char *text = NULL;
    assert_true(err_ok(buf_text(b, &text)));
    return text;
}

static void assert_escaped(struct span input, const char *expected)
{
    struct buf out CLEANUP(buf_done);
    buf_init(&out, 4096);
    assert_true(err_ok(json_escape(&out, input)));
    assert_string_equal(text_of(&out), expected);
}

static void test_json_writes_nested_values_with_commas_in_between(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done);
    buf_init(&out, 4096);
    struct json j;
    json_begin(&j, &out);
    json_object(&j);
    json_key(&j, "a");
    json_u64(&j, 1);
    json_key(&j, "b");
    json_array(&j);
    json_null(&j);
    json_bool(&j, true);
    json_bool(&j, false);
    json_object(&j);
    json_object_end(&j);
    json_array(&j);
    json_array_end(&j);
    json_text(&j, NULL);
    json_array_end(&j);
    json_key_span(&j, SPAN("c\"d"));
    json_text(&j, "e");
    json_object_end(&j);
    assert_true(err_ok(json_end(&j)));
    assert_string_equal(text_of(&out),
                        "{\"a\":1,\"b\":[null,true,false,{},[],null],\"c\\\"d\":\"e\"}");
}

static void test_json_writes_numbers_to_their_limits(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done);
    buf_init(&out, 4096);
    struct json j;
    json_begin(&j, &out);
    json_array(&j);
    json_u64(&j, 0);
    json_u64(&j, UINT64_MAX);
    json_i64(&j, -1);
    json_i64(&j, INT64_MIN);
    json_i64(&j, INT64_MAX);
    json_double(&j, 0.1);
    json_double(&j, 1.0 / 3);
    json_double(&j, -0.5);
    json_double(&j, DBL_MAX);
    json_double(&j, NAN);
    json_double(&j, INFINITY);
    json_double(&j, -INFINITY);
    json_array_end(&j);
    assert_true(err_ok(json_end(&j)));
    assert_string_equal(text_of(&out),
                        "[0,18446744073709551615,-1,-9223372036854775808,9223372036854775807,"
                        "0.1,0.33333333333333331,-0.5,1.7976931348623157e+308,null,null,null]");
}

static void test_json_rounds_nanoseconds_to_three_decimals_of_milliseconds(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done);
    buf_init(&out, 4096);
    struct json j;
    json_begin(&j, &out);
    json_array(&j);
    json_ms_of_ns(&j, 1234567);
    json_ms_of_ns(&j, 0);
    json_ms_of_ns(&j, 499);
    json_ms_of_ns(&j, 500);
    json_ms_of_ns(&j, 999999500);
    json_ms_of_ns(&j, UINT64_MAX);
    json_array_end(&j);
    assert_true(err_ok(json_end(&j)));
    assert_string_equal(text_of(&out), "[1.235,0.000,0.000,0.001,1000.000,18446744073709.552]");
}

static void test_json_escapes_what_rfc_8259_demands(void **state)
{
    (void)state;
    assert_escaped(SPAN("plain text / '"), "plain text / '");
    assert_escaped(SPAN("\"\\\b\f\n\r\t"), "\\\"\\\\\\b\\f\\n\\r\\t");
    assert_escaped(SPAN("\0\x01\x1f\x7f"), "\\u0000\\u0001\\u001f\\u007f");
    assert_escaped(SPAN(""), "");
}

static void test_json_keeps_utf8_and_replaces_what_is_not(void **state)
{
    (void)state;
    assert_escaped(SPAN("\xc3\xbc \xe2\x82\xac \xf0\x9f\x9a\xa2"),
                   "\xc3\xbc \xe2\x82\xac \xf0\x9f\x9a\xa2");
    assert_escaped(SPAN("\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"),
                   "\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf");
#define R "\xef\xbf\xbd"
    assert_escaped(SPAN("a\x80z"), "a" R "z");
    assert_escaped(SPAN("\xc3"), R);
    assert_escaped(SPAN("\xe2\x82"), R R);
    assert_escaped(SPAN("\xc0\xaf"), R R);             /* overlong */
    assert_escaped(SPAN("\xe0\x9f\xbf"), R R R);       /* overlong */
    assert_escaped(SPAN("\xf0\x8f\xbf\xbf"), R R R R); /* overlong */
    assert_escaped(SPAN("\xed\xa0\x80"), R R R);       /* surrogate */
    assert_escaped(SPAN("\xf4\x90\x80\x80"), R R R R); /* past U+10FFFF */
    assert_escaped(SPAN("\xff\xfe"), R R);
    assert_escaped(SPAN("\xc3(\""), R "(\\\"");
#undef R
}

static void test_json_reports_the_first_failed_append_at_the_end(void **state)
{
    (void)state;
    /* {"key":"value"} has 15 bytes: every smaller maximum must fail, and never write past it. */
    for (size_t max = 1; max <= 16; max++) {
        struct buf out CLEANUP(buf_done);
        buf_init(&out, max);
        struct json j;
        json_begin(&j, &out);
        json_object(&j);
        json_key(&j, "key");
        json_text(&j, "value");
        json_object_end(&j);
        assert_true(err_is(json_end(&j), max < 15 ? ERR_TOO_LARGE : ERR_NONE));
        assert_true(out.len <= max);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_writes_nested_values_with_commas_in_between),
        cmocka_unit_test(test_json_writes_numbers_to_their_limits),
        cmocka_unit_test(test_json_rounds_nanoseconds_to_three_decimals_of_milliseconds),
        cmocka_unit_test(test_json_escapes_what_rfc_8259_demands),
        cmocka_unit_test(test_json_keeps_utf8_and_replaces_what_is_not),
        cmocka_unit_test(test_json_reports_the_first_failed_append_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
