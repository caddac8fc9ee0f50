/* head.c: runs of received lines, and our own lines around them.
 *
 * The one hard thing: a writer that never overflows without checking at each byte. Each piece is
 * checked once; the first that does not fit marks the writer, and the end reports it.
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/head.h"

#include "edge/access.h"

struct head_writer {
    char *at;
    char *end;
    bool is_full;
};

static inline void head_put(struct head_writer *w, struct span s)
{
    if (__builtin_expect((size_t)(w->end - w->at) < s.len, 0)) {
        w->is_full = true;
        return;
    }
    if (s.len > 0)
        memcpy(w->at, s.at, s.len);
    w->at += s.len;
}

static void head_put_u64(struct head_writer *w, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    head_put(w, span_of(digits + at, sizeof digits - at));
}

static void head_put_line(struct head_writer *w, struct span name, struct span value)
{
    head_put(w, name);
    head_put(w, SPAN(": "));
    head_put(w, value);
    head_put(w, SPAN("\r\n"));
}

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
static void head_put_fields(struct head_writer *w, const struct http_head *head,
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
        head_put(w, run);
        run = (struct span){NULL, 0};
        if (is_kept && f->is_plain)
            run = f->line;
        else if (is_kept)
            head_put_line(w, f->name, f->value);
    }
    head_put(w, run);
}

static err head_end(struct head_writer *w, char *start, enum err_code too_large, size_t *out_len)
{
    head_put(w, SPAN("\r\n"));
    if (w->is_full)
        return (err){too_large};
    *out_len = (size_t)(w->at - start);
    return OK;
}

static void head_put_framing(struct head_writer *w, const struct head_framing *framing)
{
    if (framing->kind == HTTP_BODY_LENGTH) {
        head_put(w, SPAN("content-length: "));
        head_put_u64(w, framing->length);
        head_put(w, SPAN("\r\n"));
    } else if (framing->kind == HTTP_BODY_CHUNKED) {
        head_put(w, SPAN("transfer-encoding: chunked\r\n"));
    }
}

/* Who is calling, for the upstream: rebuilt from what is verified. */
static void head_put_forwarded(struct head_writer *w, const struct exchange *x)
{
    char text[FORWARDED_FOR_TEXT_MAX + 256];
    struct buf room = {.at = text, .cap = sizeof text, .max = sizeof text};
    const struct http_field *host = http_head_find(&x->request.head, HTTP_FIELD_HOST);
    struct span proto = x->is_secure ? SPAN("https") : SPAN("http");
    if (err_ok(forwarded_write_for(&room, &x->chain)))
        head_put_line(w, SPAN("x-forwarded-for"), buf_span(&room));
    head_put_line(w, SPAN("x-forwarded-proto"), proto);
    struct forwarded_element element = {.proto = proto};
    if (host != NULL) {
        head_put_line(w, SPAN("x-forwarded-host"), host->value);
        element.host = host->value;
    }
    buf_reset(&room);
    if (err_ok(forwarded_write_element(&room, &x->chain, &element)))
        head_put_line(w, SPAN("forwarded"), buf_span(&room));
}

static void head_put_trace(struct head_writer *w, const struct exchange *x)
{
    char text[TRACECONTEXT_TEXT_BYTES];
    tracecontext_format(&x->trace, text);
    head_put_line(w, SPAN("traceparent"), span_of(text, sizeof text));
}

/* RFC 9112 section 3.2: a client of version 1.0 may have named no host, or only in its target. */
static void head_put_missing_host(struct head_writer *w, const struct exchange *x)
{
    struct span target = x->proxy->pick.target->address;
    bool is_path = span_starts(target, SPAN("unix:"));
    head_put(w, SPAN("host: "));
    if (x->request.host.at == NULL) {
        head_put(w, is_path ? SPAN("localhost") : target);
    } else {
        head_put(w, x->request.host);
        if (x->request.port != 0)
            head_put(w, SPAN(":"));
        if (x->request.port != 0)
            head_put_u64(w, x->request.port);
    }
    head_put(w, SPAN("\r\n"));
}

static void head_put_host(struct head_writer *w, const struct exchange *x)
{
    const struct http_field *host = http_head_find(&x->request.head, HTTP_FIELD_HOST);
    if (!x->route->keeps_host)
        head_put_line(w, SPAN("host"), x->route->upstream_host);
    else if (host != NULL)
        head_put_line(w, SPAN("host"), host->value);
    else
        head_put_missing_host(w, x);
}

err head_write_request(struct exchange *x, const struct settings_upstream *upstream,
                       const struct head_framing *framing, char *out, size_t cap, size_t *out_len)
{
    struct head_writer w = {out, out + cap, false};
    const struct http_head *head = &x->request.head;
    (void)upstream;
    head_put(&w, x->request.method_text);
    head_put(&w, SPAN(" "));
    head_put(&w, x->path);
    if (x->request.query.at != NULL) {
        head_put(&w, SPAN("?"));
        head_put(&w, x->request.query);
    }
    head_put(&w, SPAN(" HTTP/1.1\r\n"));
    head_put_host(&w, x);
    struct head_drops drops = {x->route->request_id_drops, x->route->request_drops,
                               x->route->request_drop_count};
    head_put_fields(&w, head, &drops);
    head_put_forwarded(&w, x);
    head_put_line(&w, SPAN("x-request-id"), span_of(x->id, x->id_len));
    head_put_trace(&w, x);
    head_put(&w, x->route->request_lines);
    if (x->proxy != NULL && head->is_upgrade)
        head_put(&w, SPAN("connection: upgrade\r\nupgrade: websocket\r\n"));
    head_put_framing(&w, framing);
    return head_end(&w, out, ERR_HEADERS_TOO_LARGE, out_len);
}

static void head_put_status(struct head_writer *w, unsigned status)
{
    struct span text = span_from(http_status_text(status));
    head_put(w, SPAN("HTTP/1.1 "));
    head_put_u64(w, status);
    head_put(w, SPAN(" "));
    head_put(w, text);
    head_put(w, SPAN("\r\n"));
}

static void head_put_protections(struct head_writer *w, const struct exchange *x,
                                 const struct http_head *response)
{
    const struct protections *p = x->route->protections;
    if (p == NULL)
        return;
    if ((size_t)(w->end - w->at) < protections_bytes_max(p)) {
        w->is_full = true;
        return;
    }
    w->at += protections_write(p, x->is_secure, response, w->at, (size_t)(w->end - w->at));
}

static void head_put_limits(struct head_writer *w, struct exchange *x)
{
    if (x->limits.count == 0 || !x->settings->sends_limit_headers)
        return;
    struct buf room = {.at = w->at, .cap = (size_t)(w->end - w->at)};
    room.max = room.cap;
    if (err_ok(limit_headers_write(&room, x->limits.entries, x->limits.count,
                                   loop_wall_ns(x->home->loop))))
        w->at += room.len;
    else
        w->is_full = true;
}

/* The fields of an answer of our own. */
static void head_put_answer(struct head_writer *w, struct exchange *x)
{
    head_put(w, SPAN("date: "));
    head_put(w, access_date(x->home));
    head_put(w, SPAN("\r\n"));
    if (x->answer.content_type.len > 0)
        head_put_line(w, SPAN("content-type"), x->answer.content_type);
    head_put(w, x->answer.lines);
}

/* A content-length of a message without body (HEAD, 304) tells about the representation. */
static void head_put_described_length(struct head_writer *w, const struct exchange *x,
                                      const struct http_response *response)
{
    const struct http_field *length = http_head_find(&response->head, HTTP_FIELD_CONTENT_LENGTH);
    bool may_describe = x->request.method == HTTP_HEAD || response->status == 304;
    if (length != NULL && may_describe && response->head.body == HTTP_BODY_NONE)
        head_put_line(w, SPAN("content-length"), length->value);
}

static void head_put_connection(struct head_writer *w, const struct exchange *x, unsigned status)
{
    if (status == 101)
        head_put(w, SPAN("connection: upgrade\r\nupgrade: websocket\r\n"));
    else if (!x->keeps_alive)
        head_put(w, SPAN("connection: close\r\n"));
    else if (x->request.head.version_minor == 0)
        head_put(w, SPAN("connection: keep-alive\r\n"));
}

err head_write_response(struct exchange *x, const struct http_response *response,
                        const struct head_framing *framing, char *out, size_t cap, size_t *out_len)
{
    struct head_writer w = {out, out + cap, false};
    head_put_status(&w, x->status);
    if (response != NULL) {
        struct head_drops drops = {x->route->response_id_drops, x->route->response_drops,
                                   x->route->response_drop_count};
        head_put_fields(&w, &response->head, &drops);
        head_put_described_length(&w, x, response);
        if (http_head_find(&response->head, HTTP_FIELD_DATE) == NULL) {
            head_put(&w, SPAN("date: "));
            head_put(&w, access_date(x->home));
            head_put(&w, SPAN("\r\n"));
        }
    } else {
        head_put_answer(&w, x);
    }
    head_put_protections(&w, x, response == NULL ? NULL : &response->head);
    head_put_line(&w, SPAN("x-request-id"), span_of(x->id, x->id_len));
    head_put_limits(&w, x);
    head_put(&w, x->route->response_lines);
    head_put_framing(&w, framing);
    head_put_connection(&w, x, x->status);
    return head_end(&w, out, ERR_BAD_UPSTREAM, out_len);
}

err head_write_interim(struct exchange *x, const struct http_response *response, char *out,
                       size_t cap, size_t *out_len)
{
    struct head_writer w = {out, out + cap, false};
    struct head_drops drops = {x->route->response_id_drops, x->route->response_drops,
                               x->route->response_drop_count};
    head_put_status(&w, response->status);
    head_put_fields(&w, &response->head, &drops);
    return head_end(&w, out, ERR_BAD_UPSTREAM, out_len);
}
