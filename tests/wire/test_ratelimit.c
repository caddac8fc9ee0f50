/* test_ratelimit.c: the RateLimit fields as the draft writes them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "wire/ratelimit.h"

static void test_text_is(struct buf *b, const char *expected)
{
    const char *text;
    assert_true(err_ok(buf_text(b, &text)));
    assert_string_equal(text, expected);
    buf_reset(b);
}

static void test_ratelimit_writes_lists_of_strings_with_parameters(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_done);
    buf_init(&b, 1000);
    struct ratelimit_item items[] = {{.name = SPAN("burst"), .quota = 100, .window_ms = 60000},
                                     {.name = SPAN("daily"), .quota = 1000, .window_ms = 86400000}};
    assert_true(err_ok(ratelimit_add_policy(&b, items, 1)));
    test_text_is(&b, "\"burst\";q=100;w=60");
    assert_true(err_ok(ratelimit_add_policy(&b, items, 2)));
    test_text_is(&b, "\"burst\";q=100;w=60, \"daily\";q=1000;w=86400");
    assert_true(err_ok(ratelimit_add_prefix(&b, &items[0])));
    char room[32];
    struct put w = put_into(room, sizeof room);
    ratelimit_put_state(&w, 50, 29001);
    assert_true(err_ok(buf_append(&b, room, (size_t)(w.at - room))));
    test_text_is(&b, "\"burst\";r=50;t=30");
}

static void test_ratelimit_windows_of_one_limit_have_different_names(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_done);
    buf_init(&b, 1000);
    static const struct {
        uint64_t window_ms;
        const char *name;
    } cases[] = {{1000, "api-second"},  {60000, "api-minute"},   {3600000, "api-hour"},
                 {86400000, "api-day"}, {604800000, "api-week"}, {10000, "api-10s"},
                 {1500, "api-1500ms"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ratelimit_item item = {
            .name = SPAN("api"), .has_suffix = true, .window_ms = cases[i].window_ms};
        assert_true(err_ok(ratelimit_add_name(&b, &item)));
        test_text_is(&b, cases[i].name);
    }
}

static void test_ratelimit_name_stays_a_valid_string(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_done);
    buf_init(&b, 1000);
    struct ratelimit_item item = {
        .name = SPAN("a\"b\\c\r\n\x7f\xc3\xa4"), .quota = 1, .window_ms = 999};
    assert_true(err_ok(ratelimit_add_policy(&b, &item, 1)));
    test_text_is(&b, "\"a\\\"b\\\\c_____\";q=1;w=1");
}

static void test_ratelimit_seconds_round_up(void **state)
{
    (void)state;
    assert_int_equal(ratelimit_seconds(0), 0);
    assert_int_equal(ratelimit_seconds(1), 1);
    assert_int_equal(ratelimit_seconds(1000), 1);
    assert_int_equal(ratelimit_seconds(1001), 2);
    assert_true(ratelimit_seconds(UINT64_MAX) == UINT64_MAX / 1000 + 1);
}

static void test_ratelimit_reports_a_full_buffer(void **state)
{
    (void)state;
    struct ratelimit_item item = {
        .name = SPAN("burst"), .has_suffix = true, .quota = 100, .window_ms = 60000};
    for (size_t max = 1; max < 26; max++) {
        struct buf b CLEANUP(buf_done);
        buf_init(&b, max);
        err outcome = ratelimit_add_policy(&b, &item, 1);
        assert_true(err_is(outcome, max < 25 ? ERR_TOO_LARGE : ERR_NONE));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ratelimit_writes_lists_of_strings_with_parameters),
        cmocka_unit_test(test_ratelimit_windows_of_one_limit_have_different_names),
        cmocka_unit_test(test_ratelimit_name_stays_a_valid_string),
        cmocka_unit_test(test_ratelimit_seconds_round_up),
        cmocka_unit_test(test_ratelimit_reports_a_full_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
