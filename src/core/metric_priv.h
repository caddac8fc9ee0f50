/* metric_priv.h: the inside of the metric registry, for its own files.
 *
 * registry -> entries (one a desc) -> series (one a set of label values) -> parts (one a shard).
 * Everything but the cells is written under the registry's lock.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <pthread.h>

#include "core/arena.h"
#include "core/list.h"
#include "core/map.h"
#include "core/metric.h"

#define METRIC_KEY_MAX (sizeof(void *) + METRIC_LABELS_MAX * (1 + METRIC_VALUE_MAX))

static_assert(METRIC_VALUE_MAX <= 255, "a length is one byte of the key");

/* A sequence of all-atomic words, so that a reader never sees half an exemplar: `turn` is odd
 * while the owner writes, and data is stored with release, loaded with acquire. */
struct metric_exemplar_slot {
    _Atomic uint64_t turn;
    _Atomic uint64_t words[6]; /* trace id, value, wall time */
};

struct metric_exemplars {
    struct metric_exemplar_slot slot[METRIC_BOUNDS_MAX + 1];
};

/* What one shard holds of one series. */
struct metric_part {
    struct metric_part *next; /* of the series */
    struct list of_shard;
    struct metric_series *series;
    struct metric_shard *shard;
    struct metric_cell *cell;           /* counter, gauge; in a slab of the shard */
    struct metric_histogram *histogram; /* the same */
};

/* The rest of what ended shards counted in a histogram. */
struct metric_ended {
    uint64_t counts[METRIC_BOUNDS_MAX + 1];
    struct histogram *detail; /* owned, or NULL */
};

struct metric_series {
    struct metric_series *next; /* of the entry, oldest first */
    struct metric_entry *entry;
    struct span key;     /* owned, in the same block */
    struct span *values; /* point into key */
    struct metric_part *parts;
    uint64_t ended_value;       /* of shards that ended: the count, or the sum of a histogram */
    struct metric_ended *ended; /* owned; NULL before a shard of this histogram ended */
};

struct metric_collector {
    struct metric_collector *next;
    metric_collect_fn *collect;
    void *ctx;
};

struct metric_entry {
    struct list node; /* of the registry */
    const struct metric_desc *desc;
    unsigned labels;
    unsigned bounds;
    uint64_t bound[METRIC_BOUNDS_MAX + 1]; /* filled up with UINT64_MAX */
    size_t count;
    struct metric_series *series;
    struct metric_series **series_end;
    struct metric_collector *collectors;
    uint64_t refused;
};

struct metric_registry {
    pthread_mutex_t lock;
    struct list entries;
    struct map series; /* key -> metric_series */
    unsigned shards;
};

struct metric_emitter {
    struct metric_entry *entry;
    struct arena *arena;
    struct metric_emitted *last; /* newest first */
    size_t count;
    err failed;
};
