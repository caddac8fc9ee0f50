/* retry.c: the rules of repetition, and the budget that all loops share.
 *
 * The one hard thing is the budget without a lock: a retry is taken out first and the balance is
 * looked at afterwards; what then turns out to be too much is put back. So two threads may both
 * be refused the last token, but never both get it. The balance lives in a ring of slots of time,
 * each one word: epoch (16) | balance (48, signed, in hundredths of a retry). What is older than
 * the ring's ttl no longer counts, neither what was put in nor what was taken out; so a quiet hour
 * saves up nothing for a storm of retries.
 *
 * Shared by all threads, owned by its upstream's shared state.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "egress/retry.h"

#define RETRY_TTL_SLOTS    10u
#define RETRY_TOKEN        100 /* one retry, in hundredths */
#define RETRY_BALANCE_BITS 48
#define RETRY_BALANCE_MASK ((1ull << RETRY_BALANCE_BITS) - 1)
#define RETRY_BALANCE_MAX  (1ll << (RETRY_BALANCE_BITS - 2))

static const char *const retry_texts[] = {
#define X(name, text) [RETRY_##name] = text,
    RETRY_REASON_TABLE(X)
#undef X
};

/* What a try without a response may have failed of and be repeated for. */
static const enum err_code retry_failures[] = {ERR_UPSTREAM_CONNECT,
                                               ERR_UPSTREAM_CLOSED,
                                               ERR_UPSTREAM_TIMEOUT,
                                               ERR_BAD_UPSTREAM,
                                               ERR_IO,
                                               ERR_CLOSED,
                                               ERR_TLS};

err retry_policy_validate(const struct retry_policy *policy, struct fault *why)
{
    if (policy->tries_max < 1 || policy->tries_max > RETRY_TRIES_MAX)
        return fault_set(why, ERR_INVALID, "a request is tried 1 to %u times", RETRY_TRIES_MAX);
    if (policy->cap_ms < policy->base_ms)
        return fault_set(why, ERR_INVALID, "the longest wait is shorter than the first");
    for (unsigned i = 0; i < RETRY_STATUS_MAX && policy->statuses[i] != 0; i++) {
        if (policy->statuses[i] < 400 || policy->statuses[i] > 599)
            return fault_set(why, ERR_INVALID, "a status to retry is 400 to 599, not %u",
                             (unsigned)policy->statuses[i]);
    }
    return OK;
}

err retry_budget_validate(const struct retry_budget_options *options, struct fault *why)
{
    if (options->percent > 1000)
        return fault_set(why, ERR_INVALID, "a retry budget is at most 1000 %% of requests");
    if (options->reserve_per_s > 100000)
        return fault_set(why, ERR_INVALID, "a retry budget's reserve is at most 100000 a second");
    if (options->ttl_ms < 1000 || options->ttl_ms > 600000)
        return fault_set(why, ERR_INVALID, "a retry budget looks back 1 s to 10 min");
    return OK;
}

void retry_budget_init(struct retry_budget *budget, const struct retry_budget_options *options)
{
    *budget =
        (struct retry_budget){.options = *options, .slot_ms = options->ttl_ms / RETRY_TTL_SLOTS};
    must(budget->slot_ms > 0);
}

static uint64_t retry_epoch(uint64_t slot)
{
    return (slot / RETRY_SLOTS) & 0xffff;
}

/* The signed balance in the low 48 bits. */
static int64_t retry_balance(uint64_t word)
{
    uint64_t sign = 1ull << (RETRY_BALANCE_BITS - 1);
    return (int64_t)((word & RETRY_BALANCE_MASK) ^ sign) - (int64_t)sign;
}

static void retry_budget_add(struct retry_budget *budget, int64_t hundredths, uint64_t now_ms)
{
    uint64_t slot = now_ms / budget->slot_ms;
    uint64_t epoch = retry_epoch(slot);
    _Atomic uint64_t *at = &budget->slots[slot % RETRY_SLOTS];
    uint64_t old = atomic_load_explicit(at, memory_order_relaxed);
    uint64_t sum;
    do {
        int64_t balance = hundredths;
        if (old >> RETRY_BALANCE_BITS == epoch)
            balance += retry_balance(old);
        if (balance > RETRY_BALANCE_MAX)
            balance = RETRY_BALANCE_MAX;
        sum = epoch << RETRY_BALANCE_BITS | ((uint64_t)balance & RETRY_BALANCE_MASK);
    } while (!atomic_compare_exchange_weak_explicit(at, &old, sum, memory_order_acq_rel,
                                                    memory_order_relaxed));
}

static int64_t retry_budget_sum(const struct retry_budget *budget, uint64_t now_ms)
{
    int64_t sum = (int64_t)budget->options.reserve_per_s * RETRY_TOKEN *
                  (int64_t)budget->options.ttl_ms / 1000;
    uint64_t last = now_ms / budget->slot_ms;
    for (uint64_t back = 0; back < RETRY_TTL_SLOTS && back <= last; back++) {
        uint64_t word =
            atomic_load_explicit(&budget->slots[(last - back) % RETRY_SLOTS], memory_order_acquire);
        if (word >> RETRY_BALANCE_BITS == retry_epoch(last - back))
            sum += retry_balance(word);
    }
    return sum;
}

void retry_budget_deposit(struct retry_budget *budget, uint64_t now_ms)
{
    retry_budget_add(budget, budget->options.percent, now_ms);
}

bool retry_budget_withdraw(struct retry_budget *budget, uint64_t now_ms)
{
    retry_budget_add(budget, -RETRY_TOKEN, now_ms);
    if (retry_budget_sum(budget, now_ms) >= 0)
        return true;
    retry_budget_add(budget, RETRY_TOKEN, now_ms);
    return false;
}

uint64_t retry_budget_left(const struct retry_budget *budget, uint64_t now_ms)
{
    int64_t sum = retry_budget_sum(budget, now_ms);
    return sum <= 0 ? 0 : (uint64_t)sum / RETRY_TOKEN;
}

static bool retry_is_retryable(const struct retry_policy *policy, const struct retry_try *failed)
{
    if (!failed->is_sent)
        return true;
    if (failed->status == 0) {
        for (size_t i = 0; i < COUNT_OF(retry_failures); i++) {
            if (failed->failure == retry_failures[i])
                return true;
        }
        return false;
    }
    for (unsigned i = 0; i < RETRY_STATUS_MAX && policy->statuses[i] != 0; i++) {
        if (failed->status == policy->statuses[i])
            return true;
    }
    return false;
}

/* RFC 9110 section 9.2.2: what the target may have carried out is repeated only if doing it twice
 * is doing it once. A method that we do not know, or a tunnel, is never repeated. */
static bool retry_allows_method(const struct retry_try *failed)
{
    switch (failed->method) {
    case HTTP_GET:
    case HTTP_HEAD:
    case HTTP_PUT:
    case HTTP_DELETE:
    case HTTP_OPTIONS:
    case HTTP_TRACE:
        return true;
    case HTTP_POST:
    case HTTP_PATCH:
        return !failed->is_sent || failed->has_idempotency_key;
    case HTTP_CONNECT:
    case HTTP_METHOD_OTHER:
    case HTTP_METHOD_COUNT:
        return false;
    }
    return false;
}

/* Full jitter: waits spread over the whole interval, so that clients that failed together do not
 * come back together. */
static uint64_t retry_wait_ms(const struct retry_policy *policy, const struct retry_try *failed,
                              struct random *random)
{
    if (!failed->is_sent && failed->has_other_target)
        return 0;
    uint64_t bound_ms = (uint64_t)policy->base_ms << (failed->tries_made - 1);
    if (bound_ms > policy->cap_ms)
        bound_ms = policy->cap_ms;
    uint64_t wait_ms = random_below(random, bound_ms + 1);
    if (!failed->has_other_target && failed->retry_after_ms > wait_ms)
        wait_ms = failed->retry_after_ms;
    return wait_ms;
}

void retry_decide(const struct retry_policy *policy, struct retry_budget *budget,
                  const struct retry_try *failed, uint64_t now_ms, struct random *random,
                  struct retry_verdict *out)
{
    must(failed->tries_made >= 1);
    *out = (struct retry_verdict){.reason = RETRY_AGAIN};
    if (failed->is_response_started)
        out->reason = RETRY_RESPONSE_STARTED;
    else if (!retry_is_retryable(policy, failed))
        out->reason = RETRY_NOT_RETRYABLE;
    else if (failed->tries_made >= policy->tries_max)
        out->reason = RETRY_TRIES;
    else if (!retry_allows_method(failed))
        out->reason = RETRY_METHOD;
    else if (!failed->is_body_replayable)
        out->reason = RETRY_BODY;
    if (out->reason != RETRY_AGAIN)
        return;
    out->wait_ms = retry_wait_ms(policy, failed, random);
    if (now_ms >= failed->deadline_ms || out->wait_ms >= failed->deadline_ms - now_ms)
        out->reason = RETRY_DEADLINE;
    else if (budget != NULL && !retry_budget_withdraw(budget, now_ms))
        out->reason = RETRY_BUDGET;
}

const char *retry_reason_text(enum retry_reason reason)
{
    must(reason < RETRY_REASON_COUNT);
    return retry_texts[reason];
}
