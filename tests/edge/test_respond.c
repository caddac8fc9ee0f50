/* test_respond.c: answers of our own: redirects, fixed texts, handlers of parts, errors.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/respond.h"

#include "loopback.h"
#include "wire/route.h"

#define GET(path, fields) "GET " path " HTTP/1.1\r\nHost: a.example\r\n" fields "\r\n"

static struct loopback lb;
static struct loopback_message answer;

static int done(void **state)
{
    (void)state;
    loopback_message_done(&answer);
    loopback_done(&lb);
    return 0;
}

static void test_respond_redirects_with_parts_of_the_request(void **state)
{
    (void)state;
    loopback_open(&lb, "routes:\n"
                       "  - {match: {path: /}, redirect: {to: \"https://{host}{path}{query}\"}}\n"
                       "  - {match: {path: /old}, redirect: {to: /new, status: 302}}\n"
                       "  - {match: {path: /twice/}, redirect: {to: \"{path}{path}{\"}}\n");
    static const struct {
        const char *request, *location;
        unsigned status;
    } cases[] = {
        {GET("/a%20b?x=1", ""), "https://a.example/a%20b?x=1", 308},
        {GET("/a/../b", ""), "https://a.example/b", 308},
        {GET("/?", ""), "https://a.example/?", 308},
        {"GET / HTTP/1.1\r\nHost: b.example:8080\r\n\r\n", "https://b.example/", 308},
        {GET("/old?x=1", ""), "/new", 302},
        {GET("/twice/x", ""), "/twice/x/twice/x{", 308},
    };
    struct peer *c = loopback_connect(&lb);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(loopback_ask(&lb, c, cases[i].request, &answer), cases[i].status);
        assert_true(loopback_field_is(&answer, "location", cases[i].location));
        assert_int_equal(answer.body.len, 0);
        assert_true(loopback_field_is(&answer, "content-length", "0"));
    }
    loopback_assert_idle(&lb);
}

/* The location may be larger than the head that asked for it. */
static void test_respond_survives_a_location_that_does_not_fit(void **state)
{
    (void)state;
    loopback_open(&lb, "http: {head: 16kb, target: 15kb}\n"
                       "routes: [{match: {path: /}, redirect: {to: \"{path}{path}{path}\"}}]\n");
    struct peer *c = loopback_connect(&lb);
    peer_say(c, "GET /");
    peer_fill(c, 'x', 14000);
    peer_say(c, " HTTP/1.1\r\nHost: a.example\r\n\r\n");
    loopback_answer(&lb, c, &answer);
    assert_in_range(answer.response.status, 400, 599);
    assert_null(loopback_field(&answer, "location").at);
    assert_int_equal(loopback_ask(&lb, c, GET("/y", ""), &answer), 308);
}

static void test_respond_answers_with_a_fixed_text(void **state)
{
    (void)state;
    loopback_open(&lb, "routes:\n"
                       "  - match: {path: /}\n"
                       "    respond: {status: 418, body: \"short\", content_type: text/x}\n"
                       "    response_headers: {x-a: b}\n"
                       "  - {match: {path: /empty}, respond: {status: 204}}\n");
    struct peer *c = loopback_connect(&lb);
    assert_int_equal(loopback_ask(&lb, c, GET("/", ""), &answer), 418);
    assert_true(span_eq(buf_span(&answer.body), SPAN("short")));
    assert_true(loopback_field_is(&answer, "content-type", "text/x"));
    assert_true(loopback_field_is(&answer, "x-a", "b"));
    assert_int_equal(loopback_ask(&lb, c, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", &answer), 418);
    assert_true(loopback_field_is(&answer, "content-length", "5"));
    assert_int_equal(loopback_ask(&lb, c, GET("/empty", ""), &answer), 204);
    assert_null(loopback_field(&answer, "content-length").at);
    loopback_assert_idle(&lb);
}

static void test_respond_streams_a_large_text_to_a_slow_client(void **state)
{
    (void)state;
    struct buf yaml;
    const char *text;
    buf_init(&yaml, 131072);
    assert_true(err_ok(buf_printf(&yaml, "timeouts: {stall: 5s}\nroutes: [{match: {path: /}, "
                                         "respond: {body: \"")));
    for (unsigned i = 0; i < 60000; i++)
        assert_true(err_ok(buf_add_char(&yaml, 'x')));
    assert_true(err_ok(buf_printf(&yaml, "\"}}]\n")));
    assert_true(err_ok(buf_text(&yaml, &text)));
    loopback_open(&lb, text);
    buf_done(&yaml);
    struct peer *c = loopback_connect_from(&lb, "10.0.0.1:1000");
    c->is_paused = true;
    peer_say(c, GET("/", ""));
    loopback_settle(&lb);
    assert_int_equal(lb.home->exchange_count, 1);
    loopback_advance(&lb, 4000);
    c->is_paused = false;
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.body.len, 60000);
    loopback_assert_idle(&lb);
    c->is_paused = true; /* and one that does not read at all */
    peer_say(c, GET("/", ""));
    loopback_settle(&lb);
    loopback_advance(&lb, 5001);
    assert_int_equal(lb.home->conn_count, 0);
    loopback_assert_idle(&lb);
}

static void test_respond_writes_errors_for_programs_and_for_people(void **state)
{
    (void)state;
    loopback_open(&lb, "routes: []\n");
    struct peer *c = loopback_connect(&lb);
    assert_int_equal(loopback_ask(&lb, c, GET("/<b>", ""), &answer), 400);
    c = loopback_connect(&lb);
    assert_int_equal(loopback_ask(&lb, c, GET("/x", "X-Request-Id: r1\r\n"), &answer), 404);
    assert_true(loopback_field_is(&answer, "content-type", "application/problem+json"));
    assert_true(loopback_field_is(&answer, "cache-control", "no-store"));
    assert_true(loopback_body_has(&answer, "\"status\":404"));
    assert_true(loopback_body_has(&answer, "\"instance\":\"/x\""));
    assert_true(loopback_body_has(&answer, "\"request_id\":\"r1\""));
    assert_int_equal(loopback_ask(&lb, c, GET("/x", "Accept: text/html\r\n"), &answer), 404);
    assert_true(loopback_field_is(&answer, "content-type", "text/html; charset=utf-8"));
    /* both hold: the one of the protections, and the page's own */
    assert_int_equal(loopback_field_count(&answer, "content-security-policy"), 2);
    assert_true(loopback_body_has(&answer, "<html"));
    assert_int_equal(loopback_ask(&lb, c, "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n", &answer), 404);
    assert_int_equal(answer.body.len, 0);
    loopback_assert_idle(&lb);
}

/* ---- handlers of parts ---- */

#define LOCAL(path, fields) "GET " path " HTTP/1.1\r\nHost: localhost\r\n" fields "\r\n"

static err echo(struct call *c, struct fault *why)
{
    struct span word = SPAN("none");
    (void)why;
    (void)route_query(c, "word", &word);
    return buf_printf(&c->answer, "%.*s|%.*s|%.*s|%.*s", SPAN_ARGS(c->path), SPAN_ARGS(c->body),
                      SPAN_ARGS(word), SPAN_ARGS(c->request_id));
}

static err by_name(struct call *c, struct fault *why)
{
    (void)why;
    c->status = 201;
    c->content_type = SPAN("text/plain");
    c->cache_control = SPAN("max-age=5");
    return buf_add(&c->answer, route_param(c, "name"));
}

static err refuse(struct call *c, struct fault *why)
{
    if (!err_ok(buf_add(&c->answer, SPAN("half of it"))))
        return FAIL(INTERNAL);
    return fault_set(why, ERR_CONFLICT, "it does not fit");
}

static err large(struct call *c, struct fault *why)
{
    (void)why;
    TRY(buf_reserve(&c->answer, 3000000));
    memset(c->answer.at, 'l', 3000000);
    c->answer.len = 3000000;
    return OK;
}

static const struct route handler_routes[] = {
    {.method = HTTP_GET, .pattern = "/echo", .handle = echo, .help = "x"},
    {.method = HTTP_POST, .pattern = "/echo", .handle = echo, .help = "x"},
    {.method = HTTP_GET, .pattern = "/names/{name}", .handle = by_name, .help = "x"},
    {.method = HTTP_GET, .pattern = "/refuse", .handle = refuse, .help = "x"},
    {.method = HTTP_GET, .pattern = "/large", .handle = large, .help = "x"},
    {.method = HTTP_POST,
     .pattern = "/private",
     .handle = echo,
     .flags = ROUTE_PRIVILEGED,
     .help = "x"},
    {0}};
static const struct part handler_part = {.name = "test", .routes = handler_routes};
static const struct part *const handler_parts[] = {&handler_part, NULL};

static char control_path[64];

static void open_admin(void)
{
    static char yaml[300];
    (void)snprintf(control_path, sizeof control_path, "/tmp/plimsoll-respond-%d.sock",
                   (int)getpid());
    (void)snprintf(yaml, sizeof yaml,
                   "admin: {address: \"127.0.0.1:1\", socket: \"%s\"}\nhttp: {head: 2kb}\n"
                   "timeouts: {stall: 5s}\n",
                   control_path);
    loopback_open_with(
        &lb, &(struct loopback_options){.yaml = yaml, .is_admin = true, .parts = handler_parts});
}

static int done_admin(void **state)
{
    (void)done(state);
    (void)unlink(control_path);
    return 0;
}

static void test_respond_calls_handlers(void **state)
{
    (void)state;
    open_admin();
    struct peer *c = loopback_connect(&lb);
    assert_int_equal(
        loopback_ask(&lb, c, LOCAL("/echo?word=a%20b", "X-Request-Id: r\r\n"), &answer), 200);
    assert_true(span_eq(buf_span(&answer.body), SPAN("/echo||a b|r")));
    assert_true(loopback_field_is(&answer, "content-type", "application/json"));
    assert_true(loopback_field_is(&answer, "cache-control", "no-store"));
    assert_int_equal(loopback_ask(&lb, c, LOCAL("/names/joe", ""), &answer), 201);
    assert_true(span_eq(buf_span(&answer.body), SPAN("joe")));
    assert_true(loopback_field_is(&answer, "cache-control", "max-age=5"));
    assert_int_equal(loopback_ask(&lb, c, LOCAL("/refuse", ""), &answer), 409);
    assert_true(loopback_body_has(&answer, "it does not fit"));
    assert_false(loopback_body_has(&answer, "half of it"));
    assert_int_equal(loopback_ask(&lb, c, LOCAL("/nothing", ""), &answer), 404);
    assert_int_equal(loopback_ask(&lb, loopback_connect(&lb), GET("/echo", ""), &answer),
                     421); /* rebinding */
    assert_int_equal(
        loopback_ask(&lb, c, "PUT /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
                     &answer),
        405);
    assert_int_equal(
        loopback_ask(&lb, c, "HEAD /echo HTTP/1.1\r\nHost: localhost\r\n\r\n", &answer), 200);
    assert_int_equal(answer.body.len, 0);
    loopback_assert_idle(&lb);
}

static void test_respond_sends_a_large_answer_of_a_handler(void **state)
{
    (void)state;
    open_admin();
    struct peer *c = loopback_connect_from(&lb, "10.0.0.1:1000");
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(loopback_ask(&lb, c, LOCAL("/large", ""), &answer), 200);
        assert_int_equal(answer.body.len, 3000000);
    }
    loopback_assert_idle(&lb);
}

static void test_respond_collects_a_body_for_a_handler(void **state)
{
    (void)state;
    open_admin();
    struct peer *c = loopback_connect(&lb);
    peer_say(c, "POST /echo HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r\r\nContent-Length: "
                "10\r\n\r\nab");
    for (unsigned i = 0; i < 4; i++) {
        loopback_settle(&lb);
        peer_say(c, "cd");
    }
    peer_say(c, LOCAL("/echo", "X-Request-Id: s\r\n")); /* behind it */
    loopback_answer(&lb, c, &answer);
    assert_true(span_eq(buf_span(&answer.body), SPAN("/echo|abcdcdcdcd|none|r")));
    loopback_answer(&lb, c, &answer);
    assert_true(span_eq(buf_span(&answer.body), SPAN("/echo||none|s")));
    c->step_bytes = 1;
    peer_say(c, "POST /echo HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: t\r\nTransfer-Encoding: "
                "chunked\r\n"
                "\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n");
    loopback_answer(&lb, c, &answer);
    assert_true(span_eq(buf_span(&answer.body), SPAN("/echo|abcde|none|t")));
    loopback_assert_idle(&lb);
}

static void test_respond_asks_for_the_body_that_a_handler_wants(void **state)
{
    (void)state;
    open_admin();
    struct peer *c = loopback_connect(&lb);
    peer_say(c, "POST /echo HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r\r\nContent-Length: 2\r\n"
                "Expect: 100-continue\r\n\r\n");
    LOOPBACK_UNTIL(&lb, peer_has(c, "HTTP/1.1 100 Continue\r\n\r\n"));
    buf_reset(&c->in);
    peer_say(c, "ab");
    loopback_answer(&lb, c, &answer);
    assert_true(span_eq(buf_span(&answer.body), SPAN("/echo|ab|none|r")));
}

static void test_respond_refuses_a_body_that_is_too_large_for_a_handler(void **state)
{
    (void)state;
    open_admin();
    struct peer *c = loopback_connect(&lb);
    assert_int_equal(
        loopback_ask(&lb, c,
                     "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2049\r\n\r\n",
                     &answer),
        413);
    c = loopback_connect(&lb);
    peer_say(
        c, "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n");
    loopback_settle(&lb);
    peer_fill(c, 'x', 65535);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 413);
    loopback_settle(&lb);
    assert_int_equal(lb.home->exchange_count, 0);
}

static void test_respond_gives_up_a_body_that_does_not_come(void **state)
{
    (void)state;
    open_admin();
    struct peer *c = loopback_connect(&lb);
    peer_say(c, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab");
    loopback_settle(&lb);
    loopback_advance(&lb, 5001);
    assert_int_equal(lb.home->exchange_count, 0);
    LOOPBACK_UNTIL(&lb, peer_is_over(c));
    c = loopback_connect(&lb);
    peer_say(c, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab");
    loopback_settle(&lb);
    peer_close(c);
    LOOPBACK_UNTIL(&lb, lb.home->exchange_count == 0);
    loopback_assert_idle(&lb);
}

static void test_respond_serves_privileged_routes_on_the_control_socket_only(void **state)
{
    (void)state;
    open_admin();
    static const char asked[] = "POST /private HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r\r\n"
                                "Content-Length: 2\r\n\r\nab";
    assert_int_equal(loopback_ask(&lb, loopback_connect_to(&lb, 0), asked, &answer), 403);
    assert_int_equal(loopback_ask(&lb, loopback_connect_to(&lb, 1), asked, &answer), 200);
    assert_true(span_eq(buf_span(&answer.body), SPAN("/private|ab|none|r")));
}

#define RULE(name)       cmocka_unit_test_teardown(name, done)
#define ADMIN_RULE(name) cmocka_unit_test_teardown(name, done_admin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_respond_redirects_with_parts_of_the_request),
        RULE(test_respond_survives_a_location_that_does_not_fit),
        RULE(test_respond_answers_with_a_fixed_text),
        RULE(test_respond_streams_a_large_text_to_a_slow_client),
        RULE(test_respond_writes_errors_for_programs_and_for_people),
        ADMIN_RULE(test_respond_calls_handlers),
        ADMIN_RULE(test_respond_sends_a_large_answer_of_a_handler),
        ADMIN_RULE(test_respond_collects_a_body_for_a_handler),
        ADMIN_RULE(test_respond_asks_for_the_body_that_a_handler_wants),
        ADMIN_RULE(test_respond_refuses_a_body_that_is_too_large_for_a_handler),
        ADMIN_RULE(test_respond_gives_up_a_body_that_does_not_come),
        ADMIN_RULE(test_respond_serves_privileged_routes_on_the_control_socket_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
