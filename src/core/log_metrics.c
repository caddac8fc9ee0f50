/* log_metrics.c: log_stats as series.
 *
 * Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/log_metrics.h"

#include "core/log.h"

static const char *const log_metrics_stream[] = {"stream", NULL};
static const char *const log_metrics_reason[] = {"stream", "reason", NULL};

enum { LOG_METRIC_RECORDS, LOG_METRIC_BYTES, LOG_METRIC_DROPPED, LOG_METRIC_FAILING };

const struct metric_desc log_metrics_table[] = {
    [LOG_METRIC_RECORDS] = {.name = "plimsoll_log_records_total",
                            .type = METRIC_COUNTER,
                            .help = "Log records written.",
                            .labels = log_metrics_stream},
    [LOG_METRIC_BYTES] = {.name = "plimsoll_log_written_bytes_total",
                          .type = METRIC_COUNTER,
                          .unit = "bytes",
                          .help = "Bytes of log written.",
                          .labels = log_metrics_stream},
    [LOG_METRIC_DROPPED] = {.name = "plimsoll_log_dropped_records_total",
                            .type = METRIC_COUNTER,
                            .help = "Log records lost: the writer was behind, or a write failed.",
                            .labels = log_metrics_reason},
    [LOG_METRIC_FAILING] = {.name = "plimsoll_log_failing",
                            .type = METRIC_GAUGE,
                            .help = "1 while the log cannot be written."},
    {0},
};

static struct span log_metrics_name(unsigned stream)
{
    return stream == LOG_ACCESS ? SPAN("access") : SPAN("plimsoll");
}

static void log_metrics_records(void *ctx, struct metric_emitter *out)
{
    struct log_stats stats;
    (void)ctx;
    log_stats(&stats);
    for (unsigned i = 0; i < LOG_STREAM_COUNT; i++)
        metric_emit(out, METRIC_LABELS(log_metrics_name(i)), (double)stats.stream[i].records);
}

static void log_metrics_bytes(void *ctx, struct metric_emitter *out)
{
    struct log_stats stats;
    (void)ctx;
    log_stats(&stats);
    for (unsigned i = 0; i < LOG_STREAM_COUNT; i++)
        metric_emit(out, METRIC_LABELS(log_metrics_name(i)), (double)stats.stream[i].bytes);
}

static void log_metrics_dropped(void *ctx, struct metric_emitter *out)
{
    struct log_stats stats;
    (void)ctx;
    log_stats(&stats);
    for (unsigned i = 0; i < LOG_STREAM_COUNT; i++) {
        metric_emit(out, METRIC_LABELS(log_metrics_name(i), SPAN("behind")),
                    (double)stats.stream[i].dropped_behind);
        metric_emit(out, METRIC_LABELS(log_metrics_name(i), SPAN("write")),
                    (double)stats.stream[i].dropped_write);
    }
}

static void log_metrics_failing(void *ctx, struct metric_emitter *out)
{
    struct log_stats stats;
    (void)ctx;
    log_stats(&stats);
    metric_emit(out, METRIC_NO_LABELS, stats.is_failing ? 1 : 0);
}

void log_metrics_collect(struct metric_registry *registry)
{
    metric_register(registry, log_metrics_table);
    metric_collect(registry, &log_metrics_table[LOG_METRIC_RECORDS], log_metrics_records, NULL);
    metric_collect(registry, &log_metrics_table[LOG_METRIC_BYTES], log_metrics_bytes, NULL);
    metric_collect(registry, &log_metrics_table[LOG_METRIC_DROPPED], log_metrics_dropped, NULL);
    metric_collect(registry, &log_metrics_table[LOG_METRIC_FAILING], log_metrics_failing, NULL);
}
