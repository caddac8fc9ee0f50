/* retry.h: whether, and when, a failed try is made again.
 *
 * The hard thing is to know what must not be repeated: a request that may have had its effect
 * (RFC 9110 section 9.2.2), a response whose first byte the client has seen, a wait that the
 * deadline does not allow, and retries that would drown an upstream in trouble (the budget).
 *
 * Pure but for the budget, which all loops share without a lock. Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdatomic.h>

#include "core/random.h"
#include "wire/http.h"

#define RETRY_TRIES_MAX  10u
#define RETRY_STATUS_MAX 8u
#define RETRY_SLOTS      16u

struct retry_policy {
    unsigned tries_max; /* the first one included; 1 = never retry */
    uint32_t base_ms;   /* the n-th wait is random in [0, base * 2^(n-1)], at most cap_ms */
    uint32_t cap_ms;
    uint16_t statuses[RETRY_STATUS_MAX]; /* retried; 0 ends the list */
};

#define RETRY_POLICY_DEFAULT                                                                       \
    ((struct retry_policy){                                                                        \
        .tries_max = 3, .base_ms = 25, .cap_ms = 1000, .statuses = {502, 503, 504}})

/* Retries may be a share of requests plus a reserve a second, over the last `ttl_ms`. */
struct retry_budget_options {
    uint32_t percent;
    uint32_t reserve_per_s;
    uint32_t ttl_ms;
};

#define RETRY_BUDGET_DEFAULT                                                                       \
    ((struct retry_budget_options){.percent = 20, .reserve_per_s = 10, .ttl_ms = 10000})

/* The ring holds what was put in and taken out per slot of time. */
struct retry_budget {
    struct retry_budget_options options;
    uint64_t slot_ms;
    char apart[64]; /* keeps the slots off the cache line of what is only read */
    _Atomic uint64_t slots[RETRY_SLOTS];
};

/* X(name, text for people and metrics) */
#define RETRY_REASON_TABLE(X)                                                                      \
    X(AGAIN, "retry")                                                                              \
    X(NOT_RETRYABLE, "not-retryable")       /* the outcome is an answer */                         \
    X(RESPONSE_STARTED, "response-started") /* the client has bytes of it */                       \
    X(TRIES, "tries")                       /* all allowed tries were made */                      \
    X(METHOD, "method")                     /* it may have had its effect, not idempotent */       \
    X(BODY, "body")                         /* the request body is gone */                         \
    X(DEADLINE, "deadline")                 /* the wait would pass the deadline */                 \
    X(BUDGET, "budget")                     /* too many retries already */

enum retry_reason {
#define X(name, text) RETRY_##name,
    RETRY_REASON_TABLE(X)
#undef X
        RETRY_REASON_COUNT
};

/* What is known when a try has failed. */
struct retry_try {
    unsigned tries_made; /* this one included */
    enum http_method method;
    bool has_idempotency_key; /* Idempotency-Key was sent: POST and PATCH may be repeated */
    bool is_sent;             /* the target may have seen the request; false after a failed
                               * connect, REFUSED_STREAM, 421 or 425 */
    bool is_response_started; /* a byte of the response went to the client */
    bool is_body_replayable;  /* there was no body, or all of it is kept */
    bool has_other_target;    /* the next try goes elsewhere: no need to wait for this one */
    unsigned status;          /* of the response; 0 = there was none */
    enum err_code failure;    /* when there was none */
    uint64_t retry_after_ms;  /* of the response; 0 = none */
    uint64_t deadline_ms;     /* monotonic; spans all tries and waits */
};

struct retry_verdict {
    enum retry_reason reason; /* RETRY_AGAIN: try again after wait_ms */
    uint64_t wait_ms;
};

/* Decides, and takes a token from the budget when the answer is RETRY_AGAIN. budget may be NULL
 * (no budget). */
void retry_decide(const struct retry_policy *policy, struct retry_budget *budget,
                  const struct retry_try *failed, uint64_t now_ms, struct random *random,
                  struct retry_verdict *out);

const char *retry_reason_text(enum retry_reason reason);

/* ERR_INVALID, with the reason, when an option is out of its range. */
err retry_policy_validate(const struct retry_policy *policy, struct fault *why);
err retry_budget_validate(const struct retry_budget_options *options, struct fault *why);

/* options must be valid. One thread, before others see it. */
void retry_budget_init(struct retry_budget *budget, const struct retry_budget_options *options);
/* Every first try puts its share in. */
void retry_budget_deposit(struct retry_budget *budget, uint64_t now_ms);
/* Takes one retry out; false when there is none. Never hands out more than there is. */
bool retry_budget_withdraw(struct retry_budget *budget, uint64_t now_ms);
/* Retries that could be taken now, for metrics. */
uint64_t retry_budget_left(const struct retry_budget *budget, uint64_t now_ms);
