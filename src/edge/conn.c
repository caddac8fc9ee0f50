/* conn.c: the life of a client connection between exchanges.
 *
 * The one hard thing: pipelining without recursion. An exchange may end inside conn_process (a
 * fixed answer) or later, from an upstream's event; only the outermost conn_process goes on to
 * the next request. Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/conn.h"

#include "core/mem.h"
#include "edge/access.h"
#include "edge/exchange.h"
#include "edge/view.h"

/* How much unread input is discarded before a close, so that the answer is not lost to a reset. */
#define CONN_LINGER_BYTES (1024 * 1024)

static const char *const conn_state_names[CONN_STATE_COUNT] = {
#define X(name) #name,
    CONN_STATES(X)
#undef X
};

/* conn_allowed[from] has the bit of each state that may follow. */
#define CONN_TO(name) (1u << CONN_##name)
static const unsigned conn_allowed[CONN_STATE_COUNT] = {
    [CONN_IDLE] = CONN_TO(HEAD) | CONN_TO(CLOSED),
    [CONN_HEAD] = CONN_TO(BUSY) | CONN_TO(CLOSED),
    [CONN_BUSY] = CONN_TO(IDLE) | CONN_TO(TUNNEL) | CONN_TO(LINGER) | CONN_TO(CLOSED),
    [CONN_TUNNEL] = CONN_TO(LINGER) | CONN_TO(CLOSED),
    [CONN_LINGER] = CONN_TO(CLOSED),
    [CONN_CLOSED] = 0,
};

const char *conn_state_name(enum conn_state state)
{
    must((unsigned)state < CONN_STATE_COUNT);
    return conn_state_names[state];
}

static void conn_enter(struct conn *c, enum conn_state state)
{
    must(conn_allowed[c->state] & (1u << state));
    c->state = state;
}

static void conn_bury(struct edge_loop *home, struct edge_loop_body *body)
{
    (void)home;
    struct conn *c = container_of(body, struct conn, body);
    c->magic = 0;
    mem_free(c);
}

void conn_close(struct conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    struct exchange *x = c->exchange;
    conn_enter(c, CONN_CLOSED);
    c->exchange = NULL;
    if (x != NULL)
        exchange_abandon(x);
    channel_close(&c->channel);
    timer_close(c->home->loop, &c->timer);
    block_give(&c->home->blocks, &c->in);
    conn_cap_leave(c->home->cap, &c->cap_place);
    list_remove(&c->node);
    c->home->conn_count--;
    edge_loop_end(c->home, &c->body);
}

static void conn_set_deadline(struct conn *c, uint64_t after_ms)
{
    timer_set(c->home->loop, &c->timer, loop_now_ms(c->home->loop) + after_ms);
}

static void conn_linger(struct conn *c)
{
    conn_enter(c, CONN_LINGER);
    c->linger_left = CONN_LINGER_BYTES;
    block_give(&c->home->blocks, &c->in);
    channel_finish(&c->channel);
    channel_want(&c->channel, SOCK_READ | (channel_is_flushed(&c->channel) ? 0 : SOCK_WRITE));
    conn_set_deadline(c, c->home->view->settings->timeouts.linger_ms);
}

static void conn_discard(struct conn *c)
{
    char *room = loop_scratch(c->home->loop);
    size_t got = 0;
    err outcome;
    do {
        outcome = channel_read(&c->channel, room, LOOP_SCRATCH_BYTES, &got);
        c->linger_left -= err_ok(outcome) && got < c->linger_left ? got : c->linger_left;
    } while (err_ok(outcome) && c->linger_left > 0 && channel_has_more(&c->channel));
    if (err_is(outcome, ERR_AGAIN))
        c->linger_left = CONN_LINGER_BYTES;
    else if (!err_ok(outcome) || c->linger_left == 0)
        conn_close(c);
}

/* Reads into the free part of the block; false when the connection ended or nothing came. */
static bool conn_fill(struct conn *c)
{
    struct block_pool *blocks = &c->home->blocks;
    if (c->in == NULL) {
        c->in = block_take(blocks);
        c->in_len = 0;
    }
    size_t got = 0;
    err outcome =
        channel_read(&c->channel, c->in->bytes + c->in_len, blocks->block_bytes - c->in_len, &got);
    if (err_ok(outcome)) {
        c->in_len += got;
        return true;
    }
    if (c->in_len == 0)
        block_give(blocks, &c->in);
    if (!err_is(outcome, ERR_AGAIN))
        conn_close(c);
    return false;
}

static void conn_begin_exchange(struct conn *c)
{
    struct edge_loop *home = c->home;
    conn_enter(c, CONN_HEAD);
    c->exchange = exchange_new(c);
    http1_head_reset(&c->parser);
    c->head_started_ns = loop_now_ns(home->loop);
    if (c->request_count++ > 0)
        conn_set_deadline(c, home->view->settings->timeouts.header_ms);
}

/* Parses and runs what is in the block, as many requests as are complete. */
static void conn_process(struct conn *c)
{
    if (c->is_processing)
        return;
    c->is_processing = true;
    while ((c->state == CONN_IDLE && c->in_len > 0) || c->state == CONN_HEAD) {
        if (c->state == CONN_IDLE)
            conn_begin_exchange(c);
        struct exchange *x = c->exchange;
        err outcome = http1_parse_request(&c->parser, &x->settings->http1,
                                          span_of(c->in->bytes, c->in_len), &x->request, &x->why);
        if (err_is(outcome, ERR_AGAIN))
            break;
        timer_clear(&c->timer);
        conn_enter(c, CONN_BUSY);
        exchange_start(x, outcome);
        exchange_recycle(x);
    }
    c->is_processing = false;
}

/* Plaintext that waits in the TLS session has no event of its own. */
static void conn_read_on(struct conn *c)
{
    while ((c->state == CONN_IDLE || c->state == CONN_HEAD) && channel_has_more(&c->channel) &&
           conn_fill(c))
        conn_process(c);
}

static void conn_receive(struct conn *c)
{
    if (!conn_fill(c))
        return;
    conn_process(c);
    conn_read_on(c);
}

/* While an exchange runs and does not want input, bytes of the next request may arrive. */
static void conn_receive_ahead(struct conn *c)
{
    if (c->in != NULL && c->in_len == c->home->blocks.block_bytes) {
        channel_want(&c->channel, c->channel.wanted & ~SOCK_READ);
        return;
    }
    (void)conn_fill(c);
}

static void conn_on_event(struct channel *channel, unsigned events)
{
    struct conn *c = container_of(channel, struct conn, channel);
    must(c->magic == CONN_MAGIC);
    switch (c->state) {
    case CONN_IDLE:
    case CONN_HEAD:
        conn_receive(c);
        break;
    case CONN_BUSY:
        if (events & SOCK_WRITE)
            exchange_on_client_writable(c->exchange);
        if ((events & SOCK_READ) && c->state == CONN_BUSY &&
            !exchange_on_client_readable(c->exchange))
            conn_receive_ahead(c);
        break;
    case CONN_TUNNEL:
        exchange_on_tunnel_event(c->exchange);
        break;
    case CONN_LINGER:
        if (events & SOCK_WRITE)
            channel_finish(&c->channel);
        conn_discard(c);
        break;
    case CONN_CLOSED:
    case CONN_STATE_COUNT:
        break;
    }
}

static void conn_on_timer(struct timer *t)
{
    struct conn *c = container_of(t, struct conn, timer);
    must(c->magic == CONN_MAGIC);
    if (c->state == CONN_HEAD && c->in_len > 0) {
        conn_enter(c, CONN_BUSY);
        exchange_start(c->exchange, FAIL(REQUEST_TIMEOUT));
        return;
    }
    conn_close(c);
}

static err conn_make_session(struct edge_loop *home, unsigned listener_index,
                             struct tls_session **out)
{
    struct tls_context *context = home->view->settings->listeners[listener_index].tls;
    if (context == NULL) {
        *out = NULL;
        return OK;
    }
    return tls_session_new(&(struct tls_session_options){.context = context}, out);
}

/* Many clients stand behind a trusted proxy, or behind a Unix socket: no cap for those. */
static bool conn_count(struct conn *c)
{
    const struct settings *s = c->home->view->settings;
    if (!c->has_address || forwarded_is_trusted(&s->trust, &c->peer))
        return true;
    if (err_ok(conn_cap_enter(c->home->cap, &c->peer, s->connections_per_ip, &c->cap_place)))
        return true;
    access_refused(c->home, ACCESS_REFUSED_PER_IP);
    return false;
}

void conn_open(struct edge_loop *home, unsigned listener_index, int fd,
               const struct sock_address *peer)
{
    struct tls_session *tls = NULL;
    struct conn *c = MEM_NEW(struct conn);
    c->magic = CONN_MAGIC;
    c->state = CONN_IDLE;
    c->home = home;
    c->listener_index = listener_index;
    c->body.bury = conn_bury;
    c->has_address = err_ok(ip_from_sockaddr(&peer->any, &c->peer, &c->peer_port));
    timer_init(&c->timer, conn_on_timer);
    list_push_back(&home->conns, &c->node);
    home->conn_count++;
    struct sock *sock = sock_adopt(home->loop, fd, NULL, NULL);
    bool has_session = err_ok(conn_make_session(home, listener_index, &tls));
    channel_init(&c->channel, home->loop, sock, tls, conn_on_event);
    if (!has_session || !conn_count(c)) {
        conn_close(c);
        return;
    }
    access_accepted(home);
    channel_want(&c->channel, SOCK_READ);
    conn_set_deadline(c, tls == NULL ? home->view->settings->timeouts.header_ms
                                     : home->view->settings->timeouts.handshake_ms);
}

/* Moves what belongs to the next request to the front. */
static void conn_keep_rest(struct conn *c, size_t used)
{
    must(used <= c->in_len);
    c->in_len -= used;
    if (c->in_len == 0)
        block_give(&c->home->blocks, &c->in);
    else if (used > 0)
        memmove(c->in->bytes, c->in->bytes + used, c->in_len);
}

void conn_exchange_done(struct conn *c, size_t used, bool keeps_alive)
{
    must(c->state == CONN_BUSY || c->state == CONN_TUNNEL);
    c->exchange = NULL;
    if (c->state == CONN_TUNNEL) {
        conn_linger(c);
        return;
    }
    if (!keeps_alive || c->home->is_draining) {
        if (keeps_alive && c->in_len == used && channel_is_flushed(&c->channel))
            conn_close(c);
        else
            conn_linger(c);
        return;
    }
    conn_keep_rest(c, used);
    conn_enter(c, CONN_IDLE);
    channel_want(&c->channel, SOCK_READ);
    conn_set_deadline(c, c->home->view->settings->timeouts.idle_ms);
    if (c->is_processing)
        return;
    conn_process(c);
    conn_read_on(c);
}

bool conn_keep_ahead(struct conn *c, struct span bytes)
{
    if (bytes.len > c->home->blocks.block_bytes - c->in_len)
        return false;
    if (bytes.len > 0)
        memcpy(c->in->bytes + c->in_len, bytes.at, bytes.len);
    c->in_len += bytes.len;
    return true;
}

void conn_become_tunnel(struct conn *c)
{
    conn_enter(c, CONN_TUNNEL);
}
