/* metric.h: counters, gauges and histograms that cost a plain store.
 *
 * What can be counted is told by tables of `struct metric_desc`, one table a part; exposition,
 * documentation and the dashboard come from them. A series is (desc, label values). Each thread has
 * a shard and in it its own cell for each series that it touches, so an increment is a load, an add
 * and a store without lock prefix; a scrape adds the shards up. The one hard thing: cells are found
 * once (metric_counter, metric_gauge, metric_histogram) and cached by the caller; they stay valid
 * until their shard ends.
 *
 * Units: what is stored for unit "seconds" is nanoseconds, and exposed as seconds.
 *
 * Memory: a series about 130 bytes with its labels; in each thread that touches it 75 bytes more
 * for a counter or gauge, 250 for a histogram, 1 KiB once it has an exemplar, 8 KiB if the desc
 * asks for quantiles (which is why exact buckets are in each histogram and these are not). Series
 * per desc are limited (series_max): past it every new combination is counted in the one series
 * whose labels all say "other", and plimsoll_metric_series_refused_total tells. Label values must
 * come from configuration or fixed sets, never from a client.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdatomic.h>

#include "core/buf.h"
#include "core/histogram.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

#define METRIC_LABELS_MAX     8
#define METRIC_BOUNDS_MAX     15 /* finite buckets; one more for +Inf */
#define METRIC_SERIES_DEFAULT 1000
#define METRIC_VALUE_MAX      128 /* bytes of a label value; more is cut */

/* One row; a table ends with name == NULL. All static storage. */
struct metric_desc {
    const char *name; /* as Prometheus shows it: counters end in _total, then the unit before it */
    enum metric_type type;
    const char *unit; /* "seconds", "bytes", ... : the name carries it; NULL = a plain number */
    const char *help;
    const char *const *labels; /* names, NULL-terminated; NULL = none */
    const uint64_t *bounds;    /* histogram: ascending, ends with 0, in stored units; NULL = the
                                * boundaries of OpenTelemetry for durations, 5 ms to 10 s */
    bool has_quantiles;        /* histogram: also a log-linear one, for metric_quantiles */
    unsigned series_max;       /* 0 = METRIC_SERIES_DEFAULT */
};

struct metric_registry;
struct metric_shard;

/* Values in the order of desc->labels, borrowed for the call. */
struct metric_labels {
    const struct span *at;
    unsigned count;
};
#define METRIC_LABELS(...)                                                                         \
    ((struct metric_labels){(const struct span[]){__VA_ARGS__},                                    \
                            sizeof((const struct span[]){__VA_ARGS__}) / sizeof(struct span)})
#define METRIC_NO_LABELS ((struct metric_labels){NULL, 0})

struct metric_registry *metric_registry_new(void);
/* All shards have ended. Accepts NULL. */
void metric_registry_free(struct metric_registry *r);
/* Adds a table (borrowed for the life of the registry) and checks it: names, units and labels are
 * our own, so a bad row is a bug. Twice the same table is one. Any thread. */
void metric_register(struct metric_registry *r, const struct metric_desc *table);

/* Shards: made anywhere, then used by one thread. Ending keeps the totals of counters and
 * histograms, forgets its gauges, and invalidates its cells. */
struct metric_shard *metric_shard_new(struct metric_registry *r);
void metric_shard_end(struct metric_shard *shard); /* accepts NULL */

/* The hot path -------------------------------------------------------------------------------- */

struct metric_cell {
    _Atomic uint64_t value;
};

/* An example of a request in a bucket, for OpenMetrics. */
struct metric_exemplar {
    char trace_id[32]; /* hex, no NUL */
    uint64_t value;    /* stored units */
    uint64_t wall_ns;
};

struct metric_exemplars;

struct metric_histogram {
    const uint64_t *bounds;   /* METRIC_BOUNDS_MAX + 1 of them, the rest UINT64_MAX */
    struct histogram *detail; /* NULL without has_quantiles */
    struct metric_exemplars *_Atomic exemplars; /* NULL before the first */
    _Atomic uint64_t sum;
    _Atomic uint64_t counts[METRIC_BOUNDS_MAX + 1];
};

/* Finds or creates; locks only to create. Never NULL. The desc's table is registered and its type
 * and number of labels fit. Owner thread of the shard. */
struct metric_cell *metric_counter(struct metric_shard *shard, const struct metric_desc *desc,
                                   struct metric_labels labels);
struct metric_cell *metric_gauge(struct metric_shard *shard, const struct metric_desc *desc,
                                 struct metric_labels labels);
struct metric_histogram *metric_histogram(struct metric_shard *shard,
                                          const struct metric_desc *desc,
                                          struct metric_labels labels);

/* All of these: owner thread of the shard. */
static inline void metric_add_to(_Atomic uint64_t *value, uint64_t n)
{
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline void metric_add(struct metric_cell *c, uint64_t n)
{
    metric_add_to(&c->value, n);
}

/* Gauges are signed; the value of a series is the sum over the threads. */
static inline void metric_set(struct metric_cell *gauge, int64_t value)
{
    atomic_store_explicit(&gauge->value, (uint64_t)value, memory_order_relaxed);
}

static inline void metric_change(struct metric_cell *gauge, int64_t by)
{
    metric_add_to(&gauge->value, (uint64_t)by);
}

/* How many bounds are below the value: its bucket, since a bucket holds value <= bound. */
static inline unsigned metric_bucket(const uint64_t *bounds, uint64_t value)
{
    static_assert(METRIC_BOUNDS_MAX == 15, "the search below halves 16 slots");
    unsigned i = bounds[7] < value ? 8 : 0;
    i += bounds[i + 3] < value ? 4 : 0;
    i += bounds[i + 1] < value ? 2 : 0;
    i += bounds[i] < value ? 1 : 0;
    return i;
}

static inline void metric_observe(struct metric_histogram *h, uint64_t value)
{
    metric_add_to(&h->counts[metric_bucket(h->bounds, value)], 1);
    metric_add_to(&h->sum, value);
    if (h->detail != NULL)
        histogram_record(h->detail, value);
}

/* Makes this the example of its bucket; call it beside metric_observe, for sampled requests. */
void metric_exemplify(struct metric_histogram *h, const struct metric_exemplar *example);

/* At scrape time ------------------------------------------------------------------------------ */

struct metric_emitter;

/* Serves a counter or gauge by asking at each scrape. `collect` calls metric_emit once for each
 * series that exists now (at most series_max are kept); it runs on the thread that scrapes, with
 * the registry locked, so it may call nothing of this file but metric_emit. */
typedef void metric_collect_fn(void *ctx, struct metric_emitter *out);
void metric_collect(struct metric_registry *r, const struct metric_desc *desc,
                    metric_collect_fn *collect, void *ctx);
void metric_collect_end(struct metric_registry *r, const struct metric_desc *desc, void *ctx);
/* The value in exposed units (seconds, not nanoseconds). */
void metric_emit(struct metric_emitter *out, struct metric_labels labels, double value);

/* Calls `visit` once for each series that shards hold, with its total over the threads: a counter's
 * count, a gauge's value (as int64_t), a histogram's number of observations. Runs with the registry
 * locked, so `visit` may call nothing of this file. Collectors are not asked. Any thread. */
typedef void metric_visit_fn(void *ctx, const struct span *labels, uint64_t total);
void metric_visit(struct metric_registry *r, const struct metric_desc *desc, metric_visit_fn *visit,
                  void *ctx);

/* The log-linear histograms of the series with these labels over all threads, added to *out. A
 * value with at == NULL stands for any, and labels.at == NULL for all series of the desc, which
 * has_quantiles. Any thread. */
void metric_quantiles(struct metric_registry *r, const struct metric_desc *desc,
                      struct metric_labels labels, struct histogram *out);
