/* test_upstream.c: what a reload keeps, and when a target is ejected.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "cmocka_all.h"
#include "egress/upstream.h"

#define NOW 1000000ull

static const struct upstream_target_options test_targets[] = {{SPAN_INIT("127.0.0.1:1"), 1},
                                                              {SPAN_INIT("127.0.0.1:2"), 2},
                                                              {SPAN_INIT("127.0.0.1:3"), 0},
                                                              {SPAN_INIT("127.0.0.1:4"), 1}};

static struct upstream_options test_options(unsigned target_count)
{
    struct upstream_options options = UPSTREAM_OPTIONS_DEFAULT;
    options.name = SPAN("shop");
    options.targets = test_targets;
    options.target_count = target_count;
    return options;
}

struct test_fixture {
    struct random random;
    struct upstream_registry registry;
};

static void test_start(struct test_fixture *f)
{
    random_init_seeded(&f->random, 5);
    upstream_registry_init(&f->registry, NULL, &f->random);
}

static struct upstream *test_upstream(struct test_fixture *f, const struct upstream_options *o)
{
    struct upstream *u = NULL;
    struct fault why = {0};
    assert_true(err_ok(upstream_new(&f->registry, o, NOW, &why, &u)));
    return u;
}

static bool test_fail(struct upstream *u, unsigned index, uint64_t now_ms)
{
    struct upstream_result result = {.outcome = TARGET_FAILURE};
    target_begin(u->set.members[index].target);
    return upstream_finish(u, index, &result, now_ms);
}

static void test_upstream_copies_its_options(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f);
    char name[] = "shop", path[] = "/healthz";
    struct upstream_options options = test_options(3);
    options.name = span_from(name);
    options.check.kind = UPSTREAM_CHECK_HTTP;
    options.check.path = span_from(path);
    struct upstream *u = test_upstream(&f, &options);
    name[0] = path[1] = 'X';
    assert_true(span_eq(u->name, SPAN("shop")));
    assert_true(span_eq(u->options.name, SPAN("shop")));
    assert_true(span_eq(u->options.check.path, SPAN("/healthz")));
    assert_int_equal(u->set.member_count, 3);
    assert_int_equal(u->set.members[1].weight, 2);
    assert_int_equal(u->set.members[2].weight, 1);
    assert_ptr_equal(upstream_find_target(u, SPAN("127.0.0.1:2")), u->set.members[1].target);
    assert_null(upstream_find_target(u, SPAN("127.0.0.1:4")));
    upstream_unref(u);
    upstream_unref(NULL);
    upstream_registry_done(&f.registry);
    upstream_registry_done(&f.registry);
}

static void test_upstream_reload_keeps_targets_breaker_and_budget(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f);
    struct upstream_options options = test_options(2);
    struct upstream *before = test_upstream(&f, &options);
    target_drain(before->set.members[1].target, true);
    retry_budget_withdraw(before->budget, NOW);
    options.target_count = 3;
    options.retry.tries_max = 5;
    struct upstream *after = test_upstream(&f, &options);
    assert_ptr_equal(after->breaker, before->breaker);
    assert_true(span_eq(after->breaker->name, SPAN("shop")));
    assert_ptr_equal(after->budget, before->budget);
    assert_ptr_equal(after->set.members[0].target, before->set.members[0].target);
    assert_int_equal(target_state(after->set.members[1].target, NOW), TARGET_DRAINING);
    assert_int_equal(target_state(after->set.members[2].target, NOW), TARGET_UP);
    upstream_unref(before);
    upstream_registry_sweep(&f.registry);
    assert_int_equal(f.registry.targets.count, 3);
    upstream_unref(after);
    upstream_registry_done(&f.registry);
}

static void test_upstream_names_do_not_share_state(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f);
    struct upstream_options options = test_options(1);
    struct upstream *shop = test_upstream(&f, &options);
    options.name = SPAN("blog");
    struct upstream *blog = test_upstream(&f, &options);
    assert_ptr_not_equal(shop->breaker, blog->breaker);
    assert_ptr_not_equal(shop->set.members[0].target, blog->set.members[0].target);
    upstream_unref(shop);
    upstream_unref(blog);
    upstream_registry_done(&f.registry);
}

static void test_upstream_changed_breaker_starts_afresh_but_stays_forced(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f);
    struct upstream_options options = test_options(1);
    struct upstream *first = test_upstream(&f, &options);
    breaker_force(first->breaker, BREAKER_FORCED_OPEN, NOW);
    options.breaker.volume_min++;
    struct upstream *second = test_upstream(&f, &options);
    assert_ptr_not_equal(first->breaker, second->breaker);
    struct breaker_permit permit;
    assert_true(err_is(breaker_allow(second->breaker, NOW, &permit), ERR_BREAKER_OPEN));
    options.has_breaker = false;
    struct upstream *third = test_upstream(&f, &options);
    assert_null(third->breaker);
    /* The first snapshot still works on what it had. */
    assert_true(err_is(breaker_allow(first->breaker, NOW, &permit), ERR_BREAKER_OPEN));
    upstream_unref(first);
    upstream_unref(second);
    upstream_unref(third);
    upstream_registry_done(&f.registry);
}

static void test_upstream_sweep_forgets_what_nobody_uses(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f);
    struct upstream_options options = test_options(4);
    struct upstream *wide = test_upstream(&f, &options);
    options.target_count = 1;
    struct upstream *narrow = test_upstream(&f, &options);
    upstream_registry_sweep(&f.registry);
    assert_int_equal(f.registry.targets.count, 4);
    upstream_unref(wide);
    upstream_registry_sweep(&f.registry);
    assert_int_equal(f.registry.targets.count, 1);
    assert_int_equal(f.registry.shared.count, 1);
    upstream_unref(narrow);
    upstream_registry_sweep(&f.registry);
    assert_int_equal(f.registry.targets.count, 0);
    assert_int_equal(f.registry.shared.count, 0);
    upstream_registry_done(&f.registry);
}

static void test_upstream_ejects_after_failures_in_a_row(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f);
    struct upstream_options options = test_options(2);
    struct upstream *u = test_upstream(&f, &options);
    for (unsigned i = 0; i < 4; i++)
        assert_false(test_fail(u, 0, NOW));
    assert_true(test_fail(u, 0, NOW));
    assert_int_equal(target_state(u->set.members[0].target, NOW), TARGET_EJECTED);
    assert_int_equal(target_state(u->set.members[0].target, NOW + 30000), TARGET_UP);
    /* Requests that were under way when it was ejected do not prolong it. */
    for (unsigned i = 0; i < 20; i++)
        assert_false(test_fail(u, 0, NOW + 1));
    assert_int_equal(target_state(u->set.members[0].target, NOW + 30000), TARGET_UP);
    upstream_unref(u);
    upstream_registry_done(&f.registry);
}

static void test_upstream_ejects_no_more_than_the_allowed_share(void **state)
{
    (void)state;
    static const struct {
        unsigned targets, percent, ejected;
    } cases[] = {{1, 50, 0}, {1, 100, 1}, {2, 49, 0}, {2, 50, 1}, {3, 50, 1},
                 {3, 67, 2}, {4, 50, 2},  {4, 74, 2}, {4, 75, 3}, {4, 0, 0}};
    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        struct test_fixture f;
        test_start(&f);
        struct upstream_options options = test_options(cases[c].targets);
        options.outlier.ejected_max_percent = cases[c].percent;
        struct upstream *u = test_upstream(&f, &options);
        unsigned ejected = 0;
        for (unsigned i = 0; i < 50; i++)
            for (unsigned t = 0; t < cases[c].targets; t++)
                ejected += test_fail(u, t, NOW);
        assert_int_equal(ejected, cases[c].ejected);
        upstream_unref(u);
        upstream_registry_done(&f.registry);
    }
}

static void test_upstream_pauses_a_target_that_asks_for_it(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f);
    struct upstream_options options = test_options(2);
    struct upstream *u = test_upstream(&f, &options);
    struct target *t = u->set.members[0].target;
    struct upstream_result result = {.outcome = TARGET_IGNORED, .retry_after_ms = 5000};
    target_begin(t);
    assert_false(upstream_finish(u, 0, &result, NOW));
    assert_int_equal(target_state(t, NOW + 4999), TARGET_PAUSED);
    assert_int_equal(target_state(t, NOW + 5000), TARGET_UP);
    result.retry_after_ms = 86400000; /* longer than pause_max_ms */
    target_begin(t);
    upstream_finish(u, 0, &result, NOW);
    assert_int_equal(target_state(t, NOW + 59999), TARGET_PAUSED);
    assert_int_equal(target_state(t, NOW + 60000), TARGET_UP);
    upstream_unref(u);
    upstream_registry_done(&f.registry);
}

static void test_refused(struct test_fixture *f, const struct upstream_options *options)
{
    struct upstream *u = NULL;
    struct fault why = {0};
    assert_true(err_is(upstream_new(&f->registry, options, NOW, &why, &u), ERR_INVALID));
    assert_true(why.text[0] != '\0');
    assert_null(u);
    assert_int_equal(f->registry.targets.count + f->registry.shared.count, 0);
}

static void test_upstream_options_are_checked_and_change_nothing(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f);
    struct upstream_options good = test_options(2), o;
    good.check.kind = UPSTREAM_CHECK_HTTP;
    struct upstream_target_options twice[] = {{SPAN_INIT("a:1"), 1}, {SPAN_INIT("a:1"), 1}};
    struct upstream_target_options heavy[] = {{SPAN_INIT("a:1"), 1001}};
    struct upstream_target_options empty[] = {{SPAN_INIT(""), 1}};
#define REFUSED(...)                                                                               \
    do {                                                                                           \
        o = good;                                                                                  \
        __VA_ARGS__;                                                                               \
        test_refused(&f, &o);                                                                      \
    } while (0)
    REFUSED(o.name = SPAN(""));
    REFUSED(o.target_count = 0);
    REFUSED(o.targets = twice);
    REFUSED(o.targets = heavy, o.target_count = 1);
    REFUSED(o.targets = empty, o.target_count = 1);
    REFUSED(o.breaker.probe_count = 0);
    REFUSED(o.retry.tries_max = 0);
    REFUSED(o.retry_budget.ttl_ms = 0);
    REFUSED(o.outlier.eject_ms = 0);
    REFUSED(o.outlier.ejected_max_percent = 101);
    REFUSED(o.check.interval_ms = 99);
    REFUSED(o.check.timeout_ms = 0);
    REFUSED(o.check.jitter_percent = 91);
    REFUSED(o.check.path = SPAN("/a b"));
    REFUSED(o.check.path = SPAN("/a\r\nx: y"));
    REFUSED(o.check.host = SPAN("a\tb"));
    REFUSED(o.check.rise = 0);
    REFUSED(o.check.fall = 101);
    REFUSED(o.check.path = SPAN("health"));
    REFUSED(o.check.status_min = 400);
    REFUSED(o.connect_timeout_ms = 0);
    REFUSED(o.request_timeout_ms = 0);
#undef REFUSED
    upstream_unref(test_upstream(&f, &good));
    upstream_registry_done(&f.registry);
}

struct test_shared {
    struct upstream *upstream;
    atomic_uint ejected;
};

static void *test_fail_thread(void *arg)
{
    struct test_shared *shared = arg;
    for (unsigned i = 0; i < 5000; i++) {
        struct upstream *u = upstream_ref(shared->upstream);
        atomic_fetch_add(&shared->ejected, test_fail(u, i % 4, NOW));
        upstream_unref(u);
    }
    return NULL;
}

static void test_upstream_threads_together_do_not_eject_too_many(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f);
    struct upstream_options options = test_options(4);
    struct test_shared shared = {.upstream = test_upstream(&f, &options)};
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, test_fail_thread, &shared), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(shared.ejected, 2);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(shared.upstream->set.members[i].target->in_flight, 0);
    upstream_unref(shared.upstream);
    upstream_registry_done(&f.registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upstream_copies_its_options),
        cmocka_unit_test(test_upstream_reload_keeps_targets_breaker_and_budget),
        cmocka_unit_test(test_upstream_names_do_not_share_state),
        cmocka_unit_test(test_upstream_changed_breaker_starts_afresh_but_stays_forced),
        cmocka_unit_test(test_upstream_sweep_forgets_what_nobody_uses),
        cmocka_unit_test(test_upstream_ejects_after_failures_in_a_row),
        cmocka_unit_test(test_upstream_ejects_no_more_than_the_allowed_share),
        cmocka_unit_test(test_upstream_pauses_a_target_that_asks_for_it),
        cmocka_unit_test(test_upstream_options_are_checked_and_change_nothing),
        cmocka_unit_test(test_upstream_threads_together_do_not_eject_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
