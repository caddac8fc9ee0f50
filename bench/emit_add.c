/* emit_add.c: one more on a counter that was found before.
 *
 * `bench_emit_add N` does it N times. One thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/metric.h"

static const struct metric_desc emit_add_table[] = {
    {.name = "bench_requests_total", .type = METRIC_COUNTER, .help = "Requests."},
    {0},
};

int main(int argc, char **argv)
{
    uint64_t count;
    if (argc != 2 || !err_ok(span_parse_u64(span_from(argv[1]), UINT64_MAX, &count)))
        return 2;
    struct metric_registry *registry = metric_registry_new();
    metric_register(registry, emit_add_table);
    struct metric_shard *shard = metric_shard_new(registry);
    struct metric_cell *found = metric_counter(shard, &emit_add_table[0], METRIC_NO_LABELS);
    for (uint64_t i = 0; i < count; i++) {
        /* As for a caller that knows nothing of the one before. */
        __asm__ volatile("" : "+r"(found)::"memory");
        metric_add(found, 1);
    }
    metric_shard_end(shard);
    metric_registry_free(registry);
    return 0;
}
