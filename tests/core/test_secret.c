/* test_secret.c: secrets are copied, compared and wiped.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/secret.h"

static void test_secret_equals_its_own_bytes_only(void **state)
{
    (void)state;
    struct secret s CLEANUP(secret_done);
    char source[] = "hunter2";
    secret_init(&s, span_from(source));
    source[0] = 'x'; /* it holds a copy */
    assert_true(secret_equals(&s, SPAN("hunter2")));
    assert_false(secret_equals(&s, SPAN("hunter3")));
    assert_false(secret_equals(&s, SPAN("Hunter2")));
    assert_false(secret_equals(&s, SPAN("hunter")));
    assert_false(secret_equals(&s, SPAN("hunter22")));
    assert_false(secret_equals(&s, SPAN("")));
}

static void test_secret_may_be_empty_or_hold_nul(void **state)
{
    (void)state;
    struct secret empty CLEANUP(secret_done);
    secret_init(&empty, (struct span){NULL, 0});
    assert_true(secret_equals(&empty, SPAN("")));
    assert_false(secret_equals(&empty, SPAN("a")));
    struct secret binary CLEANUP(secret_done);
    secret_init(&binary, SPAN("a\0b"));
    assert_true(secret_equals(&binary, SPAN("a\0b")));
    assert_false(secret_equals(&binary, SPAN("a\0c")));
}

static void test_secret_done_runs_twice_and_on_zero(void **state)
{
    (void)state;
    struct secret s;
    secret_init(&s, SPAN("abc"));
    secret_done(&s);
    assert_null(s.at);
    secret_done(&s);
    struct secret zero = {0};
    secret_done(&zero);
}

static void test_secret_bytes_differ_wherever_one_bit_differs(void **state)
{
    (void)state;
    unsigned char a[32] = {0};
    unsigned char b[32] = {0};
    assert_true(secret_bytes_equal(a, b, sizeof a));
    assert_true(secret_bytes_equal(a, b, 0));
    for (size_t bit = 0; bit < 8 * sizeof b; bit++) {
        b[bit / 8] = (unsigned char)(1u << bit % 8);
        assert_false(secret_bytes_equal(a, b, sizeof a));
        b[bit / 8] = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secret_equals_its_own_bytes_only),
        cmocka_unit_test(test_secret_may_be_empty_or_hold_nul),
        cmocka_unit_test(test_secret_done_runs_twice_and_on_zero),
        cmocka_unit_test(test_secret_bytes_differ_wherever_one_bit_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
