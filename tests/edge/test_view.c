/* test_view.c: a view lives as long as somebody holds it, and holds its snapshot.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/view.h"

#include "loopback_case.h"

#define TWO "upstreams: {app: {targets: [$0, $1]}, other: {targets: [$2]}}\n" ROUTE

static unsigned test_refs(const struct settings *s)
{
    return atomic_load(&s->refs);
}

static void test_view_holds_its_snapshot_until_the_last_pin(void **state)
{
    (void)state;
    loopback_open(&lb, "routes: []\n");
    struct settings *s = loopback_settings(&lb, TWO, NULL);
    struct view *v = view_new(s);
    assert_ptr_equal(v->settings, s);
    assert_int_equal(v->pins, 1);
    assert_int_equal(test_refs(s), 2);
    view_pin(v);
    view_pin(v);
    assert_int_equal(test_refs(s), 2); /* a request touches no shared count */
    view_unpin(v);
    view_unpin(v);
    assert_int_equal(test_refs(s), 2);
    view_unpin(v);
    assert_int_equal(test_refs(s), 1);
    settings_unref(s);
}

static void test_view_of_a_request_outlives_the_reload(void **state)
{
    (void)state;
    loopback_open(&lb, TWO);
    struct peer *c = loopback_connect(&lb);
    struct view *before = lb.home->view;
    peer_say(c, GET("/"));
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    assert_int_equal(before->pins, 2); /* the loop's and the request's */
    loopback_use(&lb, "upstreams: {app: {targets: [$2]}}\n" ROUTE);
    assert_ptr_not_equal(lb.home->view, before);
    assert_int_equal(before->pins, 1);
    assert_int_equal(test_refs(before->settings), 1);
    peer_say(up, OK_ANSWER);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    upstream_registry_sweep(&lb.registry);
    assert_int_equal(lb.registry.targets.count, 1);
}

static unsigned test_pick(struct view *v)
{
    const struct balance_set *set = &v->settings->upstreams[0].upstream->set;
    struct balance_tried tried = {0};
    struct balance_pick pick;
    assert_true(err_ok(balance_next(&v->balances[0], set, &tried, clock_mono_ms(&lb.clock.clock),
                                    &lb.random, &pick)));
    return pick.index;
}

/* Each loop takes turns among the targets by itself. */
static void test_view_balances_apart_from_other_loops(void **state)
{
    (void)state;
    loopback_open(&lb, "routes: []\n");
    struct settings *s = loopback_settings(&lb, TWO, NULL);
    struct view *one = view_new(s), *other = view_new(s);
    assert_int_equal(test_refs(s), 3);
    assert_int_equal(one->balances[0].member_count, 2);
    assert_int_equal(one->balances[1].member_count, 1);
    for (unsigned i = 0; i < 4; i++) {
        unsigned picked = test_pick(one);
        assert_int_equal(test_pick(other), picked);
        assert_int_equal(test_pick(one), 1 - picked);
        assert_int_equal(test_pick(other), 1 - picked);
    }
    view_unpin(one);
    view_unpin(other);
    settings_unref(s);
}

#define RULE(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_view_holds_its_snapshot_until_the_last_pin),
        RULE(test_view_of_a_request_outlives_the_reload),
        RULE(test_view_balances_apart_from_other_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
