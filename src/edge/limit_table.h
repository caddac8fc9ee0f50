/* limit_table.h: who has used how much of which rate limit, for a million clients.
 *
 * The promise: in no span of time as long as a window are more than its count admitted, from
 * however many threads; and a client that was idle may use all of its count at once. The time of
 * a decision is the now_ms that its caller passes (or the latest one seen for that key, if that
 * is later), so loops whose clocks are read at different moments cannot undo each other.
 *
 * The table outlives configuration reloads. Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "edge/limit_rule.h"

#define LIMIT_TABLE_KEYS_DEFAULT 1000000u

struct limit_table;

/* The state of one window after a decision. */
struct limit_window_verdict {
    uint64_t window_ms;
    uint64_t reset_ms; /* until the next part of what was used comes back; 0 = nothing is used */
    uint32_t count;
    uint32_t remaining; /* requests that would be admitted now by this window alone */
};

struct limit_verdict {
    bool is_admitted; /* let the request pass: true as well for a shadow rule that is exceeded */
    bool is_exceeded; /* a window was full; nothing was charged */
    uint8_t window_count;
    uint8_t deciding; /* exceeded: the window that asks for the longest wait; else the tightest */
    uint64_t retry_after_ms; /* exceeded: after so long a request is admitted if no other comes */
    uint64_t charged_ms;     /* the time under which it was charged; for limit_table_refund */
    struct limit_window_verdict windows[LIMIT_WINDOW_MAX];
};

struct limit_table_stats {
    uint64_t keys;           /* cells in use, idle ones included */
    uint64_t keys_max;       /* cells */
    uint64_t reused_expired; /* cells taken from keys that had nothing left to count */
    uint64_t evicted_live;   /* cells taken from keys that had: the table is too small */
};

/* Reserves address space for max_keys and touches none of it: memory grows as keys come.
 * ERR_NO_MEMORY. Free with limit_table_free, which accepts NULL. */
err limit_table_new(size_t max_keys, struct limit_table **out);
void limit_table_free(struct limit_table *t);

/* Charges one request to all windows of the rule, or to none if one of them is full. `key` is
 * limit_rule_key's. */
void limit_table_admit(struct limit_table *t, const struct limit_rule *rule, uint64_t key,
                       uint64_t now_ms, struct limit_verdict *out);

/* What limit_table_admit would say of a next request, without charging one. */
void limit_table_peek(struct limit_table *t, const struct limit_rule *rule, uint64_t key,
                      uint64_t now_ms, struct limit_verdict *out);

/* Gives back one admission that was charged at charged_ms (of its verdict) and then not used,
 * because a later rule refused the request. It is given back only as long as the promise allows,
 * which is a moment: call it at once. */
void limit_table_refund(struct limit_table *t, const struct limit_rule *rule, uint64_t key,
                        uint64_t charged_ms);

/* One rule and the key of the client it is asked for. */
struct limit_check {
    const struct limit_rule *rule;
    uint64_t key;
};

/* Asks all rules in order and charges all of them or none: at the first that refuses, those
 * before it are refunded. verdicts[0 .. returned count) are written; only the last of them can
 * be a refusal. */
unsigned limit_table_admit_all(struct limit_table *t, const struct limit_check *checks,
                               unsigned check_count, uint64_t now_ms,
                               struct limit_verdict *verdicts);

void limit_table_stats(const struct limit_table *t, struct limit_table_stats *out);
