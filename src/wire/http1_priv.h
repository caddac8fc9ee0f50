/* http1_priv.h: what the files of the HTTP/1.1 codec share.
 *
 * A line is judged only when it is complete, and only inside the limits. That is why the verdict
 * does not depend on how the bytes were cut: a rule that is broken in the middle of an unfinished
 * line is not reported before the line ends, however early it could be seen.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "wire/http1.h"
#include "wire/http_chars.h"

/* RFC 9112 section 3: a longer method than any that we would pass on gets 501. */
#define HTTP1_METHOD_BYTES 32

/* What one call of a head parser may look at. Invariant: the byte before `lines_end` is an LF, and
 * an LF may stand neither in a token nor in a target nor in a value. So a parser that starts on a
 * line needs no test for the end of the input. word_end is before bytes when there are fewer. */
struct http1_input {
    const struct http1_limits *limits;
    const char *bytes;
    const char *lines_end; /* behind the last complete line */
    const char *word_end;  /* the last place where eight bytes can be read */
    uint64_t singletons;   /* field ids that may not be repeated */
};

static_assert(HTTP_FIELD_COUNT <= 64, "sets of field ids are 64-bit masks");
#define HTTP1_BIT(id) (UINT64_C(1) << HTTP_FIELD_##id)

/* Hop-by-hop; and Trailer, which announces what the body decoder discards. */
#define X(id, name, flags) | (flags & HTTP_HOP_BY_HOP ? HTTP1_BIT(id) : 0)
static const uint64_t http1_dropped_fields = HTTP1_BIT(TRAILER) HTTP_FIELD_TABLE(X);
#undef X

/* Clears what the parsers write, and keeps the caller's storage of fields. */
void http1_head_clear(struct http_head *head);

/* The field lines from *at on. OK: *at is behind the empty line. ERR_AGAIN: there is no empty line
 * yet, *at is the first line that is not complete. BAD_REQUEST, HEADERS_TOO_LARGE. */
err http1_read_fields(const struct http1_input *in, struct http_head *head, const char **at,
                      struct fault *why);

/* Connection, Upgrade, Content-Length and Transfer-Encoding of a complete head: fills
 * is_keep_alive, is_upgrade, upgrade, has_trailer_te and the marks is_dropped, and the body when a
 * field tells it; otherwise body stays HTTP_BODY_NONE. BAD_REQUEST, NOT_IMPLEMENTED. */
err http1_read_framing(struct http_head *head, struct fault *why);

/* The start line at *at, which is complete; moves *at behind it. */
err http1_request_line(const struct http1_input *in, struct http_request *out, const char **at,
                       struct fault *why);
err http1_response_line(const struct http1_input *in, struct http_response *out, const char **at,
                        struct fault *why);

/* The rules about a whole head. */
err http1_request_check(struct http_request *r, struct fault *why);
err http1_response_check(struct http_response *r, enum http_method request_method,
                         struct fault *why);
