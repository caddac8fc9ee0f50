/* relay.c: framing off, framing on, and back-pressure.
 *
 * The one hard thing: an event costs one read and one write. So after a read was passed on the
 * pump returns and waits for the next event instead of reading until the socket is empty; only
 * TLS, whose plaintext has no event of its own, is read on. Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/relay.h"

#include "edge/access.h"
#include "edge/head.h"

#define RELAY_CONTINUE      SPAN("HTTP/1.1 100 Continue\r\n\r\n")
#define RELAY_CHUNK_END     SPAN("\r\n")
#define RELAY_LAST_CHUNK    SPAN("0\r\n\r\n")
#define RELAY_CHUNK_AND_END SPAN("\r\n0\r\n\r\n")
#define RELAY_INTERIM_MAX   8
#define RELAY_READS_MAX     8    /* of a request body in one event: others wait meanwhile */
#define RELAY_JOIN_MAX      2048 /* bytes that are cheaper to copy than to send as a piece */

static void relay_update_wants(struct proxy *p)
{
    struct exchange *x = p->x;
    unsigned link = flow_is_empty(&x->to_client) ? SOCK_READ : 0;
    unsigned client = flow_is_empty(&x->to_client) ? 0 : SOCK_WRITE;
    if (!flow_is_empty(&p->to_upstream) && !p->is_request_broken)
        link |= SOCK_WRITE;
    if (x->body.is_read_whole || flow_is_empty(&p->to_upstream))
        client |= SOCK_READ;
    channel_want(&p->link->channel, link);
    channel_want(&x->conn->channel, client);
}

/* Queues payload in the framing of its side. `chunk` keeps the size line until it is sent. */
static void relay_queue(struct flow *f, enum http_body_kind kind, char *chunk, struct span payload,
                        bool is_end)
{
    if (kind != HTTP_BODY_CHUNKED) {
        flow_add(f, payload);
        return;
    }
    if (payload.len > 0) {
        flow_add(f, span_of(chunk, http1_chunk_line(chunk, payload.len)));
        flow_add(f, payload);
        flow_add(f, is_end ? RELAY_CHUNK_AND_END : RELAY_CHUNK_END);
    } else if (is_end) {
        flow_add(f, RELAY_LAST_CHUNK);
    }
}

/* Sends what waits for the client; false when it is gone, and the exchange with it. */
static bool relay_flush_client(struct proxy *p)
{
    struct exchange *x = p->x;
    err outcome = flow_send(&x->to_client, &x->conn->channel);
    if (err_ok(outcome) || err_is(outcome, ERR_AGAIN))
        return true;
    conn_close(x->conn);
    return false;
}

/* ---- the request ---- */

static void relay_choose_request_framing(struct proxy *p)
{
    struct exchange *x = p->x;
    const struct http_head *head = &x->request.head;
    p->request_framing = (struct head_framing){.kind = head->body, .length = head->content_length};
    /* A chunked body that is here whole is simpler for everybody with its length. */
    if (head->body == HTTP_BODY_CHUNKED && x->body.is_read_whole && !x->body.is_streamed)
        p->request_framing =
            (struct head_framing){.kind = HTTP_BODY_LENGTH, .length = x->body.first.len};
}

static void relay_request_is_received(struct proxy *p)
{
    struct exchange *x = p->x;
    if (p->received_ms != 0)
        return;
    p->received_ms = loop_now_ms(x->home->loop);
    if (!x->body.is_streamed)
        return;
    /* The time that the client took to send its body is not the upstream's. */
    uint64_t sending_ms = p->received_ms - x->head_ns / 1000000;
    p->deadline_ms += sending_ms;
    if (p->try_deadline_ms != 0)
        p->try_deadline_ms += sending_ms;
}

void relay_send_request(struct proxy *p)
{
    struct exchange *x = p->x;
    struct block_pool *blocks = &x->home->blocks;
    size_t len = 0;
    if (p->head == NULL)
        p->head = block_take(blocks);
    relay_choose_request_framing(p);
    flow_reset(&p->to_upstream);
    p->is_request_broken = false;
    p->interim_count = 0;
    p->rate_check_ms = 0;
    http1_head_reset(&p->parser);
    if (!err_ok(head_write_request(x, p->upstream, &p->request_framing, p->head->bytes,
                                   blocks->block_bytes, &len))) {
        proxy_try_failed(p, ERR_HEADERS_TOO_LARGE, "the head is too large to pass on");
        return;
    }
    flow_add(&p->to_upstream, span_of(p->head->bytes, len));
    relay_queue(&p->to_upstream, p->request_framing.kind, p->request_chunk, x->body.first,
                x->body.is_read_whole);
    flow_join(&p->to_upstream, p->head->bytes, blocks->block_bytes, RELAY_JOIN_MAX);
    if (!x->body.is_read_whole) {
        if (x->request.expects_continue && x->body.decoder.received_bytes == 0 &&
            !p->is_continue_sent) {
            p->is_continue_sent = true;
            flow_add(&x->to_client, RELAY_CONTINUE);
            if (!relay_flush_client(p))
                return;
        }
    }
    relay_pump_request(p);
}

/* Reads more of the request body; OK when something was queued or the body ended. */
static err relay_read_body(struct proxy *p)
{
    struct exchange *x = p->x;
    struct exchange_body *body = &x->body;
    size_t room = x->home->blocks.block_bytes;
    size_t got = 0;
    struct http1_decoded decoded = {0};
    if (body->block == NULL)
        body->block = block_take(&x->home->blocks);
    if (body->decoder.kind == HTTP_BODY_LENGTH && body->decoder.left < room)
        room = (size_t)body->decoder.left; /* what follows is the next request's */
    TRY(channel_read(&x->conn->channel, body->block->bytes, room, &got));
    body->is_streamed = true;
    TRY(http1_body_decode(&body->decoder, &x->settings->http1, body->block->bytes, got, &decoded,
                          &x->why));
    if (body->decoder.received_bytes > x->route->body_max_bytes)
        return fault_set(&x->why, ERR_BODY_TOO_LARGE, "the body is larger than the limit of %llu",
                         (unsigned long long)x->route->body_max_bytes);
    body->is_read_whole = http1_body_is_done(&body->decoder);
    if (!conn_keep_ahead(x->conn,
                         span_of(body->block->bytes + decoded.consumed, got - decoded.consumed)))
        x->keeps_alive = false;
    relay_queue(&p->to_upstream, p->request_framing.kind, p->request_chunk,
                span_of(body->block->bytes, decoded.payload), body->is_read_whole);
    return OK;
}

/* The client's body is wrong, late or gone. */
static void relay_body_failed(struct proxy *p, err outcome)
{
    struct exchange *x = p->x;
    bool is_gone =
        err_is(outcome, ERR_CLOSED) || err_is(outcome, ERR_IO) || err_is(outcome, ERR_TLS);
    if (is_gone || x->is_head_sent) {
        conn_close(x->conn);
        return;
    }
    proxy_refuse_body(p, outcome.code);
}

void relay_pump_request(struct proxy *p)
{
    struct exchange *x = p->x;
    for (unsigned reads = 0;; reads++) {
        err outcome = flow_send(&p->to_upstream, &p->link->channel);
        if (err_is(outcome, ERR_AGAIN))
            break;
        if (!err_ok(outcome)) {
            /* It may have answered before it closed: the response decides. */
            p->is_request_broken = true;
            break;
        }
        /* At once, so that the next request of this turn finds it in the processor's cache. */
        block_give(&x->home->blocks, &p->head);
        if (x->body.is_read_whole) {
            relay_request_is_received(p);
            break;
        }
        if (reads >= RELAY_READS_MAX && !channel_has_more(&x->conn->channel))
            break;
        outcome = relay_read_body(p);
        if (err_is(outcome, ERR_AGAIN))
            break;
        if (!err_ok(outcome)) {
            relay_body_failed(p, outcome);
            return;
        }
    }
    relay_update_wants(p);
    proxy_set_timer(p);
}

/* ---- the response ---- */

static void relay_closed_early(struct proxy *p, err outcome)
{
    (void)outcome;
    proxy_try_failed(p, ERR_UPSTREAM_CLOSED,
                     "the upstream closed the connection without an answer");
}

static void relay_is_malformed(struct proxy *p)
{
    struct exchange *x = p->x;
    access_bad_response(x, &x->why);
    proxy_try_failed(p, ERR_BAD_UPSTREAM, "the upstream's response is not valid HTTP");
}

/* Queues an interim response (RFC 9110 section 15.2); 100 is ours to send and is dropped. */
static err relay_queue_interim(struct proxy *p)
{
    struct exchange *x = p->x;
    size_t len = 0, cap = x->home->blocks.block_bytes;
    if (p->response.status == 100 || x->request.head.version_minor == 0)
        return OK;
    if (x->head_block == NULL)
        x->head_block = block_take(&x->home->blocks);
    TRY(head_write_interim(x, &p->response, x->head_block->bytes, cap, &len));
    flow_add(&x->to_client, span_of(x->head_block->bytes, len));
    return OK;
}

/* Parses one head; true when it was an interim one and the next may follow. */
static bool relay_parse_one(struct proxy *p)
{
    struct exchange *x = p->x;
    p->response.head.fields = x->response_fields;
    p->response.head.field_max = EXCHANGE_FIELDS_MAX;
    err outcome = http1_parse_response(&p->parser, &x->settings->http1, x->request.method,
                                       span_of(p->in->bytes, p->in_len), &p->response, &x->why);
    if (err_is(outcome, ERR_AGAIN))
        return false;
    if (err_ok(outcome) && (p->response.status >= 200 || p->response.status == 101)) {
        p->response_status = p->response.status;
        return false;
    }
    if (err_ok(outcome) && ++p->interim_count > RELAY_INTERIM_MAX)
        outcome = fault_set(&x->why, ERR_BAD_UPSTREAM, "too many interim responses");
    if (err_ok(outcome))
        outcome = relay_queue_interim(p);
    if (!err_ok(outcome)) {
        relay_is_malformed(p);
        return false;
    }
    p->in_len -= p->response.head.head_bytes;
    memmove(p->in->bytes, p->in->bytes + p->response.head.head_bytes, p->in_len);
    http1_head_reset(&p->parser);
    return relay_flush_client(p);
}

/* Parses what is in the block: a final response sets response_status. An interim one that the
 * client does not take yet stops the reading. */
static void relay_parse_head(struct proxy *p)
{
    while (relay_parse_one(p))
        if (!flow_is_empty(&p->x->to_client)) {
            relay_update_wants(p);
            return;
        }
}

void relay_resume_head(struct proxy *p)
{
    if (!relay_flush_client(p) || !flow_is_empty(&p->x->to_client))
        return;
    if (p->state == PROXY_WAITING && p->in_len > 0)
        relay_parse_head(p);
    if (p->state == PROXY_WAITING)
        relay_update_wants(p);
    else if (p->link == NULL || p->state == PROXY_OPENING)
        channel_want(&p->x->conn->channel, SOCK_READ);
}

void relay_read_head(struct proxy *p)
{
    struct exchange *x = p->x;
    size_t got = 0;
    if (p->in == NULL) {
        p->in = block_take(&x->home->blocks);
        p->in_len = 0;
    }
    do {
        err outcome = channel_read(&p->link->channel, p->in->bytes + p->in_len,
                                   x->home->blocks.block_bytes - p->in_len, &got);
        if (err_is(outcome, ERR_AGAIN))
            return;
        if (!err_ok(outcome)) {
            relay_closed_early(p, outcome);
            return;
        }
        p->in_len += got;
        relay_parse_head(p);
    } while (p->state == PROXY_WAITING && p->response_status == 0 && flow_is_empty(&x->to_client) &&
             channel_has_more(&p->link->channel));
}

static uint64_t relay_keep_alive_hint(const struct http_response *response)
{
    const struct http_field *f = http_head_find(&response->head, HTTP_FIELD_KEEP_ALIVE);
    struct span rest = f == NULL ? (struct span){NULL, 0} : f->value;
    struct span member;
    uint64_t seconds = 0;
    while (rest.at != NULL && http_list_next(&rest, &member)) {
        struct span value = member;
        struct span name = span_cut(&value, '=');
        if (span_eq_nocase(name, SPAN("timeout")) && value.at != NULL &&
            err_ok(span_parse_u64(value, 86400, &seconds)))
            return seconds * 1000;
    }
    return 0;
}

static void relay_choose_response_framing(struct proxy *p, struct head_framing *out)
{
    struct exchange *x = p->x;
    const struct http_head *head = &p->response.head;
    *out = (struct head_framing){.kind = head->body, .length = head->content_length};
    if (head->body == HTTP_BODY_CHUNKED || head->body == HTTP_BODY_UNTIL_CLOSE) {
        bool speaks_chunked = x->request.head.version_minor >= 1;
        out->kind = speaks_chunked ? HTTP_BODY_CHUNKED : HTTP_BODY_UNTIL_CLOSE;
        x->keeps_alive = x->keeps_alive && speaks_chunked;
    }
    p->client_framing = out->kind;
}

/* Takes the framing off `len` bytes at the front of the block and queues the payload. */
static err relay_queue_payload(struct proxy *p, size_t offset, size_t len)
{
    struct exchange *x = p->x;
    char *at = p->in->bytes + offset;
    struct http1_decoded decoded = {0};
    TRY(http1_body_decode(&p->body, &x->settings->http1, at, len, &decoded, &x->why));
    x->response_body_bytes += decoded.payload;
    bool is_end = http1_body_is_done(&p->body);
    if (decoded.consumed < len) /* a response that nobody asked for follows: RFC 9112 section 6.3 */
        p->is_link_reusable = false;
    relay_queue(&x->to_client, p->client_framing, p->response_chunk, span_of(at, decoded.payload),
                is_end);
    p->is_body_ended = is_end;
    return OK;
}

err relay_queue_response(struct proxy *p)
{
    struct exchange *x = p->x;
    struct block_pool *blocks = &x->home->blocks;
    struct head_framing framing;
    size_t len = 0;
    if (x->head_block == NULL)
        x->head_block = block_take(blocks);
    /* What the client still sends of a body that was answered early is not the next request. */
    x->keeps_alive = x->keeps_alive && x->body.is_read_whole && !x->home->is_draining;
    relay_choose_response_framing(p, &framing);
    TRY(head_write_response(x, &p->response, &framing, x->head_block->bytes, blocks->block_bytes,
                            &len));
    p->is_link_reusable = p->response.head.is_keep_alive;
    p->keep_alive_hint_ms = relay_keep_alive_hint(&p->response);
    x->is_head_sent = true;
    flow_add(&x->to_client, span_of(x->head_block->bytes, len));
    http1_body_init(&p->body, p->response.head.body, p->response.head.content_length);
    p->is_body_ended = http1_body_is_done(&p->body);
    size_t rest = p->in_len - p->response.head.head_bytes;
    if (p->is_body_ended)
        p->is_link_reusable = p->is_link_reusable && rest == 0;
    else if (rest > 0)
        TRY(relay_queue_payload(p, p->response.head.head_bytes, rest));
    /* One piece leaves by a cheaper call than several. */
    flow_join(&x->to_client, x->head_block->bytes, blocks->block_bytes, RELAY_JOIN_MAX);
    return OK;
}

/* Reads more of the response body and queues it. */
static err relay_read_response(struct proxy *p)
{
    size_t got = 0;
    err outcome =
        channel_read(&p->link->channel, p->in->bytes, p->x->home->blocks.block_bytes, &got);
    if (err_is(outcome, ERR_CLOSED) && p->body.kind == HTTP_BODY_UNTIL_CLOSE) {
        p->is_body_ended = true;
        p->is_link_reusable = false;
        relay_queue(&p->x->to_client, p->client_framing, p->response_chunk, SPAN(""), true);
        return OK;
    }
    TRY(outcome);
    return relay_queue_payload(p, 0, got);
}

bool relay_pump_response(struct proxy *p)
{
    struct exchange *x = p->x;
    bool has_read = false;
    for (;;) {
        err outcome = flow_send(&x->to_client, &x->conn->channel);
        if (!err_ok(outcome) && !err_is(outcome, ERR_AGAIN)) {
            conn_close(x->conn);
            return false;
        }
        if (err_ok(outcome) && p->is_body_ended) {
            proxy_finish(p);
            return true;
        }
        if (err_is(outcome, ERR_AGAIN) || (has_read && !channel_has_more(&p->link->channel)))
            break;
        outcome = relay_read_response(p);
        if (err_is(outcome, ERR_AGAIN))
            break;
        if (!err_ok(outcome)) {
            proxy_break_off(p);
            return false;
        }
        has_read = true;
    }
    relay_update_wants(p);
    proxy_set_timer(p);
    return false;
}
