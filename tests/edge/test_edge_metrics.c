/* test_edge_metrics.c: a scrape shows the targets, breakers and limits as they are now.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/edge_metrics.h"
#include "edge_fixture.h"

static const char yaml[] = "upstreams:\n"
                           "  shop: {targets: ['127.0.0.1:1', '127.0.0.1:2']}\n"
                           "  plain: {targets: ['127.0.0.1:3'], breaker_on: false}\n"
                           "routes: [{match: {path: /}, to: shop}]\n";

static struct upstream *upstream_of(const struct edge_fixture *f, unsigned index)
{
    return edge_settings(&f->node)->upstreams[index].upstream;
}

static void test_edge_metrics_follow_targets(void **state)
{
    (void)state;
    struct edge_fixture f;
    edge_fixture_open(&f, yaml);
    struct target *t = upstream_of(&f, 0)->set.members[1].target;
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, "plimsoll_target_up", "shop", "127.0.0.1:1"), 1);
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, "plimsoll_target_up", "shop", "127.0.0.1:2"), 1);
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, "plimsoll_target_up", "plain", "127.0.0.1:3"), 1);
    target_drain(t, true);
    target_begin(t);
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, "plimsoll_target_up", "shop", "127.0.0.1:1"), 1);
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, "plimsoll_target_up", "shop", "127.0.0.1:2"), 0);
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, "plimsoll_target_in_flight", "shop", "127.0.0.1:2"),
                     1);
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, "plimsoll_target_in_flight", "shop", "127.0.0.1:1"),
                     0);
    (void)target_finish(t, TARGET_IGNORED, 0);
    edge_fixture_done(&f);
}

static void test_edge_metrics_show_one_state_of_each_breaker(void **state)
{
    (void)state;
    struct edge_fixture f;
    struct breaker_permit permit;
    edge_fixture_open(&f, yaml);
    struct breaker *b = upstream_of(&f, 0)->breaker;
    uint64_t now_ms = clock_mono_ms(&clock_system);
    const char *const name = "plimsoll_breaker_state";
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, name, "shop", "closed"), 1);
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, name, "shop", "open"), 0);
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, name, "shop", "half-open"), 0);
    breaker_force(b, BREAKER_FORCED_OPEN, now_ms);
    assert_true(err_is(breaker_allow(b, now_ms, &permit), ERR_BREAKER_OPEN));
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, name, "shop", "closed"), 0);
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, name, "shop", "forced-open"), 1);
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, "plimsoll_breaker_refused_total", "shop"), 1);
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, name, "plain", "closed"), -1);
    edge_fixture_done(&f);
}

static void test_edge_metrics_follow_a_reload(void **state)
{
    (void)state;
    struct edge_fixture f;
    edge_fixture_open(&f, yaml);
    edge_fixture_reload(&f, "upstreams: {shop: {targets: ['127.0.0.1:2']}}\n"
                            "routes: [{match: {path: /}, to: shop}]\n");
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, "plimsoll_target_up", "shop", "127.0.0.1:1"), -1);
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, "plimsoll_target_up", "shop", "127.0.0.1:2"), 1);
    edge_fixture_done(&f);
}

static void test_edge_metrics_count_limit_keys(void **state)
{
    (void)state;
    struct edge_fixture f;
    struct peer_server server;
    char text[512];
    peer_server_init(&server, PEER_SERVER_ACCEPTS);
    (void)snprintf(text, sizeof text,
                   "limits: [{per: header, header: x-key, rate: 5/s}]\n"
                   "upstreams: {shop: {targets: ['127.0.0.1:%u']}}\n"
                   "routes: [{match: {path: /}, respond: {status: 200, body: ok}}]\n",
                   server.port);
    edge_fixture_open(&f, text);
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, "plimsoll_limit_keys"), 0);
    struct peer client = edge_fixture_connect(&f);
    peer_say(&client, "GET / HTTP/1.1\r\nhost: a\r\nx-key: one\r\n\r\n"
                      "GET / HTTP/1.1\r\nhost: a\r\nx-key: two\r\n\r\n");
    EDGE_FIXTURE_UNTIL(&f, &server,
                       (peer_pump(&client), client.received_bytes > 0) &&
                           EDGE_FIXTURE_METRIC(&f, "plimsoll_limit_keys") == 2);
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, "plimsoll_limit_evictions_total"), 0);
    peer_done(&client);
    edge_fixture_done(&f);
    peer_server_done(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edge_metrics_follow_targets),
        cmocka_unit_test(test_edge_metrics_show_one_state_of_each_breaker),
        cmocka_unit_test(test_edge_metrics_follow_a_reload),
        cmocka_unit_test(test_edge_metrics_count_limit_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
