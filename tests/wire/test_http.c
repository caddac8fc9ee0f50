/* test_http.c: names, lists, byte classes, Retry-After.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/http.h"

#include "cmocka_all.h"
#include "wire/http_chars.h"

static void test_every_known_field_is_found_in_any_case(void **state)
{
    (void)state;
    for (unsigned id = 1; id < HTTP_FIELD_COUNT; id++) {
        struct span name = http_field_name((enum http_field_id)id);
        char upper[64];
        for (size_t i = 0; i < name.len; i++)
            upper[i] = (char)(name.at[i] >= 'a' ? name.at[i] - 0x20 : name.at[i]);
        if (http_field_id_of(name) != id || http_field_id_of(span_of(upper, name.len)) != id)
            fail_msg("%s", name.at);
    }
}

/* One byte of a known name replaced by any other byte: never the known one, except by case. */
static void test_no_other_byte_passes_for_one_of_a_known_name(void **state)
{
    (void)state;
    for (unsigned id = 1; id < HTTP_FIELD_COUNT; id++) {
        struct span name = http_field_name((enum http_field_id)id);
        char copy[64];
        memcpy(copy, name.at, name.len);
        for (size_t i = 0; i < name.len; i++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                copy[i] = (char)byte;
                struct span changed = span_of(copy, name.len);
                bool is_same = span_eq_nocase(changed, name);
                bool is_found = http_field_id_of(changed) == id;
                bool is_lookalike = http_field_identify(changed) == HTTP_FIELD_COUNT;
                if (is_found != is_same || is_lookalike != (byte == '_' && name.at[i] == '-'))
                    fail_msg("%s, byte %u at %zu", name.at, byte, i);
            }
            copy[i] = name.at[i];
        }
    }
}

static void test_unknown_fields_are_other(void **state)
{
    (void)state;
    static const struct span names[] = {SPAN_INIT(""),
                                        SPAN_INIT("x"),
                                        SPAN_INIT("hos"),
                                        SPAN_INIT("hosts"),
                                        SPAN_INIT("set-cookie"),
                                        SPAN_INIT("x-forwarded-fob"),
                                        SPAN_INIT("content-length2")};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_int_equal(http_field_id_of(names[i]), HTTP_FIELD_OTHER);
}

static void test_hop_by_hop_is_a_fact_of_the_name(void **state)
{
    (void)state;
    assert_true(http_field_is_hop_by_hop(HTTP_FIELD_CONNECTION));
    assert_true(http_field_is_hop_by_hop(HTTP_FIELD_TRANSFER_ENCODING));
    assert_false(http_field_is_hop_by_hop(HTTP_FIELD_HOST));
    assert_false(http_field_is_hop_by_hop(HTTP_FIELD_OTHER));
}

static void test_methods_are_named_and_classed(void **state)
{
    (void)state;
    for (unsigned m = 0; m < HTTP_METHOD_OTHER; m++)
        assert_int_equal(http_method_of(span_from(http_method_name((enum http_method)m))), m);
    assert_int_equal(http_method_of(SPAN("get")), HTTP_METHOD_OTHER);
    assert_int_equal(http_method_of(SPAN("")), HTTP_METHOD_OTHER);
    assert_string_equal(http_method_name(HTTP_METHOD_OTHER), "_OTHER");
    assert_true(http_method_is_safe(HTTP_HEAD));
    assert_false(http_method_is_safe(HTTP_PUT));
    assert_true(http_method_is_idempotent(HTTP_PUT));
    assert_true(http_method_is_idempotent(HTTP_DELETE));
    assert_true(http_method_is_idempotent(HTTP_GET));
    assert_false(http_method_is_idempotent(HTTP_POST));
    assert_false(http_method_is_idempotent(HTTP_PATCH));
    assert_false(http_method_is_idempotent(HTTP_CONNECT));
    assert_false(http_method_is_idempotent(HTTP_METHOD_OTHER));
}

static void test_statuses_have_their_phrase(void **state)
{
    (void)state;
    assert_string_equal(http_status_text(200), "OK");
    assert_string_equal(http_status_text(431), "Request Header Fields Too Large");
    assert_string_equal(http_status_text(511), "Network Authentication Required");
    assert_string_equal(http_status_text(299), "Status");
    assert_string_equal(http_status_text(0), "Status");
}

static void test_list_members_are_trimmed_and_empty_ones_skipped(void **state)
{
    (void)state;
    struct span rest = SPAN(" a,, \tb c\t , ,d"), member;
    assert_true(http_list_next(&rest, &member));
    assert_true(span_eq(member, SPAN("a")));
    assert_true(http_list_next(&rest, &member));
    assert_true(span_eq(member, SPAN("b c")));
    assert_true(http_list_next(&rest, &member));
    assert_true(span_eq(member, SPAN("d")));
    assert_false(http_list_next(&rest, &member));
    assert_false(http_list_next(&rest, &member));
    assert_true(http_list_has(SPAN("gzip, Trailers"), SPAN("trailers")));
    assert_false(http_list_has(SPAN("xtrailers, trailers2"), SPAN("trailers")));
    assert_false(http_list_has(SPAN(""), SPAN("a")));
}

static void test_tokens_have_token_characters_only(void **state)
{
    (void)state;
    assert_true(http_is_token(SPAN("!#$%&'*+-.^_`|~09AZaz")));
    assert_false(http_is_token(SPAN("")));
    assert_false(http_is_token(SPAN("a b")));
    assert_false(http_is_token(SPAN("a:")));
}

/* Each class from its grammar, so that the table is not its own witness. */
static void test_byte_classes_follow_the_grammars(void **state)
{
    (void)state;
    for (unsigned b = 0; b < 256; b++) {
        bool is_digit = b >= '0' && b <= '9';
        bool is_alpha = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z');
        bool is_alnum = is_digit || is_alpha;
        bool is_visible = b > 0x20 && b < 0x7f;
        bool is_sub_delim = b != 0 && strchr("!$&'()*+,;=", (int)b) != NULL;
        bool is_unreserved = is_alnum || (b != 0 && strchr("-._~", (int)b) != NULL);
        char c = (char)b;
        unsigned expected = 0;
        if (is_alnum || (b != 0 && strchr("!#$%&'*+-.^_`|~", (int)b) != NULL))
            expected |= HTTP_CHARS_TOKEN;
        if (is_visible && b != '#')
            expected |= HTTP_CHARS_TARGET;
        if (is_visible && b != '#' && b != '?')
            expected |= HTTP_CHARS_BEFORE_QUERY;
        if (is_unreserved || is_sub_delim || b == ':' || b == '@' || b == '/')
            expected |= HTTP_CHARS_PATH;
        if (is_unreserved)
            expected |= HTTP_CHARS_UNRESERVED;
        if (is_unreserved && b != '~' && b != '.')
            expected |= HTTP_CHARS_LABEL;
        if (b == '\t' || b == ' ' || is_visible || b >= 0x80)
            expected |= HTTP_CHARS_VALUE;
        if (is_digit || (b >= 'a' && b <= 'f') || (b >= 'A' && b <= 'F'))
            expected |= HTTP_CHARS_HEX;
        if (http_chars[b] != expected)
            fail_msg("byte %u", b);
        assert_int_equal(http_chars_is_digit(c), is_digit);
    }
}

#define WALL_NS (UINT64_C(784111777) * 1000000000) /* Sun, 06 Nov 1994 08:49:37 GMT */

static void test_retry_after_reads_seconds_and_dates(void **state)
{
    (void)state;
    uint64_t ms = 1;
    assert_true(err_ok(http_parse_retry_after(SPAN("0"), WALL_NS, &ms)));
    assert_int_equal(ms, 0);
    assert_true(err_ok(http_parse_retry_after(SPAN("120"), WALL_NS, &ms)));
    assert_int_equal(ms, 120000);
    assert_true(
        err_ok(http_parse_retry_after(SPAN("Sun, 06 Nov 1994 08:49:47 GMT"), WALL_NS, &ms)));
    assert_int_equal(ms, 10000);
    assert_true(
        err_ok(http_parse_retry_after(SPAN("Sun, 06 Nov 1994 08:49:36 GMT"), WALL_NS, &ms)));
    assert_int_equal(ms, 0);
    assert_true(
        err_ok(http_parse_retry_after(SPAN("Thu, 29 Feb 2024 00:00:00 GMT"), WALL_NS, &ms)));
    assert_true(ms == (UINT64_C(1709164800) - 784111777) * 1000);
}

static void test_retry_after_refuses_the_rest(void **state)
{
    (void)state;
    static const struct span values[] = {
        SPAN_INIT(""),
        SPAN_INIT("-1"),
        SPAN_INIT("+1"),
        SPAN_INIT("1.5"),
        SPAN_INIT("1 "),
        SPAN_INIT("99999999999999999999"),
        SPAN_INIT("soon"),
        SPAN_INIT("Sun Nov  6 08:49:37 1994"),
        SPAN_INIT("Sunday, 06-Nov-94 08:49:37 GMT"),
        SPAN_INIT("Mon, 06 Nov 1994 08:49:37 GMT"),
        SPAN_INIT("Sun, 06 Nov 1994 08:49:37 UTC"),
        SPAN_INIT("Sun, 06 Nox 1994 08:49:37 GMT"),
        SPAN_INIT("Sun, 00 Nov 1994 08:49:37 GMT"),
        SPAN_INIT("Sun, 31 Nov 1994 08:49:37 GMT"),
        SPAN_INIT("Wed, 29 Feb 2023 00:00:00 GMT"),
        SPAN_INIT("Sun, 06 Nov 1994 24:49:37 GMT"),
        SPAN_INIT("Sun, 06 Nov 1994 08:60:37 GMT"),
        SPAN_INIT("Sun, 06 Nov 1994 08:49:60 GMT"),
        SPAN_INIT("Sun, 06 Nov 0000 08:49:37 GMT"),
        SPAN_INIT("Sun, 06 Nov 9999 08:49:37 GMT"),
    };
    uint64_t ms = 7;
    for (size_t i = 0; i < COUNT_OF(values); i++)
        if (!err_is(http_parse_retry_after(values[i], WALL_NS, &ms), ERR_INVALID))
            fail_msg("%.*s", SPAN_ARGS(values[i]));
    assert_int_equal(ms, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_known_field_is_found_in_any_case),
        cmocka_unit_test(test_no_other_byte_passes_for_one_of_a_known_name),
        cmocka_unit_test(test_unknown_fields_are_other),
        cmocka_unit_test(test_hop_by_hop_is_a_fact_of_the_name),
        cmocka_unit_test(test_methods_are_named_and_classed),
        cmocka_unit_test(test_statuses_have_their_phrase),
        cmocka_unit_test(test_list_members_are_trimmed_and_empty_ones_skipped),
        cmocka_unit_test(test_tokens_have_token_characters_only),
        cmocka_unit_test(test_byte_classes_follow_the_grammars),
        cmocka_unit_test(test_retry_after_reads_seconds_and_dates),
        cmocka_unit_test(test_retry_after_refuses_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
