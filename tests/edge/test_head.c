/* test_head.c: the heads that leave: what is taken out, what is put in, what stays as it came.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/head.h"

#include "loopback.h"

#define UPSTREAM          "upstreams: {app: {targets: [$0]}}\n"
#define APP               UPSTREAM "routes: [{match: {path: /}, to: app}]\n"
#define OK_ANSWER         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define ANSWER(fields)    "HTTP/1.1 200 OK\r\n" fields "Content-Length: 2\r\n\r\nok"
#define GET(path, fields) "GET " path " HTTP/1.1\r\nHost: a.example\r\n" fields "\r\n"

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

static void pass(struct peer *c, const char *text, const char *response)
{
    peer_say(c, text);
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    peer_say(up, response);
    loopback_answer(&lb, c, &answer);
}

static bool head_has(const struct loopback_message *m, const char *text)
{
    return memmem(m->head_bytes.at, m->head_bytes.len, text, strlen(text)) != NULL;
}

static void test_head_of_a_request_loses_what_ends_here(void **state)
{
    (void)state;
    static const char *const gone[] = {
        "connection", "keep-alive",       "te",      "x-secret",
        "upgrade",    "proxy-connection", "trailer", "proxy-authorization"};
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    pass(c,
         GET("/x?y=1", "Connection: keep-alive, X-Secret\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
                       "X-Secret: s\r\nUpgrade: h2c\r\nProxy-Connection: x\r\nTrailer: T\r\n"
                       "Proxy-Authorization: p\r\nAccept:text/html\r\nCookie: a=b\r\n"
                       "x-Mine:   spaced   \r\n"),
         OK_ANSWER);
    for (size_t i = 0; i < COUNT_OF(gone); i++)
        assert_int_equal(loopback_field_count(&request, gone[i]), 0);
    assert_true(loopback_field_is(&request, "accept", "text/html"));
    assert_true(loopback_field_is(&request, "cookie", "a=b"));
    assert_true(loopback_field_is(&request, "x-mine", "spaced"));
    assert_true(loopback_field_is(&request, "host", "a.example"));
    assert_true(head_has(&request, "GET /x?y=1 HTTP/1.1\r\n"));
    assert_null(loopback_field(&request, "content-length").at);
}

static void test_head_of_a_response_loses_what_ends_here(void **state)
{
    (void)state;
    static const char *const gone[] = {"connection",        "keep-alive", "server",
                                       "x-powered-by",      "x-secret",   "upgrade",
                                       "proxy-authenticate"};
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    pass(c, GET("/", ""),
         ANSWER("Connection: keep-alive, X-Secret\r\nKeep-Alive: timeout=9\r\nServer: s\r\n"
                "X-Powered-By: p\r\nX-Secret: s\r\nUpgrade: h2c\r\nProxy-Authenticate: p\r\n"
                "X-Request-Id: theirs\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
                "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    for (size_t i = 0; i < COUNT_OF(gone); i++)
        assert_int_equal(loopback_field_count(&answer, gone[i]), 0);
    assert_int_equal(loopback_field_count(&answer, "set-cookie"), 2);
    assert_true(loopback_field_is(&answer, "date", "Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_int_equal(loopback_field_count(&answer, "x-request-id"), 1);
    assert_false(loopback_field_is(&answer, "x-request-id", "theirs"));
    assert_true(loopback_field_is(&answer, "content-length", "2"));
}

static void test_head_gets_a_date_when_the_upstream_sent_none(void **state)
{
    (void)state;
    char date[CLOCK_HTTP_BYTES];
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    clock_format_http(lb.clock.wall_now_ns, date);
    pass(c, GET("/", ""), OK_ANSWER);
    assert_true(loopback_field_is(&answer, "date", date));
}

static void test_head_status_line_is_ours(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    pass(c, GET("/", ""),
         "HTTP/1.0 299 All <sorts> of things\r\nContent-Length: 0\r\n"
         "Connection: keep-alive\r\n\r\n");
    assert_int_equal(answer.response.status, 299);
    assert_false(head_has(&answer, "<sorts>"));
    assert_true(head_has(&answer, "HTTP/1.1 299 "));
}

static void test_head_carries_protections_on_every_answer(void **state)
{
    (void)state;
    static const char *const names[] = {"content-security-policy",     "x-frame-options",
                                        "x-content-type-options",      "referrer-policy",
                                        "permissions-policy",          "cross-origin-opener-policy",
                                        "cross-origin-resource-policy"};
    loopback_open(&lb, UPSTREAM "routes: [{match: {path: /}, to: app},\n"
                                "  {match: {path: /own}, respond: {body: x}}]\n");
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    static const char *const asked[] = {GET("/", ""), GET("/own", ""), GET("/%00", "")};
    for (size_t i = 0; i < COUNT_OF(asked); i++) {
        (void)loopback_ask(&lb, c, asked[i], &answer);
        for (size_t k = 0; k < COUNT_OF(names); k++)
            assert_int_equal(loopback_field_count(&answer, names[k]), 1);
        assert_null(loopback_field(&answer, "strict-transport-security").at);
        assert_null(loopback_field(&answer, "server").at);
    }
}

static void test_head_protections_are_set_and_turned_off_by_route(void **state)
{
    (void)state;
    loopback_open(
        &lb, UPSTREAM
        "protections: {x_frame_options: DENY, referrer_policy: off}\n"
        "routes:\n"
        "  - {match: {path: /}, to: app}\n"
        "  - match: {path: /open/}\n"
        "    to: app\n"
        "    protections: {x_frame_options: off, content_security_policy: \"default-src x\","
        " report_only: true, remove_server: false}\n");
    struct peer *c = loopback_connect(&lb);
    pass(c, GET("/", ""), ANSWER("Server: s\r\nX-Frame-Options: SAMEORIGIN\r\n"));
    assert_true(loopback_field_is(&answer, "x-frame-options", "DENY"));
    assert_null(loopback_field(&answer, "referrer-policy").at);
    assert_null(loopback_field(&answer, "server").at);
    pass(c, GET("/open/", ""), ANSWER("Server: s\r\nX-Frame-Options: theirs\r\n"));
    assert_true(loopback_field_is(&answer, "x-frame-options", "theirs"));
    assert_true(loopback_field_is(&answer, "content-security-policy-report-only", "default-src x"));
    assert_null(loopback_field(&answer, "content-security-policy").at);
    assert_true(loopback_field_is(&answer, "server", "s"));
}

static void test_head_fields_are_set_and_removed_by_route(void **state)
{
    (void)state;
    loopback_open(&lb,
                  UPSTREAM "routes:\n"
                           "  - match: {path: /}\n"
                           "    to: app\n"
                           "    host: inner.example\n"
                           "    request_headers: {x-set: by us, cookie: null, x-none: null}\n"
                           "    response_headers: {x-answer: ours, etag: null, vary: Accept}\n");
    struct peer *c = loopback_connect(&lb);
    pass(c, GET("/", "X-Set: by them\r\nCookie: a=b\r\nx-none: n\r\nX-Kept: k\r\n"),
         ANSWER("X-Answer: theirs\r\nETag: \"e\"\r\nVary: Cookie\r\nX-Kept: k\r\n"));
    assert_true(loopback_field_is(&request, "host", "inner.example"));
    assert_true(loopback_field_is(&request, "x-forwarded-host", "a.example"));
    assert_true(loopback_field_is(&request, "x-set", "by us"));
    assert_true(loopback_field_is(&request, "x-kept", "k"));
    assert_null(loopback_field(&request, "cookie").at);
    assert_null(loopback_field(&request, "x-none").at);
    assert_true(loopback_field_is(&answer, "x-answer", "ours"));
    assert_true(loopback_field_is(&answer, "vary", "Accept"));
    assert_true(loopback_field_is(&answer, "x-kept", "k"));
    assert_null(loopback_field(&answer, "etag").at);
}

static void test_head_keeps_the_order_and_bytes_of_what_stays(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    pass(c, GET("/", "A: 1\r\nb-B: 2\r\nKeep-Alive: x\r\nA: 3\r\nC:4\r\nD: \r\n"), OK_ANSWER);
    assert_true(head_has(&request, "A: 1\r\nb-B: 2\r\nA: 3\r\nC: 4\r\nD: \r\n"));
}

static void test_head_of_limits_replaces_those_of_the_application(void **state)
{
    (void)state;
    loopback_open(&lb, APP "limits: [{per: ip, rate: 10/min, name: mine}]\n");
    struct peer *c = loopback_connect(&lb);
    pass(c, GET("/", ""), ANSWER("X-RateLimit-Limit: 5\r\nRateLimit: theirs\r\n"));
    assert_true(loopback_field_is(&answer, "x-ratelimit-limit", "10"));
    assert_true(loopback_field_is(&answer, "x-ratelimit-remaining", "9"));
    assert_int_equal(loopback_field_count(&answer, "ratelimit"), 1);
    assert_int_equal(loopback_field_count(&answer, "ratelimit-policy"), 1);
}

/* Each may fit alone; both must leave room for the other. */
static void test_head_of_the_largest_sizes_fits(void **state)
{
    (void)state;
    struct buf yaml;
    const char *text;
    buf_init(&yaml, 65536);
    assert_true(err_ok(buf_printf(
        &yaml, "%s",
        UPSTREAM "http: {head: 1kb}\nlimits: [{per: ip, rates: [10/s, 100/min, 1000/h]}]\n"
                 "routes:\n"
                 "  - match: {path: /}\n    to: app\n    request_headers: {x-a: \"")));
    for (unsigned i = 0; i < 2000; i++)
        assert_true(err_ok(buf_add_char(&yaml, 'r')));
    assert_true(err_ok(buf_printf(&yaml, "\"}\n    response_headers: {x-a: \"")));
    for (unsigned i = 0; i < 2000; i++)
        assert_true(err_ok(buf_add_char(&yaml, 'R')));
    assert_true(err_ok(buf_printf(&yaml, "\"}\n")));
    assert_true(err_ok(buf_text(&yaml, &text)));
    loopback_open(&lb, text);
    buf_done(&yaml);
    struct peer *c = loopback_connect(&lb);
    char filler[800];
    memset(filler, 'f', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    char asked[1100], answered[1100];
    (void)snprintf(asked, sizeof asked, GET("/", "X-Filler: %s\r\n"), filler);
    (void)snprintf(answered, sizeof answered, ANSWER("X-Filler: %s\r\n"), filler);
    pass(c, asked, answered);
    assert_int_equal(answer.response.status, 200);
    assert_int_equal(loopback_field(&request, "x-a").len, 2000);
    assert_int_equal(loopback_field(&answer, "x-a").len, 2000);
}

#define RULE(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_head_of_a_request_loses_what_ends_here),
        RULE(test_head_of_a_response_loses_what_ends_here),
        RULE(test_head_gets_a_date_when_the_upstream_sent_none),
        RULE(test_head_status_line_is_ours),
        RULE(test_head_carries_protections_on_every_answer),
        RULE(test_head_protections_are_set_and_turned_off_by_route),
        RULE(test_head_fields_are_set_and_removed_by_route),
        RULE(test_head_keeps_the_order_and_bytes_of_what_stays),
        RULE(test_head_of_limits_replaces_those_of_the_application),
        RULE(test_head_of_the_largest_sizes_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
