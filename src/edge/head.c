/* head.c: runs of received lines, and our own lines around them.
 *
 * The one hard thing: what is dropped must be decided for each field before its line joins a run,
 * and a run ends where the received bytes do not go on. Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/head.h"

#include "core/put.h"
#include "edge/access.h"

static bool head_is_named(const struct span *names, unsigned count, struct span name)
{
    for (unsigned i = 0; i < count; i++)
        if (span_eq_nocase(names[i], name))
            return true;
    return false;
}

struct head_drops {
    const bool *ids;
    const struct span *names;
    unsigned name_count;
};

static bool head_is_kept(const struct http_field *f, const struct head_drops *drops)
{
    if (f->is_dropped || drops->ids[f->id])
        return false;
    return drops->name_count == 0 || !head_is_named(drops->names, drops->name_count, f->name);
}

/* Copies the fields that stay; neighbours in plain form as one run of received bytes. */
static void head_put_fields(struct put *w, const struct http_head *head,
                            const struct head_drops *drops)
{
    struct span run = {NULL, 0};
    for (unsigned i = 0; i < head->field_count; i++) {
        const struct http_field *f = &head->fields[i];
        bool is_kept = head_is_kept(f, drops);
        if (is_kept && f->is_plain && run.len > 0 && run.at + run.len == f->line.at) {
            run.len += f->line.len;
            continue;
        }
        put_span(w, run);
        run = (struct span){NULL, 0};
        if (is_kept && f->is_plain)
            run = f->line;
        else if (is_kept)
            put_line(w, f->name, f->value);
    }
    put_span(w, run);
}

static err head_end(struct put *w, char *start, enum err_code too_large, size_t *out_len)
{
    put_span(w, SPAN("\r\n"));
    if (w->is_full)
        return (err){too_large};
    *out_len = (size_t)(w->at - start);
    return OK;
}

static void head_put_framing(struct put *w, const struct head_framing *framing)
{
    if (framing->kind == HTTP_BODY_LENGTH) {
        put_span(w, SPAN("content-length: "));
        put_u64(w, framing->length);
        put_span(w, SPAN("\r\n"));
    } else if (framing->kind == HTTP_BODY_CHUNKED) {
        put_span(w, SPAN("transfer-encoding: chunked\r\n"));
    }
}

/* Who is calling, for the upstream: rebuilt from what is verified. */
static void head_put_forwarded(struct put *w, const struct exchange *x)
{
    const struct http_field *host = http_head_find(&x->request.head, HTTP_FIELD_HOST);
    struct forwarded_element element = {.client = span_of(x->client_text, x->client_len),
                                        .proto = x->is_secure ? SPAN("https") : SPAN("http")};
    put_span(w, SPAN("x-forwarded-for: "));
    forwarded_put_for(w, &x->chain, element.client);
    put_span(w, SPAN("\r\nx-forwarded-proto: "));
    put_span(w, element.proto);
    if (host != NULL) {
        put_span(w, SPAN("\r\nx-forwarded-host: "));
        put_span(w, host->value);
        element.host = host->value;
    }
    put_span(w, SPAN("\r\nforwarded: "));
    forwarded_put_element(w, &x->chain, &element);
    put_span(w, SPAN("\r\n"));
}

static void head_put_trace(struct put *w, const struct exchange *x)
{
    put_line(w, SPAN("traceparent"), span_of(x->trace_text, sizeof x->trace_text));
}

/* RFC 9112 section 3.2: a client of version 1.0 may have named no host, or only in its target. */
static void head_put_missing_host(struct put *w, const struct exchange *x)
{
    struct span target = x->proxy->pick.target->address;
    bool is_path = span_starts(target, SPAN("unix:"));
    put_span(w, SPAN("host: "));
    if (x->request.host.at == NULL) {
        put_span(w, is_path ? SPAN("localhost") : target);
    } else {
        put_span(w, x->request.host);
        if (x->request.port != 0)
            put_span(w, SPAN(":"));
        if (x->request.port != 0)
            put_u64(w, x->request.port);
    }
    put_span(w, SPAN("\r\n"));
}

static void head_put_host(struct put *w, const struct exchange *x)
{
    const struct http_field *host = http_head_find(&x->request.head, HTTP_FIELD_HOST);
    if (!x->route->keeps_host)
        put_line(w, SPAN("host"), x->route->upstream_host);
    else if (host != NULL)
        put_line(w, SPAN("host"), host->value);
    else
        head_put_missing_host(w, x);
}

err head_write_request(struct exchange *x, const struct settings_upstream *upstream,
                       const struct head_framing *framing, char *out, size_t cap, size_t *out_len)
{
    struct put w = put_into(out, cap);
    const struct http_head *head = &x->request.head;
    (void)upstream;
    put_span(&w, x->request.method_text);
    put_span(&w, SPAN(" "));
    put_span(&w, x->path);
    if (x->request.query.at != NULL) {
        put_span(&w, SPAN("?"));
        put_span(&w, x->request.query);
    }
    put_span(&w, SPAN(" HTTP/1.1\r\n"));
    head_put_host(&w, x);
    struct head_drops drops = {x->route->request_id_drops, x->route->request_drops,
                               x->route->request_drop_count};
    head_put_fields(&w, head, &drops);
    head_put_forwarded(&w, x);
    put_line(&w, SPAN("x-request-id"), span_of(x->id, x->id_len));
    head_put_trace(&w, x);
    put_span(&w, x->route->request_lines);
    if (x->proxy != NULL && head->is_upgrade)
        put_span(&w, SPAN("connection: upgrade\r\nupgrade: websocket\r\n"));
    head_put_framing(&w, framing);
    return head_end(&w, out, ERR_HEADERS_TOO_LARGE, out_len);
}

static void head_put_status(struct put *w, unsigned status)
{
    struct span text = span_from(http_status_text(status));
    put_span(w, SPAN("HTTP/1.1 "));
    put_u64(w, status);
    put_span(w, SPAN(" "));
    put_span(w, text);
    put_span(w, SPAN("\r\n"));
}

static void head_put_protections(struct put *w, const struct exchange *x,
                                 const struct http_head *response)
{
    const struct protections *p = x->route->protections;
    if (p == NULL)
        return;
    if (put_has_room(w, protections_bytes_max(p)))
        w->at += protections_write(p, x->is_secure, response, w->at, (size_t)(w->end - w->at));
}

static void head_put_limits(struct put *w, struct exchange *x)
{
    if (x->limits.count == 0 || !x->settings->sends_limit_headers)
        return;
    limit_headers_put(w, x->limits.entries, x->limits.count, loop_wall_ns(x->home->loop));
}

/* The fields of an answer of our own. */
static void head_put_answer(struct put *w, struct exchange *x)
{
    put_span(w, SPAN("date: "));
    put_span(w, access_date(x->home));
    put_span(w, SPAN("\r\n"));
    if (x->answer.content_type.len > 0)
        put_line(w, SPAN("content-type"), x->answer.content_type);
    put_span(w, x->answer.lines);
}

/* A content-length of a message without body (HEAD, 304) tells about the representation. */
static void head_put_described_length(struct put *w, const struct exchange *x,
                                      const struct http_response *response)
{
    const struct http_field *length = http_head_find(&response->head, HTTP_FIELD_CONTENT_LENGTH);
    bool may_describe = x->request.method == HTTP_HEAD || response->status == 304;
    if (length != NULL && may_describe && response->head.body == HTTP_BODY_NONE)
        put_line(w, SPAN("content-length"), length->value);
}

static void head_put_connection(struct put *w, const struct exchange *x, unsigned status)
{
    if (status == 101)
        put_span(w, SPAN("connection: upgrade\r\nupgrade: websocket\r\n"));
    else if (!x->keeps_alive)
        put_span(w, SPAN("connection: close\r\n"));
    else if (x->request.head.version_minor == 0)
        put_span(w, SPAN("connection: keep-alive\r\n"));
}

err head_write_response(struct exchange *x, const struct http_response *response,
                        const struct head_framing *framing, char *out, size_t cap, size_t *out_len)
{
    struct put w = put_into(out, cap);
    head_put_status(&w, x->status);
    if (response != NULL) {
        struct head_drops drops = {x->route->response_id_drops, x->route->response_drops,
                                   x->route->response_drop_count};
        head_put_fields(&w, &response->head, &drops);
        head_put_described_length(&w, x, response);
        if (http_head_find(&response->head, HTTP_FIELD_DATE) == NULL) {
            put_span(&w, SPAN("date: "));
            put_span(&w, access_date(x->home));
            put_span(&w, SPAN("\r\n"));
        }
    } else {
        head_put_answer(&w, x);
    }
    head_put_protections(&w, x, response == NULL ? NULL : &response->head);
    put_line(&w, SPAN("x-request-id"), span_of(x->id, x->id_len));
    head_put_limits(&w, x);
    put_span(&w, x->route->response_lines);
    head_put_framing(&w, framing);
    head_put_connection(&w, x, x->status);
    return head_end(&w, out, ERR_BAD_UPSTREAM, out_len);
}

err head_write_interim(struct exchange *x, const struct http_response *response, char *out,
                       size_t cap, size_t *out_len)
{
    struct put w = put_into(out, cap);
    struct head_drops drops = {x->route->response_id_drops, x->route->response_drops,
                               x->route->response_drop_count};
    head_put_status(&w, response->status);
    head_put_fields(&w, &response->head, &drops);
    return head_end(&w, out, ERR_BAD_UPSTREAM, out_len);
}
