/* http1_fields.c: field lines into struct http_field.
 *
 * The hot loop of the proxy: names and values go by a block of sixteen bytes where the processor
 * has one, and values otherwise by a word of eight. A value ends at the first byte that may not
 * stand in one, and that byte has to be the CR of a CRLF; so bare CR, bare LF, NUL and other
 * control bytes need no test of their own (RFC 9110 section 5.5, RFC 9112 sections 2.2 and 5).
 *
 * Pure; objects belong to the caller.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1_priv.h"
#include "wire/http_priv.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define HTTP1_EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

#define HTTP1_BLOCK 16

#ifdef __SSE2__
static inline unsigned http1_mask(__m128i matches)
{
    return (unsigned)_mm_movemask_epi8(matches);
}

/* Each byte of the block that may not stand in a value, as a bit. */
static inline unsigned http1_value_ends(const char *at)
{
    __m128i block = _mm_loadu_si128((const __m128i_u *)at);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
    __m128i tab = _mm_cmpeq_epi8(block, _mm_set1_epi8('\t'));
    __m128i del = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));
    return http1_mask(_mm_or_si128(_mm_andnot_si128(tab, low), del));
}

/* Whether the `count` first bytes of the block are letters and '-'. */
static inline bool http1_is_simple(__m128i block, unsigned count)
{
    __m128i letter = _mm_sub_epi8(_mm_or_si128(block, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
    __m128i simple = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(25)), letter),
                                  _mm_cmpeq_epi8(block, _mm_set1_epi8('-')));
    return (~http1_mask(simple) & ((1u << count) - 1)) == 0;
}

/* The colon behind a name of letters and '-' that is not long, as nearly all are; else NULL. */
static inline const char *http1_skip_simple_name(const char *at, const char *word_end)
{
    if (word_end - at < 2 * HTTP1_BLOCK - 8)
        return NULL;
    __m128i colon = _mm_set1_epi8(':');
    __m128i block = _mm_loadu_si128((const __m128i_u *)at);
    unsigned colons = http1_mask(_mm_cmpeq_epi8(block, colon));
    if (colons == 0) {
        if (!http1_is_simple(block, HTTP1_BLOCK))
            return NULL;
        at += HTTP1_BLOCK;
        block = _mm_loadu_si128((const __m128i_u *)at);
        colons = http1_mask(_mm_cmpeq_epi8(block, colon));
    }
    unsigned length = (unsigned)__builtin_ctz(colons | 1u << HTTP1_BLOCK);
    return colons != 0 && http1_is_simple(block, length) ? at + length : NULL;
}

static inline const char *http1_skip_blocks(const char *at, const char *word_end)
{
    for (; word_end - at >= HTTP1_BLOCK - 8; at += HTTP1_BLOCK) {
        unsigned ends = http1_value_ends(at);
        if (ends != 0)
            return at + __builtin_ctz(ends);
    }
    return at;
}
#else
static inline const char *http1_skip_simple_name(const char *at, const char *word_end)
{
    (void)at, (void)word_end;
    return NULL;
}

static inline const char *http1_skip_blocks(const char *at, const char *word_end)
{
    (void)word_end;
    return at;
}
#endif

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest");
/* The first byte that may not stand in a value; eight bytes can be read at each place up to
 * `word_end`. A hit can be false only for HTAB and for bytes behind 0xff (a carry), so each hit is
 * looked up before it counts. */
static inline const char *http1_skip_value(const char *at, const char *word_end)
{
    at = http1_skip_blocks(at, word_end);
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
