/* log_writer.h: the thread that writes the log, and the blocks that travel to it.
 *
 * For log.c; everybody else uses log.h. A block belongs to whoever took it until it is given.
 *
 * Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/log.h"

struct log_block {
    struct log_block *next;
    enum log_stream stream;
    uint32_t records;
    size_t used;
    char bytes[LOG_BLOCK_BYTES];
};

/* What log.h says of log_start, log_stop, log_sync, log_reopen and log_stats. */
err log_writer_start(const struct log_options *options, struct fault *why);
void log_writer_stop(void);
void log_writer_sync(void);
void log_writer_reopen(void);
void log_writer_stats(struct log_stats *out);

/* An empty block, or NULL: the writer is behind, is not running, or memory is out. */
struct log_block *log_writer_take(void);
/* Hands a block over; one without records is only returned. */
void log_writer_give(struct log_block *block);
/* Appends one whole line to the events. */
void log_writer_event(struct span line);
/* Counts records that found no room. */
void log_writer_drop(enum log_stream stream, uint64_t records);
const struct clock *log_writer_clock(void);
