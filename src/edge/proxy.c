/* proxy.c: tries.
 *
 * The one hard thing: every way out of a try must report it once to its target (proxy_report,
 * has_try guards it), and every way out of the request once to the breaker (proxy_settle,
 * has_permit guards it). The breaker judges requests, not tries: a dead target among live ones is
 * a matter of retries and ejection, and must not cut off the upstream.
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/proxy.h"

#include "edge/access.h"
#include "edge/relay.h"
#include "edge/respond.h"
#include "edge/tunnel.h"

#define PROXY_OVERLOADED_MS 1000 /* until a client may ask again */

#define PROXY_TO(name) (1u << PROXY_##name)

static const unsigned proxy_allowed[PROXY_STATE_COUNT] = {
    [PROXY_OPENING] = PROXY_TO(WAITING) | PROXY_TO(RETRYING) | PROXY_TO(DONE),
    [PROXY_WAITING] = PROXY_TO(STREAMING) | PROXY_TO(RETRYING) | PROXY_TO(DONE),
    [PROXY_RETRYING] = PROXY_TO(OPENING) | PROXY_TO(WAITING) | PROXY_TO(DONE),
    [PROXY_STREAMING] = PROXY_TO(TUNNEL) | PROXY_TO(DONE),
    [PROXY_TUNNEL] = PROXY_TO(DONE),
    [PROXY_DONE] = 0,
};

void proxy_enter(struct proxy *p, enum proxy_state state)
{
    must(proxy_allowed[p->state] & (1u << state));
    p->state = state;
}

static uint64_t proxy_now_ms(const struct proxy *p)
{
    return loop_now_ms(p->x->home->loop);
}

/* What a response status says about the target. */
static enum target_outcome proxy_outcome_of_status(unsigned status)
{
    if (status == 429)
        return TARGET_IGNORED;
    return status >= 500 ? TARGET_FAILURE : TARGET_SUCCESS;
}

static uint64_t proxy_retry_after_ms(const struct proxy *p)
{
    uint64_t wait_ms = 0;
    if (p->response_status != 429 && p->response_status != 503)
        return 0;
    const struct http_field *f = http_head_find(&p->response.head, HTTP_FIELD_RETRY_AFTER);
    if (f == NULL ||
        !err_ok(http_parse_retry_after(f->value, loop_wall_ns(p->x->home->loop), &wait_ms)))
        return 0;
    return wait_ms;
}

/* How long the upstream took to the response head. What clients take to send a body, to read an
 * answer, or to keep a tunnel, is not its time: slow clients must not open a breaker. */
static uint64_t proxy_took_ns(const struct proxy *p, uint64_t begun_ns)
{
    const struct exchange *x = p->x;
    uint64_t end_ns = x->answered_ns != 0 ? x->answered_ns : loop_now_ns(x->home->loop);
    uint64_t received_ns = p->received_ms * 1000000;
    uint64_t start_ns = received_ns > begun_ns ? received_ns : begun_ns;
    return end_ns > start_ns ? end_ns - start_ns : 0;
}

static void proxy_report(struct proxy *p, enum target_outcome outcome)
{
    if (!p->has_try)
        return;
    p->has_try = false;
    struct upstream *u = p->upstream->upstream;
    struct upstream_result result = {.outcome = outcome,
                                     .latency_us = proxy_took_ns(p, p->try_started_ns) / 1000,
                                     .retry_after_ms = p->retry_after_ms};
    if (upstream_finish(u, p->pick.index, &result, proxy_now_ms(p)))
        access_target_ejected(p->x->home, u, p->pick.target);
    access_try(p->x, loop_now_ns(p->x->home->loop) - p->try_started_ns);
}

static void proxy_settle(struct proxy *p, enum breaker_outcome outcome)
{
    if (!p->has_permit)
        return;
    p->has_permit = false;
    uint64_t took_ns = proxy_took_ns(p, p->x->dispatched_ns);
    breaker_record(p->upstream->upstream->breaker, &p->permit, outcome, took_ns / 1000000,
                   proxy_now_ms(p));
}

static void proxy_drop_link(struct proxy *p)
{
    if (p->link != NULL)
        link_close(p->link);
    p->link = NULL;
    block_give(&p->x->home->blocks, &p->in);
    p->in_len = 0;
}

/* Ends the proxying without a response to pass on: the answer is an error of our own. */
static void proxy_give_up(struct proxy *p, enum err_code code, const char *text,
                          uint64_t retry_after_ms)
{
    struct exchange *x = p->x;
    if (!flow_is_empty(&x->to_client)) {
        conn_close(x->conn); /* in the middle of an interim response: no answer can follow it */
        return;
    }
    proxy_enter(p, PROXY_DONE);
    timer_clear(&x->timer);
    exchange_fail(x, code, "%s", text);
    x->answer.retry_after_ms = retry_after_ms == UINT64_MAX ? 0 : retry_after_ms;
    channel_want(&x->conn->channel, SOCK_READ);
    if (!p->is_dispatching)
        exchange_advance(x);
}

static bool proxy_has_body_kept(const struct proxy *p)
{
    return !p->x->body.is_streamed;
}

static void proxy_decide(struct proxy *p, enum err_code failure, unsigned status,
                         struct retry_verdict *out)
{
    struct exchange *x = p->x;
    struct upstream *u = p->upstream->upstream;
    struct retry_try failed = {
        .tries_made = p->tries,
        .method = x->request.method,
        .has_idempotency_key = http_head_find(&x->request.head, HTTP_FIELD_IDEMPOTENCY_KEY) != NULL,
        .is_sent = p->to_upstream.sent_bytes > 0,
        .is_response_started = x->is_head_sent,
        .is_body_replayable = proxy_has_body_kept(p),
        .has_other_target = balance_has_untried(&u->set, &p->tried, proxy_now_ms(p)),
        .status = status,
        .failure = failure,
        .retry_after_ms = p->retry_after_ms,
        .deadline_ms = p->deadline_ms};
    retry_decide(&u->options.retry, u->budget, &failed, proxy_now_ms(p), loop_random(x->home->loop),
                 out);
    p->retry_reason = out->reason;
}

static void proxy_wait_to_retry(struct proxy *p, uint64_t wait_ms)
{
    access_retry(p->x);
    p->response_status = 0;
    p->retry_after_ms = 0;
    proxy_enter(p, PROXY_RETRYING);
    timer_set(p->x->home->loop, &p->x->timer, proxy_now_ms(p) + wait_ms);
}

void proxy_try_failed(struct proxy *p, enum err_code failure, const char *text)
{
    struct retry_verdict verdict;
    must(!p->x->is_head_sent);
    p->response_status = 0;
    proxy_report(p, failure == ERR_UPSTREAM_CONNECT ? TARGET_NO_CONNECT : TARGET_FAILURE);
    proxy_decide(p, failure, 0, &verdict);
    proxy_drop_link(p);
    if (verdict.reason == RETRY_AGAIN) {
        proxy_wait_to_retry(p, verdict.wait_ms);
        return;
    }
    proxy_settle(p, BREAKER_FAILURE);
    proxy_give_up(p, failure, text, 0);
}

/* Whether the response is thrown away for another try. */
static bool proxy_retries_response(struct proxy *p)
{
    struct retry_verdict verdict;
    p->retry_reason = RETRY_NOT_RETRYABLE;
    if (p->response_status < 400) /* no policy can name it */
        return false;
    proxy_decide(p, ERR_NONE, p->response_status, &verdict);
    if (verdict.reason != RETRY_AGAIN)
        return false;
    proxy_report(p, proxy_outcome_of_status(p->response_status));
    proxy_drop_link(p);
    proxy_wait_to_retry(p, verdict.wait_ms);
    return true;
}

/* The response head is here and valid. */
static void proxy_on_response(struct proxy *p)
{
    struct exchange *x = p->x;
    p->response_status = p->response.status;
    p->retry_after_ms = proxy_retry_after_ms(p);
    if (p->response.status != 101 && proxy_retries_response(p))
        return;
    x->status = p->response.status;
    x->answered_ns = loop_now_ns(x->home->loop);
    proxy_enter(p, PROXY_STREAMING);
    exchange_advance(x);
}

static void proxy_look_at_response(struct proxy *p)
{
    if (p->state == PROXY_WAITING && p->response_status != 0)
        proxy_on_response(p);
}

static void proxy_on_link_opened(void *owner, struct link *link, err outcome,
                                 const struct fault *why)
{
    struct proxy *p = owner;
    if (!err_ok(outcome)) {
        p->link = NULL;
        if (why != NULL)
            access_tls_failed(p->x, why);
        proxy_try_failed(p, outcome.code, "no connection to the upstream could be made");
        return;
    }
    must(p->link == link);
    proxy_enter(p, PROXY_WAITING);
    relay_send_request(p);
}

static void proxy_on_link_event(void *owner, struct link *link, unsigned events)
{
    struct proxy *p = owner;
    struct exchange *x = p->x;
    must(p->link == link);
    if (p->state == PROXY_TUNNEL) {
        tunnel_pump(p);
        return;
    }
    if ((events & SOCK_WRITE) && !flow_is_empty(&p->to_upstream))
        relay_pump_request(p);
    if (!(events & SOCK_READ) || p->link != link)
        return;
    if (p->state == PROXY_WAITING) {
        relay_read_head(p);
        proxy_look_at_response(p);
    } else if (p->state == PROXY_STREAMING && relay_pump_response(p)) {
        exchange_advance(x);
    }
}

static const struct link_owner proxy_link_owner = {.opened = proxy_on_link_opened,
                                                   .event = proxy_on_link_event};

/* Nothing of our own is left to connect with: no fault of the target's or the upstream's. */
static void proxy_is_overloaded(struct proxy *p)
{
    proxy_report(p, TARGET_IGNORED);
    proxy_settle(p, BREAKER_IGNORED);
    proxy_give_up(p, ERR_OVERLOADED, "there is no room for another connection to the upstream",
                  PROXY_OVERLOADED_MS);
}

static void proxy_connect(struct proxy *p)
{
    struct exchange *x = p->x;
    const struct settings_upstream *up = p->upstream;
    uint64_t key = up->link_keys[p->pick.index];
    p->link = link_take(x->home->links, key, &proxy_link_owner, p);
    if (p->link != NULL) {
        proxy_enter(p, PROXY_WAITING);
        relay_send_request(p);
        return;
    }
    struct link_route route = {.key = key,
                               .address = &up->addresses[p->pick.index],
                               .tls = up->tls,
                               .server_name = up->tls == NULL ? (struct span){NULL, 0}
                                                              : up->server_names[p->pick.index],
                               .connect_timeout_ms = up->upstream->options.connect_timeout_ms,
                               .idle_timeout_ms = up->idle_timeout_ms,
                               .idle_max = up->idle_max};
    proxy_enter(p, PROXY_OPENING);
    err outcome = link_open(x->home->links, &route, &proxy_link_owner, p, &p->link);
    if (err_is(outcome, ERR_OVERLOADED))
        proxy_is_overloaded(p);
    else if (!err_ok(outcome))
        proxy_try_failed(p, ERR_UPSTREAM_CONNECT, "no connection to the upstream could be made");
    else
        proxy_set_timer(p);
}

static void proxy_try(struct proxy *p)
{
    struct exchange *x = p->x;
    struct upstream *u = p->upstream->upstream;
    uint64_t now_ms = proxy_now_ms(p);
    p->tries++;
    p->try_started_ns = loop_now_ns(x->home->loop);
    p->try_deadline_ms = u->options.try_timeout_ms == 0 ? 0 : now_ms + u->options.try_timeout_ms;
    struct balance *balance = &x->view->balances[p->upstream->index];
    if (!err_ok(balance_next(balance, &u->set, &p->tried, now_ms, loop_random(x->home->loop),
                             &p->pick))) {
        proxy_settle(p, p->tries > 1 ? BREAKER_FAILURE : BREAKER_IGNORED);
        proxy_give_up(p, ERR_NO_UPSTREAM, "no target of the upstream is available",
                      balance_retry_after_ms(&u->set, now_ms));
        return;
    }
    target_begin(p->pick.target);
    p->has_try = true;
    proxy_connect(p);
}

static uint64_t proxy_first_deadline(const struct exchange *x)
{
    uint64_t allowed_ms = x->route->upstream->upstream->options.request_timeout_ms;
    if (x->route->deadline_ms > 0 && x->route->deadline_ms < allowed_ms)
        allowed_ms = x->route->deadline_ms;
    return x->head_ns / 1000000 + allowed_ms;
}

/* Asks the breaker, once for all tries. */
static bool proxy_may_call(struct proxy *p)
{
    struct breaker *b = p->upstream->upstream->breaker;
    uint64_t now_ms = proxy_now_ms(p);
    if (b == NULL)
        return true;
    p->has_permit = err_ok(breaker_allow(b, now_ms, &p->permit));
    if (!p->has_permit)
        proxy_give_up(p, ERR_BREAKER_OPEN, "the upstream fails; it is given time to recover",
                      breaker_retry_after_ms(b, now_ms));
    return p->has_permit;
}

enum exchange_verdict proxy_begin(struct exchange *x)
{
    struct proxy *p = ARENA_NEW(&x->arena, struct proxy);
    x->proxy = p;
    p->x = x;
    p->upstream = x->route->upstream;
    p->state = PROXY_RETRYING;
    p->deadline_ms = proxy_first_deadline(x);
    if (x->request.head.is_upgrade && !tunnel_may_begin(x))
        return EXCHANGE_DONE;
    retry_budget_deposit(p->upstream->upstream->budget, proxy_now_ms(p));
    p->is_dispatching = true;
    if (proxy_may_call(p))
        proxy_try(p);
    p->is_dispatching = false;
    return p->state == PROXY_DONE ? EXCHANGE_DONE : EXCHANGE_WAIT;
}

bool proxy_has_response(const struct proxy *p)
{
    return p->state == PROXY_STREAMING || (p->state == PROXY_DONE && p->x->is_head_sent);
}

enum exchange_verdict proxy_respond(struct proxy *p)
{
    struct exchange *x = p->x;
    if (p->response_status == 101)
        return tunnel_begin(p);
    if (!err_ok(relay_queue_response(p))) {
        x->is_head_sent = false;
        flow_reset(&x->to_client);
        proxy_fail_response(p, "the response cannot be passed on");
        return respond_own(x);
    }
    return relay_pump_response(p) ? EXCHANGE_NEXT : EXCHANGE_WAIT;
}

void proxy_fail_response(struct proxy *p, const char *text)
{
    proxy_report(p, TARGET_FAILURE);
    proxy_settle(p, BREAKER_FAILURE);
    proxy_drop_link(p);
    proxy_enter(p, PROXY_DONE);
    timer_clear(&p->x->timer);
    exchange_fail(p->x, ERR_BAD_UPSTREAM, "%s", text);
}

void proxy_refuse_body(struct proxy *p, enum err_code code)
{
    char text[sizeof p->x->why.text];
    memcpy(text, p->x->why.text, sizeof text);
    proxy_report(p, TARGET_IGNORED);
    proxy_settle(p, BREAKER_IGNORED);
    proxy_drop_link(p);
    proxy_give_up(p, code, text, 0);
}

void proxy_finish(struct proxy *p)
{
    struct exchange *x = p->x;
    bool is_reusable = p->is_link_reusable && x->body.is_read_whole &&
                       flow_is_empty(&p->to_upstream) && !p->is_request_broken;
    proxy_report(p, proxy_outcome_of_status(p->response_status));
    proxy_settle(p, breaker_outcome_of_status(p->response_status));
    if (is_reusable) {
        link_give_back(p->link, p->keep_alive_hint_ms);
        p->link = NULL;
    }
    proxy_drop_link(p);
    timer_clear(&x->timer);
    proxy_enter(p, PROXY_DONE);
}

void proxy_break_off(struct proxy *p)
{
    struct exchange *x = p->x;
    proxy_report(p, TARGET_FAILURE);
    proxy_settle(p, BREAKER_FAILURE);
    x->failure = FAIL(UPSTREAM_CLOSED);
    /* A reset, or the missing last chunk, tells the client that the body is not whole. */
    channel_abort(&x->conn->channel);
    conn_close(x->conn);
}

void proxy_end_tunnel(struct proxy *p)
{
    must(p->state == PROXY_TUNNEL);
    proxy_report(p, TARGET_SUCCESS);
    proxy_settle(p, BREAKER_SUCCESS);
    p->x->home->tunnel_count--;
    proxy_drop_link(p);
    proxy_enter(p, PROXY_DONE);
}

void proxy_abandon(struct proxy *p)
{
    if (p->state == PROXY_DONE)
        return;
    if (p->state == PROXY_TUNNEL) {
        proxy_end_tunnel(p);
        return;
    }
    proxy_report(p, TARGET_IGNORED);
    proxy_settle(p, BREAKER_IGNORED);
    proxy_drop_link(p);
    proxy_enter(p, PROXY_DONE);
}

void proxy_done(struct proxy *p)
{
    must(p->state == PROXY_DONE && !p->has_try && !p->has_permit);
    proxy_drop_link(p);
    block_give(&p->x->home->blocks, &p->head);
}

static uint64_t proxy_earlier(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* While the request is on its way: whoever is waited for, client or target, has its own time. */
static uint64_t proxy_sending_deadline(struct proxy *p)
{
    struct exchange *x = p->x;
    const struct settings *s = x->settings;
    uint64_t at_ms = x->started_ns / 1000000 + s->timeouts.request_ms;
    if (x->body.is_read_whole && !x->body.is_streamed)
        at_ms = proxy_earlier(at_ms, proxy_earlier(p->deadline_ms, p->try_deadline_ms));
    if (!flow_is_empty(&p->to_upstream)) {
        p->rate_check_ms = 0;
        return proxy_earlier(at_ms, proxy_now_ms(p) + s->timeouts.stall_ms);
    }
    if (p->rate_check_ms == 0) {
        p->rate_check_ms = proxy_now_ms(p) + s->body_rate_grace_ms;
        x->body.rate_checked_bytes = x->body.decoder.received_bytes;
    }
    return proxy_earlier(at_ms, p->rate_check_ms);
}

static bool proxy_is_sending(const struct proxy *p)
{
    return p->state == PROXY_WAITING && p->received_ms == 0;
}

void proxy_set_timer(struct proxy *p)
{
    struct exchange *x = p->x;
    const struct settings_timeouts *timeouts = &x->settings->timeouts;
    uint64_t at_ms = 0;
    if (p->state == PROXY_STREAMING)
        at_ms = proxy_now_ms(p) + timeouts->stall_ms;
    else if (p->state == PROXY_TUNNEL)
        at_ms = proxy_now_ms(p) + timeouts->tunnel_idle_ms;
    else if (proxy_is_sending(p))
        at_ms = proxy_sending_deadline(p);
    else
        at_ms = proxy_earlier(p->deadline_ms, p->try_deadline_ms);
    timer_set(x->home->loop, &x->timer, at_ms);
}

/* The client must send its body at a minimum rate, and the target must take it. */
static void proxy_check_sending(struct proxy *p)
{
    struct exchange *x = p->x;
    const struct settings *s = x->settings;
    uint64_t received = x->body.decoder.received_bytes;
    uint64_t wanted = s->body_rate_min * s->body_rate_grace_ms / 1000;
    if (!flow_is_empty(&p->to_upstream)) {
        proxy_try_failed(p, ERR_UPSTREAM_TIMEOUT, "the upstream did not take the request in time");
        return;
    }
    bool is_late = proxy_now_ms(p) >= x->started_ns / 1000000 + s->timeouts.request_ms;
    if (is_late || received - x->body.rate_checked_bytes < wanted) {
        proxy_report(p, TARGET_IGNORED);
        proxy_settle(p, BREAKER_IGNORED);
        proxy_drop_link(p);
        proxy_give_up(p, ERR_REQUEST_TIMEOUT, "the request body arrives too slowly", 0);
        return;
    }
    p->rate_check_ms = 0;
    proxy_set_timer(p);
}

/* No progress while the answer is passed on. */
static void proxy_stalled(struct proxy *p)
{
    struct exchange *x = p->x;
    bool waits_for_body = !x->body.is_read_whole && flow_is_empty(&p->to_upstream);
    if (flow_is_empty(&x->to_client) && !waits_for_body) {
        proxy_break_off(p);
        return;
    }
    /* The client does not read, or does not send what the target waits for: not its fault. */
    x->failure = FAIL(CLOSED);
    channel_abort(&x->conn->channel);
    conn_close(x->conn);
}

void proxy_on_timer(struct proxy *p)
{
    switch (p->state) {
    case PROXY_RETRYING:
        proxy_try(p);
        break;
    case PROXY_OPENING:
    case PROXY_WAITING:
        if (proxy_is_sending(p))
            proxy_check_sending(p);
        else
            proxy_try_failed(p, ERR_UPSTREAM_TIMEOUT, "the upstream did not answer in time");
        break;
    case PROXY_STREAMING:
        proxy_stalled(p);
        break;
    case PROXY_TUNNEL:
    case PROXY_DONE:
        conn_close(p->x->conn);
        break;
    case PROXY_STATE_COUNT:
        break;
    }
}

void proxy_on_client_writable(struct proxy *p)
{
    struct exchange *x = p->x;
    if (p->state == PROXY_DONE) {
        respond_on_writable(x);
    } else if (p->state == PROXY_STREAMING) {
        if (relay_pump_response(p))
            exchange_advance(x);
    } else {
        relay_resume_head(p);
        proxy_look_at_response(p);
    }
}

bool proxy_on_client_readable(struct proxy *p)
{
    if (p->state == PROXY_DONE || p->is_request_broken)
        return false;
    if (p->state == PROXY_WAITING || p->state == PROXY_STREAMING)
        relay_pump_request(p);
    else
        channel_want(&p->x->conn->channel, 0); /* there is nowhere to send it yet */
    return true;
}

void proxy_on_tunnel_event(struct proxy *p)
{
    tunnel_pump(p);
}
