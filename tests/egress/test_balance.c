/* test_balance.c: fair shares, least load, and who is left when targets fail.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "egress/balance.h"

#define NOW 1000000ull

static const struct target_outlier_options test_outlier = TARGET_OUTLIER_DEFAULT;

struct test_fixture {
    struct balance_member members[4];
    struct balance_set set;
    struct balance balance;
    struct random random;
};

static void test_start(struct test_fixture *f, enum balance_kind kind, const uint32_t *weights,
                       unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        f->members[i] = (struct balance_member){target_new(SPAN("t")), weights[i]};
    f->set = (struct balance_set){f->members, count, kind};
    balance_init(&f->balance, &f->set);
    random_init_seeded(&f->random, 11);
}

static void test_stop(struct test_fixture *f)
{
    for (unsigned i = 0; i < f->set.member_count; i++)
        target_unref(f->members[i].target);
    balance_done(&f->balance);
    balance_done(&f->balance);
}

static struct balance_pick test_next(struct test_fixture *f, struct balance_tried *tried)
{
    struct balance_pick pick;
    assert_true(err_ok(balance_next(&f->balance, &f->set, tried, NOW, &f->random, &pick)));
    assert_ptr_equal(pick.target, f->members[pick.index].target);
    return pick;
}

static unsigned test_next_index(struct test_fixture *f)
{
    struct balance_tried tried = {0};
    struct balance_pick pick = test_next(f, &tried);
    assert_false(pick.is_repeat);
    return pick.index;
}

static void test_balance_round_robin_is_smooth(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f, BALANCE_ROUND_ROBIN, (const uint32_t[]){5, 1, 1}, 3);
    static const unsigned expected[] = {0, 0, 1, 0, 2, 0, 0};
    for (unsigned round = 0; round < 3; round++)
        for (size_t i = 0; i < COUNT_OF(expected); i++)
            assert_int_equal(test_next_index(&f), expected[i]);
    test_stop(&f);
}

static void test_balance_round_robin_skips_who_is_out_and_does_not_flood_who_returns(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f, BALANCE_ROUND_ROBIN, (const uint32_t[]){1, 1, 1}, 3);
    target_drain(f.members[1].target, true);
    for (unsigned i = 0; i < 100; i++)
        assert_int_not_equal(test_next_index(&f), 1);
    target_drain(f.members[1].target, false);
    unsigned counts[3] = {0};
    for (unsigned i = 0; i < 9; i++)
        counts[test_next_index(&f)]++;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(counts[i], 3);
    test_stop(&f);
}

static void test_balance_least_requests_prefers_the_less_loaded_of_two(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f, BALANCE_LEAST_REQUESTS, (const uint32_t[]){1, 1}, 2);
    target_begin(f.members[0].target);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(test_next_index(&f), 1);
    target_begin(f.members[1].target);
    target_begin(f.members[1].target);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(test_next_index(&f), 0);
    test_stop(&f);
}

static void test_balance_least_requests_measures_load_by_weight(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f, BALANCE_LEAST_REQUESTS, (const uint32_t[]){1, 3}, 2);
    for (unsigned i = 0; i < 2; i++)
        target_begin(f.members[0].target);
    for (unsigned i = 0; i < 5; i++)
        target_begin(f.members[1].target);
    for (unsigned i = 0; i < 100; i++) /* 2 for 1 is more than 5 for 3 */
        assert_int_equal(test_next_index(&f), 1);
    for (unsigned i = 0; i < 2; i++)
        target_begin(f.members[1].target);
    for (unsigned i = 0; i < 100; i++) /* 7 for 3 is more */
        assert_int_equal(test_next_index(&f), 0);
    test_stop(&f);
}

static void test_balance_least_requests_shares_by_weight_when_idle(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f, BALANCE_LEAST_REQUESTS, (const uint32_t[]){1, 2, 5}, 3);
    unsigned counts[3] = {0};
    for (unsigned i = 0; i < 8000; i++)
        counts[test_next_index(&f)]++;
    assert_in_range(counts[0], 850, 1150);
    assert_in_range(counts[1], 1800, 2200);
    assert_in_range(counts[2], 4700, 5300);
    test_stop(&f);
}

static void test_balance_retry_goes_to_untried_targets_first(void **state)
{
    (void)state;
    for (unsigned kind = BALANCE_ROUND_ROBIN; kind <= BALANCE_LEAST_REQUESTS; kind++) {
        struct test_fixture f;
        test_start(&f, (enum balance_kind)kind, (const uint32_t[]){1000, 1, 1}, 3);
        struct balance_tried tried = {0};
        bool is_seen[3] = {false};
        for (unsigned i = 0; i < 3; i++) {
            assert_true(balance_has_untried(&f.set, &tried, NOW));
            struct balance_pick pick = test_next(&f, &tried);
            assert_false(pick.is_repeat);
            assert_false(is_seen[pick.index]);
            is_seen[pick.index] = true;
        }
        assert_false(balance_has_untried(&f.set, &tried, NOW));
        assert_true(test_next(&f, &tried).is_repeat);
        assert_int_equal(tried.count, 3);
        test_stop(&f);
    }
}

static void test_balance_uses_ejected_targets_only_when_none_is_up(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f, BALANCE_ROUND_ROBIN, (const uint32_t[]){1, 1, 1}, 3);
    target_eject(f.members[0].target, &test_outlier, NOW);
    target_eject(f.members[1].target, &test_outlier, NOW);
    struct balance_tried tried = {0};
    struct balance_pick pick = test_next(&f, &tried);
    assert_int_equal(pick.index, 2);
    pick = test_next(&f, &tried); /* the one that is up again, rather than an ejected one */
    assert_int_equal(pick.index, 2);
    assert_true(pick.is_repeat && !pick.is_panic);
    target_check_result(f.members[2].target, false, 1, 1);
    bool is_seen[3] = {false};
    tried = (struct balance_tried){0};
    for (unsigned i = 0; i < 2; i++) {
        pick = test_next(&f, &tried);
        assert_true(pick.is_panic && !pick.is_repeat);
        is_seen[pick.index] = true;
    }
    assert_true(is_seen[0] && is_seen[1]);
    pick = test_next(&f, &tried);
    assert_true(pick.is_panic && pick.is_repeat);
    test_stop(&f);
}

static void test_balance_has_no_target_when_all_are_down_draining_or_pausing(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f, BALANCE_LEAST_REQUESTS, (const uint32_t[]){1, 1, 1}, 3);
    target_check_result(f.members[0].target, false, 1, 1);
    target_drain(f.members[1].target, true);
    target_drain(f.members[2].target, true);
    struct balance_tried tried = {0};
    struct balance_pick pick;
    assert_true(
        err_is(balance_next(&f.balance, &f.set, &tried, NOW, &f.random, &pick), ERR_NO_UPSTREAM));
    assert_int_equal(balance_retry_after_ms(&f.set, NOW), 0);
    target_drain(f.members[1].target, false);
    target_pause(f.members[1].target, 7000, NOW);
    assert_true(
        err_is(balance_next(&f.balance, &f.set, &tried, NOW, &f.random, &pick), ERR_NO_UPSTREAM));
    assert_int_equal(balance_retry_after_ms(&f.set, NOW), 7000);
    assert_int_equal(balance_retry_after_ms(&f.set, NOW + 6999), 1);
    assert_true(err_ok(balance_next(&f.balance, &f.set, &tried, NOW + 7000, &f.random, &pick)));
    assert_int_equal(pick.index, 1);
    assert_int_equal(balance_retry_after_ms(&f.set, NOW + 7000), 0);
    test_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_balance_round_robin_is_smooth),
        cmocka_unit_test(test_balance_round_robin_skips_who_is_out_and_does_not_flood_who_returns),
        cmocka_unit_test(test_balance_least_requests_prefers_the_less_loaded_of_two),
        cmocka_unit_test(test_balance_least_requests_measures_load_by_weight),
        cmocka_unit_test(test_balance_least_requests_shares_by_weight_when_idle),
        cmocka_unit_test(test_balance_retry_goes_to_untried_targets_first),
        cmocka_unit_test(test_balance_uses_ejected_targets_only_when_none_is_up),
        cmocka_unit_test(test_balance_has_no_target_when_all_are_down_draining_or_pausing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
