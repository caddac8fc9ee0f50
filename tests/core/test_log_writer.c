/* test_log_writer.c: the writer loses nothing that it can write, counts what it cannot, and heals.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include <pthread.h>

#include "core/fault_point.h"
#include "core/log_writer.h"

#define NOW_NS (1795255200123 * (uint64_t)1000000u)

static struct scratch folder;
static struct clock_fake fake;
static struct buf text;
static int saved_stderr;

static int set_up(void **state)
{
    (void)state;
    scratch_make(&folder);
    clock_fake_init(&fake, 1, NOW_NS);
    buf_init(&text, 1 << 24);
    saved_stderr = dup(STDERR_FILENO);
    int caught = open(scratch_path(&folder, "stderr"), O_RDWR | O_CREAT | O_APPEND, 0600);
    assert_int_equal(dup2(caught, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(caught), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fault_point_disarm();
    log_stop();
    assert_int_equal(dup2(saved_stderr, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(saved_stderr), 0);
    scratch_remove(&folder);
    buf_done(&text);
    return 0;
}

static err start_in(const char *directory, struct fault *why)
{
    struct log_options options = {.clock = &fake.clock, .directory = directory};
    return log_start(&options, why);
}

static void start(void)
{
    assert_true(err_ok(start_in(folder.path, NULL)));
}

static void event(const char *name)
{
    struct log_line l;
    log_begin(&l, LOG_INFO, name);
    log_end(&l);
}

static const char *events(void)
{
    log_sync();
    return scratch_read(&folder, "plimsoll-2026-11-21.jsonl", &text);
}

static unsigned count_of(const char *haystack, const char *needle)
{
    unsigned count = 0;
    for (; (haystack = strstr(haystack, needle)) != NULL; haystack += strlen(needle))
        count++;
    return count;
}

static void test_log_writer_refuses_to_start_where_it_cannot_write(void **state)
{
    (void)state;
    struct fault why = {0};
    assert_true(err_is(start_in("/nonexistent/deep/log", &why), ERR_IO));
    assert_non_null(strstr(why.text, "No such file"));
    for (unsigned nth = 1; nth <= 2; nth++) {
        fault_point_arm("log.open", nth, false);
        assert_true(err_is(start_in(folder.path, &why), ERR_IO));
        fault_point_disarm();
    }
    start();
    assert_true(err_is(start_in(folder.path, &why), ERR_CONFLICT));
    log_stop();
    log_stop();
    start();
}

static void test_log_writer_makes_its_folder(void **state)
{
    (void)state;
    char path[512];
    (void)snprintf(path, sizeof path, "%s", scratch_path(&folder, "log"));
    assert_true(err_ok(start_in(path, NULL)));
    log_stop();
    struct scratch inner;
    (void)snprintf(inner.path, sizeof inner.path, "%.60s", path);
    assert_int_equal(scratch_count(&inner), 2);
    scratch_remove(&inner);
}

static void test_log_writer_survives_a_full_disk(void **state)
{
    (void)state;
    struct log_stats before, failing, after;
    start();
    event("before");
    log_sync();
    log_stats(&before);
    fault_point_arm("log.write", 1, true);
    for (unsigned i = 0; i < 5; i++) {
        event("lost");
        log_sync();
    }
    log_stats(&failing);
    assert_true(failing.is_failing);
    assert_int_equal(failing.stream[LOG_EVENTS].dropped_write,
                     before.stream[LOG_EVENTS].dropped_write + 5);
    fault_point_disarm();
    event("lost"); /* within the second in which it does not try again */
    log_sync();
    clock_fake_advance_ms(&fake, 1000);
    event("after");
    const char *got = events();
    log_stats(&after);
    assert_false(after.is_failing);
    assert_int_equal(count_of(got, "\"event\":\"lost\""), 0);
    assert_int_equal(count_of(got, "\"event\":\"after\""), 1);
    assert_non_null(strstr(got, "\"event\":\"log_records_dropped\",\"stream\":\"plimsoll\","
                                "\"records\":6}\n"));
    /* One line for people, however many records were lost. */
    assert_int_equal(count_of(scratch_read(&folder, "stderr", &text), "plimsoll: log: "), 1);
    assert_non_null(strstr(text.at, "No space left on device"));
}

/* Whatever call fails, the process goes on, and every event is written or counted. */
static void test_log_writer_accounts_for_every_event(void **state)
{
    (void)state;
    for (unsigned nth = 1, fired = 1; fired > 0; nth++) {
        struct log_stats before, after;
        start();
        log_stats(&before);
        fault_point_arm("log.", nth, false);
        for (unsigned i = 0; i < 4; i++) {
            event("turn");
            log_reopen();
            log_sync();
            clock_fake_advance_ms(&fake, 2000);
        }
        fired = fault_point_fired();
        fault_point_disarm();
        log_stop();
        log_stats(&after);
        uint64_t lost =
            after.stream[LOG_EVENTS].dropped_write - before.stream[LOG_EVENTS].dropped_write;
        const char *got = scratch_read(&folder, "plimsoll-2026-11-21.jsonl", &text);
        assert_int_equal(count_of(got, "\"event\":\"turn\"") + lost, 4);
        assert_int_equal(count_of(got, "log_records_dropped"), lost);
        assert_int_equal(unlink(scratch_path(&folder, "plimsoll-2026-11-21.jsonl")), 0);
        assert_true(nth < 100);
    }
}

static void test_log_writer_tells_when_old_files_stay(void **state)
{
    (void)state;
    scratch_write(&folder, "plimsoll-2019-01-01.jsonl", "");
    fault_point_arm("log.unlink", 1, false);
    start();
    event("any");
    assert_non_null(strstr(events(), "\"event\":\"log_retention_failed\""));
}

static void test_log_writer_opens_anew_when_told(void **state)
{
    (void)state;
    char moved[512];
    start();
    event("one");
    log_sync();
    (void)snprintf(moved, sizeof moved, "%s", scratch_path(&folder, "moved"));
    assert_int_equal(rename(scratch_path(&folder, "plimsoll-2026-11-21.jsonl"), moved), 0);
    log_reopen();
    event("two");
    const char *got = events();
    assert_int_equal(count_of(got, "\"event\":"), 1);
    assert_non_null(strstr(got, "two"));
}

static void test_log_writer_rotates_on_the_injected_clock(void **state)
{
    (void)state;
    start();
    event("today");
    log_sync();
    clock_fake_advance_ms(&fake, 86400000);
    event("tomorrow");
    log_sync();
    assert_int_equal(count_of(events(), "\"event\":"), 1);
    assert_non_null(strstr(scratch_read(&folder, "plimsoll-2026-11-22.jsonl", &text), "tomorrow"));
}

static void test_log_writer_writes_both_streams_to_a_descriptor(void **state)
{
    (void)state;
    int fd = open(scratch_path(&folder, "out"), O_RDWR | O_CREAT, 0600);
    struct log_options options = {.clock = &fake.clock, .fd = fd};
    assert_true(err_ok(log_start(&options, NULL)));
    struct log_batch batch;
    log_batch_init(&batch);
    char *at = log_batch_reserve(&batch, 10);
    assert_non_null(at);
    memcpy(at, "access\n", 7);
    log_batch_commit(&batch, 7);
    log_batch_done(&batch);
    event("hello");
    log_stop();
    assert_int_equal(close(fd), 0);
    const char *got = scratch_read(&folder, "out", &text);
    assert_int_equal(count_of(got, "access\n"), 1);
    assert_int_equal(count_of(got, "\"event\":\"hello\"}\n"), 1);
}

/* Threads ------------------------------------------------------------------------------------- */

#define THREADS 3
#define RECORDS 3000u

static void *log_much(void *ctx)
{
    struct log_batch batch;
    (void)ctx;
    log_batch_init(&batch);
    for (unsigned i = 0; i < RECORDS; i++) {
        char *at = log_batch_reserve(&batch, 200);
        if (at != NULL) {
            memset(at, 'x', 199);
            at[199] = '\n';
            log_batch_commit(&batch, 200);
        }
        if (i % 50 == 0)
            event("turn");
        if (i % 100 == 0)
            log_batch_flush(&batch);
    }
    log_batch_done(&batch);
    return NULL;
}

static void test_log_writer_accounts_for_all_records_of_all_threads(void **state)
{
    (void)state;
    struct log_options options = {
        .clock = &fake.clock, .directory = folder.path, .blocks_max = 4, .file_max_bytes = 200000};
    struct log_stats before, after;
    log_stats(&before);
    assert_true(err_ok(log_start(&options, NULL)));
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_much, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    log_stop();
    log_stats(&after);
    uint64_t written = after.stream[LOG_ACCESS].records - before.stream[LOG_ACCESS].records;
    uint64_t lost =
        after.stream[LOG_ACCESS].dropped_behind - before.stream[LOG_ACCESS].dropped_behind;
    assert_int_equal(written + lost, THREADS * RECORDS);
    assert_int_equal(after.stream[LOG_ACCESS].bytes - before.stream[LOG_ACCESS].bytes,
                     written * 200);
    uint64_t found = 0;
    for (unsigned part = 0; part < 20; part++) {
        char name[64];
        (void)snprintf(name, sizeof name,
                       part == 0 ? "access-2026-11-21.jsonl" : "access-2026-11-21-%u.jsonl", part);
        if (!scratch_has(&folder, name))
            break;
        size_t length = strlen(scratch_read(&folder, name, &text));
        assert_true(length <= 200000 && length % 200 == 0);
        found += length / 200;
    }
    assert_int_equal(found, written);
}

#define RULE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_log_writer_refuses_to_start_where_it_cannot_write),
        RULE(test_log_writer_makes_its_folder),
        RULE(test_log_writer_survives_a_full_disk),
        RULE(test_log_writer_accounts_for_every_event),
        RULE(test_log_writer_tells_when_old_files_stay),
        RULE(test_log_writer_opens_anew_when_told),
        RULE(test_log_writer_rotates_on_the_injected_clock),
        RULE(test_log_writer_writes_both_streams_to_a_descriptor),
        RULE(test_log_writer_accounts_for_all_records_of_all_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
