/* process.c: memory, descriptors and processor time of this process.
 *
 * Names and units: Prometheus, "Writing client libraries", process metrics. A value that the
 * kernel does not tell is left out. The thread that scrapes; reads small files of the kernel.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "observe/process.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/span.h"
#include "observe/machine.h"

enum {
    PROCESS_START,
    PROCESS_CPU,
    PROCESS_RESIDENT,
    PROCESS_VIRTUAL,
    PROCESS_OPEN_FDS,
    PROCESS_MAX_FDS,
    PROCESS_METRIC_COUNT
};

const struct metric_desc process_metrics[PROCESS_METRIC_COUNT + 1] = {
    [PROCESS_START] = {.name = "process_start_time_seconds",
                       .type = METRIC_GAUGE,
                       .unit = "seconds",
                       .help = "When the process started, since 1970."},
    [PROCESS_CPU] = {.name = "process_cpu_seconds_total",
                     .type = METRIC_COUNTER,
                     .unit = "seconds",
                     .help = "Processor time used, user and system."},
    [PROCESS_RESIDENT] = {.name = "process_resident_memory_bytes",
                          .type = METRIC_GAUGE,
                          .unit = "bytes",
                          .help = "Memory of the process that is in RAM."},
    [PROCESS_VIRTUAL] = {.name = "process_virtual_memory_bytes",
                         .type = METRIC_GAUGE,
                         .unit = "bytes",
                         .help = "Address space of the process."},
    [PROCESS_OPEN_FDS] = {.name = "process_open_fds",
                          .type = METRIC_GAUGE,
                          .help = "File descriptors in use."},
    [PROCESS_MAX_FDS] = {.name = "process_max_fds",
                         .type = METRIC_GAUGE,
                         .help = "The most file descriptors that it may use."},
};

const struct metric_desc *const process_metric_tables[] = {process_metrics, NULL};

static void process_start(void *ctx, struct metric_emitter *out)
{
    const struct node *n = ctx;
    metric_emit(out, METRIC_NO_LABELS, (double)n->started_wall_ns / 1e9);
}

static double process_seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void process_cpu(void *ctx, struct metric_emitter *out)
{
    struct rusage used;
    (void)ctx;
    if (getrusage(RUSAGE_SELF, &used) == 0)
        metric_emit(out, METRIC_NO_LABELS,
                    process_seconds(used.ru_utime) + process_seconds(used.ru_stime));
}

/* proc(5): "size resident ..." in pages. */
static bool process_pages(unsigned field, double *out_bytes)
{
    char room[MACHINE_FILE_BYTES];
    uint64_t pages = 0;
    if (!machine_read("/proc/self/statm", room))
        return false;
    struct span rest = span_from(room);
    for (unsigned i = 0; i < field; i++)
        (void)span_cut(&rest, ' ');
    if (!err_ok(span_parse_u64(span_cut(&rest, ' '), UINT64_MAX, &pages)))
        return false;
    *out_bytes = (double)pages * (double)sysconf(_SC_PAGESIZE);
    return true;
}

static void process_virtual(void *ctx, struct metric_emitter *out)
{
    double bytes;
    (void)ctx;
    if (process_pages(0, &bytes))
        metric_emit(out, METRIC_NO_LABELS, bytes);
}

static void process_resident(void *ctx, struct metric_emitter *out)
{
    double bytes;
    (void)ctx;
    if (process_pages(1, &bytes))
        metric_emit(out, METRIC_NO_LABELS, bytes);
}

bool process_descriptors(unsigned *out)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return false;
    /* Safe: no other thread has this DIR (readdir(3), "Attributes"). */
    while (readdir(folder) != NULL) /* NOLINT(concurrency-mt-unsafe) */
        count++;
    (void)closedir(folder);
    /* Without the folder's own two entries and the descriptor that reads it. */
    *out = count >= 3 ? count - 3 : 0;
    return true;
}

static void process_open_fds(void *ctx, struct metric_emitter *out)
{
    unsigned count;
    (void)ctx;
    if (process_descriptors(&count))
        metric_emit(out, METRIC_NO_LABELS, count);
}

static void process_max_fds(void *ctx, struct metric_emitter *out)
{
    struct rlimit limit;
    (void)ctx;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metric_emit(out, METRIC_NO_LABELS, (double)limit.rlim_cur);
}

void process_metrics_collect(struct node *n)
{
    static metric_collect_fn *const collectors[PROCESS_METRIC_COUNT] = {
        [PROCESS_START] = process_start,       [PROCESS_CPU] = process_cpu,
        [PROCESS_RESIDENT] = process_resident, [PROCESS_VIRTUAL] = process_virtual,
        [PROCESS_OPEN_FDS] = process_open_fds, [PROCESS_MAX_FDS] = process_max_fds,
    };
    for (unsigned i = 0; i < PROCESS_METRIC_COUNT; i++)
        metric_collect(n->metrics, &process_metrics[i], collectors[i], n);
}
