/* record.h: one JSON object on one line, written straight into reserved memory.
 *
 * json.h grows a buf and checks each append; a record knows its room from the start, so the access
 * log costs a few instructions a field. The one hard thing: it never runs over and is always valid
 * JSON. A string longer than RECORD_STRING_MAX is cut and ends in U+2026; a field that no longer
 * fits is left out, and the record then ends in "truncated":true.
 *
 * The memory is the caller's; one thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/span.h"

#define RECORD_STRING_MAX 1024 /* bytes of one string before escaping; more is cut */
#define RECORD_MIN_BYTES  128  /* the least room that record_begin takes */

struct record {
    char *start;
    char *at;
    char *end; /* room for the closing is kept behind it */
    bool is_cut;
};

/* A field's key, ready for the output: RECORD_KEY("status"). Our own names: plain ASCII. */
#define RECORD_KEY(name) SPAN(",\"" name "\":")

/* Opens the object with its first field, "time", out of clock_format_rfc3339 (24 bytes). */
void record_begin(struct record *r, char *at, size_t size_bytes, struct span time);
/* Closes the object and the line; returns the bytes written, at most size_bytes. */
size_t record_end(struct record *r);

/* Escaped; invalid UTF-8 becomes U+FFFD. value.at == NULL writes null. */
void record_str(struct record *r, struct span key, struct span value);
/* For bytes that need no escape by their making (hex ids, our own words): not looked at. */
void record_plain(struct record *r, struct span key, struct span value);
void record_u64(struct record *r, struct span key, uint64_t value);
void record_i64(struct record *r, struct span key, int64_t value);
void record_bool(struct record *r, struct span key, bool value);
/* Milliseconds with three decimals out of nanoseconds, rounded: 1234567 -> 1.235. */
void record_ms(struct record *r, struct span key, uint64_t ns);
/* A value that is already JSON. */
void record_json(struct record *r, struct span key, struct span value);
