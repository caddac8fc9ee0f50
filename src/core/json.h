/* json.h: writing JSON, without a tree.
 *
 * For the access log, problem documents, health and the admin API. Reading JSON off the hot path
 * is jansson's. A writer appends to a buf; the first error sticks and json_end reports it, so a
 * caller checks once. Objects and arrays are balanced by the caller; must() watches.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/buf.h"

#define JSON_DEPTH_MAX 128

struct json {
    struct buf *out; /* borrowed */
    err failed;
    unsigned depth;
    bool needs_comma;
};

void json_begin(struct json *j, struct buf *out);
/* ERR_TOO_LARGE or ERR_NO_MEMORY of the first append that failed; the depth must be 0. */
err json_end(struct json *j);

void json_object(struct json *j);
void json_object_end(struct json *j);
void json_array(struct json *j);
void json_array_end(struct json *j);
void json_key(struct json *j, const char *key); /* our own keys: plain ASCII, not escaped */
void json_key_span(struct json *j, struct span key);

/* Invalid UTF-8 is replaced by U+FFFD, control bytes are escaped (RFC 8259 section 7). */
void json_string(struct json *j, struct span value);
void json_text(struct json *j, const char *value); /* NULL writes null */
void json_u64(struct json *j, uint64_t value);
void json_i64(struct json *j, int64_t value);
void json_double(struct json *j, double value); /* NaN and infinities write null */
void json_bool(struct json *j, bool value);
void json_null(struct json *j);
/* Milliseconds with three decimals out of nanoseconds: 1234567 -> 1.235. */
void json_ms_of_ns(struct json *j, uint64_t ns);

/* A value that is already JSON; written as it is. */
void json_value(struct json *j, struct span value);

/* Appends the escaped form of s without quotes. */
err json_escape(struct buf *out, struct span s);
