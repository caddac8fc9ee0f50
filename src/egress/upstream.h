/* upstream.h: a named set of targets with its policies, as one configuration snapshot has it.
 *
 * The hard thing is what a reload keeps. A struct upstream is immutable and belongs to its
 * snapshot; what was learnt about the world (health and load of each target, breaker, retry
 * budget) is shared state that the registry finds again by name. When the options of breaker or
 * budget change, both start afresh, but an operator's forced state stays.
 *
 * The registry belongs to the control thread; a struct upstream may be used by any thread that
 * holds a reference.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/map.h"
#include "core/spin.h"
#include "egress/balance.h"
#include "egress/breaker.h"
#include "egress/retry.h"

#define UPSTREAM_TARGETS_MAX BALANCE_MEMBERS_MAX

struct upstream_target_options {
    struct span address;
    uint32_t weight; /* 0 counts as 1 */
};

/* Active checks; the prober reads them. */
enum upstream_check_kind { UPSTREAM_CHECK_NONE, UPSTREAM_CHECK_TCP, UPSTREAM_CHECK_HTTP };

struct upstream_check_options {
    enum upstream_check_kind kind;
    struct span path;          /* HTTP */
    struct span host;          /* HTTP; empty = the target's address */
    struct span body_contains; /* HTTP; empty = any body */
    unsigned status_min;       /* HTTP; inclusive */
    unsigned status_max;
    uint32_t interval_ms;
    uint32_t jitter_percent; /* of the interval */
    uint32_t timeout_ms;
    unsigned rise;
    unsigned fall;
};

#define UPSTREAM_CHECK_DEFAULT                                                                     \
    ((struct upstream_check_options){.kind = UPSTREAM_CHECK_NONE,                                  \
                                     .path = SPAN("/"),                                            \
                                     .status_min = 200,                                            \
                                     .status_max = 399,                                            \
                                     .interval_ms = 2000,                                          \
                                     .jitter_percent = 20,                                         \
                                     .timeout_ms = 1000,                                           \
                                     .rise = 2,                                                    \
                                     .fall = 3})

/* All spans are copied. */
struct upstream_options {
    struct span name;
    const struct upstream_target_options *targets;
    unsigned target_count;
    enum balance_kind balance;
    bool has_breaker;
    struct breaker_options breaker;
    struct retry_policy retry;
    struct retry_budget_options retry_budget;
    struct target_outlier_options outlier;
    struct upstream_check_options check;
    uint32_t connect_timeout_ms;
    uint32_t try_timeout_ms;     /* until a try's response head; 0 = the request's deadline */
    uint32_t request_timeout_ms; /* spans all tries and waits */
    uint32_t pause_max_ms;       /* longest pause that a target may ask for */
};

#define UPSTREAM_OPTIONS_DEFAULT                                                                   \
    ((struct upstream_options){.balance = BALANCE_ROUND_ROBIN,                                     \
                               .has_breaker = true,                                                \
                               .breaker = BREAKER_OPTIONS_DEFAULT,                                 \
                               .retry = RETRY_POLICY_DEFAULT,                                      \
                               .retry_budget = RETRY_BUDGET_DEFAULT,                               \
                               .outlier = TARGET_OUTLIER_DEFAULT,                                  \
                               .check = UPSTREAM_CHECK_DEFAULT,                                    \
                               .connect_timeout_ms = 1000,                                         \
                               .try_timeout_ms = 0,                                                \
                               .request_timeout_ms = 30000,                                        \
                               .pause_max_ms = 60000})

/* What outlives a reload. */
struct upstream_shared {
    uint32_t magic;
    atomic_uint refs;
    struct spin ejecting; /* one ejection decision at a time in the set; tried, never waited for */
    bool has_breaker;
    struct span name; /* owned; the breaker's */
    struct breaker breaker;
    struct retry_budget budget;
};

struct upstream {
    uint32_t magic;
    atomic_uint refs;
    struct span name;                /* owned */
    struct upstream_options options; /* its spans owned; targets and target_count unset: see set */
    struct balance_set set;          /* borrows members */
    struct balance_member *members;  /* owned, with a reference to each target */
    struct breaker *breaker;         /* shared; NULL without one */
    struct retry_budget *budget;     /* shared */
    struct upstream_shared *shared;  /* ref */
};

struct upstream_registry {
    uint32_t magic;
    struct map targets;                /* "name address" -> struct target, one reference each */
    struct map shared;                 /* name -> struct upstream_shared, one reference each */
    struct breaker_observer *observer; /* borrowed; may be NULL; for every breaker */
    struct random *random;             /* borrowed */
};

void upstream_registry_init(struct upstream_registry *registry, struct breaker_observer *observer,
                            struct random *random);
void upstream_registry_done(struct upstream_registry *registry); /* may run twice */
/* Forgets shared state that no snapshot uses any more. Call when an old snapshot is gone. */
void upstream_registry_sweep(struct upstream_registry *registry);

/* An upstream of one reference. ERR_INVALID, with the reason, when the options are not valid:
 * then nothing has changed. */
err upstream_new(struct upstream_registry *registry, const struct upstream_options *options,
                 uint64_t now_ms, struct fault *why, struct upstream **out);
struct upstream *upstream_ref(struct upstream *u);
void upstream_unref(struct upstream *u); /* accepts NULL */

/* What a finished try tells about its target. */
struct upstream_result {
    enum target_outcome outcome;
    uint64_t latency_us;
    uint64_t retry_after_ms; /* of a 429 or 503 response; 0 = none */
};

/* Ends what target_begin began: counts, pauses the target if it asked for it, ejects it if it
 * kept failing and enough others are left. Returns true when it was ejected now. */
bool upstream_finish(struct upstream *u, unsigned index, const struct upstream_result *result,
                     uint64_t now_ms);

/* The target with this address, or NULL; for drain and undrain. */
struct target *upstream_find_target(const struct upstream *u, struct span address);
