/* recent.h: the last five minutes, one point a second.
 *
 * What a person wants to see first: how much, how fast, how many errors, now and a moment ago.
 * Metrics are totals; this subtracts them. The one hard thing is latency: a quantile of the last
 * seconds is not the difference of two quantiles, so whole histograms are subtracted, and the
 * window is as long as the oldest of them is old: 10 to 15 seconds.
 *
 * Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/buf.h"
#include "core/part.h"

#define RECENT_POINTS  300
#define RECENT_STEP_MS 1000
#define RECENT_CLASSES 6 /* 1xx to 5xx, and 0 for anything else */

struct recent;

/* Events of one step. */
struct recent_point {
    uint32_t requests;
    uint32_t classes[RECENT_CLASSES];
    uint32_t limited;
    uint32_t refused; /* by breakers */
    uint32_t retries;
    uint32_t p50_us, p90_us, p99_us; /* of the window; 0 = no request in it */
    uint32_t connections, tunnels;   /* at its end */
};

/* The same since the start. */
struct recent_totals {
    uint64_t classes[RECENT_CLASSES];
    uint64_t limited, refused, retries;
    uint64_t received_bytes, sent_bytes; /* of bodies */
};

/* Latency and rate of the window. */
struct recent_window_view {
    double per_s;
    uint64_t p50_ns, p90_ns, p99_ns; /* 0 = nothing in it */
};

/* Takes the first point after one step. The node's edge has been made when that time comes. */
struct recent *recent_new(struct node *n);
void recent_free(struct recent *r); /* accepts NULL */

const struct recent_totals *recent_totals_now(const struct recent *r);
/* The mean of the last five points, per second. Fields that are no events are of the last point. */
struct recent_rates {
    double requests, classes[RECENT_CLASSES], limited, refused, retries;
};
void recent_rates_now(const struct recent *r, struct recent_rates *out);
void recent_window_now(struct recent *r, struct recent_window_view *out);
/* Tries at this upstream; zeroes when it is not known. */
void recent_upstream_now(struct recent *r, struct span upstream, struct recent_window_view *out);

/* All points as JSON: one array a field, oldest first. Errors of the buf. */
err recent_write(const struct recent *r, struct buf *out);
