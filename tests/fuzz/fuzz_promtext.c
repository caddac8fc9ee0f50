/* fuzz_promtext.c: any Accept, and any bytes as a label value.
 *
 * Whatever the label is, the text has its lines and no others, and they are UTF-8.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/promtext.h"

#define FUZZ_PROMTEXT_BYTES_MAX 65536

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static const char *const fuzz_promtext_labels[] = {"route", NULL};
static const struct metric_desc fuzz_promtext_table[] = {
    {.name = "fuzz_requests_total",
     .type = METRIC_COUNTER,
     .help = "Requests.",
     .labels = fuzz_promtext_labels},
    {0},
};

static void fuzz_promtext_check(struct span text, size_t lines)
{
    while (text.len > 0) {
        size_t length = span_utf8_length(text);
        must(length > 0);
        lines -= text.at[0] == '\n';
        text = span_skip(text, length);
    }
    must(lines == 0);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct span input = span_of((const char *)data, size);
    enum promtext_format format = promtext_negotiate(input);
    struct metric_registry *registry = metric_registry_new();
    metric_register(registry, fuzz_promtext_table);
    struct metric_shard *shard = metric_shard_new(registry);
    metric_add(metric_counter(shard, &fuzz_promtext_table[0], METRIC_LABELS(input)), 1);
    struct arena arena;
    struct buf out;
    struct metric_snapshot snapshot;
    arena_init(&arena, NULL, FUZZ_PROMTEXT_BYTES_MAX);
    buf_init(&out, FUZZ_PROMTEXT_BYTES_MAX);
    must(err_ok(metric_snapshot_take(registry, &arena, &snapshot)));
    must(err_ok(promtext_render(&snapshot, format, &out)));
    fuzz_promtext_check(buf_span(&out), format == PROMTEXT_OPENMETRICS ? 4 : 3);
    buf_done(&out);
    arena_done(&arena);
    metric_shard_end(shard);
    metric_registry_free(registry);
    return 0;
}
