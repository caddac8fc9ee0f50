/* peer.h: the other end of a connection, played by a test: bytes in chosen pieces, ends in chosen
 * ways.
 *
 * It stands outside the loop under test: its calls are the system's own, so that fault points hit
 * the code under test alone. Nothing happens but in peer_pump, which the test's turn calls.
 *
 * The test's thread; a peer belongs to the test.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "core/buf.h"
#include "core/mem.h"
#include "core/sock_address.h"
#include "wire/tls_session.h"

#define PEER_BYTES_MAX  ((size_t)256 * 1024 * 1024)
#define PEER_CHUNK      65536
#define PEER_ACCEPT_MAX 512

struct peer {
    int fd;                  /* -1: closed */
    struct tls_session *tls; /* owned; NULL: plain */
    struct buf in;           /* received, not yet consumed by the test */
    struct buf out;          /* to be sent, from out_at on */
    size_t out_at;
    uint64_t received_bytes;
    size_t step_bytes; /* most that one pump sends; 0 = all */
    bool is_paused;    /* does not read */
    bool has_ended;    /* the other side sent FIN (under TLS close_notify) */
    bool is_broken;    /* a reset, or a FIN without close_notify */
    unsigned requests; /* for whoever counts messages */
};

static inline void peer_init(struct peer *p, int fd, struct tls_session *tls)
{
    *p = (struct peer){.fd = fd, .tls = tls};
    buf_init(&p->in, PEER_BYTES_MAX);
    buf_init(&p->out, PEER_BYTES_MAX);
    assert_true(err_ok(buf_reserve(&p->out, 4096))); /* peer_say may stand where memory fails */
    int yes = 1;
    if (fd < 0)
        return;
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* a Unix socket has none */
}

static inline void peer_close(struct peer *p)
{
    if (p->fd >= 0)
        (void)close(p->fd);
    p->fd = -1;
}

static inline void peer_done(struct peer *p)
{
    peer_close(p);
    tls_session_free(p->tls);
    p->tls = NULL;
    buf_done(&p->in);
    buf_done(&p->out);
}

/* Ends with a reset. */
static inline void peer_reset(struct peer *p)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    peer_close(p);
}

/* Bytes that were not sent yet. */
static inline size_t peer_waiting(const struct peer *p)
{
    return p->out.len - p->out_at;
}

static inline void peer_sent(struct peer *p, size_t count)
{
    p->out_at += count;
    if (p->out_at < p->out.len)
        return;
    buf_reset(&p->out);
    p->out_at = 0;
}

static inline void peer_send(struct peer *p, struct span bytes)
{
    assert_true(err_ok(buf_add(&p->out, bytes)));
}

static inline void peer_say(struct peer *p, const char *text)
{
    peer_send(p, span_from(text));
}

static inline void peer_fill(struct peer *p, char byte, size_t count)
{
    assert_true(err_ok(buf_reserve(&p->out, count)));
    memset(p->out.at + p->out.len, byte, count);
    p->out.len += count;
}

static inline const char *peer_text(struct peer *p)
{
    const char *text = "";
    assert_true(err_ok(buf_text(&p->in, &text)));
    return text;
}

static inline bool peer_has(struct peer *p, const char *text)
{
    return p->in.len > 0 && memmem(p->in.at, p->in.len, text, strlen(text)) != NULL;
}

/* What a failed call means: nothing now, or the end. True when the peer is broken now. */
static inline bool peer_failed(struct peer *p)
{
    if (errno == EAGAIN || errno == EINTR)
        return false;
    p->is_broken = true;
    return true;
}

static inline bool peer_take_plain(struct peer *p, const char *bytes, size_t len)
{
    p->received_bytes += len;
    assert_true(err_ok(buf_append(&p->in, bytes, len)));
    return true;
}

/* Takes ciphertext; len 0 is the end of the connection. */
static inline bool peer_take_sealed(struct peer *p, const char *bytes, size_t len)
{
    static char plain[PEER_CHUNK];
    size_t got = 0;
    if (len == 0) {
        p->is_broken = !tls_session_is_peer_closed(p->tls);
        return true;
    }
    err outcome = tls_session_feed(p->tls, span_of(bytes, len));
    while (err_ok(outcome)) {
        outcome = tls_session_read(p->tls, plain, sizeof plain, &got);
        if (err_ok(outcome))
            (void)peer_take_plain(p, plain, got);
    }
    if (err_is(outcome, ERR_CLOSED))
        p->has_ended = true;
    else if (!err_is(outcome, ERR_AGAIN))
        p->is_broken = true;
    if (!p->is_broken)
        assert_true(err_ok(tls_session_settle(p->tls)));
    return true;
}

static inline bool peer_receive(struct peer *p)
{
    static char chunk[PEER_CHUNK];
    if (p->is_paused || p->is_broken || (p->has_ended && p->tls == NULL))
        return false;
    ssize_t got = recv(p->fd, chunk, sizeof chunk, 0);
    if (got < 0)
        return peer_failed(p);
    if (p->tls != NULL)
        return peer_take_sealed(p, chunk, (size_t)got) && got > 0;
    if (got > 0)
        return peer_take_plain(p, chunk, (size_t)got);
    p->has_ended = true;
    return true;
}

static inline bool peer_send_raw(struct peer *p, const char *bytes, size_t len, size_t *out_sent)
{
    ssize_t sent = send(p->fd, bytes, len, MSG_NOSIGNAL);
    if (sent < 0)
        return peer_failed(p);
    *out_sent = (size_t)sent;
    return sent > 0;
}

static inline bool peer_transmit(struct peer *p)
{
    size_t sent = 0;
    size_t wanted = peer_waiting(p);
    wanted = p->step_bytes > 0 && p->step_bytes < wanted ? p->step_bytes : wanted;
    if (p->tls == NULL) {
        if (wanted == 0 || p->is_broken)
            return false;
        bool has_moved = peer_send_raw(p, p->out.at + p->out_at, wanted, &sent);
        peer_sent(p, sent);
        return has_moved;
    }
    if (wanted > 0 && tls_session_is_established(p->tls)) {
        struct iovec piece = {.iov_base = p->out.at + p->out_at, .iov_len = wanted};
        if (err_ok(tls_session_write(p->tls, &piece, 1, &sent)))
            peer_sent(p, sent);
    }
    struct span sealed = tls_session_output(p->tls);
    if (sealed.len == 0 || p->is_broken)
        return false;
    sent = 0;
    bool has_moved = peer_send_raw(p, sealed.at, sealed.len, &sent);
    tls_session_output_sent(p->tls, sent);
    return has_moved;
}

/* Sends and receives what the socket takes and has; true when something moved. */
static inline bool peer_pump(struct peer *p)
{
    if (p->fd < 0)
        return false;
    bool has_moved = peer_transmit(p);
    return peer_receive(p) || has_moved;
}

/* Says that nothing more will be sent. */
static inline void peer_finish(struct peer *p)
{
    if (p->tls != NULL) {
        tls_session_close(p->tls);
        (void)peer_transmit(p);
    }
    (void)shutdown(p->fd, SHUT_WR);
}

static inline bool peer_is_over(const struct peer *p)
{
    return p->has_ended || p->is_broken;
}

static inline void peer_buffer_sizes(int fd, int bytes)
{
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
}

/* ---- a server ---- */

struct peer_server {
    int fd;
    uint16_t port;
    struct sock_address address;
    char text[SOCK_ADDRESS_TEXT_BYTES];
    struct tls_context *tls; /* a reference; NULL: plain */
    struct peer *peers;      /* accepted ones, in order */
    unsigned count;
    int buffer_bytes; /* of accepted sockets; 0 = the system's */
    int fillers[4];   /* connections that fill its queue */
};

enum peer_server_kind {
    PEER_SERVER_REFUSES, /* nobody listens there */
    PEER_SERVER_ACCEPTS,
    PEER_SERVER_SILENT, /* its queue is full: a connection neither succeeds nor fails */
};

static inline void peer_server_fill(struct peer_server *s)
{
    for (size_t i = 0; i < COUNT_OF(s->fillers); i++) {
        s->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        assert_true(s->fillers[i] >= 0);
        (void)connect(s->fillers[i], &s->address.any, s->address.len);
    }
}

/* On a free port of 127.0.0.1. */
static inline void peer_server_init(struct peer_server *s, enum peer_server_kind kind)
{
    *s = (struct peer_server){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)};
    assert_true(s->fd >= 0);
    s->address.in.sin_family = AF_INET;
    s->address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->address.len = sizeof s->address.in;
    assert_int_equal(bind(s->fd, &s->address.any, s->address.len), 0);
    assert_int_equal(getsockname(s->fd, &s->address.any, &s->address.len), 0);
    s->port = ntohs(s->address.in.sin_port);
    sock_address_format(&s->address, s->text);
    if (kind != PEER_SERVER_REFUSES)
        assert_int_equal(listen(s->fd, kind == PEER_SERVER_SILENT ? 0 : PEER_ACCEPT_MAX), 0);
    if (kind == PEER_SERVER_SILENT)
        peer_server_fill(s);
    s->peers = mem_alloc(sizeof(struct peer) * PEER_ACCEPT_MAX);
}

static inline void peer_server_done(struct peer_server *s)
{
    for (unsigned i = 0; i < s->count; i++)
        peer_done(&s->peers[i]);
    mem_free(s->peers);
    for (size_t i = 0; i < COUNT_OF(s->fillers); i++)
        if (s->fillers[i] > 0)
            (void)close(s->fillers[i]);
    tls_context_unref(s->tls);
    (void)close(s->fd);
}

static inline bool peer_server_accept(struct peer_server *s)
{
    int fd = accept(s->fd, NULL, NULL);
    if (fd < 0)
        return false;
    struct tls_session *tls = NULL;
    if (s->tls != NULL)
        assert_true(
            err_ok(tls_session_new(&(struct tls_session_options){.context = s->tls}, &tls)));
    assert_true(s->count < PEER_ACCEPT_MAX);
    if (s->buffer_bytes > 0)
        peer_buffer_sizes(fd, s->buffer_bytes);
    peer_init(&s->peers[s->count++], fd, tls);
    return true;
}

static inline bool peer_server_pump(struct peer_server *s)
{
    bool has_moved = false;
    while (peer_server_accept(s))
        has_moved = true;
    for (unsigned i = 0; i < s->count; i++)
        has_moved = peer_pump(&s->peers[i]) || has_moved;
    return has_moved;
}
