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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
