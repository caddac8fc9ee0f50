/* log.c: levels, events and batches; the writer stands behind them.
 *
 * The one hard thing: a line is made on the stack of whoever logs, without a lock, and given away
 * whole, so lines of two threads never mix and a slow disk is nobody's problem but the writer's.
 *
 * Any thread; a line and a batch belong to one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/log.h"

#include "core/log_writer.h"

#define LOG_KEY_MAX 64

atomic_int log_level_now = LOG_INFO;

static const char *const log_level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};

void log_level_set(enum log_level level)
{
    must((unsigned)level < COUNT_OF(log_level_names));
    atomic_store_explicit(&log_level_now, (int)level, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    must((unsigned)level < COUNT_OF(log_level_names));
    return log_level_names[level];
}

err log_level_parse(struct span name, enum log_level *out)
{
    for (unsigned i = 0; i < COUNT_OF(log_level_names); i++)
        if (span_eq(name, span_from(log_level_names[i]))) {
            *out = (enum log_level)i;
            return OK;
        }
    return FAIL(INVALID);
}

/* Events -------------------------------------------------------------------------------------- */

void log_begin(struct log_line *l, enum log_level level, const char *event)
{
    l->is_wanted = log_wants(level);
    if (!l->is_wanted)
        return;
    char time[CLOCK_RFC3339_BYTES];
    clock_format_rfc3339(clock_wall_ns(log_writer_clock()), time);
    record_begin(&l->record, l->bytes, sizeof l->bytes, span_of(time, sizeof time - 1));
    record_plain(&l->record, RECORD_KEY("level"), span_from(log_level_name(level)));
    record_plain(&l->record, RECORD_KEY("event"), span_from(event));
}

struct log_key {
    char bytes[LOG_KEY_MAX];
};

/* The key as record.h wants it: ,"key": */
static struct span log_key(struct log_key *out, const char *key)
{
    size_t length = strlen(key);
    must(length + 4 <= sizeof out->bytes);
    memcpy(out->bytes, ",\"", 2);
    memcpy(out->bytes + 2, key, length);
    memcpy(out->bytes + 2 + length, "\":", 2);
    return span_of(out->bytes, length + 4);
}

void log_str(struct log_line *l, const char *key, struct span value)
{
    struct log_key k;
    if (l->is_wanted)
        record_str(&l->record, log_key(&k, key), value);
}

void log_text(struct log_line *l, const char *key, const char *value)
{
    log_str(l, key, span_from(value));
}

void log_u64(struct log_line *l, const char *key, uint64_t value)
{
    struct log_key k;
    if (l->is_wanted)
        record_u64(&l->record, log_key(&k, key), value);
}

void log_i64(struct log_line *l, const char *key, int64_t value)
{
    struct log_key k;
    if (l->is_wanted)
        record_i64(&l->record, log_key(&k, key), value);
}

void log_bool(struct log_line *l, const char *key, bool value)
{
    struct log_key k;
    if (l->is_wanted)
        record_bool(&l->record, log_key(&k, key), value);
}

void log_ms(struct log_line *l, const char *key, uint64_t ns)
{
    struct log_key k;
    if (l->is_wanted)
        record_ms(&l->record, log_key(&k, key), ns);
}

void log_fault(struct log_line *l, const struct fault *why)
{
    log_text(l, "error", err_name(why->code));
    log_text(l, "detail", why->text);
    if (why->file[0] != '\0')
        log_text(l, "file", why->file);
    if (why->line > 0) {
        log_u64(l, "line", why->line);
        log_u64(l, "column", why->column);
    }
}

void log_end(struct log_line *l)
{
    if (l->is_wanted)
        log_writer_event(span_of(l->bytes, record_end(&l->record)));
    l->is_wanted = false;
}

/* Batches ------------------------------------------------------------------------------------- */

void log_batch_init(struct log_batch *batch)
{
    *batch = (struct log_batch){0};
}

static void log_batch_give(struct log_batch *batch)
{
    if (batch->block == NULL)
        return;
    batch->block->used = (size_t)(batch->at - batch->block->bytes);
    batch->block->records = batch->records;
    log_writer_give(batch->block);
    *batch = (struct log_batch){0};
}

void log_batch_done(struct log_batch *batch)
{
    log_batch_give(batch);
}

void log_batch_flush(struct log_batch *batch)
{
    if (batch->records > 0)
        log_batch_give(batch);
}

char *log_batch_turn(struct log_batch *batch, size_t max_record_bytes)
{
    must(max_record_bytes <= LOG_BLOCK_BYTES);
    log_batch_give(batch);
    batch->block = log_writer_take();
    if (batch->block == NULL) {
        log_writer_drop(LOG_ACCESS, 1);
        return NULL;
    }
    batch->at = batch->block->bytes;
    batch->end = batch->at + LOG_BLOCK_BYTES;
    return batch->at;
}

/* The writer ---------------------------------------------------------------------------------- */

err log_start(const struct log_options *options, struct fault *why)
{
    return log_writer_start(options, why);
}

void log_stop(void)
{
    log_writer_stop();
}

void log_sync(void)
{
    log_writer_sync();
}

void log_reopen(void)
{
    log_writer_reopen();
}

void log_stats(struct log_stats *out)
{
    log_writer_stats(out);
}
