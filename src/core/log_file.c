/* log_file.c: which file, and what to do when a write fails half way.
 *
 * The log's writer thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fault_point.h"
#include "core/log_dir.h"

void log_file_init(struct log_file *f, const struct log_file_options *options)
{
    must(strlen(options->stream) < LOG_DIR_STREAM_BYTES && options->file_max_bytes > 0);
    *f = (struct log_file){.options = *options};
}

void log_file_close(struct log_file *f)
{
    if (f->is_open)
        (void)close(f->fd); /* nothing is buffered on our side */
    f->is_open = false;
}

/* Whether the file, which has content, ends in the middle of a line: a crash cut it. */
static bool log_file_ends_mid_line(int fd, uint64_t size_bytes)
{
    char last = '\n';
    return pread(fd, &last, 1, (off_t)size_bytes - 1) == 1 && last != '\n';
}

static err log_file_open_part(struct log_file *f, const struct log_dir_name *name,
                              struct fault *why)
{
    char path[LOG_DIR_PATH_BYTES];
    TRY(log_dir_path(f->options.directory, name, path));
    if (fault_point("log.open"))
        return fault_set(why, ERR_IO, "open %s: made to fail", path);
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
    if (fd < 0)
        return fault_errno(why, ERR_IO, "open %s", path);
    struct stat status;
    bool is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    if (!is_file) {
        (void)close(fd);
        return fault_set(why, ERR_IO, "open %s: not a regular file", path);
    }
    f->fd = fd;
    f->is_open = true;
    f->size_bytes = (uint64_t)status.st_size;
    f->is_mid_line = f->size_bytes > 0 && log_file_ends_mid_line(fd, f->size_bytes);
    return OK;
}

static bool log_file_has_room(const struct log_file *f, size_t next_bytes)
{
    return f->size_bytes == 0 || (f->size_bytes <= f->options.file_max_bytes &&
                                  next_bytes <= f->options.file_max_bytes - f->size_bytes);
}

err log_file_open(struct log_file *f, uint64_t wall_ns, size_t next_bytes, struct fault *why)
{
    if (f->is_open)
        return OK;
    const struct log_file_options *o = &f->options;
    struct log_dir_name name = {0};
    memcpy(name.stream, o->stream, strlen(o->stream));
    log_dir_date(wall_ns, name.date);
    TRY(log_dir_last_part(o->directory, name.stream, name.date, &name.part, why));
    TRY(log_file_open_part(f, &name, why));
    if (!log_file_has_room(f, next_bytes)) {
        log_file_close(f);
        name.part++;
        TRY(log_file_open_part(f, &name, why));
    }
    f->day = wall_ns / LOG_DIR_DAY_NS;
    struct log_dir_limits limits = {.wall_ns = wall_ns,
                                    .retention_days = o->retention_days,
                                    .closed_max_bytes = o->closed_max_bytes};
    f->prune_why.code = ERR_NONE;
    err pruned = log_dir_prune(o->directory, &limits, &f->prune_why);
    if (!err_ok(pruned))
        f->prune_why.code = pruned.code;
    return OK;
}

/* Whether the open file is the one to write to; learns its size, which others may have changed. */
static bool log_file_is_current(struct log_file *f, uint64_t wall_ns, size_t next_bytes)
{
    struct stat status;
    if (!f->is_open || f->day != wall_ns / LOG_DIR_DAY_NS || fstat(f->fd, &status) != 0 ||
        status.st_nlink == 0)
        return false;
    f->size_bytes = (uint64_t)status.st_size;
    return log_file_has_room(f, next_bytes);
}

static size_t log_file_append(int fd, struct span bytes)
{
    size_t done = 0;
    while (done < bytes.len) {
        if (fault_point("log.write")) {
            errno = ENOSPC;
            break;
        }
        ssize_t wrote = write(fd, bytes.at + done, bytes.len - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            break;
        done += (size_t)wrote;
    }
    return done;
}

/* Takes a cut line back and closes, so that the next write begins by opening. */
static size_t log_file_fail(struct log_file *f, struct span lines, size_t written,
                            struct fault *why)
{
    (void)fault_errno(why, ERR_IO, "write %s/%s-*.jsonl", f->options.directory, f->options.stream);
    const char *last = written == 0 ? NULL : memrchr(lines.at, '\n', written);
    size_t whole = last == NULL ? 0 : (size_t)(last - lines.at) + 1;
    if (whole < written)
        (void)!ftruncate(f->fd, (off_t)(f->size_bytes + whole)); /* else is_mid_line mends it */
    log_file_close(f);
    return whole;
}

size_t log_file_write(struct log_file *f, struct span lines, uint64_t wall_ns, struct fault *why)
{
    if (lines.len == 0)
        return 0;
    if (!log_file_is_current(f, wall_ns, lines.len)) {
        log_file_close(f);
        if (!err_ok(log_file_open(f, wall_ns, lines.len, why)))
            return 0;
    }
    if (f->is_mid_line) {
        if (log_file_append(f->fd, SPAN("\n")) != 1)
            return log_file_fail(f, lines, 0, why);
        f->is_mid_line = false;
        f->size_bytes++;
    }
    size_t written = log_file_append(f->fd, lines);
    if (written < lines.len)
        return log_file_fail(f, lines, written, why);
    f->size_bytes += written;
    return written;
}
