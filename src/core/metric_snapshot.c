/* metric_snapshot.c: adds up the parts of each series and asks the collectors.
 *
 * The one hard thing: owners go on writing meanwhile. Each word is read once; a histogram's total
 * is the sum of the buckets as read, so +Inf and the count always agree.
 *
 * The result lives in the caller's arena. Any thread; holds the registry's lock.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/metric_snapshot.h"

#include "core/mem.h"
#include "core/metric_priv.h"

#define METRIC_EXEMPLAR_TRIES 4

/* One call of metric_emit. */
struct metric_emitted {
    struct metric_emitted *before;
    struct metric_sample sample;
};

static err metric_snapshot_alloc(struct arena *arena, size_t size, void **out)
{
    TRY(arena_try_alloc(arena, size, out));
    memset(*out, 0, size);
    return OK;
}

static err metric_snapshot_labels(struct arena *arena, const struct span *values, unsigned count,
                                  const struct span **out)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < count; i++)
        bytes = size_add(bytes, values[i].len);
    void *block;
    TRY(metric_snapshot_alloc(arena, count * sizeof(struct span) + bytes, &block));
    struct span *copy = block;
    char *at = (char *)(copy + count);
    for (unsigned i = 0; i < count; i++) {
        if (values[i].len > 0)
            memcpy(at, values[i].at, values[i].len);
        copy[i] = span_of(at, values[i].len);
        at += values[i].len;
    }
    *out = copy;
    return OK;
}

/* Whether the slot held a whole exemplar. */
static bool metric_snapshot_exemplar(struct metric_exemplar_slot *slot, struct metric_exemplar *out)
{
    for (unsigned try = 0; try < METRIC_EXEMPLAR_TRIES; try++) {
        uint64_t words[COUNT_OF(slot->words)];
        uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
        if (turn == 0)
            return false;
        for (unsigned i = 0; i < COUNT_OF(words); i++)
            words[i] = atomic_load_explicit(&slot->words[i], memory_order_acquire);
        uint64_t after = atomic_load_explicit(&slot->turn, memory_order_relaxed);
        if (turn % 2 != 0 || turn != after)
            continue;
        memcpy(out->trace_id, words, sizeof out->trace_id);
        out->value = words[4];
        out->wall_ns = words[5];
        return true;
    }
    return false;
}

/* Keeps the newest example of each bucket over the shards. */
static err metric_snapshot_exemplars(struct arena *arena, struct metric_exemplars *from,
                                     struct metric_distribution *d)
{
    for (unsigned i = 0; i <= d->bounds; i++) {
        struct metric_exemplar example;
        if (!metric_snapshot_exemplar(&from->slot[i], &example))
            continue;
        if (d->exemplar[i] != NULL && d->exemplar[i]->wall_ns >= example.wall_ns)
            continue;
        void *copy;
        TRY(arena_try_alloc(arena, sizeof example, &copy));
        memcpy(copy, &example, sizeof example);
        d->exemplar[i] = copy;
    }
    return OK;
}

static err metric_snapshot_distribution(const struct metric_series *s, struct arena *arena,
                                        const struct metric_distribution **out)
{
    void *block;
    TRY(metric_snapshot_alloc(arena, sizeof(struct metric_distribution), &block));
    struct metric_distribution *d = block;
    d->bounds = s->entry->bounds;
    memcpy(d->bound, s->entry->bound, sizeof d->bound);
    if (s->ended != NULL)
        memcpy(d->count, s->ended->counts, sizeof d->count);
    d->sum = s->ended_value;
    for (const struct metric_part *part = s->parts; part != NULL; part = part->next) {
        struct metric_histogram *h = part->histogram;
        d->sum += atomic_load_explicit(&h->sum, memory_order_relaxed);
        for (unsigned i = 0; i <= d->bounds; i++)
            d->count[i] += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
        struct metric_exemplars *examples =
            atomic_load_explicit(&h->exemplars, memory_order_acquire);
        if (examples != NULL)
            TRY(metric_snapshot_exemplars(arena, examples, d));
    }
    for (unsigned i = 0; i <= d->bounds; i++)
        d->total += d->count[i];
    *out = d;
    return OK;
}

static err metric_snapshot_series(const struct metric_series *s, struct arena *arena,
                                  struct metric_sample *out)
{
    TRY(metric_snapshot_labels(arena, s->values, s->entry->labels, &out->labels));
    if (s->entry->desc->type == METRIC_HISTOGRAM)
        return metric_snapshot_distribution(s, arena, &out->distribution);
    out->stored = s->ended_value;
    for (const struct metric_part *part = s->parts; part != NULL; part = part->next)
        out->stored += atomic_load_explicit(&part->cell->value, memory_order_relaxed);
    return OK;
}

static err metric_snapshot_emit(struct metric_emitter *out, struct metric_labels labels,
                                double value)
{
    void *block;
    TRY(metric_snapshot_alloc(out->arena, sizeof(struct metric_emitted), &block));
    struct metric_emitted *emitted = block;
    emitted->sample.is_real = true;
    emitted->sample.real = value;
    TRY(metric_snapshot_labels(out->arena, labels.at, labels.count, &emitted->sample.labels));
    emitted->before = out->last;
    out->last = emitted;
    out->count++;
    return OK;
}

void metric_emit(struct metric_emitter *out, struct metric_labels labels, double value)
{
    const struct metric_desc *desc = out->entry->desc;
    must(labels.count == out->entry->labels);
    unsigned max = desc->series_max == 0 ? METRIC_SERIES_DEFAULT : desc->series_max;
    if (out->count >= max) {
        out->entry->refused++;
        return;
    }
    if (err_ok(out->failed))
        out->failed = metric_snapshot_emit(out, labels, value);
}

static err metric_snapshot_family(struct metric_entry *entry, struct arena *arena,
                                  struct metric_family *out)
{
    struct metric_emitter emitter = {.entry = entry, .arena = arena, .failed = OK};
    for (struct metric_collector *c = entry->collectors; c != NULL; c = c->next)
        c->collect(c->ctx, &emitter);
    TRY(emitter.failed);
    out->desc = entry->desc;
    out->count = entry->count + emitter.count;
    void *block;
    TRY(metric_snapshot_alloc(arena, size_mul(out->count, sizeof(struct metric_sample)), &block));
    out->samples = block;
    size_t at = 0;
    for (const struct metric_series *s = entry->series; s != NULL; s = s->next)
        TRY(metric_snapshot_series(s, arena, &out->samples[at++]));
    for (at = out->count; emitter.last != NULL; emitter.last = emitter.last->before)
        out->samples[--at] = emitter.last->sample;
    must(at == entry->count);
    return OK;
}

static err metric_snapshot_locked(struct metric_registry *r, struct arena *arena,
                                  struct metric_snapshot *out)
{
    size_t count = 0;
    list_each (node, &r->entries)
        count++;
    void *block;
    TRY(metric_snapshot_alloc(arena, size_mul(count, sizeof(struct metric_family)), &block));
    struct metric_snapshot all = {.count = count, .families = block};
    size_t at = 0;
    list_each (node, &r->entries)
        TRY(metric_snapshot_family(container_of(node, struct metric_entry, node), arena,
                                   &all.families[at++]));
    *out = all;
    return OK;
}

static uint64_t metric_snapshot_total(const struct metric_series *s)
{
    bool is_histogram = s->entry->desc->type == METRIC_HISTOGRAM;
    unsigned bounds = s->entry->bounds;
    uint64_t total = is_histogram ? 0 : s->ended_value;
    for (unsigned i = 0; is_histogram && s->ended != NULL && i <= bounds; i++)
        total += s->ended->counts[i];
    for (const struct metric_part *part = s->parts; part != NULL; part = part->next) {
        if (!is_histogram)
            total += atomic_load_explicit(&part->cell->value, memory_order_relaxed);
        for (unsigned i = 0; is_histogram && i <= bounds; i++)
            total += atomic_load_explicit(&part->histogram->counts[i], memory_order_relaxed);
    }
    return total;
}

void metric_visit(struct metric_registry *r, const struct metric_desc *desc, metric_visit_fn *visit,
                  void *ctx)
{
    must(pthread_mutex_lock(&r->lock) == 0);
    list_each (node, &r->entries) {
        const struct metric_entry *entry = container_of(node, struct metric_entry, node);
        if (entry->desc != desc)
            continue;
        for (const struct metric_series *s = entry->series; s != NULL; s = s->next)
            visit(ctx, s->values, metric_snapshot_total(s));
    }
    must(pthread_mutex_unlock(&r->lock) == 0);
}

err metric_snapshot_take(struct metric_registry *r, struct arena *arena,
                         struct metric_snapshot *out)
{
    must(pthread_mutex_lock(&r->lock) == 0);
    err outcome = metric_snapshot_locked(r, arena, out);
    must(pthread_mutex_unlock(&r->lock) == 0);
    return outcome;
}
