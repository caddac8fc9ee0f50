/* test_buf.c: owned bytes never pass their maximum, and an error leaves them whole.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/buf.h"

static void assert_holds(const struct buf *b, struct span expected)
{
    assert_true(span_eq(buf_span(b), expected));
}

static void test_buf_takes_exactly_its_maximum(void **state)
{
    (void)state;
    static const size_t maxima[] = {1, 63, 64, 65, 100, 128, 1000};
    for (size_t i = 0; i < COUNT_OF(maxima); i++) {
        size_t max = maxima[i];
        struct buf b CLEANUP(buf_done);
        buf_init(&b, max);
        for (size_t n = 0; n + 1 < max; n++)
            assert_true(err_ok(buf_add_char(&b, 'x')));
        assert_true(err_is(buf_add(&b, SPAN("yz")), ERR_TOO_LARGE)); /* n + 1 */
        assert_int_equal(b.len, max - 1);
        assert_true(err_ok(buf_add_char(&b, 'y')));
        assert_true(err_is(buf_add_char(&b, 'z'), ERR_TOO_LARGE));
        assert_int_equal(b.len, max);
        assert_true(b.cap <= max);
        assert_int_equal(b.at[max - 1], 'y');
    }
}

static void test_buf_allocates_nothing_before_the_first_byte(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_done);
    buf_init(&b, 10);
    assert_null(b.at);
    assert_true(err_ok(buf_add(&b, (struct span){NULL, 0})));
    assert_true(err_ok(buf_reserve(&b, 0)));
    assert_null(b.at);
}

static void test_buf_refuses_a_reservation_that_would_overflow(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_done);
    buf_init(&b, SIZE_MAX / 2);
    assert_true(err_ok(buf_add(&b, SPAN("abc"))));
    assert_true(err_is(buf_reserve(&b, SIZE_MAX), ERR_TOO_LARGE));
    assert_true(err_is(buf_reserve(&b, SIZE_MAX - 2), ERR_TOO_LARGE));
    assert_holds(&b, SPAN("abc"));
}

static void test_buf_writes_numbers_and_formats(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_done);
    buf_init(&b, 1000);
    assert_true(err_ok(buf_add_u64(&b, 0)));
    assert_true(err_ok(buf_add_char(&b, ' ')));
    assert_true(err_ok(buf_add_u64(&b, UINT64_MAX)));
    assert_true(err_ok(buf_printf(&b, " %s-%03d", "x", 7)));
    assert_holds(&b, SPAN("0 18446744073709551615 x-007"));
    assert_true(err_is(buf_printf(&b, "%2000d", 1), ERR_TOO_LARGE));
    assert_holds(&b, SPAN("0 18446744073709551615 x-007"));
}

static void test_buf_text_is_terminated_and_not_longer(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_done);
    buf_init(&b, 4);
    const char *text = NULL;
    assert_true(err_ok(buf_text(&b, &text)));
    assert_string_equal(text, "");
    assert_true(err_ok(buf_add(&b, SPAN("abc"))));
    assert_true(err_ok(buf_text(&b, &text)));
    assert_string_equal(text, "abc");
    assert_int_equal(b.len, 3);
    assert_true(err_ok(buf_add_char(&b, 'd')));
    assert_true(err_is(buf_text(&b, &text), ERR_TOO_LARGE)); /* no room for the NUL */
}

static void test_buf_consume_keeps_the_rest_in_order(void **state)
{
    (void)state;
    struct buf b CLEANUP(buf_done);
    buf_init(&b, 100);
    assert_true(err_ok(buf_add(&b, SPAN("abcdef"))));
    buf_consume(&b, 0);
    assert_holds(&b, SPAN("abcdef"));
    buf_consume(&b, 4);
    assert_holds(&b, SPAN("ef"));
    buf_consume(&b, 2);
    assert_int_equal(b.len, 0);
    buf_consume(&b, 0);
    assert_true(err_ok(buf_add(&b, SPAN("g"))));
    assert_holds(&b, SPAN("g"));
}

static void test_buf_reset_keeps_capacity_and_done_runs_twice(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    assert_true(err_ok(buf_add(&b, SPAN("abc"))));
    const char *at = b.at;
    buf_reset(&b);
    assert_int_equal(b.len, 0);
    assert_ptr_equal(b.at, at);
    buf_done(&b);
    buf_done(&b);
    assert_null(b.at);
    struct buf zero = {0};
    buf_done(&zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_takes_exactly_its_maximum),
        cmocka_unit_test(test_buf_allocates_nothing_before_the_first_byte),
        cmocka_unit_test(test_buf_refuses_a_reservation_that_would_overflow),
        cmocka_unit_test(test_buf_writes_numbers_and_formats),
        cmocka_unit_test(test_buf_text_is_terminated_and_not_longer),
        cmocka_unit_test(test_buf_consume_keeps_the_rest_in_order),
        cmocka_unit_test(test_buf_reset_keeps_capacity_and_done_runs_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
