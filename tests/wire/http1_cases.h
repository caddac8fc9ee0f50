/* http1_cases.h: reads tests/data/http1/, feeds each case in many cuts, and compares.
 *
 * The same files serve the end-to-end tests, which send the raw bytes to a running server.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdio.h>
#include <stdlib.h>

#include "cmocka_all.h"
#include "core/arena.h"
#include "wire/http1.h"
#include "wire/url.h"

#define CASE_FIELD_MAX 100
#define CASE_RAW_MAX   (1 << 17)

static const struct http1_limits case_limits = {
    .target_bytes = 8192,
    .head_bytes = 32768,
    .field_count = CASE_FIELD_MAX,
    .trailer_bytes = 8192,
    .chunk_line_bytes = 256,
};

struct wire_case {
    struct span expected;
    struct span method; /* responses only */
    struct span name;
    char *raw; /* owned */
    size_t raw_len;
};

static inline unsigned case_hex(char c)
{
    unsigned u = (unsigned char)c;
    assert_true((u >= '0' && u <= '9') || (u >= 'a' && u <= 'f'));
    return u <= '9' ? u - '0' : u - 'a' + 10;
}

/* One escape or plain byte at the start of *text. */
static inline char case_byte(struct span *text)
{
    char c = text->at[0];
    *text = span_skip(*text, 1);
    if (c != '\\')
        return c;
    assert_true(text->len > 0);
    c = text->at[0];
    *text = span_skip(*text, 1);
    switch (c) {
    case 'r':
        return '\r';
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 's':
        return ' ';
    case '0':
        return '\0';
    case '\\':
        return '\\';
    case 'x': {
        assert_true(text->len >= 2);
        unsigned byte = case_hex(text->at[0]) << 4 | case_hex(text->at[1]);
        *text = span_skip(*text, 2);
        return (char)byte;
    }
    default:
        fail_msg("unknown escape \\%c", c);
    }
    return c;
}

static inline size_t case_decode(struct span text, char *out)
{
    size_t len = 0;
    while (text.len > 0) {
        if (!span_starts(text, SPAN("\\{"))) {
            out[len++] = case_byte(&text);
            continue;
        }
        text = span_skip(text, 2);
        uint64_t times = 0;
        assert_true(err_ok(span_parse_u64(span_cut(&text, ':'), CASE_RAW_MAX, &times)));
        struct span again = span_cut(&text, '}');
        assert_true(again.len > 0 && text.at != NULL);
        for (; times > 0; times--)
            for (struct span rest = again; rest.len > 0;)
                out[len++] = case_byte(&rest);
        assert_true(len < CASE_RAW_MAX - 4096);
    }
    return len;
}

/* Reads the file into *cases; the text stays alive as long as the program. */
static inline size_t case_load(const char *path, bool has_method, struct wire_case *cases,
                               size_t case_max)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = malloc(CASE_RAW_MAX * 2), *raw = malloc(CASE_RAW_MAX);
    assert_non_null(text);
    assert_non_null(raw);
    size_t text_len = fread(text, 1, CASE_RAW_MAX * 2, file), count = 0;
    assert_int_equal(fclose(file), 0);
    assert_true(text_len < CASE_RAW_MAX * 2);
    struct span rest = span_of(text, text_len);
    while (rest.at != NULL && rest.len > 0) {
        struct span line = span_cut(&rest, '\n');
        if (line.len == 0 || line.at[0] == '#')
            continue;
        assert_true(count < case_max);
        struct wire_case *c = &cases[count++];
        c->expected = span_cut(&line, ' ');
        if (has_method)
            c->method = span_cut(&line, ' ');
        c->name = span_cut(&line, ' ');
        c->raw_len = case_decode(line, raw);
        c->raw = malloc(c->raw_len);
        assert_non_null(c->raw);
        memcpy(c->raw, raw, c->raw_len);
    }
    free(raw);
    return count;
}

static inline void case_free(struct wire_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(cases[i].raw);
}

/* What came of one message. Two feedings agree when all of it is equal, but for what was seen
 * before an error. */
struct case_outcome {
    enum err_code code; /* NONE: complete; AGAIN: incomplete */
    bool has_head;
    size_t head_bytes;
    unsigned field_count;
    uint64_t hash; /* of fields, start line and payload */
    size_t used_bytes;
};

static inline uint64_t case_mix(uint64_t hash, struct span bytes)
{
    hash = (hash ^ bytes.len) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ (unsigned char)bytes.at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static inline uint64_t case_mix_head(uint64_t hash, const struct http_head *head)
{
    hash = hash * 31 + head->body;
    hash = hash * 31 + head->content_length;
    hash = hash * 31 +
           (unsigned)(head->is_keep_alive * 4 + head->is_upgrade * 2 + head->has_trailer_te);
    for (unsigned i = 0; i < head->field_count; i++) {
        const struct http_field *f = &head->fields[i];
        hash = case_mix(case_mix(case_mix(hash, f->name), f->value), f->line);
        hash = hash * 31 + f->id + (f->is_plain ? 1000u : 0) + (f->is_dropped ? 2000u : 0);
    }
    for (unsigned i = 0; i < HTTP_FIELD_COUNT; i++)
        hash = hash * 31 + head->first[i];
    return hash;
}

/* Called with a growing number of bytes, then asked for the outcome. */
struct case_feeder {
    bool is_response;
    enum http_method method;
    struct http1_head_parser parser;
    struct http_request request;
    struct http_response response;
    struct http_field fields[CASE_FIELD_MAX];
    struct http1_body body;
    size_t fed;
    char *copy; /* borrowed; the body is decoded in place */
    struct case_outcome outcome;
    struct fault why;
};

static inline void feeder_init(struct case_feeder *f, const struct wire_case *c, char *copy)
{
    *f = (struct case_feeder){.is_response = c->method.len > 0, .copy = copy};
    f->method = http_method_of(c->method);
    struct http_head head = {.fields = f->fields, .field_max = CASE_FIELD_MAX};
    f->request.head = f->response.head = head;
    f->outcome.code = ERR_AGAIN;
    memcpy(copy, c->raw, c->raw_len);
}

static inline void feeder_enter_body(struct case_feeder *f)
{
    const struct http_head *head = f->is_response ? &f->response.head : &f->request.head;
    f->outcome.has_head = true;
    f->outcome.head_bytes = f->fed = head->head_bytes;
    f->outcome.field_count = head->field_count;
    f->outcome.hash = case_mix_head(f->outcome.hash, head);
    if (f->is_response) {
        f->outcome.hash = case_mix(f->outcome.hash * 31 + f->response.status, f->response.reason);
    } else {
        f->outcome.hash = case_mix(f->outcome.hash, f->request.target);
        f->outcome.hash = case_mix(f->outcome.hash, f->request.host) * 31 + f->request.port;
        f->outcome.hash = case_mix(f->outcome.hash, f->request.raw_path);
        f->outcome.hash = f->outcome.hash * 31 + f->request.expects_continue;
    }
    http1_body_init(&f->body, head->body, head->content_length);
}

static inline err feeder_check_path(struct case_feeder *f)
{
    struct arena arena;
    struct span path;
    bool has_path = f->request.target_form == HTTP_TARGET_ORIGIN ||
                    f->request.target_form == HTTP_TARGET_ABSOLUTE;
    if (f->is_response || !has_path)
        return OK;
    arena_init(&arena, NULL, CASE_RAW_MAX);
    err outcome = url_canonical_path(&arena, f->request.raw_path, &path, &f->why);
    arena_done(&arena);
    return outcome;
}

static inline err feeder_head(struct case_feeder *f, size_t len)
{
    struct span bytes = span_of(f->copy, len);
    err outcome = f->is_response
                      ? http1_parse_response(&f->parser, &case_limits, f->method, bytes,
                                             &f->response, &f->why)
                      : http1_parse_request(&f->parser, &case_limits, bytes, &f->request, &f->why);
    if (err_ok(outcome))
        outcome = feeder_check_path(f);
    if (err_ok(outcome))
        feeder_enter_body(f);
    return outcome;
}

/* copy[0..len) is there now. */
static inline void feeder_feed(struct case_feeder *f, size_t len)
{
    if (f->outcome.code != ERR_AGAIN)
        return;
    if (!f->outcome.has_head) {
        err outcome = feeder_head(f, len);
        f->outcome.code = outcome.code;
        if (!err_ok(outcome))
            return;
    }
    f->outcome.code = ERR_AGAIN;
    struct http1_decoded got;
    err outcome =
        http1_body_decode(&f->body, &case_limits, f->copy + f->fed, len - f->fed, &got, &f->why);
    if (!err_ok(outcome)) {
        f->outcome.code = outcome.code;
        return;
    }
    assert_true(got.payload <= got.consumed);
    for (size_t i = 0; i < got.payload; i++)
        f->outcome.hash = f->outcome.hash * 31 + (unsigned char)f->copy[f->fed + i];
    f->fed += got.consumed;
    f->outcome.used_bytes = f->fed;
    if (http1_body_is_done(&f->body))
        f->outcome.code = ERR_NONE;
    else
        assert_int_equal(f->fed, len);
}

static inline bool case_outcomes_agree(const struct case_outcome *a, const struct case_outcome *b)
{
    if (a->code != b->code || a->has_head != b->has_head || a->head_bytes != b->head_bytes)
        return false;
    if (a->code != ERR_NONE && a->code != ERR_AGAIN)
        return true;
    return a->field_count == b->field_count && a->hash == b->hash && a->used_bytes == b->used_bytes;
}
