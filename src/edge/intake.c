/* intake.c: from a parsed head to a request that the later steps can trust.
 *
 * The one hard thing: a refused head passes here too, half parsed. It gets its ids and is answered,
 * but nothing of its content is believed. Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/intake.h"

#include "wire/url.h"

#define INTAKE_LINES_MAX 16 /* of X-Forwarded-For that are looked at */

/* Letters, digits, '-', '_' and '.': safe in every log and header. */
static bool intake_is_id(struct span id)
{
    if (id.len == 0 || id.len > EXCHANGE_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.at[i];
        bool is_safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
        if (!is_safe)
            return false;
    }
    return true;
}

static void intake_trace(struct exchange *x)
{
    const struct http_field *given = http_head_find(&x->request.head, HTTP_FIELD_TRACEPARENT);
    struct random *random = loop_random(x->home->loop);
    struct tracecontext parent;
    x->has_parent = given != NULL && err_ok(tracecontext_parse(given->value, &parent));
    if (x->has_parent) {
        memcpy(x->parent_span_id, parent.span_id, sizeof x->parent_span_id);
        tracecontext_child(&parent, random, &x->trace);
    } else {
        tracecontext_begin(random, true, &x->trace);
    }
    tracecontext_format(&x->trace, x->trace_text);
}

/* Behind intake_trace: an id of our own is the trace's, so that one search finds both. */
static void intake_identify_request(struct exchange *x)
{
    const struct http_field *given = http_head_find(&x->request.head, HTTP_FIELD_X_REQUEST_ID);
    bool is_honoured = given != NULL && intake_is_id(given->value);
    struct span id = is_honoured ? given->value : exchange_trace_id(x);
    memcpy(x->id, id.at, id.len);
    x->id_len = id.len;
}

/* The last lines of a field, at the end of room[0..max): each proxy adds its own behind what the
 * client sent. Returns how many. */
static size_t intake_last(const struct http_head *head, enum http_field_id id, struct span *room,
                          size_t max)
{
    size_t count = 0;
    for (unsigned i = head->field_count; i > 0 && count < max; i--)
        if (head->fields[i - 1].id == id)
            room[max - ++count] = head->fields[i - 1].value;
    return count;
}

/* The peer, or who stands behind the trusted proxies. */
static void intake_client(struct exchange *x)
{
    const struct forwarded_trust *trust = &x->settings->trust;
    struct span values[INTAKE_LINES_MAX] NOT_CLEARED, proto;
    bool is_trusted = trust->count > 0 && forwarded_is_trusted(trust, &x->conn->peer);
    const struct http_head *head = &x->request.head;
    size_t count =
        is_trusted ? intake_last(head, HTTP_FIELD_X_FORWARDED_FOR, values, INTAKE_LINES_MAX) : 0;
    forwarded_walk(trust, &x->conn->peer, FORWARDED_X_FORWARDED_FOR,
                   values + INTAKE_LINES_MAX - count, count, &x->chain);
    x->client = x->chain.hops[0];
    x->client_len = ip_format(&x->client, x->client_text);
    x->is_secure = x->conn->channel.tls != NULL;
    if (is_trusted && intake_last(head, HTTP_FIELD_X_FORWARDED_PROTO, &proto, 1) > 0)
        x->is_secure = span_eq_nocase(proto, SPAN("https"));
}

/* A web page can have its own host name resolve to 127.0.0.1 and then read what is there. Behind
 * a loopback address nobody else is called by a name. */
static err intake_check_local(struct exchange *x)
{
    struct span host = x->request.host;
    struct ip_address ip;
    if (!conn_listener(x->conn, x->settings)->is_local_admin || host.len == 0)
        return OK;
    if (host.at[0] == '[' || err_ok(ip_parse(host, &ip)) || span_eq_nocase(host, SPAN("localhost")))
        return OK;
    return fault_set(&x->why, ERR_MISDIRECTED,
                     "on a loopback address, use localhost or the address itself as host");
}

/* A request for a host whose certificate this connection did not ask for is misdirected. */
static err intake_check_host(struct exchange *x)
{
    struct tls_session *tls = x->conn->channel.tls;
    struct tls_context *context = conn_listener(x->conn, x->settings)->tls;
    if (tls == NULL || context == NULL)
        return OK;
    struct tls_session_info info;
    tls_session_describe(tls, &info);
    if (info.server_name.len == 0 ||
        tls_context_is_same_host(context, info.server_name, x->request.host))
        return OK;
    return fault_set(&x->why, ERR_MISDIRECTED, "the connection was opened for \"%.*s\"",
                     SPAN_ARGS(info.server_name));
}

static err intake_check_method(struct exchange *x)
{
    if (x->request.method == HTTP_CONNECT)
        return fault_set(&x->why, ERR_NOT_IMPLEMENTED, "CONNECT is not served here");
    if (x->request.method == HTTP_TRACE)
        return fault_set(&x->why, ERR_METHOD_NOT_ALLOWED, "TRACE is not served here");
    return OK;
}

static err intake_path(struct exchange *x)
{
    if (x->request.target_form == HTTP_TARGET_ASTERISK) {
        x->path = x->request.raw_path;
        return OK;
    }
    if (x->request.query.at != NULL && !err_ok(url_check_query(x->request.query)))
        return fault_set(&x->why, ERR_BAD_REQUEST, "the query has bytes that are not allowed");
    return url_canonical_path(&x->arena, x->request.raw_path, &x->path, &x->why);
}

/* Takes the framing off what arrived of the body together with the head. */
static err intake_body(struct exchange *x)
{
    struct exchange_body *body = &x->body;
    const struct http_head *head = &x->request.head;
    char *at = x->conn->in->bytes + head->head_bytes;
    size_t available = x->conn->in_len - head->head_bytes;
    struct http1_decoded decoded = {0};
    http1_body_init(&body->decoder, head->body, head->content_length);
    if (head->body == HTTP_BODY_NONE || http1_body_is_done(&body->decoder)) {
        body->is_read_whole = true;
        return OK;
    }
    if (available > 0)
        TRY(http1_body_decode(&body->decoder, &x->settings->http1, at, available, &decoded,
                              &x->why));
    body->first = span_of(at, decoded.payload);
    body->first_used = decoded.consumed;
    body->is_read_whole = http1_body_is_done(&body->decoder);
    return OK;
}

static err intake_check(struct exchange *x)
{
    TRY(intake_check_method(x));
    TRY(intake_check_host(x));
    TRY(intake_check_local(x));
    TRY(intake_path(x));
    return intake_body(x);
}

enum exchange_verdict intake_accept(struct exchange *x)
{
    struct conn *c = x->conn;
    intake_trace(x);
    intake_identify_request(x);
    intake_client(x);
    if (!err_ok(x->failure))
        return EXCHANGE_DONE;
    /* Bytes behind an upgrade were meant for another protocol, also when it is refused: RFC 9931.
     */
    x->keeps_alive = x->request.head.is_keep_alive && !x->request.head.is_upgrade &&
                     !x->home->is_draining &&
                     c->request_count < x->settings->requests_per_connection;
    err outcome = intake_check(x);
    if (err_ok(outcome))
        return EXCHANGE_NEXT;
    /* What follows a message whose body cannot be told apart is not looked at. */
    x->keeps_alive = false;
    x->failure = outcome;
    x->status = (unsigned)err_http_status(outcome.code);
    return EXCHANGE_DONE;
}

static enum exchange_verdict intake_no_route(struct exchange *x)
{
    if (!x->match.is_path_known) {
        exchange_fail(x, ERR_NOT_FOUND, "no route matches this host and path");
        return EXCHANGE_NEXT;
    }
    struct buf allow;
    buf_init(&allow, 256);
    if (err_ok(router_write_allow(x->match.allowed_methods, &allow)))
        x->answer.lines = arena_printf(&x->arena, "allow: %.*s\r\n", SPAN_ARGS(buf_span(&allow)));
    buf_done(&allow);
    exchange_fail(x, ERR_METHOD_NOT_ALLOWED, "this path does not allow the method");
    return EXCHANGE_NEXT;
}

enum exchange_verdict intake_route(struct exchange *x)
{
    struct router_query query = {.host = x->request.host,
                                 .path = x->path,
                                 .head = &x->request.head,
                                 .method = x->request.method};
    if (x->request.target_form == HTTP_TARGET_ASTERISK) {
        x->route = &x->settings->server_route;
        return EXCHANGE_NEXT;
    }
    router_find(x->settings->router, &query, &x->match);
    if (x->match.rule < 0)
        return intake_no_route(x);
    x->route = &x->settings->routes[x->match.rule];
    uint64_t announced =
        x->request.head.body == HTTP_BODY_LENGTH ? x->request.head.content_length : 0;
    if (announced > x->route->body_max_bytes ||
        x->body.decoder.received_bytes > x->route->body_max_bytes) {
        exchange_fail(x, ERR_BODY_TOO_LARGE, "the body is larger than the limit of %llu",
                      (unsigned long long)x->route->body_max_bytes);
        return EXCHANGE_DONE;
    }
    return EXCHANGE_NEXT;
}
