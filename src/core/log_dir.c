/* log_dir.c: scans of the folder, sorting, deletion.
 *
 * Dates are compared as text: in the form 2026-11-21 the older is the lesser.
 *
 * Owns nothing between calls; the log's writer thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/log_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fault_point.h"
#include "core/mem.h"

#define LOG_DIR_FILES_MAX 65536 /* of one scan; what is more waits for the next */
#define LOG_DIR_SUFFIX    SPAN(".jsonl")

struct log_dir_entry {
    struct log_dir_name name;
    uint64_t size_bytes;
    bool is_newest;
    bool is_gone;
};

struct log_dir_list {
    struct log_dir_entry *at; /* owned */
    size_t count;
    size_t cap;
};

/* Names --------------------------------------------------------------------------------------- */

static bool log_dir_is_date(struct span s)
{
    static const char shape[] = "dddd-dd-dd";
    if (s.len != sizeof shape - 1)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (shape[i] == '-' ? s.at[i] != '-' : s.at[i] < '0' || s.at[i] > '9')
            return false;
    return true;
}

err log_dir_parse(struct span file_name, struct log_dir_name *out)
{
    struct log_dir_name name = {0};
    struct span rest = file_name;
    if (!span_ends(rest, LOG_DIR_SUFFIX))
        return FAIL(INVALID);
    rest.len -= LOG_DIR_SUFFIX.len;
    size_t stream = 0;
    while (stream < rest.len && rest.at[stream] >= 'a' && rest.at[stream] <= 'z')
        stream++;
    size_t date = sizeof name.date - 1;
    if (stream == 0 || stream >= sizeof name.stream || rest.len < stream + 1 + date ||
        rest.at[stream] != '-' || !log_dir_is_date(span_of(rest.at + stream + 1, date)))
        return FAIL(INVALID);
    memcpy(name.stream, rest.at, stream);
    memcpy(name.date, rest.at + stream + 1, date);
    rest = span_skip(rest, stream + 1 + date);
    if (rest.len > 0) {
        uint64_t part;
        if (rest.len < 2 || rest.at[0] != '-' || rest.at[1] == '0')
            return FAIL(INVALID);
        TRY(span_parse_u64(span_skip(rest, 1), 999999, &part));
        name.part = (unsigned)part;
    }
    *out = name;
    return OK;
}

err log_dir_path(const char *directory, const struct log_dir_name *name,
                 char out[LOG_DIR_PATH_BYTES])
{
    char part[16] = "";
    if (name->part > 0)
        (void)snprintf(part, sizeof part, "-%u", name->part);
    int length = snprintf(out, LOG_DIR_PATH_BYTES, "%s/%s-%s%s.jsonl", directory, name->stream,
                          name->date, part);
    must(length > 0);
    return (size_t)length < LOG_DIR_PATH_BYTES ? OK : FAIL(TOO_LARGE);
}

void log_dir_date(uint64_t wall_ns, char out[LOG_DIR_DATE_BYTES])
{
    char time[CLOCK_RFC3339_BYTES];
    clock_format_rfc3339(wall_ns, time);
    memcpy(out, time, LOG_DIR_DATE_BYTES - 1);
    out[LOG_DIR_DATE_BYTES - 1] = '\0';
}

err log_dir_make(const char *directory, struct fault *why)
{
    if (fault_point("log.mkdir"))
        return fault_set(why, ERR_IO, "make %s: made to fail", directory);
    if (mkdir(directory, 0750) != 0 && errno != EEXIST)
        return fault_errno(why, ERR_IO, "make %s", directory);
    return OK;
}

/* Scans --------------------------------------------------------------------------------------- */

static void log_dir_list_done(struct log_dir_list *list)
{
    mem_free(list->at);
    *list = (struct log_dir_list){0};
}

static err log_dir_list_add(struct log_dir_list *list, const struct log_dir_entry *entry)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 64 : size_mul(list->cap, 2);
        void *block = list->at;
        TRY(mem_try_resize(&block, size_mul(cap, sizeof *list->at)));
        list->at = block;
        list->cap = cap;
    }
    list->at[list->count++] = *entry;
    return OK;
}

static void log_dir_close(DIR **dir)
{
    if (*dir != NULL)
        (void)closedir(*dir); /* it was only read */
}

static err log_dir_scan(const char *directory, struct log_dir_list *out, struct fault *why)
{
    DIR *dir CLEANUP(log_dir_close) = fault_point("log.scan") ? NULL : opendir(directory);
    if (dir == NULL)
        return fault_errno(why, ERR_IO, "read folder %s", directory);
    while (out->count < LOG_DIR_FILES_MAX) {
        errno = 0;
        /* Safe: no other thread has this DIR (readdir(3), "Attributes"). */
        struct dirent *found = readdir(dir); /* NOLINT(concurrency-mt-unsafe) */
        if (found == NULL && errno != 0)
            return fault_errno(why, ERR_IO, "read folder %s", directory);
        if (found == NULL)
            break;
        struct log_dir_entry entry = {0};
        struct stat status;
        if (!err_ok(log_dir_parse(span_from(found->d_name), &entry.name)) ||
            fstatat(dirfd(dir), found->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(status.st_mode))
            continue;
        entry.size_bytes = (uint64_t)status.st_size;
        TRY(log_dir_list_add(out, &entry));
    }
    return OK;
}

err log_dir_last_part(const char *directory, const char *stream, const char *date, unsigned *out,
                      struct fault *why)
{
    struct log_dir_list list CLEANUP(log_dir_list_done) = {0};
    TRY(log_dir_scan(directory, &list, why));
    unsigned last = 0;
    for (size_t i = 0; i < list.count; i++) {
        const struct log_dir_name *name = &list.at[i].name;
        if (strcmp(name->stream, stream) == 0 && strcmp(name->date, date) == 0 && name->part > last)
            last = name->part;
    }
    *out = last;
    return OK;
}

/* Retention ----------------------------------------------------------------------------------- */

/* Oldest first; the streams of a day by part. */
static int log_dir_compare(const void *a, const void *b)
{
    const struct log_dir_entry *left = a, *right = b;
    int order = strcmp(left->name.date, right->name.date);
    if (order != 0)
        return order;
    if (left->name.part != right->name.part)
        return left->name.part < right->name.part ? -1 : 1;
    return strcmp(left->name.stream, right->name.stream);
}

/* From the newest back: the first of each stream that comes by. */
static void log_dir_mark_newest(struct log_dir_list *list)
{
    for (size_t i = list->count; i > 0; i--) {
        struct log_dir_entry *entry = &list->at[i - 1];
        entry->is_newest = true;
        for (size_t later = i; later < list->count && entry->is_newest; later++)
            entry->is_newest = strcmp(entry->name.stream, list->at[later].name.stream) != 0;
    }
}

static err log_dir_delete(const char *directory, struct log_dir_entry *entry, struct fault *why)
{
    char path[LOG_DIR_PATH_BYTES];
    TRY(log_dir_path(directory, &entry->name, path));
    if (fault_point("log.unlink"))
        return fault_set(why, ERR_IO, "delete %s: made to fail", path);
    if (unlink(path) != 0 && errno != ENOENT)
        return fault_errno(why, ERR_IO, "delete %s", path);
    entry->is_gone = true;
    return OK;
}

err log_dir_prune(const char *directory, const struct log_dir_limits *limits, struct fault *why)
{
    struct log_dir_list list CLEANUP(log_dir_list_done) = {0};
    TRY(log_dir_scan(directory, &list, why));
    if (list.count == 0)
        return OK;
    qsort(list.at, list.count, sizeof *list.at, log_dir_compare);
    log_dir_mark_newest(&list);
    uint64_t kept_ns = limits->retention_days * LOG_DIR_DAY_NS;
    char oldest[LOG_DIR_DATE_BYTES];
    log_dir_date(limits->wall_ns > kept_ns ? limits->wall_ns - kept_ns : 0, oldest);
    uint64_t closed_bytes = 0;
    for (size_t i = 0; i < list.count; i++)
        closed_bytes += list.at[i].is_newest ? 0 : list.at[i].size_bytes;
    err outcome = OK;
    for (size_t i = 0; i < list.count; i++) {
        struct log_dir_entry *entry = &list.at[i];
        bool is_old = strcmp(entry->name.date, oldest) < 0;
        if (entry->is_newest || (!is_old && closed_bytes <= limits->closed_max_bytes))
            continue;
        err deleted = log_dir_delete(directory, entry, why);
        if (err_ok(deleted))
            closed_bytes -= entry->size_bytes;
        else
            outcome = deleted;
    }
    return outcome;
}
