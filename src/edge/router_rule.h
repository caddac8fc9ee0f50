/* router_rule.h: one rule of the configuration, checked and taken apart.
 *
 * What a rule says is copied into the router's arena in the form that matching needs: lower-case
 * host, segments, parameters by segment number, conditions by field id.
 *
 * Used while a router is built, on the thread that builds it; the results are read by any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/arena.h"
#include "edge/router.h"

enum router_rule_host {
    ROUTER_RULE_HOST_ANY,
    ROUTER_RULE_HOST_EXACT,
    ROUTER_RULE_HOST_WILDCARD,
};

enum router_rule_path {
    ROUTER_RULE_PATH_ANY,
    ROUTER_RULE_PATH_OPEN,   /* what follows the segments is free, but something must follow */
    ROUTER_RULE_PATH_CLOSED, /* the path ends with the last segment */
};

struct router_rule_param {
    struct span name;
    unsigned segment; /* from 0 */
    bool is_rest;     /* from the start of this segment to the end of the path */
};

struct router_rule_check {
    struct span name; /* lower case */
    struct span value;
    enum http_field_id field;
    bool is_presence;
};

/* What remains to be tested once host and path have matched, and what a match yields. */
struct router_rule_entry {
    struct router_rule_entry *next; /* of the same host and path, the more specific first */
    unsigned methods;               /* ~0u for any */
    unsigned rule;
    const struct router_rule_check *checks; /* sorted, without repetition */
    unsigned check_count;
    const struct router_rule_param *params;
    unsigned param_count;
};

struct router_rule_parts {
    enum router_rule_host host_kind;
    enum router_rule_path path_kind;
    struct span host;                          /* lower case, without "*." */
    struct span segments[ROUTER_SEGMENTS_MAX]; /* at == NULL: a parameter */
    unsigned segment_count;
    struct router_rule_entry *entry;
};

static inline bool router_rule_is_any_method(const struct router_rule_entry *e)
{
    return e->methods == ~0u;
}

/* Results live in `arena`. ERR_INVALID with the reason, without the rule's index. */
err router_rule_take_apart(struct arena *arena, const struct router_rule *rule,
                           struct router_rule_parts *out, struct fault *why);

/* Whether both have the same conditions. */
bool router_rule_same_checks(const struct router_rule_entry *a, const struct router_rule_entry *b);

/* Whether every condition holds; head may be NULL. Any thread. */
bool router_rule_holds(const struct router_rule_entry *e, const struct http_head *head);
