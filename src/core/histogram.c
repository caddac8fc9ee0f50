/* histogram.c: reading histograms back.
 *
 * The one hard thing: the owner may be recording meanwhile, so a quantile is computed over one
 * pass of loads, not over a count taken before.
 *
 * Storage is the caller's; recording has one owner thread, reading any.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/histogram.h"

#include <string.h>

static uint64_t histogram_load(const struct histogram *h, unsigned i)
{
    return atomic_load_explicit(&h->counts[i], memory_order_relaxed);
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t sum = histogram_load(to, i) + histogram_load(from, i);
        atomic_store_explicit(&to->counts[i], sum, memory_order_relaxed);
    }
}

void histogram_subtract(struct histogram *to, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t now = atomic_load_explicit(&to->counts[i], memory_order_relaxed);
        uint64_t before = atomic_load_explicit(&from->counts[i], memory_order_relaxed);
        atomic_store_explicit(&to->counts[i], now > before ? now - before : 0,
                              memory_order_relaxed);
    }
}

void histogram_reset(struct histogram *h)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        atomic_store_explicit(&h->counts[i], 0, memory_order_relaxed);
}

uint64_t histogram_count(const struct histogram *h)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        total += histogram_load(h, i);
    return total;
}

/* The middle between the lowest and the highest whole number of the bucket. */
static uint64_t histogram_middle_ns(unsigned bucket)
{
    if (bucket == 0)
        return (uint64_t)1 << (HISTOGRAM_LOW_BITS - 1);
    unsigned place = bucket - 1;
    unsigned exponent = HISTOGRAM_LOW_BITS + (place >> HISTOGRAM_SUB_BITS);
    uint64_t sub = place & ((1u << HISTOGRAM_SUB_BITS) - 1u);
    uint64_t width = (uint64_t)1 << (exponent - HISTOGRAM_SUB_BITS);
    uint64_t low = ((uint64_t)1 << exponent) + sub * width;
    return low + (width - 1) / 2;
}

uint64_t histogram_quantile_ns(const struct histogram *h, double q)
{
    must(q >= 0 && q <= 1);
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        counts[i] = histogram_load(h, i);
        total += counts[i];
    }
    if (total == 0)
        return 0;
    /* The rank by the nearest-rank rule: the smallest value with at least q of all at or below. */
    double exact = q * (double)total;
    uint64_t rank = (uint64_t)exact;
    if ((double)rank < exact || rank == 0)
        rank++;
    unsigned bucket = 0;
    for (uint64_t seen = counts[0]; seen < rank && bucket < HISTOGRAM_BUCKETS - 1;)
        seen += counts[++bucket];
    return histogram_middle_ns(bucket);
}
