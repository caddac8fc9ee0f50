/* test_http1_framing.c: Connection and the end of a body.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1_heads.h"

struct keep_alive_row {
    const char *text;
    bool is_keep_alive;
};

static void test_keep_alive_follows_version_and_connection(void **state)
{
    (void)state;
    static const struct keep_alive_row rows[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: CLOSE\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: te, close\r\nTE: trailers\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: x\r\nConnection:\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: x-y, keep-alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (heads_request(rows[i].text).head.is_keep_alive != rows[i].is_keep_alive)
            fail_msg("%s", rows[i].text);
}

static void test_request_body_needs_a_field(void **state)
{
    (void)state;
    struct http_request r = heads_request("POST / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(r.head.body, HTTP_BODY_NONE);
    r = heads_request("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(r.head.body, HTTP_BODY_LENGTH);
    assert_int_equal(r.head.content_length, 0);
    r = heads_request("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n");
    assert_int_equal(r.head.body, HTTP_BODY_CHUNKED);
    assert_true(http_head_find(&r.head, HTTP_FIELD_TRANSFER_ENCODING)->is_dropped);
}

static void test_length_may_be_the_largest_signed_number(void **state)
{
    (void)state;
    struct http_request r =
        heads_request("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775807\r\n\r\n");
    assert_true(r.head.content_length == INT64_MAX);
}

static void test_trailers_are_welcome_when_te_says_so(void **state)
{
    (void)state;
    assert_true(heads_request("GET / HTTP/1.1\r\nHost: x\r\nTE: gzip, Trailers\r\n\r\n")
                    .head.has_trailer_te);
    assert_false(
        heads_request("GET / HTTP/1.1\r\nHost: x\r\nTE: gzip\r\n\r\n").head.has_trailer_te);
}

static void test_connection_may_have_16_options_and_not_17(void **state)
{
    (void)state;
    struct http_request r;
    const char *sixteen = "GET / HTTP/1.1\r\nHost: x\r\nConnection: a,b,c,d,e,f,g,h\r\n"
                          "Connection: a,b,c,d,e,f,g,h\r\n\r\n";
    const char *seventeen = "GET / HTTP/1.1\r\nHost: x\r\nConnection: a,b,c,d,e,f,g,h\r\n"
                            "Connection: a,b,c,d,e,f,g,h,i\r\n\r\n";
    assert_int_equal(heads_try_request(sixteen, &r, NULL).code, ERR_NONE);
    assert_int_equal(heads_try_request(seventeen, &r, NULL).code, ERR_BAD_REQUEST);
}

static void test_connection_drops_only_what_it_names(void **state)
{
    (void)state;
    struct http_request r = heads_request(
        "GET / HTTP/1.1\r\nX-A: 1\r\nX-AB: 2\r\nHost: x\r\nConnection: x-a\r\nX-a: 3\r\n\r\n");
    assert_true(r.head.fields[0].is_dropped);
    assert_false(r.head.fields[1].is_dropped);
    assert_false(r.head.fields[2].is_dropped);
    assert_true(r.head.fields[4].is_dropped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive_follows_version_and_connection),
        cmocka_unit_test(test_request_body_needs_a_field),
        cmocka_unit_test(test_length_may_be_the_largest_signed_number),
        cmocka_unit_test(test_trailers_are_welcome_when_te_says_so),
        cmocka_unit_test(test_connection_may_have_16_options_and_not_17),
        cmocka_unit_test(test_connection_drops_only_what_it_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
