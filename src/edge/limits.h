/* limits.h: which rate limits a request falls under, and the decision.
 *
 * A rule says per what it counts (client address, route, header value, everybody) and how many
 * in which windows. Counting is limit_table's; this file makes the keys and keeps the verdicts for
 * the answer's headers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/arena.h"
#include "core/config.h"
#include "edge/limit_headers.h"
#include "wire/http.h"
#include "wire/ip.h"

#define LIMITS_PER_REQUEST_MAX 16

/* X(name as configured) */
#define LIMITS_PER(X) X(ip) X(route) X(header) X(global)

enum limits_per {
#define X(name) LIMITS_PER_##name,
    LIMITS_PER(X)
#undef X
};

struct limits_entry {
    struct limit_rule rule;
    struct limit_headers_text text;
    enum limits_per per;
    struct span header; /* with LIMITS_PER_header: the field's name */
};

struct limits_set {
    const struct limits_entry *entries; /* in the snapshot's arena */
    unsigned count;
};

extern const struct config_key limits_keys[]; /* of one element of `limits` */

/* Reads a `limits` list. `owner` ("global" or the route's name) is part of each rule's identity.
 * Errors are in *report. */
err limits_build(const struct config_node *list, struct span owner, struct arena *arena,
                 struct limits_set *out, struct config_report *report);

/* The most bytes that the rules' header lines can have. */
size_t limits_header_bytes_max(const struct limits_set *set);

/* What a request is counted by. */
struct limits_request {
    const struct ip_address *client;
    const struct http_head *head;
    struct span route_name;
    uint64_t now_ms;
};

/* The verdicts of one request, in the order asked. */
struct limits_outcome {
    struct limit_headers_entry entries[LIMITS_PER_REQUEST_MAX];
    struct limit_verdict verdicts[LIMITS_PER_REQUEST_MAX];
    unsigned count;
    bool is_refused;
    bool is_shadow_exceeded; /* a shadow rule would have refused */
    uint64_t retry_after_ms; /* refused */
    struct span refused_by;  /* refused: the rule's name */
};

/* Charges the request to every rule of both sets, or to none when one refuses. `out` is written
 * only as far as its count. */
void limits_decide(struct limit_table *table, const struct limits_set *global,
                   const struct limits_set *route, const struct limits_request *request,
                   struct limits_outcome *out);
