/* test_metric_snapshot.c: a snapshot keeps the newest examples, and lives or fails with its arena.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/fault_point.h"
#include "core/metric_snapshot.h"

static const char *const labels[] = {"upstream", NULL};
static const struct metric_desc table[] = {
    {.name = "test_wait_seconds", .type = METRIC_HISTOGRAM, .unit = "seconds", .help = "Wait."},
    {.name = "test_tries_total", .type = METRIC_COUNTER, .help = "Tries.", .labels = labels},
    {0},
};

static void fill(struct metric_shard *shard, uint64_t value, uint64_t wall_ns, char letter)
{
    struct metric_histogram *h = metric_histogram(shard, &table[0], METRIC_NO_LABELS);
    struct metric_exemplar example = {.value = value, .wall_ns = wall_ns};
    memset(example.trace_id, letter, sizeof example.trace_id);
    metric_observe(h, value);
    metric_exemplify(h, &example);
    metric_add(metric_counter(shard, &table[1], METRIC_LABELS(SPAN("shop"))), 1);
}

static void test_metric_snapshot_keeps_the_newest_example_of_each_bucket(void **state)
{
    (void)state;
    struct metric_registry *r = metric_registry_new();
    metric_register(r, table);
    struct metric_shard *one = metric_shard_new(r), *two = metric_shard_new(r);
    fill(one, 1000, 10, 'a');
    fill(two, 2000, 20, 'b');
    fill(one, 60000000000, 5, 'c');
    struct arena arena CLEANUP(arena_done);
    arena_init(&arena, NULL, 1 << 20);
    struct metric_snapshot s;
    assert_true(err_ok(metric_snapshot_take(r, &arena, &s)));
    const struct metric_distribution *d = s.families[1].samples[0].distribution;
    assert_int_equal(d->bounds, 14);
    assert_int_equal(d->exemplar[0]->value, 2000);
    assert_int_equal(d->exemplar[0]->trace_id[31], 'b');
    assert_null(d->exemplar[1]);
    assert_int_equal(d->exemplar[14]->trace_id[0], 'c');
    assert_int_equal(s.families[2].samples[0].stored, 3);
    metric_shard_end(one);
    metric_shard_end(two);
    metric_registry_free(r);
}

static void emit_one(void *ctx, struct metric_emitter *out)
{
    (void)ctx;
    metric_emit(out, METRIC_LABELS(SPAN("pool")), 1);
}

/* Every allocation of the snapshot fails once; none may leave anything behind. */
static void test_metric_snapshot_reports_each_failing_allocation(void **state)
{
    (void)state;
    struct metric_registry *r = metric_registry_new();
    metric_register(r, table);
    metric_collect(r, &table[1], emit_one, NULL);
    struct metric_shard *shard = metric_shard_new(r);
    fill(shard, 1000, 10, 'a');
    size_t max_bytes = 16;
    for (;; max_bytes += 16) {
        struct arena arena CLEANUP(arena_done);
        arena_init(&arena, NULL, max_bytes);
        struct metric_snapshot s;
        err outcome = metric_snapshot_take(r, &arena, &s);
        if (err_ok(outcome))
            break;
        assert_true(err_is(outcome, ERR_TOO_LARGE));
        assert_true(max_bytes < 1 << 20);
    }
    assert_true(max_bytes > 500);
    metric_shard_end(shard);
    metric_registry_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metric_snapshot_keeps_the_newest_example_of_each_bucket),
        cmocka_unit_test(test_metric_snapshot_reports_each_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
