/* http1.c: one call, one head: start line, fields, then the rules about the whole.
 *
 * The one hard thing is that the verdict may not depend on how the bytes were cut. So only complete
 * lines inside the limit are judged, in their order; a line that has not ended at the limit is too
 * long, whatever is in it. New bytes are searched for an LF once and lines are parsed once, so one
 * byte at a time costs the length of the head, not its square. Exempt is the very first byte,
 * which answers at once those who speak TLS to the wrong port.
 *
 * Pure; objects belong to the caller.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1.h"

#include "wire/http1_priv.h"

/* A second line of these leaves it to the reader which one counts: framing, routing, identity.
 * Responses: framing only, since applications do repeat other fields. */
static const uint64_t http1_response_singletons =
    HTTP1_BIT(CONTENT_LENGTH) | HTTP1_BIT(TRANSFER_ENCODING) | HTTP1_BIT(UPGRADE);
static const uint64_t http1_request_singletons =
    HTTP1_BIT(CONTENT_LENGTH) | HTTP1_BIT(TRANSFER_ENCODING) | HTTP1_BIT(UPGRADE) |
    HTTP1_BIT(HOST) | HTTP1_BIT(AUTHORIZATION) | HTTP1_BIT(CONTENT_TYPE) | HTTP1_BIT(EXPECT) |
    HTTP1_BIT(SEC_WEBSOCKET_KEY) | HTTP1_BIT(SEC_WEBSOCKET_VERSION);

#define HTTP1_FIRST_PIECE 32
static_assert(HTTP_FIELD_COUNT > HTTP1_FIRST_PIECE, "the index is cleared in two pieces");

void http1_head_reset(struct http1_head_parser *p)
{
    *p = (struct http1_head_parser){0};
}

void http1_head_clear(struct http_head *head)
{
    head->field_count = 0;
    head->version_minor = 0;
    head->body = HTTP_BODY_NONE;
    head->content_length = 0;
    head->is_keep_alive = false;
    head->is_upgrade = false;
    head->upgrade = (struct span){0};
    head->has_trailer_te = false;
    head->head_bytes = 0;
    /* In two pieces, because gcc makes a slow `rep stos` of more than 64 bytes. */
    memset(&head->first[0], 0, HTTP1_FIRST_PIECE * sizeof head->first[0]);
    memset(&head->first[HTTP1_FIRST_PIECE], 0,
           sizeof head->first - HTTP1_FIRST_PIECE * sizeof head->first[0]);
}

/* Method, two spaces, version, CRLF, and the empty line that may stand before. */
#define HTTP1_START_EXTRA (HTTP1_METHOD_BYTES + 14)

/* Where the start line of a request has to end. */
static size_t http1_start_end(const struct http1_limits *limits)
{
    if (limits->head_bytes < HTTP1_START_EXTRA ||
        limits->head_bytes - HTTP1_START_EXTRA < limits->target_bytes)
        return limits->head_bytes;
    return limits->target_bytes + HTTP1_START_EXTRA;
}

/* Fills *in; ERR_AGAIN when no line has been completed since the last call. */
static inline err http1_input_init(struct http1_input *in, struct http1_head_parser *p,
                                   const struct http1_limits *limits, struct span bytes)
{
    size_t end = bytes.len < limits->head_bytes ? bytes.len : limits->head_bytes;
    must(p->line_at <= bytes.len && p->scanned <= bytes.len);
    if (p->scanned > end)
        return FAIL(AGAIN);
    const char *last = end == 0 ? NULL : memrchr(bytes.at + p->scanned, '\n', end - p->scanned);
    p->scanned = end;
    if (last == NULL)
        return FAIL(AGAIN);
    *in = (struct http1_input){.limits = limits,
                               .bytes = bytes.at,
                               .lines_end = last + 1,
                               .word_end = bytes.at + bytes.len - sizeof(uint64_t)};
    return OK;
}

/* RFC 9112 section 2.2: one empty line before the request line is skipped, for clients that send
 * a CRLF behind a body. */
static err http1_begin_request(struct http1_head_parser *p, struct span bytes, struct fault *why)
{
    if (p->line_at == 0 && span_starts(bytes, SPAN("\r\n")))
        p->line_at = p->scanned = 2;
    if (bytes.len <= p->line_at || http_chars_is(bytes.at[p->line_at], HTTP_CHARS_TOKEN))
        return OK;
    if (p->line_at == 0 && span_eq(bytes, SPAN("\r")))
        return OK;
    return fault_set(why, ERR_BAD_REQUEST, "the request does not start with a method");
}

/* `outcome` of the start line at *at; an overlong line is that and nothing else. */
static err http1_judge_start(const struct http1_input *in, const char *at, err outcome,
                             struct fault *why)
{
    size_t limit = http1_start_end(in->limits), start = (size_t)(at - in->bytes);
    size_t room =
        limit < (size_t)(in->lines_end - in->bytes) ? limit : (size_t)(in->lines_end - in->bytes);
    if (!err_ok(outcome) && (start >= room || memchr(at, '\n', room - start) == NULL))
        return fault_set(why, ERR_URI_TOO_LONG, "the request line ends past byte %zu", limit);
    return outcome;
}

static err http1_read_request(struct http1_head_parser *p, struct http1_input *in,
                              struct http_request *out, struct fault *why)
{
    const char *at = in->bytes + p->line_at;
    in->singletons = http1_request_singletons;
    if (!p->has_start_line) {
        http1_head_clear(&out->head);
        err outcome = http1_request_line(in, out, &at, why);
        if (!err_ok(outcome))
            return http1_judge_start(in, in->bytes + p->line_at, outcome, why);
        p->has_start_line = true;
    }
    err outcome = http1_read_fields(in, &out->head, &at, why);
    p->line_at = (size_t)(at - in->bytes);
    if (!err_ok(outcome))
        return outcome;
    out->head.head_bytes = p->line_at;
    return http1_request_check(out, why);
}

err http1_parse_request(struct http1_head_parser *p, const struct http1_limits *limits,
                        struct span bytes, struct http_request *out, struct fault *why)
{
    struct http1_input in;
    if (!p->has_start_line)
        TRY(http1_begin_request(p, bytes, why));
    err outcome = http1_input_init(&in, p, limits, bytes);
    if (err_ok(outcome))
        outcome = http1_read_request(p, &in, out, why);
    if (!err_is(outcome, ERR_AGAIN))
        return outcome;
    if (!p->has_start_line && bytes.len > http1_start_end(limits))
        return fault_set(why, ERR_URI_TOO_LONG, "the request line ends past byte %zu",
                         http1_start_end(limits));
    if (bytes.len > limits->head_bytes)
        return fault_set(why, ERR_HEADERS_TOO_LARGE, "the head is longer than %zu bytes",
                         limits->head_bytes);
    return outcome;
}

static err http1_read_response(struct http1_head_parser *p, struct http1_input *in,
                               struct http_response *out, struct fault *why)
{
    const char *at = in->bytes + p->line_at;
    in->singletons = http1_response_singletons;
    if (!p->has_start_line) {
        http1_head_clear(&out->head);
        TRY(http1_response_line(in, out, &at, why));
        p->has_start_line = true;
    }
    err outcome = http1_read_fields(in, &out->head, &at, why);
    p->line_at = (size_t)(at - in->bytes);
    out->head.head_bytes = p->line_at;
    return outcome;
}

/* To the client every fault of an upstream is the same; `why` keeps the rule. */
static err http1_blame_upstream(err outcome, struct fault *why)
{
    if (err_ok(outcome) || err_is(outcome, ERR_AGAIN))
        return outcome;
    if (why != NULL)
        why->code = ERR_BAD_UPSTREAM;
    return FAIL(BAD_UPSTREAM);
}

err http1_parse_response(struct http1_head_parser *p, const struct http1_limits *limits,
                         enum http_method request_method, struct span bytes,
                         struct http_response *out, struct fault *why)
{
    struct http1_input in;
    if (bytes.len > 0 && bytes.at[0] != 'H')
        return fault_set(why, ERR_BAD_UPSTREAM, "the response does not start with HTTP/1");
    err outcome = http1_input_init(&in, p, limits, bytes);
    if (err_ok(outcome))
        outcome = http1_read_response(p, &in, out, why);
    if (err_ok(outcome))
        outcome = http1_response_check(out, request_method, why);
    if (err_is(outcome, ERR_AGAIN) && bytes.len > limits->head_bytes)
        return fault_set(why, ERR_BAD_UPSTREAM, "the head is longer than %zu bytes",
                         limits->head_bytes);
    return http1_blame_upstream(outcome, why);
}
