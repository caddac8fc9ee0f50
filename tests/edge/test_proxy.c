/* test_proxy.c: tries: what is tried again, what is not, and what each leaves behind.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/proxy.h"

#include "loopback_case.h"

#define PAIR       "upstreams: {app: {targets: [$0, $1]}}\n" ROUTE
#define BAD_ANSWER "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nbad"

static struct peer *upstream_peer(unsigned index)
{
    return &lb.upstreams[0].server.peers[index];
}

/* Time passes until something has come; for waits between tries, which are random. */
static void pass_time_until_peers(unsigned count)
{
    for (unsigned i = 0; i < 2000 && lb.upstreams[0].server.count < count; i++)
        loopback_advance(&lb, 1);
    assert_true(lb.upstreams[0].server.count >= count);
}

static void breaker_state_is(enum breaker_state state)
{
    struct breaker_view view;
    breaker_look(loopback_upstream_of(&lb, 0)->breaker, lb.clock.mono_now_ns / 1000000, &view);
    assert_int_equal(view.state, state);
}

/* ---- retries ---- */

static void test_proxy_tries_again_when_the_target_closes_without_an_answer(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, GET("/"));
    peer_close(loopback_request(&lb, 0, 0, &request));
    pass_time_until_peers(2);
    struct span first_id = loopback_field(&request, "x-request-id");
    char id[64];
    memcpy(id, first_id.at, first_id.len);
    struct peer *up = loopback_request(&lb, 0, 1, &request);
    assert_true(span_eq(loopback_field(&request, "x-request-id"), span_of(id, first_id.len)));
    peer_say(up, OK_ANSWER);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    loopback_assert_idle(&lb);
    assert_int_equal(loopback_metric(&lb, "plimsoll_retries_total", "app"), 1);
}

static void test_proxy_does_not_repeat_a_post(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, POST("Content-Length: 1\r\n") "x");
    peer_close(loopback_request(&lb, 0, 0, &request));
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 502);
    loopback_advance(&lb, 5000);
    assert_int_equal(lb.upstreams[0].server.count, 1);
    loopback_assert_idle(&lb);
}

static void test_proxy_repeats_a_post_with_an_idempotency_key(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, POST("Idempotency-Key: k1\r\nContent-Length: 4\r\n") "body");
    peer_close(loopback_request(&lb, 0, 0, &request));
    pass_time_until_peers(2);
    peer_say(loopback_request(&lb, 0, 1, &request), OK_ANSWER);
    assert_true(span_eq(buf_span(&request.body), SPAN("body")));
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    loopback_assert_idle(&lb);
}

static void test_proxy_does_not_repeat_what_it_no_longer_has(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, "PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf");
    LOOPBACK_UNTIL(&lb, lb.upstreams[0].server.count == 1 && peer_has(upstream_peer(0), "half"));
    peer_say(c, "rest");
    LOOPBACK_UNTIL(&lb, peer_has(upstream_peer(0), "halfrest"));
    peer_close(upstream_peer(0));
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 502);
    assert_int_equal(lb.upstreams[0].server.count, 1);
    loopback_assert_idle(&lb);
}

static void test_proxy_tries_again_on_a_connection_that_went_stale(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    (void)loopback_ask(&lb, c, GET("/"), &answer);
    assert_int_equal(loopback_links(&lb).idle, 1);
    /* The next request and the end of the idle connection cross on the way. */
    lb.upstreams[0].answer = NULL;
    peer_say(c, GET("/"));
    LOOPBACK_UNTIL(&lb, lb.home->exchange_count == 1);
    peer_reset(upstream_peer(0));
    pass_time_until_peers(2);
    peer_say(loopback_request(&lb, 0, 1, &request), OK_ANSWER);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    loopback_assert_idle(&lb);
}

static void test_proxy_notices_the_end_of_an_idle_connection(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = OK_ANSWER;
    lb.upstreams[0].closes = true;
    struct peer *c = loopback_connect(&lb);
    for (unsigned i = 0; i < 5; i++) {
        /* also what must not be repeated */
        assert_int_equal(loopback_ask(&lb, c, POST("Content-Length: 1\r\n") "x", &answer), 200);
        LOOPBACK_UNTIL(&lb, loopback_links(&lb).idle == 0);
    }
    assert_int_equal(loopback_metric(&lb, "plimsoll_retries_total", NULL), 0);
}

static void test_proxy_goes_to_another_target_at_once_when_one_refuses(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$dead, $0]}}\n" ROUTE);
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    for (unsigned i = 0; i < 10; i++) /* nothing was sent: a POST may be tried again */
        assert_int_equal(loopback_ask(&lb, c, POST("Content-Length: 1\r\n") "x", &answer), 200);
    assert_int_equal(lb.upstreams[0].requests, 10);
    loopback_assert_idle(&lb);
}

static void test_proxy_answers_502_when_nobody_listens(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$dead], retry: {tries: 1}}}\n" ROUTE);
    struct peer *c = loopback_connect(&lb);
    assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 502);
    assert_true(loopback_field_is(&answer, "content-type", "application/problem+json"));
    assert_true(loopback_body_has(&answer, "no connection to the upstream"));
    assert_int_equal(atomic_load(&loopback_target(&lb, 0, 0)->connect_failures), 1);
    loopback_assert_idle(&lb);
}

static void test_proxy_repeats_statuses_as_configured_and_passes_the_last_on(void **state)
{
    (void)state;
    loopback_open(&lb, PAIR);
    lb.upstreams[0].answer = lb.upstreams[1].answer =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nX-Mine: y\r\n\r\nbusy";
    struct peer *c = loopback_connect(&lb);
    peer_say(c, GET("/"));
    for (unsigned i = 0; i < 2000 && c->in.len == 0; i++)
        loopback_advance(&lb, 1);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 503);
    assert_true(loopback_body_has(&answer, "busy"));
    assert_true(loopback_field_is(&answer, "x-mine", "y"));
    assert_int_equal(lb.upstreams[0].requests + lb.upstreams[1].requests, 3);
    loopback_assert_idle(&lb);
}

static void test_proxy_does_not_repeat_a_500(void **state)
{
    (void)state;
    loopback_open(&lb, PAIR);
    lb.upstreams[0].answer = lb.upstreams[1].answer = BAD_ANSWER;
    struct peer *c = loopback_connect(&lb);
    assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 500);
    assert_int_equal(lb.upstreams[0].requests + lb.upstreams[1].requests, 1);
}

static void test_proxy_pauses_a_target_that_asks_for_it(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n"
                             "Content-Length: 0\r\n\r\n";
    struct peer *c = loopback_connect(&lb);
    assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 429);
    assert_true(loopback_field_is(&answer, "retry-after", "7"));
    assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 503);
    assert_true(loopback_field_is(&answer, "retry-after", "7"));
    loopback_advance(&lb, 7001);
    lb.upstreams[0].answer = OK_ANSWER;
    assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 200);
    loopback_assert_idle(&lb);
}

static void test_proxy_ejects_a_target_that_keeps_failing(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$0, $1], outlier: {failures: 3}}}\n" ROUTE);
    lb.upstreams[0].answer = BAD_ANSWER;
    lb.upstreams[1].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    for (unsigned i = 0; i < 20; i++)
        (void)loopback_ask(&lb, c, GET("/"), &answer);
    assert_int_equal(lb.upstreams[0].requests, 3);
    assert_int_equal(lb.upstreams[1].requests, 17);
    assert_int_equal(loopback_metric(&lb, "plimsoll_target_ejections_total", "app"), 1);
}

static void test_proxy_uses_no_target_that_drains(void **state)
{
    (void)state;
    loopback_open(&lb, PAIR);
    lb.upstreams[0].answer = lb.upstreams[1].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    target_drain(loopback_target(&lb, 0, 0), true);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 200);
    assert_int_equal(lb.upstreams[0].requests, 0);
    target_drain(loopback_target(&lb, 0, 1), true);
    assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 503);
    loopback_assert_idle(&lb);
}

/* ---- the breaker ---- */

#define BREAKER                                                                                    \
    "upstreams: {app: {targets: [$0], outlier: {failures: 0}, retry: {tries: 1},\n"                \
    "  breaker: {volume: 4, open: 10s, probes: 2}}}\n" ROUTE

static void test_proxy_answers_503_while_the_breaker_is_open(void **state)
{
    (void)state;
    loopback_open(&lb, BREAKER);
    lb.upstreams[0].answer = BAD_ANSWER;
    struct peer *c = loopback_connect(&lb);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 500);
    breaker_state_is(BREAKER_OPEN);
    assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 503);
    struct span wait = loopback_field(&answer, "retry-after");
    uint64_t seconds = 0;
    assert_true(err_ok(span_parse_u64(wait, 100, &seconds)));
    assert_in_range(seconds, 8, 12);
    assert_int_equal(loopback_field_count(&answer, "retry-after"), 1);
    assert_int_equal(lb.upstreams[0].requests, 4);
    loopback_assert_idle(&lb);
}

static void test_proxy_closes_the_breaker_by_probes(void **state)
{
    (void)state;
    loopback_open(&lb, BREAKER);
    lb.upstreams[0].answer = BAD_ANSWER;
    struct peer *c = loopback_connect(&lb);
    for (unsigned i = 0; i < 4; i++)
        (void)loopback_ask(&lb, c, GET("/"), &answer);
    loopback_advance(&lb, 12001);
    lb.upstreams[0].answer = OK_ANSWER;
    assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 200);
    breaker_state_is(BREAKER_HALF_OPEN);
    assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 200);
    breaker_state_is(BREAKER_CLOSED);
}

static void test_proxy_gives_a_probe_back_when_its_client_leaves(void **state)
{
    (void)state;
    loopback_open(&lb, BREAKER);
    lb.upstreams[0].answer = BAD_ANSWER;
    struct peer *c = loopback_connect(&lb);
    for (unsigned i = 0; i < 4; i++)
        (void)loopback_ask(&lb, c, GET("/"), &answer);
    loopback_advance(&lb, 12001);
    lb.upstreams[0].answer = NULL;
    struct peer *leaving[2];
    for (unsigned i = 0; i < 2; i++) {
        leaving[i] = loopback_connect(&lb);
        peer_say(leaving[i], GET("/"));
        LOOPBACK_UNTIL(&lb, lb.home->exchange_count == i + 1);
    }
    loopback_settle(&lb);
    assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 503); /* all places are taken */
    peer_close(leaving[0]);
    peer_close(leaving[1]);
    LOOPBACK_UNTIL(&lb, lb.home->exchange_count == 0);
    loopback_assert_idle(&lb);
    lb.upstreams[0].answer = OK_ANSWER;
    assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 200);
}

/* How long a client takes to read is not the upstream's doing. */
static void test_proxy_does_not_blame_the_upstream_for_a_slow_client(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$0],\n"
                       "  breaker: {volume: 2, slow_call: 1s, slow_rate: 50}}}\n" ROUTE
                       "timeouts: {stall: 30s}\n");
    lb.upstreams[0].server.buffer_bytes = 262144;
    for (unsigned i = 0; i < 3; i++) {
        struct peer *c = loopback_connect_from(&lb, "10.0.0.1:1000");
        peer_say(c, GET("/"));
        struct peer *up = loopback_request(&lb, 0, i, &request);
        c->is_paused = true;
        peer_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\nConnection: close\r\n\r\n");
        peer_fill(up, 'x', 300000);
        loopback_advance(&lb, 5000);
        c->is_paused = false;
        loopback_answer(&lb, c, &answer);
        assert_int_equal(answer.body.len, 300000);
    }
    breaker_state_is(BREAKER_CLOSED);
    assert_in_range(atomic_load(&loopback_target(&lb, 0, 0)->latency_us), 0, 1000000);
}

static void test_proxy_does_not_blame_the_upstream_for_a_client_that_stalls(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$0], breaker: {volume: 1}}}\n" ROUTE
                       "timeouts: {stall: 5s}\n");
    lb.upstreams[0].server.buffer_bytes = 262144;
    struct peer *c = loopback_connect_from(&lb, "10.0.0.1:1000");
    peer_say(c, GET("/"));
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    c->is_paused = true;
    peer_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 12000000\r\n\r\n");
    peer_fill(up, 'x', 12000000);
    loopback_advance(&lb, 5001);
    assert_int_equal(lb.home->conn_count, 0);
    breaker_state_is(BREAKER_CLOSED);
    assert_int_equal(atomic_load(&loopback_target(&lb, 0, 0)->failures), 0);
    loopback_assert_idle(&lb);
}

static void test_proxy_does_not_blame_the_upstream_for_a_slow_upload(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$0],\n"
                       "  breaker: {volume: 2, slow_call: 1s, slow_rate: 50}}}\n" ROUTE
                       "http: {body_rate: 0b}\n");
    for (unsigned i = 0; i < 3; i++) {
        struct peer *c = loopback_connect(&lb);
        peer_say(c, POST("Content-Length: 2\r\n") "x");
        LOOPBACK_UNTIL(&lb, lb.upstreams[0].server.count == 1 && upstream_peer(0)->in.len > 0);
        loopback_advance(&lb, 5000);
        peer_say(c, "y");
        peer_say(loopback_request(&lb, 0, 0, &request), OK_ANSWER);
        loopback_answer(&lb, c, &answer);
        assert_int_equal(answer.response.status, 200);
    }
    breaker_state_is(BREAKER_CLOSED);
}

static void test_proxy_counts_a_slow_answer_as_slow(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$0],\n"
                       "  breaker: {volume: 2, slow_call: 1s, slow_rate: 50}}}\n" ROUTE);
    struct peer *c = loopback_connect(&lb);
    for (unsigned i = 0; i < 2; i++) {
        peer_say(c, GET("/"));
        struct peer *up = loopback_request(&lb, 0, 0, &request);
        loopback_advance(&lb, 1500);
        peer_say(up, OK_ANSWER);
        loopback_answer(&lb, c, &answer);
    }
    breaker_state_is(BREAKER_OPEN);
}

/* ---- deadlines ---- */

static void test_proxy_answers_504_at_the_deadline(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$0], timeout: 3s}}\n" ROUTE);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, GET("/"));
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    loopback_advance(&lb, 2999);
    assert_int_equal(c->in.len, 0);
    loopback_advance(&lb, 2);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 504);
    LOOPBACK_UNTIL(&lb, peer_is_over(up));
    assert_int_equal(lb.upstreams[0].server.count, 1); /* no time for another try */
    loopback_assert_idle(&lb);
    assert_null(loopback_field(&answer, "connection").at);
}

static void test_proxy_route_deadline_shortens_that_of_the_upstream(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$0], timeout: 3s}}\n"
                       "routes: [{match: {path: /}, to: app, deadline: 1s}]\n");
    struct peer *c = loopback_connect(&lb);
    peer_say(c, GET("/"));
    (void)loopback_request(&lb, 0, 0, &request);
    loopback_advance(&lb, 1001);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 504);
}

static void test_proxy_try_timeout_leads_to_another_try(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$0], try_timeout: 1s, timeout: 9s}}\n" ROUTE);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, GET("/"));
    (void)loopback_request(&lb, 0, 0, &request);
    loopback_advance(&lb, 1001);
    pass_time_until_peers(2);
    peer_say(loopback_request(&lb, 0, 1, &request), OK_ANSWER);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    loopback_assert_idle(&lb);
}

static void test_proxy_time_of_the_upload_is_not_the_upstreams(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$0], timeout: 3s}}\n" ROUTE
                       "http: {body_rate: 0b}\n");
    struct peer *c = loopback_connect(&lb);
    peer_say(c, POST("Content-Length: 2\r\n") "x");
    LOOPBACK_UNTIL(&lb, lb.upstreams[0].server.count == 1);
    loopback_advance(&lb, 20000);
    peer_say(c, "y");
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    loopback_advance(&lb, 2900);
    peer_say(up, OK_ANSWER);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
}

static void test_proxy_answers_408_to_a_body_that_trickles(void **state)
{
    (void)state;
    loopback_open(&lb, APP "http: {body_rate: 100b, body_rate_grace: 2s}\n");
    struct peer *c = loopback_connect(&lb);
    peer_say(c, POST("Content-Length: 100000\r\n"));
    LOOPBACK_UNTIL(&lb, lb.upstreams[0].server.count == 1);
    loopback_settle(&lb);
    for (unsigned i = 0; i < 3; i++) { /* 100 bytes a second are enough */
        peer_fill(c, 'x', 200);
        loopback_advance(&lb, 2000);
        assert_int_equal(c->in.len, 0);
    }
    peer_fill(c, 'x', 199);
    loopback_advance(&lb, 2001);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 408);
    assert_true(loopback_field_is(&answer, "connection", "close"));
    LOOPBACK_UNTIL(&lb, peer_is_over(upstream_peer(0)));
    assert_int_equal(atomic_load(&loopback_target(&lb, 0, 0)->failures), 0);
    peer_close(c);
    loopback_settle(&lb);
    loopback_assert_idle(&lb);
}

static void test_proxy_answers_408_at_the_request_deadline(void **state)
{
    (void)state;
    loopback_open(&lb, APP "http: {body_rate: 1b}\ntimeouts: {request: 5s}\n");
    struct peer *c = loopback_connect(&lb);
    peer_say(c, POST("Content-Length: 100000\r\n"));
    for (unsigned i = 0; i < 4; i++) {
        peer_fill(c, 'x', 1000);
        loopback_advance(&lb, 1000);
    }
    assert_int_equal(c->in.len, 0);
    loopback_advance(&lb, 1001);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 408);
}

static void test_proxy_answers_504_to_an_upstream_that_takes_no_body(void **state)
{
    (void)state;
    loopback_open(&lb, APP "http: {body_max: 20mb}\ntimeouts: {stall: 20s}\n");
    lb.upstreams[0].server.buffer_bytes = 262144;
    struct peer *c = loopback_connect(&lb);
    peer_say(c, POST("Content-Length: 12000000\r\n"));
    peer_fill(c, 'x', 12000000);
    LOOPBACK_UNTIL(&lb, lb.upstreams[0].server.count == 1);
    upstream_peer(0)->is_paused = true;
    loopback_advance(&lb, 9000);
    loopback_advance(&lb, 9000);
    assert_int_equal(c->in.len, 0);
    for (unsigned i = 0; i < 30 && c->in.len == 0; i++)
        loopback_advance(&lb, 1000);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 504);
    assert_int_equal(atomic_load(&loopback_target(&lb, 0, 0)->failures), 1);
}

static void test_proxy_ends_a_response_that_stalls(void **state)
{
    (void)state;
    loopback_open(&lb, APP "timeouts: {stall: 5s}\n");
    struct peer *c = loopback_connect(&lb);
    peer_say(c, GET("/"));
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    peer_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123");
    loopback_advance(&lb, 4000);
    peer_say(up, "456");
    loopback_advance(&lb, 4999);
    assert_false(peer_is_over(c));
    loopback_advance(&lb, 2);
    assert_true(c->is_broken); /* a reset: the body is not whole */
    assert_int_equal(atomic_load(&loopback_target(&lb, 0, 0)->failures), 1);
    loopback_assert_idle(&lb);
}

static void test_proxy_connect_timeout_leads_to_another_target(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$silent, $0],\n"
                       "  connect_timeout: 500ms}}\n" ROUTE);
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    for (unsigned i = 0; i < 2; i++) { /* one of the two begins at the silent address */
        peer_say(c, GET("/"));
        loopback_settle(&lb);
        loopback_advance(&lb, 501);
        loopback_answer(&lb, c, &answer);
        assert_int_equal(answer.response.status, 200);
    }
    loopback_assert_idle(&lb);
}

/* ---- the client leaves ---- */

static void test_proxy_leaves_nothing_behind_when_the_client_leaves(void **state)
{
    (void)state;
    enum { OPENING, WAITING, RETRYING, STREAMING, UPLOADING, PHASES };
    loopback_open(&lb, "upstreams: {app: {targets: [$0]}, silent: {targets: [$silent]}}\n"
                       "routes: [{match: {path: /}, to: app}, {match: {path: /s}, to: silent}]\n");
    for (unsigned phase = 0; phase < PHASES; phase++) {
        unsigned next = lb.upstreams[0].server.count;
        struct peer *c = loopback_connect(&lb);
        peer_say(c, phase == OPENING     ? GET("/s")
                    : phase == UPLOADING ? POST("Content-Length: 9\r\n") "x"
                                         : GET("/"));
        LOOPBACK_UNTIL(&lb, lb.home->exchange_count == 1);
        if (phase == WAITING || phase == STREAMING || phase == RETRYING) {
            struct peer *up = loopback_request(&lb, 0, next, &request);
            if (phase == STREAMING)
                peer_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123");
            if (phase == RETRYING)
                peer_close(up);
        }
        loopback_settle(&lb);
        if (phase % 2 == 0)
            peer_close(c);
        else
            peer_reset(c);
        LOOPBACK_UNTIL(&lb, lb.home->conn_count == 0);
        loopback_settle(&lb);
        loopback_assert_idle(&lb);
        loopback_advance(&lb, 60000); /* no timer is left to fire */
    }
    assert_int_equal(loopback_metric(&lb, "http_server_request_duration_seconds", "499"), 4);
}

static void test_proxy_upload_goes_on_after_the_first_target_refused(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$dead, $0]}}\n" ROUTE);
    for (unsigned i = 0; i < 2; i++) {
        struct peer *c = loopback_connect(&lb);
        peer_say(c, POST("Content-Length: 8\r\n") "half");
        loopback_settle(&lb);
        peer_say(c, "rest");
        struct peer *up = loopback_request(&lb, 0, i, &request);
        assert_true(span_eq(buf_span(&request.body), SPAN("halfrest")));
        peer_say(up, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        loopback_answer(&lb, c, &answer);
        assert_int_equal(answer.response.status, 200);
    }
    loopback_assert_idle(&lb);
}

#define RULE(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_proxy_tries_again_when_the_target_closes_without_an_answer),
        RULE(test_proxy_does_not_repeat_a_post),
        RULE(test_proxy_repeats_a_post_with_an_idempotency_key),
        RULE(test_proxy_does_not_repeat_what_it_no_longer_has),
        RULE(test_proxy_tries_again_on_a_connection_that_went_stale),
        RULE(test_proxy_notices_the_end_of_an_idle_connection),
        RULE(test_proxy_goes_to_another_target_at_once_when_one_refuses),
        RULE(test_proxy_answers_502_when_nobody_listens),
        RULE(test_proxy_repeats_statuses_as_configured_and_passes_the_last_on),
        RULE(test_proxy_does_not_repeat_a_500),
        RULE(test_proxy_pauses_a_target_that_asks_for_it),
        RULE(test_proxy_ejects_a_target_that_keeps_failing),
        RULE(test_proxy_uses_no_target_that_drains),
        RULE(test_proxy_answers_503_while_the_breaker_is_open),
        RULE(test_proxy_closes_the_breaker_by_probes),
        RULE(test_proxy_gives_a_probe_back_when_its_client_leaves),
        RULE(test_proxy_does_not_blame_the_upstream_for_a_slow_client),
        RULE(test_proxy_does_not_blame_the_upstream_for_a_client_that_stalls),
        RULE(test_proxy_does_not_blame_the_upstream_for_a_slow_upload),
        RULE(test_proxy_counts_a_slow_answer_as_slow),
        RULE(test_proxy_answers_504_at_the_deadline),
        RULE(test_proxy_route_deadline_shortens_that_of_the_upstream),
        RULE(test_proxy_try_timeout_leads_to_another_try),
        RULE(test_proxy_time_of_the_upload_is_not_the_upstreams),
        RULE(test_proxy_answers_408_to_a_body_that_trickles),
        RULE(test_proxy_answers_408_at_the_request_deadline),
        RULE(test_proxy_answers_504_to_an_upstream_that_takes_no_body),
        RULE(test_proxy_ends_a_response_that_stalls),
        RULE(test_proxy_connect_timeout_leads_to_another_target),
        RULE(test_proxy_leaves_nothing_behind_when_the_client_leaves),
        RULE(test_proxy_upload_goes_on_after_the_first_target_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
