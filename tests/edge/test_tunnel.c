/* test_tunnel.c: WebSocket connections from the handshake to the end of either side.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/tunnel.h"

#include "loopback_case.h"
#include "wire/tls_fixture.h"

/* Key and answer of RFC 6455 section 1.3. */
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define ASK(fields)                                                                                \
    "GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, Upgrade\r\n"                 \
    "Upgrade: websocket\r\n" fields "\r\n"
#define ACCEPT(fields)                                                                             \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" fields     \
    "\r\n"
#define AGREED "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

/* An open tunnel; returns the upstream's end. */
static struct peer *open_tunnel(struct peer *client)
{
    unsigned index = lb.upstreams[0].server.count;
    peer_say(client, ASK(KEY VERSION));
    struct peer *up = loopback_request(&lb, 0, index, &request);
    peer_say(up, ACCEPT(AGREED));
    LOOPBACK_UNTIL(&lb, peer_has(client, "\r\n\r\n"));
    assert_true(peer_has(client, "HTTP/1.1 101 Switching Protocols\r\n"));
    buf_reset(&client->in);
    return up;
}

static void test_tunnel_passes_bytes_both_ways(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    struct peer *up = open_tunnel(c);
    assert_true(loopback_field_is(&request, "connection", "upgrade"));
    assert_true(loopback_field_is(&request, "upgrade", "websocket"));
    assert_true(loopback_field_is(&request, "sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="));
    assert_int_equal(lb.home->tunnel_count, 1);
    for (unsigned i = 0; i < 3; i++) {
        peer_send(c, SPAN("\x81\x05hello"));
        LOOPBACK_UNTIL(&lb, peer_has(up, "\x81\x05hello"));
        buf_reset(&up->in);
        peer_send(up, SPAN("\x81\x05world"));
        LOOPBACK_UNTIL(&lb, peer_has(c, "\x81\x05world"));
        buf_reset(&c->in);
    }
    peer_finish(up);
    LOOPBACK_UNTIL(&lb, c->has_ended);
    peer_finish(c);
    LOOPBACK_UNTIL(&lb, lb.home->conn_count == 0);
    loopback_assert_idle(&lb);
    assert_int_equal(atomic_load(&loopback_target(&lb, 0, 0)->failures), 0);
    assert_int_equal(loopback_metric(&lb, "http_server_request_duration_seconds", "101"), 1);
}

static void test_tunnel_answer_keeps_what_the_client_checks(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, ASK(KEY VERSION "Sec-WebSocket-Protocol: chat\r\n"));
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    peer_say(up, ACCEPT(AGREED "Sec-WebSocket-Protocol: chat\r\n"));
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 101);
    assert_true(loopback_field_is(&answer, "connection", "upgrade"));
    assert_true(loopback_field_is(&answer, "upgrade", "websocket"));
    assert_true(loopback_field_is(&answer, "sec-websocket-protocol", "chat"));
    assert_true(loopback_field_is(&answer, "sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_null(loopback_field(&answer, "content-length").at);
}

static void test_tunnel_holds_early_bytes_until_the_upstream_agrees(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, ASK(KEY VERSION));
    peer_say(c, "early");
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    peer_say(c, " bytes");
    loopback_settle(&lb);
    assert_int_equal(up->in.len, 0);
    peer_say(up, ACCEPT(AGREED) "first");
    LOOPBACK_UNTIL(&lb, peer_has(up, "early bytes"));
    LOOPBACK_UNTIL(&lb, peer_has(c, "\r\n\r\nfirst"));
}

/* RFC 9931: what follows a refused upgrade was meant for another protocol. */
static void test_tunnel_reads_no_request_out_of_bytes_behind_a_refused_upgrade(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"};
    loopback_open(&lb, APP);
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        lb.upstreams[0].answer = answers[i];
        lb.upstreams[0].requests = 0;
        struct peer *c = loopback_connect(&lb);
        peer_say(c, ASK(KEY VERSION) "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n");
        loopback_answer(&lb, c, &answer);
        assert_true(loopback_body_has(&answer, "no"));
        assert_true(loopback_field_is(&answer, "connection", "close"));
        LOOPBACK_UNTIL(&lb, c->has_ended);
        assert_int_equal(lb.upstreams[0].requests, 1);
        assert_null(loopback_field(&answer, "upgrade").at);
    }
}

static void test_tunnel_refuses_handshakes_that_are_not_valid(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        unsigned status;
    } cases[] = {
        {ASK(KEY), 400},
        {ASK(VERSION), 400},
        {ASK(KEY "Sec-WebSocket-Version: 8\r\n"), 426},
        {ASK("Sec-WebSocket-Key: short\r\n" VERSION), 400},
    };
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = OK_ANSWER;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct peer *c = loopback_connect(&lb);
        assert_int_equal(loopback_ask(&lb, c, cases[i].request, &answer), cases[i].status);
        assert_true(loopback_field_is(&answer, "connection", "close"));
        if (cases[i].status == 426)
            assert_true(loopback_field_is(&answer, "sec-websocket-version", "13"));
    }
    assert_int_equal(lb.upstreams[0].requests, 0);
    loopback_settle(&lb);
    loopback_assert_idle(&lb);
}

static void test_tunnel_ignores_other_upgrades(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n");
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    assert_null(loopback_field(&request, "upgrade").at);
    assert_null(loopback_field(&request, "http2-settings").at);
    peer_say(up, OK_ANSWER);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
}

static void test_tunnel_answers_502_to_a_wrong_101(void **state)
{
    (void)state;
    static const char *const answers[] = {
        ACCEPT(""), ACCEPT("Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"),
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" AGREED "\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n" AGREED "\r\n", ACCEPT(AGREED AGREED)};
    loopback_open(&lb, APP);
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct peer *c = loopback_connect(&lb);
        unsigned index = lb.upstreams[0].server.count;
        peer_say(c, ASK(KEY VERSION));
        struct peer *up = loopback_request(&lb, 0, index, &request);
        peer_say(up, answers[i]);
        for (unsigned k = 0; k < 2000 && c->in.len == 0; k++) {
            loopback_advance(&lb, 1);
            for (unsigned n = index + 1; n < lb.upstreams[0].server.count; n++)
                if (peer_has(&lb.upstreams[0].server.peers[n], "\r\n\r\n")) {
                    buf_reset(&lb.upstreams[0].server.peers[n].in);
                    peer_say(&lb.upstreams[0].server.peers[n], answers[i]);
                }
        }
        loopback_answer(&lb, c, &answer);
        assert_int_equal(answer.response.status, 502);
        LOOPBACK_UNTIL(&lb, peer_is_over(up));
        loopback_settle(&lb);
        assert_int_equal(lb.home->tunnel_count, 0);
        assert_int_equal(atomic_load(&loopback_target(&lb, 0, 0)->in_flight), 0);
    }
}

static void test_tunnel_answers_502_to_a_101_that_nobody_asked_for(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = ACCEPT(AGREED) "junk";
    struct peer *c = loopback_connect(&lb);
    assert_int_equal(
        loopback_ask(&lb, c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", &answer),
        502);
    loopback_assert_idle(&lb);
}

static void test_tunnel_stops_reading_while_the_other_side_does_not(void **state)
{
    (void)state;
    enum { BYTES = 12000000 };
    loopback_open(&lb, APP);
    lb.upstreams[0].server.buffer_bytes = 262144;
    struct peer *c = loopback_connect_from(&lb, "10.0.0.1:1000");
    struct peer *up = open_tunnel(c);
    c->is_paused = true;
    peer_fill(up, 'd', BYTES);
    loopback_settle(&lb);
    assert_true(peer_waiting(up) > 0);
    assert_in_range(lb.home->blocks.taken, 1, 5);
    peer_say(c, "the other way still works");
    LOOPBACK_UNTIL(&lb, peer_has(up, "the other way still works"));
    c->is_paused = false;
    LOOPBACK_UNTIL(&lb, c->in.len == BYTES);
    up->is_paused = true;
    buf_reset(&c->in);
    peer_fill(c, 'u', BYTES);
    loopback_settle(&lb);
    assert_true(peer_waiting(c) > 0);
    up->is_paused = false;
    buf_reset(&up->in);
    LOOPBACK_UNTIL(&lb, up->in.len == BYTES);
}

static void test_tunnel_ends_when_idle_too_long(void **state)
{
    (void)state;
    loopback_open(&lb, APP "timeouts: {tunnel_idle: 60s, idle: 1s, header: 1s, stall: 1s}\n");
    struct peer *c = loopback_connect(&lb);
    struct peer *up = open_tunnel(c);
    loopback_advance(&lb, 59000);
    peer_say(up, "ping");
    loopback_advance(&lb, 59000);
    peer_say(c, "pong");
    loopback_advance(&lb, 59999);
    assert_false(peer_is_over(c));
    loopback_advance(&lb, 2);
    assert_true(peer_is_over(c));
    LOOPBACK_UNTIL(&lb, peer_is_over(up));
    loopback_assert_idle(&lb);
}

static void test_tunnel_that_lasts_long_is_not_a_slow_call(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$0],\n"
                       "  breaker: {volume: 1, slow_call: 1s, slow_rate: 1}}}\n" ROUTE);
    struct peer *c = loopback_connect(&lb);
    (void)open_tunnel(c);
    loopback_advance(&lb, 100000);
    peer_close(c);
    LOOPBACK_UNTIL(&lb, lb.home->conn_count == 0);
    assert_int_equal(breaker_state_now(loopback_upstream_of(&lb, 0)->breaker), BREAKER_CLOSED);
    loopback_assert_idle(&lb);
}

static void test_tunnel_gives_the_last_bytes_before_it_ends(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    lb.upstreams[0].server.buffer_bytes = 262144;
    struct peer *c = loopback_connect_from(&lb, "10.0.0.1:1000");
    struct peer *up = open_tunnel(c);
    c->is_paused = true;
    peer_fill(up, 'd', 200000);
    peer_say(up, "goodbye");
    loopback_settle(&lb);
    peer_finish(up);
    loopback_settle(&lb);
    peer_say(c, "not read any more");
    loopback_settle(&lb);
    c->is_paused = false;
    LOOPBACK_UNTIL(&lb, c->has_ended);
    assert_true(peer_has(c, "goodbye"));
    assert_false(c->is_broken);
}

static void test_tunnel_under_tls_gives_the_last_bytes_before_it_ends(void **state)
{
    (void)state;
    struct tls_fixture tls;
    tls_fixture_init(&tls);
    (void)tls_fixture_make(&tls,
                           &(struct tls_fixture_spec){.stem = "a", .alt_names = "DNS:a.example"});
    struct tls_context *context = tls_fixture_client(&tls);
    loopback_open_with(&lb,
                       &(struct loopback_options){
                           .folder = tls.dir,
                           .yaml = "listen: [{address: \"127.0.0.1:1\",\n"
                                   "  tls: {certificate: $dir/a.crt, key: $dir/a.key}}]\n" APP});
    struct peer *c = loopback_connect_tls(&lb, 0, context, "a.example");
    struct peer *up = open_tunnel(c);
    peer_say(c, "over TLS");
    LOOPBACK_UNTIL(&lb, peer_has(up, "over TLS"));
    c->is_paused = true;
    for (unsigned i = 0; i < 40; i++) { /* until all sockets between are full */
        peer_fill(up, 'd', 500000);
        loopback_settle(&lb);
    }
    peer_say(up, "goodbye");
    c->is_paused = false;
    LOOPBACK_UNTIL(&lb, peer_waiting(up) == 0);
    peer_finish(up);
    LOOPBACK_UNTIL(&lb, peer_is_over(c));
    assert_true(peer_has(c, "goodbye"));
    assert_true(c->has_ended); /* with close_notify: nothing was cut off */
    tls_context_unref(context);
    tls_fixture_done(&tls);
}

static void test_tunnel_survives_a_snapshot(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    struct peer *up = open_tunnel(c);
    struct settings *before = settings_ref(lb.settings);
    loopback_use(&lb, APP);
    assert_int_equal(atomic_load(&before->refs), 2);
    peer_say(c, "still open");
    LOOPBACK_UNTIL(&lb, peer_has(up, "still open"));
    peer_close(c);
    LOOPBACK_UNTIL(&lb, lb.home->conn_count == 0);
    assert_int_equal(atomic_load(&before->refs), 1);
    settings_unref(before);
    loopback_assert_idle(&lb);
}

#define RULE(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_tunnel_passes_bytes_both_ways),
        RULE(test_tunnel_answer_keeps_what_the_client_checks),
        RULE(test_tunnel_holds_early_bytes_until_the_upstream_agrees),
        RULE(test_tunnel_reads_no_request_out_of_bytes_behind_a_refused_upgrade),
        RULE(test_tunnel_refuses_handshakes_that_are_not_valid),
        RULE(test_tunnel_ignores_other_upgrades),
        RULE(test_tunnel_answers_502_to_a_wrong_101),
        RULE(test_tunnel_answers_502_to_a_101_that_nobody_asked_for),
        RULE(test_tunnel_stops_reading_while_the_other_side_does_not),
        RULE(test_tunnel_ends_when_idle_too_long),
        RULE(test_tunnel_that_lasts_long_is_not_a_slow_call),
        RULE(test_tunnel_gives_the_last_bytes_before_it_ends),
        RULE(test_tunnel_under_tls_gives_the_last_bytes_before_it_ends),
        RULE(test_tunnel_survives_a_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
