/* limit_rule.h: one rate limit: a name and up to four windows ("10 a second and 100 a minute").
 *
 * A rule is part of the configuration snapshot and never changes. Its identity is made of its
 * name and its windows, so a reload that leaves both alone finds the counts that were there.
 *
 * Pure; any thread may read a rule.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/hash.h"

#define LIMIT_WINDOW_MAX    4u
#define LIMIT_COUNT_MAX     16777215u               /* most requests in one window */
#define LIMIT_WINDOW_MAX_MS (400ull * 86400 * 1000) /* longest window: 400 days */

/* At most `count` requests in any span of `window_ms`. */
struct limit_window_options {
    uint32_t count;
    uint64_t window_ms;
};

struct limit_rule_options {
    struct span name; /* borrowed; must outlive the rule */
    struct limit_window_options windows[LIMIT_WINDOW_MAX];
    unsigned window_count;
    bool is_shadow; /* counts and tells, but refuses nobody */
};

/* How one window is kept in a cell of the table; see limit_cell.h. */
struct limit_window {
    uint64_t window_ms;
    uint32_t count;
    uint32_t group_size; /* admissions that share one entry; 1 = exact */
    uint32_t tick_ms;    /* resolution of an entry's age */
    uint32_t fill_mask;  /* of fill_bytes */
    uint8_t life_ticks;  /* an entry counts for so many ticks; more than the window's length */
    uint8_t offset;      /* of its bytes in the cell */
    uint8_t fill_bytes;  /* size of the counter of the newest group; 0 when group_size is 1 */
    uint8_t group_count; /* entries behind the counter */
};

struct limit_rule {
    struct span name;    /* borrowed from the options */
    struct hash_key key; /* holds the identity */
    struct limit_window windows[LIMIT_WINDOW_MAX];
    uint8_t window_count;
    uint8_t horizon_bits; /* after 2^horizon_bits ms without a request nothing is left to count */
    bool is_shadow;
};

/* ERR_INVALID, with the reason in `why`, for no window, a count or length of 0 or beyond the
 * maximum, or two windows of one length. */
err limit_rule_init(struct limit_rule *rule, const struct limit_rule_options *options,
                    struct fault *why);

/* The key under which the table counts this client: a keyed hash of the rule's identity and the
 * client's bytes (address, header value; empty for a global limit). */
uint64_t limit_rule_key(const struct limit_rule *rule, struct span client);
