/* http1_fields.c: field lines into struct http_field.
 *
 * The hot loop of the proxy: names and values go by blocks of sixteen bytes, near the end of the
 * input values by words of eight and names by single bytes. A value ends at the first byte that may
 * not stand in one, and that byte has to be the CR of a CRLF; so bare CR, bare LF, NUL and other
 * control bytes need no test of their own (RFC 9110 section 5.5, RFC 9112 sections 2.2 and 5).
 *
 * Pure; objects belong to the caller.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/lanes.h"
#include "wire/http1_priv.h"
#include "wire/http_priv.h"

#define HTTP1_EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* Whether LANES_BYTES can be read at each of the `count` next blocks. */
static inline bool http1_has_blocks(const char *at, const char *word_end, unsigned count)
{
    return word_end - at >= (ptrdiff_t)(count * LANES_BYTES - sizeof(uint64_t));
}

/* Whether the `count` first bytes are letters and '-'. */
static inline bool http1_is_simple(struct lanes block, unsigned count)
{
    unsigned simple = lanes_letters(block) | lanes_equal(block, '-');
    return (~simple & ((1u << count) - 1)) == 0;
}

/* The colon behind a name of letters and '-' that is not long, as nearly all are; else NULL. */
static inline const char *http1_skip_simple_name(const char *at, const char *word_end)
{
    if (!http1_has_blocks(at, word_end, 2))
        return NULL;
    struct lanes block = lanes_load(at);
    unsigned colons = lanes_equal(block, ':');
    if (colons == 0) {
        if (!http1_is_simple(block, LANES_BYTES))
            return NULL;
        at += LANES_BYTES;
        block = lanes_load(at);
        colons = lanes_equal(block, ':');
    }
    unsigned length = (unsigned)__builtin_ctz(colons | 1u << LANES_BYTES);
    return colons != 0 && http1_is_simple(block, length) ? at + length : NULL;
}

/* The bytes that may not stand in a value. */
static inline unsigned http1_value_ends(struct lanes block)
{
    unsigned control = lanes_between(block, '\0', 0x1f) & ~lanes_equal(block, '\t');
    return control | lanes_equal(block, 0x7f);
}

static inline const char *http1_skip_value_blocks(const char *at, const char *word_end)
{
    for (; http1_has_blocks(at, word_end, 1); at += LANES_BYTES) {
        unsigned ends = http1_value_ends(lanes_load(at));
        if (ends != 0)
            return at + __builtin_ctz(ends);
    }
    return at;
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest");
/* The first byte that may not stand in a value; eight bytes can be read at each place up to
 * `word_end`. A hit can be false only for HTAB and for bytes behind 0xff (a carry), so each hit is
 * looked up before it counts. */
static inline const char *http1_skip_value(const char *at, const char *word_end)
{
    at = http1_skip_value_blocks(at, word_end);
    if (!http_chars_is(*at, HTTP_CHARS_VALUE))
        return at;
    for (; at <= word_end; at += 8) {
        uint64_t word = http_load_8(at);
        uint64_t hits = ((word - HTTP1_EACH_BYTE(0x20)) | (word + HTTP1_EACH_BYTE(0x01))) & ~word &
                        HTTP1_EACH_BYTE(0x80);
        if (hits == 0)
            continue;
        at += (unsigned)__builtin_ctzll(hits) / 8;
        if (!http_chars_is(*at, HTTP_CHARS_VALUE))
            return at;
        at -= 7;
    }
    return http_chars_skip(at, HTTP_CHARS_VALUE);
}

/* HTAB, SP, and what ends a value. */
static inline bool http1_is_low(char c)
{
    return (unsigned char)c <= ' ';
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

/* White space around the value other than one space in front of it. */
static void http1_trim_field(struct http_field *field)
{
    struct span value = span_trim(field->value);
    field->is_plain = field->is_plain && value.len == field->value.len;
    field->value = value;
}

/* The first byte behind `at` that may not stand in a name. */
static inline const char *http1_skip_name(const char *at, const char *word_end)
{
    const char *colon = http1_skip_simple_name(at, word_end);
    return colon != NULL ? colon : http_chars_skip(at, HTTP_CHARS_TOKEN);
}

/* The line at *at, which is complete; moves *at behind it. */
static inline err http1_read_field(const struct http1_input *in, struct http_field *field,
                                   const char **at, struct fault *why)
{
    const char *name = *at;
    const char *colon = http1_skip_name(name, in->word_end);
    if (http_chars_reread(colon) != ':' || colon == name)
        return http1_name_fault(name, colon, why);
    const char *value = colon + 1;
    bool is_plain = *value == ' ';
    value += is_plain;
    const char *stop = http1_skip_value(value, in->word_end);
    if (http_chars_reread(stop) != '\r' || stop[1] != '\n')
        return http1_value_fault(stop, why);
    field->name = span_of(name, (size_t)(colon - name));
    field->value = span_of(value, (size_t)(stop - value));
    field->line = span_of(name, (size_t)(stop + 2 - name));
    field->is_plain = is_plain;
    if (http1_is_low(*value) || http1_is_low(stop[-1]))
        http1_trim_field(field);
    *at = stop + 2;
    return OK;
}

/* Marks the field, which is the head's `number`th from 1 on, and enters it into the index. */
static inline err http1_enter_field(const struct http1_input *in, struct http_head *head,
                                    unsigned number, struct http_field *field, struct fault *why)
{
    unsigned id = http_field_find_in_line(field->name);
    field->id = (uint16_t)id;
    field->is_dropped = false;
    if (id == HTTP_FIELD_OTHER)
        return OK;
    field->is_dropped = (http1_dropped_fields & UINT64_C(1) << id) != 0;
    if (id == HTTP_FIELD_COUNT)
        return fault_set(why, ERR_BAD_REQUEST, "a field name has '_' where a known one has '-'");
    if (head->first[id] == 0)
        head->first[id] = (uint16_t)number;
    else if ((in->singletons & UINT64_C(1) << id) != 0)
        return fault_set(why, ERR_BAD_REQUEST, "the field %s is repeated",
                         http_field_name((enum http_field_id)id).at);
    return OK;
}

err http1_read_fields(const struct http1_input *in, struct http_head *head, const char **at,
                      struct fault *why)
{
    must(in->limits->field_count <= head->field_max);
    must(in->word_end >= in->bytes); /* a start line is longer than a word */
    const char *line = *at, *lines_end = in->lines_end;
    unsigned count = head->field_count, max = in->limits->field_count;
    struct http_field *field = head->fields + count;
    err outcome = FAIL(AGAIN);
    while (line < lines_end) {
        if (line[0] == '\r' && line[1] == '\n') {
            line += 2;
            outcome = OK;
            break;
        }
        if (count == max)
            return fault_set(why, ERR_HEADERS_TOO_LARGE, "more than %u fields", max);
        TRY(http1_read_field(in, field, &line, why));
        TRY(http1_enter_field(in, head, ++count, field, why));
        field++;
    }
    head->field_count = count;
    *at = line;
    return outcome;
}
