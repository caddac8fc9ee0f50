/* ratelimit.h: the RateLimit-Policy and RateLimit fields (draft-ietf-httpapi-ratelimit-headers).
 *
 * Both are structured-field Lists of Strings with parameters (RFC 9651). Times are whole seconds
 * and are rounded up, so that a client that obeys them never comes too early.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/buf.h"
#include "core/put.h"

/* One policy, which is one window of one limit. */
struct ratelimit_item {
    struct span name; /* printable ASCII; a suffix for the window is added when has_suffix */
    bool has_suffix;  /* the limit has several windows: "api" becomes "api-minute" */
    uint64_t quota;
    uint64_t window_ms;
};

/* Appends the value of RateLimit-Policy, without field name and CRLF:
 * `"burst";q=100;w=60, "daily";q=1000;w=86400`. ERR_TOO_LARGE or ERR_NO_MEMORY of the buffer. */
err ratelimit_add_policy(struct buf *out, const struct ratelimit_item *items, unsigned count);
/* Appends what of a RateLimit member never changes: `"burst";r=`. */
err ratelimit_add_prefix(struct buf *out, const struct ratelimit_item *item);
/* The rest of it: `50;t=30`. */
void ratelimit_put_state(struct put *out, uint64_t remaining, uint64_t reset_ms);

/* Appends the policy's name as both fields show it, without quotes. */
err ratelimit_add_name(struct buf *out, const struct ratelimit_item *item);

static inline uint64_t ratelimit_seconds(uint64_t ms)
{
    return ms / 1000 + (ms % 1000 != 0);
}
