/* test_retry.c: what is repeated, when, and how often in all.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "cmocka_all.h"
#include "egress/retry.h"

#define START 5000000ull

static const struct retry_policy test_policy = {
    .tries_max = 3, .base_ms = 25, .cap_ms = 1000, .statuses = {502, 503, 504}};

/* A GET that got a 503 on its first try, with all the time in the world. */
static struct retry_try test_failed(void)
{
    return (struct retry_try){.tries_made = 1,
                              .method = HTTP_GET,
                              .is_sent = true,
                              .is_body_replayable = true,
                              .status = 503,
                              .deadline_ms = START + 3600000};
}

static struct retry_verdict test_decide(const struct retry_try *failed)
{
    struct random random;
    struct retry_verdict verdict;
    random_init_seeded(&random, 9);
    retry_decide(&test_policy, NULL, failed, START, &random, &verdict);
    return verdict;
}

static void test_retry_repeats_listed_statuses_only(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        enum retry_reason reason;
    } cases[] = {{502, RETRY_AGAIN},         {503, RETRY_AGAIN},         {504, RETRY_AGAIN},
                 {500, RETRY_NOT_RETRYABLE}, {429, RETRY_NOT_RETRYABLE}, {200, RETRY_NOT_RETRYABLE},
                 {404, RETRY_NOT_RETRYABLE}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct retry_try failed = test_failed();
        failed.status = cases[i].status;
        assert_int_equal(test_decide(&failed).reason, cases[i].reason);
    }
}

static void test_retry_repeats_failures_of_the_connection_only(void **state)
{
    (void)state;
    for (enum err_code code = ERR_INVALID; code < ERR_CODE_COUNT; code++) {
        struct retry_try failed = test_failed();
        failed.status = 0;
        failed.failure = code;
        bool is_repeated = code == ERR_UPSTREAM_CONNECT || code == ERR_UPSTREAM_CLOSED ||
                           code == ERR_UPSTREAM_TIMEOUT || code == ERR_BAD_UPSTREAM ||
                           code == ERR_IO || code == ERR_CLOSED || code == ERR_TLS;
        assert_int_equal(test_decide(&failed).reason,
                         is_repeated ? RETRY_AGAIN : RETRY_NOT_RETRYABLE);
    }
}

static void test_retry_method_decides_what_may_have_been_carried_out(void **state)
{
    (void)state;
    static const struct {
        enum http_method method;
        bool plain, with_key, unsent;
    } cases[] = {
        {HTTP_GET, true, true, true},        {HTTP_HEAD, true, true, true},
        {HTTP_PUT, true, true, true},        {HTTP_DELETE, true, true, true},
        {HTTP_OPTIONS, true, true, true},    {HTTP_TRACE, true, true, true},
        {HTTP_POST, false, true, true},      {HTTP_PATCH, false, true, true},
        {HTTP_CONNECT, false, false, false}, {HTTP_METHOD_OTHER, false, false, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct retry_try failed = test_failed();
        failed.method = cases[i].method;
        assert_int_equal(test_decide(&failed).reason, cases[i].plain ? RETRY_AGAIN : RETRY_METHOD);
        failed.has_idempotency_key = true;
        assert_int_equal(test_decide(&failed).reason,
                         cases[i].with_key ? RETRY_AGAIN : RETRY_METHOD);
        failed.has_idempotency_key = false;
        failed.is_sent = false;
        failed.status = 0;
        failed.failure = ERR_UPSTREAM_CONNECT;
        assert_int_equal(test_decide(&failed).reason, cases[i].unsent ? RETRY_AGAIN : RETRY_METHOD);
    }
}

static void test_retry_never_after_the_first_response_byte(void **state)
{
    (void)state;
    struct retry_try failed = test_failed();
    failed.is_response_started = true;
    assert_int_equal(test_decide(&failed).reason, RETRY_RESPONSE_STARTED);
}

static void test_retry_needs_the_whole_body(void **state)
{
    (void)state;
    struct retry_try failed = test_failed();
    failed.is_body_replayable = false;
    assert_int_equal(test_decide(&failed).reason, RETRY_BODY);
}

static void test_retry_ends_after_the_allowed_tries(void **state)
{
    (void)state;
    struct retry_try failed = test_failed();
    failed.tries_made = 2;
    assert_int_equal(test_decide(&failed).reason, RETRY_AGAIN);
    failed.tries_made = 3;
    assert_int_equal(test_decide(&failed).reason, RETRY_TRIES);
    failed.tries_made = 4;
    assert_int_equal(test_decide(&failed).reason, RETRY_TRIES);
}

static void test_retry_wait_is_full_jitter_that_doubles_to_the_cap(void **state)
{
    (void)state;
    struct retry_policy policy = test_policy;
    policy.tries_max = 10;
    struct random random;
    random_init_seeded(&random, 4);
    uint64_t bound_ms = 25;
    for (unsigned tries = 1; tries < 10; tries++) {
        uint64_t least = UINT64_MAX, most = 0;
        for (unsigned i = 0; i < 4000; i++) {
            struct retry_try failed = test_failed();
            failed.tries_made = tries;
            struct retry_verdict v;
            retry_decide(&policy, NULL, &failed, START, &random, &v);
            assert_int_equal(v.reason, RETRY_AGAIN);
            least = v.wait_ms < least ? v.wait_ms : least;
            most = v.wait_ms > most ? v.wait_ms : most;
        }
        assert_in_range(least, 0, bound_ms / 20);
        assert_in_range(most, bound_ms * 19 / 20, bound_ms);
        bound_ms = bound_ms * 2 < 1000 ? bound_ms * 2 : 1000;
    }
}

static void test_retry_waits_for_retry_after_unless_another_target_is_there(void **state)
{
    (void)state;
    struct retry_try failed = test_failed();
    failed.retry_after_ms = 30000;
    assert_int_equal(test_decide(&failed).wait_ms, 30000);
    failed.has_other_target = true;
    assert_in_range(test_decide(&failed).wait_ms, 0, 25);
}

static void test_retry_goes_at_once_to_another_target_when_nothing_was_sent(void **state)
{
    (void)state;
    struct retry_try failed = test_failed();
    failed.is_sent = false;
    failed.status = 0;
    failed.failure = ERR_UPSTREAM_CONNECT;
    failed.has_other_target = true;
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(test_decide(&failed).wait_ms, 0);
}

static void test_retry_gives_up_now_when_the_wait_passes_the_deadline(void **state)
{
    (void)state;
    struct retry_try failed = test_failed();
    failed.retry_after_ms = 30000;
    failed.deadline_ms = START + 30001;
    assert_int_equal(test_decide(&failed).reason, RETRY_AGAIN);
    failed.deadline_ms = START + 30000;
    struct retry_verdict v = test_decide(&failed);
    assert_int_equal(v.reason, RETRY_DEADLINE);
    assert_int_equal(v.wait_ms, 30000);
    failed.retry_after_ms = 0;
    failed.deadline_ms = START;
    assert_int_equal(test_decide(&failed).reason, RETRY_DEADLINE);
    failed.deadline_ms = START - 1000;
    assert_int_equal(test_decide(&failed).reason, RETRY_DEADLINE);
}

static void test_retry_budget_is_a_share_of_requests_and_a_reserve(void **state)
{
    (void)state;
    struct retry_budget_options options = RETRY_BUDGET_DEFAULT;
    struct retry_budget budget;
    retry_budget_init(&budget, &options);
    assert_int_equal(retry_budget_left(&budget, START), 100);
    for (unsigned i = 0; i < 1000; i++)
        retry_budget_deposit(&budget, START);
    assert_int_equal(retry_budget_left(&budget, START), 300);
    for (unsigned i = 0; i < 300; i++)
        assert_true(retry_budget_withdraw(&budget, START));
    assert_false(retry_budget_withdraw(&budget, START));
    assert_int_equal(retry_budget_left(&budget, START), 0);
    for (unsigned i = 0; i < 4; i++)
        retry_budget_deposit(&budget, START);
    assert_false(retry_budget_withdraw(&budget, START)); /* 80 hundredths */
    retry_budget_deposit(&budget, START);
    assert_true(retry_budget_withdraw(&budget, START));
    assert_false(retry_budget_withdraw(&budget, START));
}

static void test_retry_budget_forgets_after_its_ttl(void **state)
{
    (void)state;
    struct retry_budget_options options = RETRY_BUDGET_DEFAULT;
    struct retry_budget budget;
    retry_budget_init(&budget, &options);
    for (unsigned i = 0; i < 1000; i++)
        retry_budget_deposit(&budget, START);
    assert_int_equal(retry_budget_left(&budget, START + 9999), 300);
    assert_int_equal(retry_budget_left(&budget, START + 10000), 100);
    while (retry_budget_withdraw(&budget, START + 10000))
        ;
    assert_false(retry_budget_withdraw(&budget, START + 19999));
    assert_true(retry_budget_withdraw(&budget, START + 20000));
    assert_int_equal(retry_budget_left(&budget, START + 1000000000), 100);
}

static void test_retry_budget_refusal_is_a_reason_and_costs_nothing(void **state)
{
    (void)state;
    struct retry_budget_options options = {.percent = 20, .reserve_per_s = 0, .ttl_ms = 10000};
    struct retry_budget budget;
    retry_budget_init(&budget, &options);
    struct retry_try failed = test_failed();
    struct random random;
    struct retry_verdict v;
    random_init_seeded(&random, 2);
    for (unsigned i = 0; i < 10; i++) {
        retry_decide(&test_policy, &budget, &failed, START, &random, &v);
        assert_int_equal(v.reason, RETRY_BUDGET);
    }
    for (unsigned i = 0; i < 5; i++)
        retry_budget_deposit(&budget, START);
    failed.tries_made = 3; /* refused for another reason: no token is taken */
    retry_decide(&test_policy, &budget, &failed, START, &random, &v);
    assert_int_equal(v.reason, RETRY_TRIES);
    failed.tries_made = 1;
    retry_decide(&test_policy, &budget, &failed, START, &random, &v);
    assert_int_equal(v.reason, RETRY_AGAIN);
    retry_decide(&test_policy, &budget, &failed, START, &random, &v);
    assert_int_equal(v.reason, RETRY_BUDGET);
}

struct test_shared {
    struct retry_budget budget;
    atomic_uint taken;
};

static void *test_withdraw_thread(void *arg)
{
    struct test_shared *shared = arg;
    for (unsigned i = 0; i < 20000; i++) {
        retry_budget_deposit(&shared->budget, START + i / 4);
        if (retry_budget_withdraw(&shared->budget, START + i / 4))
            atomic_fetch_add(&shared->taken, 1);
    }
    return NULL;
}

static void test_retry_budget_never_hands_out_more_than_there_is(void **state)
{
    (void)state;
    static struct test_shared shared;
    struct retry_budget_options options = RETRY_BUDGET_DEFAULT;
    retry_budget_init(&shared.budget, &options);
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, test_withdraw_thread, &shared), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    print_message("%u retries for 80000 requests\n", shared.taken);
    assert_true(shared.taken <= 80000 / 5 + 100);
    assert_true(shared.taken >= 80000 / 5 * 8 / 10);
    assert_int_equal(shared.taken + retry_budget_left(&shared.budget, START + 4999),
                     80000 / 5 + 100);
}

static void test_retry_options_have_ranges(void **state)
{
    (void)state;
    struct retry_policy policy = RETRY_POLICY_DEFAULT;
    struct fault why = {0};
    assert_true(err_ok(retry_policy_validate(&policy, &why)));
    policy.tries_max = 0;
    assert_true(err_is(retry_policy_validate(&policy, &why), ERR_INVALID));
    policy.tries_max = 10;
    assert_true(err_ok(retry_policy_validate(&policy, &why)));
    policy.tries_max = 11;
    assert_true(err_is(retry_policy_validate(&policy, &why), ERR_INVALID));
    policy = RETRY_POLICY_DEFAULT;
    policy.cap_ms = policy.base_ms - 1;
    assert_true(err_is(retry_policy_validate(&policy, &why), ERR_INVALID));
    policy = RETRY_POLICY_DEFAULT;
    policy.statuses[0] = 399;
    assert_true(err_is(retry_policy_validate(&policy, &why), ERR_INVALID));
    struct retry_budget_options budget = RETRY_BUDGET_DEFAULT;
    assert_true(err_ok(retry_budget_validate(&budget, &why)));
    budget.percent = 1001;
    assert_true(err_is(retry_budget_validate(&budget, &why), ERR_INVALID));
    budget = RETRY_BUDGET_DEFAULT;
    budget.ttl_ms = 999;
    assert_true(err_is(retry_budget_validate(&budget, &why), ERR_INVALID));
    assert_string_equal(retry_reason_text(RETRY_AGAIN), "retry");
    assert_string_equal(retry_reason_text(RETRY_BUDGET), "budget");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry_repeats_listed_statuses_only),
        cmocka_unit_test(test_retry_repeats_failures_of_the_connection_only),
        cmocka_unit_test(test_retry_method_decides_what_may_have_been_carried_out),
        cmocka_unit_test(test_retry_never_after_the_first_response_byte),
        cmocka_unit_test(test_retry_needs_the_whole_body),
        cmocka_unit_test(test_retry_ends_after_the_allowed_tries),
        cmocka_unit_test(test_retry_wait_is_full_jitter_that_doubles_to_the_cap),
        cmocka_unit_test(test_retry_waits_for_retry_after_unless_another_target_is_there),
        cmocka_unit_test(test_retry_goes_at_once_to_another_target_when_nothing_was_sent),
        cmocka_unit_test(test_retry_gives_up_now_when_the_wait_passes_the_deadline),
        cmocka_unit_test(test_retry_budget_is_a_share_of_requests_and_a_reserve),
        cmocka_unit_test(test_retry_budget_forgets_after_its_ttl),
        cmocka_unit_test(test_retry_budget_refusal_is_a_reason_and_costs_nothing),
        cmocka_unit_test(test_retry_budget_never_hands_out_more_than_there_is),
        cmocka_unit_test(test_retry_options_have_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
