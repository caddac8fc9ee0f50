/* channel.h: one stream connection, plain or under TLS, seen the same from above.
 *
 * Used toward clients and toward upstreams. The one hard thing: under TLS, readiness of the socket
 * and readiness of plaintext differ. So an owner reads until channel_has_more is false, and
 * `written` means accepted; channel_is_flushed tells whether all of it left.
 *
 * Embedded in its owner, who calls channel_close before its memory goes. Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/sock.h"
#include "wire/tls_session.h"

struct channel {
    struct loop *loop;
    struct sock *sock;       /* owned; NULL when closed */
    struct tls_session *tls; /* owned; NULL for a plain connection */
    /* SOCK_READ and SOCK_WRITE of what channel_want asked for. */
    void (*on_event)(struct channel *c, unsigned events);
    unsigned wanted;
};

/* Takes the socket (and the session, or NULL) over. */
void channel_init(struct channel *c, struct loop *l, struct sock *sock, struct tls_session *tls,
                  void (*on_event)(struct channel *c, unsigned events));
void channel_close(struct channel *c); /* may run twice */
void channel_abort(struct channel *c); /* with a reset */

/* Which events the owner wants now. */
void channel_want(struct channel *c, unsigned events);

/* OK with *out_got > 0; ERR_AGAIN; ERR_CLOSED at an orderly end; ERR_IO; ERR_TLS. */
err channel_read(struct channel *c, char *into, size_t cap, size_t *out_got);
/* Whether plaintext may be waiting without a further event of the socket. */
bool channel_has_more(const struct channel *c);

/* OK with *out_written > 0 (maybe not all); ERR_AGAIN; ERR_CLOSED; ERR_TLS. */
err channel_write(struct channel *c, const struct iovec *parts, unsigned count,
                  size_t *out_written);
/* Nothing accepted waits inside. */
bool channel_is_flushed(const struct channel *c);
/* Says that no more will be written (close_notify and FIN); what waits is sent first. */
void channel_finish(struct channel *c);

static inline bool channel_is_open(const struct channel *c)
{
    return c->sock != NULL;
}

/* True once TLS is negotiated, and always for a plain connection. */
static inline bool channel_is_established(const struct channel *c)
{
    return c->tls == NULL || tls_session_is_established(c->tls);
}
