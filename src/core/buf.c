/* buf.c: growth by doubling up to the maximum.
 *
 * Owned by whoever embeds it; one thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/buf.h"

#include <stdio.h>

#include "core/mem.h"
#include "core/put.h"

#define BUF_FIRST_BYTES 64

void buf_init(struct buf *b, size_t max_bytes)
{
    must(max_bytes > 0);
    *b = (struct buf){.max = max_bytes};
}

void buf_done(struct buf *b)
{
    mem_free(b->at);
    *b = (struct buf){.max = b->max};
}

void buf_wipe(struct buf *b)
{
    if (b->at != NULL)
        mem_wipe(b->at, b->cap);
    buf_done(b);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
}

err buf_grow(struct buf *b, size_t more)
{
    must(b->max > 0 && b->len <= b->cap);
    if (more > b->max - b->len)
        return FAIL(TOO_LARGE);
    size_t cap = b->cap == 0 ? BUF_FIRST_BYTES : b->cap;
    while (cap - b->len < more)
        cap = size_mul(cap, 2);
    if (cap > b->max)
        cap = b->max;
    void *block = b->at;
    TRY(mem_try_resize(&block, cap));
    b->at = block;
    b->cap = cap;
    return OK;
}

err buf_add_u64(struct buf *b, uint64_t value)
{
    char digits[20];
    struct put w = put_into(digits, sizeof digits);
    put_u64(&w, value);
    return buf_append(b, digits, (size_t)(w.at - digits));
}

err buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    must(length >= 0);
    /* One byte more for vsnprintf's NUL, which is not counted in len. */
    TRY(buf_reserve(b, (size_t)length + 1));
    (void)vsnprintf(b->at + b->len, (size_t)length + 1, format, args);
    b->len += (size_t)length;
    return OK;
}

err buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    err outcome = buf_vprintf(b, format, args);
    va_end(args);
    return outcome;
}

void buf_consume(struct buf *b, size_t count)
{
    must(count <= b->len);
    if (count > 0 && count < b->len)
        memmove(b->at, b->at + count, b->len - count);
    b->len -= count;
}

err buf_text(struct buf *b, const char **out)
{
    TRY(buf_reserve(b, 1));
    b->at[b->len] = '\0';
    *out = b->at;
    return OK;
}
