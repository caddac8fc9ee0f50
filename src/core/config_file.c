/* config_file.c: open, look, read.
 *
 * The one hard thing: the size and the permissions must be those of what is read, so both come
 * from the open descriptor. Any thread that may block.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fault_point.h"

static err config_file_fill(int fd, size_t size, struct buf *out, const char *path,
                            struct fault *why)
{
    if (size > out->max)
        return fault_set(why, ERR_TOO_LARGE, "%s has %zu bytes; allowed are %zu", path, size,
                         out->max);
    /* One byte more than the file says, where allowed, to notice that it grows. */
    size_t room = size < out->max ? size + 1 : size;
    if (!err_ok(buf_reserve(out, room)))
        return fault_set(why, ERR_NO_MEMORY, "%s: not enough memory", path);
    while (out->len < room) {
        ssize_t got = fault_point("config.read") ? (errno = EIO, -1)
                                                 : read(fd, out->at + out->len, room - out->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fault_errno(why, ERR_IO, "cannot read %s", path);
        if (got == 0)
            return OK;
        out->len += (size_t)got;
    }
    if (out->len > size)
        return fault_set(why, ERR_IO, "%s changes while it is read", path);
    return OK;
}

static err config_file_read_open(int fd, const char *path, struct buf *out,
                                 struct config_file_info *info, struct fault *why)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return fault_errno(why, ERR_IO, "cannot look at %s", path);
    if (!S_ISREG(about.st_mode))
        return fault_set(why, ERR_IO, "%s is not a regular file", path);
    info->mode = about.st_mode & 07777;
    info->is_world_readable = (about.st_mode & S_IROTH) != 0;
    return config_file_fill(fd, (size_t)about.st_size, out, path, why);
}

err config_file_read(const char *path, struct buf *out, struct config_file_info *info,
                     struct fault *why)
{
    /* O_NONBLOCK: a pipe without a writer must not hang the start. */
    int fd = fault_point("config.open") ? (errno = EIO, -1)
                                        : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fault_errno(why, ERR_IO, "cannot open %s", path);
    err outcome = config_file_read_open(fd, path, out, info, why);
    (void)close(fd); /* nothing was written: its result changes nothing */
    return outcome;
}

struct span config_file_folder(const char *path)
{
    struct span all = span_from(path);
    while (all.len > 0 && all.at[all.len - 1] != '/')
        all.len--;
    return all;
}
