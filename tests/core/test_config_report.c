/* test_config_report.c: faults in file order, the first twenty of them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/config_priv.h"

static struct config_report report;

static void add(unsigned line, unsigned column, const char *text)
{
    const struct config_place place = {"f", line, column};
    config_report_add(&report, &place, "%s", text);
}

static void assert_written(const char *expected)
{
    struct buf out CLEANUP(buf_done);
    const char *text = NULL;
    buf_init(&out, 100000);
    assert_true(err_ok(config_report_write(&report, &out)));
    assert_true(err_ok(buf_text(&out, &text)));
    assert_string_equal(text, expected);
}

static void test_report_sorts_by_line_and_column_and_keeps_ties_in_order(void **state)
{
    (void)state;
    report = (struct config_report){0};
    assert_written("");
    add(5, 1, "e");
    add(2, 9, "c");
    add(2, 3, "b");
    add(5, 1, "f");
    add(0, 0, "a");
    add(2, 9, "d");
    assert_written("f: a\nf:2:3: b\nf:2:9: c\nf:2:9: d\nf:5:1: e\nf:5:1: f\n");
    assert_int_equal(report.faults[0].code, ERR_CONFIG);
    assert_false(report.has_more);
}

static void test_report_keeps_the_first_ones_when_full(void **state)
{
    (void)state;
    report = (struct config_report){0};
    for (unsigned i = CONFIG_REPORT_MAX; i > 0; i--) {
        assert_false(report.has_more);
        add(2 * i, 1, "x");
    }
    assert_int_equal(report.count, CONFIG_REPORT_MAX);
    assert_false(report.has_more); /* exactly full */
    add(2 * CONFIG_REPORT_MAX + 1, 1, "behind the last");
    assert_true(report.has_more);
    assert_int_equal(report.count, CONFIG_REPORT_MAX);
    assert_int_equal(report.faults[CONFIG_REPORT_MAX - 1].line, 2 * CONFIG_REPORT_MAX);
    add(3, 1, "in between");
    assert_int_equal(report.count, CONFIG_REPORT_MAX);
    assert_int_equal(report.faults[CONFIG_REPORT_MAX - 1].line, 2 * CONFIG_REPORT_MAX - 2);
    for (unsigned i = 1; i < CONFIG_REPORT_MAX; i++)
        assert_true(report.faults[i - 1].line < report.faults[i].line);
    assert_string_equal(report.faults[1].text, "in between");
}

static void test_report_says_when_there_are_more(void **state)
{
    (void)state;
    report = (struct config_report){0};
    for (unsigned i = 0; i <= CONFIG_REPORT_MAX; i++)
        add(1, 1, "x");
    struct buf out CLEANUP(buf_done);
    buf_init(&out, 100000);
    assert_true(err_ok(config_report_write(&report, &out)));
    assert_true(span_ends(buf_span(&out), SPAN("f:1:1: x\nand more: these are the first 20\n")));
    struct buf small CLEANUP(buf_done);
    buf_init(&small, 10);
    assert_true(err_is(config_report_write(&report, &small), ERR_TOO_LARGE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_sorts_by_line_and_column_and_keeps_ties_in_order),
        cmocka_unit_test(test_report_keeps_the_first_ones_when_full),
        cmocka_unit_test(test_report_says_when_there_are_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
