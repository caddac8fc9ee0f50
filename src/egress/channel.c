/* channel.c: socket calls, with the TLS engine between when there is one.
 *
 * The one hard thing: the engine borrows received bytes, and they are received into the loop's
 * scratch room. So whatever is not used up is settled (copied) before this file returns.
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "egress/channel.h"

#include "core/loop.h"

static void channel_update_watch(struct channel *c)
{
    unsigned events = c->wanted;
    if (c->tls != NULL && tls_session_output(c->tls).len > 0)
        events |= SOCK_WRITE;
    if (c->tls != NULL && !tls_session_is_established(c->tls))
        events |= SOCK_READ;
    sock_watch(c->sock, events);
}

/* Sends waiting ciphertext. OK also when some is left: the socket is then watched. */
static err channel_flush(struct channel *c)
{
    for (;;) {
        struct span waiting = tls_session_output(c->tls);
        if (waiting.len == 0)
            return OK;
        struct iovec part;
        memcpy(&part.iov_base, &waiting.at, sizeof waiting.at);
        part.iov_len = waiting.len;
        size_t sent = 0;
        err outcome = sock_write(c->sock, &part, 1, &sent);
        if (err_is(outcome, ERR_AGAIN))
            return OK;
        TRY(outcome);
        tls_session_output_sent(c->tls, sent);
    }
}

static void channel_on_sock(void *owner, unsigned events)
{
    struct channel *c = owner;
    if (c->tls == NULL) {
        c->on_event(c, events);
        return;
    }
    if ((events & SOCK_WRITE) && !err_ok(channel_flush(c)))
        events |= SOCK_READ; /* the read that follows tells the owner */
    channel_update_watch(c);
    unsigned seen = events & c->wanted;
    if (events & SOCK_READ)
        seen |= SOCK_READ; /* a handshake step: the owner's read drives it */
    if ((seen & SOCK_WRITE) && !channel_is_flushed(c))
        seen &= ~SOCK_WRITE;
    if (seen != 0)
        c->on_event(c, seen);
}

void channel_init(struct channel *c, struct loop *l, struct sock *sock, struct tls_session *tls,
                  void (*on_event)(struct channel *c, unsigned events))
{
    *c = (struct channel){.loop = l, .sock = sock, .tls = tls, .on_event = on_event};
    sock_set_owner(sock, channel_on_sock, c);
    if (tls != NULL) {
        /* A client's first flight is ready; a failure shows at the first read. */
        (void)err_ok(channel_flush(c));
        channel_update_watch(c);
    }
}

static void channel_drop(struct channel *c)
{
    tls_session_free(c->tls);
    c->tls = NULL;
    c->sock = NULL;
}

void channel_close(struct channel *c)
{
    if (c->sock == NULL)
        return;
    sock_close(c->sock);
    channel_drop(c);
}

void channel_abort(struct channel *c)
{
    if (c->sock == NULL)
        return;
    sock_abort(c->sock);
    channel_drop(c);
}

void channel_want(struct channel *c, unsigned events)
{
    c->wanted = events;
    if (c->tls == NULL)
        sock_watch(c->sock, events);
    else
        channel_update_watch(c);
}

static err channel_read_tls(struct channel *c, char *into, size_t cap, size_t *out_got)
{
    for (;;) {
        err outcome = tls_session_read(c->tls, into, cap, out_got);
        if (!err_is(outcome, ERR_AGAIN))
            return outcome;
        size_t got = 0;
        char *scratch = loop_scratch(c->loop);
        TRY(sock_read(c->sock, scratch, LOOP_SCRATCH_BYTES, &got));
        TRY(tls_session_feed(c->tls, span_of(scratch, got)));
    }
}

err channel_read(struct channel *c, char *into, size_t cap, size_t *out_got)
{
    if (c->tls == NULL)
        return sock_read(c->sock, into, cap, out_got);
    err outcome = channel_read_tls(c, into, cap, out_got);
    err settled = tls_session_settle(c->tls);
    if (!err_ok(settled) && (err_ok(outcome) || err_is(outcome, ERR_AGAIN)))
        outcome = settled;
    /* Handshake messages, tickets and alerts leave even when the read failed. While a request is
     * being read the answer follows at once and takes the tickets along. */
    if (!err_ok(outcome))
        (void)err_ok(channel_flush(c));
    channel_update_watch(c);
    return outcome;
}

bool channel_has_more(const struct channel *c)
{
    return c->tls != NULL && tls_session_has_more(c->tls);
}

err channel_write(struct channel *c, const struct iovec *parts, unsigned count, size_t *out_written)
{
    if (c->tls == NULL)
        return sock_write(c->sock, parts, count, out_written);
    size_t taken = 0;
    err outcome = tls_session_write(c->tls, parts, count, &taken);
    if (err_is(outcome, ERR_AGAIN)) {
        TRY(channel_flush(c));
        outcome = tls_session_write(c->tls, parts, count, &taken);
    }
    if (err_ok(outcome))
        outcome = channel_flush(c);
    channel_update_watch(c);
    TRY(outcome);
    *out_written = taken;
    return OK;
}

bool channel_is_flushed(const struct channel *c)
{
    return c->tls == NULL || tls_session_output(c->tls).len == 0;
}

void channel_finish(struct channel *c)
{
    if (c->tls != NULL) {
        tls_session_close(c->tls);
        (void)err_ok(channel_flush(c));
    }
    if (channel_is_flushed(c))
        sock_shutdown_write(c->sock);
}
