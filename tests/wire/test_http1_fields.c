/* test_http1_fields.c: field lines, their spans and marks.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "wire/http1_heads.h"

static void test_fields_keep_name_value_and_line(void **state)
{
    (void)state;
    const char *text =
        "GET / HTTP/1.1\r\nHost: x\r\nX-One:\t one two \t\r\nx-two:\r\nX-3: \r\n\r\n";
    struct http_request r = heads_request(text);
    assert_int_equal(r.head.field_count, 4);
    const struct http_field *f = r.head.fields;
    assert_span(f[0].name, "Host");
    assert_span(f[0].value, "x");
    assert_span(f[0].line, "Host: x\r\n");
    assert_int_equal(f[0].id, HTTP_FIELD_HOST);
    assert_span(f[1].name, "X-One");
    assert_span(f[1].value, "one two");
    assert_span(f[1].line, "X-One:\t one two \t\r\n");
    assert_int_equal(f[1].id, HTTP_FIELD_OTHER);
    assert_span(f[2].value, "");
    assert_span(f[3].value, "");
    assert_ptr_equal(f[0].line.at, text + strlen("GET / HTTP/1.1\r\n"));
}

static void test_plain_is_one_space_and_nothing_else(void **state)
{
    (void)state;
    struct http_request r =
        heads_request("GET / HTTP/1.1\r\nHost: x\r\nA:b\r\nB:  b\r\nC:\tb\r\nD: b \r\nE: b\t\r\n"
                      "F:\r\nG: \r\nH: b c\r\nI: \tb\r\nJ: \t\r\n\r\n");
    const bool plain[] = {true, false, false, false, false, false, false, true, true, false, false};
    assert_int_equal(r.head.field_count, COUNT_OF(plain));
    for (size_t i = 0; i < COUNT_OF(plain); i++)
        if (r.head.fields[i].is_plain != plain[i])
            fail_msg("field %zu", i);
}

static void test_first_points_to_the_first_of_each_known_field(void **state)
{
    (void)state;
    struct http_request r = heads_request(
        "GET / HTTP/1.1\r\nACCEPT: a\r\nhost: x\r\nX: y\r\naccept: b\r\nCookie: c=d\r\n\r\n");
    assert_span(http_head_find(&r.head, HTTP_FIELD_ACCEPT)->value, "a");
    assert_span(http_head_find(&r.head, HTTP_FIELD_HOST)->value, "x");
    assert_span(http_head_find(&r.head, HTTP_FIELD_COOKIE)->value, "c=d");
    assert_null(http_head_find(&r.head, HTTP_FIELD_AUTHORIZATION));
    assert_int_equal(r.head.fields[3].id, HTTP_FIELD_ACCEPT);
}

static void test_hop_by_hop_fields_are_marked(void **state)
{
    (void)state;
    struct http_request r =
        heads_request("GET / HTTP/1.1\r\nHost: x\r\nConnection: close, x-private\r\nKeep-Alive: "
                      "5\r\nTE: trailers\r\n"
                      "Trailer: X\r\nUpgrade: h2c\r\nProxy-Authorization: Basic "
                      "YQ==\r\nProxy-Connection: close\r\n"
                      "X-Private: 1\r\nX-Private: 2\r\nX-Public: 3\r\nVia: 1.1 y\r\n\r\n");
    const bool dropped[] = {false, true, true, true, true,  true,
                            true,  true, true, true, false, false};
    assert_int_equal(r.head.field_count, COUNT_OF(dropped));
    for (size_t i = 0; i < COUNT_OF(dropped); i++)
        if (r.head.fields[i].is_dropped != dropped[i])
            fail_msg("field %zu", i);
}

/* Values of every length up to three words, ended by CRLF, with one odd byte at every place. */
static void test_value_bytes_are_judged_at_every_place(void **state)
{
    (void)state;
    char text[128];
    struct http_request r;
    for (unsigned length = 1; length < 26; length++) {
        for (unsigned place = 0; place < length; place++) {
            for (unsigned byte = 1; byte < 256; byte++) {
                int size =
                    snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: x\r\nX: %.*s\r\n\r\n",
                             (int)length, "\xff\xff~aa\xff~bbbbbbbbbbbbbbbbbbbbbbb");
                char *value = text + size - 4 - length;
                value[place] = (char)byte;
                bool is_valid = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
                bool is_ok = err_ok(heads_try_request(text, &r, NULL));
                if (is_ok != is_valid)
                    fail_msg("byte %u at %u of %u", byte, place, length);
            }
        }
    }
}

static void test_name_bytes_are_judged_at_every_place(void **state)
{
    (void)state;
    char text[128];
    struct http_request r;
    for (unsigned place = 0; place < 20; place++) {
        for (unsigned byte = 1; byte < 256; byte++) {
            (void)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: x\r\n%s: v\r\n\r\n",
                           "Aaaaa-Bbbbbb-Cccccccc");
            text[strlen("GET / HTTP/1.1\r\nHost: x\r\n") + place] = (char)byte;
            const char *token = "!#$%&'*+-.^_`|~";
            bool is_alnum = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                            (byte >= 'a' && byte <= 'z');
            bool is_valid = is_alnum || strchr(token, (int)byte) != NULL ||
                            (byte == ':' && place > 0); /* then the rest is the value */
            if (err_ok(heads_try_request(text, &r, NULL)) != is_valid)
                fail_msg("byte %u at %u", byte, place);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_keep_name_value_and_line),
        cmocka_unit_test(test_plain_is_one_space_and_nothing_else),
        cmocka_unit_test(test_first_points_to_the_first_of_each_known_field),
        cmocka_unit_test(test_hop_by_hop_fields_are_marked),
        cmocka_unit_test(test_value_bytes_are_judged_at_every_place),
        cmocka_unit_test(test_name_bytes_are_judged_at_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
