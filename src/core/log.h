/* log.h: JSON lines for people and machines, written by one thread for all.
 *
 * Two streams: `plimsoll`, the events of the process itself, and `access`, one record a request.
 * Events are written by anybody, field by field (log_begin ... log_end). Access records are
 * formatted by each loop straight into its own log_batch, which hands whole blocks to the writer.
 * The one hard thing: nobody but the writer ever waits for the disk. When it falls behind, records
 * are dropped and counted; memory is bounded by log_options.blocks_max.
 *
 * One log a process. Before log_start and after log_stop events go to stderr at once and batches
 * drop. A log_line and a log_batch belong to one thread; everything else: any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdatomic.h>

#include "core/clock.h"
#include "core/record.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

enum log_stream { LOG_ACCESS, LOG_EVENTS, LOG_STREAM_COUNT };

extern atomic_int log_level_now;

/* Events below this level are not written; LOG_INFO at first. */
void log_level_set(enum log_level level);
const char *log_level_name(enum log_level level);           /* "debug" "info" "warn" "error" */
err log_level_parse(struct span name, enum log_level *out); /* ERR_INVALID */

static inline bool log_wants(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

/* Events -------------------------------------------------------------------------------------- */

#define LOG_LINE_BYTES 4096

/* An event under construction, on the stack. */
struct log_line {
    bool is_wanted;
    struct record record;
    char bytes[LOG_LINE_BYTES];
};

/* `event` and the keys are our own words: plain ASCII, snake_case. Fields in a record: time, level,
 * event, then the caller's. Values may be anything; long ones are cut (record.h). */
void log_begin(struct log_line *l, enum log_level level, const char *event);
void log_str(struct log_line *l, const char *key, struct span value);
void log_text(struct log_line *l, const char *key, const char *value); /* NULL writes null */
void log_u64(struct log_line *l, const char *key, uint64_t value);
void log_i64(struct log_line *l, const char *key, int64_t value);
void log_bool(struct log_line *l, const char *key, bool value);
void log_ms(struct log_line *l, const char *key, uint64_t ns); /* written in milliseconds */
/* "error" and "detail", and "file", "line", "column" where the fault has them. */
void log_fault(struct log_line *l, const struct fault *why);
void log_end(struct log_line *l);

/* Batches ------------------------------------------------------------------------------------- */

#define LOG_BLOCK_BYTES 65536

struct log_block;

/* The access records of one thread. A zeroed batch is valid. */
struct log_batch {
    struct log_block *block; /* owned until flushed; NULL while the writer is behind */
    char *at;
    char *end;
    uint32_t records; /* in this block */
};

void log_batch_init(struct log_batch *batch);
void log_batch_done(struct log_batch *batch); /* flushes; may run twice */
char *log_batch_turn(struct log_batch *batch, size_t max_record_bytes);

/* Room for one record of at most max_record_bytes (<= LOG_BLOCK_BYTES), or NULL: then the record is
 * already counted as dropped. Hands the block over first when the room left is too small. */
static inline char *log_batch_reserve(struct log_batch *batch, size_t max_record_bytes)
{
    if (__builtin_expect((size_t)(batch->end - batch->at) >= max_record_bytes, 1))
        return batch->at;
    return log_batch_turn(batch, max_record_bytes);
}

/* Keeps the `used` bytes that were written at the reserved place: one whole line. */
static inline void log_batch_commit(struct log_batch *batch, size_t used)
{
    must(used <= (size_t)(batch->end - batch->at));
    batch->at += used;
    batch->records++;
}

/* Hands what is there to the writer; the owner calls it about every 200 ms. */
void log_batch_flush(struct log_batch *batch);

/* The writer ---------------------------------------------------------------------------------- */

struct log_options {
    const struct clock *clock; /* NULL = clock_system; borrowed until log_stop */
    const char *directory;     /* NULL = write both streams to `fd`; copied */
    int fd;                    /* STDOUT_FILENO or STDERR_FILENO; borrowed */
    uint64_t file_max_bytes;   /* 0 = 256 MiB; then the next file of the day begins */
    uint64_t total_max_bytes;  /* 0 = 8 GiB; all files of both streams; oldest go first */
    unsigned retention_days;   /* 0 = 90 */
    unsigned blocks_max;       /* 0 = 64; blocks of 64 KiB that wait or are being filled */
};

/* Starts the writer thread. Fails with ERR_IO (why) when a file cannot be opened now; a disk that
 * fails later never stops the process. ERR_CONFLICT when it runs already. */
err log_start(const struct log_options *options, struct fault *why);
/* Writes all that was handed over, then ends the thread. Threads that own batches have done them.
 * A pipe whose reader stands still is given 5 s. Without log_start: nothing. */
void log_stop(void);
/* Waits until everything handed over before the call is written or counted as dropped. */
void log_sync(void);
/* Closes the files and opens them anew before the next write (SIGHUP, an outside logrotate). */
void log_reopen(void);

struct log_stats {
    struct {
        uint64_t records;        /* written */
        uint64_t bytes;          /* written */
        uint64_t dropped_behind; /* records: the writer was behind */
        uint64_t dropped_write;  /* records: the write failed */
    } stream[LOG_STREAM_COUNT];
    bool is_failing; /* the last write failed */
};

void log_stats(struct log_stats *out);
