/* exchange.c: the steps of a request, and the dispatcher that walks them.
 *
 *   accept -> route -> limit -> dispatch -> respond -> record
 *
 * A step that has decided the answer returns DONE, which goes on at `respond`; so every request,
 * also a refused one, is answered and recorded in one place. The one hard thing: end and abandon
 * may happen inside any callback, below frames that hold the exchange or its proxy. So both stay
 * readable until the end of the turn, with conn == NULL and the proxy in DONE; whoever called
 * something that may end the exchange looks there first. Only conn_process, above which nobody
 * holds it, recycles it at once, so a pipeline costs no more than one.
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/exchange.h"

#include <stdio.h>

#include "core/mem.h"
#include "edge/access.h"
#include "edge/intake.h"
#include "edge/proxy.h"
#include "edge/respond.h"

#define EXCHANGE_SPARES_MAX     256
#define EXCHANGE_ARENA_MAX      (1024 * 1024)
#define EXCHANGE_STATUS_ABORTED 499 /* nginx's code for a client that went away */

enum { STEP_ACCEPT, STEP_ROUTE, STEP_LIMIT, STEP_DISPATCH, STEP_RESPOND, STEP_RECORD, STEP_END };

static enum exchange_verdict exchange_limit(struct exchange *x)
{
    struct limits_request request = {.client = &x->client,
                                     .head = &x->request.head,
                                     .route_name = x->route->name,
                                     .now_ms = loop_now_ms(x->home->loop)};
    limits_decide(x->settings->limit_table, &x->settings->limits, &x->route->limits, &request,
                  &x->limits);
    if (!x->limits.is_refused)
        return EXCHANGE_NEXT;
    exchange_fail(x, ERR_RATE_LIMITED, "the limit \"%.*s\" is used up",
                  SPAN_ARGS(x->limits.refused_by));
    return EXCHANGE_DONE;
}

static enum exchange_verdict exchange_dispatch(struct exchange *x)
{
    x->dispatched_ns = loop_now_ns(x->home->loop);
    if (!err_ok(x->failure))
        return EXCHANGE_DONE;
    switch (x->route->action) {
    case SETTINGS_UPSTREAM:
        return proxy_begin(x);
    case SETTINGS_REDIRECT:
        return respond_redirect(x);
    case SETTINGS_RESPOND:
        return respond_fixed(x);
    case SETTINGS_HANDLER:
        return respond_handler(x);
    }
    must_fail("every action is handled", __FILE__, __LINE__);
}

static enum exchange_verdict exchange_respond(struct exchange *x)
{
    if (x->proxy != NULL && proxy_has_response(x->proxy))
        return proxy_respond(x->proxy);
    return respond_own(x);
}

static enum exchange_verdict exchange_record(struct exchange *x)
{
    access_record(x);
    return EXCHANGE_DONE;
}

struct exchange_step {
    const char *name;
    enum exchange_verdict (*run)(struct exchange *x);
    unsigned after_done;
};

static const struct exchange_step exchange_steps[STEP_END] = {
    [STEP_ACCEPT] = {"accept", intake_accept, STEP_RESPOND},
    [STEP_ROUTE] = {"route", intake_route, STEP_RESPOND},
    [STEP_LIMIT] = {"limit", exchange_limit, STEP_RESPOND},
    [STEP_DISPATCH] = {"dispatch", exchange_dispatch, STEP_RESPOND},
    [STEP_RESPOND] = {"respond", exchange_respond, STEP_RECORD},
    [STEP_RECORD] = {"record", exchange_record, STEP_END},
};

/* What holds between any two steps. */
static void exchange_validate(const struct exchange *x)
{
    must(x->magic == EXCHANGE_MAGIC && x->conn != NULL && x->conn->exchange == x);
    must(x->route != NULL && x->view->pins > 0);
    must(x->step <= STEP_RESPOND || flow_is_empty(&x->to_client));
    must(x->step < STEP_RESPOND || x->status != 0 || x->failure.code != ERR_NONE ||
         x->proxy != NULL);
}

static void exchange_release(struct exchange *x)
{
    struct edge_loop *home = x->home;
    if (x->proxy != NULL)
        proxy_done(x->proxy);
    block_give(&home->blocks, &x->body.block);
    block_give(&home->blocks, &x->head_block);
    buf_done(&x->handler_body);
    timer_clear(&x->timer);
    view_unpin(x->view);
    x->view = NULL;
    x->conn = NULL;
    x->magic = 0;
    home->exchange_count--;
    edge_loop_end(home, &x->body_in_morgue);
}

static void exchange_end(struct exchange *x)
{
    struct conn *c = x->conn;
    size_t used = x->request.head.head_bytes + x->body.first_used;
    bool keeps_alive = x->keeps_alive && x->body.is_read_whole;
    exchange_release(x);
    conn_exchange_done(c, used, keeps_alive);
}

static void exchange_run(struct exchange *x)
{
    while (x->step != STEP_END) {
        const struct exchange_step *step = &exchange_steps[x->step];
        exchange_validate(x);
        enum exchange_verdict verdict = step->run(x);
        if (x->conn == NULL)
            return; /* the client went away in the middle of the step */
        switch (verdict) {
        case EXCHANGE_NEXT:
            x->step++;
            break;
        case EXCHANGE_DONE:
            x->step = step->after_done;
            break;
        case EXCHANGE_WAIT:
            return;
        }
    }
    exchange_end(x);
}

void exchange_advance(struct exchange *x)
{
    x->step++;
    exchange_run(x);
}

void exchange_fail(struct exchange *x, enum err_code code, const char *format, ...)
{
    must(!x->is_head_sent);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(x->why.text, sizeof x->why.text, format, args);
    va_end(args);
    x->failure = (err){code};
    x->status = (unsigned)err_http_status(code);
}

static void exchange_on_timer(struct timer *t)
{
    struct exchange *x = container_of(t, struct exchange, timer);
    must(x->magic == EXCHANGE_MAGIC);
    if (x->proxy != NULL)
        proxy_on_timer(x->proxy);
    else
        conn_close(x->conn); /* the client does not take our answer, or send what we asked for */
}

static void exchange_free(struct exchange *x)
{
    timer_close(x->home->loop, &x->timer);
    arena_done(&x->arena);
    mem_free(x);
}

static void exchange_bury(struct edge_loop *home, struct edge_loop_body *body)
{
    struct exchange *x = container_of(body, struct exchange, body_in_morgue);
    if (home->spare_exchange_count >= EXCHANGE_SPARES_MAX) {
        exchange_free(x);
        return;
    }
    arena_reset(&x->arena);
    list_push_front(&home->spare_exchanges, &x->node);
    home->spare_exchange_count++;
}

void exchange_recycle(struct exchange *x)
{
    if (x->conn != NULL)
        return;
    list_remove(&x->body_in_morgue.node);
    exchange_bury(x->home, &x->body_in_morgue);
}

static struct exchange *exchange_take(struct edge_loop *home)
{
    struct list *spare = list_pop_front(&home->spare_exchanges);
    if (spare != NULL) {
        home->spare_exchange_count--;
        return container_of(spare, struct exchange, node);
    }
    struct exchange *x = MEM_NEW(struct exchange);
    timer_init(&x->timer, exchange_on_timer);
    list_init(&x->node);
    x->home = home;
    list_init(&x->body_in_morgue.node);
    x->body_in_morgue.bury = exchange_bury;
    arena_init(&x->arena, loop_arenas(home->loop), EXCHANGE_ARENA_MAX);
    return x;
}

struct exchange *exchange_new(struct conn *c)
{
    struct exchange *x = exchange_take(c->home);
    x->magic = EXCHANGE_MAGIC;
    x->step = STEP_ACCEPT;
    x->conn = c;
    x->view = c->home->view;
    view_pin(x->view);
    x->settings = x->view->settings;
    memset(&x->request, 0, sizeof x->request);
    x->request.head.fields = x->request_fields;
    x->request.head.field_max = EXCHANGE_FIELDS_MAX;
    x->path = (struct span){NULL, 0};
    x->is_secure = false;
    x->id_len = 0;
    x->has_parent = false;
    x->route = &x->settings->no_route;
    x->match.param_count = 0;
    x->limits.count = 0;
    x->limits.is_refused = false;
    x->limits.is_shadow_exceeded = false;
    memset(&x->body, 0, sizeof x->body);
    x->keeps_alive = false;
    x->proxy = NULL;
    memset(&x->answer, 0, sizeof x->answer);
    flow_reset(&x->to_client);
    x->is_head_sent = false;
    x->status = 0;
    x->failure = OK;
    x->why.text[0] = '\0';
    x->response_body_bytes = 0;
    x->head_ns = x->dispatched_ns = x->answered_ns = 0;
    c->home->exchange_count++;
    return x;
}

void exchange_start(struct exchange *x, err parsed)
{
    x->started_ns = x->conn->head_started_ns;
    x->head_ns = loop_now_ns(x->home->loop);
    if (!err_ok(parsed)) {
        x->failure = parsed;
        x->status = (unsigned)err_http_status(parsed.code);
        x->request.head.head_bytes = x->conn->in_len;
    }
    exchange_run(x);
}

void exchange_abandon(struct exchange *x)
{
    if (x->proxy != NULL)
        proxy_abandon(x->proxy);
    if (!x->is_head_sent)
        x->status = EXCHANGE_STATUS_ABORTED;
    if (x->head_ns != 0) /* half a head is no request */
        access_record(x);
    exchange_release(x);
}

void exchange_on_client_writable(struct exchange *x)
{
    if (flow_is_empty(&x->to_client) && (x->proxy == NULL || !proxy_has_response(x->proxy)))
        return;
    if (x->proxy != NULL)
        proxy_on_client_writable(x->proxy);
    else
        respond_on_writable(x);
}

bool exchange_on_client_readable(struct exchange *x)
{
    if (x->body.is_read_whole)
        return false;
    if (x->proxy != NULL)
        return proxy_on_client_readable(x->proxy);
    return respond_on_readable(x);
}

void exchange_on_tunnel_event(struct exchange *x)
{
    must(x->proxy != NULL);
    proxy_on_tunnel_event(x->proxy);
}

void exchange_free_spares(struct edge_loop *home)
{
    for (struct list *node = list_pop_front(&home->spare_exchanges); node != NULL;
         node = list_pop_front(&home->spare_exchanges))
        exchange_free(container_of(node, struct exchange, node));
    home->spare_exchange_count = 0;
}
