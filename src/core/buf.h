/* buf.h: owned bytes that grow up to a maximum stated at the start.
 *
 * There is no buffer without a maximum: what grows with input grows until a limit says stop.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdarg.h>

#include "core/span.h"

struct buf {
    char *at; /* owned; NULL while empty */
    size_t len;
    size_t cap;
    size_t max; /* never holds more than this */
};

/* An empty buffer; allocates nothing. A zeroed struct is valid for buf_done but holds nothing. */
void buf_init(struct buf *b, size_t max_bytes);
void buf_done(struct buf *b);  /* may run twice */
void buf_wipe(struct buf *b);  /* buf_done for secrets: overwrites the bytes first */
void buf_reset(struct buf *b); /* empty, capacity kept */

err buf_grow(struct buf *b, size_t more);

/* Room for `more` bytes behind len: ERR_TOO_LARGE past max, ERR_NO_MEMORY. */
static inline err buf_reserve(struct buf *b, size_t more)
{
    return __builtin_expect(b->cap - b->len >= more, 1) ? OK : buf_grow(b, more);
}

static inline err buf_append(struct buf *b, const void *bytes, size_t len)
{
    TRY(buf_reserve(b, len));
    if (len > 0)
        memcpy(b->at + b->len, bytes, len);
    b->len += len;
    return OK;
}

static inline err buf_add(struct buf *b, struct span s)
{
    return buf_append(b, s.at, s.len);
}

static inline err buf_add_char(struct buf *b, char c)
{
    TRY(buf_reserve(b, 1));
    b->at[b->len++] = c;
    return OK;
}

err buf_add_u64(struct buf *b, uint64_t value);
err buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
err buf_vprintf(struct buf *b, const char *format, va_list args) PRINTF_LIKE(2, 0);

/* Drops the first `count` bytes and moves the rest to the front. */
void buf_consume(struct buf *b, size_t count);

static inline struct span buf_span(const struct buf *b)
{
    return span_of(b->at, b->len);
}

/* NUL-terminated view of the content (a NUL is stored behind len). ERR_TOO_LARGE, ERR_NO_MEMORY. */
err buf_text(struct buf *b, const char **out);
