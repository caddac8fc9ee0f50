/* tunnel.c: two flows, one for each direction.
 *
 * The one hard thing: either end may go at any moment; what is queued for the other is sent first
 * when it can be sent at once. Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/tunnel.h"

#include "edge/access.h"
#include "edge/head.h"
#include "edge/respond.h"
#include "wire/websocket.h"

#define TUNNEL_READS_MAX 8 /* in one event and direction: others wait meanwhile */

bool tunnel_may_begin(struct exchange *x)
{
    switch (websocket_check_request(&x->request, &x->why)) {
    case WEBSOCKET_VALID:
        return true;
    case WEBSOCKET_BAD_VERSION:
        exchange_fail(x, ERR_BAD_REQUEST, "%s", "Sec-WebSocket-Version must be 13");
        x->status = 426;
        x->answer.lines = SPAN("sec-websocket-version: 13\r\nupgrade: websocket\r\n");
        break;
    case WEBSOCKET_BAD_REQUEST:
        exchange_fail(x, ERR_BAD_REQUEST, "%s", "the WebSocket handshake is not valid");
        break;
    case WEBSOCKET_NONE:
        exchange_fail(x, ERR_BAD_REQUEST, "%s", "only an upgrade to websocket is served");
        break;
    }
    x->proxy->state = PROXY_DONE;
    return false;
}

static enum exchange_verdict tunnel_refuse(struct proxy *p)
{
    struct exchange *x = p->x;
    access_bad_response(x, &x->why);
    proxy_fail_response(p, "the upstream's answer to the upgrade is not valid");
    return respond_own(x);
}

/* Queues what arrived ahead of the tunnel on both sides. */
static void tunnel_queue_early(struct proxy *p)
{
    struct exchange *x = p->x;
    struct conn *c = x->conn;
    size_t head_bytes = p->response.head.head_bytes;
    flow_add(&x->to_client, span_of(p->in->bytes + head_bytes, p->in_len - head_bytes));
    flow_reset(&p->to_upstream);
    flow_add(&p->to_upstream, span_of(c->in->bytes + x->request.head.head_bytes,
                                      c->in_len - x->request.head.head_bytes));
}

enum exchange_verdict tunnel_begin(struct proxy *p)
{
    struct exchange *x = p->x;
    struct block_pool *blocks = &x->home->blocks;
    const struct http_field *key = http_head_find(&x->request.head, HTTP_FIELD_SEC_WEBSOCKET_KEY);
    struct head_framing none = {.kind = HTTP_BODY_NONE};
    size_t len = 0;
    bool is_wanted = x->request.head.is_upgrade && key != NULL;
    if (!is_wanted || !err_ok(websocket_check_response(key->value, &p->response, &x->why)))
        return tunnel_refuse(p);
    x->head_block = x->head_block == NULL ? block_take(blocks) : x->head_block;
    if (!err_ok(head_write_response(x, &p->response, &none, x->head_block->bytes,
                                    blocks->block_bytes, &len)))
        return tunnel_refuse(p);
    x->is_head_sent = true;
    flow_add(&x->to_client, span_of(x->head_block->bytes, len));
    tunnel_queue_early(p);
    x->body.block = x->body.block == NULL ? block_take(blocks) : x->body.block;
    proxy_enter(p, PROXY_TUNNEL);
    conn_become_tunnel(x->conn);
    x->home->tunnel_count++;
    tunnel_pump(p);
    return EXCHANGE_WAIT;
}

/* One direction: sends what waits, then reads more, for a while: the next event tells that there is
 * more still, but for the rest of a TLS record. AGAIN; CLOSED: `from` has ended and all was
 * passed on; IO: the tunnel must end. */
static err tunnel_pass(struct flow *f, struct channel *from, struct channel *to, char *room,
                       size_t cap)
{
    for (unsigned reads = 0;; reads++) {
        size_t got = 0;
        err outcome = flow_send(f, to);
        if (err_is(outcome, ERR_AGAIN))
            return outcome;
        if (!err_ok(outcome))
            return FAIL(IO);
        if (reads >= TUNNEL_READS_MAX && !channel_has_more(from))
            return FAIL(AGAIN);
        TRY(channel_read(from, room, cap, &got));
        flow_add(f, span_of(room, got));
    }
}

void tunnel_pump(struct proxy *p)
{
    struct exchange *x = p->x;
    struct channel *client = &x->conn->channel;
    struct channel *target = &p->link->channel;
    size_t cap = x->home->blocks.block_bytes;
    err down = tunnel_pass(&x->to_client, target, client, p->in->bytes, cap);
    err up = tunnel_pass(&p->to_upstream, client, target, x->body.block->bytes, cap);
    if (err_is(down, ERR_CLOSED)) {
        /* The client gets all of it, and its own last bytes must not turn that into a reset. */
        proxy_end_tunnel(p);
        exchange_advance(x);
        return;
    }
    if (!err_is(down, ERR_AGAIN) || !err_is(up, ERR_AGAIN)) {
        conn_close(x->conn);
        return;
    }
    bool client_waits = !flow_is_empty(&x->to_client);
    bool target_waits = !flow_is_empty(&p->to_upstream);
    channel_want(client, (client_waits ? SOCK_WRITE : 0) | (target_waits ? 0 : SOCK_READ));
    channel_want(target, (target_waits ? SOCK_WRITE : 0) | (client_waits ? 0 : SOCK_READ));
    proxy_set_timer(p);
}
