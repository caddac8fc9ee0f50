/* span.h: borrowed bytes, by value.
 *
 * A span owns nothing and is never NUL-terminated by assumption; whoever holds one knows whose
 * bytes they are and until when they stay. `char *` is only for calls into C libraries.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdbool.h>
#include <string.h>

#include "core/err.h"

struct span {
    const char *at;
    size_t len;
};

/* For string literals and arrays of known size; SPAN("") is the empty span, not a NULL one. */
#define SPAN(literal) ((struct span){"" literal, sizeof(literal) - 1})
/* The same for static initialisers. */
#define SPAN_INIT(literal)                                                                         \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
/* Two printf arguments for "%.*s". */
#define SPAN_ARGS(s) (int)(s).len, (s).at

static inline struct span span_of(const char *at, size_t len)
{
    return (struct span){at, len};
}

static inline struct span span_from(const char *text)
{
    return (struct span){text, text == NULL ? 0 : strlen(text)};
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool span_starts(struct span s, struct span prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.at, prefix.at, prefix.len) == 0);
}

static inline bool span_ends(struct span s, struct span suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.at + s.len - suffix.len, suffix.at, suffix.len) == 0);
}

/* Drops the first `count` bytes; count <= s.len. */
static inline struct span span_skip(struct span s, size_t count)
{
    must(count <= s.len);
    return (struct span){s.at + count, s.len - count};
}

/* ASCII case only, as HTTP field names and tokens need (RFC 9110 section 5.1). */
bool span_eq_nocase(struct span a, struct span b);
int span_compare(struct span a, struct span b); /* bytewise, for sorting */

/* Index of the first `c`, or s.len. */
size_t span_find(struct span s, char c);

/* Cuts *rest at the first `separator`: returns what stands before it and moves *rest behind it.
 * Without one it returns all and leaves *rest empty with at == NULL, which ends a loop. */
struct span span_cut(struct span *rest, char separator);

/* Without spaces and tabs at both ends. */
struct span span_trim(struct span s);

/* Whole span as an unsigned decimal <= max; no sign, no space, no empty span. ERR_INVALID. */
err span_parse_u64(struct span s, uint64_t max, uint64_t *out);

/* Length of the well-formed UTF-8 sequence (RFC 3629 section 4) at the front of a span that is not
 * empty; 0 when there is none. */
size_t span_utf8_length(struct span s);

/* The first max_bytes of s, or up to 3 fewer so as not to cut through a sequence. */
struct span span_utf8_prefix(struct span s, size_t max_bytes);
