/* test_log_file.c: every line lands whole in the file of its day, whatever the disk does.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include <signal.h>
#include <sys/resource.h>

#include "core/fault_point.h"
#include "core/log_dir.h"
#include "core/log_file.h"

#define DAY_NS LOG_DIR_DAY_NS
/* 2026-11-21T23:59:59Z */
#define LATE_NS (20779 * DAY_NS - 1000000000u)

static struct scratch folder;
static struct log_file file;
static struct buf text;

static void start(uint64_t file_max_bytes)
{
    struct log_file_options options = {.directory = folder.path,
                                       .stream = "access",
                                       .file_max_bytes = file_max_bytes,
                                       .closed_max_bytes = UINT64_MAX,
                                       .retention_days = 90};
    log_file_init(&file, &options);
}

static int set_up(void **state)
{
    (void)state;
    scratch_make(&folder);
    buf_init(&text, 1 << 20);
    start(1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fault_point_disarm();
    log_file_close(&file);
    scratch_remove(&folder);
    buf_done(&text);
    return 0;
}

static void put(const char *lines, uint64_t wall_ns)
{
    struct fault why = {0};
    if (log_file_write(&file, span_from(lines), wall_ns, &why) != strlen(lines))
        fail_msg("%s", why.text);
}

static void assert_content(const char *name, const char *expected)
{
    assert_string_equal(scratch_read(&folder, name, &text), expected);
}

static void test_log_file_begins_a_file_at_midnight_utc(void **state)
{
    (void)state;
    put("one\n", LATE_NS);
    put("two\n", LATE_NS + 999999999u);
    put("three\n", LATE_NS + 1000000000u);
    assert_content("access-2026-11-21.jsonl", "one\ntwo\n");
    assert_content("access-2026-11-22.jsonl", "three\n");
    put("back\n", LATE_NS); /* a clock that was set back */
    assert_content("access-2026-11-21.jsonl", "one\ntwo\nback\n");
}

static void test_log_file_is_full_at_its_maximum_and_not_before(void **state)
{
    (void)state;
    start(10);
    put("1234\n", LATE_NS);
    put("5678\n", LATE_NS); /* n */
    assert_int_equal(scratch_count(&folder), 1);
    put("\n", LATE_NS); /* n + 1 */
    assert_content("access-2026-11-21.jsonl", "1234\n5678\n");
    assert_content("access-2026-11-21-1.jsonl", "\n");
    put("12345678\n", LATE_NS); /* n again */
    assert_content("access-2026-11-21-1.jsonl", "\n12345678\n");
    put("longer than a whole file\n", LATE_NS);
    assert_content("access-2026-11-21-2.jsonl", "longer than a whole file\n");
    put("x\n", LATE_NS + DAY_NS);
    assert_content("access-2026-11-22.jsonl", "x\n");
}

static void test_log_file_goes_on_where_an_earlier_process_stopped(void **state)
{
    (void)state;
    scratch_write(&folder, "access-2026-11-21.jsonl", "0123456789\n");
    scratch_write(&folder, "access-2026-11-21-3.jsonl", "old\n");
    start(10);
    put("new\n", LATE_NS);
    assert_content("access-2026-11-21-3.jsonl", "old\nnew\n");
    put("next\n", LATE_NS);
    assert_content("access-2026-11-21-4.jsonl", "next\n");
}

static void test_log_file_separates_a_line_that_a_crash_cut(void **state)
{
    (void)state;
    scratch_write(&folder, "access-2026-11-21.jsonl", "{\"cut\":");
    put("new\n", LATE_NS);
    assert_content("access-2026-11-21.jsonl", "{\"cut\":\nnew\n");
}

static void test_log_file_follows_deletion_renaming_and_truncation(void **state)
{
    (void)state;
    put("one\n", LATE_NS);
    assert_int_equal(unlink(scratch_path(&folder, "access-2026-11-21.jsonl")), 0);
    put("two\n", LATE_NS);
    assert_content("access-2026-11-21.jsonl", "two\n");
    char old[512];
    (void)snprintf(old, sizeof old, "%s", scratch_path(&folder, "access-2026-11-21.jsonl"));
    assert_int_equal(rename(old, scratch_path(&folder, "kept")), 0);
    log_file_close(&file); /* as log_reopen does */
    put("three\n", LATE_NS);
    assert_content("access-2026-11-21.jsonl", "three\n");
    assert_int_equal(truncate(scratch_path(&folder, "access-2026-11-21.jsonl"), 0), 0);
    put("four\n", LATE_NS);
    assert_content("access-2026-11-21.jsonl", "four\n");
}

static void test_log_file_deletes_what_is_past_retention(void **state)
{
    (void)state;
    for (unsigned day = 0; day < 100; day++)
        put("x\n", LATE_NS + day * DAY_NS);
    assert_int_equal(scratch_count(&folder), 91); /* today and 90 days before */
    assert_false(scratch_has(&folder, "access-2026-11-29.jsonl"));
    assert_true(scratch_has(&folder, "access-2026-11-30.jsonl"));
}

static void test_log_file_keeps_within_the_bytes_of_all_files(void **state)
{
    (void)state;
    start(10);
    file.options.closed_max_bytes = 30;
    for (unsigned i = 0; i < 20; i++)
        put("12345678\n", LATE_NS);
    assert_int_equal(scratch_count(&folder), 4); /* three closed and the open one */
    assert_true(scratch_has(&folder, "access-2026-11-21-19.jsonl"));
    assert_true(scratch_has(&folder, "access-2026-11-21-16.jsonl"));
}

static void test_log_file_tells_when_old_files_stay(void **state)
{
    (void)state;
    scratch_write(&folder, "access-2019-01-01.jsonl", "");
    fault_point_arm("log.unlink", 1, false);
    put("one\n", LATE_NS);
    assert_int_equal(file.prune_why.code, ERR_IO);
    log_file_close(&file);
    put("two\n", LATE_NS);
    assert_int_equal(file.prune_why.code, ERR_NONE);
    assert_false(scratch_has(&folder, "access-2019-01-01.jsonl"));
}

static void test_log_file_refuses_what_is_no_regular_file(void **state)
{
    (void)state;
    struct fault why = {0};
    assert_int_equal(symlink("elsewhere", scratch_path(&folder, "access-2026-11-21.jsonl")), 0);
    assert_int_equal(log_file_write(&file, SPAN("x\n"), LATE_NS, &why), 0);
    assert_int_equal(why.code, ERR_IO);
    assert_false(scratch_has(&folder, "elsewhere"));
    assert_int_equal(mkfifo(scratch_path(&folder, "access-2026-11-22.jsonl"), 0600), 0);
    assert_int_equal(log_file_write(&file, SPAN("x\n"), LATE_NS + DAY_NS, &why), 0);
    assert_int_equal(why.code, ERR_IO);
    put("x\n", LATE_NS + 2 * DAY_NS);
}

/* The kernel itself cuts the write short: a limit on the size of files. */
static void test_log_file_takes_a_cut_line_back(void **state)
{
    (void)state;
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 20;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
    assert_int_equal(sigaction(SIGXFSZ, &ignore, &old), 0);
    put("first\n", LATE_NS);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct fault why = {0};
    size_t kept = log_file_write(&file, SPAN("second\nthird is too long\n"), LATE_NS, &why);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(sigaction(SIGXFSZ, &old, NULL), 0);
    assert_int_equal(kept, strlen("second\n"));
    assert_int_equal(why.code, ERR_IO);
    assert_content("access-2026-11-21.jsonl", "first\nsecond\n");
    put("fourth\n", LATE_NS);
    assert_content("access-2026-11-21.jsonl", "first\nsecond\nfourth\n");
}

/* Fails the nth outside call; what was told to be kept is there, and the next write works. */
static void test_log_file_heals_after_any_failure(void **state)
{
    (void)state;
    scratch_write(&folder, "access-2026-11-20.jsonl", "cut");
    for (unsigned nth = 1, fired = 1; fired > 0; nth++) {
        start(12);
        fault_point_arm("log.", nth, false);
        struct buf expected CLEANUP(buf_done);
        buf_init(&expected, 1000);
        struct fault why = {0};
        for (unsigned i = 0; i < 4; i++) {
            size_t kept = log_file_write(&file, SPAN("line\n"), LATE_NS - DAY_NS, &why);
            assert_true(kept == 0 || kept == 5);
            assert_true(err_ok(buf_append(&expected, "line\n", kept)));
        }
        fired = fault_point_fired();
        fault_point_disarm();
        assert_int_equal(expected.len, fired > 0 && why.code != ERR_NONE ? 15 : 20);
        put("end\n", LATE_NS - DAY_NS);
        log_file_close(&file);
        scratch_remove(&folder);
        scratch_make(&folder);
        scratch_write(&folder, "access-2026-11-20.jsonl", "cut");
        assert_true(nth < 100);
    }
}

#define RULE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_log_file_begins_a_file_at_midnight_utc),
        RULE(test_log_file_is_full_at_its_maximum_and_not_before),
        RULE(test_log_file_goes_on_where_an_earlier_process_stopped),
        RULE(test_log_file_separates_a_line_that_a_crash_cut),
        RULE(test_log_file_follows_deletion_renaming_and_truncation),
        RULE(test_log_file_deletes_what_is_past_retention),
        RULE(test_log_file_keeps_within_the_bytes_of_all_files),
        RULE(test_log_file_tells_when_old_files_stay),
        RULE(test_log_file_refuses_what_is_no_regular_file),
        RULE(test_log_file_takes_a_cut_line_back),
        RULE(test_log_file_heals_after_any_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
