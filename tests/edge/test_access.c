/* test_access.c: what is written down of each request: the record, read as JSON, and the metrics.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/access.h"

#include <jansson.h>

#include "loopback_case.h"
#include "scratch.h"

#define SERVER "http_server_request_duration_seconds"
#define CLIENT "http_client_request_duration_seconds"

static struct scratch folder;
static struct buf text;

static void open_logged(const char *yaml)
{
    scratch_make(&folder);
    buf_init(&text, 1 << 22);
    assert_true(err_ok(log_start(&(struct log_options){.directory = folder.path}, NULL)));
    loopback_open(&lb, yaml);
    lb.upstreams[0].answer = OK_ANSWER;
}

static int done_logged(void **state)
{
    (void)done(state);
    log_stop();
    scratch_remove(&folder);
    buf_done(&text);
    return 0;
}

/* The only file whose name begins with `access`. */
static const char *records(void)
{
    char name[300] = "";
    DIR *dir = opendir(folder.path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (strncmp(entry->d_name, "access", 6) == 0)
            (void)snprintf(name, sizeof name, "%s", entry->d_name);
    assert_int_equal(closedir(dir), 0);
    return scratch_read(&folder, name, &text);
}

/* The last record; the caller frees it. */
static json_t *last_record(void)
{
    json_error_t where;
    loopback_advance(&lb, 250); /* a batch waits no longer than this */
    log_sync();
    struct span rest = span_from(records());
    struct span line = {NULL, 0};
    while (rest.at != NULL && rest.len > 0)
        line = span_cut(&rest, '\n');
    json_t *record = json_loadb(line.at, line.len, JSON_REJECT_DUPLICATES, &where);
    if (record == NULL)
        fail_msg("%s in %.*s", where.text, SPAN_ARGS(line));
    return record;
}

static void text_is(const json_t *record, const char *key, const char *wanted)
{
    const char *found = json_string_value(json_object_get(record, key));
    if (found == NULL || strcmp(found, wanted) != 0)
        fail_msg("%s is %s, not %s", key, found == NULL ? "absent" : found, wanted);
}

static void number_is(const json_t *record, const char *key, double wanted)
{
    const json_t *found = json_object_get(record, key);
    if (!json_is_number(found) || json_number_value(found) < wanted - 0.0001 ||
        json_number_value(found) > wanted + 0.0001)
        fail_msg("%s is %f, not %f", key, json_number_value(found), wanted);
}

static void is_absent(const json_t *record, const char *key)
{
    if (json_object_get(record, key) != NULL)
        fail_msg("there is a %s", key);
}

static void test_access_record_tells_of_a_proxied_request(void **state)
{
    (void)state;
    open_logged(APP);
    lb.upstreams[0].answer = NULL;
    struct peer *c = loopback_connect(&lb);
    peer_say(c, "POST /a/../b%20c?q=\"1\" HTTP/1.1\r\nHost: a.example:81\r\nX-Request-Id: r-1\r\n");
    loopback_advance(&lb, 40);
    peer_say(c, "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
                "User-Agent: \"curl\"/\xc3\xa9\r\nContent-Length: 5\r\n\r\nhello");
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    loopback_advance(&lb, 120);
    peer_say(up, OK_ANSWER);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 200);
    json_t *r = last_record();
    text_is(r, "request_id", "r-1");
    text_is(r, "trace_id", "0af7651916cd43dd8448eb211c80319c");
    assert_int_equal(json_string_length(json_object_get(r, "span_id")), 16);
    text_is(r, "method", "POST");
    text_is(r, "host", "a.example");
    text_is(r, "path", "/b%20c");
    text_is(r, "query", "q=\"1\"");
    number_is(r, "status", 200);
    text_is(r, "client", "127.0.0.1");
    text_is(r, "scheme", "http");
    text_is(r, "route", "/");
    text_is(r, "user_agent", "\"curl\"/\xc3\xa9");
    text_is(r, "upstream", "app");
    text_is(r, "target", lb.upstreams[0].server.text);
    number_is(r, "tries", 1);
    text_is(r, "breaker", "closed");
    number_is(r, "receive_ms", 40);
    number_is(r, "wait_ms", 120);
    number_is(r, "duration_ms", 160);
    number_is(r, "bytes_in", 5);
    number_is(r, "bytes_out", 2);
    is_absent(r, "error");
    is_absent(r, "retry");
    is_absent(r, "limited_by");
    assert_int_equal(json_string_length(json_object_get(r, "time")), CLOCK_RFC3339_BYTES - 1);
    json_decref(r);
}

static void test_access_record_tells_of_a_refused_head(void **state)
{
    (void)state;
    open_logged(APP);
    struct peer *c = loopback_connect(&lb);
    assert_int_equal(loopback_ask(&lb, c, "GET /x\x01\xff HTTP/1.1\r\nHost: a\r\n\r\n", &answer),
                     400);
    json_t *r = last_record();
    number_is(r, "status", 400);
    text_is(r, "error", "BAD_REQUEST");
    text_is(r, "route", "none");
    is_absent(r, "upstream");
    assert_true(json_string_length(json_object_get(r, "detail")) > 0);
    json_decref(r);
}

static void test_access_record_tells_of_retries_limits_and_errors(void **state)
{
    (void)state;
    open_logged("upstreams: {app: {targets: [$dead], retry: {tries: 2}, breaker_on: false}}\n" ROUTE
                "limits: [{per: ip, rate: 1/min, name: mine}]\n");
    struct peer *c = loopback_connect(&lb);
    peer_say(c, GET("/"));
    for (unsigned i = 0; i < 2000 && c->in.len == 0; i++)
        loopback_advance(&lb, 1);
    loopback_answer(&lb, c, &answer);
    json_t *r = last_record();
    number_is(r, "status", 502);
    number_is(r, "tries", 2);
    text_is(r, "retry", "tries");
    text_is(r, "error", "UPSTREAM_CONNECT");
    is_absent(r, "breaker");
    json_decref(r);
    assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 429);
    r = last_record();
    number_is(r, "status", 429);
    text_is(r, "limited_by", "mine");
    text_is(r, "error", "RATE_LIMITED");
    is_absent(r, "upstream");
    json_decref(r);
}

static void test_access_record_tells_of_what_shadow_would_have_refused(void **state)
{
    (void)state;
    open_logged(APP "limits: [{per: ip, rate: 1/min, shadow: true}]\n");
    struct peer *c = loopback_connect(&lb);
    (void)loopback_ask(&lb, c, GET("/"), &answer);
    (void)loopback_ask(&lb, c, GET("/"), &answer);
    json_t *r = last_record();
    number_is(r, "status", 200);
    assert_true(json_is_true(json_object_get(r, "limit_shadow")));
    json_decref(r);
}

static void test_access_record_tells_of_clients_that_left(void **state)
{
    (void)state;
    open_logged(APP);
    lb.upstreams[0].answer = NULL;
    struct peer *c = loopback_connect(&lb);
    peer_say(c, GET("/slow"));
    (void)loopback_request(&lb, 0, 0, &request);
    peer_close(c);
    LOOPBACK_UNTIL(&lb, lb.home->conn_count == 0);
    json_t *r = last_record();
    number_is(r, "status", 499);
    text_is(r, "path", "/slow");
    number_is(r, "bytes_out", 0);
    json_decref(r);
}

static void test_access_record_tells_of_answers_that_broke_off(void **state)
{
    (void)state;
    open_logged(APP);
    lb.upstreams[0].answer = NULL;
    struct peer *c = loopback_connect(&lb);
    peer_say(c, GET("/"));
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    peer_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    loopback_settle(&lb);
    peer_close(up);
    LOOPBACK_UNTIL(&lb, lb.home->conn_count == 0);
    json_t *r = last_record();
    number_is(r, "status", 200);
    number_is(r, "bytes_out", 3);
    text_is(r, "error", "UPSTREAM_CLOSED");
    json_decref(r);
}

static void test_access_record_is_whole_json_whatever_a_client_sends(void **state)
{
    (void)state;
    open_logged(APP "http: {head: 64kb, target: 60kb}\n");
    struct peer *c = loopback_connect(&lb);
    peer_say(c, "GET /");
    peer_fill(c, 'p', 20000);
    peer_say(c, "?");
    peer_fill(c, '"', 20000);
    peer_say(c, " HTTP/1.1\r\nHost: a\r\nUser-Agent: ");
    peer_fill(c, '\\', 20000);
    peer_say(c, "\r\n\r\n");
    loopback_answer(&lb, c, &answer);
    json_t *r = last_record(); /* long values are cut, the record is not */
    number_is(r, "status", answer.response.status);
    assert_non_null(json_object_get(r, "duration_ms"));
    json_decref(r);
    assert_int_equal(loopback_ask(&lb, loopback_connect(&lb), "GET / HTTP/1.0\r\n\r\n", &answer),
                     200);
    r = last_record(); /* no host, no agent */
    assert_true(json_is_null(json_object_get(r, "host")));
    json_decref(r);
}

static void test_access_writes_no_record_when_told_so(void **state)
{
    (void)state;
    open_logged(APP "access_log: false\n");
    struct peer *c = loopback_connect(&lb);
    (void)loopback_ask(&lb, c, GET("/"), &answer);
    loopback_advance(&lb, 250);
    log_sync();
    assert_int_equal(strlen(records()), 0);
    assert_int_equal(loopback_metric(&lb, SERVER, NULL), 1);
}

/* ---- metrics ---- */

static void test_access_counts_by_route_method_and_status(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$0], retry: {tries: 1}}}\n"
                       "routes: [{name: shop, match: {path: /}, to: app},\n"
                       "  {name: fixed, match: {path: /f}, respond: {status: 204}}]\n");
    struct peer *c = loopback_connect(&lb);
    lb.upstreams[0].answer = OK_ANSWER;
    for (unsigned i = 0; i < 3; i++)
        (void)loopback_ask(&lb, c, GET("/"), &answer);
    lb.upstreams[0].answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    (void)loopback_ask(&lb, c, GET("/"), &answer);
    (void)loopback_ask(&lb, c, "HEAD /f HTTP/1.1\r\nHost: a\r\n\r\n", &answer);
    (void)loopback_ask(&lb, c, "BREW /f HTTP/1.1\r\nHost: a\r\n\r\n", &answer);
    loopback_settle(&lb);
    assert_int_equal(loopback_metric(&lb, SERVER, "shop"), 4);
    assert_int_equal(loopback_metric(&lb, SERVER, "fixed"), 2);
    assert_int_equal(loopback_metric(&lb, SERVER, "200"), 3);
    assert_int_equal(loopback_metric(&lb, SERVER, "503"), 1);
    assert_int_equal(loopback_metric(&lb, SERVER, "HEAD"), 1);
    assert_int_equal(loopback_metric(&lb, SERVER, "_OTHER"), 1); /* no label of a client's making */
    assert_int_equal(loopback_metric(&lb, CLIENT, "app"), 4);
    assert_int_equal(loopback_metric(&lb, CLIENT, "503"), 1);
    assert_int_equal(loopback_metric(&lb, CLIENT, lb.upstreams[0].server.text), 4);
    assert_int_equal(loopback_metric(&lb, "http_server_active_requests", NULL), 0);
    assert_int_equal(loopback_metric(&lb, "plimsoll_upstream_connections_opened_total", NULL), 1);
    assert_int_equal(loopback_metric(&lb, "plimsoll_upstream_connections_reused_total", NULL), 3);
}

/* More combinations than the cache of cells has places. */
static void test_access_counts_right_when_cells_take_turns(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct peer *c = loopback_connect(&lb);
    char answers[40][80];
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < COUNT_OF(answers); i++) {
            (void)snprintf(answers[i], sizeof answers[i],
                           "HTTP/1.1 %u X\r\nContent-Length: 0\r\n\r\n", 400 + i);
            lb.upstreams[0].answer = answers[i];
            (void)loopback_ask(&lb, c, i % 2 == 0 ? GET("/") : POST("Content-Length: 0\r\n"),
                               &answer);
            assert_int_equal(answer.response.status, 400 + i);
        }
    char status[8];
    for (unsigned i = 0; i < COUNT_OF(answers); i++) {
        (void)snprintf(status, sizeof status, "%u", 400 + i);
        assert_int_equal(loopback_metric(&lb, SERVER, status), 3);
        assert_int_equal(loopback_metric(&lb, CLIENT, status), 3);
    }
}

static void test_access_counts_bytes_of_bodies(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    lb.upstreams[0].answer = OK_ANSWER;
    struct peer *c = loopback_connect(&lb);
    (void)loopback_ask(&lb, c, POST("Content-Length: 5\r\n") "hello", &answer);
    (void)loopback_ask(&lb, c, POST("Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n0\r\n\r\n",
                       &answer);
    loopback_settle(&lb);
    assert_int_equal(loopback_metric(&lb, "plimsoll_body_bytes_total", "received"), 8);
    assert_int_equal(loopback_metric(&lb, "plimsoll_body_bytes_total", "sent"), 4);
}

static void test_access_date_changes_with_the_second(void **state)
{
    (void)state;
    char first[CLOCK_HTTP_BYTES];
    loopback_open(&lb, APP);
    lb.clock.wall_now_ns = 1795255200999 * (uint64_t)1000000;
    loopback_settle(&lb);
    struct span date = access_date(lb.home);
    assert_int_equal(date.len, sizeof first - 1);
    memcpy(first, date.at, date.len);
    loopback_advance(&lb, 1);
    assert_memory_not_equal(access_date(lb.home).at, first, sizeof first - 1);
}

#define RULE(name)        cmocka_unit_test_teardown(name, done)
#define LOGGED_RULE(name) cmocka_unit_test_teardown(name, done_logged)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOGGED_RULE(test_access_record_tells_of_a_proxied_request),
        LOGGED_RULE(test_access_record_tells_of_a_refused_head),
        LOGGED_RULE(test_access_record_tells_of_retries_limits_and_errors),
        LOGGED_RULE(test_access_record_tells_of_what_shadow_would_have_refused),
        LOGGED_RULE(test_access_record_tells_of_clients_that_left),
        LOGGED_RULE(test_access_record_tells_of_answers_that_broke_off),
        LOGGED_RULE(test_access_record_is_whole_json_whatever_a_client_sends),
        LOGGED_RULE(test_access_writes_no_record_when_told_so),
        RULE(test_access_counts_by_route_method_and_status),
        RULE(test_access_counts_right_when_cells_take_turns),
        RULE(test_access_counts_bytes_of_bodies),
        RULE(test_access_date_changes_with_the_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
