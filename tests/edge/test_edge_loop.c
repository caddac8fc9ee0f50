/* test_edge_loop.c: draining, switching snapshots, and freeing a loop whatever is under way.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/edge_loop.h"

#include "edge/access.h"
#include "edge/conn.h"
#include "edge/view.h"
#include "loopback_case.h"

static void test_edge_loop_drain_closes_what_is_idle_and_finishes_the_rest(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *idle = loopback_connect(&lb);
    struct peer *busy = loopback_connect(&lb);
    struct peer *fresh = loopback_connect(&lb);
    lb.upstreams[0].answer = OK_ANSWER;
    (void)loopback_ask(&lb, idle, GET("/"), &answer);
    lb.upstreams[0].answer = NULL;
    peer_say(busy, GET("/"));
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    loopback_settle(&lb);
    assert_int_equal(lb.home->conn_count, 3);
    edge_loop_drain(lb.home);
    LOOPBACK_UNTIL(&lb, idle->has_ended && fresh->has_ended);
    assert_int_equal(lb.home->conn_count, 1);
    assert_false(edge_loop_is_idle(lb.home));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_not_equal(connect(fd, &lb.addresses[0].any, lb.addresses[0].len), 0);
    assert_int_equal(close(fd), 0);
    peer_say(up, OK_ANSWER);
    loopback_answer(&lb, busy, &answer);
    assert_int_equal(answer.response.status, 200);
    assert_true(loopback_field_is(&answer, "connection", "close"));
    LOOPBACK_UNTIL(&lb, busy->has_ended);
    peer_close(busy);
    LOOPBACK_UNTIL(&lb, edge_loop_is_idle(lb.home));
    loopback_assert_idle(&lb);
}

static void test_edge_loop_drain_answers_a_head_that_is_on_its_way(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    peer_say(c, "GET / HTTP/1.1\r\nHost");
    loopback_settle(&lb);
    edge_loop_drain(lb.home);
    peer_say(c, ": a\r\n\r\n" GET("/next"));
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    assert_true(loopback_field_is(&answer, "connection", "close"));
    LOOPBACK_UNTIL(&lb, c->has_ended);
    assert_int_equal(lb.upstreams[0].requests, 1);
}

static void test_edge_loop_drain_leaves_tunnels_open(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    peer_say(up, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    LOOPBACK_UNTIL(&lb, lb.home->tunnel_count == 1);
    edge_loop_drain(lb.home);
    peer_say(c, "still here");
    LOOPBACK_UNTIL(&lb, peer_has(up, "still here"));
    peer_close(c);
    LOOPBACK_UNTIL(&lb, edge_loop_is_idle(lb.home));
}

static void test_edge_loop_switches_between_two_requests(void **state)
{
    (void)state;
    loopback_open(&lb, "routes: [{match: {path: /}, respond: {body: one}}]\n");
    struct peer *c = loopback_connect(&lb);
    (void)loopback_ask(&lb, c, GET("/"), &answer);
    assert_true(loopback_body_has(&answer, "one"));
    struct settings *before = settings_ref(lb.settings);
    loopback_use(&lb, "routes: [{match: {path: /}, respond: {body: two}}]\n");
    assert_int_equal(atomic_load(&before->refs), 1); /* nobody uses it any more */
    settings_unref(before);
    (void)loopback_ask(&lb, c, GET("/"), &answer);
    assert_true(loopback_body_has(&answer, "two"));
}

static void test_edge_loop_switches_in_the_middle_of_everything(void **state)
{
    (void)state;
    enum { PHASES = 4 };
    loopback_open(&lb, "upstreams: {app: {targets: [$0]}, silent: {targets: [$silent]}}\n"
                       "routes: [{match: {path: /}, to: app}, {match: {path: /s}, to: silent}]\n");
    static const char *const asked[PHASES] = {"GET / HT", GET("/s"), GET("/"),
                                              POST("Content-Length: 4\r\n") "ab"};
    struct peer *clients[PHASES];
    for (unsigned i = 0; i < PHASES; i++) {
        clients[i] = loopback_connect(&lb);
        peer_say(clients[i], asked[i]);
        loopback_settle(&lb);
    }
    struct settings *before = settings_ref(lb.settings);
    for (unsigned i = 0; i < 5; i++)
        loopback_use(&lb, "upstreams: {other: {targets: [$1]}}\n"
                          "routes: [{match: {path: /}, to: other}]\n");
    assert_int_equal(atomic_load(&before->refs), 2);
    loopback_advance(&lb, 1);
    peer_say(clients[0], "TP/1.1\r\nHost: a\r\n\r\n");
    peer_say(clients[3], "cd");
    loopback_settle(&lb);
    struct peer_server *server = &lb.upstreams[0].server;
    assert_int_equal(server->count, 3);
    for (unsigned i = 0; i < server->count; i++)
        peer_say(&server->peers[i], OK_ANSWER);
    static const unsigned answered[] = {0, 2, 3};
    for (unsigned i = 0; i < COUNT_OF(answered); i++) {
        loopback_answer(&lb, clients[answered[i]], &answer);
        assert_int_equal(answer.response.status, 200);
    }
    peer_close(clients[1]);
    LOOPBACK_UNTIL(&lb, atomic_load(&before->refs) == 1);
    settings_unref(before);
    loopback_assert_idle(&lb);
}

static void test_edge_loop_is_freed_whatever_is_under_way(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$0]}, silent: {targets: [$silent]}}\n"
                       "routes: [{match: {path: /}, to: app}, {match: {path: /s}, to: silent}]\n");
    static const char *const asked[] = {"",
                                        "GET / HT",
                                        GET("/"),
                                        GET("/s"),
                                        GET("/"),
                                        POST("Content-Length: 4\r\n") "ab",
                                        GET("/%"),
                                        "POST /%00 HTTP/1.1\r\nHost: a\r\n"
                                        "Content-Length: 9\r\n\r\n"};
    for (unsigned i = 0; i < COUNT_OF(asked); i++) {
        peer_say(loopback_connect(&lb), asked[i]);
        loopback_settle(&lb);
    }
    peer_say(&lb.upstreams[0].server.peers[0],
             "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"); /* in the middle of a body */
    peer_close(&lb.upstreams[0].server.peers[1]);                /* and between two tries */
    loopback_settle(&lb);
    assert_true(lb.home->exchange_count >= 4);
}

static void test_edge_loop_refuses_connections_over_its_maximum(void **state)
{
    (void)state;
    loopback_open(&lb, APP "connections: {max: 2}\n");
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *a = loopback_connect(&lb);
    struct peer *b = loopback_connect(&lb);
    loopback_settle(&lb);
    struct peer *third = loopback_connect(&lb);
    LOOPBACK_UNTIL(&lb, peer_is_over(third));
    assert_int_equal(loopback_ask(&lb, a, GET("/"), &answer), 200);
    assert_int_equal(loopback_ask(&lb, b, GET("/"), &answer), 200);
    assert_int_equal(loopback_metric(&lb, "plimsoll_connections_refused_total", "connections"), 1);
    peer_close(a);
    LOOPBACK_UNTIL(&lb, lb.home->conn_count == 1);
    assert_int_equal(loopback_ask(&lb, loopback_connect(&lb), GET("/"), &answer), 200);
}

static void test_edge_loop_serves_many_at_once(void **state)
{
    (void)state;
    enum { CLIENTS = 100, ROUNDS = 5 };
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *clients[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i] = loopback_connect(&lb);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < CLIENTS; i++)
            peer_say(clients[i], GET("/"));
        for (unsigned i = 0; i < CLIENTS; i++) {
            loopback_answer(&lb, clients[i], &answer);
            assert_int_equal(answer.response.status, 200);
        }
    }
    loopback_settle(&lb);
    assert_int_equal(lb.upstreams[0].requests, CLIENTS * ROUNDS);
    assert_in_range(loopback_links(&lb).opened, 1, CLIENTS);
    loopback_assert_idle(&lb);
}

#define RULE(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_edge_loop_drain_closes_what_is_idle_and_finishes_the_rest),
        RULE(test_edge_loop_drain_answers_a_head_that_is_on_its_way),
        RULE(test_edge_loop_drain_leaves_tunnels_open),
        RULE(test_edge_loop_switches_between_two_requests),
        RULE(test_edge_loop_switches_in_the_middle_of_everything),
        RULE(test_edge_loop_is_freed_whatever_is_under_way),
        RULE(test_edge_loop_refuses_connections_over_its_maximum),
        RULE(test_edge_loop_serves_many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
