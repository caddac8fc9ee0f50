/* test_metric_reference.c: the page of metrics says what the tables say.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/metric_reference.h"

static const char *const labels[] = {"route", "status", NULL};
static const struct metric_desc table[] = {
    {.name = "test_wait_seconds", .type = METRIC_HISTOGRAM, .unit = "seconds", .help = "Wait."},
    {.name = "test_tries_total", .type = METRIC_COUNTER, .help = "This | that.", .labels = labels},
    {0},
};
static const struct metric_desc second[] = {
    {.name = "test_open", .type = METRIC_GAUGE, .help = "Open."},
    {0},
};
static const struct metric_desc *const tables[] = {table, second, NULL};

static const char expected[] =
    "## Test\n\n"
    "| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n"
    "| `test_wait_seconds` | histogram | seconds |  | Wait. |\n"
    "| `test_tries_total` | counter |  | `route`, `status` | This \\| that. |\n"
    "| `test_open` | gauge |  |  | Open. |\n\n";

static void test_metric_reference_has_a_row_for_each_metric(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done);
    buf_init(&out, 4096);
    const char *text;
    assert_true(err_ok(metric_reference_write(&out, SPAN("Test"), tables)));
    assert_true(err_ok(buf_text(&out, &text)));
    assert_string_equal(text, expected);
}

static void test_metric_reference_reports_a_full_buf(void **state)
{
    (void)state;
    for (size_t max = 1; max < sizeof expected - 1; max++) {
        struct buf out CLEANUP(buf_done);
        buf_init(&out, max);
        assert_true(err_is(metric_reference_write(&out, SPAN("Test"), tables), ERR_TOO_LARGE));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metric_reference_has_a_row_for_each_metric),
        cmocka_unit_test(test_metric_reference_reports_a_full_buf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
