/* put.h: writing into memory of a known size, without growing and without errors on the way.
 *
 * For heads and headers, which are rendered once a request. A piece that does not fit is left out
 * and marks the writer; the caller looks at is_full once, at the end.
 *
 * The memory is the caller's; one thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/span.h"

struct put {
    char *at;
    char *end;
    bool is_full;
};

static inline struct put put_into(char *room, size_t size)
{
    return (struct put){room, room + size, false};
}

/* Room for `size` bytes at w->at, which the caller fills and moves; false when there is none. */
static inline bool put_has_room(struct put *w, size_t size)
{
    if (__builtin_expect((size_t)(w->end - w->at) < size, 0)) {
        w->is_full = true;
        return false;
    }
    return true;
}

static inline void put_span(struct put *w, struct span s)
{
    if (!put_has_room(w, s.len))
        return;
    if (s.len > 0)
        memcpy(w->at, s.at, s.len);
    w->at += s.len;
}

static inline void put_char(struct put *w, char c)
{
    if (put_has_room(w, 1))
        *w->at++ = c;
}

void put_u64(struct put *w, uint64_t value);

/* "name: value\r\n" */
static inline void put_line(struct put *w, struct span name, struct span value)
{
    put_span(w, name);
    put_span(w, SPAN(": "));
    put_span(w, value);
    put_span(w, SPAN("\r\n"));
}
