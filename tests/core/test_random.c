/* test_random.c: the seeded form repeats itself; every form stays in its bounds.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cmocka_all.h"
#include "core/must.h"
#include "core/random.h"

static void test_random_of_one_seed_repeats_itself(void **state)
{
    (void)state;
    struct random a;
    struct random b;
    struct random other;
    random_init_seeded(&a, 42);
    random_init_seeded(&b, 42);
    random_init_seeded(&other, 43);
    unsigned differences = 0;
    for (int i = 0; i < 5000; i++) {
        uint64_t value = random_u64(&a);
        assert_true(value == random_u64(&b));
        differences += value != random_u64(&other) ? 1 : 0;
    }
    assert_true(differences > 4990);
}

static void test_random_bytes_do_not_depend_on_how_they_are_fetched(void **state)
{
    (void)state;
    static unsigned char whole[6000];
    static unsigned char parts[6000];
    struct random a;
    struct random b;
    random_init_seeded(&a, 1);
    random_init_seeded(&b, 1);
    random_bytes(&a, whole, sizeof whole);
    for (size_t at = 0, size = 1; at < sizeof parts; at += size, size = size % 17 + 1) {
        if (size > sizeof parts - at)
            size = sizeof parts - at;
        random_bytes(&b, parts + at, size);
    }
    assert_memory_equal(whole, parts, sizeof whole);
}

static void test_random_below_is_even_and_under_its_bound(void **state)
{
    (void)state;
    struct random r;
    random_init_seeded(&r, 3);
    unsigned counts[7] = {0};
    for (int i = 0; i < 70000; i++) {
        uint64_t value = random_below(&r, 7);
        assert_true(value < 7);
        counts[value]++;
    }
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        assert_in_range(counts[i], 9500, 10500);
    for (int i = 0; i < 100; i++)
        assert_int_equal(random_below(&r, 1), 0);
    /* Nearly half of all values are refused at this worst bound; it must still end. */
    for (int i = 0; i < 100; i++)
        assert_true(random_below(&r, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
}

static void test_random_unit_lies_in_zero_to_one(void **state)
{
    (void)state;
    struct random r;
    random_init_seeded(&r, 5);
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        double value = random_unit(&r);
        assert_true(value >= 0 && value < 1);
        sum += value;
    }
    assert_true(sum > 4900 && sum < 5100);
}

static void test_random_hex_writes_two_digits_a_byte_and_no_more(void **state)
{
    (void)state;
    struct random r;
    random_init(&r);
    char text[66];
    memset(text, '#', sizeof text);
    random_hex(&r, text, 32);
    for (size_t i = 0; i < 64; i++)
        assert_non_null(memchr("0123456789abcdef", text[i], 16));
    assert_int_equal(text[64], '#');
    memset(text, '#', sizeof text);
    random_hex(&r, text, 0);
    assert_int_equal(text[0], '#');
    random_done(&r);
}

static void test_random_of_the_system_differs_and_is_wiped(void **state)
{
    (void)state;
    struct random a;
    struct random b;
    random_init(&a);
    random_init(&b);
    assert_true(random_u64(&a) != random_u64(&b) || random_u64(&a) != random_u64(&b));
    /* What was handed out no longer stands in the block. */
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(a.block[i], 0);
    random_done(&a);
    random_done(&b);
    for (size_t i = 0; i < sizeof a.block; i++)
        assert_int_equal(a.block[i], 0);
}

static void test_random_names_differ_and_repeat_only_with_the_seed(void **state)
{
    (void)state;
    struct random a, b, system;
    random_init_seeded(&a, 7);
    random_init_seeded(&b, 7);
    random_init(&system);
    for (int i = 0; i < 1000; i++) {
        uint64_t word = random_name_word(&a);
        assert_true(word == random_name_word(&b));
        assert_true(word != random_name_word(&system));
    }
    struct random other;
    random_init(&other);
    assert_true(random_name_word(&other) != random_name_word(&system));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_of_one_seed_repeats_itself),
        cmocka_unit_test(test_random_bytes_do_not_depend_on_how_they_are_fetched),
        cmocka_unit_test(test_random_below_is_even_and_under_its_bound),
        cmocka_unit_test(test_random_unit_lies_in_zero_to_one),
        cmocka_unit_test(test_random_hex_writes_two_digits_a_byte_and_no_more),
        cmocka_unit_test(test_random_of_the_system_differs_and_is_wiped),
        cmocka_unit_test(test_random_names_differ_and_repeat_only_with_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
