/* test_target.c: what takes a target out, and what brings it back.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "egress/target.h"

#define NOW 1000000ull

static void test_target_starts_up_and_keeps_its_address(void **state)
{
    (void)state;
    char address[] = "127.0.0.1:3000";
    struct target *t = target_new(span_from(address));
    address[0] = 'x';
    assert_true(span_eq(t->address, SPAN("127.0.0.1:3000")));
    assert_string_equal(t->address.at, "127.0.0.1:3000");
    assert_int_equal(target_state(t, NOW), TARGET_UP);
    assert_true(target_is_available(t, 0));
    struct target_view view;
    target_look(t, NOW, &view);
    assert_string_equal(view.reason, "");
    assert_true(view.is_check_passing);
    target_ref(t);
    target_unref(t);
    target_unref(t);
    target_unref(NULL);
}

static void test_target_state_is_the_worst_of_its_reasons(void **state)
{
    (void)state;
    struct target *t = target_new(SPAN("a"));
    struct target_outlier_options options = TARGET_OUTLIER_DEFAULT;
    target_eject(t, &options, NOW);
    assert_int_equal(target_state(t, NOW), TARGET_EJECTED);
    target_pause(t, 1000, NOW);
    assert_int_equal(target_state(t, NOW), TARGET_PAUSED);
    target_check_result(t, false, 1, 1);
    assert_int_equal(target_state(t, NOW), TARGET_DOWN);
    target_drain(t, true);
    assert_int_equal(target_state(t, NOW), TARGET_DRAINING);
    struct target_view view;
    target_look(t, NOW, &view);
    assert_string_equal(view.reason, "an operator drains it");
    assert_string_equal(target_state_text(view.state), "draining");
    target_drain(t, false);
    target_check_result(t, true, 1, 1);
    assert_int_equal(target_state(t, NOW + 999), TARGET_PAUSED);
    target_look(t, NOW, &view);
    assert_int_equal(view.until_ms, NOW + 1000);
    assert_int_equal(target_state(t, NOW + 1000), TARGET_EJECTED);
    assert_int_equal(target_state(t, NOW + 30000), TARGET_UP);
    target_unref(t);
}

static void test_target_checks_need_rise_and_fall_in_a_row(void **state)
{
    (void)state;
    struct target *t = target_new(SPAN("a"));
    assert_false(target_check_result(t, false, 2, 3));
    assert_false(target_check_result(t, false, 2, 3));
    assert_false(target_check_result(t, true, 2, 3)); /* breaks the row */
    assert_false(target_check_result(t, false, 2, 3));
    assert_false(target_check_result(t, false, 2, 3));
    assert_int_equal(target_state(t, NOW), TARGET_UP);
    assert_true(target_check_result(t, false, 2, 3));
    assert_int_equal(target_state(t, NOW), TARGET_DOWN);
    assert_false(target_check_result(t, false, 2, 3));
    assert_false(target_check_result(t, true, 2, 3));
    assert_false(target_check_result(t, false, 2, 3));
    assert_false(target_check_result(t, true, 2, 3));
    assert_int_equal(target_state(t, NOW), TARGET_DOWN);
    assert_true(target_check_result(t, true, 2, 3));
    assert_int_equal(target_state(t, NOW), TARGET_UP);
    struct target_view view;
    target_look(t, NOW, &view);
    assert_int_equal(view.check_run, 2);
    assert_int_equal(view.down_count, 1);
    target_unref(t);
}

static void test_target_counts_failures_in_a_row(void **state)
{
    (void)state;
    struct target *t = target_new(SPAN("a"));
    static const struct {
        enum target_outcome outcome;
        unsigned in_a_row;
    } steps[] = {{TARGET_FAILURE, 1}, {TARGET_NO_CONNECT, 2}, {TARGET_IGNORED, 2},
                 {TARGET_FAILURE, 3}, {TARGET_SUCCESS, 0},    {TARGET_IGNORED, 0},
                 {TARGET_FAILURE, 1}};
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        target_begin(t);
        assert_int_equal(t->in_flight, 1);
        assert_int_equal(target_finish(t, steps[i].outcome, 800), steps[i].in_a_row);
    }
    struct target_view view;
    target_look(t, NOW, &view);
    assert_int_equal(view.in_flight, 0);
    assert_int_equal(view.tries, 7);
    assert_int_equal(view.failures, 4);
    assert_int_equal(view.connect_failures, 1);
    assert_int_equal(view.latency_us, 800);
    target_begin(t);
    target_finish(t, TARGET_SUCCESS, 1600);
    target_look(t, NOW, &view);
    assert_int_equal(view.latency_us, 900);
    target_unref(t);
}

static void test_target_ejection_grows_to_its_maximum_and_good_conduct_forgives(void **state)
{
    (void)state;
    struct target *t = target_new(SPAN("a"));
    struct target_outlier_options options = {
        .failures_in_a_row = 5, .eject_ms = 1000, .eject_max_ms = 3500, .ejected_max_percent = 50};
    uint64_t now_ms = NOW;
    static const uint64_t times_ms[] = {1000, 2000, 3000, 3500, 3500, 3500};
    for (size_t i = 0; i < COUNT_OF(times_ms); i++) {
        uint64_t until_ms = target_eject(t, &options, now_ms);
        assert_int_equal(until_ms, now_ms + times_ms[i]);
        assert_int_equal(target_state(t, until_ms - 1), TARGET_EJECTED);
        assert_int_equal(target_state(t, until_ms), TARGET_UP);
        now_ms = until_ms;
    }
    now_ms += 2500; /* forgives two of the four that count at most */
    assert_int_equal(target_eject(t, &options, now_ms), now_ms + 3000);
    now_ms += 3000 + 60000;
    assert_int_equal(target_eject(t, &options, now_ms), now_ms + 1000);
    struct target_view view;
    target_look(t, now_ms, &view);
    assert_int_equal(view.ejected_count, 8);
    target_unref(t);
}

static void test_target_pause_is_never_shortened(void **state)
{
    (void)state;
    struct target *t = target_new(SPAN("a"));
    target_pause(t, 5000, NOW);
    target_pause(t, 1000, NOW);
    assert_int_equal(target_state(t, NOW + 4999), TARGET_PAUSED);
    assert_int_equal(target_state(t, NOW + 5000), TARGET_UP);
    struct target_view view;
    target_look(t, NOW, &view);
    assert_int_equal(view.paused_count, 1);
    target_unref(t);
}

static void test_target_tells_how_the_last_check_ended_until_it_is_forgotten(void **state)
{
    (void)state;
    struct target *t = target_new(SPAN("a:1"));
    struct target_view v;
    target_look(t, NOW, &v);
    assert_int_equal(v.check, TARGET_CHECK_NONE);
    target_check_tell(t, TARGET_CHECK_STATUS, 503);
    assert_true(target_check_result(t, false, 1, 1));
    target_look(t, NOW, &v);
    assert_int_equal(v.check, TARGET_CHECK_STATUS);
    assert_int_equal(v.check_status, 503);
    assert_string_equal(target_check_text(v.check), "status");
    assert_int_equal(v.state, TARGET_DOWN);
    target_check_forget(t);
    target_look(t, NOW, &v);
    assert_int_equal(v.state, TARGET_UP);
    assert_int_equal(v.check, TARGET_CHECK_NONE);
    assert_int_equal(v.check_run, 0);
    assert_true(v.is_check_passing);
    target_unref(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_target_starts_up_and_keeps_its_address),
        cmocka_unit_test(test_target_state_is_the_worst_of_its_reasons),
        cmocka_unit_test(test_target_checks_need_rise_and_fall_in_a_row),
        cmocka_unit_test(test_target_tells_how_the_last_check_ended_until_it_is_forgotten),
        cmocka_unit_test(test_target_counts_failures_in_a_row),
        cmocka_unit_test(test_target_ejection_grows_to_its_maximum_and_good_conduct_forgives),
        cmocka_unit_test(test_target_pause_is_never_shortened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
