/* log_file.h: one stream of the log in daily files.
 *
 * `<stream>-<UTC date>.jsonl`, then `-1`, `-2` ... when a file is full. The one hard thing: the
 * disk may fill or vanish at any write. Then whole lines that were written stay, a cut line is
 * taken back, and the next write begins anew by opening, so it heals by itself.
 *
 * The strings of the options are borrowed. The log's writer thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/span.h"

struct log_file_options {
    const char *directory;
    const char *stream;
    uint64_t file_max_bytes;
    uint64_t closed_max_bytes; /* see log_dir.h */
    unsigned retention_days;
};

struct log_file {
    struct log_file_options options;
    bool is_open;
    int fd;
    uint64_t size_bytes;
    uint64_t day;           /* since 1970 */
    bool is_mid_line;       /* the file ends in a cut line */
    struct fault prune_why; /* of the last opening: code ERR_NONE, or why old files stay */
};

void log_file_init(struct log_file *f, const struct log_file_options *options);
/* Opens the file of the day with room for `next_bytes` more and deletes what is past retention.
 * Does nothing when it is open. ERR_IO. */
err log_file_open(struct log_file *f, uint64_t wall_ns, size_t next_bytes, struct fault *why);
/* Appends whole lines with one write(2), to another file first when the day has changed or the
 * file is full or gone. Returns the bytes that are kept: whole lines; fewer than lines.len only
 * after a failure, which `why` then tells. */
size_t log_file_write(struct log_file *f, struct span lines, uint64_t wall_ns, struct fault *why);
void log_file_close(struct log_file *f); /* may run twice; the next write opens */
