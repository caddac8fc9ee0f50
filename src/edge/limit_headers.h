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
#include "core/buf.h"
#include "core/json.h"
#include "edge/limit_table.h"

/* A rule and its verdict on the present request. */
struct limit_headers_entry {
    const struct limit_rule *rule;
    const struct limit_verdict *verdict;
};

/* Appends the complete lines `ratelimit-policy`, `ratelimit`, `x-ratelimit-limit`,
 * `x-ratelimit-remaining`, `x-ratelimit-reset` and, if an enforcing rule refused, `retry-after`,
 * each ended by CRLF. X-RateLimit-Reset is an absolute time in Unix seconds. Shadow rules are
 * left out. ERR_TOO_LARGE or ERR_NO_MEMORY of the buffer. */
err limit_headers_write(struct buf *out, const struct limit_headers_entry *entries,
                        unsigned entry_count, uint64_t wall_ns);

/* The extension member of a 429 problem document: "violated-policies": ["api-minute"]. */
void limit_headers_problem(struct json *j, const struct limit_headers_entry *entries,
                           unsigned entry_count);

/* The problem type of a 429 (draft-ietf-httpapi-ratelimit-headers). */
#define LIMIT_HEADERS_PROBLEM_TYPE "https://iana.org/assignments/http-problem-types#quota-exceeded"
