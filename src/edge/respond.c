/* respond.c: answers of our own.
 *
 * The one hard thing: a body that nobody wants. The answer goes out at once and the connection
 * closes behind it, lingering, because reading an unwanted upload to its end is no service.
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/respond.h"

#include "edge/head.h"
#include "wire/problem.h"

#define RESPOND_PROBLEM_MAX (16 * 1024)
#define RESPOND_HANDLER_MAX (64 * 1024 * 1024)

/* "{path}" and "{query}" in a redirect's location, which may grow as long as a received head. */
static err respond_location(struct exchange *x, struct span *out_location)
{
    struct span pattern = x->route->location;
    struct buf out;
    buf_init(&out, x->home->blocks.block_bytes - HEAD_OWN_BYTES);
    err outcome = OK;
    while (pattern.len > 0 && err_ok(outcome)) {
        if (span_starts(pattern, SPAN("{path}"))) {
            outcome = buf_add(&out, x->path);
            pattern = span_skip(pattern, 6);
        } else if (span_starts(pattern, SPAN("{query}"))) {
            if (x->request.query.at != NULL)
                outcome = buf_printf(&out, "?%.*s", SPAN_ARGS(x->request.query));
            pattern = span_skip(pattern, 7);
        } else if (span_starts(pattern, SPAN("{host}"))) {
            outcome = buf_add(&out, x->request.host);
            pattern = span_skip(pattern, 6);
        } else {
            outcome = buf_add_char(&out, pattern.at[0]);
            pattern = span_skip(pattern, 1);
        }
    }
    if (err_ok(outcome))
        *out_location = arena_copy(&x->arena, buf_span(&out));
    buf_done(&out);
    return outcome;
}

enum exchange_verdict respond_redirect(struct exchange *x)
{
    struct span location;
    if (!err_ok(respond_location(x, &location))) {
        exchange_fail(x, ERR_URI_TOO_LONG, "the redirect's location would be too long");
        return EXCHANGE_NEXT;
    }
    x->status = x->route->status;
    x->answer.lines = arena_printf(&x->arena, "location: %.*s\r\n", SPAN_ARGS(location));
    return EXCHANGE_NEXT;
}

enum exchange_verdict respond_fixed(struct exchange *x)
{
    x->status = x->route->status;
    x->answer.content_type = x->route->content_type;
    x->answer.body = x->route->body;
    return EXCHANGE_NEXT;
}

static void respond_take_call(struct exchange *x, struct call *call)
{
    x->status = call->status;
    x->answer.content_type = call->content_type;
    x->handler_body = call->answer;
    x->answer.body = buf_span(&x->handler_body);
    x->answer.lines =
        arena_printf(&x->arena, "cache-control: %.*s\r\n", SPAN_ARGS(call->cache_control));
}

static enum exchange_verdict respond_call(struct exchange *x)
{
    const struct route *handler = x->route->handler;
    struct call call = {.node = x->home->node,
                        .arena = &x->arena,
                        .request = &x->request,
                        .path = x->path,
                        .body = x->body.first,
                        .request_id = span_of(x->id, x->id_len),
                        .param_count = x->match.param_count,
                        .now_ms = loop_now_ms(x->home->loop),
                        .wall_ns = loop_wall_ns(x->home->loop),
                        .status = 200,
                        .content_type = SPAN("application/json"),
                        .cache_control = SPAN("no-store")};
    memcpy(call.params, x->match.params, sizeof call.params);
    buf_init(&call.answer, RESPOND_HANDLER_MAX);
    err outcome = handler->handle(&call, &x->why);
    if (err_ok(outcome)) {
        respond_take_call(x, &call);
    } else {
        buf_done(&call.answer);
        x->failure = outcome;
        x->status = (unsigned)err_http_status(outcome.code);
    }
    return EXCHANGE_NEXT;
}

enum exchange_verdict respond_handler(struct exchange *x)
{
    const struct settings_listener *listener = conn_listener(x->conn, x->settings);
    if ((x->route->handler->flags & ROUTE_PRIVILEGED) && !listener->is_control_socket) {
        exchange_fail(x, ERR_FORBIDDEN, "this is served on the control socket only");
        return EXCHANGE_NEXT;
    }
    if (x->body.is_read_whole)
        return respond_call(x);
    struct block_pool *blocks = &x->home->blocks;
    x->body.block = block_take(blocks);
    must(x->body.first.len <= blocks->block_bytes);
    if (x->body.first.len > 0)
        memcpy(x->body.block->bytes, x->body.first.at, x->body.first.len);
    x->body.first.at = x->body.block->bytes;
    if (x->request.expects_continue && x->body.decoder.received_bytes == 0) {
        flow_add(&x->to_client, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
        if (!err_ok(flow_send(&x->to_client, &x->conn->channel))) {
            conn_close(x->conn);
            return EXCHANGE_WAIT;
        }
    }
    timer_set(x->home->loop, &x->timer,
              loop_now_ms(x->home->loop) + x->settings->timeouts.stall_ms);
    return EXCHANGE_WAIT;
}

/* Collects the body that a handler waits for. */
bool respond_on_readable(struct exchange *x)
{
    struct exchange_body *body = &x->body;
    if (body->block == NULL)
        return false;
    size_t room = x->home->blocks.block_bytes - body->first.len;
    size_t got = 0;
    struct http1_decoded decoded = {0};
    err outcome = room == 0 ? FAIL(BODY_TOO_LARGE)
                            : channel_read(&x->conn->channel, body->block->bytes + body->first.len,
                                           room, &got);
    if (err_is(outcome, ERR_AGAIN))
        return true;
    if (err_is(outcome, ERR_CLOSED) || err_is(outcome, ERR_IO) || err_is(outcome, ERR_TLS)) {
        conn_close(x->conn);
        return true;
    }
    if (err_ok(outcome))
        outcome = http1_body_decode(&body->decoder, &x->settings->http1,
                                    body->block->bytes + body->first.len, got, &decoded, &x->why);
    if (!err_ok(outcome)) {
        exchange_fail(x, outcome.code, "%s", x->why.text);
        exchange_advance(x);
        return true;
    }
    body->first.len += decoded.payload;
    body->is_read_whole = http1_body_is_done(&body->decoder);
    if (!body->is_read_whole)
        return true;
    struct span ahead =
        span_of(body->first.at + body->first.len - decoded.payload + decoded.consumed,
                got - decoded.consumed);
    x->keeps_alive = x->keeps_alive && conn_keep_ahead(x->conn, ahead);
    timer_clear(&x->timer);
    (void)respond_call(x);
    exchange_advance(x);
    return true;
}

static void respond_add_line(struct exchange *x, const char *name, struct span value)
{
    x->answer.lines = arena_printf(&x->arena, "%.*s%s: %.*s\r\n", SPAN_ARGS(x->answer.lines), name,
                                   SPAN_ARGS(value));
}

static err respond_write_problem(struct exchange *x, struct buf *out, bool is_html)
{
    struct problem p = problem_of(x->failure.code);
    struct span violated[LIMIT_HEADERS_ITEMS_MAX];
    struct problem_member member = {
        .name = "violated-policies", .kind = PROBLEM_STRINGS, .texts = violated};
    p.status = x->status;
    if (x->why.text[0] != '\0')
        p.detail = span_from(x->why.text);
    p.instance = x->path;
    p.request_id = span_of(x->id, x->id_len);
    if (x->limits.is_refused) {
        p.type = PROBLEM_TYPE_QUOTA_EXCEEDED;
        p.retry_after_s = (x->limits.retry_after_ms + 999) / 1000;
        member.text_count =
            limit_headers_violated(x->limits.entries, x->limits.count, &x->arena, violated);
        p.members = &member;
        p.member_count = 1;
    }
    return is_html ? problem_write_html(&p, out) : problem_write_json(&p, out);
}

/* Behind a refusal by a limit the limit's own headers say it, unless they are turned off. */
static uint64_t respond_retry_after_ms(const struct exchange *x)
{
    if (!x->limits.is_refused)
        return x->answer.retry_after_ms;
    return x->settings->sends_limit_headers ? 0 : x->limits.retry_after_ms;
}

static void respond_render_problem(struct exchange *x)
{
    const struct http_field *accept = http_head_find(&x->request.head, HTTP_FIELD_ACCEPT);
    bool is_html = accept != NULL && problem_prefers_html(accept->value);
    struct buf out;
    buf_init(&out, RESPOND_PROBLEM_MAX);
    if (err_ok(respond_write_problem(x, &out, is_html))) {
        x->answer.body = arena_copy(&x->arena, buf_span(&out));
        x->answer.content_type = is_html ? PROBLEM_HTML_CONTENT_TYPE : PROBLEM_JSON_CONTENT_TYPE;
    }
    buf_done(&out);
    if (is_html)
        respond_add_line(x, "content-security-policy", problem_html_policy());
    respond_add_line(x, "cache-control", SPAN("no-store"));
    uint64_t wait_ms = respond_retry_after_ms(x);
    if (wait_ms > 0)
        respond_add_line(
            x, "retry-after",
            arena_printf(&x->arena, "%llu", (unsigned long long)(wait_ms + 999) / 1000));
}

static err respond_queue(struct exchange *x)
{
    struct block_pool *blocks = &x->home->blocks;
    bool has_body = x->status >= 200 && x->status != 204 && x->status != 304;
    struct head_framing framing = {.kind = has_body ? HTTP_BODY_LENGTH : HTTP_BODY_NONE,
                                   .length = x->answer.body.len};
    size_t len = 0;
    if (x->head_block == NULL)
        x->head_block = block_take(blocks);
    TRY(head_write_response(x, NULL, &framing, x->head_block->bytes, blocks->block_bytes, &len));
    x->is_head_sent = true;
    flow_add(&x->to_client, span_of(x->head_block->bytes, len));
    if (has_body && x->request.method != HTTP_HEAD) {
        flow_add(&x->to_client, x->answer.body);
        x->response_body_bytes = x->answer.body.len;
    }
    return OK;
}

static enum exchange_verdict respond_send(struct exchange *x)
{
    struct channel *client = &x->conn->channel;
    err outcome = flow_send(&x->to_client, client);
    if (err_ok(outcome)) {
        timer_clear(&x->timer);
        return EXCHANGE_NEXT;
    }
    if (!err_is(outcome, ERR_AGAIN)) {
        /* The client is gone; what it would have got is recorded all the same. */
        x->keeps_alive = false;
        x->to_client.first = x->to_client.count;
        return EXCHANGE_NEXT;
    }
    channel_want(client, SOCK_READ | SOCK_WRITE);
    timer_set(x->home->loop, &x->timer,
              loop_now_ms(x->home->loop) + x->settings->timeouts.stall_ms);
    return EXCHANGE_WAIT;
}

enum exchange_verdict respond_own(struct exchange *x)
{
    if (x->answered_ns == 0)
        x->answered_ns = loop_now_ns(x->home->loop);
    x->keeps_alive = x->keeps_alive && x->body.is_read_whole && !x->home->is_draining;
    if (!err_ok(x->failure))
        respond_render_problem(x);
    if (!err_ok(respond_queue(x))) {
        /* Only lines of the configuration can be this long, and those are checked at load. */
        must_fail("an answer of our own fits into a block", __FILE__, __LINE__);
    }
    return respond_send(x);
}

void respond_on_writable(struct exchange *x)
{
    if (respond_send(x) == EXCHANGE_NEXT) {
        channel_want(&x->conn->channel, SOCK_READ);
        exchange_advance(x);
    }
}
