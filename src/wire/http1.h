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
    size_t target_bytes;     /* request target: 414 past it */
    size_t head_bytes;       /* whole head: 431 past it (502 for responses) */
    unsigned field_count;    /* <= the caller's field_max: 431 past it */
    size_t trailer_bytes;    /* trailer section of a chunked body: 431 past it */
    size_t chunk_line_bytes; /* one chunk-size line with extensions: 400 past it */
};

/* A resumable head parser. Zero it (or http1_head_reset) before each message. */
struct http1_head_parser {
    size_t line_at; /* start of the line that is not yet complete */
    size_t scanned; /* bytes already searched for an LF */
    bool has_start_line;
};

void http1_head_reset(struct http1_head_parser *p);

/* Parses a request head at the start of `bytes`. out->head.fields and field_max (at least
 * limits->field_count) are set by the caller; all else is written here, by each call a part.
 * OK: complete; out->head.head_bytes tells where the body starts. ERR_AGAIN: more bytes are needed
 * (call again with the same parser, `out` and address, and more bytes). Otherwise the error whose
 * HTTP status is the answer: BAD_REQUEST 400, URI_TOO_LONG 414 (also a request line that does not
 * end in time), HEADERS_TOO_LARGE 431, NOT_IMPLEMENTED 501 (unknown transfer coding, method over 32
 * bytes), VERSION 505, EXPECTATION_FAILED 417; *why (may be NULL) names the rule that was broken,
 * for the log and the problem document.
 *
 * What is decided here, beyond the letter of the RFCs:
 *  - A single empty line before the request line is skipped (RFC 9112 section 2.2).
 *  - HTTP/1.0 may leave out Host; then out->host.at == NULL, unless the target names the host.
 *  - Host holds letters, digits, '-', '.', '_', or an IPv6 address, and a port, and agrees with an
 *    absolute or authority target.
 *  - Refused when repeated: Host, Content-Length, Transfer-Encoding, Upgrade, Authorization,
 *    Content-Type, Expect, Sec-WebSocket-Key, Sec-WebSocket-Version. Refused always: a name that
 *    equals a known one but for '_' in place of '-'.
 *  - Connection may not name an end-to-end field that matters (http1_framing.c has the list); what
 *    else it names is marked is_dropped, like hop-by-hop fields and Trailer.
 *  - head.is_upgrade is set for GET with `Upgrade: websocket` named in Connection, without a body;
 *    every other Upgrade is ignored. A tunnel request with a body is refused.
 *  - CONNECT has raw_path "". `OPTIONS http://host` is the asterisk form, with raw_path "*".
 *  - The path is not canonical yet: see url_canonical_path. The query is checked. */
err http1_parse_request(struct http1_head_parser *p, const struct http1_limits *limits,
                        struct span bytes, struct http_request *out, struct fault *why);

/* Parses a response head to a request with this method; as above. Body framing follows RFC 9112
 * section 6.3, so HEAD, 1xx, 204 and 304 have none (content_length is what the field says); 101
 * needs Upgrade and sets is_upgrade. Errors: ERR_AGAIN, else always ERR_BAD_UPSTREAM. */
err http1_parse_response(struct http1_head_parser *p, const struct http1_limits *limits,
                         enum http_method request_method, struct span bytes,
                         struct http_response *out, struct fault *why);

/* Decoder of a body's framing. */
enum http1_body_state {
    HTTP1_BODY_DATA, /* LENGTH or UNTIL_CLOSE */
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
    uint8_t line_state; /* position inside the chunk-size or trailer grammar */
    uint8_t digits;
};

void http1_body_init(struct http1_body *b, enum http_body_kind kind, uint64_t content_length);

static inline bool http1_body_is_done(const struct http1_body *b)
{
    return b->state == HTTP1_BODY_DONE;
}

struct http1_decoded {
    size_t consumed; /* of the bytes given */
    size_t payload;  /* now at their front; <= consumed */
};

/* Takes framing off in place: reads bytes[0..len) and moves the payload to the front of `bytes`.
 * Stops behind the end of the body, so consumed < len then means that the next message follows.
 * Trailers are checked and discarded. With UNTIL_CLOSE the caller decides about the end.
 * ERR_BAD_REQUEST (framing; from an upstream it is the caller who says BAD_UPSTREAM),
 * ERR_HEADERS_TOO_LARGE (trailers). */
err http1_body_decode(struct http1_body *b, const struct http1_limits *limits, char *bytes,
                      size_t len, struct http1_decoded *out, struct fault *why);

#define HTTP1_CHUNK_LINE_MAX 18 /* 16 hex digits and CRLF */
/* Writes "<hex>\r\n" for a chunk of `size` > 0 bytes; returns the length. */
size_t http1_chunk_line(char out[HTTP1_CHUNK_LINE_MAX], uint64_t size);
