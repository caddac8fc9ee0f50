/* test_prober.c: when targets are checked, what the results do, and what a reload keeps.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/log.h"
#include "core/metric_snapshot.h"
#include "egress/prober.h"
#include "probe_fixture.h"
#include "scratch.h"
#include "wire/tls_fixture.h"

#define GOOD     "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#define BAD      "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"
#define INTERVAL 2000

struct prober_test {
    struct probe_fixture server;
    struct peer_server dead; /* refuses */
    struct random random;
    struct upstream_registry registry;
    struct metric_registry *metrics;
    struct prober *prober;
};

static void prober_test_init(struct prober_test *t)
{
    *t = (struct prober_test){0};
    probe_fixture_init(&t->server);
    t->server.answer = SPAN(GOOD);
    peer_server_init(&t->dead, PEER_SERVER_REFUSES);
    random_init_seeded(&t->random, 3);
    upstream_registry_init(&t->registry, NULL, &t->random);
    t->metrics = metric_registry_new();
    struct prober_options options = {
        .loop = t->server.loop, .random = &t->random, .metrics = t->metrics};
    t->prober = prober_new(&options);
}

static void prober_test_done(struct prober_test *t)
{
    prober_free(t->prober);
    upstream_registry_done(&t->registry);
    metric_registry_free(t->metrics);
    peer_server_done(&t->dead);
    probe_fixture_done(&t->server);
    random_done(&t->random);
}

static struct upstream_options prober_test_options(struct prober_test *t,
                                                   struct upstream_target_options targets[2])
{
    struct upstream_options options = UPSTREAM_OPTIONS_DEFAULT;
    targets[0] = (struct upstream_target_options){span_from(t->server.server.text), 1};
    targets[1] = (struct upstream_target_options){span_from(t->dead.text), 1};
    options.name = SPAN("shop");
    options.targets = targets;
    options.target_count = 1;
    options.check.kind = UPSTREAM_CHECK_HTTP;
    options.check.path = SPAN("/healthz");
    options.check.interval_ms = INTERVAL;
    options.check.jitter_percent = 0;
    return options;
}

static uint64_t prober_test_now_ms(const struct prober_test *t)
{
    return clock_mono_ms(&t->server.clock.clock);
}

/* What a reload with these options does; returns the upstream, which the prober holds too. */
static struct upstream *prober_test_use(struct prober_test *t, const struct upstream_options *o,
                                        struct tls_context *tls)
{
    struct upstream *u = NULL;
    struct fault why = {0};
    struct prober_entry entries[2];
    const struct sock_address *addresses[2] = {&t->server.server.address, &t->dead.address};
    assert_true(err_ok(upstream_new(&t->registry, o, prober_test_now_ms(t), &why, &u)));
    for (unsigned i = 0; i < o->target_count; i++)
        entries[i] = (struct prober_entry){.upstream = u,
                                           .index = i,
                                           .address = addresses[i],
                                           .tls = tls,
                                           .server_name = SPAN("shop.example")};
    prober_use(t->prober, entries, o->target_count);
    return u;
}

static struct upstream *prober_test_begin(struct prober_test *t)
{
    struct upstream_target_options targets[2];
    struct upstream_options options = prober_test_options(t, targets);
    struct upstream *u = prober_test_use(t, &options, NULL);
    probe_fixture_settle(&t->server);
    return u;
}

static unsigned prober_test_checks(const struct prober_test *t)
{
    return t->server.server.count;
}

static struct target_view prober_test_view(const struct prober_test *t, const struct upstream *u,
                                           unsigned index)
{
    struct target_view v;
    target_look(u->set.members[index].target, prober_test_now_ms(t), &v);
    return v;
}

static void test_prober_checks_at_once_and_then_by_the_interval(void **state)
{
    (void)state;
    struct prober_test t;
    prober_test_init(&t);
    struct upstream *u = prober_test_begin(&t);
    assert_int_equal(prober_test_checks(&t), 1);
    assert_int_equal(prober_test_view(&t, u, 0).check, TARGET_CHECK_PASSED);
    for (unsigned i = 0; i < 5; i++) {
        probe_fixture_advance(&t.server, INTERVAL - 1);
        assert_int_equal(prober_test_checks(&t), 1 + i);
        probe_fixture_advance(&t.server, 1);
        assert_int_equal(prober_test_checks(&t), 2 + i);
    }
    upstream_unref(u);
    prober_test_done(&t);
}

static void test_prober_spreads_checks_by_the_jitter(void **state)
{
    (void)state;
    struct prober_test t;
    struct upstream_target_options targets[2];
    uint64_t shortest = UINT64_MAX, longest = 0;
    prober_test_init(&t);
    struct upstream_options options = prober_test_options(&t, targets);
    options.check.jitter_percent = 20;
    struct upstream *u = prober_test_use(&t, &options, NULL);
    probe_fixture_settle(&t.server);
    for (unsigned i = 0; i < 100; i++) {
        uint64_t before_ms = prober_test_now_ms(&t);
        unsigned count = prober_test_checks(&t);
        while (prober_test_checks(&t) == count)
            probe_fixture_advance(&t.server, 10);
        uint64_t took_ms = prober_test_now_ms(&t) - before_ms;
        shortest = took_ms < shortest ? took_ms : shortest;
        longest = took_ms > longest ? took_ms : longest;
    }
    assert_in_range(shortest, 1600, 1700);
    assert_in_range(longest, 2300, 2410);
    upstream_unref(u);
    prober_test_done(&t);
}

static void test_prober_takes_down_after_fall_and_brings_up_after_rise(void **state)
{
    (void)state;
    struct prober_test t;
    prober_test_init(&t);
    struct upstream *u = prober_test_begin(&t); /* rise 2, fall 3 */
    t.server.answer = SPAN(BAD);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(prober_test_view(&t, u, 0).state, TARGET_UP);
        probe_fixture_advance(&t.server, INTERVAL);
    }
    struct target_view v = prober_test_view(&t, u, 0);
    assert_int_equal(v.state, TARGET_DOWN);
    assert_int_equal(v.check, TARGET_CHECK_STATUS);
    assert_int_equal(v.check_status, 500);
    assert_int_equal(v.down_count, 1);
    t.server.answer = SPAN(GOOD);
    probe_fixture_advance(&t.server, INTERVAL);
    assert_int_equal(prober_test_view(&t, u, 0).state, TARGET_DOWN);
    probe_fixture_advance(&t.server, INTERVAL);
    assert_int_equal(prober_test_view(&t, u, 0).state, TARGET_UP);
    upstream_unref(u);
    prober_test_done(&t);
}

static void test_prober_tells_refused_from_timeout(void **state)
{
    (void)state;
    struct prober_test t;
    struct upstream_target_options targets[2];
    prober_test_init(&t);
    struct upstream_options options = prober_test_options(&t, targets);
    options.target_count = 2;
    options.check.fall = 1;
    t.server.answer = (struct span){0};
    struct upstream *u = prober_test_use(&t, &options, NULL);
    probe_fixture_settle(&t.server);
    assert_int_equal(prober_test_view(&t, u, 1).check, TARGET_CHECK_REFUSED);
    assert_int_equal(prober_test_view(&t, u, 1).state, TARGET_DOWN);
    assert_int_equal(prober_test_view(&t, u, 0).check, TARGET_CHECK_NONE);
    probe_fixture_advance(&t.server, options.check.timeout_ms);
    assert_int_equal(prober_test_view(&t, u, 0).check, TARGET_CHECK_TIMEOUT);
    assert_int_equal(prober_test_view(&t, u, 0).state, TARGET_DOWN);
    upstream_unref(u);
    prober_test_done(&t);
}

/* The timeout is longer than the interval and the target never answers. */
static void test_prober_has_one_check_of_a_target_under_way(void **state)
{
    (void)state;
    struct prober_test t;
    struct upstream_target_options targets[2];
    prober_test_init(&t);
    struct upstream_options options = prober_test_options(&t, targets);
    options.check.interval_ms = 100;
    options.check.timeout_ms = 1000;
    t.server.answer = (struct span){0};
    struct upstream *u = prober_test_use(&t, &options, NULL);
    for (unsigned i = 0; i < 100; i++)
        probe_fixture_advance(&t.server, 100);
    assert_int_equal(t.server.open_max, 1);
    assert_in_range(prober_test_checks(&t), 10, 11);
    upstream_unref(u);
    prober_test_done(&t);
}

static void test_prober_keeps_results_and_rhythm_over_a_reload(void **state)
{
    (void)state;
    struct prober_test t;
    struct upstream_target_options targets[2];
    prober_test_init(&t);
    struct upstream_options options = prober_test_options(&t, targets);
    t.server.answer = SPAN(BAD);
    struct upstream *old = prober_test_begin(&t);
    probe_fixture_advance(&t.server, INTERVAL); /* two bad ones; the third takes it down */
    probe_fixture_advance(&t.server, INTERVAL / 2);
    struct upstream *fresh = prober_test_use(&t, &options, NULL);
    upstream_unref(old);
    upstream_registry_sweep(&t.registry);
    probe_fixture_settle(&t.server);
    assert_int_equal(prober_test_checks(&t), 2);
    probe_fixture_advance(&t.server, INTERVAL / 2);
    assert_int_equal(prober_test_checks(&t), 3);
    assert_int_equal(prober_test_view(&t, fresh, 0).state, TARGET_DOWN);
    upstream_unref(fresh);
    prober_test_done(&t);
}

/* Reloads come faster than the timeout; the check that hangs is still counted. */
static void test_prober_lets_a_running_check_end_over_reloads(void **state)
{
    (void)state;
    struct prober_test t;
    struct upstream_target_options targets[2];
    prober_test_init(&t);
    struct upstream_options options = prober_test_options(&t, targets);
    options.check.fall = 1;
    t.server.answer = (struct span){0};
    struct upstream *u = prober_test_use(&t, &options, NULL);
    for (unsigned i = 0; i < 10; i++) {
        probe_fixture_advance(&t.server, options.check.timeout_ms / 10);
        struct upstream *next = prober_test_use(&t, &options, NULL);
        upstream_unref(u);
        u = next;
    }
    probe_fixture_settle(&t.server);
    assert_int_equal(prober_test_checks(&t), 1);
    assert_int_equal(prober_test_view(&t, u, 0).check, TARGET_CHECK_TIMEOUT);
    assert_int_equal(prober_test_view(&t, u, 0).state, TARGET_DOWN);
    upstream_unref(u);
    prober_test_done(&t);
}

static void test_prober_asks_anew_when_the_check_changes(void **state)
{
    (void)state;
    struct prober_test t;
    struct upstream_target_options targets[2];
    prober_test_init(&t);
    struct upstream_options options = prober_test_options(&t, targets);
    struct upstream *old = prober_test_begin(&t);
    t.server.answer = (struct span){0};
    probe_fixture_advance(&t.server, INTERVAL); /* one hangs */
    options.check.path = SPAN("/ready");
    options.check.body_contains = SPAN("ok");
    struct upstream *fresh = prober_test_use(&t, &options, NULL);
    upstream_unref(old);
    t.server.answer = SPAN(GOOD);
    probe_fixture_settle(&t.server);
    assert_int_equal(prober_test_checks(&t), 3);
    assert_true(peer_has(&t.server.server.peers[2], "GET /ready "));
    assert_int_equal(t.server.server.peers[1].fd, -1); /* the old one was given up */
    assert_int_equal(prober_test_view(&t, fresh, 0).check, TARGET_CHECK_PASSED);
    assert_int_equal(prober_test_view(&t, fresh, 0).check_run, 2);
    upstream_unref(fresh);
    prober_test_done(&t);
}

static void test_prober_forgets_targets_that_vanish(void **state)
{
    (void)state;
    struct prober_test t;
    struct upstream_target_options targets[2];
    prober_test_init(&t);
    struct upstream_options options = prober_test_options(&t, targets);
    options.target_count = 2;
    options.check.fall = 1;
    struct upstream *old = prober_test_use(&t, &options, NULL);
    probe_fixture_settle(&t.server);
    assert_int_equal(prober_test_view(&t, old, 1).state, TARGET_DOWN);
    options.target_count = 1;
    struct upstream *fresh = prober_test_use(&t, &options, NULL);
    assert_int_equal(prober_test_view(&t, old, 1).state, TARGET_UP);
    assert_int_equal(prober_test_view(&t, old, 1).check, TARGET_CHECK_NONE);
    probe_fixture_advance(&t.server, INTERVAL);
    assert_int_equal(prober_test_view(&t, old, 1).check, TARGET_CHECK_NONE);
    upstream_unref(old);
    /* The last ones go while a check is under way. */
    t.server.answer = (struct span){0};
    probe_fixture_advance(&t.server, INTERVAL);
    unsigned count = prober_test_checks(&t);
    prober_use(t.prober, NULL, 0);
    upstream_unref(fresh);
    upstream_registry_sweep(&t.registry);
    probe_fixture_advance(&t.server, 10 * INTERVAL);
    assert_int_equal(prober_test_checks(&t), count);
    prober_test_done(&t);
}

/* A target that was down by checks must not stay so when the checks are taken away. */
static void test_prober_brings_up_what_is_no_longer_checked(void **state)
{
    (void)state;
    struct prober_test t;
    struct upstream_target_options targets[2];
    prober_test_init(&t);
    struct upstream_options options = prober_test_options(&t, targets);
    options.check.fall = 1;
    t.server.answer = SPAN(BAD);
    struct upstream *old = prober_test_use(&t, &options, NULL);
    probe_fixture_settle(&t.server);
    assert_int_equal(prober_test_view(&t, old, 0).state, TARGET_DOWN);
    options.check.kind = UPSTREAM_CHECK_NONE;
    struct upstream *fresh = prober_test_use(&t, &options, NULL);
    assert_int_equal(prober_test_view(&t, fresh, 0).state, TARGET_UP);
    probe_fixture_advance(&t.server, 10 * INTERVAL);
    assert_int_equal(prober_test_checks(&t), 1);
    upstream_unref(old);
    upstream_unref(fresh);
    prober_test_done(&t);
}

static double prober_test_counted(struct prober_test *t, const char *result)
{
    struct arena arena CLEANUP(arena_done);
    struct metric_snapshot s;
    arena_init(&arena, NULL, 1 << 20);
    assert_true(err_ok(metric_snapshot_take(t->metrics, &arena, &s)));
    for (size_t i = 0; i < s.count; i++) {
        const struct metric_family *family = &s.families[i];
        for (size_t k = 0; family->desc == &prober_metrics[0] && k < family->count; k++)
            if (span_eq(family->samples[k].labels[1], span_from(result)))
                return (double)family->samples[k].stored;
    }
    return 0;
}

static unsigned prober_test_occurrences(const char *text, const char *wanted)
{
    unsigned count = 0;
    for (size_t i = 0; text[i] != '\0'; i++)
        count += strncmp(text + i, wanted, strlen(wanted)) == 0;
    return count;
}

static void test_prober_counts_and_logs(void **state)
{
    (void)state;
    struct prober_test t;
    struct scratch folder;
    struct fault why = {0};
    struct buf text;
    buf_init(&text, 1 << 20);
    scratch_make(&folder);
    prober_test_init(&t);
    scratch_write(&folder, "log", "");
    int fd = open(scratch_path(&folder, "log"), O_WRONLY | O_APPEND);
    assert_true(fd >= 0);
    struct log_options log = {.fd = fd};
    assert_true(err_ok(log_start(&log, &why)));
    log_level_set(LOG_INFO);
    struct upstream *u = prober_test_begin(&t);
    t.server.answer = SPAN(BAD);
    for (unsigned i = 0; i < 5; i++)
        probe_fixture_advance(&t.server, INTERVAL);
    t.server.answer = SPAN(GOOD);
    for (unsigned i = 0; i < 3; i++)
        probe_fixture_advance(&t.server, INTERVAL);
    log_stop();
    log_level_set(LOG_ERROR);
    assert_int_equal(close(fd), 0);
    assert_int_equal((int)prober_test_counted(&t, "passed"), 4);
    assert_int_equal((int)prober_test_counted(&t, "status"), 5);
    assert_int_equal((int)prober_test_counted(&t, "timeout"), 0);
    const char *lines = scratch_read(&folder, "log", &text);
    assert_int_equal(prober_test_occurrences(lines, "\"event\":\"target_down\""), 1);
    assert_int_equal(prober_test_occurrences(lines, "\"reason\":\"status 500\""), 1);
    assert_int_equal(prober_test_occurrences(lines, "\"event\":\"target_up\""), 1);
    upstream_unref(u);
    prober_test_done(&t);
    buf_done(&text);
    scratch_remove(&folder);
}

/* A reload makes a new context of the same files: no reason to ask anew, but the next check uses
 * it. */
static void test_prober_takes_new_certificates_without_asking_anew(void **state)
{
    (void)state;
    struct prober_test t;
    struct tls_fixture ours, others;
    struct upstream_target_options targets[2];
    tls_fixture_init(&ours);
    tls_fixture_init(&others);
    struct tls_fixture_spec spec = {.stem = "t", .alt_names = "DNS:shop.example"};
    struct tls_fixture_paths paths = tls_fixture_make(&ours, &spec);
    prober_test_init(&t);
    t.server.server.tls = tls_fixture_server(&paths, NULL);
    struct upstream_options options = prober_test_options(&t, targets);
    struct tls_context *tls = tls_fixture_client(&ours);
    struct upstream *u = prober_test_use(&t, &options, tls);
    probe_fixture_settle(&t.server);
    assert_int_equal(prober_test_view(&t, u, 0).check, TARGET_CHECK_PASSED);
    upstream_unref(u);
    tls_context_unref(tls);
    tls = tls_fixture_client(&others);
    u = prober_test_use(&t, &options, tls);
    probe_fixture_settle(&t.server);
    assert_int_equal(prober_test_checks(&t), 1);
    probe_fixture_advance(&t.server, INTERVAL);
    assert_int_equal(prober_test_view(&t, u, 0).check, TARGET_CHECK_TLS);
    upstream_unref(u);
    tls_context_unref(tls);
    prober_test_done(&t);
    tls_fixture_done(&ours);
    tls_fixture_done(&others);
}

int main(void)
{
    log_level_set(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prober_checks_at_once_and_then_by_the_interval),
        cmocka_unit_test(test_prober_spreads_checks_by_the_jitter),
        cmocka_unit_test(test_prober_takes_down_after_fall_and_brings_up_after_rise),
        cmocka_unit_test(test_prober_tells_refused_from_timeout),
        cmocka_unit_test(test_prober_has_one_check_of_a_target_under_way),
        cmocka_unit_test(test_prober_keeps_results_and_rhythm_over_a_reload),
        cmocka_unit_test(test_prober_lets_a_running_check_end_over_reloads),
        cmocka_unit_test(test_prober_asks_anew_when_the_check_changes),
        cmocka_unit_test(test_prober_forgets_targets_that_vanish),
        cmocka_unit_test(test_prober_brings_up_what_is_no_longer_checked),
        cmocka_unit_test(test_prober_counts_and_logs),
        cmocka_unit_test(test_prober_takes_new_certificates_without_asking_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
