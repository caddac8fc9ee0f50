/* record.h: one JSON object on one line, written straight into reserved memory.
 *
 * json.h grows a buf and checks each append; a record knows its room from the start, so the access
 * log costs a few instructions a field. The one hard thing: it never runs over and is always valid
 * JSON. A string longer than RECORD_STRING_MAX is cut and ends in U+2026; a field that no longer
 * fits is left out; either way the record ends in "truncated":true.
 *
 * The memory is the caller's; one thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/span.h"

#define RECORD_STRING_MAX 1024 /* bytes of one string before escaping; more is cut */
#define RECORD_MIN_BYTES  128  /* the least room that record_begin takes */

struct record {
    char *at;
    char *end; /* room for the closing is kept behind it */
    char *start;
    bool is_cut;
};

/* A field's key, ready for the output: RECORD_KEY("status"). Our own names: plain ASCII. */
#define RECORD_KEY(name) SPAN(",\"" name "\":")

/* Opens the object with its first field, "time", out of clock_format_rfc3339 (24 bytes). */
void record_begin(struct record *r, char *at, size_t size_bytes, struct span time);
/* Closes the object and the line; returns the bytes written, at most size_bytes. */
size_t record_end(struct record *r);

/* Parts of the functions below. */
char *record_put_u64(char *at, uint64_t value);
char *record_put_ms(char *at, uint64_t ns);
void record_put_string(struct record *r, struct span value);

#define RECORD_U64_BYTES    20
#define RECORD_MS_BYTES     24
#define RECORD_STRING_SLACK 24 /* quotes, U+2026, and one word of eight bytes stored ahead */

/* Writes the key if it and `room` more bytes fit. Inline so that a literal key is a few moves. */
static inline bool record_open(struct record *r, struct span key, size_t room)
{
    if (__builtin_expect((size_t)(r->end - r->at) < key.len + room, 0)) {
        r->is_cut = true;
        return false;
    }
    memcpy(r->at, key.at, key.len);
    r->at += key.len;
    return true;
}

/* A value that is already JSON. */
static inline void record_json(struct record *r, struct span key, struct span value)
{
    if (!record_open(r, key, value.len) || value.len == 0)
        return;
    memcpy(r->at, value.at, value.len);
    r->at += value.len;
}

/* Escaped; invalid UTF-8 becomes U+FFFD. value.at == NULL writes null. */
static inline void record_str(struct record *r, struct span key, struct span value)
{
    if (value.at == NULL)
        record_json(r, key, SPAN("null"));
    else if (record_open(r, key, RECORD_STRING_SLACK))
        record_put_string(r, value);
}

/* For bytes that need no escape by their making (hex ids, our own words): not looked at. */
static inline void record_plain(struct record *r, struct span key, struct span value)
{
    if (!record_open(r, key, value.len + 2))
        return;
    *r->at++ = '"';
    if (value.len > 0)
        memcpy(r->at, value.at, value.len);
    r->at += value.len;
    *r->at++ = '"';
}

static inline void record_u64(struct record *r, struct span key, uint64_t value)
{
    if (record_open(r, key, RECORD_U64_BYTES))
        r->at = record_put_u64(r->at, value);
}

static inline void record_i64(struct record *r, struct span key, int64_t value)
{
    if (!record_open(r, key, RECORD_U64_BYTES + 1))
        return;
    if (value < 0)
        *r->at++ = '-';
    r->at = record_put_u64(r->at, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

static inline void record_bool(struct record *r, struct span key, bool value)
{
    record_json(r, key, value ? SPAN("true") : SPAN("false"));
}

/* Milliseconds with three decimals out of nanoseconds, rounded: 1234567 -> 1.235. */
static inline void record_ms(struct record *r, struct span key, uint64_t ns)
{
    if (record_open(r, key, RECORD_MS_BYTES))
        r->at = record_put_ms(r->at, ns);
}
