/* test_config_diff.c: what a reload tells about keys that need a restart.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/config_sample.h"

static struct config_report report;

static struct config *load_with(const struct config_key *const *tables, const char *yaml)
{
    struct config *c = NULL;
    report = (struct config_report){0};
    if (!err_ok(config_load_text(tables, span_from(yaml), "f", &c, &report)))
        fail_msg("%s", report.faults[0].text);
    return c;
}

static void assert_diff_of(const struct config_key *const *tables, const char *before,
                           const char *after, const char *expected)
{
    struct config *a = load_with(tables, before);
    struct config *b = load_with(tables, after);
    struct buf out CLEANUP(buf_done);
    const char *text = NULL;
    buf_init(&out, 10000);
    report = (struct config_report){0};
    unsigned found = config_diff(a, b, &report);
    assert_int_equal(found, report.count);
    assert_true(err_ok(config_report_write(&report, &out)));
    assert_true(err_ok(buf_text(&out, &text)));
    assert_string_equal(text, expected);
    config_unref(a);
    config_unref(b);
}

static void assert_diff(const char *before, const char *after, const char *expected)
{
    assert_diff_of(sample_tables, before, after, expected);
}

static void test_diff_of_live_keys_is_silent(void **state)
{
    (void)state;
    assert_diff("", "", "");
    assert_diff("", "body_max: 32kb\nis_strict: false\n", "");
    assert_diff("routes: [{to: a}]\n", "routes: [{to: b, headers: {x: y}}, {to: c}]\n", "");
    assert_diff("upstreams: {a: {targets: [b:1]}}\n", "upstreams: {c: {targets: [b:2]}}\n", "");
}

static void test_diff_names_each_restart_key_at_its_new_place(void **state)
{
    (void)state;
    assert_diff("workers: 2\n", "# x\nworkers: 3\n",
                "f:2:10: workers: takes effect after a restart\n");
    assert_diff("state: a.db\n", "", "f:1:1: state: takes effect after a restart\n");
    assert_diff("workers: 4\n", "", ""); /* written or by fallback: the same value */
    assert_diff("listen:\n  - address: a:1\n  - address: a:2\n",
                "workers: 9\nlisten:\n  - address: a:1\n  - address: a:3\n    backlog: 7\n",
                "f:1:10: workers: takes effect after a restart\n"
                "f:4:14: listen[1].address: takes effect after a restart\n"
                "f:5:14: listen[1].backlog: takes effect after a restart\n");
}

static void test_diff_of_entries_that_come_and_go_is_silent_in_a_live_list(void **state)
{
    (void)state;
    assert_diff("listen: [{address: a:1}]\n", "listen: [{address: a:1}, {address: a:2}]\n", "");
    assert_diff("listen: [{address: a:1}]\n", "", "");
    assert_diff("listen: [{address: a:1}]\n",
                "listen: [{address: a:1, tls: {certificate: c, key: k}}]\n", "");
}

static const struct config_key inner_keys[] = {
    {.name = "size", .type = CONFIG_SIZE, .is_optional = true, .help = "x"},
    {.name = "rate", .type = CONFIG_RATE, .help = "x"},
    {.name = "token", .type = CONFIG_SECRET, .help = "x"},
    {.name = "names", .type = CONFIG_LIST, .item = CONFIG_STRING, .help = "x"},
    {0},
};
static const struct config_key mode_keys[] = {
    {.name = "store",
     .type = CONFIG_GROUP,
     .keys = inner_keys,
     .mode = CONFIG_RESTART,
     .help = "x"},
    {.name = "pools",
     .type = CONFIG_TABLE,
     .keys = inner_keys,
     .mode = CONFIG_RESTART,
     .help = "x"},
    {.name = "headers", .type = CONFIG_STRINGS, .mode = CONFIG_RESTART, .help = "x"},
    {0},
};
static const struct config_key *const mode_tables[] = {mode_keys, NULL};

static void test_diff_below_a_restart_key_reports_that_key_once(void **state)
{
    (void)state;
#define STORE "f:1:1: store: takes effect after a restart\n"
    static const char *const stores[] = {
        "",
        "store: {size: 1kb}\n",
        "store: {size: off}\n",
        "store: {rate: 1/s}\n",
        "store: {rate: 1/min}\n",
        "store: {token: a}\n",
        "store: {token: b}\n",
        "store: {names: [a, b]}\n",
        "store: {names: [b, a]}\n",
        "store: {names: [a]}\n",
    };
    for (size_t i = 0; i < COUNT_OF(stores); i++)
        for (size_t k = 0; k < COUNT_OF(stores); k++)
            assert_diff_of(mode_tables, stores[i], stores[k], i == k ? "" : STORE);
#undef STORE
}

static void test_diff_of_tables_goes_by_name(void **state)
{
    (void)state;
#define POOLS "f:1:1: pools: takes effect after a restart\n"
    assert_diff_of(mode_tables, "pools: {a: {rate: 1/s}, b: {rate: 2/s}}\n",
                   "pools: {b: {rate: 2/s}, a: {rate: 1/s}}\n", "");
    assert_diff_of(mode_tables, "pools: {a: {rate: 1/s}}\n", "pools: {b: {rate: 1/s}}\n", POOLS);
    assert_diff_of(mode_tables, "pools: {a: {rate: 1/s}}\n",
                   "pools: {a: {rate: 1/s}, b: {rate: 1/s}}\n", POOLS);
    assert_diff_of(mode_tables, "headers: {a: x, b: null}\n", "headers: {b: null, a: x}\n", "");
    assert_diff_of(mode_tables, "headers: {a: x}\n", "headers: {a: null}\n",
                   "f:1:1: headers: takes effect after a restart\n");
#undef POOLS
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_diff_of_live_keys_is_silent),
        cmocka_unit_test(test_diff_names_each_restart_key_at_its_new_place),
        cmocka_unit_test(test_diff_of_entries_that_come_and_go_is_silent_in_a_live_list),
        cmocka_unit_test(test_diff_below_a_restart_key_reports_that_key_once),
        cmocka_unit_test(test_diff_of_tables_goes_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
