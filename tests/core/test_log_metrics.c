/* test_log_metrics.c: the log's own numbers can be scraped.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/log.h"
#include "core/log_metrics.h"
#include "core/metric_snapshot.h"

static void test_log_metrics_tell_of_dropped_records(void **state)
{
    (void)state;
    struct metric_registry *r = metric_registry_new();
    log_metrics_collect(r);
    struct log_batch batch = {0};
    for (unsigned i = 0; i < 3; i++)
        assert_null(log_batch_reserve(&batch, 100)); /* no writer was started */
    struct arena arena CLEANUP(arena_done);
    arena_init(&arena, NULL, 1 << 20);
    struct metric_snapshot s;
    assert_true(err_ok(metric_snapshot_take(r, &arena, &s)));
    unsigned found = 0;
    for (size_t i = 0; i < s.count; i++) {
        const struct metric_family *family = &s.families[i];
        if (strcmp(family->desc->name, "plimsoll_log_dropped_records_total") == 0) {
            assert_int_equal(family->count, 4);
            assert_true(span_eq(family->samples[0].labels[0], SPAN("access")));
            assert_true(span_eq(family->samples[0].labels[1], SPAN("behind")));
            assert_int_equal((int)family->samples[0].real, 3);
            found++;
        }
        if (strcmp(family->desc->name, "plimsoll_log_failing") == 0) {
            assert_int_equal(family->count, 1);
            assert_int_equal((int)family->samples[0].real, 0);
            found++;
        }
    }
    assert_int_equal(found, 2);
    metric_registry_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_metrics_tell_of_dropped_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
