/* test_relay.c: bodies both ways: framing off and on, bounded memory, and ends of every kind.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/relay.h"

#include "loopback_case.h"

#define BIG (12u * 1024 * 1024) /* more than the sockets between hold */

/* Sends the head of a request and returns the upstream's end with the request taken. */
static struct peer *ask(struct peer *client, const char *text)
{
    unsigned index = lb.upstreams[0].server.count;
    peer_say(client, text);
    return loopback_request(&lb, 0, index, &request);
}

/* ---- requests ---- */

static void test_relay_gives_a_whole_chunked_body_its_length(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    struct peer *up = ask(c, POST("Transfer-Encoding: chunked\r\n") "3;a=b\r\nabc\r\n"
                                                                    "2\r\nde\r\n0\r\nX: y\r\n\r\n");
    assert_true(loopback_field_is(&request, "content-length", "5"));
    assert_null(loopback_field(&request, "transfer-encoding").at);
    assert_true(span_eq(buf_span(&request.body), SPAN("abcde")));
    peer_say(up, OK_ANSWER);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    loopback_assert_idle(&lb);
}

static void test_relay_streams_a_chunked_body_as_it_comes(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, POST("Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n");
    LOOPBACK_UNTIL(&lb, lb.upstreams[0].server.count == 1 &&
                            peer_has(&lb.upstreams[0].server.peers[0], "abc"));
    peer_say(c, "4\r\ndefg\r\n");
    LOOPBACK_UNTIL(&lb, peer_has(&lb.upstreams[0].server.peers[0], "defg"));
    peer_say(c, "0\r\n\r\n");
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    assert_true(loopback_field_is(&request, "transfer-encoding", "chunked"));
    assert_true(span_eq(buf_span(&request.body), SPAN("abcdefg")));
    peer_say(up, OK_ANSWER);
    loopback_answer(&lb, c, &answer);
}

static void test_relay_takes_chunks_byte_by_byte(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    c->step_bytes = 1;
    struct peer *up = ask(c, POST("Transfer-Encoding: chunked\r\n") "a\r\n0123456789\r\n"
                                                                    "1\r\nx\r\n0\r\n\r\n");
    assert_true(span_eq(buf_span(&request.body), SPAN("0123456789x")));
    up->step_bytes = 1;
    peer_say(up, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "5\r\nhello\r\n1\r\n!\r\n0\r\nT: t\r\n\r\n");
    loopback_answer(&lb, c, &answer);
    assert_true(loopback_field_is(&answer, "transfer-encoding", "chunked"));
    assert_true(span_eq(buf_span(&answer.body), SPAN("hello!")));
    loopback_assert_idle(&lb);
    assert_int_equal(loopback_links(&lb).idle, 1);
}

static void test_relay_keeps_a_request_behind_a_chunked_body(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    peer_say(c, POST("Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n0\r\n\r\n" GET("/next"));
    loopback_answer(&lb, c, &answer);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(lb.upstreams[0].requests, 2);
    loopback_assert_idle(&lb);
}

/* The next request came with the end of a body that was already under way. */
static void test_relay_keeps_a_request_that_came_with_the_last_chunk(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    peer_say(c, POST("Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n");
    loopback_settle(&lb);
    peer_say(c, "3\r\ndef\r\n0\r\n\r\n" GET("/next") GET("/third"));
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    assert_null(loopback_field(&answer, "connection").at);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    assert_int_equal(lb.upstreams[0].requests, 3);
    loopback_assert_idle(&lb);
}

static void test_relay_passes_a_large_upload_with_few_blocks(void **state)
{
    (void)state;
    loopback_open(&lb, APP "http: {body_max: 20mb}\n");
    lb.upstreams[0].server.buffer_bytes = 262144;
    struct peer *c = loopback_connect_from(&lb, "10.0.0.1:1000");
    peer_say(c, POST("Content-Length: 12582912\r\n"));
    peer_fill(c, 'u', BIG);
    LOOPBACK_UNTIL(&lb, lb.upstreams[0].server.count == 1);
    struct peer *up = &lb.upstreams[0].server.peers[0];
    up->is_paused = true;
    loopback_settle(&lb);
    assert_in_range(lb.home->blocks.taken, 1, 3);
    assert_true(peer_waiting(c) > 0); /* the client has to wait */
    size_t waiting = peer_waiting(c);
    loopback_settle(&lb);
    assert_int_equal(peer_waiting(c), waiting);
    up->is_paused = false;
    (void)loopback_request(&lb, 0, 0, &request);
    assert_int_equal(request.body.len, BIG);
    peer_say(up, OK_ANSWER);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    loopback_assert_idle(&lb);
}

static void test_relay_stops_reading_while_a_client_does_not(void **state)
{
    (void)state;
    loopback_open(&lb, APP "http: {body_max: 20mb}\n");
    lb.upstreams[0].server.buffer_bytes = 262144;
    struct peer *c = loopback_connect_from(&lb, "10.0.0.1:1000");
    struct peer *up = ask(c, GET("/big"));
    c->is_paused = true;
    peer_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 12582912\r\n\r\n");
    peer_fill(up, 'd', BIG);
    loopback_settle(&lb);
    size_t waiting = peer_waiting(up);
    assert_true(waiting > BIG / 2);
    assert_in_range(lb.home->blocks.taken, 1, 4);
    loopback_settle(&lb);
    assert_int_equal(peer_waiting(up), waiting);
    c->is_paused = false;
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.body.len, BIG);
    loopback_assert_idle(&lb);
    assert_int_equal(loopback_links(&lb).idle, 1);
}

static void test_relay_asks_for_a_body_that_is_expected(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, POST("Expect: 100-continue\r\nContent-Length: 3\r\n"));
    LOOPBACK_UNTIL(&lb, peer_has(c, "HTTP/1.1 100 Continue\r\n\r\n"));
    buf_reset(&c->in);
    peer_say(c, "abc");
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    assert_null(loopback_field(&request, "expect").at);
    peer_say(up, OK_ANSWER);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    loopback_assert_idle(&lb);
}

static void test_relay_asks_also_after_a_failed_connection(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$dead, $0]}}\n"
                       "routes: [{match: {path: /}, to: app}]\n");
    lb.upstreams[0].answer = OK_ANSWER;
    for (unsigned i = 0; i < 2; i++) { /* one of the two begins at the dead target */
        struct peer *c = loopback_connect(&lb);
        peer_say(c, POST("Expect: 100-continue\r\nContent-Length: 3\r\n"));
        LOOPBACK_UNTIL(&lb, peer_has(c, "HTTP/1.1 100 Continue\r\n\r\n"));
        buf_reset(&c->in);
        peer_say(c, "abc");
        loopback_answer(&lb, c, &answer);
        assert_int_equal(answer.response.status, 200);
    }
}

static void test_relay_does_not_ask_for_a_body_that_is_here(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    (void)loopback_ask(&lb, c, POST("Expect: 100-continue\r\nContent-Length: 3\r\n") "abc",
                       &answer);
    assert_int_equal(answer.response.status, 200);
}

static void test_relay_expects_nothing_of_version_10(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    peer_say(c, "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    loopback_settle(&lb);
    assert_int_equal(c->in.len, 0);
    peer_say(c, "abc");
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
}

/* The request and the end of the connection arrive in one read. */
static void test_relay_survives_a_client_that_ends_with_its_head(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *warm = loopback_connect(&lb);
    (void)loopback_ask(&lb, warm, GET("/"), &answer);
    struct peer *c = loopback_connect(&lb);
    loopback_settle(&lb);
    peer_say(c, POST("Content-Length: 10\r\n") "half");
    (void)peer_pump(c);
    peer_finish(c);
    LOOPBACK_UNTIL(&lb, lb.home->conn_count == 1);
    loopback_settle(&lb);
    loopback_assert_idle(&lb);
    assert_int_equal(loopback_ask(&lb, warm, GET("/"), &answer), 200);
}

static void test_relay_refuses_a_chunked_body_over_the_limit(void **state)
{
    (void)state;
    loopback_open(&lb, APP "http: {body_max: 8b}\n");
    lb.upstreams[0].answer = OK_ANSWER;
    static const char *const pieces[][2] = {
        {POST("Transfer-Encoding: chunked\r\n") "9\r\n123456789\r\n0\r\n\r\n", ""},
        {POST("Transfer-Encoding: chunked\r\n") "8\r\n12345678\r\n", "1\r\n9\r\n0\r\n\r\n"}};
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        struct peer *c = loopback_connect(&lb);
        peer_say(c, pieces[i][0]);
        loopback_settle(&lb);
        peer_say(c, pieces[i][1]);
        loopback_answer(&lb, c, &answer);
        assert_int_equal(answer.response.status, 413);
        assert_int_equal(lb.upstreams[0].requests, 0);
    }
    struct peer *c = loopback_connect(&lb);
    assert_int_equal(
        loopback_ask(&lb, c, POST("Transfer-Encoding: chunked\r\n") "8\r\n12345678\r\n0\r\n\r\n",
                     &answer),
        200);
}

static void test_relay_refuses_chunks_that_break_the_grammar(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, POST("Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n");
    loopback_settle(&lb);
    peer_say(c, "3 \r\nabc\r\n0\r\n\r\n");
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 400);
    assert_true(loopback_field_is(&answer, "connection", "close"));
    loopback_settle(&lb);
    loopback_assert_idle(&lb);
    assert_true(peer_is_over(&lb.upstreams[0].server.peers[0]));
}

/* ---- responses ---- */

static void test_relay_gives_no_body_where_there_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *request, *response, *length;
    } cases[] = {
        {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
         "5000"},
        {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", NULL},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n", NULL},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
         "HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\nETag: \"x\"\r\n\r\n", "12"},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0"},
    };
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        lb.upstreams[0].answer = cases[i].response;
        (void)loopback_ask(&lb, c, cases[i].request, &answer);
        assert_int_equal(answer.body.len, 0);
        assert_null(loopback_field(&answer, "transfer-encoding").at);
        struct span length = loopback_field(&answer, "content-length");
        assert_true(span_eq(length, span_from(cases[i].length)));
    }
    loopback_settle(&lb);
    assert_int_equal(c->in.len, 0);
    assert_int_equal(loopback_links(&lb).opened, 1);
    loopback_assert_idle(&lb);
}

static void test_relay_chunks_a_body_that_ends_with_the_connection(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
    lb.upstreams[0].closes = true;
    struct peer *c = loopback_connect(&lb);
    for (unsigned i = 0; i < 2; i++) {
        (void)loopback_ask(&lb, c, GET("/"), &answer);
        assert_true(loopback_field_is(&answer, "transfer-encoding", "chunked"));
        assert_true(span_eq(buf_span(&answer.body), SPAN("until the end")));
    }
    assert_int_equal(loopback_links(&lb).opened, 2);
    loopback_assert_idle(&lb);
}

static void test_relay_closes_behind_such_a_body_for_version_10(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\n\r\nall of it",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nall of it\r\n0\r\n\r\n"};
    loopback_open(&lb, APP);
    lb.upstreams[0].closes = true;
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        lb.upstreams[0].answer = answers[i];
        struct peer *c = loopback_connect(&lb);
        (void)loopback_ask(&lb, c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &answer);
        assert_null(loopback_field(&answer, "transfer-encoding").at);
        assert_null(loopback_field(&answer, "content-length").at);
        assert_true(loopback_field_is(&answer, "connection", "close"));
        assert_true(span_eq(buf_span(&answer.body), SPAN("all of it")));
        assert_false(c->is_broken);
    }
}

static void test_relay_passes_interim_responses_on(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    struct peer *up = ask(c, GET("/"));
    peer_say(up, "HTTP/1.1 100 Continue\r\n\r\n"
                 "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x\r\nX: y\r\n\r\n");
    LOOPBACK_UNTIL(&lb, peer_has(c, "\r\n\r\n"));
    assert_true(peer_has(c, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"));
    assert_false(peer_has(c, "100 Continue"));
    buf_reset(&c->in);
    peer_say(up, OK_ANSWER);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    loopback_assert_idle(&lb);
}

static void test_relay_keeps_interim_responses_from_version_10(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    struct peer *up = ask(c, "GET / HTTP/1.0\r\n\r\n");
    peer_say(up, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" OK_ANSWER);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
}

static void test_relay_ends_a_flood_of_interim_responses(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    struct peer *up = ask(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    for (unsigned i = 0; i < 100; i++)
        peer_say(up, "HTTP/1.1 100 Continue\r\n\r\n");
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 502);
}

/* Interim responses that a client does not read must not end its connection. */
static void test_relay_waits_with_interim_responses_for_a_slow_client(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect_from(&lb, "10.0.0.1:1000");
    struct peer *up = ask(c, GET("/"));
    c->is_paused = true;
    for (unsigned i = 0; i < 7; i++) {
        peer_say(up, "HTTP/1.1 103 Early Hints\r\nX-Filler: ");
        peer_fill(up, 'f', 8000);
        peer_say(up, "\r\n\r\n");
    }
    peer_say(up, OK_ANSWER);
    loopback_settle(&lb);
    c->is_paused = false;
    LOOPBACK_UNTIL(&lb, peer_has(c, "\r\n\r\nok") || peer_is_over(c));
    assert_false(peer_is_over(c));
    loopback_assert_idle(&lb);
}

static void test_relay_shows_the_client_a_body_that_broke_off(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"};
    loopback_open(&lb, APP);
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct peer *c = loopback_connect(&lb);
        struct peer *up = ask(c, GET("/"));
        peer_say(up, answers[i]);
        LOOPBACK_UNTIL(&lb, peer_has(c, "\r\n\r\n"));
        peer_finish(up);
        LOOPBACK_UNTIL(&lb, peer_is_over(c));
        assert_false(peer_has(c, "\r\n0\r\n\r\n"));
        loopback_assert_idle(&lb);
    }
}

static void test_relay_shows_the_client_a_chunk_that_is_not_valid(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    struct peer *up = ask(c, GET("/"));
    peer_say(up, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    LOOPBACK_UNTIL(&lb, peer_has(c, "hello"));
    peer_say(up, "zz\r\n");
    LOOPBACK_UNTIL(&lb, peer_is_over(c));
    assert_false(peer_has(c, "\r\n0\r\n\r\n"));
    loopback_assert_idle(&lb);
}

static void test_relay_answers_502_to_a_response_that_is_not_valid(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "HTTP/2 200\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"};
    loopback_open(&lb, APP);
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct peer *c = loopback_connect(&lb);
        struct peer *up = ask(c, POST("Content-Length: 0\r\n"));
        peer_say(up, answers[i]);
        loopback_answer(&lb, c, &answer);
        assert_int_equal(answer.response.status, 502);
        assert_null(loopback_field(&answer, "connection").at); /* the client did no wrong */
        LOOPBACK_UNTIL(&lb, peer_is_over(up));
        loopback_assert_idle(&lb);
    }
}

static void test_relay_does_not_reuse_a_connection_that_said_too_much(void **state)
{
    (void)state;
    static const char *const answers[] = {
        OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 ",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"};
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        lb.upstreams[0].answer = answers[i];
        (void)loopback_ask(&lb, c, GET("/"), &answer);
        assert_false(loopback_body_has(&answer, "evil"));
        loopback_settle(&lb);
        assert_int_equal(loopback_links(&lb).idle, 0);
        assert_int_equal(loopback_links(&lb).opened, i + 1);
    }
    loopback_assert_idle(&lb);
}

static void test_relay_heeds_the_keep_alive_time_of_the_target(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=9\r\n"
                             "Content-Length: 2\r\n\r\nok";
    struct peer *c = loopback_connect(&lb);
    (void)loopback_ask(&lb, c, GET("/"), &answer);
    loopback_advance(&lb, 3999);
    assert_int_equal(loopback_links(&lb).idle, 1);
    loopback_advance(&lb, 2);
    assert_int_equal(loopback_links(&lb).idle, 0);
}

static void test_relay_passes_an_early_answer_and_closes(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, POST("Content-Length: 1000\r\n") "begin");
    LOOPBACK_UNTIL(&lb, lb.upstreams[0].server.count == 1 &&
                            peer_has(&lb.upstreams[0].server.peers[0], "begin"));
    struct peer *up = &lb.upstreams[0].server.peers[0];
    peer_say(up, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 403);
    assert_true(loopback_field_is(&answer, "connection", "close"));
    LOOPBACK_UNTIL(&lb, peer_is_over(up) && c->has_ended);
    assert_int_equal(loopback_links(&lb).idle, 0);
    peer_close(c);
    LOOPBACK_UNTIL(&lb, lb.home->conn_count == 0);
    loopback_assert_idle(&lb);
}

static void test_relay_goes_on_with_the_upload_behind_an_early_head(void **state)
{
    (void)state;
    loopback_open(&lb, APP "timeouts: {stall: 10s}\n");
    struct peer *c = loopback_connect(&lb);
    peer_say(c, POST("Content-Length: 30\r\n"));
    LOOPBACK_UNTIL(&lb, lb.upstreams[0].server.count == 1);
    struct peer *up = &lb.upstreams[0].server.peers[0];
    peer_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    LOOPBACK_UNTIL(&lb, peer_has(c, "\r\n\r\n"));
    for (unsigned i = 0; i < 3; i++) { /* progress of the upload is progress */
        loopback_advance(&lb, 6000);
        peer_say(c, "0123456789");
        loopback_settle(&lb);
    }
    (void)loopback_request(&lb, 0, 0, &request);
    assert_int_equal(request.body.len, 30);
    peer_say(up, "done");
    loopback_answer(&lb, c, &answer);
    assert_true(loopback_body_has(&answer, "done"));
}

#define RULE(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_relay_gives_a_whole_chunked_body_its_length),
        RULE(test_relay_streams_a_chunked_body_as_it_comes),
        RULE(test_relay_takes_chunks_byte_by_byte),
        RULE(test_relay_keeps_a_request_behind_a_chunked_body),
        RULE(test_relay_keeps_a_request_that_came_with_the_last_chunk),
        RULE(test_relay_passes_a_large_upload_with_few_blocks),
        RULE(test_relay_stops_reading_while_a_client_does_not),
        RULE(test_relay_asks_for_a_body_that_is_expected),
        RULE(test_relay_asks_also_after_a_failed_connection),
        RULE(test_relay_does_not_ask_for_a_body_that_is_here),
        RULE(test_relay_expects_nothing_of_version_10),
        RULE(test_relay_survives_a_client_that_ends_with_its_head),
        RULE(test_relay_refuses_a_chunked_body_over_the_limit),
        RULE(test_relay_refuses_chunks_that_break_the_grammar),
        RULE(test_relay_gives_no_body_where_there_is_none),
        RULE(test_relay_chunks_a_body_that_ends_with_the_connection),
        RULE(test_relay_closes_behind_such_a_body_for_version_10),
        RULE(test_relay_passes_interim_responses_on),
        RULE(test_relay_keeps_interim_responses_from_version_10),
        RULE(test_relay_ends_a_flood_of_interim_responses),
        RULE(test_relay_waits_with_interim_responses_for_a_slow_client),
        RULE(test_relay_shows_the_client_a_body_that_broke_off),
        RULE(test_relay_shows_the_client_a_chunk_that_is_not_valid),
        RULE(test_relay_answers_502_to_a_response_that_is_not_valid),
        RULE(test_relay_does_not_reuse_a_connection_that_said_too_much),
        RULE(test_relay_heeds_the_keep_alive_time_of_the_target),
        RULE(test_relay_passes_an_early_answer_and_closes),
        RULE(test_relay_goes_on_with_the_upload_behind_an_early_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
