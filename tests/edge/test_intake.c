/* test_intake.c: who asks, under which ids, for what path, and what is refused at the door.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/intake.h"

#include "loopback.h"
#include "wire/tls_fixture.h"

#define UPSTREAM            "upstreams: {app: {targets: [$0]}}\n"
#define APP                 UPSTREAM "routes: [{match: {path: /}, to: app}]\n"
#define OK_ANSWER           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define GET(target, fields) "GET " target " HTTP/1.1\r\nHost: a.example\r\n" fields "\r\n"

static struct loopback lb;
static struct loopback_message answer;
static struct loopback_message request;

static int done(void **state)
{
    (void)state;
    loopback_message_done(&answer);
    loopback_message_done(&request);
    loopback_done(&lb);
    return 0;
}

/* What the upstream gets for this request; answered with 200. */
static void pass(struct peer *c, const char *text)
{
    unsigned index = lb.upstreams[0].server.count == 0 ? 0 : lb.upstreams[0].server.count - 1;
    peer_say(c, text);
    struct peer *up = loopback_request(&lb, 0, index, &request);
    peer_say(up, OK_ANSWER);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
}

static void test_intake_refuses_at_the_door(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        unsigned status;
        bool closes;
    } cases[] = {
        {GET("/other/x", ""), 404, false},
        {"POST /get HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n", 405, false},
        {"TRACE /app/ HTTP/1.1\r\nHost: a.example\r\n\r\n", 405, true},
        {"CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\n", 501, true},
        {"POST /app/ HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\n", 413, true},
        {"POST /app/ HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\n123456789", 413,
         false},
        {GET("/app/%00", ""), 400, true},
        {GET("/app/%2fadmin", ""), 400, true},
        {GET("/app/%zz", ""), 400, true},
        {GET("/../x", ""), 400, true},
        {"GET / HTTP/1.1\r\n\r\n", 400, true},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, true},
        {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, true},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, true},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", 417, true},
    };
    loopback_open(&lb, UPSTREAM "routes: [{match: {path: /app/}, to: app, body_max: 8b},\n"
                                "  {match: {path: /get, methods: [GET]}, to: app}]\n");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct peer *c = loopback_connect(&lb);
        unsigned status = loopback_ask(&lb, c, cases[i].request, &answer);
        if (status != cases[i].status)
            fail_msg("%u, not %u: %s", status, cases[i].status, cases[i].request);
        assert_true(loopback_field_is(&answer, "content-type", "application/problem+json"));
        assert_int_equal(loopback_field_count(&answer, "x-request-id"), 1);
        assert_int_equal(loopback_field(&answer, "connection").at != NULL, cases[i].closes);
        if (status == 405 && !cases[i].closes)
            assert_true(loopback_field_is(&answer, "allow", "GET, HEAD"));
    }
    assert_int_equal(lb.upstreams[0].server.count, 0);
}

static void test_intake_limits_heads_and_targets(void **state)
{
    (void)state;
    loopback_open(&lb, APP "http: {head: 2kb, target: 100b, fields: 4}\n");
    static const char *const refused[] = {
        "GET /12345678901234567890123456789012345678901234567890123456789012345678901234567890"
        "123456789012345678901234567890 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nB: b\r\nC: b\r\nD: b\r\n\r\n"};
    static const unsigned statuses[] = {414, 431};
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        assert_int_equal(loopback_ask(&lb, loopback_connect(&lb), refused[i], &answer),
                         statuses[i]);
    struct peer *c = loopback_connect(&lb);
    peer_say(c, "GET / HTTP/1.1\r\nHost: a\r\nA: ");
    peer_fill(c, 'x', 3000);
    peer_say(c, "\r\n\r\n");
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 431);
    c = loopback_connect(&lb);
    peer_fill(c, 'G', 100000); /* no line at all */
    loopback_answer(&lb, c, &answer);
    assert_in_range(answer.response.status, 400, 431);
}

static void test_intake_passes_a_head_of_the_largest_size(void **state)
{
    (void)state;
    loopback_open(&lb, APP "http: {head: 2kb}\n");
    struct peer *c = loopback_connect(&lb);
    static const char start[] = "GET / HTTP/1.1\r\nHost: a.example\r\nA: ";
    peer_say(c, start);
    peer_fill(c, 'x', 2048 - (sizeof start - 1) - 4);
    pass(c, "\r\n\r\n");
    assert_int_equal(loopback_field(&request, "a").len, 2048 - (sizeof start - 1) - 4);
}

static void test_intake_makes_the_path_canonical_for_all(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"/a/./b", "/a/b"},   {"/a/../b", "/b"}, {"//a///b", "/a/b"}, {"/%61?x=%2f", "/a?x=%2f"},
        {"/a%20b", "/a%20b"}, {"/?", "/?"},      {"/a/b/..", "/a/"}};
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[200];
        (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a.example\r\n\r\n",
                       cases[i][0]);
        pass(c, text);
        if (!span_eq(request.request.target, span_from(cases[i][1])))
            fail_msg("%s became %.*s", cases[i][0], SPAN_ARGS(request.request.target));
    }
}

static void test_intake_takes_the_host_of_an_absolute_target(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    pass(c, "GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_true(span_eq(request.request.target, SPAN("/x?y")));
    pass(c, "GET http://b.example:81/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_true(loopback_field_is(&request, "host", "b.example:81"));
    pass(c, "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_true(loopback_field_is(&request, "host", lb.upstreams[0].server.text));
}

static void test_intake_honours_an_id_that_is_safe_and_makes_one_otherwise(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    pass(c, GET("/", "X-Request-Id: order-17_b.2\r\n"));
    assert_true(loopback_field_is(&request, "x-request-id", "order-17_b.2"));
    assert_true(loopback_field_is(&answer, "x-request-id", "order-17_b.2"));
    static const char *const wrong[] = {
        GET("/", ""), GET("/", "X-Request-Id: a b\r\n"), GET("/", "X-Request-Id: \"\r\n"),
        GET("/", "X-Request-Id: 12345678901234567890123456789012345678901234567890123456789012345"
                 "\r\n")};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        pass(c, wrong[i]);
        struct span id = loopback_field(&request, "x-request-id");
        assert_int_equal(id.len, 32);
        assert_int_equal(loopback_field_count(&request, "x-request-id"), 1);
        assert_true(span_eq(loopback_field(&answer, "x-request-id"), id));
    }
}

static void test_intake_goes_on_with_a_trace_or_begins_one(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    pass(c, GET("/", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
                     "Tracestate: v=1\r\n"));
    struct span trace = loopback_field(&request, "traceparent");
    assert_true(span_starts(trace, SPAN("00-0af7651916cd43dd8448eb211c80319c-")));
    assert_false(span_ends(trace, SPAN("b7ad6b7169203331-01")));
    assert_true(span_ends(trace, SPAN("-01")));
    assert_true(loopback_field_is(&request, "tracestate", "v=1"));
    pass(c, GET("/", "Traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\n"));
    trace = loopback_field(&request, "traceparent");
    assert_int_equal(trace.len, 55);
    assert_false(span_starts(trace, SPAN("00-0000000000")));
}

/* ---- who stands behind whom ---- */

static void test_intake_believes_no_forwarding_header_of_a_stranger(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect_from(&lb, "203.0.113.9:5000");
    pass(c, GET("/", "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n"
                     "Forwarded: for=10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\n"
                     "X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n"));
    assert_true(loopback_field_is(&request, "x-forwarded-for", "203.0.113.9"));
    assert_true(loopback_field_is(&request, "x-forwarded-proto", "http"));
    assert_true(loopback_field_is(&request, "x-forwarded-host", "a.example"));
    assert_true(
        loopback_field_is(&request, "forwarded", "for=203.0.113.9;proto=http;host=\"a.example\""));
    assert_null(loopback_field(&request, "x-real-ip").at);
    assert_null(loopback_field(&request, "x-forwarded-port").at);
    assert_null(loopback_field(&answer, "strict-transport-security").at);
}

static void test_intake_finds_the_client_behind_trusted_proxies(void **state)
{
    (void)state;
    loopback_open(&lb, APP "trusted_proxies: [10.0.0.0/8]\nlimits: [{per: ip, rate: 1/min}]\n");
    struct peer *c = loopback_connect_from(&lb, "10.0.0.1:5000");
    pass(c, GET("/", "X-Forwarded-For: 6.6.6.6, 198.51.100.7\r\nX-Forwarded-For: 10.2.0.1\r\n"
                     "X-Forwarded-Proto: https\r\n"));
    /* the last address that is not a trusted proxy's is the client's; what stands before it is not
     * believed */
    assert_true(loopback_field_is(&request, "x-forwarded-for", "198.51.100.7, 10.2.0.1, 10.0.0.1"));
    assert_true(loopback_field_is(&request, "x-forwarded-proto", "https"));
    assert_non_null(loopback_field(&answer, "strict-transport-security").at);
    /* and it is the one that is counted */
    assert_int_equal(loopback_ask(&lb, c, GET("/", "X-Forwarded-For: 198.51.100.7\r\n"), &answer),
                     429);
    pass(c, GET("/", "X-Forwarded-For: 198.51.100.8\r\n"));
}

static void test_intake_takes_the_scheme_from_the_last_proxy(void **state)
{
    (void)state;
    loopback_open(&lb, APP "trusted_proxies: [10.0.0.1]\n");
    struct peer *c = loopback_connect_from(&lb, "10.0.0.1:5000");
    pass(c, GET("/", "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n"));
    assert_true(loopback_field_is(&request, "x-forwarded-proto", "http"));
    pass(c, GET("/", "X-Forwarded-Proto: gopher\r\n"));
    assert_true(loopback_field_is(&request, "x-forwarded-proto", "http"));
}

static void test_intake_answers_the_server_wide_options_itself(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    assert_int_equal(loopback_ask(&lb, c, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &answer), 204);
    assert_int_equal(loopback_field_count(&answer, "allow"), 1);
    assert_int_equal(lb.upstreams[0].server.count, 0);
}

static void test_intake_refuses_a_host_that_the_connection_did_not_ask_for(void **state)
{
    (void)state;
    struct tls_fixture tls;
    tls_fixture_init(&tls);
    (void)tls_fixture_make(&tls, &(struct tls_fixture_spec){
                                     .stem = "a", .alt_names = "DNS:a.example,DNS:*.b.example"});
    (void)tls_fixture_make(&tls,
                           &(struct tls_fixture_spec){.stem = "c", .alt_names = "DNS:c.example"});
    struct tls_context *context = tls_fixture_client(&tls);
    loopback_open_with(&lb,
                       &(struct loopback_options){
                           .folder = tls.dir,
                           .yaml = "listen: [{address: \"127.0.0.1:1\", tls: {certificates: [\n"
                                   "  {certificate: $dir/a.crt, key: $dir/a.key},\n"
                                   "  {certificate: $dir/c.crt, key: $dir/c.key}]}}]\n" APP});
    struct peer *c = loopback_connect_tls(&lb, 0, context, "x.b.example");
    pass(c, "GET / HTTP/1.1\r\nHost: X.b.example\r\n\r\n");
    assert_true(loopback_field_is(&request, "x-forwarded-proto", "https"));
    pass(c, "GET / HTTP/1.1\r\nHost: y.b.example\r\n\r\n"); /* the same name of the certificate */
    assert_int_equal(loopback_ask(&lb, c, "GET / HTTP/1.1\r\nHost: c.example\r\n\r\n", &answer),
                     421);
    tls_context_unref(context);
    tls_fixture_done(&tls);
}

#define RULE(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_intake_refuses_at_the_door),
        RULE(test_intake_limits_heads_and_targets),
        RULE(test_intake_passes_a_head_of_the_largest_size),
        RULE(test_intake_makes_the_path_canonical_for_all),
        RULE(test_intake_takes_the_host_of_an_absolute_target),
        RULE(test_intake_honours_an_id_that_is_safe_and_makes_one_otherwise),
        RULE(test_intake_goes_on_with_a_trace_or_begins_one),
        RULE(test_intake_believes_no_forwarding_header_of_a_stranger),
        RULE(test_intake_finds_the_client_behind_trusted_proxies),
        RULE(test_intake_takes_the_scheme_from_the_last_proxy),
        RULE(test_intake_answers_the_server_wide_options_itself),
        RULE(test_intake_refuses_a_host_that_the_connection_did_not_ask_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
