/* target.h: what all loops know of one address of an upstream.
 *
 * Four sources decide whether it gets requests, each with its own owner: an operator drains it,
 * active checks call it down, failures of real requests eject it for a while, and the target
 * itself may ask for a pause (Retry-After). The state shown is derived from all four and stored
 * nowhere, so no two of them can disagree.
 *
 * Shared by reference count; outlives reloads (upstream.h keeps it by upstream name and address).
 * No locks: any thread, unless said otherwise.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdatomic.h>

#include "core/span.h"

/* X(name, text), worst first: the first that holds is the target's state. */
#define TARGET_STATE_TABLE(X)                                                                      \
    X(DRAINING, "draining") /* an operator took it out */                                          \
    X(DOWN, "down")         /* active checks fail */                                               \
    X(PAUSED, "paused")     /* it asked for a pause (429 or 503 with Retry-After) */               \
    X(EJECTED, "ejected")   /* requests to it kept failing */                                      \
    X(UP, "up")

enum target_state {
#define X(name, text) TARGET_##name,
    TARGET_STATE_TABLE(X)
#undef X
        TARGET_STATE_COUNT
};

/* How an active check ended: X(name, text for people, logs and metrics). */
#define TARGET_CHECK_TABLE(X)                                                                      \
    X(NONE, "not checked yet")                                                                     \
    X(PASSED, "passed")                                                                            \
    X(REFUSED, "refused") /* no connection */                                                      \
    X(TIMEOUT, "timeout")                                                                          \
    X(TLS, "tls")       /* the handshake failed */                                                 \
    X(CLOSED, "closed") /* before the answer was complete */                                       \
    X(INVALID, "invalid response")                                                                 \
    X(STATUS, "status")                                                                            \
    X(BODY, "body") /* without the text that it must contain */

enum target_check {
#define X(name, text) TARGET_CHECK_##name,
    TARGET_CHECK_TABLE(X)
#undef X
        TARGET_CHECK_COUNT
};

struct target_outlier_options {
    uint32_t failures_in_a_row; /* ejects; 0 = never */
    uint32_t eject_ms;          /* times the number of recent ejections */
    uint32_t eject_max_ms;
    uint32_t ejected_max_percent; /* of the upstream's targets, at one time */
};

#define TARGET_OUTLIER_DEFAULT                                                                     \
    ((struct target_outlier_options){.failures_in_a_row = 5,                                       \
                                     .eject_ms = 30000,                                            \
                                     .eject_max_ms = 300000,                                       \
                                     .ejected_max_percent = 50})

/* What one try at a target was. FAILURE: 5xx, no answer, broken answer. NO_CONNECT: refused or
 * timed out while connecting. IGNORED says nothing about the target (the client went away). */
enum target_outcome { TARGET_SUCCESS, TARGET_FAILURE, TARGET_NO_CONNECT, TARGET_IGNORED };

struct target {
    uint32_t magic;
    struct span address; /* owned copy behind the struct; a NUL follows it for C libraries */
    atomic_uint refs;
    char apart[64]; /* keeps what changes off the cache line of what is only read */
    atomic_uint in_flight;
    atomic_uint failures_in_a_row;
    _Atomic uint64_t ejected_until_ms;
    _Atomic uint64_t paused_until_ms;
    atomic_uint ejections;  /* recent ones; each eject_ms of good conduct forgives one */
    atomic_uint checks;     /* see target.c: down bit and the run of equal results */
    atomic_uint check_last; /* see target.c: enum target_check and the status */
    atomic_bool is_draining;
    atomic_uint latency_us; /* exponentially weighted, newest counts 1/8 */
    _Atomic uint64_t tries;
    _Atomic uint64_t failures;
    _Atomic uint64_t connect_failures;
    _Atomic uint64_t ejected_count;
    _Atomic uint64_t paused_count;
    _Atomic uint64_t down_count;
};

/* For status pages and metrics. */
struct target_view {
    enum target_state state;
    const char *reason; /* static text: why it is not up; "" when it is */
    uint64_t until_ms;  /* EJECTED, PAUSED: monotonic end; otherwise 0 */
    unsigned in_flight;
    unsigned failures_in_a_row;
    unsigned check_run;    /* equal check results in a row */
    bool is_check_passing; /* the last check's result; true before the first one */
    enum target_check check;
    unsigned check_status; /* HTTP status of the last check; 0 = it had none */
    unsigned latency_us;
    uint64_t tries, failures, connect_failures, ejected_count, paused_count, down_count;
};

/* A target that is up, with one reference. Free with target_unref. */
struct target *target_new(struct span address);
struct target *target_ref(struct target *t);
void target_unref(struct target *t); /* accepts NULL */

enum target_state target_state(const struct target *t, uint64_t now_ms);
static inline bool target_is_available(const struct target *t, uint64_t now_ms)
{
    return target_state(t, now_ms) == TARGET_UP;
}
void target_look(const struct target *t, uint64_t now_ms, struct target_view *out);
const char *target_state_text(enum target_state state);
const char *target_check_text(enum target_check check);

/* Around each try. */
void target_begin(struct target *t);
/* Counts; returns the failures in a row up to now. Ejection needs the whole set:
 * upstream_finish calls this and decides. latency_us is ignored unless the try succeeded. */
unsigned target_finish(struct target *t, enum target_outcome outcome, uint64_t latency_us);

/* Ejects it from now on; the time grows with recent ejections. Returns the end. */
uint64_t target_eject(struct target *t, const struct target_outlier_options *options,
                      uint64_t now_ms);
/* Keeps requests away until now + pause_ms; never shortens a pause. */
void target_pause(struct target *t, uint64_t pause_ms, uint64_t now_ms);
void target_drain(struct target *t, bool is_draining);

/* The result of an active check: `rise` good ones in a row bring a target up, `fall` bad ones take
 * it down; a target that was never checked is up. Returns true when this one changed that. One
 * thread at a time. */
bool target_check_result(struct target *t, bool is_good, unsigned rise, unsigned fall);

/* Says how the latest check ended, for people; status 0 when it had none. The prober's thread,
 * before it passes the result on. */
void target_check_tell(struct target *t, enum target_check check, unsigned status);
/* Nobody checks it any more: it is as one that was never checked. */
void target_check_forget(struct target *t);
