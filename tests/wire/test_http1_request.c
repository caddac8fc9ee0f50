/* test_http1_request.c: the parts of a request head.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1_heads.h"

static void test_origin_form_is_split_at_the_first_question_mark(void **state)
{
    (void)state;
    struct http_request r = heads_request("GET /a/b?c?d HTTP/1.1\r\nHost: x.example:81\r\n\r\n");
    assert_int_equal(r.method, HTTP_GET);
    assert_span(r.method_text, "GET");
    assert_span(r.target, "/a/b?c?d");
    assert_int_equal(r.target_form, HTTP_TARGET_ORIGIN);
    assert_span(r.raw_path, "/a/b");
    assert_span(r.query, "c?d");
    assert_span(r.host, "x.example");
    assert_int_equal(r.port, 81);
    assert_int_equal(r.head.version_minor, 1);
}

static void test_absent_query_differs_from_empty_query(void **state)
{
    (void)state;
    assert_null(heads_request("GET / HTTP/1.1\r\nHost: x\r\n\r\n").query.at);
    struct http_request r = heads_request("GET /? HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_non_null(r.query.at);
    assert_int_equal(r.query.len, 0);
    assert_int_equal(r.port, 0);
}

static void test_absolute_form_names_host_and_path(void **state)
{
    (void)state;
    struct http_request r = heads_request("GET http://X:8080/p?q HTTP/1.1\r\nHost: x:8080\r\n\r\n");
    assert_int_equal(r.target_form, HTTP_TARGET_ABSOLUTE);
    assert_span(r.host, "X");
    assert_int_equal(r.port, 8080);
    assert_span(r.raw_path, "/p");
    assert_span(r.query, "q");
    r = heads_request("GET http://x?q HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_span(r.raw_path, "/");
    assert_span(r.query, "q");
    r = heads_request("GET http://x/?a=http://y/ HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_span(r.raw_path, "/");
    assert_span(r.query, "a=http://y/");
    r = heads_request("GET http://x HTTP/1.0\r\n\r\n");
    assert_span(r.raw_path, "/");
    assert_span(r.host, "x");
}

static void test_options_for_the_server_is_the_asterisk_form(void **state)
{
    (void)state;
    struct http_request r = heads_request("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(r.target_form, HTTP_TARGET_ASTERISK);
    assert_span(r.raw_path, "*");
    r = heads_request("OPTIONS http://x HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(r.target_form, HTTP_TARGET_ASTERISK);
    assert_span(r.raw_path, "*");
    r = heads_request("OPTIONS http://x/ HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(r.target_form, HTTP_TARGET_ABSOLUTE);
    assert_span(r.raw_path, "/");
}

static void test_connect_has_host_and_port_only(void **state)
{
    (void)state;
    struct http_request r = heads_request("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n");
    assert_int_equal(r.method, HTTP_CONNECT);
    assert_int_equal(r.target_form, HTTP_TARGET_AUTHORITY);
    assert_span(r.host, "[::1]");
    assert_int_equal(r.port, 443);
    assert_int_equal(r.raw_path.len, 0);
}

static void test_http10_may_leave_out_host(void **state)
{
    (void)state;
    struct http_request r = heads_request("GET / HTTP/1.0\r\n\r\n");
    assert_int_equal(r.head.version_minor, 0);
    assert_null(r.host.at);
    assert_false(r.head.is_keep_alive);
}

static void test_later_minor_versions_are_http11(void **state)
{
    (void)state;
    struct http_request r = heads_request("GET / HTTP/1.9\r\nHost: x\r\n\r\n");
    assert_int_equal(r.head.version_minor, 1);
}

static void test_method_names_are_case_sensitive(void **state)
{
    (void)state;
    assert_int_equal(heads_request("get / HTTP/1.1\r\nHost: x\r\n\r\n").method, HTTP_METHOD_OTHER);
    assert_int_equal(heads_request("PATCH / HTTP/1.1\r\nHost: x\r\n\r\n").method, HTTP_PATCH);
    struct http_request r = heads_request("MKCOL / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(r.method, HTTP_METHOD_OTHER);
    assert_span(r.method_text, "MKCOL");
}

static void test_method_may_have_32_bytes_and_not_33(void **state)
{
    (void)state;
    struct http_request r;
    struct fault why = {0};
    const char *text = "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(heads_try_request(text + 1, &r, &why).code, ERR_NONE);
    assert_int_equal(heads_try_request(text, &r, &why).code, ERR_NOT_IMPLEMENTED);
}

static void test_continue_is_expected_only_where_it_can_be_sent(void **state)
{
    (void)state;
    assert_true(heads_request("PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                              "Content-Length: 3\r\n\r\n")
                    .expects_continue);
    assert_true(heads_request("PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                              "Transfer-Encoding: chunked\r\n\r\n")
                    .expects_continue);
    assert_false(heads_request("PUT / HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\n"
                               "Content-Length: 3\r\n\r\n")
                     .expects_continue);
    assert_false(heads_request("GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n")
                     .expects_continue);
    assert_false(
        heads_request("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n").expects_continue);
}

static void test_only_get_websocket_with_its_option_upgrades(void **state)
{
    (void)state;
    struct http_request r = heads_request("GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, "
                                          "Upgrade\r\nUpgrade: WebSocket\r\n\r\n");
    assert_true(r.head.is_upgrade);
    assert_span(r.head.upgrade, "WebSocket");
    const char *const ignored[] = {
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(ignored); i++)
        assert_false(heads_request(ignored[i]).head.is_upgrade);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origin_form_is_split_at_the_first_question_mark),
        cmocka_unit_test(test_absent_query_differs_from_empty_query),
        cmocka_unit_test(test_absolute_form_names_host_and_path),
        cmocka_unit_test(test_options_for_the_server_is_the_asterisk_form),
        cmocka_unit_test(test_connect_has_host_and_port_only),
        cmocka_unit_test(test_http10_may_leave_out_host),
        cmocka_unit_test(test_later_minor_versions_are_http11),
        cmocka_unit_test(test_method_names_are_case_sensitive),
        cmocka_unit_test(test_method_may_have_32_bytes_and_not_33),
        cmocka_unit_test(test_continue_is_expected_only_where_it_can_be_sent),
        cmocka_unit_test(test_only_get_websocket_with_its_option_upgrades),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
