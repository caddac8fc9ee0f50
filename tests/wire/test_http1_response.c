/* test_http1_response.c: the parts of a response head, and when there is a body.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1_heads.h"

struct body_row {
    enum http_method method;
    const char *text;
    enum http_body_kind body;
    uint64_t length;
    bool is_keep_alive;
};

static void test_body_follows_method_status_and_fields(void **state)
{
    (void)state;
    static const struct body_row rows[] = {
        {HTTP_GET, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", HTTP_BODY_LENGTH, 7, true},
        {HTTP_GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_BODY_CHUNKED, 0,
         true},
        {HTTP_GET, "HTTP/1.1 200 OK\r\n\r\n", HTTP_BODY_UNTIL_CLOSE, 0, false},
        {HTTP_GET, "HTTP/1.0 200 OK\r\n\r\n", HTTP_BODY_UNTIL_CLOSE, 0, false},
        {HTTP_GET, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", HTTP_BODY_UNTIL_CLOSE, 0,
         false},
        {HTTP_GET, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
         HTTP_BODY_LENGTH, 0, true},
        {HTTP_GET, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 7\r\n\r\n",
         HTTP_BODY_LENGTH, 7, false},
        {HTTP_GET, "HTTP/1.1 204 No Content\r\n\r\n", HTTP_BODY_NONE, 0, true},
        {HTTP_GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", HTTP_BODY_NONE, 7,
         true},
        {HTTP_GET, "HTTP/1.1 100 Continue\r\n\r\n", HTTP_BODY_NONE, 0, true},
        {HTTP_HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", HTTP_BODY_NONE, 7, true},
        {HTTP_HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_BODY_NONE, 0,
         true},
        {HTTP_CONNECT, "HTTP/1.1 200 OK\r\n\r\n", HTTP_BODY_NONE, 0, true},
        {HTTP_CONNECT, "HTTP/1.1 403 No\r\nContent-Length: 7\r\n\r\n", HTTP_BODY_LENGTH, 7, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_response r = heads_response(rows[i].method, rows[i].text);
        if (r.head.body != rows[i].body || r.head.content_length != rows[i].length ||
            r.head.is_keep_alive != rows[i].is_keep_alive)
            fail_msg("row %zu: %s", i, rows[i].text);
        assert_int_equal(r.head.head_bytes, strlen(rows[i].text));
    }
}

static void test_status_line_is_split(void **state)
{
    (void)state;
    struct http_response r = heads_response(HTTP_GET, "HTTP/1.1 404 Not Here At All\r\n\r\n");
    assert_int_equal(r.status, 404);
    assert_span(r.reason, "Not Here At All");
    assert_int_equal(r.head.version_minor, 1);
    r = heads_response(HTTP_GET, "HTTP/1.0 500 \r\n\r\n");
    assert_int_equal(r.status, 500);
    assert_int_equal(r.reason.len, 0);
    assert_int_equal(r.head.version_minor, 0);
}

static void test_length_zero_of_204_is_dropped(void **state)
{
    (void)state;
    struct http_response r =
        heads_response(HTTP_GET, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(r.head.body, HTTP_BODY_NONE);
    assert_true(http_head_find(&r.head, HTTP_FIELD_CONTENT_LENGTH)->is_dropped);
    r = heads_response(HTTP_GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n");
    assert_false(http_head_find(&r.head, HTTP_FIELD_CONTENT_LENGTH)->is_dropped);
}

static void test_only_101_is_an_upgrade(void **state)
{
    (void)state;
    struct http_response r =
        heads_response(HTTP_GET, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                                 "Upgrade: websocket\r\n\r\n");
    assert_true(r.head.is_upgrade);
    assert_span(r.head.upgrade, "websocket");
    assert_int_equal(r.head.body, HTTP_BODY_NONE);
    r = heads_response(HTTP_GET, "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\n"
                                 "Upgrade: websocket\r\nContent-Length: 0\r\n\r\n");
    assert_false(r.head.is_upgrade);
    r = heads_response(HTTP_GET, "HTTP/1.1 204 No Content\r\nConnection: Upgrade\r\n"
                                 "Upgrade: websocket\r\n\r\n");
    assert_false(r.head.is_upgrade);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_follows_method_status_and_fields),
        cmocka_unit_test(test_status_line_is_split),
        cmocka_unit_test(test_length_zero_of_204_is_dropped),
        cmocka_unit_test(test_only_101_is_an_upgrade),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
