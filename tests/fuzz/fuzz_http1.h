/* fuzz_http1.h: one HTTP/1.1 message, fed in pieces, for the fuzz targets.
 *
 * The pieces may not matter: whoever feeds the same bytes gets the same outcome, the same head and
 * the same payload.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdlib.h>

#include "core/must.h"
#include "wire/http1.h"

#define FUZZ_FIELD_MAX 24

/* Small, so that the limits are met too. */
static const struct http1_limits fuzz_limits = {
    .target_bytes = 200,
    .head_bytes = 1000,
    .field_count = FUZZ_FIELD_MAX,
    .trailer_bytes = 100,
    .chunk_line_bytes = 40,
};

struct fuzz_message {
    bool is_response;
    enum http_method method; /* of the request, for responses */
    struct http1_head_parser parser;
    struct http_request request;
    struct http_response response;
    struct http_field fields[FUZZ_FIELD_MAX];
    struct http1_body body;
    char *bytes; /* owned; the payload is moved to the front of the body, behind the head */
    size_t size;
    size_t read;
    size_t payload;
    err outcome; /* AGAIN: not complete */
    bool has_head;
};

static inline struct http_head *fuzz_head(struct fuzz_message *m)
{
    return m->is_response ? &m->response.head : &m->request.head;
}

static inline void fuzz_message_init(struct fuzz_message *m, struct span bytes)
{
    m->parser = (struct http1_head_parser){0};
    m->request = (struct http_request){0};
    m->response = (struct http_response){0};
    fuzz_head(m)->fields = m->fields;
    fuzz_head(m)->field_max = FUZZ_FIELD_MAX;
    m->bytes = malloc(bytes.len == 0 ? 1 : bytes.len);
    must(m->bytes != NULL);
    if (bytes.len > 0)
        memcpy(m->bytes, bytes.at, bytes.len);
    m->size = bytes.len;
    m->read = m->payload = 0;
    m->outcome = FAIL(AGAIN);
    m->has_head = false;
}

static inline void fuzz_message_done(struct fuzz_message *m)
{
    free(m->bytes);
}

static inline void fuzz_read_body(struct fuzz_message *m, size_t len)
{
    struct http1_decoded got;
    char *piece = m->bytes + m->read;
    err outcome = http1_body_decode(&m->body, &fuzz_limits, piece, len - m->read, &got, NULL);
    if (!err_ok(outcome)) {
        must(outcome.code == ERR_BAD_REQUEST || outcome.code == ERR_HEADERS_TOO_LARGE);
        m->outcome = outcome;
        return;
    }
    must(got.payload <= got.consumed && got.consumed <= len - m->read);
    memmove(m->bytes + fuzz_head(m)->head_bytes + m->payload, piece, got.payload);
    m->payload += got.payload;
    m->read += got.consumed;
    must(m->body.received_bytes == m->payload);
    must(http1_body_is_done(&m->body) || m->read == len);
    m->outcome = http1_body_is_done(&m->body) ? OK : FAIL(AGAIN);
}

/* bytes[0..len) are there now. */
static inline void fuzz_feed(struct fuzz_message *m, size_t len)
{
    struct fault why = {0};
    if (m->outcome.code != ERR_AGAIN)
        return;
    if (!m->has_head) {
        struct span bytes = span_of(m->bytes, len);
        m->outcome = m->is_response
                         ? http1_parse_response(&m->parser, &fuzz_limits, m->method, bytes,
                                                &m->response, &why)
                         : http1_parse_request(&m->parser, &fuzz_limits, bytes, &m->request, &why);
        must(err_ok(m->outcome) || m->outcome.code == ERR_AGAIN ||
             (why.code == m->outcome.code && why.text[0] != '\0'));
        if (!err_ok(m->outcome))
            return;
        m->has_head = true;
        m->read = fuzz_head(m)->head_bytes;
        must(m->read <= len && m->read <= fuzz_limits.head_bytes);
        http1_body_init(&m->body, fuzz_head(m)->body, fuzz_head(m)->content_length);
    }
    fuzz_read_body(m, len);
}

static inline void fuzz_check_inside(struct span inner, struct span outer)
{
    must(inner.at >= outer.at && inner.at + inner.len <= outer.at + outer.len);
}

static inline bool fuzz_is_same_place(struct span a, const char *a_base, struct span b,
                                      const char *b_base)
{
    return a.len == b.len && a.at - a_base == b.at - b_base;
}

/* Spans lie inside the head, in order, and say what the line says. */
static inline void fuzz_check_fields(struct fuzz_message *m)
{
    const struct http_head *head = fuzz_head(m);
    const char *at = NULL;
    must(head->field_count <= FUZZ_FIELD_MAX);
    for (unsigned i = 0; i < head->field_count; i++) {
        const struct http_field *f = &head->fields[i];
        fuzz_check_inside(f->line, span_of(m->bytes, head->head_bytes));
        fuzz_check_inside(f->name, f->line);
        fuzz_check_inside(f->value, f->line);
        must(at == NULL || f->line.at == at);
        at = f->line.at + f->line.len;
        must(f->name.at == f->line.at && f->name.at[f->name.len] == ':');
        must(http_is_token(f->name) && span_ends(f->line, SPAN("\r\n")));
        must(span_eq(span_trim(f->value), f->value));
        must(f->id == http_field_id_of(f->name));
        must(!f->is_plain || (f->value.at == f->name.at + f->name.len + 2 &&
                              f->line.len == f->name.len + f->value.len + 4));
        must(memchr(f->value.at, '\r', f->value.len) == NULL);
        must(memchr(f->value.at, '\n', f->value.len) == NULL);
        must(memchr(f->value.at, '\0', f->value.len) == NULL);
        must(f->id == HTTP_FIELD_OTHER || (head->first[f->id] > 0 && head->first[f->id] <= i + 1));
    }
}

static inline void fuzz_check_same(struct fuzz_message *a, struct fuzz_message *b)
{
    const struct http_head *x = fuzz_head(a), *y = fuzz_head(b);
    must(a->outcome.code == b->outcome.code && a->has_head == b->has_head);
    if (!a->has_head)
        return;
    must(x->head_bytes == y->head_bytes && x->field_count == y->field_count);
    must(x->body == y->body && x->content_length == y->content_length);
    must(x->is_keep_alive == y->is_keep_alive && x->is_upgrade == y->is_upgrade);
    must(memcmp(x->first, y->first, sizeof x->first) == 0);
    for (unsigned i = 0; i < x->field_count; i++) {
        const struct http_field *f = &x->fields[i], *g = &y->fields[i];
        must(fuzz_is_same_place(f->name, a->bytes, g->name, b->bytes));
        must(fuzz_is_same_place(f->value, a->bytes, g->value, b->bytes));
        must(f->is_plain == g->is_plain && f->is_dropped == g->is_dropped && f->id == g->id);
    }
    if (!err_ok(a->outcome) && a->outcome.code != ERR_AGAIN)
        return;
    must(a->read == b->read && a->payload == b->payload);
    must(memcmp(a->bytes + x->head_bytes, b->bytes + x->head_bytes, a->payload) == 0);
}

/* The message in one piece, in `whole`; then in two pieces and byte by byte, compared with it. */
static inline void fuzz_all_cuts(struct fuzz_message *whole, struct span bytes, size_t cut)
{
    struct fuzz_message pieces = {.is_response = whole->is_response, .method = whole->method};
    fuzz_message_init(whole, bytes);
    fuzz_feed(whole, bytes.len);
    if (whole->has_head)
        fuzz_check_fields(whole);

    fuzz_message_init(&pieces, bytes);
    fuzz_feed(&pieces, bytes.len == 0 ? 0 : cut % bytes.len);
    fuzz_feed(&pieces, bytes.len);
    fuzz_check_same(whole, &pieces);
    fuzz_message_done(&pieces);

    fuzz_message_init(&pieces, bytes);
    for (size_t len = 1; len <= bytes.len; len++)
        fuzz_feed(&pieces, len);
    fuzz_check_same(whole, &pieces);
    fuzz_message_done(&pieces);
}

/* An accepted message, written again from its parts: what we send is what we understood. */
static inline void fuzz_write_fields(struct buf *out, const struct http_head *head)
{
    for (unsigned i = 0; i < head->field_count; i++) {
        must(err_ok(buf_add(out, head->fields[i].name)));
        must(err_ok(buf_add(out, SPAN(": "))));
        must(err_ok(buf_add(out, head->fields[i].value)));
        must(err_ok(buf_add(out, SPAN("\r\n"))));
    }
    must(err_ok(buf_add(out, SPAN("\r\n"))));
}

static inline void fuzz_write_body(struct buf *out, struct fuzz_message *m)
{
    char line[HTTP1_CHUNK_LINE_MAX];
    struct span payload = span_of(m->bytes + fuzz_head(m)->head_bytes, m->payload);
    if (m->body.kind != HTTP_BODY_CHUNKED) {
        must(err_ok(buf_add(out, payload)));
        return;
    }
    if (payload.len > 0) {
        must(err_ok(buf_append(out, line, http1_chunk_line(line, payload.len))));
        must(err_ok(buf_add(out, payload)));
        must(err_ok(buf_add(out, SPAN("\r\n"))));
    }
    must(err_ok(buf_add(out, SPAN("0\r\n\r\n"))));
}

/* Parses what was written; all but places and forms of white space has to be the same. */
static inline void fuzz_check_again(struct fuzz_message *m, struct fuzz_message *again)
{
    const struct http_head *x = fuzz_head(m), *y = fuzz_head(again);
    must(again->has_head && again->outcome.code == m->outcome.code);
    must(x->field_count == y->field_count && x->body == y->body);
    must(x->content_length == y->content_length && x->is_keep_alive == y->is_keep_alive);
    must(x->is_upgrade == y->is_upgrade);
    for (unsigned i = 0; i < x->field_count; i++) {
        must(span_eq(x->fields[i].name, y->fields[i].name));
        must(span_eq(x->fields[i].value, y->fields[i].value));
        must(x->fields[i].is_dropped == y->fields[i].is_dropped && y->fields[i].is_plain);
    }
    must(m->payload == again->payload);
    must(memcmp(m->bytes + x->head_bytes, again->bytes + y->head_bytes, m->payload) == 0);
}
