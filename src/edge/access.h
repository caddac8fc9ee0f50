/* access.h: what is written down about each request: one log record, and the metrics.
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "edge/exchange.h"

/* Rows of access_metrics. */
enum access_metric {
    ACCESS_SERVER_DURATION,
    ACCESS_CLIENT_DURATION,
    ACCESS_CONNECTIONS,
    ACCESS_ACCEPTED,
    ACCESS_REFUSED,
    ACCESS_ACTIVE,
    ACCESS_TUNNELS,
    ACCESS_LIMITED,
    ACCESS_RETRIES,
    ACCESS_EJECTIONS,
    ACCESS_LINKS_OPENED,
    ACCESS_LINKS_REUSED,
    ACCESS_BYTES,
    ACCESS_METRIC_COUNT
};

extern const struct metric_desc access_metrics[];

struct access;
struct access_route;

struct access *access_new(struct edge_loop *home);
void access_free(struct access *a);

/* Caches of metric cells, one per route of a snapshot. */
struct access_route *access_routes_new(unsigned count);
void access_routes_free(struct access_route *routes);

/* The answer was given (or the client went away): log and count. */
void access_record(struct exchange *x);
/* A try at an upstream has ended. */
void access_try(struct exchange *x, uint64_t took_ns);
void access_retry(struct exchange *x);
/* Events, for the log. */
void access_bad_response(struct exchange *x, const struct fault *why);
/* The handshake with a target failed, for a reason that is for operators and not for clients. */
void access_tls_failed(struct exchange *x, const struct fault *why);
void access_target_ejected(struct edge_loop *home, const struct upstream *u,
                           const struct target *t);

enum access_refusal {
    ACCESS_REFUSED_CONNECTIONS,
    ACCESS_REFUSED_DESCRIPTORS,
    ACCESS_REFUSED_PER_IP
};
void access_refused(struct edge_loop *home, enum access_refusal reason);
void access_accepted(struct edge_loop *home);

/* The Date of an answer of our own; changes once a second. */
struct span access_date(struct edge_loop *home);
/* Hands the log on when it is time. */
void access_turn_end(struct edge_loop *home);
