/* http1_heads.h: parses one whole head for a test that looks at its parts.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "cmocka_all.h"
#include "wire/http1.h"

#define HEADS_FIELD_MAX 32

static const struct http1_limits heads_limits = {
    .target_bytes = 256,
    .head_bytes = 4096,
    .field_count = HEADS_FIELD_MAX,
    .trailer_bytes = 64,
    .chunk_line_bytes = 32,
};

static struct http_field heads_fields[HEADS_FIELD_MAX];

static inline err heads_try_request(const char *text, struct http_request *out, struct fault *why)
{
    struct http1_head_parser parser = {0};
    *out = (struct http_request){.head = {.fields = heads_fields, .field_max = HEADS_FIELD_MAX}};
    return http1_parse_request(&parser, &heads_limits, span_from(text), out, why);
}

static inline struct http_request heads_request(const char *text)
{
    struct http_request request;
    struct fault why = {0};
    if (!err_ok(heads_try_request(text, &request, &why)))
        fail_msg("%s: %s", text, why.text);
    return request;
}

static inline err heads_try_response(enum http_method method, const char *text,
                                     struct http_response *out)
{
    struct http1_head_parser parser = {0};
    struct fault why = {0};
    *out = (struct http_response){.head = {.fields = heads_fields, .field_max = HEADS_FIELD_MAX}};
    return http1_parse_response(&parser, &heads_limits, method, span_from(text), out, &why);
}

static inline struct http_response heads_response(enum http_method method, const char *text)
{
    struct http_response response;
    if (!err_ok(heads_try_response(method, text, &response)))
        fail_msg("refused: %s", text);
    return response;
}

#define assert_span(span, literal) assert_true(span_eq((span), SPAN(literal)))
