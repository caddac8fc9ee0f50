/* limit_headers.h: what a client is told about its rate limits.
 *
 * RateLimit-Policy and RateLimit carry every window; X-RateLimit-* carry the tightest one, for
 * the clients that know nothing else; Retry-After comes with a refusal. All fields show the
 * verdict that decided, never another rule's.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/arena.h"
#include "core/put.h"
#include "edge/limit_table.h"

/* Names of exhausted windows in a problem document; further ones are left out. */
#define LIMIT_HEADERS_ITEMS_MAX 16u

/* What of a rule's headers never changes: rendered once, with the configuration. */
struct limit_headers_text {
    struct span policy;                   /* `"api-second";q=10;w=1, "api-minute";q=100;w=60` */
    struct span prefix[LIMIT_WINDOW_MAX]; /* `"api-second";r=` */
};

/* The texts live in the arena. ERR_TOO_LARGE for a name that is no name any more. */
err limit_headers_prepare(const struct limit_rule *rule, struct arena *arena,
                          struct limit_headers_text *out);

/* A rule and its verdict on the present request. */
struct limit_headers_entry {
    const struct limit_rule *rule;
    const struct limit_headers_text *text;
    const struct limit_verdict *verdict;
};

/* Writes the complete lines `ratelimit-policy`, `ratelimit`, `x-ratelimit-limit`,
 * `x-ratelimit-remaining`, `x-ratelimit-reset` and, if an enforcing rule refused, `retry-after`,
 * each ended by CRLF. X-RateLimit-Reset is an absolute time in Unix seconds. Shadow rules are
 * left out. */
void limit_headers_put(struct put *out, const struct limit_headers_entry *entries,
                       unsigned entry_count, uint64_t wall_ns);

/* The names for the extension member "violated-policies" of the 429 problem document, one for each
 * exhausted window of the rules that refused: at most LIMIT_HEADERS_ITEMS_MAX, in the arena.
 * Returns how many. */
unsigned limit_headers_violated(const struct limit_headers_entry *entries, unsigned entry_count,
                                struct arena *arena, struct span names[LIMIT_HEADERS_ITEMS_MAX]);
