/* test_exchange.c: the steps in their order, the end of exchanges, and every outside call failing.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/exchange.h"

#include "core/fault_point.h"
#include "loopback.h"
#include "wire/tls_fixture.h"

#define UPSTREAM          "upstreams: {app: {targets: [$0]}}\n"
#define APP               UPSTREAM "routes: [{match: {path: /}, to: app}]\n"
#define OK_ANSWER         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define GET(path, fields) "GET " path " HTTP/1.1\r\nHost: a.example\r\n" fields "\r\n"

static struct loopback lb;
static struct loopback_message answer;
static struct loopback_message request;

static int done(void **state)
{
    (void)state;
    fault_point_disarm();
    loopback_message_done(&answer);
    loopback_message_done(&request);
    loopback_done(&lb);
    return 0;
}

/* ---- limits ---- */

static void test_exchange_over_a_limit_gets_429_with_all_that_helps(void **state)
{
    (void)state;
    loopback_open(&lb, APP "limits: [{per: ip, rate: 2/min, name: mine}]\n");
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    assert_int_equal(loopback_ask(&lb, c, GET("/", ""), &answer), 200);
    assert_true(loopback_field_is(&answer, "x-ratelimit-remaining", "1"));
    assert_int_equal(loopback_ask(&lb, c, GET("/", ""), &answer), 200);
    assert_int_equal(loopback_ask(&lb, c, GET("/", ""), &answer), 429);
    assert_int_equal(lb.upstreams[0].requests, 2);
    assert_true(loopback_field_is(&answer, "content-type", "application/problem+json"));
    assert_true(loopback_body_has(
        &answer, "https://iana.org/assignments/http-problem-types#quota-exceeded"));
    assert_true(loopback_body_has(&answer, "\"violated-policies\":[\"mine\"]"));
    uint64_t wait_s = 0;
    assert_int_equal(loopback_field_count(&answer, "retry-after"), 1);
    assert_true(err_ok(span_parse_u64(loopback_field(&answer, "retry-after"), 120, &wait_s)));
    assert_in_range(wait_s, 1, 64); /* a window is kept in slots, so it may be a little more */
    assert_true(loopback_field_is(&answer, "ratelimit-policy", "\"mine\";q=2;w=60"));
    assert_true(span_starts(loopback_field(&answer, "ratelimit"), SPAN("\"mine\";r=0;t=")));
    assert_true(loopback_field_is(&answer, "x-ratelimit-limit", "2"));
    assert_true(loopback_field_is(&answer, "x-ratelimit-remaining", "0"));
    assert_int_equal(loopback_field_count(&answer, "x-ratelimit-reset"), 1);
    assert_null(loopback_field(&answer, "connection").at); /* it may ask again here */
    assert_int_equal(loopback_metric(&lb, "plimsoll_requests_limited_total", NULL), 1);
    loopback_advance(&lb, wait_s * 1000);
    assert_int_equal(loopback_ask(&lb, c, GET("/", ""), &answer), 200);
    loopback_assert_idle(&lb);
}

static void test_exchange_limits_of_a_route_count_beside_the_global_ones(void **state)
{
    (void)state;
    loopback_open(&lb, UPSTREAM "limits: [{per: global, rate: 3/min, name: all}]\n"
                                "routes:\n"
                                "  - {match: {path: /}, to: app}\n"
                                "  - match: {path: /api/}\n    to: app\n"
                                "    limits: [{per: header, header: x-key, rate: 1/min}]\n");
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    assert_int_equal(loopback_ask(&lb, c, GET("/api/", "X-Key: a\r\n"), &answer), 200);
    assert_int_equal(loopback_ask(&lb, c, GET("/api/", "X-Key: a\r\n"), &answer), 429);
    assert_int_equal(loopback_ask(&lb, c, GET("/api/", "X-Key: b\r\n"), &answer), 200);
    assert_int_equal(loopback_ask(&lb, c, GET("/", ""), &answer), 200);
    assert_int_equal(loopback_ask(&lb, c, GET("/", ""), &answer), 429);
    assert_true(loopback_body_has(&answer, "all"));
}

static void test_exchange_counts_also_what_no_route_answers(void **state)
{
    (void)state;
    loopback_open(&lb, "routes: []\nlimits: [{per: ip, rate: 1/min}]\n");
    struct peer *c = loopback_connect(&lb);
    assert_int_equal(loopback_ask(&lb, c, GET("/", ""), &answer), 404);
    assert_int_equal(loopback_ask(&lb, c, GET("/", ""), &answer), 429);
}

static void test_exchange_counts_without_refusing_in_shadow(void **state)
{
    (void)state;
    loopback_open(&lb, APP "limits: [{per: ip, rate: 1/min, shadow: true}]\n");
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(loopback_ask(&lb, c, GET("/", ""), &answer), 200);
        assert_null(loopback_field(&answer, "ratelimit").at);
    }
}

static void test_exchange_says_nothing_of_limits_when_told_so(void **state)
{
    (void)state;
    loopback_open(&lb, APP "limits: [{per: ip, rate: 1/min}]\nlimit_headers: false\n");
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(loopback_ask(&lb, c, GET("/", ""), &answer), i == 0 ? 200 : 429);
        assert_null(loopback_field(&answer, "ratelimit").at);
        assert_null(loopback_field(&answer, "x-ratelimit-limit").at);
    }
    assert_int_equal(loopback_field_count(&answer, "retry-after"), 1);
}

/* ---- ends ---- */

static void test_exchange_is_recorded_only_when_its_head_came(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    (void)loopback_ask(&lb, c, GET("/", ""), &answer);
    peer_say(c, "GET /half HTTP/1.1\r\nHost: a");
    loopback_settle(&lb);
    peer_close(c);
    LOOPBACK_UNTIL(&lb, lb.home->conn_count == 0);
    assert_int_equal(loopback_metric(&lb, "http_server_request_duration_seconds", NULL), 1);
    loopback_assert_idle(&lb);
}

static void test_exchange_reuses_its_storage(void **state)
{
    (void)state;
    loopback_open(&lb, "routes: [{match: {path: /}, respond: {body: x}}]\n");
    struct peer *c = loopback_connect(&lb);
    for (unsigned i = 0; i < 200; i++)
        peer_say(c, GET("/", ""));
    for (unsigned i = 0; i < 200; i++)
        loopback_answer(&lb, c, &answer);
    loopback_settle(&lb);
    assert_in_range(lb.home->spare_exchange_count, 1, 2);
}

static void test_exchange_keeps_the_snapshot_that_it_began_with(void **state)
{
    (void)state;
    loopback_open(&lb, UPSTREAM "routes: [{match: {path: /}, to: app, "
                                "response_headers: {x-snapshot: one}}]\n");
    struct peer *c = loopback_connect(&lb);
    struct peer *d = loopback_connect(&lb);
    peer_say(c, GET("/", ""));
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    struct settings *before = settings_ref(lb.settings);
    loopback_use(&lb, "upstreams: {other: {targets: [$1]}}\n"
                      "routes: [{match: {path: /}, to: other, response_headers: {x-snapshot: "
                      "two}}]\n");
    lb.upstreams[1].answer = OK_ANSWER;
    assert_int_equal(loopback_ask(&lb, d, GET("/", ""), &answer), 200);
    assert_true(loopback_field_is(&answer, "x-snapshot", "two"));
    assert_int_equal(atomic_load(&before->refs), 2); /* ours and that of the running request */
    peer_say(up, OK_ANSWER);
    loopback_answer(&lb, c, &answer);
    assert_true(loopback_field_is(&answer, "x-snapshot", "one"));
    LOOPBACK_UNTIL(&lb, atomic_load(&before->refs) == 1);
    settings_unref(before);
    assert_int_equal(loopback_ask(&lb, c, GET("/", ""), &answer), 200);
    assert_true(loopback_field_is(&answer, "x-snapshot", "two"));
    loopback_assert_idle(&lb);
}

static void test_exchange_learns_nothing_new_by_a_snapshot(void **state)
{
    (void)state;
    static const char yaml[] = UPSTREAM "routes: [{match: {path: /}, to: app}]\n"
                                        "limits: [{per: ip, rate: 2/min, name: kept}]\n";
    loopback_open(&lb, yaml);
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    assert_int_equal(loopback_ask(&lb, c, GET("/", ""), &answer), 200);
    loopback_use(&lb, yaml);
    assert_int_equal(loopback_ask(&lb, c, GET("/", ""), &answer), 200);
    assert_int_equal(loopback_links(&lb).opened, 1); /* connections stay */
    loopback_use(&lb, yaml);
    assert_int_equal(loopback_ask(&lb, c, GET("/", ""), &answer), 429); /* and so do counts */
}

/* ---- every outside call fails once ---- */

#define SEND (GET("/", "") "POST /p HTTP/1.1\r\nHost: a.example\r\nContent-Length: 6\r\n\r\nabc")

static struct peer *connect_as(struct tls_context *context)
{
    return context == NULL ? loopback_connect(&lb)
                           : loopback_connect_tls(&lb, 0, context, "a.example");
}

/* Two requests, the second with a body in two pieces and an answer in two pieces. */
static void run_with_fault(const char *prefix, unsigned nth, bool is_persistent,
                           struct tls_context *context)
{
    struct peer *c = connect_as(context);
    fault_point_arm(prefix, nth, is_persistent);
    peer_say(c, SEND);
    loopback_settle(&lb);
    peer_say(c, "def" GET("/out", "") GET("/missing", "Accept: text/html\r\n"));
    for (unsigned i = 0; i < 40; i++)
        loopback_advance(&lb, 50); /* waits between tries */
    loopback_advance(&lb, 100000); /* and every deadline */
    fault_point_disarm();
    peer_close(c);
    LOOPBACK_UNTIL(&lb, lb.home->conn_count == 0);
    loopback_settle(&lb);
    loopback_assert_idle(&lb);
}

static void torture_by(const char *prefix, bool is_persistent,
                       const struct loopback_options *options, struct tls_context *context)
{
    unsigned nth = 1;
    bool has_fired = true;
    for (; has_fired && nth < 500; nth++) {
        loopback_open_with(&lb, options);
        lb.upstreams[0].answer =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        (void)loopback_ask(&lb, connect_as(context), GET("/", ""), &answer); /* warm */
        peer_close(lb.clients[0]);
        loopback_settle(&lb);
        run_with_fault(prefix, nth, is_persistent, context);
        has_fired = fault_point_fired() > 0;
        if (has_fired)
            (void)done(NULL);
    }
    assert_false(has_fired);
    assert_true(nth > 2);
    /* what is left open is closed by the teardown: a run without any fault */
    assert_int_equal(loopback_ask(&lb, connect_as(context), GET("/", ""), &answer), 200);
}

/* One call fails, and then each from that one on. */
static void torture(const char *prefix, const struct loopback_options *options,
                    struct tls_context *context)
{
    torture_by(prefix, false, options, context);
    (void)done(NULL);
    torture_by(prefix, true, options, context);
}

#define TORTURE                                                                                    \
    UPSTREAM "limits: off\n"                                                                       \
             "routes:\n"                                                                           \
             "  - {match: {path: /}, to: app}\n"                                                   \
             "  - {match: {path: /out}, redirect: {to: \"https://{host}{path}\"}}\n"               \
             "  - {match: {path: /missing, methods: [POST]}, to: app}\n"

static void test_exchange_survives_each_failing_socket_call(void **state)
{
    (void)state;
    torture("sock.", &(struct loopback_options){.yaml = TORTURE}, NULL);
}

/* Buffers that grow; the arenas abort like mem_alloc, by design. */
static void test_exchange_survives_each_failing_growth(void **state)
{
    (void)state;
    torture("mem.try_resize", &(struct loopback_options){.yaml = TORTURE}, NULL);
}

static void test_exchange_survives_each_failing_call_under_tls(void **state)
{
    (void)state;
    struct tls_fixture tls;
    tls_fixture_init(&tls);
    (void)tls_fixture_make(&tls,
                           &(struct tls_fixture_spec){.stem = "a", .alt_names = "DNS:a.example"});
    struct tls_context *context = tls_fixture_client(&tls);
    struct loopback_options options = {
        .folder = tls.dir,
        .yaml = "listen: [{address: \"127.0.0.1:1\", tls: {certificate: $dir/a.crt, key: "
                "$dir/a.key}}]\n" TORTURE};
    torture("sock.", &options, context);
    (void)done(NULL);
    torture("mem.try_resize", &options, context);
    tls_context_unref(context);
    tls_fixture_done(&tls);
}

#define RULE(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_exchange_over_a_limit_gets_429_with_all_that_helps),
        RULE(test_exchange_limits_of_a_route_count_beside_the_global_ones),
        RULE(test_exchange_counts_also_what_no_route_answers),
        RULE(test_exchange_counts_without_refusing_in_shadow),
        RULE(test_exchange_says_nothing_of_limits_when_told_so),
        RULE(test_exchange_is_recorded_only_when_its_head_came),
        RULE(test_exchange_reuses_its_storage),
        RULE(test_exchange_keeps_the_snapshot_that_it_began_with),
        RULE(test_exchange_learns_nothing_new_by_a_snapshot),
        RULE(test_exchange_survives_each_failing_socket_call),
        RULE(test_exchange_survives_each_failing_growth),
        RULE(test_exchange_survives_each_failing_call_under_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
