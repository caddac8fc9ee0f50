/* test_sock_address.c: address literals are read strictly and written back equal.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/sock_address.h"

static void test_literals_survive_a_round_trip(void **state)
{
    (void)state;
    static const char *const texts[] = {"127.0.0.1:80", "0.0.0.0:65535", "[::1]:8080",
                                        "[2001:db8::1]:443", "unix:/run/x.sock"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct sock_address a, b;
        char out[SOCK_ADDRESS_TEXT_BYTES];
        assert_true(err_ok(sock_address_parse(span_from(texts[i]), &a)));
        sock_address_format(&a, out);
        assert_string_equal(out, texts[i]);
        assert_true(err_ok(sock_address_parse(span_from(out), &b)));
        assert_true(sock_address_equal(&a, &b));
    }
}

static void test_what_is_no_literal_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",       ":80",        "127.0.0.1",    "127.0.0.1:", "127.0.0.1:65536", "127.1:80",
        "::1:80", "[::1]",      "[::1]80",      "[::1:80",    "localhost:80",    "127.0.0.1:8o",
        "unix:",  "1.2.3.4:-1", "[1.2.3.4]:80", "256.0.0.1:1"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct sock_address a;
        assert_true(err_is(sock_address_parse(span_from(texts[i]), &a), ERR_INVALID));
    }
}

static void test_malformed_numeric_host_never_reaches_the_resolver(void **state)
{
    (void)state;
    struct sock_address a;
    struct fault why = {0};
    assert_true(err_is(sock_address_resolve(SPAN("127.1:80"), &a, &why), ERR_INVALID));
    assert_non_null(strstr(why.text, "127.1:80"));
    assert_true(err_ok(sock_address_resolve(SPAN("localhost:80"), &a, &why)));
    assert_int_equal(sock_address_port(&a), 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals_survive_a_round_trip),
        cmocka_unit_test(test_what_is_no_literal_is_refused),
        cmocka_unit_test(test_malformed_numeric_host_never_reaches_the_resolver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
