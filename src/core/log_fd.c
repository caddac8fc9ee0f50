/* log_fd.c: writes that do not block for ever.
 *
 * The log's writer thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/log_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fault_point.h"

#define LOG_FD_POLL_MS 50

void log_fd_open(struct log_fd *f, int fd, const atomic_bool *is_hurried)
{
    *f = (struct log_fd){.fd = fd, .is_hurried = is_hurried, .grace_ms = LOG_FD_GRACE_MS};
    struct stat status;
    if (fstat(fd, &status) != 0)
        return; /* the first write tells */
    f->is_socket = S_ISSOCK(status.st_mode);
    if (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode))
        return;
    /* An open file description of our own, which may be made non-blocking. Where that is not
     * allowed, writes block, and only log_stop notices. */
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own < 0)
        return;
    f->fd = own;
    f->is_own = true;
}

void log_fd_close(struct log_fd *f)
{
    if (f->is_own)
        (void)close(f->fd); /* nothing is buffered on our side */
    f->is_own = false;
}

static ssize_t log_fd_once(const struct log_fd *f, struct span bytes)
{
    if (fault_point("log.write")) {
        errno = EIO;
        return -1;
    }
    return f->is_socket ? send(f->fd, bytes.at, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL)
                        : write(f->fd, bytes.at, bytes.len);
}

/* Waits for the reader; false when its time is over. */
static bool log_fd_wait(const struct log_fd *f, unsigned *waited_ms)
{
    struct pollfd ready = {.fd = f->fd, .events = POLLOUT};
    int count = poll(&ready, 1, LOG_FD_POLL_MS);
    if (count != 0 || !atomic_load_explicit(f->is_hurried, memory_order_relaxed))
        return true;
    *waited_ms += LOG_FD_POLL_MS;
    return *waited_ms < f->grace_ms;
}

static size_t log_fd_append(const struct log_fd *f, struct span bytes)
{
    size_t done = 0;
    unsigned waited_ms = 0;
    while (done < bytes.len) {
        ssize_t wrote = log_fd_once(f, span_skip(bytes, done));
        if (wrote > 0) {
            done += (size_t)wrote;
            waited_ms = 0;
            continue;
        }
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0 && errno != EAGAIN)
            break;
        if (!log_fd_wait(f, &waited_ms)) {
            errno = ETIMEDOUT;
            break;
        }
    }
    return done;
}

size_t log_fd_write(struct log_fd *f, struct span lines, struct fault *why)
{
    size_t written = 0;
    if (!f->is_mid_line || log_fd_append(f, SPAN("\n")) == 1) {
        f->is_mid_line = false;
        written = log_fd_append(f, lines);
    }
    if (written == lines.len)
        return written;
    (void)fault_errno(why, ERR_IO, "write to descriptor %d", f->fd);
    const char *last = written == 0 ? NULL : memrchr(lines.at, '\n', written);
    size_t whole = last == NULL ? 0 : (size_t)(last - lines.at) + 1;
    f->is_mid_line = f->is_mid_line || whole < written;
    return whole;
}
