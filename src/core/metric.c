/* metric.c: the registry, its shards and series.
 *
 * The one hard thing: a cell is written without any lock while a scrape reads it and while other
 * threads create series. So cells never move, a shard's cells lie in memory of their own (no cache
 * line is shared between threads), and all links between series and shards change under the lock.
 * When a shard ends, its counts are added to the series, so a counter never goes back.
 *
 * The registry owns entries and series, a shard its parts and cells.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/metric.h"

#include "core/mem.h"
#include "core/metric_priv.h"

#define METRIC_SLAB_BYTES 2048
#define METRIC_LINE_BYTES 64

struct metric_slab {
    struct metric_slab *next;
    size_t used;
    char bytes[];
};

/* One line in front to align by, one behind that nobody else's object can share. */
#define METRIC_SLAB_BLOCK_BYTES                                                                    \
    (sizeof(struct metric_slab) + METRIC_SLAB_BYTES + 2 * METRIC_LINE_BYTES)

struct metric_shard {
    struct metric_registry *registry; /* borrowed */
    struct map found;                 /* key of the series -> metric_part */
    struct list parts;
    struct metric_slab *slabs; /* owned */
};

static const uint64_t metric_default_bounds[] = {
    5000000,   10000000,   25000000,   50000000,   75000000,   100000000,   250000000, 500000000,
    750000000, 1000000000, 2500000000, 5000000000, 7500000000, 10000000000, 0};

static const char *const metric_refused_labels[] = {"metric", NULL};
static const struct metric_desc metric_self_table[] = {
    {.name = "plimsoll_metric_series_refused_total",
     .type = METRIC_COUNTER,
     .help = "Lookups of a series that was counted as \"other\", because its metric has reached "
             "its maximum of series.",
     .labels = metric_refused_labels},
    {0},
};

/* The registry -------------------------------------------------------------------------------- */

static void metric_collect_refused(void *ctx, struct metric_emitter *out)
{
    struct metric_registry *r = ctx;
    list_each (node, &r->entries) {
        struct metric_entry *entry = container_of(node, struct metric_entry, node);
        if (entry->refused > 0)
            metric_emit(out, METRIC_LABELS(span_from(entry->desc->name)), (double)entry->refused);
    }
}

struct metric_registry *metric_registry_new(void)
{
    struct metric_registry *r = MEM_NEW(struct metric_registry);
    must(pthread_mutex_init(&r->lock, NULL) == 0);
    list_init(&r->entries);
    map_init(&r->series);
    metric_register(r, metric_self_table);
    metric_collect(r, &metric_self_table[0], metric_collect_refused, r);
    return r;
}

static void metric_series_free(struct metric_series *s)
{
    must(s->parts == NULL);
    if (s->ended != NULL)
        mem_free(s->ended->detail);
    mem_free(s->ended);
    mem_free(s);
}

static void metric_entry_free(struct metric_entry *entry)
{
    for (struct metric_series *s = entry->series, *next; s != NULL; s = next) {
        next = s->next;
        metric_series_free(s);
    }
    for (struct metric_collector *c = entry->collectors, *next; c != NULL; c = next) {
        next = c->next;
        mem_free(c);
    }
    mem_free(entry);
}

void metric_registry_free(struct metric_registry *r)
{
    if (r == NULL)
        return;
    must(r->shards == 0);
    map_done(&r->series);
    list_each_safe (node, following, &r->entries)
        metric_entry_free(container_of(node, struct metric_entry, node));
    must(pthread_mutex_destroy(&r->lock) == 0);
    mem_free(r);
}

/* The family's name in OpenMetrics: a counter's without _total. */
static struct span metric_family_name(const struct metric_desc *desc)
{
    struct span name = span_from(desc->name);
    if (desc->type == METRIC_COUNTER)
        name.len -= SPAN("_total").len;
    return name;
}

static bool metric_name_is_valid(const char *name)
{
    bool starts = (*name >= 'a' && *name <= 'z') || *name == '_';
    for (const char *at = name; *at != '\0'; at++)
        if (!((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || *at == '_'))
            return false;
    return starts;
}

static void metric_check(const struct metric_registry *r, const struct metric_desc *desc)
{
    must(metric_name_is_valid(desc->name));
    must(desc->help != NULL && desc->help[0] != '\0');
    bool ends_in_total = span_ends(span_from(desc->name), SPAN("_total"));
    must(ends_in_total == (desc->type == METRIC_COUNTER));
    struct span family = metric_family_name(desc);
    if (desc->unit != NULL) {
        struct span unit = span_from(desc->unit);
        must(family.len > unit.len + 1 && span_ends(family, unit));
        must(family.at[family.len - unit.len - 1] == '_');
    }
    must(desc->type == METRIC_HISTOGRAM || (desc->bounds == NULL && !desc->has_quantiles));
    list_each (node, &r->entries) {
        struct metric_entry *other = container_of(node, struct metric_entry, node);
        must(!span_eq(metric_family_name(other->desc), family));
    }
}

static void metric_entry_add(struct metric_registry *r, const struct metric_desc *desc)
{
    metric_check(r, desc);
    struct metric_entry *entry = MEM_NEW(struct metric_entry);
    entry->desc = desc;
    entry->series_end = &entry->series;
    if (desc->labels != NULL)
        for (; desc->labels[entry->labels] != NULL; entry->labels++)
            must(metric_name_is_valid(desc->labels[entry->labels]));
    must(entry->labels <= METRIC_LABELS_MAX);
    const uint64_t *bounds = desc->bounds == NULL ? metric_default_bounds : desc->bounds;
    for (; bounds[entry->bounds] != 0; entry->bounds++) {
        must(entry->bounds < METRIC_BOUNDS_MAX);
        must(entry->bounds == 0 || bounds[entry->bounds] > bounds[entry->bounds - 1]);
        entry->bound[entry->bounds] = bounds[entry->bounds];
    }
    for (unsigned i = entry->bounds; i <= METRIC_BOUNDS_MAX; i++)
        entry->bound[i] = UINT64_MAX;
    list_push_back(&r->entries, &entry->node);
}

static struct metric_entry *metric_entry_find(const struct metric_registry *r,
                                              const struct metric_desc *desc)
{
    list_each (node, &r->entries) {
        struct metric_entry *entry = container_of(node, struct metric_entry, node);
        if (entry->desc == desc)
            return entry;
    }
    return NULL;
}

void metric_register(struct metric_registry *r, const struct metric_desc *table)
{
    must(pthread_mutex_lock(&r->lock) == 0);
    for (const struct metric_desc *desc = table; desc->name != NULL; desc++)
        if (metric_entry_find(r, desc) == NULL)
            metric_entry_add(r, desc);
    must(pthread_mutex_unlock(&r->lock) == 0);
}

/* Shards -------------------------------------------------------------------------------------- */

struct metric_shard *metric_shard_new(struct metric_registry *r)
{
    struct metric_shard *shard = MEM_NEW(struct metric_shard);
    shard->registry = r;
    map_init(&shard->found);
    list_init(&shard->parts);
    must(pthread_mutex_lock(&r->lock) == 0);
    r->shards++;
    must(pthread_mutex_unlock(&r->lock) == 0);
    return shard;
}

/* Zeroed memory that no other thread's cells share a cache line with. */
static void *metric_shard_alloc(struct metric_shard *shard, size_t size)
{
    struct metric_slab *slab = shard->slabs;
    if (slab == NULL || METRIC_SLAB_BYTES - slab->used < size) {
        slab = mem_alloc(METRIC_SLAB_BLOCK_BYTES);
        slab->next = shard->slabs;
        shard->slabs = slab;
    }
    uintptr_t base = (uintptr_t)slab->bytes;
    base = (base + METRIC_LINE_BYTES - 1) & ~(uintptr_t)(METRIC_LINE_BYTES - 1);
    void *at = slab->bytes + (base - (uintptr_t)slab->bytes) + slab->used;
    slab->used += (size + 7) & ~(size_t)7;
    must(slab->used <= METRIC_SLAB_BYTES);
    return at;
}

static void metric_part_fold(struct metric_part *part)
{
    struct metric_series *s = part->series;
    if (part->histogram == NULL) {
        if (s->entry->desc->type == METRIC_COUNTER)
            s->ended_value += atomic_load_explicit(&part->cell->value, memory_order_relaxed);
        return;
    }
    struct metric_histogram *h = part->histogram;
    if (s->ended == NULL)
        s->ended = MEM_NEW(struct metric_ended);
    s->ended_value += atomic_load_explicit(&h->sum, memory_order_relaxed);
    for (unsigned i = 0; i <= METRIC_BOUNDS_MAX; i++)
        s->ended->counts[i] += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
    if (h->detail != NULL) {
        if (s->ended->detail == NULL)
            s->ended->detail = MEM_NEW(struct histogram);
        histogram_merge(s->ended->detail, h->detail);
        mem_free(h->detail);
    }
    mem_free(atomic_load_explicit(&h->exemplars, memory_order_relaxed));
}

static void metric_part_end(struct metric_part *part)
{
    struct metric_part **link = &part->series->parts;
    while (*link != part)
        link = &(*link)->next;
    *link = part->next;
    metric_part_fold(part);
    mem_free(part);
}

void metric_shard_end(struct metric_shard *shard)
{
    if (shard == NULL)
        return;
    struct metric_registry *r = shard->registry;
    must(pthread_mutex_lock(&r->lock) == 0);
    list_each_safe (node, following, &shard->parts)
        metric_part_end(container_of(node, struct metric_part, of_shard));
    r->shards--;
    must(pthread_mutex_unlock(&r->lock) == 0);
    map_done(&shard->found);
    for (struct metric_slab *slab = shard->slabs, *next; slab != NULL; slab = next) {
        next = slab->next;
        mem_free(slab);
    }
    mem_free(shard);
}

/* Series -------------------------------------------------------------------------------------- */

/* A label value as it is kept: cut, and with a question mark for each byte that is not UTF-8,
 * because a scrape with one such byte is refused whole. Returns its length. */
static size_t metric_value_copy(char *to, struct span value)
{
    value = span_utf8_prefix(value, METRIC_VALUE_MAX);
    for (size_t at = 0; at < value.len;) {
        size_t length = span_utf8_length(span_skip(value, at));
        to[at] = length == 0 ? '?' : value.at[at];
        for (size_t i = 1; i < length; i++)
            to[at + i] = value.at[at + i];
        at += length == 0 ? 1 : length;
    }
    return value.len;
}

/* The desc's address, then each value behind its length. */
static struct span metric_key(char *to, const struct metric_desc *desc, struct metric_labels labels)
{
    memcpy(to, &desc, sizeof desc);
    size_t used = sizeof desc;
    for (unsigned i = 0; i < labels.count; i++) {
        must(desc->labels != NULL && desc->labels[i] != NULL);
        size_t length = metric_value_copy(to + used + 1, labels.at[i]);
        to[used] = (char)(unsigned char)length;
        used += 1 + length;
    }
    must(labels.count == 0 || desc->labels[labels.count] == NULL);
    return span_of(to, used);
}

static struct metric_series *metric_series_new(struct metric_registry *r,
                                               struct metric_entry *entry, struct span key)
{
    size_t values_bytes = size_mul(entry->labels, sizeof(struct span));
    struct metric_series *s = mem_alloc(size_add(sizeof *s, size_add(values_bytes, key.len)));
    s->entry = entry;
    s->values = (struct span *)(s + 1);
    char *copy = (char *)(s->values + entry->labels);
    memcpy(copy, key.at, key.len);
    s->key = span_of(copy, key.len);
    const char *at = copy + sizeof entry->desc;
    for (unsigned i = 0; i < entry->labels; i++) {
        s->values[i] = span_of(at + 1, (unsigned char)*at);
        at += 1 + s->values[i].len;
    }
    *entry->series_end = s;
    entry->series_end = &s->next;
    entry->count++;
    (void)map_put(&r->series, s->key, s); /* it was not there: nothing is replaced */
    return s;
}

/* The series of the key, or of "other" when the desc is full. Under the lock. */
static struct metric_series *metric_series_find(struct metric_registry *r,
                                                const struct metric_desc *desc, struct span key)
{
    struct metric_series *s = map_get(&r->series, key);
    if (s != NULL)
        return s;
    struct metric_entry *entry = metric_entry_find(r, desc);
    must(entry != NULL && (entry->labels == 0) == (key.len == sizeof desc));
    unsigned max = desc->series_max == 0 ? METRIC_SERIES_DEFAULT : desc->series_max;
    if (entry->labels == 0 || entry->count < max)
        return metric_series_new(r, entry, key);
    entry->refused++;
    struct span others[METRIC_LABELS_MAX];
    for (unsigned i = 0; i < entry->labels; i++)
        others[i] = SPAN("other");
    char bytes[METRIC_KEY_MAX];
    struct span other = metric_key(bytes, desc, (struct metric_labels){others, entry->labels});
    s = map_get(&r->series, other);
    return s != NULL ? s : metric_series_new(r, entry, other);
}

static struct metric_part *metric_part_new(struct metric_shard *shard, struct metric_series *s)
{
    const struct metric_desc *desc = s->entry->desc;
    struct metric_part *part = MEM_NEW(struct metric_part);
    part->shard = shard;
    part->series = s;
    if (desc->type == METRIC_HISTOGRAM) {
        part->histogram = metric_shard_alloc(shard, sizeof *part->histogram);
        part->histogram->bounds = s->entry->bound;
        if (desc->has_quantiles)
            part->histogram->detail = MEM_NEW(struct histogram);
    } else {
        part->cell = metric_shard_alloc(shard, sizeof *part->cell);
    }
    part->next = s->parts;
    s->parts = part;
    list_push_back(&shard->parts, &part->of_shard);
    (void)map_put(&shard->found, s->key, part); /* it was not there: nothing is replaced */
    return part;
}

static struct metric_part *metric_part_find(struct metric_shard *shard,
                                            const struct metric_desc *desc,
                                            struct metric_labels labels)
{
    char bytes[METRIC_KEY_MAX];
    must(labels.count <= METRIC_LABELS_MAX);
    struct span key = metric_key(bytes, desc, labels);
    struct metric_part *part = map_get(&shard->found, key);
    if (part != NULL)
        return part;
    struct metric_registry *r = shard->registry;
    must(pthread_mutex_lock(&r->lock) == 0);
    struct metric_series *s = metric_series_find(r, desc, key);
    /* The series of "other" may be in this shard already. */
    part = map_get(&shard->found, s->key);
    if (part == NULL)
        part = metric_part_new(shard, s);
    must(pthread_mutex_unlock(&r->lock) == 0);
    return part;
}

struct metric_cell *metric_counter(struct metric_shard *shard, const struct metric_desc *desc,
                                   struct metric_labels labels)
{
    must(desc->type == METRIC_COUNTER);
    return metric_part_find(shard, desc, labels)->cell;
}

struct metric_cell *metric_gauge(struct metric_shard *shard, const struct metric_desc *desc,
                                 struct metric_labels labels)
{
    must(desc->type == METRIC_GAUGE);
    return metric_part_find(shard, desc, labels)->cell;
}

struct metric_histogram *metric_histogram(struct metric_shard *shard,
                                          const struct metric_desc *desc,
                                          struct metric_labels labels)
{
    must(desc->type == METRIC_HISTOGRAM);
    return metric_part_find(shard, desc, labels)->histogram;
}

/* Exemplars, collectors, quantiles ------------------------------------------------------------ */

void metric_exemplify(struct metric_histogram *h, const struct metric_exemplar *example)
{
    struct metric_exemplars *all = atomic_load_explicit(&h->exemplars, memory_order_relaxed);
    if (all == NULL) {
        all = MEM_NEW(struct metric_exemplars);
        atomic_store_explicit(&h->exemplars, all, memory_order_release);
    }
    struct metric_exemplar_slot *slot = &all->slot[metric_bucket(h->bounds, example->value)];
    uint64_t words[COUNT_OF(slot->words)];
    memcpy(words, example->trace_id, sizeof example->trace_id);
    words[4] = example->value;
    words[5] = example->wall_ns;
    uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_relaxed);
    atomic_store_explicit(&slot->turn, turn + 1, memory_order_relaxed);
    for (unsigned i = 0; i < COUNT_OF(words); i++)
        atomic_store_explicit(&slot->words[i], words[i], memory_order_release);
    atomic_store_explicit(&slot->turn, turn + 2, memory_order_release);
}

void metric_collect(struct metric_registry *r, const struct metric_desc *desc,
                    metric_collect_fn *collect, void *ctx)
{
    must(desc->type != METRIC_HISTOGRAM);
    struct metric_collector *c = MEM_NEW(struct metric_collector);
    c->collect = collect;
    c->ctx = ctx;
    must(pthread_mutex_lock(&r->lock) == 0);
    struct metric_entry *entry = metric_entry_find(r, desc);
    must(entry != NULL);
    c->next = entry->collectors;
    entry->collectors = c;
    must(pthread_mutex_unlock(&r->lock) == 0);
}

void metric_collect_end(struct metric_registry *r, const struct metric_desc *desc, void *ctx)
{
    must(pthread_mutex_lock(&r->lock) == 0);
    struct metric_entry *entry = metric_entry_find(r, desc);
    must(entry != NULL);
    struct metric_collector **link = &entry->collectors;
    while (*link != NULL) {
        struct metric_collector *c = *link;
        if (c->ctx != ctx) {
            link = &c->next;
            continue;
        }
        *link = c->next;
        mem_free(c);
    }
    must(pthread_mutex_unlock(&r->lock) == 0);
}

static void metric_series_merge(const struct metric_series *s, struct histogram *out)
{
    if (s->ended != NULL)
        histogram_merge(out, s->ended->detail);
    for (const struct metric_part *part = s->parts; part != NULL; part = part->next)
        histogram_merge(out, part->histogram->detail);
}

static bool metric_series_fits(const struct metric_series *s, const struct span *wanted,
                               unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (wanted[i].at != NULL && !span_eq(wanted[i], s->values[i]))
            return false;
    return true;
}

void metric_quantiles(struct metric_registry *r, const struct metric_desc *desc,
                      struct metric_labels labels, struct histogram *out)
{
    must(desc->has_quantiles && labels.count <= METRIC_LABELS_MAX);
    char bytes[METRIC_LABELS_MAX][METRIC_VALUE_MAX];
    struct span wanted[METRIC_LABELS_MAX];
    for (unsigned i = 0; i < labels.count; i++)
        wanted[i] = labels.at[i].at == NULL
                        ? labels.at[i]
                        : span_of(bytes[i], metric_value_copy(bytes[i], labels.at[i]));
    must(pthread_mutex_lock(&r->lock) == 0);
    struct metric_entry *entry = metric_entry_find(r, desc);
    must(entry != NULL && (labels.at == NULL || labels.count == entry->labels));
    for (struct metric_series *s = entry->series; s != NULL; s = s->next)
        if (metric_series_fits(s, wanted, labels.count))
            metric_series_merge(s, out);
    must(pthread_mutex_unlock(&r->lock) == 0);
}
