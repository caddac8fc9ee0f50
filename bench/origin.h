/* origin.h: the application behind every proxy of the measurement: 32 bytes, as fast as can be.
 *
 * It answers each HTTP/1.1 request with the same head and body. The hard thing is to read just
 * enough of a request to stay in step with it: where the head ends, how many bytes of body follow,
 * and whether the connection goes on. Chunked bodies are refused (411), so a measurement that sends
 * them fails instead of lying.
 *
 * A connection is owned by who calls; one thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "tcp.h"

#define ORIGIN_HEAD_BYTES  16384
#define ORIGIN_REPLY_BYTES 4096
#define ORIGIN_BODY_MAX    (1ULL << 30)

static const struct span ORIGIN_HEAD =
    SPAN_INIT("HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: origin\r\n"
              "X-Powered-By: origin\r\nContent-Type: text/plain; charset=utf-8\r\n"
              "Content-Length: 32\r\nCache-Control: no-cache\r\nETag: W/\"20-k3v9cQm0Jc\"\r\n"
              "Vary: Accept-Encoding\r\n\r\n");
static const struct span ORIGIN_BODY = SPAN_INIT("The quick brown fox jumps high.\n");
static const struct span ORIGIN_LENGTH_REQUIRED =
    SPAN_INIT("HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");

struct origin_conn {
    int fd;
    bool is_last; /* the request or an error ends the connection after the reply */
    uint64_t body_left;
    size_t head_len;
    size_t reply_len;
    char head[ORIGIN_HEAD_BYTES];
    char reply[ORIGIN_REPLY_BYTES];
};

static inline void origin_reply(struct origin_conn *conn, struct span bytes)
{
    if (conn->reply_len + bytes.len > sizeof conn->reply) {
        conn->is_last = true;
        return;
    }
    memcpy(conn->reply + conn->reply_len, bytes.at, bytes.len);
    conn->reply_len += bytes.len;
}

static inline void origin_read_field(struct origin_conn *conn, struct span line)
{
    char first = line.len == 0 ? 0 : (char)(line.at[0] | 0x20);
    if (first != 'c' && first != 't')
        return;
    struct span name = span_cut(&line, ':');
    struct span value = span_trim(line);
    if (span_eq_nocase(name, SPAN("content-length"))) {
        if (!err_ok(span_parse_u64(value, ORIGIN_BODY_MAX, &conn->body_left)))
            conn->is_last = true;
    } else if (span_eq_nocase(name, SPAN("transfer-encoding"))) {
        origin_reply(conn, ORIGIN_LENGTH_REQUIRED);
        conn->is_last = true;
    } else if (span_eq_nocase(name, SPAN("connection")) && span_eq_nocase(value, SPAN("close"))) {
        conn->is_last = true;
    }
}

/* `head` runs up to the empty line that ends it, that line not included. */
static inline void origin_answer(struct origin_conn *conn, struct span head)
{
    struct span request_line = span_cut(&head, '\n');
    bool is_head = span_starts(request_line, SPAN("HEAD "));
    if (span_ends(request_line, SPAN("HTTP/1.0\r")))
        conn->is_last = true;
    size_t before = conn->reply_len;
    while (head.len > 0) {
        struct span line = span_cut(&head, '\n');
        if (span_ends(line, SPAN("\r")))
            line.len--;
        origin_read_field(conn, line);
    }
    if (conn->reply_len != before)
        return;
    origin_reply(conn, ORIGIN_HEAD);
    if (!is_head)
        origin_reply(conn, ORIGIN_BODY);
}

/* Takes every complete request off the front of what has arrived. */
static inline void origin_consume(struct origin_conn *conn)
{
    struct span rest = span_of(conn->head, conn->head_len);
    while (rest.len > 0 && !conn->is_last) {
        if (conn->body_left > 0) {
            size_t skip = conn->body_left < rest.len ? (size_t)conn->body_left : rest.len;
            conn->body_left -= skip;
            rest = span_skip(rest, skip);
            continue;
        }
        const char *end = memmem(rest.at, rest.len, "\r\n\r\n", 4);
        if (end == NULL)
            break;
        size_t head_len = (size_t)(end - rest.at);
        origin_answer(conn, span_of(rest.at, head_len));
        rest = span_skip(rest, head_len + 4);
    }
    memmove(conn->head, rest.at, rest.len);
    conn->head_len = rest.len;
}

/* One recv and, when a request is complete, one send. False: close and free the connection. */
static inline bool origin_serve(struct origin_conn *conn)
{
    size_t room = sizeof conn->head - conn->head_len;
    ssize_t got = recv(conn->fd, conn->head + conn->head_len, room, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0)
        return false;
    conn->head_len += (size_t)got;
    conn->reply_len = 0;
    origin_consume(conn);
    if (conn->reply_len == 0)
        return !conn->is_last && conn->head_len < sizeof conn->head;
    /* A client that does not take a few hundred bytes is not one of ours: let it go. */
    ssize_t sent = send(conn->fd, conn->reply, conn->reply_len, MSG_NOSIGNAL);
    return sent == (ssize_t)conn->reply_len && !conn->is_last;
}
