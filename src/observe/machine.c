/* machine.c: what /proc, cgroup v2 and the file system say.
 *
 * The one hard thing: in a container the machine's memory is not ours; the cgroup's limit counts
 * where there is one. Control thread; reads a few small files of the kernel, which do not block.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "observe/machine.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/part.h"
#include "observe/process.h"

bool machine_read(const char *path, char room[MACHINE_FILE_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, room, MACHINE_FILE_BYTES - 1);
    (void)close(fd);
    if (got <= 0)
        return false;
    room[got] = '\0';
    return true;
}

/* The number behind `key` in lines of "key: 123 kB" or "key 123". */
static bool machine_number(const char *text, const char *key, uint64_t *out)
{
    struct span rest = span_from(text);
    struct span wanted = span_from(key);
    while (rest.at != NULL) {
        struct span line = span_cut(&rest, '\n');
        if (!span_starts(line, wanted))
            continue;
        struct span value = span_trim(span_skip(line, wanted.len));
        return err_ok(span_parse_u64(span_cut(&value, ' '), UINT64_MAX, out));
    }
    return false;
}

static bool machine_whole(const char *path, uint64_t *out)
{
    char room[MACHINE_FILE_BYTES];
    if (!machine_read(path, room))
        return false;
    struct span rest = span_from(room);
    return err_ok(span_parse_u64(span_cut(&rest, '\n'), UINT64_MAX, out));
}

static void machine_share(struct check_sink *sink, double percent, double warn, double fail,
                          const char *output)
{
    struct check_result r = {.has_value = true, .value = percent, .unit = "percent"};
    r.status = percent >= fail ? CHECK_FAIL : percent >= warn ? CHECK_WARN : CHECK_PASS;
    r.output = output;
    sink->add(sink, &r);
}

static void machine_memory(const struct node *n, struct check_sink *sink)
{
    char room[MACHINE_FILE_BYTES];
    uint64_t limit = 0, used = 0, inactive = 0, total = 0, available = 0;
    (void)n;
    if (machine_whole("/sys/fs/cgroup/memory.max", &limit) && limit > 0 &&
        machine_whole("/sys/fs/cgroup/memory.current", &used)) {
        if (machine_read("/sys/fs/cgroup/memory.stat", room))
            (void)machine_number(room, "inactive_file", &inactive);
        used -= inactive < used ? inactive : used;
        machine_share(sink, 100.0 * (double)used / (double)limit, 85, 95,
                      "the cgroup's memory is nearly used up");
        return;
    }
    if (!machine_read("/proc/meminfo", room) || !machine_number(room, "MemTotal:", &total) ||
        !machine_number(room, "MemAvailable:", &available) || total == 0)
        return;
    machine_share(sink, 100.0 * (double)(total - available) / (double)total, 85, 95,
                  "the machine's memory is nearly used up");
}

static void machine_load(const struct node *n, struct check_sink *sink)
{
    double average[1];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    (void)n;
    if (getloadavg(average, 1) != 1 || processors < 1)
        return;
    struct check_result r = {.has_value = true,
                             .value = average[0] / (double)processors,
                             .unit = "tasks per processor",
                             .output = "more tasks want to run than there are processors"};
    r.status = r.value >= 4 ? CHECK_WARN : CHECK_PASS;
    sink->add(sink, &r);
}

static void machine_descriptors(const struct node *n, struct check_sink *sink)
{
    struct rlimit limit;
    unsigned used;
    (void)n;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == 0 || !process_descriptors(&used))
        return;
    machine_share(sink, 100.0 * used / (double)limit.rlim_cur, 80, 95,
                  "file descriptors are nearly used up");
}

static void machine_disk(const struct node *n, struct check_sink *sink)
{
    struct statvfs seen;
    (void)n;
    if (statvfs(".", &seen) != 0 || seen.f_blocks == 0)
        return;
    machine_share(sink, 100.0 * (1.0 - (double)seen.f_bavail / (double)seen.f_blocks), 85, 95,
                  "the disk of the working folder is nearly full");
}

static void machine_log(const struct node *n, struct check_sink *sink)
{
    struct log_stats stats;
    (void)n;
    log_stats(&stats);
    struct check_result r = {.status = stats.is_failing ? CHECK_WARN : CHECK_PASS,
                             .output = "the last write of the log failed; records are dropped"};
    sink->add(sink, &r);
}

static void machine_uptime(const struct node *n, struct check_sink *sink)
{
    struct check_result r = {.has_value = true, .unit = "s"};
    r.value = (double)(clock_mono_ns(n->clock) - n->started_mono_ns) / 1e9;
    sink->add(sink, &r);
}

const struct check machine_checks[] = {
    {"uptime", "system", CHECK_LIVE, "Seconds since the start.", machine_uptime},
    {"log:writes", "component", CHECK_SYSTEM, "Whether the log can be written.", machine_log},
    {"memory:utilization", "system", CHECK_SYSTEM, "Memory of the cgroup or machine.",
     machine_memory},
    {"cpu:load", "system", CHECK_SYSTEM, "Load average of a minute.", machine_load},
    {"descriptors:utilization", "system", CHECK_SYSTEM, "File descriptors of this process.",
     machine_descriptors},
    {"disk:utilization", "system", CHECK_SYSTEM, "Disk of the working folder.", machine_disk},
    {0}};
