/* test_metric.c: series are found, bounded and added up; counters never go back.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <pthread.h>
#include <stdio.h>

#include "core/mem.h"
#include "core/metric_snapshot.h"

static const char *const route_labels[] = {"route", NULL};
static const char *const pair_labels[] = {"route", "status", NULL};
static const uint64_t byte_bounds[] = {100, 1000, 0};

enum { REQUESTS, ACTIVE, DURATION, SIZE, BOUNDED };

static const struct metric_desc table[] = {
    [REQUESTS] = {.name = "test_requests_total",
                  .type = METRIC_COUNTER,
                  .help = "Requests.",
                  .labels = pair_labels},
    [ACTIVE] = {.name = "test_active", .type = METRIC_GAUGE, .help = "Active."},
    [DURATION] = {.name = "test_duration_seconds",
                  .type = METRIC_HISTOGRAM,
                  .unit = "seconds",
                  .help = "Duration.",
                  .labels = route_labels,
                  .has_quantiles = true},
    [SIZE] = {.name = "test_size_bytes",
              .type = METRIC_HISTOGRAM,
              .unit = "bytes",
              .help = "Size.",
              .bounds = byte_bounds},
    [BOUNDED] = {.name = "test_bounded_total",
                 .type = METRIC_COUNTER,
                 .help = "Few series.",
                 .labels = pair_labels,
                 .series_max = 3},
    {0},
};

static struct metric_registry *registry;
static struct arena arena;
static struct metric_snapshot snapshot;

static int set_up(void **state)
{
    (void)state;
    registry = metric_registry_new();
    metric_register(registry, table);
    metric_register(registry, table);
    arena_init(&arena, NULL, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    metric_registry_free(registry);
    arena_done(&arena);
    return 0;
}

static void take(void)
{
    arena_reset(&arena);
    assert_true(err_ok(metric_snapshot_take(registry, &arena, &snapshot)));
}

static const struct metric_family *family_of(const struct metric_desc *desc)
{
    for (size_t i = 0; i < snapshot.count; i++)
        if (snapshot.families[i].desc == desc)
            return &snapshot.families[i];
    fail_msg("no family %s", desc->name);
    return NULL;
}

static const struct metric_family *family_named(const char *name)
{
    for (size_t i = 0; i < snapshot.count; i++)
        if (strcmp(snapshot.families[i].desc->name, name) == 0)
            return &snapshot.families[i];
    fail_msg("no family %s", name);
    return NULL;
}

static uint64_t stored(unsigned desc)
{
    take();
    const struct metric_family *family = family_of(&table[desc]);
    uint64_t sum = 0;
    for (size_t i = 0; i < family->count; i++)
        sum += family->samples[i].stored;
    return sum;
}

static const struct metric_distribution *distribution(unsigned desc)
{
    take();
    const struct metric_family *family = family_of(&table[desc]);
    assert_int_equal(family->count, 1);
    return family->samples[0].distribution;
}

static void test_metric_same_labels_are_the_same_cell(void **state)
{
    (void)state;
    struct metric_shard *shard = metric_shard_new(registry);
    struct metric_cell *a =
        metric_counter(shard, &table[REQUESTS], METRIC_LABELS(SPAN("shop"), SPAN("200")));
    struct metric_cell *b =
        metric_counter(shard, &table[REQUESTS], METRIC_LABELS(SPAN("shop"), SPAN("200")));
    /* Lengths are part of the key: values cannot run into one another. */
    struct metric_cell *c =
        metric_counter(shard, &table[REQUESTS], METRIC_LABELS(SPAN("shop2"), SPAN("00")));
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    metric_add(a, 3);
    metric_add(c, 4);
    assert_int_equal(stored(REQUESTS), 7);
    assert_int_equal(family_of(&table[REQUESTS])->count, 2);
    assert_true(span_eq(family_of(&table[REQUESTS])->samples[1].labels[0], SPAN("shop2")));
    metric_shard_end(shard);
}

static void test_metric_totals_outlive_their_thread(void **state)
{
    (void)state;
    for (unsigned round = 1; round <= 3; round++) {
        struct metric_shard *shard = metric_shard_new(registry);
        metric_add(metric_counter(shard, &table[REQUESTS], METRIC_LABELS(SPAN("r"), SPAN("200"))),
                   5);
        metric_set(metric_gauge(shard, &table[ACTIVE], METRIC_NO_LABELS), 9);
        metric_observe(metric_histogram(shard, &table[DURATION], METRIC_LABELS(SPAN("r"))),
                       7000000);
        assert_int_equal(stored(REQUESTS), 5 * round);
        assert_int_equal(stored(ACTIVE), 9);
        metric_shard_end(shard);
        assert_int_equal(stored(REQUESTS), 5 * round);
        assert_int_equal(stored(ACTIVE), 0);
        const struct metric_distribution *d = distribution(DURATION);
        assert_int_equal(d->total, round);
        assert_int_equal(d->count[1], round);
        assert_int_equal(d->sum, 7000000 * (uint64_t)round);
        struct histogram *h = MEM_NEW(struct histogram);
        metric_quantiles(registry, &table[DURATION], METRIC_NO_LABELS, h);
        assert_int_equal(histogram_count(h), round);
        mem_free(h);
    }
}

static void test_metric_gauges_are_signed_and_add_up_over_threads(void **state)
{
    (void)state;
    struct metric_shard *one = metric_shard_new(registry);
    struct metric_shard *two = metric_shard_new(registry);
    metric_set(metric_gauge(one, &table[ACTIVE], METRIC_NO_LABELS), 5);
    metric_change(metric_gauge(two, &table[ACTIVE], METRIC_NO_LABELS), -7);
    assert_int_equal((int64_t)stored(ACTIVE), -2);
    metric_shard_end(one);
    metric_shard_end(two);
}

static void test_metric_values_on_a_bound_belong_to_its_bucket(void **state)
{
    (void)state;
    struct metric_shard *shard = metric_shard_new(registry);
    struct metric_histogram *h = metric_histogram(shard, &table[SIZE], METRIC_NO_LABELS);
    static const uint64_t values[] = {0, 99, 100, 101, 1000, 1001, UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(values); i++)
        metric_observe(h, values[i]);
    const struct metric_distribution *d = distribution(SIZE);
    assert_int_equal(d->bounds, 2);
    assert_int_equal(d->count[0], 3);
    assert_int_equal(d->count[1], 2);
    assert_int_equal(d->count[2], 2);
    assert_int_equal(d->total, 7);
    assert_null(h->detail);
    metric_shard_end(shard);
}

/* The search by halves against counting, for every number of bounds. */
static void test_metric_bucket_search_equals_counting(void **state)
{
    (void)state;
    for (unsigned count = 0; count <= METRIC_BOUNDS_MAX; count++) {
        uint64_t bounds[METRIC_BOUNDS_MAX + 1];
        for (unsigned i = 0; i <= METRIC_BOUNDS_MAX; i++)
            bounds[i] = i < count ? 10 * (i + 1) : UINT64_MAX;
        for (uint64_t value = 0; value < 200; value++) {
            unsigned below = 0;
            while (below < count && bounds[below] < value)
                below++;
            assert_int_equal(metric_bucket(bounds, value), below);
        }
        assert_int_equal(metric_bucket(bounds, UINT64_MAX), count);
    }
}

static void test_metric_series_past_the_maximum_are_counted_as_other(void **state)
{
    (void)state;
    struct metric_shard *shard = metric_shard_new(registry);
    for (unsigned i = 0; i < 10; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "r%u", i);
        metric_add(
            metric_counter(shard, &table[BOUNDED], METRIC_LABELS(span_from(name), SPAN("200"))), 1);
    }
    assert_int_equal(stored(BOUNDED), 10);
    take();
    const struct metric_family *family = family_of(&table[BOUNDED]);
    assert_int_equal(family->count, 4); /* three, and the other */
    assert_true(span_eq(family->samples[3].labels[0], SPAN("other")));
    assert_true(span_eq(family->samples[3].labels[1], SPAN("other")));
    assert_int_equal(family->samples[3].stored, 7);
    const struct metric_family *refused = family_named("plimsoll_metric_series_refused_total");
    assert_int_equal(refused->count, 1);
    assert_true(span_eq(refused->samples[0].labels[0], SPAN("test_bounded_total")));
    assert_true(refused->samples[0].real > 6.5 && refused->samples[0].real < 7.5);
    metric_shard_end(shard);
}

static void test_metric_label_values_are_cut_and_made_utf8(void **state)
{
    (void)state;
    struct metric_shard *shard = metric_shard_new(registry);
    char text[METRIC_VALUE_MAX + 10];
    memset(text, 'x', sizeof text);
    text[1] = (char)0xff;
    memcpy(text + METRIC_VALUE_MAX - 1, "\xc3\xa9", 2);
    (void)metric_counter(shard, &table[REQUESTS],
                         METRIC_LABELS(span_of(text, sizeof text), SPAN("")));
    take();
    struct span value = family_of(&table[REQUESTS])->samples[0].labels[0];
    assert_int_equal(value.len, METRIC_VALUE_MAX - 1);
    assert_true(span_starts(value, SPAN("x?x")));
    metric_shard_end(shard);
}

struct fleet {
    unsigned targets;
};

static void collect_fleet(void *ctx, struct metric_emitter *out)
{
    const struct fleet *fleet = ctx;
    for (unsigned i = 0; i < fleet->targets; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%u", i);
        metric_emit(out, METRIC_LABELS(span_from(name), SPAN("up")), i + 0.5);
    }
}

static void test_metric_collectors_tell_what_exists_now(void **state)
{
    (void)state;
    struct fleet fleet = {.targets = 2};
    metric_collect(registry, &table[BOUNDED], collect_fleet, &fleet);
    take();
    assert_int_equal(family_of(&table[BOUNDED])->count, 2);
    assert_true(span_eq(family_of(&table[BOUNDED])->samples[1].labels[0], SPAN("t1")));
    assert_true(family_of(&table[BOUNDED])->samples[1].is_real);
    fleet.targets = 1;
    take();
    assert_int_equal(family_of(&table[BOUNDED])->count, 1);
    fleet.targets = 50;
    take();
    assert_int_equal(family_of(&table[BOUNDED])->count, 3); /* its maximum */
    metric_collect_end(registry, &table[BOUNDED], &fleet);
    take();
    assert_int_equal(family_of(&table[BOUNDED])->count, 0);
}

static void test_metric_quantiles_of_one_series_or_of_all(void **state)
{
    (void)state;
    struct metric_shard *shard = metric_shard_new(registry);
    metric_observe(metric_histogram(shard, &table[DURATION], METRIC_LABELS(SPAN("a"))), 1000000);
    metric_observe(metric_histogram(shard, &table[DURATION], METRIC_LABELS(SPAN("b"))), 2000000);
    struct histogram *h = MEM_NEW(struct histogram);
    metric_quantiles(registry, &table[DURATION], METRIC_LABELS(SPAN("a")), h);
    assert_int_equal(histogram_count(h), 1);
    metric_quantiles(registry, &table[DURATION], METRIC_LABELS(SPAN("none")), h);
    assert_int_equal(histogram_count(h), 1);
    histogram_reset(h);
    metric_quantiles(registry, &table[DURATION], METRIC_NO_LABELS, h);
    assert_int_equal(histogram_count(h), 2);
    mem_free(h);
    metric_shard_end(shard);
}

static const char *const try_labels[] = {"upstream", "status", NULL};
static const struct metric_desc tries[] = {
    {.name = "test_try_seconds",
     .type = METRIC_HISTOGRAM,
     .unit = "seconds",
     .help = "Tries.",
     .labels = try_labels,
     .has_quantiles = true},
    {.name = "test_retries_total",
     .type = METRIC_COUNTER,
     .help = "Retries.",
     .labels = try_labels},
    {0},
};

static void test_metric_quantiles_take_any_value_of_a_label(void **state)
{
    (void)state;
    const struct span any = {0};
    metric_register(registry, tries);
    struct metric_shard *shard = metric_shard_new(registry);
    struct histogram *h = MEM_NEW(struct histogram);
    metric_observe(metric_histogram(shard, tries, METRIC_LABELS(SPAN("a"), SPAN("200"))), 1000000);
    metric_observe(metric_histogram(shard, tries, METRIC_LABELS(SPAN("a"), SPAN("500"))), 1000000);
    metric_observe(metric_histogram(shard, tries, METRIC_LABELS(SPAN("b"), SPAN("500"))), 1000000);
    const struct {
        struct span upstream, status;
        unsigned count;
    } cases[] = {{SPAN("a"), any, 2},         {any, SPAN("500"), 2}, {any, any, 3},
                 {SPAN("b"), SPAN("200"), 0}, {SPAN("c"), any, 0},   {SPAN(""), any, 0}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        histogram_reset(h);
        metric_quantiles(registry, tries, METRIC_LABELS(cases[i].upstream, cases[i].status), h);
        assert_int_equal(histogram_count(h), cases[i].count);
    }
    mem_free(h);
    metric_shard_end(shard);
}

struct visited {
    unsigned count;
    uint64_t total;
    bool has_a_500;
};

static void visit_one(void *ctx, const struct span *labels, uint64_t total)
{
    struct visited *v = ctx;
    v->count++;
    v->total += total;
    if (span_eq(labels[0], SPAN("a")) && span_eq(labels[1], SPAN("500")))
        v->has_a_500 = true;
}

static void test_metric_visit_totals_over_shards_that_live_and_that_ended(void **state)
{
    (void)state;
    struct visited seen = {0};
    metric_register(registry, tries);
    struct metric_shard *shards[2] = {metric_shard_new(registry), metric_shard_new(registry)};
    for (unsigned i = 0; i < 2; i++) {
        struct metric_labels labels = METRIC_LABELS(SPAN("a"), SPAN("500"));
        metric_observe(metric_histogram(shards[i], &tries[0], labels), 1000000);
        metric_observe(metric_histogram(shards[i], &tries[0], labels), 90000000000);
        metric_add(metric_counter(shards[i], &tries[1], labels), 5);
    }
    metric_shard_end(shards[0]);
    metric_visit(registry, &tries[0], visit_one, &seen);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.total, 4);
    assert_true(seen.has_a_500);
    seen = (struct visited){0};
    metric_visit(registry, &tries[1], visit_one, &seen);
    assert_int_equal(seen.total, 10);
    metric_shard_end(shards[1]);
}

/* Threads ------------------------------------------------------------------------------------- */

#define THREADS   3
#define ADDITIONS 20000u

static atomic_uint running;

static struct metric_exemplar exemplar_of(uint64_t value)
{
    struct metric_exemplar example = {.value = value, .wall_ns = value};
    memset(example.trace_id, 'a' + (int)(value % 26), sizeof example.trace_id);
    return example;
}

static void *count_requests(void *ctx)
{
    (void)ctx;
    struct metric_shard *shard = metric_shard_new(registry);
    for (uint64_t i = 1; i <= ADDITIONS; i++) {
        char status[16];
        (void)snprintf(status, sizeof status, "%llu", (unsigned long long)(i % 40));
        metric_add(
            metric_counter(shard, &table[REQUESTS], METRIC_LABELS(SPAN("r"), span_from(status))),
            1);
        struct metric_histogram *h =
            metric_histogram(shard, &table[DURATION], METRIC_LABELS(SPAN("r")));
        metric_observe(h, i);
        struct metric_exemplar example = exemplar_of(i);
        metric_exemplify(h, &example);
    }
    metric_shard_end(shard);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static void assert_exemplar_is_whole(const struct metric_exemplar *example)
{
    if (example == NULL)
        return;
    struct metric_exemplar expected = exemplar_of(example->value);
    assert_int_equal(example->wall_ns, example->value);
    assert_memory_equal(example->trace_id, expected.trace_id, sizeof expected.trace_id);
}

static void test_metric_scrapes_see_whole_values_that_only_grow(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    atomic_store(&running, THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_requests, NULL), 0);
    uint64_t last = 0;
    while (atomic_load(&running) > 0) {
        uint64_t now = stored(REQUESTS);
        assert_true(now >= last);
        last = now;
        const struct metric_family *family = family_of(&table[DURATION]);
        for (size_t i = 0; i < family->count; i++)
            assert_exemplar_is_whole(family->samples[i].distribution->exemplar[0]);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(stored(REQUESTS), THREADS * ADDITIONS);
    assert_int_equal(distribution(DURATION)->total, THREADS * ADDITIONS);
}

#define RULE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_metric_same_labels_are_the_same_cell),
        RULE(test_metric_totals_outlive_their_thread),
        RULE(test_metric_gauges_are_signed_and_add_up_over_threads),
        RULE(test_metric_values_on_a_bound_belong_to_its_bucket),
        RULE(test_metric_bucket_search_equals_counting),
        RULE(test_metric_series_past_the_maximum_are_counted_as_other),
        RULE(test_metric_label_values_are_cut_and_made_utf8),
        RULE(test_metric_collectors_tell_what_exists_now),
        RULE(test_metric_quantiles_of_one_series_or_of_all),
        RULE(test_metric_quantiles_take_any_value_of_a_label),
        RULE(test_metric_visit_totals_over_shards_that_live_and_that_ended),
        RULE(test_metric_scrapes_see_whole_values_that_only_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
