/* test_settings_routes.c: routes as they are written: actions, header lines, protections, names.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "settings_case.h"

static void test_settings_routes_name_what_is_wrong_and_where(void **state)
{
    (void)state;
    static const struct settings_case cases[] = {
        {"routes: [{match: {path: /}, to: nobody}]\n",
         "test.yaml:4:33: routes[0].to: there is no upstream \"nobody\""},
        {"routes: [{match: {path: /}}]\n",
         "test.yaml:4:10: routes[0]: exactly one of to, redirect and respond is needed"},
        {"routes: [{match: {path: /}, redirect: {to: /a}, respond: {}}]\n",
         "routes[0]: exactly one of to, redirect and respond is needed"},
        {"routes: [{match: {path: /}, respond: {}, request_headers: {\"a b\": c}}]\n",
         "routes[0].request_headers.\"a b\": not a name"},
        {"routes: [{match: {path: /}, respond: {}, request_headers: {connection: c}}]\n",
         "not a header that can be set here"},
        {"routes: [{match: {path: /}, respond: {}, request_headers: {content-length: 1}}]\n",
         "not a header that can be set here"},
        {"routes: [{match: {path: /}, respond: {}, response_headers: {a: \"b\\r\\nc: d\"}}]\n",
         "routes[0].response_headers.a: found "},
        {"routes: [{match: {path: /}, redirect: {to: \"/a\\nb\"}}]\n", "control characters"},
        {"routes: [{match: {path: /}, respond: {content_type: \"a\\nb\"}}]\n",
         "control characters"},
        {"routes: [{match: {path: no-slash}, respond: {}}]\n", "test.yaml:4:"},
        {"routes: [{match: {path: /a}, respond: {}}, {match: {path: /a}, respond: {}}]\n",
         "test.yaml:4:"},
        {"routes: [{match: {host: \"a b\"}, respond: {}}]\n", "test.yaml:4:"},
        {"routes: [{match: {path: /}, respond: {}, protections: {x_frame_options: "
         "\"\xc3\xa9\"}}]\n",
         "routes[0].protections"},
        {"routes: [{match: {path: /}, respond: {}, limits: [{per: ip}]}]\n",
         "routes[0].limits[0]: "},
        /* Plimsoll writes these itself: two of them would go out */
        {"routes: [{match: {path: /}, respond: {}, request_headers: {x-forwarded-for: a}}]\n",
         "x-forwarded-for: "},
        {"routes: [{match: {path: /}, respond: {}, request_headers: {traceparent: a}}]\n",
         "traceparent: "},
        {"routes: [{match: {path: /}, respond: {}, request_headers: {x-request-id: a}}]\n",
         "x-request-id: "},
        {"routes: [{match: {path: /}, respond: {}, response_headers: {x-request-id: null}}]\n",
         "x-request-id: Plimsoll writes"},
        {"routes: [{match: {path: /}, respond: {}, response_headers: {x-frame-options: DENY}}]\n",
         "protections"},
        {"routes: [{match: {path: /}, respond: {}, response_headers: "
         "{Strict-Transport-Security: a}}]\n",
         "protections"},
        {"routes: [{match: {path: /}, respond: {}, response_headers: {ratelimit: a}}]\n",
         "ratelimit: "},
    };
    loopback_open(&lb, "routes: []\n");
    settings_case_check_all(cases, COUNT_OF(cases));
}

static void test_settings_routes_leave_room_for_what_they_add(void **state)
{
    (void)state;
    static const char *const too_long[] = {
        "routes: [{match: {path: /}, respond: {}, request_headers: {a: \"@\"}}]\n",
        "routes: [{match: {path: /}, respond: {}, response_headers: {a: \"@\"}}]\n"};
    loopback_open(&lb, "routes: []\n");
    for (size_t i = 0; i < COUNT_OF(too_long); i++) {
        settings_case_check(
            &(struct settings_case){settings_case_long(too_long[i], 2044), "longer than 2048"});
        settings_unref(
            loopback_settings(&lb, settings_case_long(too_long[i], 2043), NULL)); /* "a: \r\n" */
    }
}

/* Also those that no route answers carry them. */
static void test_settings_routes_refuse_protections_that_do_not_fit(void **state)
{
    (void)state;
    static char csp[4100], yaml[12000];
    memset(csp, 'x', 4096);
    loopback_open(&lb, "routes: []\n");
    static const char *const routes[] = {"routes: []\n",
                                         "routes: [{match: {path: /}, respond: {}}]\n"};
    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        (void)snprintf(yaml, sizeof yaml,
                       "%sprotections: {content_security_policy: \"default-src %.*s\", "
                       "permissions_policy: \"camera=(), %.*s\"}\n",
                       routes[i], 4000, csp, 4000, csp);
        settings_case_check(&(struct settings_case){yaml, "bytes together"});
    }
}

static void test_settings_routes_are_named_by_their_match(void **state)
{
    (void)state;
    loopback_open(&lb, "routes:\n"
                       "  - {match: {path: /a/}, respond: {}}\n"
                       "  - {match: {host: b.example}, respond: {}}\n"
                       "  - {match: {host: b.example, path: /c}, respond: {}}\n"
                       "  - {name: mine, match: {path: /d}, respond: {}}\n");
    static const char *const names[] = {"/a/", "b.example/*", "b.example/c", "mine"};
    assert_int_equal(lb.settings->route_count, COUNT_OF(names));
    for (unsigned i = 0; i < COUNT_OF(names); i++)
        assert_true(span_eq(lb.settings->routes[i].name, span_from(names[i])));
    assert_true(span_eq(lb.settings->no_route.name, SPAN("none")));
}

static void test_settings_routes_take_what_is_written(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {app: {targets: [$0]}}\nhttp: {body_max: 1kb}\n"
                       "routes:\n"
                       "  - {match: {path: /up}, to: app, body_max: 2kb, deadline: 5s, host: h}\n"
                       "  - {match: {path: /re}, redirect: {to: /x}}\n"
                       "  - {match: {path: /fix}, respond: {status: 503, body: b}}\n");
    const struct settings_route *r = lb.settings->routes;
    assert_int_equal(r[0].action, SETTINGS_UPSTREAM);
    assert_ptr_equal(r[0].upstream, &lb.settings->upstreams[0]);
    assert_int_equal(r[0].body_max_bytes, 2048);
    assert_int_equal(r[0].deadline_ms, 5000);
    assert_false(r[0].keeps_host);
    assert_int_equal(r[1].action, SETTINGS_REDIRECT);
    assert_int_equal(r[1].status, 308);
    assert_int_equal(r[1].body_max_bytes, 1024);
    assert_true(r[1].keeps_host);
    assert_int_equal(r[2].action, SETTINGS_RESPOND);
    assert_int_equal(r[2].status, 503);
    assert_true(span_eq(r[2].body, SPAN("b")));
}

static void test_settings_routes_share_protections_unless_changed(void **state)
{
    (void)state;
    loopback_open(&lb,
                  "routes:\n"
                  "  - {match: {path: /a}, respond: {}}\n"
                  "  - {match: {path: /b}, respond: {}, protections: {referrer_policy: off}}\n");
    assert_ptr_equal(lb.settings->routes[0].protections, lb.settings->protections);
    assert_ptr_not_equal(lb.settings->routes[1].protections, lb.settings->protections);
}

static void test_settings_routes_match_headers_and_methods(void **state)
{
    (void)state;
    loopback_open(&lb, "routes:\n"
                       "  - {match: {path: /}, respond: {body: plain}}\n"
                       "  - {match: {path: /, headers: {x-beta: \"1\"}}, respond: {body: beta}}\n"
                       "  - {match: {path: /, methods: [POST]}, respond: {body: post}}\n"
                       "  - {match: {host: \"*.sub.example\"}, respond: {body: wild}}\n");
    static const struct {
        const char *request, *body;
    } cases[] = {
        {GET("/"), "plain"},
        {"GET / HTTP/1.1\r\nHost: a\r\nX-Beta: 1\r\n\r\n", "beta"},
        {"GET / HTTP/1.1\r\nHost: a\r\nX-Beta: 2\r\n\r\n", "plain"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "post"},
        {"GET / HTTP/1.1\r\nHost: x.sub.example\r\n\r\n", "wild"},
    };
    struct peer *c = loopback_connect(&lb);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        (void)loopback_ask(&lb, c, cases[i].request, &answer);
        assert_true(span_eq(buf_span(&answer.body), span_from(cases[i].body)));
    }
}

/* ---- headers ---- */

static void test_settings_routes_render_their_headers_once(void **state)
{
    (void)state;
    loopback_open(&lb, "routes:\n"
                       "  - match: {path: /}\n"
                       "    respond: {}\n"
                       "    request_headers: {X-Team: blue, cookie: null, x-empty: ''}\n"
                       "    response_headers: {Cache-Control: 'no-store, max-age=0', etag: null}\n"
                       "  - {match: {path: /none}, respond: {}}\n");
    const struct settings_route *r = lb.settings->routes;
    assert_true(span_eq(r[0].request_lines, SPAN("X-Team: blue\r\nx-empty: \r\n")));
    assert_int_equal(r[0].request_drop_count, 3);
    assert_true(span_eq(r[0].request_drops[0], SPAN("X-Team")));
    assert_true(span_eq(r[0].request_drops[1], SPAN("cookie")));
    assert_true(span_eq(r[0].response_lines, SPAN("Cache-Control: no-store, max-age=0\r\n")));
    assert_int_equal(r[0].response_drop_count, 2);
    assert_true(span_eq(r[0].response_drops[1], SPAN("etag")));
    assert_int_equal(r[1].request_lines.len + r[1].response_lines.len, 0);
    assert_int_equal(r[1].request_drop_count + r[1].response_drop_count, 0);
}

static void test_settings_routes_drop_what_is_rebuilt(void **state)
{
    (void)state;
    static const enum http_field_id request_ids[] = {
        HTTP_FIELD_HOST,        HTTP_FIELD_X_FORWARDED_FOR, HTTP_FIELD_X_REAL_IP,
        HTTP_FIELD_TRACEPARENT, HTTP_FIELD_FORWARDED,       HTTP_FIELD_X_REQUEST_ID};
    static const enum http_field_id response_ids[] = {HTTP_FIELD_CONTENT_LENGTH,
                                                      HTTP_FIELD_X_REQUEST_ID, HTTP_FIELD_TRAILER,
                                                      HTTP_FIELD_SERVER, HTTP_FIELD_X_POWERED_BY};
    loopback_open(&lb, APP);
    const struct settings *s = lb.settings;
    const struct settings_route *const all[] = {&s->routes[0], &s->no_route, &s->server_route};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        for (size_t k = 0; k < COUNT_OF(request_ids); k++)
            assert_true(all[i]->request_id_drops[request_ids[k]]);
        for (size_t k = 0; k < COUNT_OF(response_ids); k++)
            assert_true(all[i]->response_id_drops[response_ids[k]]);
        assert_false(all[i]->request_id_drops[HTTP_FIELD_COOKIE]);
        assert_false(all[i]->request_id_drops[HTTP_FIELD_OTHER]);
        assert_false(all[i]->response_id_drops[HTTP_FIELD_DATE]);
        assert_false(all[i]->response_id_drops[HTTP_FIELD_OTHER]);
    }
}

/* Who is told no limits of ours may be told those of the application. */
static void test_settings_routes_drop_limit_headers_only_for_limits_of_their_own(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        bool are_dropped;
    } cases[] = {
        {"limits: [{rate: 1/s}]\nroutes: [{respond: {}}]\n", true},
        {"limits: off\nroutes: [{respond: {}}]\n", false},
        {"limits: [{rate: 1/s}]\nlimit_headers: false\nroutes: [{respond: {}}]\n", false},
        {"limits: off\nroutes: [{respond: {}, limits: [{rate: 1/s}]}]\n", true},
    };
    loopback_open(&lb, "routes: []\n");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct settings *s = loopback_settings(&lb, cases[i].yaml, NULL);
        const bool *drops = s->routes[0].response_id_drops;
        assert_int_equal(drops[HTTP_FIELD_RATELIMIT], cases[i].are_dropped);
        assert_int_equal(drops[HTTP_FIELD_X_RATELIMIT_REMAINING], cases[i].are_dropped);
        settings_unref(s);
    }
}

/* ---- protections ---- */

static bool sends(const struct protections *p, const char *line)
{
    char out[8192];
    assert_true(protections_bytes_max(p) <= sizeof out);
    size_t len = protections_write(p, /* is_tls= */ true, NULL, out, sizeof out);
    return memmem(out, len, line, strlen(line)) != NULL;
}

static void test_settings_routes_change_the_protections_of_all(void **state)
{
    (void)state;
    loopback_open(&lb, "protections: {x_frame_options: DENY, referrer_policy: off}\n"
                       "routes:\n"
                       "  - {match: {path: /a}, respond: {}}\n"
                       "  - {match: {path: /b}, respond: {}, protections: {x_frame_options: off}}\n"
                       "  - {match: {path: /c}, respond: {}, protections: {referrer_policy: "
                       "no-referrer}}\n"
                       "  - {match: {path: /d}, respond: {}, protections: {report_only: true}}\n");
    const struct settings_route *r = lb.settings->routes;
    assert_true(sends(r[0].protections, "x-frame-options: DENY\r\n"));
    assert_false(sends(r[0].protections, "referrer-policy"));
    assert_true(sends(r[0].protections, "strict-transport-security: max-age=31536000\r\n"));
    assert_false(sends(r[1].protections, "x-frame-options"));
    assert_false(sends(r[1].protections, "referrer-policy"));
    assert_true(sends(r[2].protections, "x-frame-options: DENY\r\n"));
    assert_true(sends(r[2].protections, "referrer-policy: no-referrer\r\n"));
    assert_true(sends(r[3].protections, "content-security-policy-report-only: "));
    assert_false(sends(r[3].protections, "content-security-policy: "));
}

/* A value that is written replaces the application's, unless application_wins names it. */
static void test_settings_routes_say_whose_header_wins(void **state)
{
    (void)state;
    static const struct {
        const char *protections;
        bool frame, csp, server, powered;
    } cases[] = {
        {"{}", false, false, true, true},
        {"{x_frame_options: DENY}", true, false, true, true},
        {"{x_frame_options: DENY, application_wins: [x_frame_options]}", false, true, true, true},
        {"{application_wins: []}", true, true, true, true},
        {"{remove_server: false, remove_powered_by: false}", false, false, false, false},
        {"{x_frame_options: off, content_security_policy: off}", false, false, true, true},
    };
    loopback_open(&lb, "routes: []\n");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char yaml[256];
        (void)snprintf(yaml, sizeof yaml, "routes: [{respond: {}, protections: %s}]\n",
                       cases[i].protections);
        struct settings *s = loopback_settings(&lb, yaml, NULL);
        const bool *drops = s->routes[0].response_id_drops;
        assert_int_equal(drops[HTTP_FIELD_X_FRAME_OPTIONS], cases[i].frame);
        assert_int_equal(drops[HTTP_FIELD_CONTENT_SECURITY_POLICY], cases[i].csp);
        assert_int_equal(drops[HTTP_FIELD_SERVER], cases[i].server);
        assert_int_equal(drops[HTTP_FIELD_X_POWERED_BY], cases[i].powered);
        settings_unref(s);
    }
}

/* ---- the parts' own routes ---- */

static err handle(struct call *c, struct fault *why)
{
    (void)c;
    (void)why;
    return OK;
}

static const struct route routes_one[] = {
    {HTTP_GET, 0, "/health/live", handle, "Live."},
    {HTTP_POST, ROUTE_PRIVILEGED, "/api/admin/reload", handle, "Reload."},
    {0}};
static const struct route routes_two[] = {
    {HTTP_GET, 0, "/api/admin/targets/{upstream}", handle, "Targets."}, {0}};
static const struct part part_one = {.name = "one", .routes = routes_one};
static const struct part part_none = {.name = "none"};
static const struct part part_two = {.name = "two", .routes = routes_two};

static void test_settings_routes_of_the_admin_side_come_from_the_parts(void **state)
{
    (void)state;
    static const struct part *const parts[] = {&part_one, &part_none, &part_two, NULL};
    const struct route *const handlers[] = {&routes_one[0], &routes_one[1], &routes_two[0]};
    loopback_open_with(&lb, &(struct loopback_options){
                                .yaml = "admin: {address: \"127.0.0.1:1\", socket: off}\n" APP,
                                .is_admin = true,
                                .parts = parts});
    const struct settings *s = lb.settings;
    assert_int_equal(s->route_count, COUNT_OF(handlers));
    for (unsigned i = 0; i < COUNT_OF(handlers); i++) {
        const struct settings_route *r = &s->routes[i];
        assert_int_equal(r->action, SETTINGS_HANDLER);
        assert_ptr_equal(r->handler, handlers[i]);
        assert_true(span_eq(r->name, span_from(handlers[i]->pattern)));
        assert_int_equal(r->body_max_bytes, s->http1.head_bytes);
        assert_ptr_equal(r->protections, s->protections);
        assert_true(r->response_id_drops[HTTP_FIELD_CONTENT_LENGTH]);
    }
}

static void test_settings_routes_of_two_parts_must_not_clash(void **state)
{
    (void)state;
    static const struct config_key *const tables[] = {settings_keys, NULL};
    static const struct part *const parts[] = {&part_one, &part_one, NULL};
    static struct config_report report;
    struct config *config = NULL;
    struct settings *s = NULL;
    report = (struct config_report){0};
    loopback_open(&lb, "routes: []\n");
    assert_true(err_ok(config_load_text(tables, SPAN("listen: [{address: \"127.0.0.1:1\"}]\n"),
                                        "test.yaml", &config, &report)));
    lb.node.parts = parts;
    struct settings_options options = {.node = &lb.node,
                                       .config = config,
                                       .tickets = lb.tickets,
                                       .upstreams = &lb.registry,
                                       .limit_table = lb.limit_table};
    assert_true(err_is(settings_new(&options, true, &s, &report), ERR_CONFIG));
    assert_null(s);
    assert_non_null(strstr(report.faults[0].text, "admin: "));
    config_unref(config);
}

#define RULE(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_settings_routes_name_what_is_wrong_and_where),
        RULE(test_settings_routes_leave_room_for_what_they_add),
        RULE(test_settings_routes_refuse_protections_that_do_not_fit),
        RULE(test_settings_routes_are_named_by_their_match),
        RULE(test_settings_routes_take_what_is_written),
        RULE(test_settings_routes_share_protections_unless_changed),
        RULE(test_settings_routes_match_headers_and_methods),
        RULE(test_settings_routes_render_their_headers_once),
        RULE(test_settings_routes_drop_what_is_rebuilt),
        RULE(test_settings_routes_drop_limit_headers_only_for_limits_of_their_own),
        RULE(test_settings_routes_change_the_protections_of_all),
        RULE(test_settings_routes_say_whose_header_wins),
        RULE(test_settings_routes_of_the_admin_side_come_from_the_parts),
        RULE(test_settings_routes_of_two_parts_must_not_clash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
