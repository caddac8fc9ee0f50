/* test_err.c: outcomes, their rows, and the faults that explain them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "cmocka_all.h"
#include "core/err.h"

static unsigned calls;

static err outcome_of(enum err_code code)
{
    calls++;
    return (err){code};
}

static err try_two(enum err_code first, enum err_code second)
{
    TRY(outcome_of(first));
    TRY(outcome_of(second));
    return OK;
}

static void test_err_try_returns_the_first_error_at_once(void **state)
{
    (void)state;
    calls = 0;
    assert_true(err_ok(try_two(ERR_NONE, ERR_NONE)));
    assert_int_equal(calls, 2);
    calls = 0;
    assert_true(err_is(try_two(ERR_IO, ERR_TLS), ERR_IO));
    assert_int_equal(calls, 1);
    assert_true(err_is(try_two(ERR_NONE, ERR_TLS), ERR_TLS));
    assert_true(err_is(FAIL(CONFIG), ERR_CONFIG));
    assert_false(err_ok(FAIL(CONFIG)));
}

static void test_err_rows_are_complete_and_unlike(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ERR_CODE_COUNT; i++) {
        enum err_code code = (enum err_code)i;
        assert_true(strlen(err_name(code)) > 0);
        assert_true(strlen(err_text(code)) > 0);
        assert_in_range(err_http_status(code), i == 0 ? 200 : 400, 599);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(err_name(code), err_name((enum err_code)k));
    }
    assert_string_equal(err_name(ERR_RATE_LIMITED), "RATE_LIMITED");
    assert_int_equal(err_http_status(ERR_RATE_LIMITED), 429);
    assert_true(err_is_retryable(ERR_UPSTREAM_CONNECT));
    assert_false(err_is_retryable(ERR_BAD_REQUEST));
}

static void test_fault_holds_code_and_text(void **state)
{
    (void)state;
    struct fault why = {0};
    assert_true(err_is(fault_set(&why, ERR_INVALID, "port %d is not free", 80), ERR_INVALID));
    assert_int_equal(why.code, ERR_INVALID);
    assert_string_equal(why.text, "port 80 is not free");
    assert_true(err_is(fault_set(NULL, ERR_IO, "nobody listens"), ERR_IO));
}

static void test_fault_text_is_cut_at_its_size(void **state)
{
    (void)state;
    struct fault why = {0};
    (void)fault_set(&why, ERR_IO, "%510d", 1);
    assert_int_equal(strlen(why.text), 510);
    (void)fault_set(&why, ERR_IO, "%511d", 1);
    assert_int_equal(strlen(why.text), 511);
    (void)fault_set(&why, ERR_IO, "%512d", 1);
    assert_int_equal(strlen(why.text), 511);
    errno = ENOENT;
    (void)fault_errno(&why, ERR_IO, "%600d", 1);
    assert_int_equal(strlen(why.text), 511);
}

static void test_fault_errno_appends_the_reason(void **state)
{
    (void)state;
    struct fault why = {0};
    errno = ENOENT;
    assert_true(err_is(fault_errno(&why, ERR_NOT_FOUND, "open %s", "x.yaml"), ERR_NOT_FOUND));
    assert_string_equal(why.text, "open x.yaml: No such file or directory");
    assert_int_equal(why.code, ERR_NOT_FOUND);
    assert_true(err_is(fault_errno(NULL, ERR_IO, "x"), ERR_IO));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err_try_returns_the_first_error_at_once),
        cmocka_unit_test(test_err_rows_are_complete_and_unlike),
        cmocka_unit_test(test_fault_holds_code_and_text),
        cmocka_unit_test(test_fault_text_is_cut_at_its_size),
        cmocka_unit_test(test_fault_errno_appends_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
