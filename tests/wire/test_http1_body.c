/* test_http1_body.c: bodies without their framing.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "wire/http1_heads.h"

struct decoded {
    err outcome;
    bool is_done;
    size_t consumed;
    char payload[256];
    size_t payload_len;
};

/* Feeds `step` bytes at a time. */
static struct decoded decode(enum http_body_kind kind, uint64_t length, struct span wire,
                             size_t step)
{
    struct decoded d = {.outcome = OK};
    struct http1_body body;
    http1_body_init(&body, kind, length);
    while (d.consumed < wire.len && err_ok(d.outcome) && !http1_body_is_done(&body)) {
        char piece[256];
        size_t len = wire.len - d.consumed < step ? wire.len - d.consumed : step;
        struct http1_decoded got;
        memcpy(piece, wire.at + d.consumed, len);
        d.outcome = http1_body_decode(&body, &heads_limits, piece, len, &got, NULL);
        if (!err_ok(d.outcome))
            break;
        assert_true(got.payload <= got.consumed && got.consumed <= len);
        memcpy(d.payload + d.payload_len, piece, got.payload);
        d.payload_len += got.payload;
        d.consumed += got.consumed;
    }
    d.is_done = http1_body_is_done(&body);
    assert_true(!err_ok(d.outcome) || body.received_bytes == d.payload_len);
    return d;
}

static void check(enum http_body_kind kind, uint64_t length, struct span wire, struct span payload,
                  size_t consumed)
{
    for (size_t step = 1; step <= wire.len + 1; step++) {
        struct decoded d = decode(kind, length, wire, step);
        assert_true(err_ok(d.outcome));
        assert_true(d.is_done);
        assert_int_equal(d.consumed, consumed);
        assert_true(span_eq(span_of(d.payload, d.payload_len), payload));
    }
}

static void test_length_stops_behind_the_body(void **state)
{
    (void)state;
    check(HTTP_BODY_LENGTH, 5, SPAN("helloGET /"), SPAN("hello"), 5);
    check(HTTP_BODY_LENGTH, 0, SPAN("GET /"), SPAN(""), 0);
    check(HTTP_BODY_NONE, 0, SPAN("GET /"), SPAN(""), 0);
}

static void test_chunks_are_joined(void **state)
{
    (void)state;
    check(HTTP_BODY_CHUNKED, 0, SPAN("3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\nGET /"),
          SPAN("abc0123456789"), 29);
    check(HTTP_BODY_CHUNKED, 0, SPAN("0\r\n\r\n"), SPAN(""), 5);
    check(HTTP_BODY_CHUNKED, 0, SPAN("1;a;b=c;d=\"\\\"\t;\xff\"\r\nx\r\n00\r\n\r\n"), SPAN("x"),
          28);
}

static void test_trailers_are_discarded(void **state)
{
    (void)state;
    check(HTTP_BODY_CHUNKED, 0, SPAN("1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\nGET /"), SPAN("x"), 21);
}

static void test_until_close_takes_all_and_never_ends(void **state)
{
    (void)state;
    struct decoded d = decode(HTTP_BODY_UNTIL_CLOSE, 0, SPAN("0\r\n\r\nabc"), 3);
    assert_true(err_ok(d.outcome));
    assert_false(d.is_done);
    assert_int_equal(d.payload_len, 8);
    assert_int_equal(d.consumed, 8);
}

static void test_chunk_line_limit_holds_to_the_byte(void **state)
{
    (void)state;
    /* With CRLF 32 bytes, then 33. */
    struct span exact = SPAN("1;aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n0\r\n\r\n");
    struct span more = SPAN("1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n0\r\n\r\n");
    for (size_t step = 1; step < 40; step++) {
        assert_true(err_ok(decode(HTTP_BODY_CHUNKED, 0, exact, step).outcome));
        assert_int_equal(decode(HTTP_BODY_CHUNKED, 0, more, step).outcome.code, ERR_BAD_REQUEST);
    }
}

static void test_trailer_limit_holds_to_the_byte(void **state)
{
    (void)state;
    char wire[128];
    for (int extra = 0; extra < 2; extra++) {
        /* "A: " + value + CRLF + CRLF = 64 bytes. */
        int len = snprintf(wire, sizeof wire, "0\r\nA: %0*d\r\n\r\n", 57 + extra, 0);
        struct span text = span_of(wire, (size_t)len);
        for (size_t step = 1; step < 70; step++)
            assert_int_equal(decode(HTTP_BODY_CHUNKED, 0, text, step).outcome.code,
                             extra == 0 ? ERR_NONE : ERR_HEADERS_TOO_LARGE);
    }
}

static void test_largest_chunk_size_is_accepted(void **state)
{
    (void)state;
    assert_true(err_ok(decode(HTTP_BODY_CHUNKED, 0, SPAN("7fffffffffffffff\r\nabc"), 100).outcome));
    assert_int_equal(
        decode(HTTP_BODY_CHUNKED, 0, SPAN("8000000000000000\r\nabc"), 100).outcome.code,
        ERR_BAD_REQUEST);
}

static void test_chunk_line_is_what_printf_would_write(void **state)
{
    (void)state;
    char out[HTTP1_CHUNK_LINE_MAX], expected[64];
    static const uint64_t sizes[] = {1,   9,     15,    16,       17,        255,
                                     256, 65535, 65536, 1u << 31, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        int len = snprintf(expected, sizeof expected, "%llx\r\n", (unsigned long long)sizes[i]);
        assert_int_equal(http1_chunk_line(out, sizes[i]), len);
        assert_memory_equal(out, expected, (size_t)len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length_stops_behind_the_body),
        cmocka_unit_test(test_chunks_are_joined),
        cmocka_unit_test(test_trailers_are_discarded),
        cmocka_unit_test(test_until_close_takes_all_and_never_ends),
        cmocka_unit_test(test_chunk_line_limit_holds_to_the_byte),
        cmocka_unit_test(test_trailer_limit_holds_to_the_byte),
        cmocka_unit_test(test_largest_chunk_size_is_accepted),
        cmocka_unit_test(test_chunk_line_is_what_printf_would_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
