/* test_clock.c: the fake clock, and dates against the C library's calendar.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <time.h>

#include "cmocka_all.h"
#include "core/clock.h"
#include "core/random.h"

static void assert_formats_agree(uint64_t wall_s, unsigned ms)
{
    char expected[64];
    char rfc3339[CLOCK_RFC3339_BYTES];
    char http[CLOCK_HTTP_BYTES];
    time_t seconds = (time_t)wall_s;
    struct tm civil;
    assert_non_null(gmtime_r(&seconds, &civil));
    uint64_t wall_ns = wall_s * 1000000000u + ms * 1000000u + 999999u;
    clock_format_rfc3339(wall_ns, rfc3339);
    size_t length = strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &civil);
    (void)snprintf(expected + length, sizeof expected - length, ".%03uZ", ms);
    assert_string_equal(rfc3339, expected);
    clock_format_http(wall_ns, http);
    assert_true(strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &civil) > 0);
    assert_string_equal(http, expected);
}

static void test_clock_formats_the_examples_of_the_rfcs(void **state)
{
    (void)state;
    char rfc3339[CLOCK_RFC3339_BYTES];
    char http[CLOCK_HTTP_BYTES];
    clock_format_http(784111777u * UINT64_C(1000000000), http);
    assert_string_equal(http, "Sun, 06 Nov 1994 08:49:37 GMT");
    clock_format_rfc3339(482196050520u * UINT64_C(1000000), rfc3339);
    assert_string_equal(rfc3339, "1985-04-12T23:20:50.520Z");
}

static void test_clock_formats_agree_with_the_calendar_of_the_system(void **state)
{
    (void)state;
    /* Every day from 1970 to 2120 at its first and last second: each leap rule but 400 years. */
    for (uint64_t day = 0; day < 55000; day++) {
        assert_formats_agree(day * 86400, 0);
        assert_formats_agree(day * 86400 + 86399, 999);
    }
    struct random r;
    random_init_seeded(&r, 11);
    for (int i = 0; i < 20000; i++)
        assert_formats_agree(random_below(&r, UINT64_C(18000000000)),
                             (unsigned)random_below(&r, 1000));
}

static void test_clock_fake_stands_still_until_advanced(void **state)
{
    (void)state;
    struct clock_fake fake;
    clock_fake_init(&fake, 5000000, 7000000000u);
    const struct clock *c = &fake.clock;
    assert_int_equal(clock_mono_ns(c), 5000000);
    assert_int_equal(clock_mono_ns(c), 5000000);
    assert_int_equal(clock_mono_ms(c), 5);
    assert_int_equal(clock_wall_ns(c), 7000000000u);
    clock_fake_advance_ms(&fake, 250);
    assert_int_equal(clock_mono_ms(c), 255);
    assert_int_equal(clock_wall_ns(c), 7250000000u);
}

static void test_clock_of_the_system_does_not_go_back(void **state)
{
    (void)state;
    uint64_t before = clock_mono_ns(&clock_system);
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_mono_ns(&clock_system);
        assert_true(now >= before);
        before = now;
    }
    assert_true(clock_wall_ns(&clock_system) > UINT64_C(1600000000000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_formats_the_examples_of_the_rfcs),
        cmocka_unit_test(test_clock_formats_agree_with_the_calendar_of_the_system),
        cmocka_unit_test(test_clock_fake_stands_still_until_advanced),
        cmocka_unit_test(test_clock_of_the_system_does_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
