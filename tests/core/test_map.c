/* test_map.c: the map against a plain array that does the same.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cmocka_all.h"
#include "core/map.h"
#include "core/random.h"

#define KEYS 200

static void test_map_finds_what_was_put_and_nothing_else(void **state)
{
    (void)state;
    struct map m CLEANUP(map_done);
    map_init(&m);
    int one = 1;
    int two = 2;
    assert_null(map_get(&m, SPAN("a")));
    assert_null(map_remove(&m, SPAN("a")));
    assert_null(map_put(&m, SPAN("a"), &one));
    assert_ptr_equal(map_get(&m, SPAN("a")), &one);
    assert_null(map_get(&m, SPAN("b")));
    assert_null(map_get(&m, SPAN("")));
    assert_ptr_equal(map_put(&m, SPAN("a"), &two), &one);
    assert_int_equal(m.count, 1);
    assert_ptr_equal(map_remove(&m, SPAN("a")), &two);
    assert_int_equal(m.count, 0);
    assert_null(map_get(&m, SPAN("a")));
}

static void test_map_takes_the_empty_key_and_bytes_with_nul(void **state)
{
    (void)state;
    struct map m CLEANUP(map_done);
    map_init(&m);
    int values[3];
    assert_null(map_put(&m, SPAN(""), &values[0]));
    assert_null(map_put(&m, SPAN("a\0b"), &values[1]));
    assert_null(map_put(&m, SPAN("a\0c"), &values[2]));
    assert_ptr_equal(map_get(&m, SPAN("")), &values[0]);
    assert_ptr_equal(map_get(&m, SPAN("a\0b")), &values[1]);
    assert_ptr_equal(map_get(&m, SPAN("a\0c")), &values[2]);
}

static void assert_same(const struct map *m, const struct span *keys, const bool *is_in,
                        unsigned *values)
{
    size_t expected = 0;
    for (size_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(map_get(m, keys[i]), is_in[i] ? &values[i] : NULL);
        expected += is_in[i] ? 1 : 0;
    }
    assert_int_equal(m->count, expected);
    size_t walked = 0;
    size_t cursor = 0;
    for (const struct map_slot *slot; (slot = map_next(m, &cursor)) != NULL; walked++)
        assert_true(is_in[(unsigned *)slot->value - values]);
    assert_int_equal(walked, expected);
}

static void test_map_agrees_with_an_array_over_random_operations(void **state)
{
    (void)state;
    static char texts[KEYS][16];
    static unsigned values[KEYS];
    struct span keys[KEYS];
    bool is_in[KEYS] = {false};
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "key-%d", i);
        keys[i] = span_from(texts[i]);
    }
    struct map m CLEANUP(map_done);
    map_init(&m);
    struct random r;
    random_init_seeded(&r, 7);
    for (int step = 0; step < 20000; step++) {
        size_t i = (size_t)random_below(&r, KEYS);
        void *expected = is_in[i] ? &values[i] : NULL;
        if (random_below(&r, 2) == 0) {
            assert_ptr_equal(map_put(&m, keys[i], &values[i]), expected);
            is_in[i] = true;
        } else {
            assert_ptr_equal(map_remove(&m, keys[i]), expected);
            is_in[i] = false;
        }
        if (step % 500 == 0)
            assert_same(&m, keys, is_in, values);
    }
    assert_same(&m, keys, is_in, values);
}

static void test_map_done_runs_twice(void **state)
{
    (void)state;
    struct map m;
    int value;
    map_init(&m);
    assert_null(map_put(&m, SPAN("a"), &value));
    map_done(&m);
    map_done(&m);
    size_t cursor = 0;
    assert_null(map_next(&m, &cursor));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_finds_what_was_put_and_nothing_else),
        cmocka_unit_test(test_map_takes_the_empty_key_and_bytes_with_nul),
        cmocka_unit_test(test_map_agrees_with_an_array_over_random_operations),
        cmocka_unit_test(test_map_done_runs_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
