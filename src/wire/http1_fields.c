/* http1_fields.c: field lines into struct http_field.
 *
 * The hot loop of the proxy: each byte of a name costs a table load, values go by eight bytes at a
 * time. A value ends at the first byte that may not stand in one, and that byte has to be the CR
 * of a CRLF; so bare CR, bare LF, NUL and other control bytes need no test of their own
 * (RFC 9110 section 5.5, RFC 9112 sections 2.2 and 5).
 *
 * Pure; objects belong to the caller.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1_priv.h"

#define HTTP1_EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest");
/* The first byte that may not stand in a value. A hit can be false only for HTAB and for bytes
 * behind 0xff (a carry), so each hit is looked up before it counts. */
static inline const char *http1_skip_value(const char *at, const char *bytes_end)
{
    while (bytes_end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        uint64_t hits = ((word - HTTP1_EACH_BYTE(0x20)) | (word + HTTP1_EACH_BYTE(0x01))) & ~word &
                        HTTP1_EACH_BYTE(0x80);
        if (hits == 0) {
            at += 8;
            continue;
        }
        at += __builtin_ctzll(hits) / 8;
        if (!http_chars_is(*at, HTTP_CHARS_VALUE))
            return at;
        at++;
    }
    return http_chars_skip(at, HTTP_CHARS_VALUE);
}

static err http1_name_fault(const char *name, const char *stop, struct fault *why)
{
    if (stop == name && (*stop == ' ' || *stop == '\t'))
        return fault_set(why, ERR_BAD_REQUEST, "a field line is folded");
    if (stop == name)
        return fault_set(why, ERR_BAD_REQUEST, "a field line has no name");
    if (*stop == ' ' || *stop == '\t')
        return fault_set(why, ERR_BAD_REQUEST, "white space stands before a colon");
    if (*stop == '\r' || *stop == '\n')
        return fault_set(why, ERR_BAD_REQUEST, "a field line has no colon");
    return fault_set(why, ERR_BAD_REQUEST, "a field name has an invalid character");
}

static err http1_value_fault(const char *stop, struct fault *why)
{
    if (*stop == '\r')
        return fault_set(why, ERR_BAD_REQUEST, "a field value has a bare CR");
    if (*stop == '\n')
        return fault_set(why, ERR_BAD_REQUEST, "a field line ends with a bare LF");
    return fault_set(why, ERR_BAD_REQUEST, "a field value has a control byte");
}

/* Marks the field and enters it into the head as number `index`. */
static inline err http1_enter_field(const struct http1_input *in, struct http_head *head,
                                    unsigned index, struct fault *why)
{
    struct http_field *field = &head->fields[index];
    unsigned id = http_field_identify(field->name);
    field->id = (uint16_t)id;
    field->is_dropped = (http1_dropped_fields >> id & 1) != 0;
    if (id == HTTP_FIELD_OTHER)
        return OK;
    if (id == HTTP_FIELD_COUNT)
        return fault_set(why, ERR_BAD_REQUEST, "a field name has '_' where a known one has '-'");
    if (head->first[id] == 0)
        head->first[id] = (uint16_t)(index + 1);
    else if ((in->singletons >> id & 1) != 0)
        return fault_set(why, ERR_BAD_REQUEST, "the field %s is repeated",
                         http_field_name((enum http_field_id)id).at);
    return OK;
}

/* The line at *at, which is complete; moves *at behind it. */
static inline err http1_read_field(const struct http1_input *in, struct http_field *field,
                                   const char **at, struct fault *why)
{
    const char *name = *at;
    const char *colon = http_chars_skip(name, HTTP_CHARS_TOKEN);
    if (*colon != ':' || colon == name)
        return http1_name_fault(name, colon, why);
    const char *value = colon + 1;
    while (*value == ' ' || *value == '\t')
        value++;
    const char *stop = http1_skip_value(value, in->bytes_end);
    if (stop[0] != '\r' || stop[1] != '\n')
        return http1_value_fault(stop, why);
    const char *value_end = stop;
    while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t'))
        value_end--;

    field->name = span_of(name, (size_t)(colon - name));
    field->value = span_of(value, (size_t)(value_end - value));
    field->line = span_of(name, (size_t)(stop + 2 - name));
    field->is_plain = value == colon + 2 && colon[1] == ' ' && value_end == stop;
    *at = stop + 2;
    return OK;
}

err http1_read_fields(const struct http1_input *in, struct http_head *head, const char **at,
                      struct fault *why)
{
    unsigned max = in->limits->field_count;
    unsigned count = head->field_count;
    const char *line = *at;
    must(max <= head->field_max);
    while (line < in->lines_end) {
        if (line[0] == '\r' && line[1] == '\n') {
            head->field_count = count;
            *at = line + 2;
            return OK;
        }
        if (count == max)
            return fault_set(why, ERR_HEADERS_TOO_LARGE, "more than %u fields", max);
        TRY(http1_read_field(in, &head->fields[count], &line, why));
        TRY(http1_enter_field(in, head, count, why));
        count++;
    }
    head->field_count = count;
    *at = line;
    return FAIL(AGAIN);
}
