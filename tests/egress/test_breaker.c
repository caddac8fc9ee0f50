/* test_breaker.c: when calls are stopped, and how they come back.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "cmocka_all.h"
#include "egress/breaker.h"

#define START 1000000ull

/* Remembers the transitions it is told. */
struct test_observer {
    struct breaker_observer base;
    unsigned count;
    struct breaker_change last;
};

static void test_observer_changed(struct breaker_observer *self,
                                  const struct breaker_change *change)
{
    struct test_observer *observer = container_of(self, struct test_observer, base);
    observer->count++;
    observer->last = *change;
}

struct test_fixture {
    struct breaker breaker;
    struct random random;
    struct test_observer observer;
    uint64_t now_ms;
};

static struct breaker_options test_options(void)
{
    struct breaker_options options = BREAKER_OPTIONS_DEFAULT;
    options.volume_min = 10;
    options.slow_call_ms = 1000;
    return options;
}

static void test_start(struct test_fixture *f, const struct breaker_options *options)
{
    *f = (struct test_fixture){.now_ms = START, .observer.base.changed = test_observer_changed};
    random_init_seeded(&f->random, 1);
    assert_true(err_ok(breaker_options_validate(options, NULL)));
    breaker_init(&f->breaker, options, &f->observer.base, &f->random, f->now_ms);
}

static void test_start_usual(struct test_fixture *f)
{
    struct breaker_options options = test_options();
    test_start(f, &options);
}

static struct breaker_permit test_allowed(struct test_fixture *f)
{
    struct breaker_permit permit = {0};
    assert_true(err_ok(breaker_allow(&f->breaker, f->now_ms, &permit)));
    return permit;
}

static void test_refused(struct test_fixture *f)
{
    struct breaker_permit permit = {77, 77, 77};
    assert_true(err_is(breaker_allow(&f->breaker, f->now_ms, &permit), ERR_BREAKER_OPEN));
    assert_int_equal(permit.lease, 77); /* results are written on success only */
}

static void test_call(struct test_fixture *f, enum breaker_outcome outcome, uint64_t duration_ms)
{
    struct breaker_permit permit = test_allowed(f);
    breaker_record(&f->breaker, &permit, outcome, duration_ms, f->now_ms);
}

static enum breaker_state test_state(struct test_fixture *f)
{
    struct breaker_view view;
    breaker_look(&f->breaker, f->now_ms, &view);
    return view.state;
}

static void test_open(struct test_fixture *f)
{
    while (test_state(f) == BREAKER_CLOSED)
        test_call(f, BREAKER_FAILURE, 1);
    assert_int_equal(test_state(f), BREAKER_OPEN);
}

/* Lets the open time pass. */
static void test_wait_for_probes(struct test_fixture *f)
{
    f->now_ms += breaker_retry_after_ms(&f->breaker, f->now_ms);
}

static void test_breaker_opens_after_half_of_calls_fail(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start_usual(&f);
    for (unsigned i = 0; i < 51; i++)
        test_call(&f, BREAKER_SUCCESS, 1);
    for (unsigned i = 0; i < 50; i++) {
        test_call(&f, BREAKER_FAILURE, 1);
        assert_int_equal(test_state(&f), BREAKER_CLOSED);
    }
    test_call(&f, BREAKER_FAILURE, 1); /* 51 of 102: at the rate is enough */
    assert_int_equal(test_state(&f), BREAKER_OPEN);
    test_refused(&f);
    assert_int_equal(f.observer.count, 1);
    assert_int_equal(f.observer.last.from, BREAKER_CLOSED);
    assert_int_equal(f.observer.last.to, BREAKER_OPEN);
    assert_int_equal(f.observer.last.retry_after_ms, breaker_retry_after_ms(&f.breaker, f.now_ms));
}

static void test_breaker_below_minimum_volume_never_opens(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start_usual(&f);
    for (unsigned i = 0; i < 9; i++)
        test_call(&f, BREAKER_FAILURE, 1);
    struct breaker_view view;
    breaker_look(&f.breaker, f.now_ms, &view);
    assert_int_equal(view.state, BREAKER_CLOSED);
    assert_int_equal(view.failed, 9);
    assert_int_equal(view.failure_rate_percent, 0);
    test_call(&f, BREAKER_SUCCESS, 1); /* the tenth call completes the volume, and 90 % failed */
    assert_int_equal(test_state(&f), BREAKER_OPEN);
}

static void test_breaker_forgets_what_left_the_window(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start_usual(&f);
    for (unsigned i = 0; i < 9; i++)
        test_call(&f, BREAKER_FAILURE, 1);
    f.now_ms += 29000;
    struct breaker_view view;
    breaker_look(&f.breaker, f.now_ms, &view);
    assert_int_equal(view.volume, 9);
    f.now_ms += 1000;
    breaker_look(&f.breaker, f.now_ms, &view);
    assert_int_equal(view.volume, 0);
    for (unsigned i = 0; i < 9; i++)
        test_call(&f, BREAKER_FAILURE, 1);
    assert_int_equal(test_state(&f), BREAKER_CLOSED);
}

static void test_breaker_old_counts_do_not_come_back_when_epochs_come_round(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start_usual(&f);
    for (unsigned i = 0; i < 9; i++)
        test_call(&f, BREAKER_FAILURE, 1);
    f.now_ms += 1000ull * BREAKER_BUCKETS * 8192;
    test_call(&f, BREAKER_FAILURE, 1);
    struct breaker_view view;
    breaker_look(&f.breaker, f.now_ms, &view);
    assert_int_equal(view.state, BREAKER_CLOSED);
    assert_int_equal(view.volume, 1);
}

static void test_breaker_opens_by_slow_calls_that_succeed(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start_usual(&f);
    test_call(&f, BREAKER_SUCCESS, 999);
    test_call(&f, BREAKER_SUCCESS, 999);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(test_state(&f), BREAKER_CLOSED);
        test_call(&f, BREAKER_SUCCESS, 1000);
    }
    assert_int_equal(test_state(&f), BREAKER_OPEN); /* 8 of 10 slow = 80 % */
}

static void test_breaker_rate_of_zero_switches_a_cause_off(void **state)
{
    (void)state;
    struct test_fixture f;
    struct breaker_options options = test_options();
    options.failure_rate_percent = 0;
    options.slow_rate_percent = 0;
    test_start(&f, &options);
    for (unsigned i = 0; i < 100; i++)
        test_call(&f, BREAKER_FAILURE, 100000);
    assert_int_equal(test_state(&f), BREAKER_CLOSED);
}

static void test_breaker_ignored_outcomes_count_neither_way(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start_usual(&f);
    for (unsigned i = 0; i < 100; i++)
        test_call(&f, BREAKER_IGNORED, 100000);
    struct breaker_view view;
    breaker_look(&f.breaker, f.now_ms, &view);
    assert_int_equal(view.volume, 0);
    for (unsigned i = 0; i < 10; i++)
        test_call(&f, BREAKER_FAILURE, 1);
    assert_int_equal(test_state(&f), BREAKER_OPEN);
}

static void test_breaker_status_429_does_not_trip(void **state)
{
    (void)state;
    assert_int_equal(breaker_outcome_of_status(429), BREAKER_IGNORED);
    static const unsigned good[] = {200, 204, 301, 304, 400, 401, 404, 409, 422, 501, 505};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_int_equal(breaker_outcome_of_status(good[i]), BREAKER_SUCCESS);
    static const unsigned bad[] = {408, 500, 502, 503, 504, 507, 529};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(breaker_outcome_of_status(bad[i]), BREAKER_FAILURE);
}

static void test_breaker_lets_probes_through_when_the_open_time_is_over(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start_usual(&f);
    test_open(&f);
    uint64_t wait_ms = breaker_retry_after_ms(&f.breaker, f.now_ms);
    assert_in_range(wait_ms, 24000, 36000);
    f.now_ms += wait_ms - 1;
    test_refused(&f);
    f.now_ms += 1;
    struct breaker_permit permits[3];
    for (unsigned i = 0; i < 3; i++) {
        permits[i] = test_allowed(&f);
        assert_int_not_equal(permits[i].lease, 0);
    }
    assert_int_equal(test_state(&f), BREAKER_HALF_OPEN);
    test_refused(&f);
    assert_in_range(breaker_retry_after_ms(&f.breaker, f.now_ms), 1, 1000);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(test_state(&f), BREAKER_HALF_OPEN);
        breaker_record(&f.breaker, &permits[i], BREAKER_SUCCESS, 1, f.now_ms);
    }
    assert_int_equal(test_state(&f), BREAKER_CLOSED);
    assert_int_equal(f.observer.count, 3);
    /* The failures from before do not count any more. */
    for (unsigned i = 0; i < 9; i++)
        test_call(&f, BREAKER_FAILURE, 1);
    assert_int_equal(test_state(&f), BREAKER_CLOSED);
}

static void test_breaker_opens_again_when_enough_probes_fail_or_are_slow(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start_usual(&f);
    test_open(&f);
    test_wait_for_probes(&f);
    test_call(&f, BREAKER_FAILURE, 1);
    assert_int_equal(test_state(&f), BREAKER_HALF_OPEN); /* 1 of 3 is below 50 % */
    test_call(&f, BREAKER_SUCCESS, 1);
    test_call(&f, BREAKER_FAILURE, 1);
    assert_int_equal(test_state(&f), BREAKER_OPEN);
    test_wait_for_probes(&f);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(i == 0 || test_state(&f) == BREAKER_HALF_OPEN);
        test_call(&f, BREAKER_SUCCESS, 5000);
    }
    assert_int_equal(test_state(&f), BREAKER_OPEN);
}

static void test_breaker_open_time_doubles_with_jitter_up_to_the_maximum(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start_usual(&f);
    test_open(&f);
    uint64_t base_ms = 30000;
    bool is_jittered = false;
    for (unsigned round = 0; round < 40; round++) {
        uint64_t wait_ms = breaker_retry_after_ms(&f.breaker, f.now_ms);
        assert_in_range(wait_ms, base_ms * 8 / 10, base_ms * 12 / 10);
        is_jittered = is_jittered || wait_ms != base_ms;
        test_wait_for_probes(&f);
        test_call(&f, BREAKER_FAILURE, 1);
        test_call(&f, BREAKER_FAILURE, 1);
        assert_int_equal(test_state(&f), BREAKER_OPEN);
        base_ms = base_ms * 2 < 300000 ? base_ms * 2 : 300000;
    }
    assert_true(is_jittered);
    /* Once closed, it starts from the beginning. */
    test_wait_for_probes(&f);
    for (unsigned i = 0; i < 3; i++)
        test_call(&f, BREAKER_SUCCESS, 1);
    test_open(&f);
    assert_in_range(breaker_retry_after_ms(&f.breaker, f.now_ms), 24000, 36000);
}

static void test_breaker_unreturned_probe_loses_its_place_at_its_deadline(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start_usual(&f);
    test_open(&f);
    test_wait_for_probes(&f);
    struct breaker_permit lost = test_allowed(&f);
    (void)test_allowed(&f);
    (void)test_allowed(&f);
    f.now_ms += 59999;
    test_refused(&f);
    f.now_ms += 1;
    for (unsigned i = 0; i < 2; i++)
        test_call(&f, BREAKER_SUCCESS, 1);
    struct breaker_permit last = test_allowed(&f);
    /* The lost one reports after all: it must not free the place of the one that has it now. */
    struct breaker_view view;
    breaker_record(&f.breaker, &lost, BREAKER_IGNORED, 1, f.now_ms);
    breaker_look(&f.breaker, f.now_ms, &view);
    assert_int_equal(view.probes_in_flight, 1);
    breaker_record(&f.breaker, &last, BREAKER_SUCCESS, 1, f.now_ms);
    assert_int_equal(test_state(&f), BREAKER_CLOSED);
}

static void test_breaker_ignored_probe_gives_its_place_back(void **state)
{
    (void)state;
    struct test_fixture f;
    struct breaker_options options = test_options();
    options.probe_count = 1;
    test_start(&f, &options);
    test_open(&f);
    test_wait_for_probes(&f);
    for (unsigned i = 0; i < 1000; i++)
        test_call(&f, BREAKER_IGNORED, 1);
    assert_int_equal(test_state(&f), BREAKER_HALF_OPEN);
    test_call(&f, BREAKER_SUCCESS, 1);
    assert_int_equal(test_state(&f), BREAKER_CLOSED);
}

static void test_breaker_late_report_of_an_earlier_state_changes_nothing(void **state)
{
    (void)state;
    struct test_fixture f;
    struct breaker_options options = test_options();
    options.probe_count = 1;
    test_start(&f, &options);
    struct breaker_permit early = test_allowed(&f);
    test_open(&f);
    test_wait_for_probes(&f);
    struct breaker_permit probe = test_allowed(&f);
    breaker_record(&f.breaker, &early, BREAKER_SUCCESS, 1, f.now_ms);
    assert_int_equal(test_state(&f), BREAKER_HALF_OPEN);
    breaker_force(&f.breaker, BREAKER_CLOSED, f.now_ms);
    breaker_record(&f.breaker, &probe, BREAKER_FAILURE, 1, f.now_ms);
    assert_int_equal(test_state(&f), BREAKER_CLOSED);
}

static void test_breaker_forced_states_stay_until_released(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start_usual(&f);
    breaker_force(&f.breaker, BREAKER_FORCED_OPEN, f.now_ms);
    f.now_ms += 10000000;
    test_refused(&f);
    assert_true(breaker_retry_after_ms(&f.breaker, f.now_ms) == UINT64_MAX);
    breaker_force(&f.breaker, BREAKER_FORCED_CLOSED, f.now_ms);
    for (unsigned i = 0; i < 100; i++)
        test_call(&f, BREAKER_FAILURE, 1);
    struct breaker_view view;
    breaker_look(&f.breaker, f.now_ms, &view);
    assert_int_equal(view.state, BREAKER_FORCED_CLOSED);
    assert_int_equal(view.failed, 100);
    assert_int_equal(view.failure_rate_percent, 100);
    breaker_force(&f.breaker, BREAKER_CLOSED, f.now_ms);
    test_call(&f, BREAKER_FAILURE, 1);
    assert_int_equal(test_state(&f), BREAKER_CLOSED);
    assert_int_equal(f.observer.count, 3);
    breaker_force(&f.breaker, BREAKER_CLOSED, f.now_ms); /* it is already: no event */
    assert_int_equal(f.observer.count, 3);
}

static void test_breaker_view_tells_state_rates_and_next_probe(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start_usual(&f);
    for (unsigned i = 0; i < 30; i++)
        test_call(&f, BREAKER_SUCCESS, i < 6 ? 2000 : 1);
    for (unsigned i = 0; i < 10; i++)
        test_call(&f, BREAKER_FAILURE, 1);
    struct breaker_view view;
    breaker_look(&f.breaker, f.now_ms, &view);
    assert_int_equal(view.volume, 40);
    assert_int_equal(view.failure_rate_percent, 25);
    assert_int_equal(view.slow_rate_percent, 15);
    assert_int_equal(view.since_ms, START);
    f.now_ms += 5;
    test_open(&f);
    test_refused(&f);
    breaker_look(&f.breaker, f.now_ms, &view);
    assert_int_equal(view.since_ms, START + 5);
    assert_int_equal(view.next_probe_ms, f.now_ms + breaker_retry_after_ms(&f.breaker, f.now_ms));
    assert_int_equal(view.opened_count, 1);
    assert_int_equal(view.refused_count, 1);
    assert_string_equal(breaker_state_text(view.state), "open");
}

static void test_breaker_many_calls_in_a_bucket_keep_their_rate(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start_usual(&f);
    for (unsigned i = 0; i < 400000; i++)
        test_call(&f, i % 4 == 0 ? BREAKER_FAILURE : BREAKER_SUCCESS, 1);
    struct breaker_view view;
    breaker_look(&f.breaker, f.now_ms, &view);
    assert_int_equal(view.state, BREAKER_CLOSED);
    assert_int_equal(view.volume, 131071);
    assert_in_range(view.failure_rate_percent, 24, 25);
}

static void test_breaker_options_have_ranges(void **state)
{
    (void)state;
    struct breaker_options o = BREAKER_OPTIONS_DEFAULT;
    assert_true(err_ok(breaker_options_validate(&o, NULL)));
#define REFUSED(field, bad)                                                                        \
    do {                                                                                           \
        struct breaker_options changed = o;                                                        \
        struct fault why = {0};                                                                    \
        changed.field = (bad);                                                                     \
        assert_true(err_is(breaker_options_validate(&changed, &why), ERR_INVALID));                \
        assert_true(why.text[0] != '\0');                                                          \
    } while (0)
    REFUSED(window_ms, 29);
    REFUSED(window_ms, 3600001);
    REFUSED(volume_min, 0);
    REFUSED(failure_rate_percent, 101);
    REFUSED(slow_rate_percent, 101);
    REFUSED(slow_call_ms, 0);
    REFUSED(open_ms, 0);
    REFUSED(open_ms, 300001);
    REFUSED(open_max_ms, 86400001);
    REFUSED(jitter_percent, 91);
    REFUSED(probe_count, 0);
    REFUSED(probe_count, 9);
    REFUSED(probe_lease_ms, 0);
#undef REFUSED
}

struct test_shared {
    struct breaker *breaker;
    _Atomic uint64_t *clock_ms;
    atomic_int in_flight;
    atomic_int most;
    atomic_uint probes;
};

static void *test_probe_thread(void *arg)
{
    struct test_shared *shared = arg;
    struct random random;
    random_init_seeded(&random, (uint64_t)(uintptr_t)&random);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t now_ms = atomic_fetch_add(shared->clock_ms, 1);
        struct breaker_permit permit;
        if (!err_ok(breaker_allow(shared->breaker, now_ms, &permit)))
            continue;
        bool is_probe = permit.lease != 0;
        if (is_probe) {
            int now_in_flight = atomic_fetch_add(&shared->in_flight, 1) + 1;
            int most = atomic_load(&shared->most);
            while (now_in_flight > most &&
                   !atomic_compare_exchange_weak(&shared->most, &most, now_in_flight))
                ;
            atomic_fetch_add(&shared->probes, 1);
            atomic_fetch_sub(&shared->in_flight, 1);
        }
        enum breaker_outcome outcome = random_below(&random, 4) == 0   ? BREAKER_IGNORED
                                       : random_below(&random, 2) == 0 ? BREAKER_FAILURE
                                                                       : BREAKER_SUCCESS;
        breaker_record(shared->breaker, &permit, outcome, 1, now_ms);
    }
    return NULL;
}

static void test_breaker_never_has_more_probes_in_flight_than_allowed(void **state)
{
    (void)state;
    struct test_fixture f;
    struct breaker_options options = test_options();
    options.window_ms = 300;
    options.open_ms = 3;
    options.open_max_ms = 10;
    options.probe_lease_ms = 100000;
    f.now_ms = START;
    random_init_seeded(&f.random, 3);
    breaker_init(&f.breaker, &options, NULL, &f.random, START);
    _Atomic uint64_t clock_ms = START;
    struct test_shared shared = {.breaker = &f.breaker, .clock_ms = &clock_ms};
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, test_probe_thread, &shared), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    struct breaker_view view;
    breaker_look(&f.breaker, clock_ms, &view);
    print_message("%u probes, at most %d in flight, opened %llu times\n", shared.probes,
                  shared.most, (unsigned long long)view.opened_count);
    assert_true(shared.probes > 100);
    assert_in_range(shared.most, 1, 3);
    assert_int_equal(view.probes_in_flight, 0);
    assert_true(view.opened_count > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_breaker_opens_after_half_of_calls_fail),
        cmocka_unit_test(test_breaker_below_minimum_volume_never_opens),
        cmocka_unit_test(test_breaker_forgets_what_left_the_window),
        cmocka_unit_test(test_breaker_old_counts_do_not_come_back_when_epochs_come_round),
        cmocka_unit_test(test_breaker_opens_by_slow_calls_that_succeed),
        cmocka_unit_test(test_breaker_rate_of_zero_switches_a_cause_off),
        cmocka_unit_test(test_breaker_ignored_outcomes_count_neither_way),
        cmocka_unit_test(test_breaker_status_429_does_not_trip),
        cmocka_unit_test(test_breaker_lets_probes_through_when_the_open_time_is_over),
        cmocka_unit_test(test_breaker_opens_again_when_enough_probes_fail_or_are_slow),
        cmocka_unit_test(test_breaker_open_time_doubles_with_jitter_up_to_the_maximum),
        cmocka_unit_test(test_breaker_unreturned_probe_loses_its_place_at_its_deadline),
        cmocka_unit_test(test_breaker_ignored_probe_gives_its_place_back),
        cmocka_unit_test(test_breaker_late_report_of_an_earlier_state_changes_nothing),
        cmocka_unit_test(test_breaker_forced_states_stay_until_released),
        cmocka_unit_test(test_breaker_view_tells_state_rates_and_next_probe),
        cmocka_unit_test(test_breaker_many_calls_in_a_bucket_keep_their_rate),
        cmocka_unit_test(test_breaker_options_have_ranges),
        cmocka_unit_test(test_breaker_never_has_more_probes_in_flight_than_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
