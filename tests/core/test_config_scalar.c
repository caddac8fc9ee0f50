/* test_config_scalar.c: every way to write a value, and its nearest wrong ones.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "cmocka_all.h"
#include "core/config_scalar.h"

struct row {
    const char *text;
    int64_t value; /* BAD: not allowed */
};

#define BAD INT64_MIN

static void check(err (*read)(struct span, int64_t *), const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t value = 4711;
        err outcome = read(span_from(rows[i].text), &value);
        bool is_bad = rows[i].value == BAD;
        if (err_ok(outcome) == is_bad || value != (is_bad ? 4711 : rows[i].value))
            fail_msg("\"%s\" reads as %" PRId64 " (%s)", rows[i].text, value,
                     err_name(outcome.code));
    }
}

static void test_int_is_decimal_without_leading_zero(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"0", 0},
        {"7", 7},
        {"-7", -7},
        {"9223372036854775807", INT64_MAX},
        {"9223372036854775808", BAD},
        {"-9223372036854775807", -INT64_MAX},
        {"", BAD},
        {"-", BAD},
        {"-0", BAD},
        {"+1", BAD},
        {"010", BAD},
        {"-01", BAD},
        {"1.0", BAD},
        {"1e3", BAD},
        {"0x10", BAD},
        {" 1", BAD},
        {"1 ", BAD},
        {"--1", BAD},
    };
    check(config_scalar_int, rows, COUNT_OF(rows));
}

static void test_size_counts_in_powers_of_1024(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"0", 0},
        {"1", 1},
        {"512b", 512},
        {"16kb", 16384},
        {"16KB", 16384},
        {"1mb", 1048576},
        {"2gb", INT64_C(2147483648)},
        {"1tb", INT64_C(1099511627776)},
        {"0kb", 0},
        {"8388607tb", INT64_C(8388607) << 40},
        {"8388608tb", BAD},
        {"9223372036854775807", INT64_MAX},
        {"9223372036854775807b", INT64_MAX},
        {"9007199254740992kb", BAD},
        {"", BAD},
        {"kb", BAD},
        {"16k", BAD},
        {"16 kb", BAD},
        {"1.5mb", BAD},
        {"-1kb", BAD},
        {"016kb", BAD},
        {"16kbb", BAD},
        {"16kib", BAD},
    };
    check(config_scalar_size, rows, COUNT_OF(rows));
}

static void test_duration_needs_its_unit(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"0", 0},
        {"0s", 0},
        {"250ms", 250},
        {"2s", 2000},
        {"5m", 300000},
        {"1h", 3600000},
        {"90d", INT64_C(7776000000)},
        {"106751991167d", INT64_C(106751991167) * 86400000},
        {"106751991168d", BAD},
        {"2", BAD},
        {"", BAD},
        {"s", BAD},
        {"5M", BAD},
        {"2S", BAD},
        {"2 s", BAD},
        {"1.5s", BAD},
        {"1h30m", BAD},
        {"-1s", BAD},
        {"2sec", BAD},
        {"1w", BAD},
    };
    check(config_scalar_duration, rows, COUNT_OF(rows));
}

static void test_percent_keeps_two_decimals(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"0", 0},         {"20", 2000},
        {"20%", 2000},    {"12.5", 1250},
        {"12.5%", 1250},  {"0.01", 1},
        {"0.1", 10},      {"100", 10000},
        {"99.99%", 9999}, {"150", 15000},
        {"", BAD},        {"%", BAD},
        {".5", BAD},      {"5.", BAD},
        {"1.234", BAD},   {"-1", BAD},
        {"1,5", BAD},     {"20 %", BAD},
        {"20%%", BAD},    {"05", BAD},
        {"1.-1", BAD},    {"99999999999999999999", BAD},
    };
    check(config_scalar_percent, rows, COUNT_OF(rows));
}

static void test_rate_is_a_count_over_a_known_window(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct config_rate rate; /* count 0: not allowed */
    } rows[] = {
        {"10/s", {10, 1000}},
        {"100/min", {100, 60000}},
        {"20/h", {20, 3600000}},
        {"1000/d", {1000, 86400000}},
        {"4294967295/s", {UINT32_MAX, 1000}},
        {"4294967296/s", {0, 0}},
        {"0/s", {0, 0}},
        {"10", {0, 0}},
        {"10/", {0, 0}},
        {"/s", {0, 0}},
        {"10/m", {0, 0}},
        {"10/S", {0, 0}},
        {"10/s/s", {0, 0}},
        {"10 /s", {0, 0}},
        {"1.5/s", {0, 0}},
        {"-1/s", {0, 0}},
        {"10/5s", {0, 0}},
        {"", {0, 0}},
        {"010/s", {0, 0}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config_rate rate = {0, 0};
        err outcome = config_scalar_rate(span_from(rows[i].text), &rate);
        if (err_ok(outcome) != (rows[i].rate.count > 0) || rate.count != rows[i].rate.count ||
            rate.window_ms != rows[i].rate.window_ms)
            fail_msg("\"%s\" reads as %u over %" PRIu64 " ms", rows[i].text, rate.count,
                     rate.window_ms);
    }
}

static void test_address_is_host_and_port_or_a_unix_path(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"127.0.0.1:8080", 8080},
        {"0.0.0.0:0", 0},
        {"example.com:443", 443},
        {"my_service-1:65535", 65535},
        {"[::1]:80", 80},
        {"[2001:db8::1]:80", 80},
        {"[::ffff:10.0.0.1]:80", 80},
        {"unix:/run/app.sock", -1},
        {"example.com:65536", BAD},
        {"example.com:", BAD},
        {"example.com", BAD},
        {":80", BAD},
        {"", BAD},
        {"::1:80", BAD},
        {"[::1]", BAD},
        {"[::1]80", BAD},
        {"[::g]:80", BAD},
        {"[]:80", BAD},
        {"[127.0.0.1]:80", BAD},
        {"256.0.0.1:80", BAD},
        {"127.0.0:80", BAD},
        {"1234:80", BAD},
        {"a..b:80", BAD},
        {".a:80", BAD},
        {"a.:80", BAD},
        {"a b:80", BAD},
        {"http://a:80", BAD},
        {"a/b:80", BAD},
        {"a:+80", BAD},
        {"a:080", BAD},
        {"unix:", BAD},
        {"unix:/", BAD},
        {"unix:run/app.sock", BAD},
    };
    check(config_scalar_address, rows, COUNT_OF(rows));
}

static void test_address_limits_hold_at_their_edges(void **state)
{
    (void)state;
    char text[400];
    int64_t port = 0;
    static const struct {
        size_t fill;
        const char *before;
        const char *after;
        bool is_allowed;
    } rows[] = {
        {106, "unix:/", "", true},
        {107, "unix:/", "", false}, /* sun_path: 107 and a NUL */
        {63, "", ".com:80", true},
        {64, "", ".com:80", false}, /* a label: 63 */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf b CLEANUP(buf_done);
        buf_init(&b, sizeof text);
        memset(text, 'a', sizeof text);
        assert_true(err_ok(buf_add(&b, span_from(rows[i].before))));
        assert_true(err_ok(buf_append(&b, text, rows[i].fill)));
        assert_true(err_ok(buf_add(&b, span_from(rows[i].after))));
        assert_int_equal(err_ok(config_scalar_address(buf_span(&b), &port)), rows[i].is_allowed);
    }
    for (size_t len = 252; len <= 254; len++) { /* a host name: 253 */
        memset(text, 'a', sizeof text);
        for (size_t dot = 50; dot < len - 1; dot += 50)
            text[dot] = '.';
        memcpy(text + len, ":80", 3);
        assert_int_equal(err_ok(config_scalar_address(span_of(text, len + 3), &port)), len <= 253);
    }
}

static void test_format_is_the_inverse_in_the_largest_unit(void **state)
{
    (void)state;
    static const struct {
        enum config_type type;
        int64_t value;
        const char *text;
    } rows[] = {
        {CONFIG_DURATION, 0, "0"},
        {CONFIG_DURATION, 250, "250ms"},
        {CONFIG_DURATION, 5400000, "90m"},
        {CONFIG_DURATION, 86400000, "1d"},
        {CONFIG_DURATION, 1001, "1001ms"},
        {CONFIG_SIZE, 16384, "16kb"},
        {CONFIG_SIZE, 1048576, "1mb"},
        {CONFIG_SIZE, 1000, "1000b"},
        {CONFIG_SIZE, 0, "0"},
        {CONFIG_PERCENT, 1250, "12.50%"},
        {CONFIG_PERCENT, 2000, "20%"},
        {CONFIG_INT, -5, "-5"},
        {CONFIG_INT, INT64_MAX, "9223372036854775807"},
        {CONFIG_STRING, 64, "64"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[CONFIG_SCALAR_TEXT_BYTES];
        config_scalar_format(rows[i].type, rows[i].value, text);
        assert_string_equal(text, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int_is_decimal_without_leading_zero),
        cmocka_unit_test(test_size_counts_in_powers_of_1024),
        cmocka_unit_test(test_duration_needs_its_unit),
        cmocka_unit_test(test_percent_keeps_two_decimals),
        cmocka_unit_test(test_rate_is_a_count_over_a_known_window),
        cmocka_unit_test(test_address_is_host_and_port_or_a_unix_path),
        cmocka_unit_test(test_address_limits_hold_at_their_edges),
        cmocka_unit_test(test_format_is_the_inverse_in_the_largest_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
