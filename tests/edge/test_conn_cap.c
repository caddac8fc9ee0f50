/* test_conn_cap.c: no address holds more connections than its cap, from however many threads.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/conn_cap.h"

#include <pthread.h>
#include <stdatomic.h>

#include "cmocka_all.h"
#include "core/mem.h"

#define THREADS 4
#define ROUNDS  20000

static struct ip_address test_ip(const char *text)
{
    struct ip_address ip;
    assert_true(err_ok(ip_parse(span_from(text), &ip)));
    return ip;
}

/* How many of `tries` connections of the address are let in; the last ones stand in `places`. */
static unsigned test_enter(struct conn_cap *cap, const char *text, unsigned max, unsigned tries,
                           struct conn_cap_place *places)
{
    struct ip_address ip = test_ip(text);
    unsigned entered = 0;
    for (unsigned i = 0; i < tries; i++) {
        err outcome = conn_cap_enter(cap, &ip, max, &places[entered]);
        assert_true(err_ok(outcome) || err_is(outcome, ERR_OVERLOADED));
        entered += err_ok(outcome);
    }
    return entered;
}

static void test_conn_cap_lets_in_so_many_and_no_more(void **state)
{
    (void)state;
    for (unsigned max = 1; max < 5; max++) {
        struct conn_cap *cap = conn_cap_new(16);
        struct conn_cap_place places[8] = {0};
        assert_int_equal(test_enter(cap, "192.0.2.1", max, max - 1, places), max - 1);
        assert_int_equal(test_enter(cap, "192.0.2.1", max, 1, places + max - 1), 1);
        assert_int_equal(test_enter(cap, "192.0.2.1", max, 3, places + max), 0);
        conn_cap_leave(cap, &places[0]);
        assert_int_equal(test_enter(cap, "192.0.2.1", max, 2, places), 1);
        conn_cap_free(cap);
    }
    conn_cap_free(NULL);
}

static void test_conn_cap_refusal_leaves_no_place(void **state)
{
    (void)state;
    struct conn_cap *cap = conn_cap_new(16);
    struct ip_address ip = test_ip("192.0.2.1");
    struct conn_cap_place place = {0}, refused = {.cell = 77};
    assert_true(err_ok(conn_cap_enter(cap, &ip, 1, &place)));
    assert_true(err_is(conn_cap_enter(cap, &ip, 1, &refused), ERR_OVERLOADED));
    assert_int_equal(refused.cell, 0);
    conn_cap_leave(cap, &refused); /* gives nothing back */
    assert_true(err_is(conn_cap_enter(cap, &ip, 1, &refused), ERR_OVERLOADED));
    conn_cap_leave(cap, &place);
    conn_cap_leave(cap, &place); /* twice counts once */
    assert_true(err_ok(conn_cap_enter(cap, &ip, 1, &place)));
    assert_true(err_is(conn_cap_enter(cap, &ip, 1, &refused), ERR_OVERLOADED));
    conn_cap_free(cap);
}

static void test_conn_cap_follows_a_lowered_maximum(void **state)
{
    (void)state;
    struct conn_cap *cap = conn_cap_new(16);
    struct conn_cap_place places[4] = {0}, more[1] = {0};
    assert_int_equal(test_enter(cap, "192.0.2.1", 4, 4, places), 4);
    assert_int_equal(test_enter(cap, "192.0.2.1", 2, 1, more), 0);
    for (unsigned i = 0; i < 2; i++)
        conn_cap_leave(cap, &places[i]);
    assert_int_equal(test_enter(cap, "192.0.2.1", 2, 1, more), 0);
    conn_cap_leave(cap, &places[2]);
    assert_int_equal(test_enter(cap, "192.0.2.1", 2, 1, more), 1);
    conn_cap_free(cap);
}

static void test_conn_cap_counts_each_ipv4_address_by_itself(void **state)
{
    (void)state;
    struct conn_cap *cap = conn_cap_new(16);
    struct conn_cap_place places[4] = {0};
    assert_int_equal(test_enter(cap, "192.0.2.1", 1, 2, places), 1);
    assert_int_equal(test_enter(cap, "192.0.2.2", 1, 2, places + 1), 1);
    assert_int_equal(test_enter(cap, "::ffff:192.0.2.1", 1, 1, places + 2), 0);
    conn_cap_free(cap);
}

static void test_conn_cap_counts_ipv6_by_the_64_bits_of_a_network(void **state)
{
    (void)state;
    struct conn_cap *cap = conn_cap_new(16);
    struct conn_cap_place places[4] = {0};
    assert_int_equal(test_enter(cap, "2001:db8:0:1::1", 2, 1, places), 1);
    assert_int_equal(test_enter(cap, "2001:db8:0:1:ffff:ffff:ffff:ffff", 2, 1, places + 1), 1);
    assert_int_equal(test_enter(cap, "2001:db8:0:1:1234::", 2, 1, places + 2), 0);
    assert_int_equal(test_enter(cap, "2001:db8:0:2::1", 2, 1, places + 2), 1);
    conn_cap_free(cap);
}

/* More addresses than cells: nobody is refused because of others, and all can be undone. */
static void test_conn_cap_that_is_full_refuses_nobody(void **state)
{
    (void)state;
    enum { ADDRESSES = 3000 }; /* the smallest table has 1024 cells */
    struct conn_cap *cap = conn_cap_new(1);
    struct conn_cap_place *places = mem_alloc(ADDRESSES * sizeof *places);
    unsigned uncounted = 0;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < ADDRESSES; i++) {
            struct ip_address ip = test_ip("10.0.0.0");
            ip.bytes[14] = (unsigned char)(i >> 8);
            ip.bytes[15] = (unsigned char)i;
            assert_true(err_ok(conn_cap_enter(cap, &ip, 1, &places[i])));
            uncounted += places[i].cell == 0;
        }
        assert_true(uncounted >= (round + 1) * (ADDRESSES - 1024));
        for (unsigned i = 0; i < ADDRESSES; i++)
            conn_cap_leave(cap, &places[i]);
    }
    struct conn_cap_place last[3] = {0};
    assert_int_equal(test_enter(cap, "192.0.2.1", 2, 3, last), 2);
    mem_free(places);
    conn_cap_free(cap);
}

struct test_crowd {
    struct conn_cap *cap;
    unsigned max;
    atomic_uint inside;
    atomic_uint most_inside;
    atomic_uint refused;
};

static void test_crowd_note(struct test_crowd *crowd)
{
    unsigned now = atomic_fetch_add(&crowd->inside, 1) + 1;
    unsigned most = atomic_load(&crowd->most_inside);
    while (now > most && !atomic_compare_exchange_weak(&crowd->most_inside, &most, now))
        continue;
}

static void *test_crowd_run(void *arg)
{
    struct test_crowd *crowd = arg;
    struct ip_address ip = test_ip("192.0.2.1");
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct conn_cap_place mine[2] = {0};
        for (unsigned k = 0; k < 2; k++) {
            if (err_ok(conn_cap_enter(crowd->cap, &ip, crowd->max, &mine[k])))
                test_crowd_note(crowd);
            else
                atomic_fetch_add(&crowd->refused, 1);
        }
        for (unsigned k = 0; k < 2; k++) {
            if (mine[k].cell == 0)
                continue;
            atomic_fetch_sub(&crowd->inside, 1);
            conn_cap_leave(crowd->cap, &mine[k]);
        }
    }
    return NULL;
}

/* One connection stays throughout, so that the address keeps its cell. */
static void test_conn_cap_holds_when_threads_enter_at_once(void **state)
{
    (void)state;
    struct test_crowd crowd = {.cap = conn_cap_new(16), .max = 3};
    struct ip_address ip = test_ip("192.0.2.1");
    struct conn_cap_place stays, places[4] = {0};
    pthread_t threads[THREADS];
    assert_true(err_ok(conn_cap_enter(crowd.cap, &ip, crowd.max, &stays)));
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, test_crowd_run, &crowd), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&crowd.inside), 0);
    assert_in_range(atomic_load(&crowd.most_inside), 1, crowd.max - 1);
    assert_int_equal(test_enter(crowd.cap, "192.0.2.1", crowd.max, 4, places), crowd.max - 1);
    conn_cap_leave(crowd.cap, &stays);
    conn_cap_free(crowd.cap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conn_cap_lets_in_so_many_and_no_more),
        cmocka_unit_test(test_conn_cap_refusal_leaves_no_place),
        cmocka_unit_test(test_conn_cap_follows_a_lowered_maximum),
        cmocka_unit_test(test_conn_cap_counts_each_ipv4_address_by_itself),
        cmocka_unit_test(test_conn_cap_counts_ipv6_by_the_64_bits_of_a_network),
        cmocka_unit_test(test_conn_cap_that_is_full_refuses_nobody),
        cmocka_unit_test(test_conn_cap_holds_when_threads_enter_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
