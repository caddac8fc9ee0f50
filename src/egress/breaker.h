/* breaker.h: the circuit breaker of one upstream.
 *
 * It stops calls to a service that fails or is slow, lets a few probes through after a while, and
 * opens again for longer if they fail. The hard thing: nothing may keep it half-open for ever.
 * So a probe is a lease with a deadline: a caller that never reports loses it.
 *
 * Shared by all loops without a lock; the state is one atomic word. Any thread, but for
 * breaker_init and breaker_done.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdatomic.h>

#include "core/random.h"
#include "core/span.h"

#define BREAKER_BUCKETS        32u /* ring of counters: the window's and spare */
#define BREAKER_WINDOW_BUCKETS 30u
#define BREAKER_PROBE_MAX      8u

/* X(name, text for people and metrics) */
#define BREAKER_STATE_TABLE(X)                                                                     \
    X(CLOSED, "closed")                                                                            \
    X(OPEN, "open")                                                                                \
    X(HALF_OPEN, "half-open")                                                                      \
    X(FORCED_OPEN, "forced-open")                                                                  \
    X(FORCED_CLOSED, "forced-closed")

enum breaker_state {
#define X(name, text) BREAKER_##name,
    BREAKER_STATE_TABLE(X)
#undef X
};

struct breaker_options {
    uint32_t window_ms;            /* over which rates are taken */
    uint32_t volume_min;           /* below so many calls in the window it never opens */
    uint32_t failure_rate_percent; /* opens at or above; 0 = never by failures */
    uint32_t slow_rate_percent;    /* opens at or above; 0 = never by slow calls */
    uint32_t slow_call_ms;         /* a call of this length or more is slow */
    uint32_t open_ms;              /* first time open; doubles with each failed half-open */
    uint32_t open_max_ms;          /* where doubling ends, before jitter */
    uint32_t jitter_percent;       /* of the open time, both ways */
    uint32_t probe_count;          /* half-open: calls in flight and results to judge by */
    uint32_t probe_lease_ms;       /* a probe without a report frees its place after this */
};

#define BREAKER_OPTIONS_DEFAULT                                                                    \
    ((struct breaker_options){.window_ms = 30000,                                                  \
                              .volume_min = 20,                                                    \
                              .failure_rate_percent = 50,                                          \
                              .slow_rate_percent = 80,                                             \
                              .slow_call_ms = 10000,                                               \
                              .open_ms = 30000,                                                    \
                              .open_max_ms = 300000,                                               \
                              .jitter_percent = 20,                                                \
                              .probe_count = 3,                                                    \
                              .probe_lease_ms = 60000})

struct breaker;

/* A transition, told once, by the thread that made it. */
struct breaker_change {
    const struct breaker *breaker;
    enum breaker_state from;
    enum breaker_state to;
    uint64_t now_ms;
    uint64_t retry_after_ms; /* to OPEN: until probes begin */
};

/* Runs inside breaker_allow, breaker_record or breaker_force: log and count, nothing slow. */
struct breaker_observer {
    void (*changed)(struct breaker_observer *self, const struct breaker_change *change);
};

/* What a finished call was. A failure is the service's: no connection, no answer in time, a
 * broken response, a 5xx. IGNORED counts neither way: the client went away, a 429, our own
 * refusal. It still gives a probe's place back. */
enum breaker_outcome { BREAKER_SUCCESS, BREAKER_FAILURE, BREAKER_IGNORED };

/* The right to make one call. Report it once with breaker_record. */
struct breaker_permit {
    uint64_t lease;      /* the probe's lease; 0 = not a probe */
    uint32_t generation; /* of the state that gave it */
    uint32_t slot;
};

struct breaker {
    uint32_t magic;
    struct breaker_options options;
    uint64_t bucket_ms;                /* window_ms / BREAKER_WINDOW_BUCKETS */
    uint64_t seed;                     /* of the jitter */
    struct breaker_observer *observer; /* borrowed; may be NULL */
    struct span name; /* of the upstream, for the observer; set behind breaker_init, borrowed */
    char apart[64];   /* keeps what changes off the cache line of what is only read */
    _Atomic uint64_t word; /* state, failed probe rounds, generation, time or results */
    _Atomic uint64_t since_ms;
    _Atomic uint64_t opened_count;
    _Atomic uint64_t refused_count;
    _Atomic uint64_t last_slot;   /* of the latest report */
    _Atomic uint32_t is_troubled; /* the window holds a failed or slow call */
    char apart_leases[64];
    _Atomic uint64_t leases[BREAKER_PROBE_MAX];
    _Atomic uint64_t buckets[BREAKER_BUCKETS];
};

/* For status pages and metrics; the numbers are of nearly one moment. */
struct breaker_view {
    enum breaker_state state;
    uint64_t since_ms;
    uint64_t next_probe_ms; /* OPEN: when probes begin; otherwise 0 */
    uint64_t volume;        /* calls in the window */
    uint64_t failed;
    uint64_t slow;
    unsigned failure_rate_percent; /* 0 below volume_min: the rate is not defined there */
    unsigned slow_rate_percent;
    unsigned probes_in_flight;
    uint64_t opened_count;  /* times it opened since the start */
    uint64_t refused_count; /* calls it refused */
};

/* ERR_INVALID, with the reason, when an option is out of its range. */
err breaker_options_validate(const struct breaker_options *options, struct fault *why);

/* options must be valid. One thread, before others see it. */
void breaker_init(struct breaker *b, const struct breaker_options *options,
                  struct breaker_observer *observer, struct random *random, uint64_t now_ms);
void breaker_done(struct breaker *b); /* may run twice */

/* Whether a call may be made now. ERR_BREAKER_OPEN: see breaker_retry_after_ms. */
err breaker_allow(struct breaker *b, uint64_t now_ms, struct breaker_permit *out);

/* How long until asking again can succeed; 0 when a call would be allowed now, UINT64_MAX when it
 * was forced open. */
uint64_t breaker_retry_after_ms(const struct breaker *b, uint64_t now_ms);

/* Reports the outcome of the call that the permit was for. A report for a state that has passed
 * since changes nothing but gives its place back. */
void breaker_record(struct breaker *b, const struct breaker_permit *permit,
                    enum breaker_outcome outcome, uint64_t duration_ms, uint64_t now_ms);

/* An operator's order: FORCED_OPEN, FORCED_CLOSED, or CLOSED to let it decide again. */
void breaker_force(struct breaker *b, enum breaker_state state, uint64_t now_ms);

void breaker_look(const struct breaker *b, uint64_t now_ms, struct breaker_view *out);
/* The state alone; cheap enough for each request. */
enum breaker_state breaker_state_now(const struct breaker *b);
const char *breaker_state_text(enum breaker_state state);

/* The outcome that a response status stands for. */
enum breaker_outcome breaker_outcome_of_status(unsigned status);
