/* log_fd.h: log lines to a descriptor that somebody else opened: stdout or stderr.
 *
 * The one hard thing: behind it may be a pipe whose reader stands still. The writer then waits in
 * poll, not in write, so that log_stop can end it. O_NONBLOCK is never set on the descriptor
 * itself, which the shell and other processes share.
 *
 * The log's writer thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdatomic.h>

#include "core/span.h"

#define LOG_FD_GRACE_MS 5000

struct log_fd {
    int fd;
    bool is_own; /* opened anew by us */
    bool is_socket;
    bool is_mid_line;              /* the last failed write left a cut line */
    const atomic_bool *is_hurried; /* borrowed: when true, a reader has grace_ms for each write */
    unsigned grace_ms;
};

void log_fd_open(struct log_fd *f, int fd, const atomic_bool *is_hurried);
/* Writes whole lines. Returns the bytes of whole lines that were taken; fewer than lines.len only
 * after a failure, which `why` then tells. */
size_t log_fd_write(struct log_fd *f, struct span lines, struct fault *why);
void log_fd_close(struct log_fd *f); /* closes only what log_fd_open opened; may run twice */
