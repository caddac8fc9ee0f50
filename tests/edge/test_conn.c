/* test_conn.c: the life of a client connection: reuse, pipelines, deadlines and its end.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "loopback_case.h"

#include "edge/conn.h"
#include "wire/tls_fixture.h"

static void open_app(const char *yaml)
{
    loopback_open(&lb, yaml);
    lb.upstreams[0].answer = OK_ANSWER;
}

static void test_conn_states_have_names(void **state)
{
    (void)state;
    assert_string_equal(conn_state_name(CONN_IDLE), "IDLE");
    assert_string_equal(conn_state_name(CONN_CLOSED), "CLOSED");
}

static void test_conn_steady_state_opens_no_connection_upstream(void **state)
{
    (void)state;
    open_app(APP);
    struct peer *c = loopback_connect(&lb);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 200);
        assert_true(loopback_body_has(&answer, "ok"));
        assert_null(loopback_field(&answer, "connection").at);
    }
    loopback_settle(&lb);
    assert_int_equal(loopback_links(&lb).opened, 1);
    assert_int_equal(loopback_links(&lb).reused, 49);
    assert_int_equal(lb.upstreams[0].server.count, 1);
    loopback_assert_idle(&lb);
}

static void test_conn_answers_a_pipeline_in_order(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, GET("/1") GET("/2") GET("/3"));
    for (unsigned i = 1; i <= 3; i++) {
        char wanted[] = {'/', (char)('0' + i), '\0'};
        struct peer *up = loopback_request(&lb, 0, 0, &request);
        assert_true(span_eq(request.request.target, span_from(wanted)));
        loopback_settle(&lb);
        assert_int_equal(up->in.len, 0); /* one at a time */
        peer_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        peer_say(up, wanted);
        loopback_answer(&lb, c, &answer);
        assert_true(loopback_body_has(&answer, wanted));
    }
    assert_int_equal(lb.upstreams[0].server.count, 1);
    loopback_assert_idle(&lb);
}

static void test_conn_answers_a_long_pipeline_that_fills_its_block(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    open_app(APP);
    struct peer *c = loopback_connect(&lb);
    for (unsigned i = 0; i < COUNT; i++)
        peer_say(c, GET("/"));
    for (unsigned i = 0; i < COUNT; i++) {
        loopback_answer(&lb, c, &answer);
        assert_int_equal(answer.response.status, 200);
    }
    assert_int_equal(lb.upstreams[0].requests, COUNT);
    assert_int_equal(loopback_links(&lb).opened, 1);
    loopback_assert_idle(&lb);
}

static void test_conn_takes_a_request_byte_by_byte(void **state)
{
    (void)state;
    open_app(APP);
    struct peer *c = loopback_connect(&lb);
    c->step_bytes = 1;
    peer_say(c, "POST /x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello" GET("/y"));
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    assert_int_equal(lb.upstreams[0].requests, 2);
    loopback_assert_idle(&lb);
}

static void test_conn_that_is_idle_holds_no_block_and_ends_at_its_timeout(void **state)
{
    (void)state;
    open_app(APP "timeouts: {idle: 5s}\n");
    struct peer *c = loopback_connect(&lb);
    (void)loopback_ask(&lb, c, GET("/"), &answer);
    loopback_assert_idle(&lb);
    loopback_advance(&lb, 4999);
    assert_false(peer_is_over(c));
    loopback_advance(&lb, 2);
    assert_true(c->has_ended);
    assert_int_equal(lb.home->conn_count, 0);
}

static void test_conn_that_never_speaks_ends_at_the_header_deadline(void **state)
{
    (void)state;
    open_app(APP "timeouts: {header: 3s}\n");
    struct peer *c = loopback_connect(&lb);
    loopback_advance(&lb, 2999);
    assert_false(peer_is_over(c));
    loopback_advance(&lb, 2);
    assert_true(c->has_ended);
    assert_int_equal(c->received_bytes, 0);
}

static void test_conn_head_deadline_is_absolute_and_answers_408(void **state)
{
    (void)state;
    open_app(APP "timeouts: {header: 3s}\n");
    struct peer *c = loopback_connect(&lb);
    (void)loopback_ask(&lb, c, GET("/"), &answer);
    loopback_advance(&lb, 1000);
    for (unsigned i = 0; i < 3; i++) { /* a byte a second does not help */
        peer_say(c, i == 0 ? "GET / HT" : "T");
        loopback_settle(&lb);
        loopback_advance(&lb, 999);
        assert_int_equal(c->in.len, 0);
    }
    loopback_advance(&lb, 4);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 408);
    assert_true(loopback_field_is(&answer, "connection", "close"));
    assert_true(loopback_field_is(&answer, "content-type", "application/problem+json"));
    peer_finish(c);
    LOOPBACK_UNTIL(&lb, c->has_ended && lb.home->conn_count == 0);
    loopback_assert_idle(&lb);
}

static void test_conn_closes_behind_its_last_request(void **state)
{
    (void)state;
    open_app(APP "connections: {requests: 2}\n");
    struct peer *c = loopback_connect(&lb);
    (void)loopback_ask(&lb, c, GET("/"), &answer);
    assert_null(loopback_field(&answer, "connection").at);
    (void)loopback_ask(&lb, c, GET("/"), &answer);
    assert_true(loopback_field_is(&answer, "connection", "close"));
    LOOPBACK_UNTIL(&lb, c->has_ended);
    peer_finish(c);
    LOOPBACK_UNTIL(&lb, lb.home->conn_count == 0);
}

static void test_conn_keeps_alive_for_version_10_only_on_request(void **state)
{
    (void)state;
    open_app(APP);
    struct peer *c = loopback_connect(&lb);
    (void)loopback_ask(&lb, c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &answer);
    assert_true(loopback_field_is(&answer, "connection", "keep-alive"));
    (void)loopback_ask(&lb, c, "GET / HTTP/1.0\r\n\r\n", &answer);
    assert_true(loopback_field_is(&answer, "connection", "close"));
    LOOPBACK_UNTIL(&lb, c->has_ended);
}

static void test_conn_discards_an_unwanted_upload_before_it_closes(void **state)
{
    (void)state;
    open_app("routes: [{match: {path: /}, respond: {body: no}}]\ntimeouts: {linger: 2s}\n");
    struct peer *c = loopback_connect(&lb);
    peer_say(c, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 500000\r\n\r\n");
    peer_fill(c, 'x', 500000);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    assert_true(loopback_field_is(&answer, "connection", "close"));
    LOOPBACK_UNTIL(&lb, c->has_ended && peer_waiting(c) == 0);
    assert_false(c->is_broken); /* no reset took the answer away */
    peer_finish(c);
    LOOPBACK_UNTIL(&lb, lb.home->conn_count == 0);
    loopback_assert_idle(&lb);
}

static void test_conn_lingers_no_longer_than_its_time(void **state)
{
    (void)state;
    open_app("routes: [{match: {path: /}, respond: {body: no}}]\ntimeouts: {linger: 2s}\n");
    struct peer *c = loopback_connect(&lb);
    (void)loopback_ask(&lb, c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &answer);
    LOOPBACK_UNTIL(&lb, c->has_ended);
    loopback_advance(&lb, 1000);
    peer_say(c, "still here");
    loopback_advance(&lb, 999);
    assert_int_equal(lb.home->conn_count, 1);
    loopback_advance(&lb, 2);
    assert_int_equal(lb.home->conn_count, 0);
}

static void test_conn_of_one_address_are_capped(void **state)
{
    (void)state;
    open_app(APP "connections: {per_ip: 2}\n");
    struct peer *a = loopback_connect_from(&lb, "10.0.0.1:1000");
    struct peer *b = loopback_connect_from(&lb, "10.0.0.1:1001");
    struct peer *third = loopback_connect_from(&lb, "10.0.0.1:1002");
    struct peer *other = loopback_connect_from(&lb, "10.0.0.2:1000");
    LOOPBACK_UNTIL(&lb, third->has_ended);
    assert_int_equal(loopback_ask(&lb, a, GET("/"), &answer), 200);
    assert_int_equal(loopback_ask(&lb, b, GET("/"), &answer), 200);
    assert_int_equal(loopback_ask(&lb, other, GET("/"), &answer), 200);
    peer_close(a);
    LOOPBACK_UNTIL(&lb, lb.home->conn_count == 2);
    struct peer *again = loopback_connect_from(&lb, "10.0.0.1:1003");
    assert_int_equal(loopback_ask(&lb, again, GET("/"), &answer), 200);
    loopback_settle(&lb);
    assert_int_equal(loopback_metric(&lb, "plimsoll_connections_refused_total", "per_ip"), 1);
}

static void test_conn_of_a_trusted_proxy_is_not_capped(void **state)
{
    (void)state;
    open_app(APP "connections: {per_ip: 1}\ntrusted_proxies: [10.0.0.0/8]\n");
    struct peer *a = loopback_connect_from(&lb, "10.0.0.1:1000");
    struct peer *b = loopback_connect_from(&lb, "10.0.0.1:1001");
    assert_int_equal(loopback_ask(&lb, a, GET("/"), &answer), 200);
    assert_int_equal(loopback_ask(&lb, b, GET("/"), &answer), 200);
}

static void test_conn_counts_what_it_accepts(void **state)
{
    (void)state;
    open_app(APP);
    for (unsigned i = 0; i < 3; i++)
        (void)loopback_ask(&lb, loopback_connect(&lb), GET("/"), &answer);
    loopback_settle(&lb);
    assert_int_equal(loopback_metric(&lb, "plimsoll_connections_accepted_total", NULL), 3);
    assert_int_equal(loopback_metric(&lb, "plimsoll_connections", NULL), 3);
}

/* ---- TLS ---- */

static struct tls_fixture tls;
static struct tls_context *tls_client;

static void open_tls(void)
{
    static const char yaml[] = "listen: [{address: \"127.0.0.1:1\",\n"
                               "  tls: {certificate: $dir/a.crt, key: $dir/a.key}}]\n" APP;
    tls_fixture_init(&tls);
    (void)tls_fixture_make(&tls,
                           &(struct tls_fixture_spec){.stem = "a", .alt_names = "DNS:a.example"});
    tls_client = tls_fixture_client(&tls);
    loopback_open_with(&lb, &(struct loopback_options){.yaml = yaml, .folder = tls.dir});
    lb.upstreams[0].answer = OK_ANSWER;
}

static int done_tls(void **state)
{
    (void)done(state);
    tls_context_unref(tls_client);
    tls_fixture_done(&tls);
    return 0;
}

static void test_conn_under_tls_answers_a_long_pipeline(void **state)
{
    (void)state;
    enum { COUNT = 2000 }; /* more than the block and a read hold */
    open_tls();
    struct peer *c = loopback_connect_tls(&lb, 0, tls_client, "a.example");
    for (unsigned i = 0; i < COUNT; i++)
        peer_say(c, GET("/"));
    for (unsigned i = 0; i < COUNT; i++) {
        loopback_answer(&lb, c, &answer);
        assert_int_equal(answer.response.status, 200);
    }
    assert_int_equal(lb.upstreams[0].requests, COUNT);
    loopback_assert_idle(&lb);
}

static void test_conn_under_tls_says_goodbye(void **state)
{
    (void)state;
    open_tls();
    struct peer *c = loopback_connect_tls(&lb, 0, tls_client, "a.example");
    (void)loopback_ask(&lb, c, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
                       &answer);
    assert_int_equal(answer.response.status, 200);
    LOOPBACK_UNTIL(&lb, c->has_ended);
    assert_false(c->is_broken);
    assert_non_null(loopback_field(&answer, "strict-transport-security").at);
}

static void test_conn_handshake_has_a_deadline(void **state)
{
    (void)state;
    open_tls();
    struct peer *c = loopback_connect(&lb);
    peer_say(c, "\x16\x03\x01");
    loopback_advance(&lb, 9999);
    assert_false(peer_is_over(c));
    loopback_advance(&lb, 2);
    assert_true(peer_is_over(c));
}

static void test_conn_speaks_no_plain_text_on_a_tls_port(void **state)
{
    (void)state;
    open_tls();
    struct peer *c = loopback_connect(&lb);
    peer_say(c, GET("/"));
    LOOPBACK_UNTIL(&lb, peer_is_over(c));
    assert_false(peer_has(c, "HTTP/1.1"));
    assert_int_equal(lb.home->conn_count, 0);
}

#define RULE(name)     cmocka_unit_test_teardown(name, done)
#define TLS_RULE(name) cmocka_unit_test_teardown(name, done_tls)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conn_states_have_names),
        RULE(test_conn_steady_state_opens_no_connection_upstream),
        RULE(test_conn_answers_a_pipeline_in_order),
        RULE(test_conn_answers_a_long_pipeline_that_fills_its_block),
        RULE(test_conn_takes_a_request_byte_by_byte),
        RULE(test_conn_that_is_idle_holds_no_block_and_ends_at_its_timeout),
        RULE(test_conn_that_never_speaks_ends_at_the_header_deadline),
        RULE(test_conn_head_deadline_is_absolute_and_answers_408),
        RULE(test_conn_closes_behind_its_last_request),
        RULE(test_conn_keeps_alive_for_version_10_only_on_request),
        RULE(test_conn_discards_an_unwanted_upload_before_it_closes),
        RULE(test_conn_lingers_no_longer_than_its_time),
        RULE(test_conn_of_one_address_are_capped),
        RULE(test_conn_of_a_trusted_proxy_is_not_capped),
        RULE(test_conn_counts_what_it_accepts),
        TLS_RULE(test_conn_under_tls_answers_a_long_pipeline),
        TLS_RULE(test_conn_under_tls_says_goodbye),
        TLS_RULE(test_conn_handshake_has_a_deadline),
        TLS_RULE(test_conn_speaks_no_plain_text_on_a_tls_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
