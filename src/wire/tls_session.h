/* tls_session.h: one TLS connection: ciphertext in, plaintext out, and back.
 *
 * No sockets: the owner moves bytes. Typical turn of a loop:
 *
 *   recv -> tls_session_feed -> tls_session_read until ERR_AGAIN -> answer by tls_session_write
 *        -> send tls_session_output -> tls_session_output_sent
 *
 * The hard thing is whose bytes are where. feed borrows the caller's bytes instead of copying
 * them; they are used up when read says ERR_AGAIN, or ERR_TLS or ERR_CLOSED. A caller that stops
 * reading earlier calls tls_session_settle before it reuses its buffer. Nothing else borrows.
 * An idle session holds no buffers.
 *
 * A session belongs to one thread; its context is shared.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <sys/uio.h>

#include "core/buf.h"
#include "wire/tls_context.h"

struct tls_session;
struct tls_session_ticket; /* a client's means to resume */

#define TLS_SESSION_INPUT_MAX_DEFAULT  (128 * 1024)
#define TLS_SESSION_OUTPUT_MAX_DEFAULT (128 * 1024)

struct tls_session_options {
    struct tls_context *context; /* a reference is taken; decides between server and client */
    /* Client: the name to ask for and to verify; an IP address is verified and not asked for. */
    struct span server_name;
    struct tls_session_ticket *ticket; /* client: resume with this, or NULL; stays the caller's */
    bool keeps_ticket;                 /* client: for tls_session_take_ticket */
    size_t input_max_bytes;            /* what settle may keep; 0 = default */
    size_t output_max_bytes;           /* ciphertext not yet sent; 0 = default, else >= 32 KiB */
};

/* A client's first flight is in the output at once. ERR_INVALID (server_name), ERR_NO_MEMORY. */
err tls_session_new(const struct tls_session_options *options, struct tls_session **out);
void tls_session_free(struct tls_session *s); /* accepts NULL */

/* Takes received bytes and drives the handshake with them. Nothing may be borrowed from before.
 * OK, ERR_TOO_LARGE (more than input_max_bytes would be kept; nothing was taken), ERR_TLS (see
 * tls_session_fault; the output may hold an alert for the peer), ERR_NO_MEMORY. */
err tls_session_feed(struct tls_session *s, struct span ciphertext);
/* Copies fed bytes that were not used up, so that the caller's buffer is free again. ERR_TOO_LARGE,
 * ERR_NO_MEMORY: the session has failed. */
err tls_session_settle(struct tls_session *s);
/* Whether something may be read of what was fed before: bytes that settle kept, or the rest of a
 * record of which a read took a part. Then read before receiving more. */
bool tls_session_has_more(const struct tls_session *s);

/* Up to cap (> 0) bytes of plaintext. ERR_AGAIN: all input is used up; ERR_CLOSED: the peer sent
 * close_notify (the end of a connection without it is a truncation); ERR_TLS. */
err tls_session_read(struct tls_session *s, char *out, size_t cap, size_t *out_got);

/* Encrypts the pieces as one run of records, as far as output_max_bytes allows: *out_taken may be
 * less than all. ERR_AGAIN: nothing was taken, send the output first (or finish the handshake);
 * ERR_CLOSED after tls_session_close; ERR_TLS; ERR_NO_MEMORY. */
err tls_session_write(struct tls_session *s, const struct iovec *pieces, size_t count,
                      size_t *out_taken);

/* Ciphertext for the peer, valid until the next call that takes the session non-const. New session
 * tickets wait here and leave with the first response when the caller answers before it sends. */
struct span tls_session_output(const struct tls_session *s);
void tls_session_output_sent(struct tls_session *s, size_t count);
/* Moves the output out instead, for writes that need the bytes to stay in place. *out must be
 * done or zeroed before; the caller calls buf_done. The output is empty afterwards. */
void tls_session_output_take(struct tls_session *s, struct buf *out);

/* Puts close_notify into the output; at most once. */
void tls_session_close(struct tls_session *s);

bool tls_session_is_established(const struct tls_session *s);
/* The peer sent close_notify. */
bool tls_session_is_peer_closed(const struct tls_session *s);
/* Why the session failed; NULL while it has not. Borrowed from the session. */
const struct fault *tls_session_fault(const struct tls_session *s);
/* The last alert that the peer sent, "close notify" included; NULL without one. Static text. */
const char *tls_session_peer_alert(const struct tls_session *s);

/* Valid once established; server_name as soon as the client's hello was read. */
struct tls_session_info {
    struct span server_name; /* lower case; empty when none was asked for. Borrowed */
    struct span alpn;        /* empty when none was agreed. Borrowed */
    const char *protocol;    /* "TLSv1.3"; static */
    const char *cipher;      /* standard name; static */
    bool is_resumed;
};
void tls_session_describe(const struct tls_session *s, struct tls_session_info *out);

/* Client with keeps_ticket: the newest ticket, owned by the caller; NULL when there is none. */
struct tls_session_ticket *tls_session_take_ticket(struct tls_session *s);
void tls_session_ticket_free(struct tls_session_ticket *t); /* accepts NULL */
