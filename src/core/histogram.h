/* histogram.h: where durations fall, within 1.6 %.
 *
 * Log-linear: each power of two is cut into 32 equal buckets, from 1.024 us to 73 min; what lies
 * outside is counted at the ends. One thread records with plain relaxed stores, any thread may
 * read at the same time; a reader sees each bucket whole but not all buckets at one instant.
 * Size: 8 KiB.
 *
 * Storage is the caller's; a zeroed one is valid.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdatomic.h>

#include "core/must.h"

#define HISTOGRAM_SUB_BITS  5u
#define HISTOGRAM_LOW_BITS  10u /* values below 2^10 ns share the first bucket */
#define HISTOGRAM_HIGH_BITS 42u /* values from 2^42 ns on share the last */
#define HISTOGRAM_BUCKETS   (((HISTOGRAM_HIGH_BITS - HISTOGRAM_LOW_BITS) << HISTOGRAM_SUB_BITS) + 1u)

struct histogram {
    _Atomic uint64_t counts[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t ns)
{
    if (ns < (uint64_t)1 << HISTOGRAM_LOW_BITS)
        return 0;
    if (ns >= (uint64_t)1 << HISTOGRAM_HIGH_BITS)
        return HISTOGRAM_BUCKETS - 1;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(ns);
    unsigned sub =
        (unsigned)(ns >> (exponent - HISTOGRAM_SUB_BITS)) & ((1u << HISTOGRAM_SUB_BITS) - 1u);
    return ((exponent - HISTOGRAM_LOW_BITS) << HISTOGRAM_SUB_BITS) + sub + 1u;
}

/* Owner thread only. */
static inline void histogram_record(struct histogram *h, uint64_t ns)
{
    _Atomic uint64_t *count = &h->counts[histogram_bucket(ns)];
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* Adds what `from` holds. The caller owns `to`. */
void histogram_merge(struct histogram *to, const struct histogram *from);
/* Takes away what `from` holds, an earlier state of what `to` holds. The caller owns `to`. */
void histogram_subtract(struct histogram *to, const struct histogram *from);
void histogram_reset(struct histogram *h); /* owner thread */
uint64_t histogram_count(const struct histogram *h);
/* The value below which the share q of [0, 1] lies, as the middle of its bucket; 0 when empty. */
uint64_t histogram_quantile_ns(const struct histogram *h, double q);
