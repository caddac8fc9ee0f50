/* test_recent.c: five minutes of points, on a clock that the test turns.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "edge/access.h"
#include "edge_fixture.h"
#include "operate/recent.h"

#define ONE                                                                                        \
    "routes: [{match: {path: /}, to: shop}]\nupstreams: {shop: {targets: ['127.0.0.1:1']}}\n"
#define TWO                                                                                        \
    "routes: [{match: {path: /}, to: shop}]\n"                                                     \
    "upstreams: {shop: {targets: ['127.0.0.1:1']}, mail: {targets: ['127.0.0.1:2']}}\n"

struct recent_test {
    struct edge_fixture edge;
    struct clock_fake clock;
    struct metric_shard *shard;
    struct recent *recent;
};

static void recent_test_init(struct recent_test *t)
{
    clock_fake_init(&t->clock, 5000ull * 1000000000, 0);
    edge_fixture_open_at(&t->edge, ONE, &t->clock.clock);
    t->shard = metric_shard_new(t->edge.node.metrics);
    t->recent = recent_new(&t->edge.node);
}

static void recent_test_done(struct recent_test *t)
{
    recent_free(t->recent);
    metric_shard_end(t->shard);
    edge_fixture_done(&t->edge);
}

static void recent_test_advance(struct recent_test *t, uint64_t ms)
{
    clock_fake_advance_ms(&t->clock, ms);
    loop_turn(t->edge.node.control, false);
    loop_turn(t->edge.node.control, false);
}

static void recent_test_requests(struct recent_test *t, unsigned count, const char *status,
                                 uint64_t took_ms)
{
    struct metric_histogram *h =
        metric_histogram(t->shard, &access_metrics[ACCESS_SERVER_DURATION],
                         METRIC_LABELS(SPAN("GET"), SPAN("http"), SPAN("/"), span_from(status)));
    for (unsigned i = 0; i < count; i++)
        metric_observe(h, took_ms * 1000000);
}

static void recent_test_tries(struct recent_test *t, unsigned count, const char *upstream,
                              uint64_t took_ms)
{
    struct metric_histogram *h =
        metric_histogram(t->shard, &access_metrics[ACCESS_CLIENT_DURATION],
                         METRIC_LABELS(span_from(upstream), SPAN("127.0.0.1:1"), SPAN("200")));
    for (unsigned i = 0; i < count; i++)
        metric_observe(h, took_ms * 1000000);
}

static json_t *recent_test_json(struct recent_test *t)
{
    struct buf text;
    json_error_t where;
    buf_init(&text, 1 << 20);
    assert_true(err_ok(recent_write(t->recent, &text)));
    json_t *tree = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES, &where);
    if (tree == NULL)
        fail_msg("%s", where.text);
    buf_done(&text);
    return tree;
}

/* The n-th newest value of a field; -1 for null. */
static double recent_test_value(const json_t *tree, const char *field, size_t age)
{
    const json_t *values = json_object_get(tree, field);
    assert_true(json_is_array(values) && age < json_array_size(values));
    const json_t *value = json_array_get(values, json_array_size(values) - 1 - age);
    return json_is_null(value) ? -1 : json_number_value(value);
}

static void test_recent_counts_requests_by_class_each_second(void **state)
{
    (void)state;
    struct recent_test t;
    recent_test_init(&t);
    recent_test_requests(&t, 7, "200", 10);
    recent_test_requests(&t, 2, "404", 10);
    recent_test_requests(&t, 1, "503", 10);
    metric_add(metric_counter(t.shard, &access_metrics[ACCESS_LIMITED], METRIC_LABELS(SPAN("/"))),
               4);
    metric_add(
        metric_counter(t.shard, &access_metrics[ACCESS_RETRIES], METRIC_LABELS(SPAN("shop"))), 3);
    recent_test_advance(&t, RECENT_STEP_MS);
    recent_test_advance(&t, RECENT_STEP_MS);
    json_t *tree = recent_test_json(&t);
    assert_int_equal(json_integer_value(json_object_get(tree, "points")), 2);
    static const struct {
        const char *field;
        int value;
    } wanted[] = {{"requests", 10},  {"status_2xx", 7}, {"status_3xx", 0},
                  {"status_4xx", 2}, {"status_5xx", 1}, {"limited", 4},
                  {"retries", 3},    {"refused", 0},    {"connections", 0}};
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        assert_int_equal((int)recent_test_value(tree, wanted[i].field, 1), wanted[i].value);
        assert_int_equal((int)recent_test_value(tree, wanted[i].field, 0), 0);
    }
    json_decref(tree);
    const struct recent_totals *totals = recent_totals_now(t.recent);
    assert_int_equal(totals->classes[2], 7);
    assert_int_equal(totals->classes[4], 2);
    assert_int_equal(totals->limited, 4);
    recent_test_done(&t);
}

static void test_recent_rates_are_means_of_five_points(void **state)
{
    (void)state;
    struct recent_test t;
    struct recent_rates rates;
    recent_test_init(&t);
    recent_rates_now(t.recent, &rates);
    assert_true(rates.requests == 0);
    recent_test_requests(&t, 30, "200", 10);
    recent_test_advance(&t, RECENT_STEP_MS);
    recent_rates_now(t.recent, &rates);
    assert_true(rates.requests > 29.99 && rates.requests < 30.01);
    for (unsigned i = 0; i < 4; i++) {
        recent_test_requests(&t, 10, "200", 10);
        recent_test_advance(&t, RECENT_STEP_MS);
    }
    recent_rates_now(t.recent, &rates);
    assert_true(rates.requests > 13.99 && rates.requests < 14.01); /* (30 + 4 * 10) / 5 */
    recent_test_advance(&t, RECENT_STEP_MS);
    recent_rates_now(t.recent, &rates);
    assert_true(rates.requests > 7.99 && rates.requests < 8.01); /* (4 * 10 + 0) / 5 */
    assert_true(rates.classes[2] == rates.requests);
    recent_test_done(&t);
}

/* The loop was held up for three seconds: events spread over them, not piled into one. */
static void test_recent_spreads_a_late_point(void **state)
{
    (void)state;
    struct recent_test t;
    recent_test_init(&t);
    recent_test_requests(&t, 31, "200", 10);
    recent_test_advance(&t, 3 * RECENT_STEP_MS);
    json_t *tree = recent_test_json(&t);
    assert_int_equal((int)recent_test_value(tree, "requests", 0), 10);
    json_decref(tree);
    recent_test_done(&t);
}

static void test_recent_latency_is_of_the_last_seconds(void **state)
{
    (void)state;
    struct recent_test t;
    struct recent_window_view v;
    recent_test_init(&t);
    json_t *tree;
    recent_test_advance(&t, RECENT_STEP_MS);
    recent_test_requests(&t, 100, "200", 500);
    recent_test_requests(&t, 200, "101", 3600000); /* WebSockets that ended do not count */
    recent_test_advance(&t, RECENT_STEP_MS);
    recent_window_now(t.recent, &v);
    assert_in_range(v.p50_ns, 490000000, 510000000);
    for (unsigned i = 0; i < 14; i++) { /* the slow ones go out of the window */
        recent_test_requests(&t, 50, "200", 20);
        recent_test_advance(&t, RECENT_STEP_MS);
    }
    recent_window_now(t.recent, &v);
    assert_in_range(v.p50_ns, 19000000, 21000000);
    assert_in_range(v.p99_ns, 19000000, 21000000);
    assert_true(v.per_s > 45 && v.per_s < 55);
    for (unsigned i = 0; i < 16; i++)
        recent_test_advance(&t, RECENT_STEP_MS);
    recent_window_now(t.recent, &v);
    assert_int_equal(v.p50_ns, 0);
    assert_true(v.per_s == 0);
    tree = recent_test_json(&t);
    assert_int_equal((int)recent_test_value(tree, "p99_ms", 0), -1);      /* null: there was none */
    assert_int_equal((int)recent_test_value(tree, "p99_ms", 16) / 10, 2); /* about 20 ms */
    json_decref(tree);
    recent_test_done(&t);
}

static void test_recent_keeps_five_minutes(void **state)
{
    (void)state;
    struct recent_test t;
    recent_test_init(&t);
    for (unsigned i = 1; i <= RECENT_POINTS + 7; i++) {
        recent_test_requests(&t, i, "200", 1);
        recent_test_advance(&t, RECENT_STEP_MS);
        if (i < RECENT_POINTS - 1 || i > RECENT_POINTS + 1)
            continue;
        json_t *tree = recent_test_json(&t);
        assert_int_equal(json_array_size(json_object_get(tree, "requests")),
                         i < RECENT_POINTS ? i : RECENT_POINTS);
        json_decref(tree);
    }
    json_t *tree = recent_test_json(&t);
    assert_int_equal((int)recent_test_value(tree, "requests", 0), RECENT_POINTS + 7);
    assert_int_equal((int)recent_test_value(tree, "requests", RECENT_POINTS - 1), 8);
    json_decref(tree);
    recent_test_done(&t);
}

static void test_recent_follows_upstreams_over_reloads(void **state)
{
    (void)state;
    struct recent_test t;
    struct recent_window_view v;
    recent_test_init(&t);
    recent_test_tries(&t, 1000, "mail", 900); /* of before */
    recent_test_advance(&t, RECENT_STEP_MS);
    recent_test_tries(&t, 50, "shop", 30);
    recent_test_tries(&t, 50, "mail", 40);
    for (unsigned i = 0; i < 10; i++)
        recent_test_advance(&t, RECENT_STEP_MS);
    recent_upstream_now(t.recent, SPAN("shop"), &v);
    assert_true(v.per_s > 4.9 && v.per_s < 5.1);
    assert_in_range(v.p90_ns, 29000000, 31000000);
    recent_upstream_now(t.recent, SPAN("mail"), &v);
    assert_true(v.per_s == 0); /* not an upstream yet */

    edge_fixture_reload(&t.edge, TWO);
    for (unsigned i = 0; i < 5; i++)
        recent_test_advance(&t, RECENT_STEP_MS);
    recent_test_tries(&t, 10, "mail", 60);
    recent_test_advance(&t, RECENT_STEP_MS);
    recent_upstream_now(t.recent, SPAN("mail"), &v);
    assert_in_range(v.p50_ns, 58000000, 62000000); /* nothing of before it was there */

    edge_fixture_reload(&t.edge, ONE);
    for (unsigned i = 0; i < 5; i++)
        recent_test_advance(&t, RECENT_STEP_MS);
    recent_upstream_now(t.recent, SPAN("mail"), &v);
    assert_true(v.per_s == 0 && v.p50_ns == 0);
    recent_test_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recent_counts_requests_by_class_each_second),
        cmocka_unit_test(test_recent_rates_are_means_of_five_points),
        cmocka_unit_test(test_recent_spreads_a_late_point),
        cmocka_unit_test(test_recent_latency_is_of_the_last_seconds),
        cmocka_unit_test(test_recent_keeps_five_minutes),
        cmocka_unit_test(test_recent_follows_upstreams_over_reloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
