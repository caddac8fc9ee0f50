/* test_log_dir.c: only our own files, only the old ones, never the newest.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include "core/clock.h"
#include "core/fault_point.h"
#include "core/log_dir.h"

#define DAY_NS LOG_DIR_DAY_NS
/* 2026-11-21T10:00:00Z */
#define NOW_NS (20778 * DAY_NS + 36000 * (uint64_t)1000000000u)

static struct scratch folder;

static int set_up(void **state)
{
    (void)state;
    scratch_make(&folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fault_point_disarm();
    scratch_remove(&folder);
    return 0;
}

static struct log_dir_limits limits(uint64_t closed_max_bytes)
{
    return (struct log_dir_limits){
        .wall_ns = NOW_NS, .retention_days = 90, .closed_max_bytes = closed_max_bytes};
}

static void prune(uint64_t closed_max_bytes)
{
    struct log_dir_limits l = limits(closed_max_bytes);
    assert_true(err_ok(log_dir_prune(folder.path, &l, NULL)));
}

static void test_log_dir_reads_back_the_names_that_it_makes(void **state)
{
    (void)state;
    static const unsigned parts[] = {0, 1, 9, 10, 999999};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        struct log_dir_name name = {.stream = "access", .date = "2026-11-21", .part = parts[i]};
        struct log_dir_name back;
        char path[LOG_DIR_PATH_BYTES];
        assert_true(err_ok(log_dir_path("x", &name, path)));
        assert_true(err_ok(log_dir_parse(span_from(path + 2), &back)));
        assert_string_equal(back.stream, name.stream);
        assert_string_equal(back.date, name.date);
        assert_int_equal(back.part, name.part);
    }
    char date[LOG_DIR_DATE_BYTES];
    log_dir_date(NOW_NS, date);
    assert_string_equal(date, "2026-11-21");
}

static void test_log_dir_refuses_names_that_it_would_not_make(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",
        ".jsonl",
        "access.jsonl",
        "access-2026-11-21",
        "access-2026-11-21.json",
        "access-2026-11-21.jsonl.gz",
        "-2026-11-21.jsonl",
        "Access-2026-11-21.jsonl",
        "access-2026-11-2.jsonl",
        "access-2026-1a-21.jsonl",
        "access-2026-11-21-.jsonl",
        "access-2026-11-21-0.jsonl",
        "access-2026-11-21-01.jsonl",
        "access-2026-11-21-x.jsonl",
        "access-2026-11-21-1000000.jsonl",
        "access-2026-11-21_1.jsonl",
        "access_2026-11-21.jsonl",
        "averyveryverylongname-2026-11-21.jsonl",
        "access-2026-11-21-1.jsonl~",
        "a.jsonl",
    };
    struct log_dir_name name;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (err_ok(log_dir_parse(span_from(names[i]), &name)))
            fail_msg("took %s", names[i]);
}

static void test_log_dir_refuses_a_path_that_does_not_fit(void **state)
{
    (void)state;
    static char deep[LOG_DIR_PATH_BYTES];
    memset(deep, 'd', sizeof deep - 1);
    struct log_dir_name name = {.stream = "access", .date = "2026-11-21"};
    char path[LOG_DIR_PATH_BYTES];
    assert_true(err_is(log_dir_path(deep, &name, path), ERR_TOO_LARGE));
    assert_true(err_ok(log_dir_path(deep + 100, &name, path)));
}

static void test_log_dir_finds_the_last_part_of_a_day(void **state)
{
    (void)state;
    unsigned part = 99;
    assert_true(err_ok(log_dir_last_part(folder.path, "access", "2026-11-21", &part, NULL)));
    assert_int_equal(part, 0);
    scratch_write(&folder, "access-2026-11-21-9.jsonl", "");
    scratch_write(&folder, "access-2026-11-21-10.jsonl", "");
    scratch_write(&folder, "access-2026-11-20-77.jsonl", "");
    scratch_write(&folder, "plimsoll-2026-11-21-50.jsonl", "");
    assert_true(err_ok(log_dir_last_part(folder.path, "access", "2026-11-21", &part, NULL)));
    assert_int_equal(part, 10);
}

static void test_log_dir_keeps_ninety_days(void **state)
{
    (void)state;
    scratch_write(&folder, "access-2026-08-22.jsonl", ""); /* 91 days ago */
    scratch_write(&folder, "access-2026-08-23.jsonl", ""); /* 90 */
    scratch_write(&folder, "access-2026-11-21.jsonl", "");
    prune(UINT64_MAX);
    assert_false(scratch_has(&folder, "access-2026-08-22.jsonl"));
    assert_true(scratch_has(&folder, "access-2026-08-23.jsonl"));
    assert_true(scratch_has(&folder, "access-2026-11-21.jsonl"));
}

static void test_log_dir_deletes_the_oldest_until_the_rest_fits(void **state)
{
    (void)state;
    scratch_size(&folder, "access-2026-11-19.jsonl", 100);
    scratch_size(&folder, "plimsoll-2026-11-19.jsonl", 100);
    scratch_size(&folder, "access-2026-11-20.jsonl", 100);
    scratch_size(&folder, "access-2026-11-20-2.jsonl", 100);
    scratch_size(&folder, "access-2026-11-20-10.jsonl", 1000); /* newest: not counted */
    scratch_size(&folder, "plimsoll-2026-11-20.jsonl", 1000);
    prune(400);
    assert_int_equal(scratch_count(&folder), 6);
    prune(399);
    assert_int_equal(scratch_count(&folder), 5);
    assert_false(scratch_has(&folder, "access-2026-11-19.jsonl"));
    prune(100);
    assert_true(scratch_has(&folder, "access-2026-11-20-2.jsonl"));
    assert_int_equal(scratch_count(&folder), 3);
}

static void test_log_dir_never_deletes_the_newest_of_a_stream(void **state)
{
    (void)state;
    scratch_size(&folder, "access-2019-01-01.jsonl", 100);
    scratch_size(&folder, "plimsoll-2020-01-01-1.jsonl", 100);
    scratch_size(&folder, "plimsoll-2020-01-01.jsonl", 100);
    prune(0);
    assert_true(scratch_has(&folder, "access-2019-01-01.jsonl"));
    assert_true(scratch_has(&folder, "plimsoll-2020-01-01-1.jsonl"));
    assert_int_equal(scratch_count(&folder), 2);
}

static void test_log_dir_leaves_alone_what_is_not_its_own(void **state)
{
    (void)state;
    scratch_write(&folder, "access-2019-01-01.jsonl.bak", "mine");
    scratch_write(&folder, "notes", "mine");
    assert_int_equal(mkdir(scratch_path(&folder, "access-2019-01-02.jsonl"), 0700), 0);
    assert_int_equal(symlink("notes", scratch_path(&folder, "access-2019-01-03.jsonl")), 0);
    scratch_write(&folder, "access-2026-11-21.jsonl", "");
    prune(0);
    assert_int_equal(scratch_count(&folder), 5);
}

static void test_log_dir_deletes_the_others_when_one_cannot_be(void **state)
{
    (void)state;
    scratch_write(&folder, "access-2019-01-01.jsonl", "");
    scratch_write(&folder, "access-2019-01-02.jsonl", "");
    scratch_write(&folder, "access-2019-01-03.jsonl", "");
    struct log_dir_limits l = limits(UINT64_MAX);
    struct fault why = {0};
    fault_point_arm("log.unlink", 1, false);
    assert_true(err_is(log_dir_prune(folder.path, &l, &why), ERR_IO));
    assert_non_null(strstr(why.text, "access-2019-01-01.jsonl"));
    assert_int_equal(scratch_count(&folder), 2);
    fault_point_disarm();
    prune(UINT64_MAX);
    assert_int_equal(scratch_count(&folder), 1);
}

static void test_log_dir_reports_a_folder_that_is_not_there(void **state)
{
    (void)state;
    struct fault why = {0};
    struct log_dir_limits l = limits(0);
    unsigned part;
    const char *nowhere = "/nonexistent/plimsoll";
    assert_true(err_is(log_dir_prune(nowhere, &l, &why), ERR_IO));
    assert_non_null(strstr(why.text, "No such file"));
    assert_true(err_is(log_dir_last_part(nowhere, "access", "2026-11-21", &part, &why), ERR_IO));
    assert_true(err_is(log_dir_make(nowhere, &why), ERR_IO));
    assert_true(err_ok(log_dir_make(folder.path, &why))); /* there already */
    fault_point_arm("log.mkdir", 1, false);
    assert_true(err_is(log_dir_make(folder.path, &why), ERR_IO));
    fault_point_arm("log.scan", 1, false);
    assert_true(err_is(log_dir_prune(folder.path, &l, &why), ERR_IO));
}

#define RULE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_log_dir_reads_back_the_names_that_it_makes),
        RULE(test_log_dir_refuses_names_that_it_would_not_make),
        RULE(test_log_dir_refuses_a_path_that_does_not_fit),
        RULE(test_log_dir_finds_the_last_part_of_a_day),
        RULE(test_log_dir_keeps_ninety_days),
        RULE(test_log_dir_deletes_the_oldest_until_the_rest_fits),
        RULE(test_log_dir_never_deletes_the_newest_of_a_stream),
        RULE(test_log_dir_leaves_alone_what_is_not_its_own),
        RULE(test_log_dir_deletes_the_others_when_one_cannot_be),
        RULE(test_log_dir_reports_a_folder_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
