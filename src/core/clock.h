/* clock.h: the only source of time.
 *
 * Everything that decides by time takes a `const struct clock *`, so that tests run on a clock
 * that they turn themselves. Deadlines are absolute values of the monotonic clock.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct clock {
    /* Nanoseconds since an arbitrary start; never goes back. */
    uint64_t (*mono_ns)(const struct clock *self);
    /* Nanoseconds since 1970-01-01 UTC; may jump. */
    uint64_t (*wall_ns)(const struct clock *self);
};

/* The operating system's clocks. Any thread. */
extern const struct clock clock_system;

/* A clock that stands still until it is advanced. One thread, or the test's own order. */
struct clock_fake {
    struct clock clock; /* first: pass &fake.clock */
    uint64_t mono_now_ns;
    uint64_t wall_now_ns;
};

void clock_fake_init(struct clock_fake *fake, uint64_t mono_ns, uint64_t wall_ns);
void clock_fake_advance_ms(struct clock_fake *fake, uint64_t ms);

static inline uint64_t clock_mono_ns(const struct clock *c)
{
    return c->mono_ns(c);
}

static inline uint64_t clock_mono_ms(const struct clock *c)
{
    return c->mono_ns(c) / 1000000;
}

static inline uint64_t clock_wall_ns(const struct clock *c)
{
    return c->wall_ns(c);
}

#define CLOCK_RFC3339_BYTES sizeof("2026-01-02T03:04:05.678Z")
#define CLOCK_HTTP_BYTES    sizeof("Sun, 06 Nov 1994 08:49:37 GMT")

/* UTC with milliseconds, NUL-terminated (RFC 3339). */
void clock_format_rfc3339(uint64_t wall_ns, char out[CLOCK_RFC3339_BYTES]);
/* IMF-fixdate, NUL-terminated (RFC 9110 section 5.6.7). */
void clock_format_http(uint64_t wall_ns, char out[CLOCK_HTTP_BYTES]);
