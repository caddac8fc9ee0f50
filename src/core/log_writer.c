/* log_writer.c: a queue of blocks under one lock, and the loop that empties it.
 *
 * The one hard thing: the lock is never held over a write, an allocation or anything else that can
 * wait, because the loops take it. What does not fit is dropped by those who bring it, and counted.
 *
 * There is one log a process, so its state is one static object: the alternative is a pointer
 * through every function that may log, and a lifetime to get wrong at exit. Blocks are owned by
 * batches (being filled), by the queue, or are spare.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/log_writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "core/log_dir.h"
#include "core/log_fd.h"
#include "core/log_file.h"
#include "core/mem.h"

#define LOG_WRITER_SPARES       4 /* empty blocks that are kept rather than freed */
#define LOG_WRITER_EVENTS_EXTRA 4 /* blocks for events when access records hold all others */
#define LOG_WRITER_RETRY_NS     1000000000u
#define LOG_WRITER_REPORT_NS    10000000000u
#define LOG_WRITER_FILE_BYTES   ((uint64_t)256 << 20)
#define LOG_WRITER_TOTAL_BYTES  ((uint64_t)8 << 30)
#define LOG_WRITER_DAYS         90
#define LOG_WRITER_BLOCKS       64

static const char *const log_writer_streams[LOG_STREAM_COUNT] = {
    [LOG_ACCESS] = "access", [LOG_EVENTS] = "plimsoll"};

/* Counted for the life of the process, over restarts of the writer. */
struct log_writer_counts {
    _Atomic uint64_t records;
    _Atomic uint64_t bytes;
    _Atomic uint64_t dropped_behind;
    _Atomic uint64_t dropped_write;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work; /* there is something for the writer */
    pthread_cond_t synced;
    const struct clock *_Atomic clock;
    struct log_writer_counts counts[LOG_STREAM_COUNT];
    atomic_bool is_failing;
    atomic_bool is_stopping; /* written under the lock */

    /* Under the lock. */
    bool is_running;
    bool wants_reopen;
    struct log_block *queue;
    struct log_block **queue_end;
    struct log_block *events; /* being filled */
    struct log_block *spare;
    unsigned spares;
    unsigned blocks; /* all that exist */
    unsigned blocks_max;
    uint64_t sync_wanted;
    uint64_t sync_done;

    /* The writer thread's own. */
    pthread_t thread;
    char *directory; /* owned; NULL = fd */
    struct log_file file[LOG_STREAM_COUNT];
    struct log_fd fd;
    uint64_t retry_at_ns[LOG_STREAM_COUNT]; /* monotonic; 0 = works */
    uint64_t reported[LOG_STREAM_COUNT];    /* drops that were told */
    uint64_t report_at_ns;
} log_writer = {.lock = PTHREAD_MUTEX_INITIALIZER,
                .work = PTHREAD_COND_INITIALIZER,
                .synced = PTHREAD_COND_INITIALIZER,
                .clock = &clock_system};

static void log_writer_lock(void)
{
    must(pthread_mutex_lock(&log_writer.lock) == 0);
}

static void log_writer_unlock(void)
{
    must(pthread_mutex_unlock(&log_writer.lock) == 0);
}

static void log_writer_wake(void)
{
    must(pthread_cond_signal(&log_writer.work) == 0);
}

const struct clock *log_writer_clock(void)
{
    return atomic_load_explicit(&log_writer.clock, memory_order_relaxed);
}

static void log_writer_count(_Atomic uint64_t *count, uint64_t n)
{
    atomic_fetch_add_explicit(count, n, memory_order_relaxed);
}

void log_writer_drop(enum log_stream stream, uint64_t records)
{
    log_writer_count(&log_writer.counts[stream].dropped_behind, records);
}

/* Blocks -------------------------------------------------------------------------------------- */

/* A block out of the spares or of new memory, at most `max` in all. Called and returns with the
 * lock held, but gives it up over the allocation. */
static struct log_block *log_writer_take_locked(unsigned max)
{
    struct log_block *block = log_writer.spare;
    if (block != NULL) {
        log_writer.spare = block->next;
        log_writer.spares--;
    } else if (log_writer.blocks < max) {
        void *memory = NULL;
        log_writer.blocks++;
        log_writer_unlock();
        err outcome = mem_try_alloc(sizeof *block, &memory);
        log_writer_lock();
        block = memory;
        if (!err_ok(outcome))
            log_writer.blocks--;
    }
    if (block != NULL) {
        block->next = NULL;
        block->records = 0;
        block->used = 0;
    }
    return block;
}

struct log_block *log_writer_take(void)
{
    struct log_block *block = NULL;
    log_writer_lock();
    if (log_writer.is_running)
        block = log_writer_take_locked(log_writer.blocks_max);
    log_writer_unlock();
    if (block != NULL)
        block->stream = LOG_ACCESS;
    return block;
}

/* Keeps an empty block or returns it for freeing outside the lock. */
static struct log_block *log_writer_put_locked(struct log_block *block)
{
    block->records = 0;
    if (log_writer.is_running && log_writer.spares < LOG_WRITER_SPARES) {
        block->next = log_writer.spare;
        log_writer.spare = block;
        log_writer.spares++;
        return NULL;
    }
    log_writer.blocks--;
    return block;
}

static void log_writer_queue_locked(struct log_block *block)
{
    block->next = NULL;
    *log_writer.queue_end = block;
    log_writer.queue_end = &block->next;
}

void log_writer_give(struct log_block *block)
{
    struct log_block *surplus = NULL;
    log_writer_lock();
    if (log_writer.is_running && block->records > 0) {
        log_writer_queue_locked(block);
        log_writer_wake();
    } else {
        log_writer_drop(block->stream, block->records);
        surplus = log_writer_put_locked(block);
    }
    log_writer_unlock();
    mem_free(surplus);
}

/* The block that events go to now, with room for `bytes`; NULL when there is none. */
static struct log_block *log_writer_events_locked(size_t bytes)
{
    struct log_block *block = log_writer.events;
    if (block != NULL && LOG_BLOCK_BYTES - block->used >= bytes)
        return block;
    struct log_block *fresh =
        log_writer_take_locked(log_writer.blocks_max + LOG_WRITER_EVENTS_EXTRA);
    if (fresh == NULL)
        return NULL;
    if (!log_writer.is_running) { /* stopped while the lock was given up */
        mem_free(log_writer_put_locked(fresh));
        return NULL;
    }
    fresh->stream = LOG_EVENTS;
    /* Another thread may have put a block there while the lock was given up. */
    if (log_writer.events != NULL)
        log_writer_queue_locked(log_writer.events);
    log_writer.events = fresh;
    return fresh;
}

void log_writer_event(struct span line)
{
    must(line.len <= LOG_BLOCK_BYTES);
    log_writer_lock();
    if (!log_writer.is_running) {
        log_writer_unlock();
        (void)!write(STDERR_FILENO, line.at, line.len); /* nowhere to tell of a failure */
        return;
    }
    struct log_block *block = log_writer_events_locked(line.len);
    if (block == NULL) {
        log_writer_drop(LOG_EVENTS, 1);
    } else {
        memcpy(block->bytes + block->used, line.at, line.len);
        block->used += line.len;
        block->records++;
        log_writer_wake();
    }
    log_writer_unlock();
}

/* Writing: the writer thread ------------------------------------------------------------------ */

static size_t log_writer_put(enum log_stream stream, struct span lines, struct fault *why)
{
    if (log_writer.directory == NULL)
        return log_fd_write(&log_writer.fd, lines, why);
    return log_file_write(&log_writer.file[stream], lines, clock_wall_ns(log_writer_clock()), why);
}

static uint64_t log_writer_lines(struct span s)
{
    uint64_t lines = 0;
    while (s.len > 0) {
        s = span_skip(s, span_find(s, '\n'));
        lines += s.len > 0;
        s = span_skip(s, s.len > 0);
    }
    return lines;
}

/* Notes the outcome; the first failure of a row is told on stderr, where the log cannot. */
static void log_writer_note(enum log_stream stream, const struct fault *why, uint64_t now_ns)
{
    bool failed = why->code != ERR_NONE;
    log_writer.retry_at_ns[stream] = failed ? now_ns + LOG_WRITER_RETRY_NS : 0;
    bool is_failing = false;
    for (unsigned i = 0; i < LOG_STREAM_COUNT; i++)
        is_failing = is_failing || log_writer.retry_at_ns[i] != 0;
    bool was_failing = atomic_exchange(&log_writer.is_failing, is_failing);
    if (was_failing && !is_failing)
        log_writer.report_at_ns = now_ns; /* tell at once what was lost */
    if (was_failing || !is_failing)
        return;
    char text[sizeof why->text + 96];
    int length =
        snprintf(text, sizeof text, "plimsoll: log: %s; records are dropped until it works again\n",
                 why->text);
    if (length > 0)
        (void)!write(STDERR_FILENO, text, (size_t)length);
}

static void log_writer_write(enum log_stream stream, struct span lines, uint64_t records)
{
    struct log_writer_counts *counts = &log_writer.counts[stream];
    if (clock_mono_ns(log_writer_clock()) < log_writer.retry_at_ns[stream]) {
        log_writer_count(&counts->dropped_write, records);
        return;
    }
    struct fault why = {0};
    size_t kept = log_writer_put(stream, lines, &why);
    uint64_t kept_records = kept == lines.len ? records : log_writer_lines(span_of(lines.at, kept));
    log_writer_count(&counts->bytes, kept);
    log_writer_count(&counts->records, kept_records);
    if (kept < lines.len) {
        must(why.code != ERR_NONE);
        log_writer_count(&counts->dropped_write, records - kept_records);
    }
    /* The time after the write: it may have waited for a reader, and the rest shall not. */
    log_writer_note(stream, &why, clock_mono_ns(log_writer_clock()));
}

/* An event of the writer's own: not through the queue, which it empties itself. */
static void log_writer_tell(struct log_line *l)
{
    size_t used = record_end(&l->record);
    log_writer_write(LOG_EVENTS, span_of(l->bytes, used), 1);
}

static uint64_t log_writer_dropped(enum log_stream stream)
{
    const struct log_writer_counts *counts = &log_writer.counts[stream];
    return atomic_load_explicit(&counts->dropped_behind, memory_order_relaxed) +
           atomic_load_explicit(&counts->dropped_write, memory_order_relaxed);
}

/* Tells how many records were dropped since it was last told, every 10 s at most. */
static void log_writer_report(bool is_last)
{
    uint64_t now_ns = clock_mono_ns(log_writer_clock());
    if (now_ns < log_writer.retry_at_ns[LOG_EVENTS] ||
        (now_ns < log_writer.report_at_ns && !is_last))
        return;
    for (unsigned i = 0; i < LOG_STREAM_COUNT; i++) {
        uint64_t dropped = log_writer_dropped((enum log_stream)i);
        if (dropped == log_writer.reported[i])
            continue;
        struct log_line l;
        log_begin(&l, LOG_ERROR, "log_records_dropped");
        log_text(&l, "stream", log_writer_streams[i]);
        log_u64(&l, "records", dropped - log_writer.reported[i]);
        log_writer_tell(&l);
        if (log_writer.retry_at_ns[LOG_EVENTS] != 0)
            return;
        log_writer.reported[i] = dropped;
        log_writer.report_at_ns = now_ns + LOG_WRITER_REPORT_NS;
    }
}

/* Old files that could not be deleted are the operator's to know. */
static void log_writer_report_prune(void)
{
    for (unsigned i = 0; log_writer.directory != NULL && i < LOG_STREAM_COUNT; i++) {
        struct fault why = log_writer.file[i].prune_why;
        if (why.code == ERR_NONE)
            continue;
        log_writer.file[i].prune_why.code = ERR_NONE;
        struct log_line l;
        log_begin(&l, LOG_ERROR, "log_retention_failed");
        log_fault(&l, &why);
        log_writer_tell(&l);
    }
}

/* What one turn of the writer takes from under the lock. */
struct log_writer_turn {
    struct log_block *blocks;
    uint64_t sync;
    bool is_last;
    bool wants_reopen;
};

static bool log_writer_is_idle_locked(void)
{
    return log_writer.queue == NULL && log_writer.events == NULL &&
           log_writer.sync_done == log_writer.sync_wanted && !log_writer.wants_reopen &&
           !atomic_load_explicit(&log_writer.is_stopping, memory_order_relaxed);
}

static struct log_writer_turn log_writer_begin_turn(void)
{
    log_writer_lock();
    while (log_writer_is_idle_locked())
        must(pthread_cond_wait(&log_writer.work, &log_writer.lock) == 0);
    if (log_writer.events != NULL)
        log_writer_queue_locked(log_writer.events);
    log_writer.events = NULL;
    struct log_writer_turn turn = {
        .blocks = log_writer.queue,
        .sync = log_writer.sync_wanted,
        .is_last = atomic_load_explicit(&log_writer.is_stopping, memory_order_relaxed),
        .wants_reopen = log_writer.wants_reopen,
    };
    log_writer.queue = NULL;
    log_writer.queue_end = &log_writer.queue;
    log_writer.wants_reopen = false;
    log_writer_unlock();
    return turn;
}

static void log_writer_end_turn(const struct log_writer_turn *turn)
{
    log_writer_lock();
    log_writer.sync_done = turn->sync;
    must(pthread_cond_broadcast(&log_writer.synced) == 0);
    log_writer_unlock();
}

static void log_writer_return(struct log_block *block)
{
    log_writer_lock();
    struct log_block *surplus = log_writer_put_locked(block);
    log_writer_unlock();
    mem_free(surplus);
}

static void *log_writer_run(void *ctx)
{
    (void)ctx;
    for (;;) {
        struct log_writer_turn turn = log_writer_begin_turn();
        if (turn.wants_reopen && log_writer.directory != NULL)
            for (unsigned i = 0; i < LOG_STREAM_COUNT; i++)
                log_file_close(&log_writer.file[i]);
        for (struct log_block *block = turn.blocks, *next; block != NULL; block = next) {
            next = block->next;
            log_writer_write(block->stream, span_of(block->bytes, block->used), block->records);
            log_writer_return(block);
        }
        log_writer_report_prune();
        log_writer_report(turn.is_last);
        log_writer_end_turn(&turn);
        if (turn.is_last && turn.blocks == NULL)
            return NULL;
    }
}

/* Start and stop ------------------------------------------------------------------------------ */

static uint64_t log_writer_or(uint64_t value, uint64_t default_value)
{
    return value == 0 ? default_value : value;
}

static void log_writer_close(void)
{
    if (log_writer.directory == NULL)
        log_fd_close(&log_writer.fd);
    for (unsigned i = 0; log_writer.directory != NULL && i < LOG_STREAM_COUNT; i++)
        log_file_close(&log_writer.file[i]);
    mem_free(log_writer.directory);
    log_writer.directory = NULL;
}

static err log_writer_open(const struct log_options *options, struct fault *why)
{
    if (options->directory == NULL) {
        log_fd_open(&log_writer.fd, options->fd, &log_writer.is_stopping);
        return OK;
    }
    uint64_t total = log_writer_or(options->total_max_bytes, LOG_WRITER_TOTAL_BYTES);
    uint64_t file_max = log_writer_or(options->file_max_bytes, LOG_WRITER_FILE_BYTES);
    /* Two files may be full and open beside the closed ones: a quarter each at most. */
    if (file_max > total / 4)
        file_max = total / 4 + 1;
    TRY(log_dir_make(options->directory, why));
    log_writer.directory = mem_strdup(options->directory);
    for (unsigned i = 0; i < LOG_STREAM_COUNT; i++) {
        struct log_file_options file = {
            .directory = log_writer.directory,
            .stream = log_writer_streams[i],
            .file_max_bytes = file_max,
            .closed_max_bytes =
                total > LOG_STREAM_COUNT * file_max ? total - LOG_STREAM_COUNT * file_max : 0,
            .retention_days = (unsigned)log_writer_or(options->retention_days, LOG_WRITER_DAYS),
        };
        log_file_init(&log_writer.file[i], &file);
    }
    for (unsigned i = 0; i < LOG_STREAM_COUNT; i++) {
        err opened = log_file_open(&log_writer.file[i], clock_wall_ns(log_writer_clock()), 0, why);
        if (!err_ok(opened)) {
            log_writer_close();
            return opened;
        }
    }
    return OK;
}

/* Signals are for the thread that runs the process, never for this one. */
static void log_writer_spawn(void)
{
    sigset_t all, before;
    must(sigfillset(&all) == 0);
    must(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    must(pthread_create(&log_writer.thread, NULL, log_writer_run, NULL) == 0);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    (void)pthread_setname_np(log_writer.thread, "log"); /* a help for ps, no more */
}

err log_writer_start(const struct log_options *options, struct fault *why)
{
    log_writer_lock();
    bool was_running = log_writer.is_running;
    log_writer_unlock();
    if (was_running)
        return fault_set(why, ERR_CONFLICT, "the log is started already");
    const struct clock *clock = options->clock == NULL ? &clock_system : options->clock;
    atomic_store(&log_writer.clock, clock);
    err opened = log_writer_open(options, why);
    if (!err_ok(opened)) {
        atomic_store(&log_writer.clock, &clock_system);
        return opened;
    }
    log_writer_lock();
    log_writer.blocks_max = (unsigned)log_writer_or(options->blocks_max, LOG_WRITER_BLOCKS);
    log_writer.queue_end = &log_writer.queue;
    atomic_store(&log_writer.is_stopping, false);
    log_writer.is_running = true;
    for (unsigned i = 0; i < LOG_STREAM_COUNT; i++) {
        log_writer.retry_at_ns[i] = 0;
        log_writer.reported[i] = log_writer_dropped((enum log_stream)i);
    }
    log_writer.report_at_ns = 0;
    log_writer_unlock();
    log_writer_spawn();
    return OK;
}

/* Frees the spares, and what came after the writer's last turn. */
static void log_writer_empty(void)
{
    struct log_block *lists[] = {log_writer.queue, log_writer.events, log_writer.spare};
    for (unsigned i = 0; i < COUNT_OF(lists); i++) {
        for (struct log_block *block = lists[i], *next; block != NULL; block = next) {
            next = block->next;
            log_writer_drop(block->stream, block->records);
            log_writer.blocks--;
            mem_free(block);
        }
    }
    log_writer.queue = NULL;
    log_writer.events = NULL;
    log_writer.spare = NULL;
    log_writer.spares = 0;
}

void log_writer_stop(void)
{
    log_writer_lock();
    bool was_running = log_writer.is_running;
    if (was_running) {
        atomic_store(&log_writer.is_stopping, true);
        log_writer_wake();
    }
    log_writer_unlock();
    if (!was_running)
        return;
    must(pthread_join(log_writer.thread, NULL) == 0);
    log_writer_lock();
    log_writer.is_running = false;
    log_writer_empty();
    must(pthread_cond_broadcast(&log_writer.synced) == 0);
    log_writer_unlock();
    log_writer_close();
    atomic_store(&log_writer.is_failing, false);
    atomic_store(&log_writer.clock, &clock_system);
}

void log_writer_sync(void)
{
    log_writer_lock();
    if (log_writer.is_running) {
        uint64_t wanted = ++log_writer.sync_wanted;
        log_writer_wake();
        while (log_writer.is_running && log_writer.sync_done < wanted)
            must(pthread_cond_wait(&log_writer.synced, &log_writer.lock) == 0);
    }
    log_writer_unlock();
}

void log_writer_reopen(void)
{
    log_writer_lock();
    if (log_writer.is_running) {
        log_writer.wants_reopen = true;
        log_writer_wake();
    }
    log_writer_unlock();
}

void log_writer_stats(struct log_stats *out)
{
    *out = (struct log_stats){.is_failing = atomic_load(&log_writer.is_failing)};
    for (unsigned i = 0; i < LOG_STREAM_COUNT; i++) {
        const struct log_writer_counts *counts = &log_writer.counts[i];
        out->stream[i].records = atomic_load(&counts->records);
        out->stream[i].bytes = atomic_load(&counts->bytes);
        out->stream[i].dropped_behind = atomic_load(&counts->dropped_behind);
        out->stream[i].dropped_write = atomic_load(&counts->dropped_write);
    }
}
