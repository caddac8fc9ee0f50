/* test_limit_table.c: never more than the count in any window, and not needlessly fewer.
 *
 * The properties are checked on seeded random traffic against a full log of what was admitted;
 * a failure prints the seed of its trace.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>

#include "cmocka_all.h"
#include "core/fault_point.h"
#include "core/mem.h"
#include "core/random.h"
#include "edge/limit_table.h"

#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define START  (123456789ull)

static struct limit_rule test_rule_of(const struct limit_window_options *windows, unsigned count)
{
    struct limit_rule_options options = {.name = SPAN("rule"), .window_count = count};
    memcpy(options.windows, windows, count * sizeof *windows);
    struct limit_rule rule;
    assert_true(err_ok(limit_rule_init(&rule, &options, NULL)));
    return rule;
}

static struct limit_rule test_rule(uint32_t count, uint64_t window_ms)
{
    struct limit_window_options window = {count, window_ms};
    return test_rule_of(&window, 1);
}

static struct limit_table *test_table(size_t max_keys)
{
    struct limit_table *t = NULL;
    assert_true(err_ok(limit_table_new(max_keys, &t)));
    return t;
}

static bool test_admit(struct limit_table *t, const struct limit_rule *rule, uint64_t now_ms)
{
    struct limit_verdict v;
    limit_table_admit(t, rule, 42, now_ms, &v);
    assert_int_equal(v.is_admitted, !v.is_exceeded);
    return v.is_admitted;
}

/* How many of `tries` requests at one instant pass. */
static unsigned test_burst(struct limit_table *t, const struct limit_rule *rule, uint64_t now_ms,
                           unsigned tries)
{
    unsigned admitted = 0;
    for (unsigned i = 0; i < tries; i++)
        admitted += test_admit(t, rule, now_ms);
    return admitted;
}

/* All that was admitted, and the check of the promise after each addition. */
struct test_log {
    uint64_t *at_ms;
    size_t count;
    size_t max;
};

static void test_log_add(struct test_log *log, uint64_t at_ms)
{
    assert_true(log->count < log->max);
    log->at_ms[log->count++] = at_ms;
}

static bool test_log_keeps(const struct test_log *log, const struct limit_rule *rule)
{
    for (unsigned i = 0; i < rule->window_count; i++) {
        const struct limit_window *w = &rule->windows[i];
        for (size_t k = w->count; k < log->count; k++) {
            if (log->at_ms[k] - log->at_ms[k - w->count] <= w->window_ms)
                return false;
        }
    }
    return true;
}

/* Time until the next request: bursts, pacing, the edges of ticks and windows, and idleness. */
static uint64_t test_gap(struct random *random, const struct limit_rule *rule, uint64_t now_ms)
{
    const struct limit_window *w = &rule->windows[random_below(random, rule->window_count)];
    switch (random_below(random, 9)) {
    case 0:
    case 1:
    case 2:
        return 0;
    case 3:
        return random_below(random, 2 * w->window_ms / w->count + 2);
    case 4:
        return w->tick_ms - now_ms % w->tick_ms - random_below(random, 2);
    case 5:
        return random_below(random, w->window_ms / 4 + 1);
    case 6:
        return w->window_ms - (w->window_ms > 1 ? 2 : 1) + random_below(random, 4 + w->tick_ms);
    case 7:
        return random_below(random, 3);
    default:
        return random_below(random, 64) == 0 ? 2 * w->window_ms : random_below(random, w->tick_ms);
    }
}

static void test_one_trace(uint64_t seed, const struct limit_rule *rule, unsigned steps)
{
    struct random random;
    random_init_seeded(&random, seed);
    struct limit_table *t = test_table(1);
    struct test_log log = {mem_alloc(steps * sizeof(uint64_t)), 0, steps};
    uint64_t now_ms = START + random_below(&random, DAY);
    for (unsigned i = 0; i < steps; i++) {
        now_ms += test_gap(&random, rule, now_ms);
        struct limit_verdict peeked, v;
        limit_table_peek(t, rule, 42, now_ms, &peeked);
        limit_table_admit(t, rule, 42, now_ms, &v);
        if (peeked.is_admitted != v.is_admitted)
            fail_msg("seed %llu: peek and admit differ", (unsigned long long)seed);
        if (v.is_admitted) {
            test_log_add(&log, now_ms);
            continue;
        }
        /* The stated wait is enough, and a millisecond less is not: it asks for no more. */
        limit_table_peek(t, rule, 42, now_ms + v.retry_after_ms, &peeked);
        if (!peeked.is_admitted)
            fail_msg("seed %llu: refused after the stated wait", (unsigned long long)seed);
        limit_table_peek(t, rule, 42, now_ms + v.retry_after_ms - 1, &peeked);
        if (peeked.is_admitted)
            fail_msg("seed %llu: the stated wait is too long", (unsigned long long)seed);
    }
    if (!test_log_keeps(&log, rule))
        fail_msg("seed %llu: more than the count in a window", (unsigned long long)seed);
    mem_free(log.at_ms);
    limit_table_free(t);
}

static void test_limit_table_never_admits_more_than_count_in_any_window(void **state)
{
    (void)state;
    static const struct {
        struct limit_window_options windows[LIMIT_WINDOW_MAX];
        unsigned count;
    } cases[] = {
        {{{1, SECOND}}, 1},
        {{{5, MINUTE}}, 1},
        {{{32, MINUTE}}, 1},
        {{{33, MINUTE}}, 1},
        {{{100, SECOND}}, 1},
        {{{100, MINUTE}}, 1},
        {{{3, 1}}, 1},
        {{{7, 10}}, 1},
        {{{50, 253}}, 1},
        {{{50, 255}}, 1},
        {{{300, 12345}}, 1},
        {{{10, SECOND}, {100, MINUTE}}, 2},
        {{{10, SECOND}, {100, MINUTE}, {500, HOUR}}, 3},
        {{{3, SECOND}, {20, MINUTE}, {60, HOUR}, {200, DAY}}, 4},
    };
    for (uint64_t seed = 1; seed <= 20; seed++) {
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            struct limit_rule rule = test_rule_of(cases[i].windows, cases[i].count);
            test_one_trace(seed * 1000 + i, &rule, 2000);
        }
    }
}

static void test_limit_table_admits_the_whole_count_at_once_from_idle(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 5, 31, 32, 33, 100, 254, 255, 256, 1000, 65537};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct limit_rule rule = test_rule(counts[i], MINUTE);
        struct limit_table *t = test_table(1);
        assert_int_equal(test_burst(t, &rule, START, counts[i] - 1), counts[i] - 1);
        assert_true(test_admit(t, &rule, START));
        assert_false(test_admit(t, &rule, START));
        assert_false(test_admit(t, &rule, START + MINUTE));
        assert_int_equal(test_burst(t, &rule, START + MINUTE + MINUTE / 100, counts[i] + 1),
                         counts[i]);
        limit_table_free(t);
    }
}

static void test_limit_table_burst_comes_back_within_two_ticks_of_the_window(void **state)
{
    (void)state;
    static const uint64_t windows_ms[] = {SECOND, MINUTE, HOUR, DAY};
    for (size_t i = 0; i < COUNT_OF(windows_ms); i++) {
        struct limit_rule rule = test_rule(100, windows_ms[i]);
        struct limit_table *t = test_table(1);
        test_burst(t, &rule, START, 100);
        struct limit_verdict v;
        limit_table_admit(t, &rule, 42, START, &v);
        assert_true(v.is_exceeded);
        assert_true(v.retry_after_ms > windows_ms[i]);
        assert_true(v.retry_after_ms <= windows_ms[i] + 2 * (windows_ms[i] / 254 + 1));
        limit_table_free(t);
    }
}

/* Requests at a steady pace: none is refused up to the stated share of the rate. */
static void test_limit_table_paced_client_gets_the_stated_share(void **state)
{
    (void)state;
    static const struct {
        struct limit_window_options windows[LIMIT_WINDOW_MAX];
        unsigned count;
        unsigned share_percent;
    } cases[] = {
        {{{20, MINUTE}}, 1, 99},
        {{{100, MINUTE}}, 1, 96},
        {{{1000, HOUR}}, 1, 96},
        {{{1000, SECOND}, {10000, MINUTE}}, 2, 92},
        {{{100, SECOND}, {1000, MINUTE}, {10000, HOUR}}, 3, 88},
        {{{100, SECOND}, {1000, MINUTE}, {10000, HOUR}, {100000, DAY}}, 4, 84},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct limit_rule rule = test_rule_of(cases[i].windows, cases[i].count);
        struct limit_table *t = test_table(1);
        /* The window that binds is the one with the lowest rate: the last. */
        const struct limit_window *w = &rule.windows[rule.window_count - 1];
        uint64_t requests = 3ull * w->count < 40000 ? 3ull * w->count : 40000;
        for (uint64_t k = 0; k < requests; k++) {
            uint64_t at_ms = START + k * w->window_ms * 100 / (w->count * cases[i].share_percent);
            if (!test_admit(t, &rule, at_ms))
                fail_msg("case %zu: request %llu of a client at %u %% of its rate was refused", i,
                         (unsigned long long)k, cases[i].share_percent);
        }
        limit_table_free(t);
    }
}

/* A client that always asks gets nearly all of its rate in the long run. */
static void test_limit_table_greedy_client_gets_nearly_its_rate(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 10, 100, 500};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct limit_rule rule = test_rule(counts[i], 10 * SECOND);
        struct limit_table *t = test_table(1);
        uint64_t admitted = 0, step_ms = 3;
        for (uint64_t at_ms = 0; at_ms < 1000 * SECOND; at_ms += step_ms)
            admitted += test_admit(t, &rule, START + at_ms);
        uint64_t most = counts[i] * 100ull;
        assert_true(admitted <= most + counts[i]);
        assert_true(admitted >= most * 95 / 100);
        limit_table_free(t);
    }
}

static void test_limit_table_charges_all_windows_or_none(void **state)
{
    (void)state;
    struct limit_window_options windows[] = {{2, SECOND}, {5, MINUTE}};
    struct limit_rule rule = test_rule_of(windows, 2);
    struct limit_table *t = test_table(1);
    struct limit_verdict v;
    assert_int_equal(test_burst(t, &rule, START, 2), 2);
    for (int i = 0; i < 50; i++) {
        limit_table_admit(t, &rule, 42, START, &v);
        assert_true(v.is_exceeded);
        assert_int_equal(v.deciding, 0);
        assert_int_equal(v.windows[0].remaining, 0);
        assert_int_equal(v.windows[1].remaining, 3);
    }
    assert_int_equal(test_burst(t, &rule, START + 2 * SECOND, 9), 2);
    assert_int_equal(test_burst(t, &rule, START + 4 * SECOND, 9), 1);
    limit_table_admit(t, &rule, 42, START + 6 * SECOND, &v);
    assert_true(v.is_exceeded);
    assert_int_equal(v.deciding, 1);
    assert_int_equal(v.windows[0].remaining, 2);
    assert_int_equal(v.windows[1].remaining, 0);
    assert_true(v.retry_after_ms > 54 * SECOND && v.retry_after_ms < 55 * SECOND);
    limit_table_free(t);
}

static void test_limit_table_verdict_tells_what_is_left(void **state)
{
    (void)state;
    struct limit_rule rule = test_rule(10, MINUTE);
    struct limit_table *t = test_table(1);
    struct limit_verdict v;
    limit_table_peek(t, &rule, 42, START, &v);
    assert_int_equal(v.windows[0].remaining, 10);
    assert_int_equal(v.windows[0].reset_ms, 0);
    for (unsigned i = 1; i <= 10; i++) {
        limit_table_admit(t, &rule, 42, START + i, &v);
        assert_true(v.is_admitted);
        assert_int_equal(v.window_count, 1);
        assert_int_equal(v.windows[0].count, 10);
        assert_int_equal(v.windows[0].window_ms, MINUTE);
        assert_int_equal(v.windows[0].remaining, 10 - i);
        assert_int_equal(v.retry_after_ms, 0);
        assert_true(v.windows[0].reset_ms > MINUTE - 11);
    }
    limit_table_free(t);
}

static void test_limit_table_shadow_rule_tells_but_admits(void **state)
{
    (void)state;
    struct limit_rule rule = test_rule(3, MINUTE);
    rule.is_shadow = true;
    struct limit_table *t = test_table(1);
    struct limit_verdict v;
    for (unsigned i = 0; i < 6; i++) {
        limit_table_admit(t, &rule, 42, START, &v);
        assert_true(v.is_admitted);
        assert_int_equal(v.is_exceeded, i >= 3);
    }
    limit_table_free(t);
}

static void test_limit_table_earlier_clock_of_another_loop_frees_nothing(void **state)
{
    (void)state;
    struct limit_rule rule = test_rule(4, SECOND);
    struct limit_table *t = test_table(1);
    assert_int_equal(test_burst(t, &rule, START + 500, 3), 3);
    assert_int_equal(test_burst(t, &rule, START, 3), 1);
    struct limit_verdict v;
    limit_table_admit(t, &rule, 42, START, &v);
    assert_true(v.is_exceeded);
    assert_true(v.retry_after_ms > 1500);
    limit_table_peek(t, &rule, 42, START + v.retry_after_ms, &v);
    assert_true(v.is_admitted);
    limit_table_free(t);
}

static void test_limit_table_works_at_any_time_and_across_the_wrap(void **state)
{
    (void)state;
    static const uint64_t starts_ms[] = {
        0,
        1,
        (1ull << 32) - 500,
        (1ull << 40) - 500,
        (1ull << 41) - 1,
        5 * (1ull << 40) - 30000,
        1ull << 62,
    };
    for (size_t i = 0; i < COUNT_OF(starts_ms); i++) {
        struct limit_window_options windows[] = {{10, SECOND}, {50, MINUTE}, {200, HOUR}};
        struct limit_rule rule = test_rule_of(windows, 3);
        struct limit_table *t = test_table(1);
        struct test_log log = {mem_alloc(4000 * sizeof(uint64_t)), 0, 4000};
        for (uint64_t at_ms = 0; at_ms < 2 * MINUTE; at_ms += 37) {
            if (test_admit(t, &rule, starts_ms[i] + at_ms))
                test_log_add(&log, starts_ms[i] + at_ms);
        }
        assert_true(log.count > 90);
        assert_true(test_log_keeps(&log, &rule));
        mem_free(log.at_ms);
        limit_table_free(t);
    }
}

static void test_limit_table_keys_do_not_share_counts(void **state)
{
    (void)state;
    struct limit_rule rule = test_rule(2, MINUTE);
    struct limit_table *t = test_table(10000);
    struct limit_verdict v;
    for (unsigned round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 10000; i++) {
            uint64_t key = limit_rule_key(&rule, span_of((const char *)&i, sizeof i));
            limit_table_admit(t, &rule, key, START + round, &v);
            assert_int_equal(v.is_admitted, round < 2);
        }
    }
    struct limit_table_stats stats;
    limit_table_stats(t, &stats);
    assert_int_equal(stats.keys, 10000);
    assert_int_equal(stats.evicted_live, 0);
    limit_table_free(t);
}

static void test_limit_table_counts_survive_a_new_rule_of_the_same_identity(void **state)
{
    (void)state;
    struct limit_rule before = test_rule(2, MINUTE), after = test_rule(2, MINUTE);
    struct limit_table *t = test_table(10);
    struct limit_verdict v;
    limit_table_admit(t, &before, limit_rule_key(&before, SPAN("c")), START, &v);
    limit_table_admit(t, &after, limit_rule_key(&after, SPAN("c")), START, &v);
    assert_true(v.is_admitted);
    limit_table_admit(t, &after, limit_rule_key(&after, SPAN("c")), START, &v);
    assert_false(v.is_admitted);
    limit_table_free(t);
}

static void test_limit_table_takes_expired_cells_before_live_ones(void **state)
{
    (void)state;
    struct limit_rule rule = test_rule(1, SECOND);
    struct limit_table *t = test_table(64);
    struct limit_table_stats stats;
    struct limit_verdict v;
    struct random random;
    random_init_seeded(&random, 7);
    limit_table_stats(t, &stats);
    assert_int_equal(stats.keys_max, 96);
    for (unsigned i = 0; i < 96; i++)
        limit_table_admit(t, &rule, random_u64(&random), START, &v);
    limit_table_stats(t, &stats);
    assert_int_equal(stats.keys, 96);
    assert_int_equal(stats.evicted_live + stats.reused_expired, 0);
    for (unsigned i = 0; i < 96; i++)
        limit_table_admit(t, &rule, random_u64(&random), START + 5 * SECOND, &v);
    limit_table_stats(t, &stats);
    assert_int_equal(stats.keys, 96);
    assert_int_equal(stats.reused_expired, 96);
    assert_int_equal(stats.evicted_live, 0);
    for (unsigned i = 0; i < 5; i++)
        limit_table_admit(t, &rule, random_u64(&random), START + 5 * SECOND + 1, &v);
    limit_table_stats(t, &stats);
    assert_int_equal(stats.evicted_live, 5);
    limit_table_free(t);
}

static void test_limit_table_forgets_the_least_recently_used(void **state)
{
    (void)state;
    struct limit_rule rule = test_rule(1, HOUR);
    struct limit_table *t = test_table(64);
    struct limit_verdict v;
    struct random random;
    random_init_seeded(&random, 8);
    uint64_t now_ms = START;
    /* One client keeps coming, refused, while others pass by in numbers that fill the set many
     * times: it must not be forgotten. */
    limit_table_admit(t, &rule, 42, now_ms, &v);
    assert_true(v.is_admitted);
    for (unsigned i = 0; i < 3000; i++) {
        limit_table_admit(t, &rule, random_u64(&random), ++now_ms, &v);
        if (i % 8 == 0) {
            limit_table_admit(t, &rule, 42, now_ms, &v);
            assert_false(v.is_admitted);
        }
    }
    limit_table_free(t);
}

static void test_limit_table_admit_all_charges_every_rule_or_none(void **state)
{
    (void)state;
    struct limit_rule client = test_rule(5, MINUTE), global = test_rule(3, SECOND);
    struct limit_check checks[] = {{&client, 1}, {&global, 2}};
    struct limit_table *t = test_table(10);
    struct limit_verdict v[2];
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(limit_table_admit_all(t, checks, 2, START, v), 2);
        assert_true(v[0].is_admitted && v[1].is_admitted);
    }
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(limit_table_admit_all(t, checks, 2, START, v), 2);
        assert_true(v[0].is_admitted && !v[1].is_admitted);
    }
    limit_table_peek(t, &client, 1, START, &v[0]);
    assert_int_equal(v[0].windows[0].remaining, 2);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(limit_table_admit_all(t, checks, 2, START + 2 * SECOND, v), 2);
    assert_int_equal(limit_table_admit_all(t, checks, 2, START + 2 * SECOND, v), 1);
    assert_false(v[0].is_admitted);
    limit_table_peek(t, &global, 2, START + 2 * SECOND, &v[1]);
    assert_int_equal(v[1].windows[0].remaining, 1);
    limit_table_free(t);
}

/* Refunds must not let a later request slip out of its window early. */
static void test_limit_table_refunds_keep_the_promise(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct random random;
        random_init_seeded(&random, seed);
        struct limit_window_options windows[] = {{4, SECOND}, {45, MINUTE}};
        struct limit_rule rule = test_rule_of(windows, 2);
        struct limit_table *t = test_table(1);
        struct test_log log = {mem_alloc(3000 * sizeof(uint64_t)), 0, 3000};
        struct limit_verdict held[3];
        unsigned held_count = 0;
        uint64_t now_ms = START;
        for (unsigned i = 0; i < 3000; i++) {
            now_ms += test_gap(&random, &rule, now_ms) / 2;
            struct limit_verdict v;
            limit_table_admit(t, &rule, 42, now_ms, &v);
            if (v.is_admitted && held_count < COUNT_OF(held) && random_below(&random, 3) == 0)
                held[held_count++] = v; /* did not pass: refunded some time later */
            else if (v.is_admitted)
                test_log_add(&log, now_ms);
            if (held_count > 0 && random_below(&random, 2) == 0)
                limit_table_refund(t, &rule, 42, held[--held_count].charged_ms);
        }
        if (!test_log_keeps(&log, &rule))
            fail_msg("seed %llu: more than the count in a window", (unsigned long long)seed);
        mem_free(log.at_ms);
        limit_table_free(t);
    }
}

struct test_thread {
    struct limit_table *table;
    const struct limit_rule *rule;
    _Atomic uint64_t *clock_ms;
    uint64_t *log; /* admitted_at + 1, by ticket */
    atomic_uint *tickets;
    unsigned tries;
};

static void *test_thread_run(void *arg)
{
    struct test_thread *thread = arg;
    for (unsigned i = 0; i < thread->tries; i++) {
        uint64_t now_ms = atomic_fetch_add(thread->clock_ms, i % 64 == 0);
        struct limit_verdict v;
        limit_table_admit(thread->table, thread->rule, 42, now_ms, &v);
        if (v.is_admitted)
            thread->log[atomic_fetch_add(thread->tickets, 1)] = v.charged_ms;
    }
    return NULL;
}

static int test_compare_u64(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void test_limit_table_promise_holds_for_many_threads(void **state)
{
    (void)state;
    enum { THREADS = 4, TRIES = 40000 };
    struct limit_window_options windows[] = {{20, 50}, {100, 400}};
    struct limit_rule rule = test_rule_of(windows, 2);
    struct limit_table *t = test_table(1);
    _Atomic uint64_t clock_ms = START;
    atomic_uint tickets = 0;
    uint64_t *log = mem_alloc(THREADS * TRIES * sizeof(uint64_t));
    struct test_thread threads[THREADS];
    pthread_t ids[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] = (struct test_thread){t, &rule, &clock_ms, log, &tickets, TRIES};
        assert_int_equal(pthread_create(&ids[i], NULL, test_thread_run, &threads[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    struct test_log all = {log, tickets, THREADS * TRIES};
    qsort(log, all.count, sizeof *log, test_compare_u64);
    assert_true(test_log_keeps(&all, &rule));
    /* 2,500 ms went by: more than six windows' worth must have passed as well. */
    assert_true(all.count >= 6 * 100 * 9 / 10);
    print_message("%zu of %d requests of %d threads admitted\n", all.count, THREADS * TRIES,
                  THREADS);
    mem_free(log);
    limit_table_free(t);
}

static void *test_refund_thread_run(void *arg)
{
    struct test_thread *thread = arg;
    /* A rule of each thread refuses every third request, so that the shared one is refunded. */
    struct limit_rule own = test_rule(1, 3);
    uint64_t own_key = (uint64_t)(uintptr_t)&own;
    struct limit_check checks[] = {{thread->rule, 42}, {&own, own_key}};
    for (unsigned i = 0; i < thread->tries; i++) {
        uint64_t now_ms = atomic_fetch_add(thread->clock_ms, i % 64 == 0);
        struct limit_verdict v[2];
        unsigned asked = limit_table_admit_all(thread->table, checks, 2, now_ms, v);
        if (v[asked - 1].is_admitted)
            thread->log[atomic_fetch_add(thread->tickets, 1)] = v[0].charged_ms;
    }
    return NULL;
}

static void test_limit_table_promise_holds_for_threads_that_refund(void **state)
{
    (void)state;
    enum { THREADS = 4, TRIES = 40000 };
    struct limit_window_options windows[] = {{4, 10}, {100, 400}};
    struct limit_rule rule = test_rule_of(windows, 2);
    struct limit_table *t = test_table(1000);
    _Atomic uint64_t clock_ms = START;
    atomic_uint tickets = 0;
    uint64_t *log = mem_alloc(THREADS * TRIES * sizeof(uint64_t));
    struct test_thread thread = {t, &rule, &clock_ms, log, &tickets, TRIES};
    pthread_t ids[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, test_refund_thread_run, &thread), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    struct test_log all = {log, tickets, THREADS * TRIES};
    qsort(log, all.count, sizeof *log, test_compare_u64);
    assert_true(test_log_keeps(&all, &rule));
    assert_true(all.count >= 100);
    mem_free(log);
    limit_table_free(t);
}

static void test_limit_table_reports_that_memory_is_out(void **state)
{
    (void)state;
    struct limit_table *t = NULL;
    fault_point_arm("limit_table.map", 1, false);
    assert_true(err_is(limit_table_new(1000, &t), ERR_NO_MEMORY));
    fault_point_disarm();
    assert_null(t);
    assert_true(err_is(limit_table_new(SIZE_MAX, &t), ERR_NO_MEMORY));
    assert_null(t);
    limit_table_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_table_never_admits_more_than_count_in_any_window),
        cmocka_unit_test(test_limit_table_admits_the_whole_count_at_once_from_idle),
        cmocka_unit_test(test_limit_table_burst_comes_back_within_two_ticks_of_the_window),
        cmocka_unit_test(test_limit_table_paced_client_gets_the_stated_share),
        cmocka_unit_test(test_limit_table_greedy_client_gets_nearly_its_rate),
        cmocka_unit_test(test_limit_table_charges_all_windows_or_none),
        cmocka_unit_test(test_limit_table_verdict_tells_what_is_left),
        cmocka_unit_test(test_limit_table_shadow_rule_tells_but_admits),
        cmocka_unit_test(test_limit_table_earlier_clock_of_another_loop_frees_nothing),
        cmocka_unit_test(test_limit_table_works_at_any_time_and_across_the_wrap),
        cmocka_unit_test(test_limit_table_keys_do_not_share_counts),
        cmocka_unit_test(test_limit_table_counts_survive_a_new_rule_of_the_same_identity),
        cmocka_unit_test(test_limit_table_takes_expired_cells_before_live_ones),
        cmocka_unit_test(test_limit_table_forgets_the_least_recently_used),
        cmocka_unit_test(test_limit_table_admit_all_charges_every_rule_or_none),
        cmocka_unit_test(test_limit_table_refunds_keep_the_promise),
        cmocka_unit_test(test_limit_table_promise_holds_for_many_threads),
        cmocka_unit_test(test_limit_table_promise_holds_for_threads_that_refund),
        cmocka_unit_test(test_limit_table_reports_that_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
