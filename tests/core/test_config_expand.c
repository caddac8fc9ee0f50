/* test_config_expand.c: ${NAME} in values.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "cmocka_all.h"
#include "core/config_expand.h"

static void assert_expands(const char *text, const char *expected)
{
    struct buf out CLEANUP(buf_done);
    buf_init(&out, 1000);
    struct fault why = {0};
    assert_true(err_ok(config_expand(span_from(text), &out, &why)));
    assert_true(span_eq(buf_span(&out), span_from(expected)));
}

static void assert_refused(const char *text, enum err_code code)
{
    struct buf out CLEANUP(buf_done);
    buf_init(&out, 10);
    struct fault why = {0};
    assert_true(err_is(config_expand(span_from(text), &out, &why), code));
    assert_null(strstr(why.text, "hunter2"));
}

static void test_expand_replaces_variables_and_leaves_the_rest(void **state)
{
    (void)state;
    assert_int_equal(setenv("PLIMSOLL_A", "one", 1), 0);
    assert_int_equal(setenv("PLIMSOLL_B2", "${PLIMSOLL_A}", 1), 0);
    assert_int_equal(setenv("PLIMSOLL_E", "", 1), 0);
    assert_expands("", "");
    assert_expands("plain $ text } {$} $A", "plain $ text } {$} $A");
    assert_expands("${PLIMSOLL_A}", "one");
    assert_expands("<${PLIMSOLL_A}${PLIMSOLL_E}${PLIMSOLL_A}>", "<oneone>");
    assert_expands("${PLIMSOLL_B2}", "${PLIMSOLL_A}"); /* not looked at again */
    assert_expands("$${PLIMSOLL_A}", "${PLIMSOLL_A}");
    assert_expands("$$${PLIMSOLL_A}", "$${PLIMSOLL_A}");
    assert_expands("$", "$");
    assert_expands("$$", "$$");
}

static void test_expand_refuses_what_is_no_reference(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("PLIMSOLL_NONE"), 0);
    assert_refused("${PLIMSOLL_NONE}", ERR_INVALID);
    assert_refused("${", ERR_INVALID);
    assert_refused("a${B", ERR_INVALID);
    assert_refused("${}", ERR_INVALID);
    assert_refused("${1A}", ERR_INVALID);
    assert_refused("${A B}", ERR_INVALID);
    assert_refused("${hunter2", ERR_INVALID); /* a secret with a brace: not shown */
    assert_refused("${=hunter2}", ERR_INVALID);
}

static void test_expand_stops_at_the_limit_of_its_buffer(void **state)
{
    (void)state;
    assert_int_equal(setenv("PLIMSOLL_A", "12345678", 1), 0);
    assert_expands("x${PLIMSOLL_A}x", "x12345678x");
    struct buf out CLEANUP(buf_done);
    struct fault why = {0};
    buf_init(&out, 10);
    assert_true(err_ok(config_expand(SPAN("x${PLIMSOLL_A}x"), &out, &why)));
    buf_reset(&out);
    assert_true(err_is(config_expand(SPAN("x${PLIMSOLL_A}xx"), &out, &why), ERR_TOO_LARGE));
}

static void test_expand_variable_names_have_a_limit(void **state)
{
    (void)state;
    for (size_t len = 127; len <= 129; len++) {
        char name[140];
        memset(name, 'N', sizeof name);
        name[len] = '\0';
        assert_int_equal(setenv(name, "v", 1), 0);
        char text[140] = "${";
        memcpy(text + 2, name, len);
        text[len + 2] = '}';
        struct buf out CLEANUP(buf_done);
        struct fault why = {0};
        buf_init(&out, 1000);
        err outcome = config_expand(span_of(text, len + 3), &out, &why);
        assert_true(err_is(outcome, len <= 128 ? ERR_NONE : ERR_INVALID));
    }
}

static void test_expand_is_needed_only_with_a_reference(void **state)
{
    (void)state;
    assert_false(config_expand_is_needed(SPAN("")));
    assert_false(config_expand_is_needed(SPAN("$")));
    assert_false(config_expand_is_needed(SPAN("$ {")));
    assert_true(config_expand_is_needed(SPAN("a${")));
    assert_true(config_expand_is_needed(SPAN("$${A}")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expand_replaces_variables_and_leaves_the_rest),
        cmocka_unit_test(test_expand_refuses_what_is_no_reference),
        cmocka_unit_test(test_expand_stops_at_the_limit_of_its_buffer),
        cmocka_unit_test(test_expand_variable_names_have_a_limit),
        cmocka_unit_test(test_expand_is_needed_only_with_a_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
