/* test_process.c: the process tells what the kernel says of it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "core/metric_snapshot.h"
#include "observe/process.h"

static double value_of(struct node *n, const char *name)
{
    struct arena arena CLEANUP(arena_done);
    struct metric_snapshot s;
    arena_init(&arena, NULL, 1 << 20);
    assert_true(err_ok(metric_snapshot_take(n->metrics, &arena, &s)));
    for (size_t i = 0; i < s.count; i++) {
        const struct metric_family *family = &s.families[i];
        if (strcmp(family->desc->name, name) != 0)
            continue;
        assert_int_equal(family->count, 1);
        assert_true(family->samples[0].is_real);
        return family->samples[0].real;
    }
    fail_msg("no metric %s", name);
    return 0;
}

static void test_process_metrics_have_values_and_follow_the_process(void **state)
{
    (void)state;
    struct node n = {.metrics = metric_registry_new(),
                     .started_wall_ns = 1500000000u * 1000000000ull};
    metric_register(n.metrics, process_metrics);
    process_metrics_collect(&n);
    assert_true(value_of(&n, "process_start_time_seconds") == 1500000000.0);
    assert_true(value_of(&n, "process_max_fds") >= 16);
    double resident = value_of(&n, "process_resident_memory_bytes");
    assert_true(resident > 1e6);
    assert_true(value_of(&n, "process_virtual_memory_bytes") >= resident);

    double before = value_of(&n, "process_open_fds");
    int fd = open("/dev/null", O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal((int)value_of(&n, "process_open_fds"), (int)before + 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal((int)value_of(&n, "process_open_fds"), (int)before);

    double used = value_of(&n, "process_cpu_seconds_total");
    while (value_of(&n, "process_cpu_seconds_total") <= used)
        continue;
    metric_registry_free(n.metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process_metrics_have_values_and_follow_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
