/* http1_framing.c: where a body ends, and what Connection says.
 *
 * The one hard thing is Connection: it lets the sender name fields to be removed, which an
 * attacker uses to take away what the application trusts (X-Forwarded-For, Authorization). RFC
 * 9110 section 7.6.1 forbids options that name end-to-end fields, so such a head is refused: known
 * end-to-end fields, and the families in http1_protected. Other names are dropped as told.
 *
 * Pure; objects belong to the caller.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1_priv.h"
#include "wire/http_priv.h"

/* More is an attempt to make us compare names all day. */
#define HTTP1_OPTIONS_MAX 16
/* Digits of the largest signed 64-bit number. */
#define HTTP1_LENGTH_DIGITS 19

struct http1_options {
    bool has_close;
    bool has_keep_alive;
    bool has_upgrade;
    unsigned count;
};

/* Beginnings of names that Connection may not name. */
static const struct span http1_protected[] = {
    SPAN_INIT("accept"),      SPAN_INIT("access-control-"),
    SPAN_INIT("content-"),    SPAN_INIT("cookie"),
    SPAN_INIT("etag"),        SPAN_INIT("if-"),
    SPAN_INIT("origin"),      SPAN_INIT("range"),
    SPAN_INIT("sec-"),        SPAN_INIT("set-cookie"),
    SPAN_INIT("vary"),        SPAN_INIT("www-authenticate"),
    SPAN_INIT("x-forwarded"), SPAN_INIT("x-real-"),
    SPAN_INIT("x-csrf-"),
};

static bool http1_is_protected(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(http1_protected); i++) {
        struct span start = http1_protected[i];
        if (name.len >= start.len && span_eq_nocase(span_of(name.at, start.len), start))
            return true;
    }
    return false;
}

static err http1_drop_named(struct http_head *head, struct span name, struct fault *why)
{
    if (http1_is_protected(name))
        return fault_set(why, ERR_BAD_REQUEST, "Connection names an end-to-end field");
    for (unsigned i = 0; i < head->field_count; i++)
        if (span_eq_nocase(head->fields[i].name, name))
            head->fields[i].is_dropped = true;
    return OK;
}

static err http1_read_option(struct http_head *head, struct span option,
                             struct http1_options *options, struct fault *why)
{
    if (!http_is_token(option))
        return fault_set(why, ERR_BAD_REQUEST, "a Connection option is not a token");
    if (++options->count > HTTP1_OPTIONS_MAX)
        return fault_set(why, ERR_BAD_REQUEST, "more than %d Connection options",
                         HTTP1_OPTIONS_MAX);
    enum http_field_id id = http_field_id_of(option);
    if (id == HTTP_FIELD_KEEP_ALIVE)
        options->has_keep_alive = true;
    else if (id == HTTP_FIELD_UPGRADE)
        options->has_upgrade = true;
    else if (id != HTTP_FIELD_OTHER && (http1_dropped_fields >> id & 1) == 0)
        return fault_set(why, ERR_BAD_REQUEST, "Connection names the end-to-end field %s",
                         http_field_name(id).at);
    else if (id == HTTP_FIELD_OTHER && span_eq_nocase(option, SPAN("close")))
        options->has_close = true;
    else if (id == HTTP_FIELD_OTHER)
        return http1_drop_named(head, option, why);
    return OK;
}

/* "Connection: keep-alive" and nothing else, which is what most say. */
static inline bool http1_is_keep_alive_only(const struct http_head *head)
{
    const struct http_field *end = head->fields + head->field_count;
    for (const struct http_field *f = http_head_find(head, HTTP_FIELD_CONNECTION); f < end; f++)
        if (f->id == HTTP_FIELD_CONNECTION && http_field_find(f->value) != HTTP_FIELD_KEEP_ALIVE)
            return false;
    return true;
}

static __attribute__((noinline)) err http1_read_connection(struct http_head *head,
                                                           bool *out_has_upgrade, struct fault *why)
{
    struct http1_options options = {0};
    for (unsigned i = head->first[HTTP_FIELD_CONNECTION] - 1u; i < head->field_count; i++) {
        struct span rest = head->fields[i].value, option;
        if (head->fields[i].id != HTTP_FIELD_CONNECTION)
            continue;
        while (http_list_next(&rest, &option))
            TRY(http1_read_option(head, option, &options, why));
    }
    head->is_keep_alive = !options.has_close && (head->version_minor > 0 || options.has_keep_alive);
    *out_has_upgrade = options.has_upgrade;
    return OK;
}

/* RFC 9112 sections 6.1 and 6.3. The value is one "chunked", or codings that we do not have with
 * one "chunked" at the end; all else has no reliable end. */
static err http1_read_transfer_encoding(struct http_head *head, struct span value,
                                        struct fault *why)
{
    if (head->version_minor == 0)
        return fault_set(why, ERR_BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding");
    struct span rest = value;
    bool is_chunked = false;
    unsigned count = 0;
    while (rest.at != NULL) {
        struct span coding = span_trim(span_cut(&rest, ','));
        if (!http_is_token(coding))
            return fault_set(why, ERR_BAD_REQUEST, "a transfer coding is not a token");
        if (is_chunked)
            return fault_set(why, ERR_BAD_REQUEST, "a transfer coding follows chunked");
        is_chunked = span_eq_nocase(coding, SPAN("chunked"));
        count++;
    }
    if (!is_chunked)
        return fault_set(why, ERR_BAD_REQUEST, "the last transfer coding is not chunked");
    if (count > 1)
        return fault_set(why, ERR_NOT_IMPLEMENTED, "no transfer coding but chunked is known");
    head->body = HTTP_BODY_CHUNKED;
    return OK;
}

static err http1_read_body_kind(struct http_head *head, struct fault *why)
{
    const struct http_field *length = http_head_find(head, HTTP_FIELD_CONTENT_LENGTH);
    const struct http_field *coding = http_head_find(head, HTTP_FIELD_TRANSFER_ENCODING);
    if (length != NULL && coding != NULL)
        return fault_set(why, ERR_BAD_REQUEST, "Content-Length stands with Transfer-Encoding");
    if (coding != NULL)
        return http1_read_transfer_encoding(head, coding->value, why);
    if (length == NULL)
        return OK;
    if (length->value.len > HTTP1_LENGTH_DIGITS ||
        !err_ok(span_parse_u64(length->value, INT64_MAX, &head->content_length)))
        return fault_set(why, ERR_BAD_REQUEST, "Content-Length is not one plain number");
    head->body = HTTP_BODY_LENGTH;
    return OK;
}

err http1_read_framing(struct http_head *head, struct fault *why)
{
    bool has_upgrade = false;
    head->is_keep_alive = head->version_minor > 0;
    if (head->first[HTTP_FIELD_CONNECTION] != 0) {
        if (http1_is_keep_alive_only(head))
            head->is_keep_alive = true;
        else
            TRY(http1_read_connection(head, &has_upgrade, why));
    }
    const struct http_field *upgrade = http_head_find(head, HTTP_FIELD_UPGRADE);
    if (upgrade != NULL) {
        head->upgrade = upgrade->value;
        head->is_upgrade = has_upgrade && head->version_minor > 0;
    }
    const struct http_field *te = http_head_find(head, HTTP_FIELD_TE);
    head->has_trailer_te = te != NULL && http_list_has(te->value, SPAN("trailers"));
    return http1_read_body_kind(head, why);
}
