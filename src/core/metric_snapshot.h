/* metric_snapshot.h: all series at one moment, added up over the threads.
 *
 * What exposition and the status page read. A snapshot lives in the caller's arena.
 *
 * Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/arena.h"
#include "core/metric.h"

struct metric_distribution {
    unsigned bounds;                       /* finite ones */
    uint64_t bound[METRIC_BOUNDS_MAX];     /* stored units, ascending */
    uint64_t count[METRIC_BOUNDS_MAX + 1]; /* of each bucket alone; the last is +Inf */
    uint64_t total;                        /* their sum */
    uint64_t sum;                          /* stored units */
    const struct metric_exemplar *exemplar[METRIC_BOUNDS_MAX + 1]; /* NULL = none */
};

struct metric_sample {
    const struct span *labels; /* values, in the order of the desc */
    bool is_real;              /* from a collector: `real` holds it, in exposed units */
    uint64_t stored;           /* counter; gauge as int64_t */
    double real;
    const struct metric_distribution *distribution; /* histogram, else NULL */
};

struct metric_family {
    const struct metric_desc *desc;
    size_t count;
    struct metric_sample *samples;
};

struct metric_snapshot {
    size_t count;
    struct metric_family *families; /* every registered desc, in order of registration */
};

/* ERR_TOO_LARGE or ERR_NO_MEMORY of the arena. */
err metric_snapshot_take(struct metric_registry *r, struct arena *arena,
                         struct metric_snapshot *out);
