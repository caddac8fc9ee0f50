/* http1_body.c: the framing of bodies, off and on.
 *
 * The one hard thing is the chunk line. Chunk extensions are where readers disagree (bare ';',
 * white space, line feeds inside quotes), so they are parsed by the letter of RFC 9112 section
 * 7.1.1 without its "bad white space", and thrown away; trailers likewise. Every byte of framing
 * passes one small state machine, so it does not matter where reads end.
 *
 * Pure; a decoder belongs to the connection that embeds it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1_priv.h"

/* Sixteen digits fill 64 bits. */
#define HTTP1_SIZE_DIGITS 16

/* What may come next. In a chunk line: */
enum http1_chunk_at {
    HTTP1_CHUNK_SIZE,
    HTTP1_CHUNK_NAME_START, /* behind ';' */
    HTTP1_CHUNK_NAME,
    HTTP1_CHUNK_VALUE_START, /* behind '=' */
    HTTP1_CHUNK_VALUE,
    HTTP1_CHUNK_QUOTED,
    HTTP1_CHUNK_ESCAPED,   /* behind a backslash in quotes */
    HTTP1_CHUNK_VALUE_END, /* behind the closing quote */
    HTTP1_CHUNK_LF,
};

/* In the trailer section: */
enum http1_trailer_at {
    HTTP1_TRAILER_START,
    HTTP1_TRAILER_NAME,
    HTTP1_TRAILER_VALUE,
    HTTP1_TRAILER_LF,
    HTTP1_TRAILER_LAST_LF,
};

void http1_body_init(struct http1_body *b, enum http_body_kind kind, uint64_t content_length)
{
    *b = (struct http1_body){.kind = kind, .state = HTTP1_BODY_DATA};
    if (kind == HTTP_BODY_LENGTH)
        b->left = content_length;
    if (kind == HTTP_BODY_CHUNKED)
        b->state = HTTP1_BODY_CHUNK_LINE;
    if (kind == HTTP_BODY_NONE || (kind == HTTP_BODY_LENGTH && content_length == 0))
        b->state = HTTP1_BODY_DONE;
}

static err http1_body_add_digit(struct http1_body *b, char c, struct fault *why)
{
    if (++b->digits > HTTP1_SIZE_DIGITS)
        return fault_set(why, ERR_BAD_REQUEST, "a chunk size has more than %d digits",
                         HTTP1_SIZE_DIGITS);
    b->left = b->left << 4 | http_chars_hex(c);
    if (b->left > INT64_MAX)
        return fault_set(why, ERR_BAD_REQUEST, "a chunk size is too large");
    return OK;
}

/* The state behind `c` where a name, a value or the size has ended: ';', '=' or CR. Only a name
 * may be followed by '='. */
static err http1_body_end_word(struct http1_body *b, char c, struct fault *why)
{
    bool is_name = b->line_state == HTTP1_CHUNK_NAME;
    if (c == ';')
        b->line_state = HTTP1_CHUNK_NAME_START;
    else if (c == '\r')
        b->line_state = HTTP1_CHUNK_LF;
    else if (c == '=' && is_name)
        b->line_state = HTTP1_CHUNK_VALUE_START;
    else
        return fault_set(why, ERR_BAD_REQUEST, "a chunk line has an invalid character");
    return OK;
}

static void http1_body_end_chunk_line(struct http1_body *b)
{
    b->state = b->left == 0 ? HTTP1_BODY_TRAILER : HTTP1_BODY_CHUNK_DATA;
    b->line_state = 0;
    b->line_bytes = 0;
    b->digits = 0;
}

static err http1_body_chunk_byte(struct http1_body *b, const struct http1_limits *limits, char c,
                                 struct fault *why)
{
    bool is_token = http_chars_is(c, HTTP_CHARS_TOKEN);
    if (++b->line_bytes > limits->chunk_line_bytes)
        return fault_set(why, ERR_BAD_REQUEST, "a chunk line is longer than %zu bytes",
                         limits->chunk_line_bytes);
    switch ((enum http1_chunk_at)b->line_state) {
    case HTTP1_CHUNK_SIZE:
        if (http_chars_is(c, HTTP_CHARS_HEX))
            return http1_body_add_digit(b, c, why);
        if (b->digits == 0)
            return fault_set(why, ERR_BAD_REQUEST, "a chunk has no size");
        return http1_body_end_word(b, c, why);
    case HTTP1_CHUNK_NAME_START:
        if (!is_token)
            return fault_set(why, ERR_BAD_REQUEST, "a chunk extension has no name");
        b->line_state = HTTP1_CHUNK_NAME;
        return OK;
    case HTTP1_CHUNK_VALUE_START:
        if (!is_token && c != '"')
            return fault_set(why, ERR_BAD_REQUEST, "a chunk extension has no value");
        b->line_state = c == '"' ? HTTP1_CHUNK_QUOTED : HTTP1_CHUNK_VALUE;
        return OK;
    case HTTP1_CHUNK_NAME:
    case HTTP1_CHUNK_VALUE:
        return is_token ? OK : http1_body_end_word(b, c, why);
    case HTTP1_CHUNK_QUOTED:
    case HTTP1_CHUNK_ESCAPED:
        if (!http_chars_is(c, HTTP_CHARS_VALUE))
            return fault_set(why, ERR_BAD_REQUEST, "a chunk extension has a control byte");
        if (b->line_state == HTTP1_CHUNK_ESCAPED)
            b->line_state = HTTP1_CHUNK_QUOTED;
        else if (c == '"')
            b->line_state = HTTP1_CHUNK_VALUE_END;
        else if (c == '\\')
            b->line_state = HTTP1_CHUNK_ESCAPED;
        return OK;
    case HTTP1_CHUNK_VALUE_END:
        return http1_body_end_word(b, c, why);
    case HTTP1_CHUNK_LF:
        if (c != '\n')
            return fault_set(why, ERR_BAD_REQUEST, "a chunk line has a bare CR");
        http1_body_end_chunk_line(b);
        return OK;
    }
    must(false);
    return OK;
}

/* CRLF behind the data of a chunk. */
static err http1_body_crlf_byte(struct http1_body *b, char c, struct fault *why)
{
    if (c != (b->line_state == 0 ? '\r' : '\n'))
        return fault_set(why, ERR_BAD_REQUEST, "a chunk does not end with CRLF");
    b->line_state = b->line_state == 0;
    if (b->line_state == 0)
        b->state = HTTP1_BODY_CHUNK_LINE;
    return OK;
}

static err http1_body_trailer_byte(struct http1_body *b, const struct http1_limits *limits, char c,
                                   struct fault *why)
{
    if (++b->trailer_bytes > limits->trailer_bytes)
        return fault_set(why, ERR_HEADERS_TOO_LARGE, "the trailers are longer than %zu bytes",
                         limits->trailer_bytes);
    switch ((enum http1_trailer_at)b->line_state) {
    case HTTP1_TRAILER_START:
        if (c == '\r') {
            b->line_state = HTTP1_TRAILER_LAST_LF;
            return OK;
        }
        if (!http_chars_is(c, HTTP_CHARS_TOKEN))
            return fault_set(why, ERR_BAD_REQUEST, "a trailer line has no name");
        b->line_state = HTTP1_TRAILER_NAME;
        return OK;
    case HTTP1_TRAILER_NAME:
        if (c == ':')
            b->line_state = HTTP1_TRAILER_VALUE;
        else if (!http_chars_is(c, HTTP_CHARS_TOKEN))
            return fault_set(why, ERR_BAD_REQUEST, "a trailer name has an invalid character");
        return OK;
    case HTTP1_TRAILER_VALUE:
        if (c == '\r')
            b->line_state = HTTP1_TRAILER_LF;
        else if (!http_chars_is(c, HTTP_CHARS_VALUE))
            return fault_set(why, ERR_BAD_REQUEST, "a trailer value has a control byte");
        return OK;
    case HTTP1_TRAILER_LF:
    case HTTP1_TRAILER_LAST_LF:
        if (c != '\n')
            return fault_set(why, ERR_BAD_REQUEST, "a trailer line has a bare CR");
        if (b->line_state == HTTP1_TRAILER_LAST_LF)
            b->state = HTTP1_BODY_DONE;
        b->line_state = HTTP1_TRAILER_START;
        return OK;
    }
    must(false);
    return OK;
}

/* Takes what is payload from at[0..room); returns how much, 0 when framing comes first. */
static size_t http1_body_take(struct http1_body *b, size_t room)
{
    bool is_data = b->state == HTTP1_BODY_DATA || b->state == HTTP1_BODY_CHUNK_DATA;
    if (!is_data)
        return 0;
    b->received_bytes += room;
    if (b->kind == HTTP_BODY_UNTIL_CLOSE)
        return room;
    must(b->left > 0);
    size_t taken = room < b->left ? room : (size_t)b->left;
    b->received_bytes -= room - taken;
    b->left -= taken;
    if (b->left == 0)
        b->state = b->state == HTTP1_BODY_DATA ? HTTP1_BODY_DONE : HTTP1_BODY_CHUNK_CRLF;
    return taken;
}

static err http1_body_framing_byte(struct http1_body *b, const struct http1_limits *limits, char c,
                                   struct fault *why)
{
    switch (b->state) {
    case HTTP1_BODY_CHUNK_LINE:
        return http1_body_chunk_byte(b, limits, c, why);
    case HTTP1_BODY_CHUNK_CRLF:
        return http1_body_crlf_byte(b, c, why);
    case HTTP1_BODY_TRAILER:
        return http1_body_trailer_byte(b, limits, c, why);
    case HTTP1_BODY_DATA:
    case HTTP1_BODY_CHUNK_DATA:
    case HTTP1_BODY_DONE:
        break;
    }
    must(false);
    return OK;
}

err http1_body_decode(struct http1_body *b, const struct http1_limits *limits, char *bytes,
                      size_t len, struct http1_decoded *out, struct fault *why)
{
    size_t at = 0, payload = 0;
    while (at < len && b->state != HTTP1_BODY_DONE) {
        size_t taken = http1_body_take(b, len - at);
        if (taken == 0) {
            TRY(http1_body_framing_byte(b, limits, bytes[at], why));
            at++;
            continue;
        }
        if (at != payload)
            memmove(bytes + payload, bytes + at, taken);
        at += taken;
        payload += taken;
    }
    *out = (struct http1_decoded){.consumed = at, .payload = payload};
    return OK;
}

size_t http1_chunk_line(char out[HTTP1_CHUNK_LINE_MAX], uint64_t size)
{
    static const char digits[] = "0123456789abcdef";
    must(size > 0);
    size_t count = (size_t)(67 - __builtin_clzll(size)) / 4;
    for (size_t i = 0; i < count; i++)
        out[i] = digits[size >> (4 * (count - 1 - i)) & 15];
    out[count] = '\r';
    out[count + 1] = '\n';
    return count + 2;
}
