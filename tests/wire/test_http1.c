/* test_http1.c: every case of tests/data/http1, in one piece, in two, byte by byte.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1_cases.h"

#define CASE_MAX     700
#define WHOLE_CUTS   600 /* longer cases are cut at this many places only */
#define PREFIX_BYTES 600

static struct wire_case cases[CASE_MAX];
static struct case_feeder feeder;

/* The expectation word of an outcome. */
static struct span expectation_of(const struct case_feeder *f, char text[static 8])
{
    const struct case_outcome *o = &f->outcome;
    bool is_until_close = o->has_head && f->body.kind == HTTP_BODY_UNTIL_CLOSE;
    if (o->code == ERR_NONE || (o->code == ERR_AGAIN && is_until_close))
        return f->is_response ? SPAN("ok") : SPAN("200");
    if (o->code == ERR_AGAIN)
        return SPAN("more");
    if (f->is_response && o->has_head)
        return SPAN("cut");
    (void)snprintf(text, 8, "%d", err_http_status(o->code));
    return span_from(text);
}

static void check_cut(const struct wire_case *c, char *copy, size_t cut,
                      const struct case_outcome *whole)
{
    feeder_init(&feeder, c, copy);
    feeder_feed(&feeder, cut);
    feeder_feed(&feeder, c->raw_len);
    if (!case_outcomes_agree(whole, &feeder.outcome))
        fail_msg("%.*s: cut at %zu the outcome is %s, in one piece %s", SPAN_ARGS(c->name), cut,
                 err_name(feeder.outcome.code), err_name(whole->code));
}

static void check_byte_by_byte(const struct wire_case *c, char *copy,
                               const struct case_outcome *whole)
{
    feeder_init(&feeder, c, copy);
    for (size_t i = 1; i <= c->raw_len; i++)
        feeder_feed(&feeder, i);
    if (!case_outcomes_agree(whole, &feeder.outcome))
        fail_msg("%.*s: byte by byte the outcome is %s, in one piece %s", SPAN_ARGS(c->name),
                 err_name(feeder.outcome.code), err_name(whole->code));
}

/* Each beginning in memory of its own, so that a read past the end is seen. */
static void check_prefixes(const struct wire_case *c)
{
    for (size_t len = 0; len < c->raw_len && len < PREFIX_BYTES; len++) {
        struct wire_case shorter = *c;
        shorter.raw_len = len;
        char *copy = malloc(len == 0 ? 1 : len);
        assert_non_null(copy);
        feeder_init(&feeder, &shorter, copy);
        feeder_feed(&feeder, len);
        free(copy);
    }
}

static void check_case(const struct wire_case *c)
{
    char text[8];
    char *copy = malloc(c->raw_len);
    assert_non_null(copy);
    feeder_init(&feeder, c, copy);
    feeder_feed(&feeder, c->raw_len);
    struct case_outcome whole = feeder.outcome;
    struct span got = expectation_of(&feeder, text);
    if (!span_eq(got, c->expected))
        fail_msg("%.*s: expected %.*s, got %.*s (%s)", SPAN_ARGS(c->name), SPAN_ARGS(c->expected),
                 SPAN_ARGS(got), feeder.why.text);
    bool is_error = whole.code != ERR_NONE && whole.code != ERR_AGAIN;
    if (is_error && (feeder.why.code != (enum err_code)whole.code || feeder.why.text[0] == '\0'))
        fail_msg("%.*s: the fault does not tell the rule", SPAN_ARGS(c->name));

    size_t step = c->raw_len / WHOLE_CUTS + 1;
    for (size_t cut = 0; cut <= c->raw_len; cut += step)
        check_cut(c, copy, cut, &whole);
    check_byte_by_byte(c, copy, &whole);
    check_prefixes(c);
    free(copy);
}

static size_t check_file(const char *path, bool has_method)
{
    size_t count = case_load(path, has_method, cases, CASE_MAX);
    for (size_t i = 0; i < count; i++)
        check_case(&cases[i]);
    print_message("%s: %zu cases\n", path, count);
    case_free(cases, count);
    return count;
}

static void test_requests_get_their_status_however_they_are_cut(void **state)
{
    (void)state;
    assert_true(check_file("tests/data/http1/requests.txt", false) >= 300);
}

static void test_responses_get_their_verdict_however_they_are_cut(void **state)
{
    (void)state;
    assert_true(check_file("tests/data/http1/responses.txt", true) >= 100);
}

static err parse_with_limits(const struct http1_limits *limits, const char *text)
{
    struct http_field fields[8];
    struct http_request request = {.head = {.fields = fields, .field_max = COUNT_OF(fields)}};
    struct http1_head_parser parser = {0};
    return http1_parse_request(&parser, limits, span_from(text), &request, /* why= */ NULL);
}

static void test_limits_hold_to_the_byte(void **state)
{
    (void)state;
    const char *text = "GET /abc HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
    struct http1_limits exact = {.target_bytes = 4,
                                 .head_bytes = strlen(text),
                                 .field_count = 2,
                                 .trailer_bytes = 1,
                                 .chunk_line_bytes = 1};
    assert_int_equal(parse_with_limits(&exact, text).code, ERR_NONE);
    struct http1_limits less = exact;
    less.target_bytes = 3;
    assert_int_equal(parse_with_limits(&less, text).code, ERR_URI_TOO_LONG);
    less = exact;
    less.head_bytes--;
    assert_int_equal(parse_with_limits(&less, text).code, ERR_HEADERS_TOO_LARGE);
    less = exact;
    less.field_count = 1;
    assert_int_equal(parse_with_limits(&less, text).code, ERR_HEADERS_TOO_LARGE);
    less = exact;
    less.head_bytes = 5;
    assert_int_equal(parse_with_limits(&less, text).code, ERR_URI_TOO_LONG);
    struct http1_limits more = exact;
    more.target_bytes++;
    more.head_bytes++;
    more.field_count++;
    assert_int_equal(parse_with_limits(&more, text).code, ERR_NONE);
}

static void test_parser_can_be_reset_for_the_next_request(void **state)
{
    (void)state;
    struct span text = SPAN("GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                            "GET /2?q HTTP/1.1\r\nHost: b:8\r\n\r\n");
    struct http_field fields[CASE_FIELD_MAX];
    struct http_request r = {.head = {.fields = fields, .field_max = COUNT_OF(fields)}};
    struct http1_head_parser parser = {0};
    assert_true(err_ok(http1_parse_request(&parser, &case_limits, text, &r, NULL)));
    assert_false(r.head.is_keep_alive);
    struct span next = span_skip(text, r.head.head_bytes);
    http1_head_reset(&parser);
    assert_true(err_ok(http1_parse_request(&parser, &case_limits, next, &r, NULL)));
    assert_true(span_eq(r.raw_path, SPAN("/2")));
    assert_true(span_eq(r.query, SPAN("q")));
    assert_true(r.head.is_keep_alive);
    assert_int_equal(r.port, 8);
    assert_int_equal(r.head.field_count, 1);
    assert_null(http_head_find(&r.head, HTTP_FIELD_CONNECTION));
    assert_int_equal(r.head.head_bytes, next.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_get_their_status_however_they_are_cut),
        cmocka_unit_test(test_responses_get_their_verdict_however_they_are_cut),
        cmocka_unit_test(test_limits_hold_to_the_byte),
        cmocka_unit_test(test_parser_can_be_reset_for_the_next_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
