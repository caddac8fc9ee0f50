/* http_priv.h: field names by their bytes, for the hot loops of this part.
 *
 * A name is found by its length and its last two bytes, which lead to the one known name that it
 * can be; that one is compared. The key is a perfect hash over HTTP_FIELD_TABLE.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "wire/http.h"

/* Two names in one slot do not compile (an initialiser would be overridden). Then change the
 * factor: one odd number in twelve serves. */
#define HTTP_FIELD_FACTOR UINT32_C(0x9E3779B9)
#define HTTP_FIELD_SLOTS  512
#define HTTP_FIELD_SLOT(length, tail)                                                              \
    (((uint32_t)(length) << 16 | (uint32_t)(tail)) * HTTP_FIELD_FACTOR >> 23)
/* The last two bytes of a name, as they lie in memory. */
#define HTTP_FIELD_TAIL(last_but_one, last) ((uint32_t)(last_but_one) | (uint32_t)(last) << 8)

#define HTTP_FIELD_NAME_BYTES 56
struct http_field_name {
    char text[HTTP_FIELD_NAME_BYTES]; /* lower case, NUL-terminated */
    uint64_t length;
};

static_assert(sizeof(struct http_field_name) == 64, "one cache line a name");

extern const uint8_t http_field_slots[HTTP_FIELD_SLOTS];
extern const struct http_field_name http_field_names[HTTP_FIELD_COUNT];

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest");

/* The known name with '_' for some '-'; both have the same length. */
bool http_field_is_lookalike(struct span name, const char *known);

/* Compares the long names, of more than 16 bytes. */
bool http_name_matches_long(const char *name, const char *known, size_t length);

static inline uint64_t http_load_8(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint32_t http_load_4(const char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint16_t http_load_2(const char *at)
{
    uint16_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* 0x20 is set only where the known name has a letter (its byte has 0x40), so that no control byte
 * can pass for '-'. */
static inline bool http_matches_8(const char *name, const char *known)
{
    uint64_t want = http_load_8(known);
    return (http_load_8(name) | (want & UINT64_C(0x4040404040404040)) >> 1) == want;
}

static inline bool http_matches_4(const char *name, const char *known)
{
    uint32_t want = http_load_4(known);
    return (http_load_4(name) | (want & UINT32_C(0x40404040)) >> 1) == want;
}

static inline bool http_matches_2(const char *name, const char *known)
{
    uint16_t want = http_load_2(known);
    return (http_load_2(name) | (want & 0x4040u) >> 1) == want;
}

static inline bool http_matches_1(char name, char known)
{
    return (char)(name | ((known & 0x40) >> 1)) == known;
}

/* Both have this length; `known` is in lower case. */
static inline bool http_name_matches(const char *name, const char *known, size_t length)
{
    if (length > 16)
        return http_name_matches_long(name, known, length);
    if (length >= 8)
        return http_matches_8(name, known) && http_matches_8(name + length - 8, known + length - 8);
    if (length >= 4)
        return http_matches_4(name, known) && http_matches_4(name + length - 4, known + length - 4);
    return http_matches_2(name, known) && http_matches_2(name + length - 2, known + length - 2);
}

/* The id; HTTP_FIELD_OTHER; HTTP_FIELD_COUNT for a lookalike. name.len > 0, and the byte before the
 * name can be read: it is that of another field's line. */
static inline unsigned http_field_find_in_line(struct span name)
{
    uint32_t tail = http_load_2(name.at + name.len - 2) | 0x2020u;
    unsigned id = http_field_slots[HTTP_FIELD_SLOT(name.len, tail)];
    if (id == HTTP_FIELD_OTHER)
        return id;
    const struct http_field_name *known = &http_field_names[id];
    if (known->length != name.len)
        return HTTP_FIELD_OTHER;
    if (http_name_matches(name.at, known->text, name.len))
        return id;
    return http_field_is_lookalike(name, known->text) ? HTTP_FIELD_COUNT : HTTP_FIELD_OTHER;
}

static inline unsigned http_field_find(struct span name)
{
    return name.len < 2 ? HTTP_FIELD_OTHER : http_field_find_in_line(name);
}
