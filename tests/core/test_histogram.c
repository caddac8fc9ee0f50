/* test_histogram.c: a quantile is within 1.6 % of the exact one, whatever the distribution.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdlib.h>

#include "core/histogram.h"
#include "core/mem.h"
#include "core/random.h"

#define SAMPLES 20000u

static int by_value(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* The nearest-rank quantile of sorted values. */
static uint64_t exact_quantile(const uint64_t *sorted, double q)
{
    double at = q * SAMPLES;
    uint64_t rank = (uint64_t)at;
    if ((double)rank < at || rank == 0)
        rank++;
    return sorted[rank - 1];
}

/* Values spread over all octaves of the range, or crowded in one place, or with a far tail. */
static uint64_t draw(struct random *r, unsigned shape)
{
    switch (shape) {
    case 0:
        return ((uint64_t)1 << (10 + random_below(r, 31))) + random_below(r, 1 << 10);
    case 1:
        return 2000000 + random_below(r, 100000);
    case 2:
        return (uint64_t)(100000.0 / (1.0001 - random_unit(r)));
    default:
        return 1024 + random_below(r, 4000000000000u);
    }
}

static void test_histogram_quantiles_stay_within_the_error_bound(void **state)
{
    (void)state;
    static const double quantiles[] = {0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1};
    struct histogram *h = MEM_NEW(struct histogram);
    uint64_t *values = mem_alloc(SAMPLES * sizeof *values);
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct random r;
        random_init_seeded(&r, seed);
        histogram_reset(h);
        for (unsigned i = 0; i < SAMPLES; i++) {
            values[i] = draw(&r, (unsigned)seed % 4);
            histogram_record(h, values[i]);
        }
        assert_int_equal(histogram_count(h), SAMPLES);
        qsort(values, SAMPLES, sizeof *values, by_value);
        for (size_t i = 0; i < COUNT_OF(quantiles); i++) {
            uint64_t exact = exact_quantile(values, quantiles[i]);
            uint64_t got = histogram_quantile_ns(h, quantiles[i]);
            uint64_t off = got > exact ? got - exact : exact - got;
            if (off * 64 > exact)
                fail_msg("seed %llu q %g: %llu for %llu", (unsigned long long)seed, quantiles[i],
                         (unsigned long long)got, (unsigned long long)exact);
        }
    }
    mem_free(values);
    mem_free(h);
}

static void test_histogram_buckets_are_contiguous_and_ascending(void **state)
{
    (void)state;
    unsigned last = 0;
    for (uint64_t ns = 1; ns < (uint64_t)1 << 43; ns += 1 + ns / 200) {
        unsigned bucket = histogram_bucket(ns);
        assert_true(bucket == last || bucket == last + 1);
        last = bucket;
    }
    assert_int_equal(last, HISTOGRAM_BUCKETS - 1);
    assert_int_equal(histogram_bucket(1023), 0);
    assert_int_equal(histogram_bucket(1024), 1);
    assert_int_equal(histogram_bucket(((uint64_t)1 << 42) - 1), HISTOGRAM_BUCKETS - 1);
}

static void test_histogram_counts_what_is_out_of_range_at_the_ends(void **state)
{
    (void)state;
    struct histogram h = {0};
    assert_int_equal(histogram_quantile_ns(&h, 0.5), 0);
    histogram_record(&h, 0);
    histogram_record(&h, UINT64_MAX);
    assert_int_equal(histogram_count(&h), 2);
    assert_true(histogram_quantile_ns(&h, 0.5) < 1024);
    assert_true(histogram_quantile_ns(&h, 1) > (uint64_t)4200 * 1000000000u);
}

static void test_histogram_merge_equals_recording_in_one(void **state)
{
    (void)state;
    struct histogram *one = MEM_NEW(struct histogram);
    struct histogram *two = MEM_NEW(struct histogram);
    struct histogram *both = MEM_NEW(struct histogram);
    for (uint64_t i = 1; i <= 1000; i++) {
        histogram_record(one, i * 1000);
        histogram_record(two, i * 3000000);
    }
    histogram_merge(both, one);
    histogram_merge(both, two);
    assert_int_equal(histogram_count(both), 2000);
    assert_int_equal(histogram_quantile_ns(both, 0.5), histogram_quantile_ns(one, 1));
    assert_int_equal(histogram_quantile_ns(both, 1), histogram_quantile_ns(two, 1));
    mem_free(one);
    mem_free(two);
    mem_free(both);
}

static void test_histogram_subtract_leaves_what_came_since(void **state)
{
    (void)state;
    struct histogram *now = MEM_NEW(struct histogram), *before = MEM_NEW(struct histogram);
    histogram_record(now, 5000000);
    histogram_merge(before, now);
    histogram_record(now, 5000000);
    histogram_record(now, 900000000);
    histogram_subtract(now, before);
    assert_int_equal(histogram_count(now), 2);
    assert_in_range(histogram_quantile_ns(now, 0.5), 4900000, 5100000);
    assert_in_range(histogram_quantile_ns(now, 1.0), 880000000, 920000000);
    histogram_subtract(before, now); /* not an earlier state: nothing goes below zero */
    assert_int_equal(histogram_count(before), 0);
    mem_free(now);
    mem_free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram_quantiles_stay_within_the_error_bound),
        cmocka_unit_test(test_histogram_buckets_are_contiguous_and_ascending),
        cmocka_unit_test(test_histogram_counts_what_is_out_of_range_at_the_ends),
        cmocka_unit_test(test_histogram_merge_equals_recording_in_one),
        cmocka_unit_test(test_histogram_subtract_leaves_what_came_since),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
