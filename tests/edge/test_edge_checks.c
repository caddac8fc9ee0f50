/* test_edge_checks.c: when accepting, targets and breakers are well, doubtful or ill.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/check.h"
#include "edge/edge_checks.h"
#include "edge_fixture.h"

static const char yaml[] = "upstreams:\n"
                           "  shop: {targets: ['127.0.0.1:1', '127.0.0.1:2']}\n"
                           "  mail: {targets: ['127.0.0.1:3']}\n"
                           "routes: [{match: {path: /}, to: shop}]\n";

struct seen {
    struct check_sink sink; /* first */
    struct check_result results[8];
    unsigned count;
};

static void seen_add(struct check_sink *sink, const struct check_result *result)
{
    struct seen *s = container_of(sink, struct seen, sink);
    assert_true(s->count < COUNT_OF(s->results));
    s->results[s->count++] = *result;
}

static struct seen run(const struct edge_fixture *f, const char *name)
{
    struct seen s = {.sink = {seen_add}};
    for (const struct check *c = edge_checks_table; c->name != NULL; c++)
        if (strcmp(c->name, name) == 0)
            c->run(&f->node, &s.sink);
    return s;
}

static struct upstream *upstream_of(const struct edge_fixture *f, unsigned index)
{
    return edge_settings(&f->node)->upstreams[index].upstream;
}

static void drain(const struct edge_fixture *f, unsigned upstream, unsigned target)
{
    target_drain(upstream_of(f, upstream)->set.members[target].target, true);
}

static void test_edge_checks_fail_targets_only_when_no_upstream_has_one(void **state)
{
    (void)state;
    struct edge_fixture f;
    edge_fixture_open(&f, yaml);
    struct seen s = run(&f, "upstream:targets");
    assert_int_equal(s.count, 2);
    assert_true(span_eq(s.results[0].component_id, SPAN("shop")));
    assert_int_equal(s.results[0].status, CHECK_PASS);
    assert_int_equal((int)s.results[0].value, 2);
    drain(&f, 0, 0);
    s = run(&f, "upstream:targets");
    assert_int_equal(s.results[0].status, CHECK_WARN);
    assert_int_equal(s.results[1].status, CHECK_PASS);
    drain(&f, 0, 1);
    s = run(&f, "upstream:targets");
    assert_int_equal(s.results[0].status, CHECK_WARN); /* the other upstream still serves */
    drain(&f, 1, 0);
    s = run(&f, "upstream:targets");
    assert_int_equal(s.results[0].status, CHECK_FAIL);
    assert_int_equal(s.results[1].status, CHECK_FAIL);
    edge_fixture_done(&f);
}

static void test_edge_checks_warn_of_breakers_that_refuse(void **state)
{
    (void)state;
    static const struct {
        enum breaker_state state;
        enum check_status status;
    } cases[] = {{BREAKER_CLOSED, CHECK_PASS},
                 {BREAKER_FORCED_OPEN, CHECK_WARN},
                 {BREAKER_FORCED_CLOSED, CHECK_PASS}};
    struct edge_fixture f;
    edge_fixture_open(&f, yaml);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        breaker_force(upstream_of(&f, 1)->breaker, cases[i].state, clock_mono_ms(&clock_system));
        struct seen s = run(&f, "upstream:breaker");
        assert_int_equal(s.count, 2);
        assert_int_equal(s.results[0].status, CHECK_PASS);
        assert_int_equal(s.results[1].status, cases[i].status);
        assert_non_null(s.results[1].output);
    }
    edge_fixture_done(&f);
}

static void test_edge_checks_fail_accepting_while_it_drains(void **state)
{
    (void)state;
    struct edge_fixture f;
    edge_fixture_open(&f, yaml);
    assert_int_equal(run(&f, "edge:accepting").results[0].status, CHECK_PASS);
    part_drain_all(&f.node);
    assert_int_equal(run(&f, "edge:accepting").results[0].status, CHECK_FAIL);
    edge_fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edge_checks_fail_targets_only_when_no_upstream_has_one),
        cmocka_unit_test(test_edge_checks_warn_of_breakers_that_refuse),
        cmocka_unit_test(test_edge_checks_fail_accepting_while_it_drains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
