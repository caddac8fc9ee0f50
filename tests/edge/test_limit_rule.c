/* test_limit_rule.c: what a rule accepts, how it is laid out, and when two rules are one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "edge/limit_cell.h"
#include "edge/limit_rule.h"

#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static struct limit_rule test_rule(const struct limit_rule_options *options)
{
    struct limit_rule rule;
    struct fault why = {0};
    assert_true(err_ok(limit_rule_init(&rule, options, &why)));
    return rule;
}

static bool test_is_valid(uint32_t count, uint64_t window_ms)
{
    struct limit_rule_options options = {
        .name = SPAN("r"), .windows = {{count, window_ms}}, .window_count = 1};
    struct limit_rule rule;
    struct fault why = {0};
    err outcome = limit_rule_init(&rule, &options, &why);
    assert_true(err_ok(outcome) || (err_is(outcome, ERR_INVALID) && why.text[0] != '\0'));
    return err_ok(outcome);
}

static void test_limit_rule_bounds_count_and_window(void **state)
{
    (void)state;
    assert_false(test_is_valid(0, SECOND));
    assert_true(test_is_valid(1, SECOND));
    assert_true(test_is_valid(LIMIT_COUNT_MAX, SECOND));
    assert_false(test_is_valid(LIMIT_COUNT_MAX + 1, SECOND));
    assert_false(test_is_valid(1, 0));
    assert_true(test_is_valid(1, 1));
    assert_true(test_is_valid(1, LIMIT_WINDOW_MAX_MS));
    assert_false(test_is_valid(1, LIMIT_WINDOW_MAX_MS + 1));
}

static void test_limit_rule_needs_one_to_four_different_windows(void **state)
{
    (void)state;
    struct limit_rule_options options = {.name = SPAN("r"),
                                         .windows = {{1, SECOND}, {2, MINUTE}, {3, HOUR}, {4, DAY}},
                                         .window_count = 4};
    struct limit_rule rule;
    assert_true(err_ok(limit_rule_init(&rule, &options, NULL)));
    options.window_count = 0;
    assert_true(err_is(limit_rule_init(&rule, &options, NULL), ERR_INVALID));
    options.window_count = 5;
    assert_true(err_is(limit_rule_init(&rule, &options, NULL), ERR_INVALID));
    options.window_count = 3;
    options.windows[2].window_ms = SECOND;
    assert_true(err_is(limit_rule_init(&rule, &options, NULL), ERR_INVALID));
}

static void test_limit_rule_windows_fit_the_cell_and_hold_their_count(void **state)
{
    (void)state;
    static const uint32_t counts[] = {
        1,   2,   7,    8,    9,    10,    31,    32,      33,       100,
        255, 256, 1000, 7905, 7906, 65535, 65536, 1000000, 16777215,
    };
    static_assert(LIMIT_COUNT_MAX == 16777215, "the last count is the largest");
    for (size_t a = 0; a < COUNT_OF(counts); a++) {
        for (size_t b = 0; b < COUNT_OF(counts); b++) {
            for (unsigned n = 1; n <= LIMIT_WINDOW_MAX; n++) {
                struct limit_rule_options options = {.name = SPAN("r"),
                                                     .windows = {{counts[a], SECOND},
                                                                 {counts[b], MINUTE},
                                                                 {counts[a], HOUR},
                                                                 {counts[b], DAY}},
                                                     .window_count = n};
                struct limit_rule rule = test_rule(&options);
                bool is_used[LIMIT_CELL_BYTES] = {false};
                for (unsigned i = 0; i < n; i++) {
                    const struct limit_window *w = &rule.windows[i];
                    assert_true((uint64_t)w->group_size * w->group_count >= w->count);
                    assert_true(w->fill_bytes > 0 || w->group_size == 1);
                    assert_true(w->fill_bytes == 0 || w->group_size < 1u << 8 * w->fill_bytes);
                    assert_true((uint64_t)(w->life_ticks - 1) * w->tick_ms >= w->window_ms);
                    for (unsigned k = 0; k < (unsigned)w->fill_bytes + w->group_count; k++) {
                        assert_true(w->offset + k < LIMIT_CELL_BYTES);
                        assert_false(is_used[w->offset + k]);
                        is_used[w->offset + k] = true;
                    }
                }
            }
        }
    }
}

static void test_limit_rule_small_counts_are_kept_exactly(void **state)
{
    (void)state;
    struct limit_rule_options login = {
        .name = SPAN("auth"), .windows = {{5, MINUTE}}, .window_count = 1};
    assert_int_equal(test_rule(&login).windows[0].group_size, 1);
    struct limit_rule_options three = {.name = SPAN("three"),
                                       .windows = {{1000, HOUR}, {10, SECOND}, {100, MINUTE}},
                                       .window_count = 3};
    struct limit_rule rule = test_rule(&three);
    assert_int_equal(rule.windows[0].window_ms, SECOND);
    assert_int_equal(rule.windows[0].group_size, 1);
    assert_int_equal(rule.windows[1].group_size, 10);
    assert_int_equal(rule.windows[2].group_size, 100);
}

static void test_limit_rule_identity_is_name_and_windows_in_any_order(void **state)
{
    (void)state;
    struct limit_rule_options a = {
        .name = SPAN("api"), .windows = {{10, SECOND}, {100, MINUTE}}, .window_count = 2};
    struct limit_rule_options b = {.name = SPAN("api"),
                                   .windows = {{100, MINUTE}, {10, SECOND}},
                                   .window_count = 2,
                                   .is_shadow = true};
    struct limit_rule_options c = a, d = a;
    c.name = SPAN("apis");
    d.windows[0].count = 11;
    struct limit_rule ra = test_rule(&a), rb = test_rule(&b), rc = test_rule(&c),
                      rd = test_rule(&d);
    assert_int_equal(limit_rule_key(&ra, SPAN("x")), limit_rule_key(&rb, SPAN("x")));
    assert_int_not_equal(limit_rule_key(&ra, SPAN("x")), limit_rule_key(&ra, SPAN("y")));
    assert_int_not_equal(limit_rule_key(&ra, SPAN("x")), limit_rule_key(&rc, SPAN("x")));
    assert_int_not_equal(limit_rule_key(&ra, SPAN("x")), limit_rule_key(&rd, SPAN("x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_rule_bounds_count_and_window),
        cmocka_unit_test(test_limit_rule_needs_one_to_four_different_windows),
        cmocka_unit_test(test_limit_rule_windows_fit_the_cell_and_hold_their_count),
        cmocka_unit_test(test_limit_rule_small_counts_are_kept_exactly),
        cmocka_unit_test(test_limit_rule_identity_is_name_and_windows_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
