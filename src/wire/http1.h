/* http1.h: HTTP/1.1 framing, strict (RFC 9110, RFC 9112): bytes in, heads and body spans out.
 *
 * Nothing is repaired. What a lenient neighbour could read differently is refused, and the
 * connection is closed after the answer, because request smuggling lives on such differences.
 * Heads are parsed in place: the caller keeps all bytes of a head at one address until the
 * exchange ends. Feeding one byte at a time gives the same results as feeding all at once.
 *
 * Pure, no I/O; an object belongs to the connection that embeds it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/buf.h"
#include "wire/http.h"

/* From configuration; all at least 1. */
struct http1_limits {
    size_t target_bytes;    /* request target: 414 past it */
    size_t head_bytes;      /* whole head: 431 past it (502 for responses) */
    unsigned field_count;   /* <= the caller's field_max: 431 past it */
    size_t trailer_bytes;   /* trailer section of a chunked body: 431 past it */
    size_t chunk_line_bytes; /* one chunk-size line with extensions: 400 past it */
};

/* A resumable head parser. Zero it (or http1_head_reset) before each message. */
struct http1_head_parser {
    size_t line_at;   /* start of the line that is not yet complete */
    size_t scanned;   /* bytes already searched for its LF */
    bool has_start_line;
};

void http1_head_reset(struct http1_head_parser *p);

/* Parses a request head at bytes[0..len). out->head.fields and field_max are set by the caller;
 * all else is written here.
 * OK: complete; out->head.head_bytes tells where the body starts. ERR_AGAIN: more bytes are needed
 * (call again with the same address and a larger len). Otherwise the error whose HTTP status is
 * the answer: BAD_REQUEST 400, URI_TOO_LONG 414, HEADERS_TOO_LARGE 431, NOT_IMPLEMENTED 501
 * (unknown transfer coding), VERSION 505, EXPECTATION_FAILED 417; *why (may be NULL) names the rule
 * that was broken, for the log and the problem document.
 * A single empty line before the request line is skipped (RFC 9112 section 2.2). */
err http1_parse_request(struct http1_head_parser *p, const struct http1_limits *limits,
                        const char *bytes, size_t len, struct http_request *out,
                        struct fault *why);

/* Parses a response head to a request with this method. Body framing follows RFC 9112 section
 * 6.3, so HEAD, 1xx, 204 and 304 have none. Errors: ERR_AGAIN, else always ERR_BAD_UPSTREAM. */
err http1_parse_response(struct http1_head_parser *p, const struct http1_limits *limits,
                         enum http_method request_method, const char *bytes, size_t len,
                         struct http_response *out, struct fault *why);

/* Decoder of a body's framing. */
enum http1_body_state {
    HTTP1_BODY_DATA,         /* LENGTH or UNTIL_CLOSE */
    HTTP1_BODY_CHUNK_LINE,
    HTTP1_BODY_CHUNK_DATA,
    HTTP1_BODY_CHUNK_CRLF,
    HTTP1_BODY_TRAILER,
    HTTP1_BODY_DONE,
};

struct http1_body {
    enum http_body_kind kind;
    enum http1_body_state state;
    uint64_t left;           /* of the length or the chunk */
    uint64_t received_bytes; /* payload, without framing */
    size_t line_bytes;       /* of the chunk-size line so far */
    size_t trailer_bytes;
    uint8_t line_state;      /* position inside the chunk-size or trailer grammar */
    uint8_t digits;
};

void http1_body_init(struct http1_body *b, enum http_body_kind kind, uint64_t content_length);

static inline bool http1_body_is_done(const struct http1_body *b)
{
    return b->state == HTTP1_BODY_DONE;
}

/* Takes framing off in place: reads bytes[0..len), moves the payload to the front of `bytes`,
 * and stores how many bytes were consumed and how many of payload resulted. Stops behind the end
 * of the body, so consumed < len then means that the next message follows. Trailers are checked
 * and discarded. With UNTIL_CLOSE the caller decides about the end.
 * ERR_BAD_REQUEST (framing), ERR_HEADERS_TOO_LARGE (trailers). */
err http1_body_decode(struct http1_body *b, const struct http1_limits *limits, char *bytes,
                      size_t len, size_t *out_consumed, size_t *out_payload, struct fault *why);

#define HTTP1_CHUNK_LINE_MAX 18 /* 16 hex digits and CRLF */
/* Writes "<hex>\r\n" for a chunk of `size` > 0 bytes; returns the length. */
size_t http1_chunk_line(char out[HTTP1_CHUNK_LINE_MAX], uint64_t size);
