/* test_config_file.c: configuration and secrets from real files, with their permissions.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "core/config_file.h"
#include "core/config_sample.h"
#include "core/fault_point.h"

static struct config_report report;
static char folder[64];

static const char *path_of(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, struct span content, mode_t mode)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content.at, content.len), content.len);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/plimsoll-test-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"p.yaml", "token", "link", "f"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        (void)unlink(path_of(names[i]));
    return rmdir(folder);
}

static err load(struct config **out)
{
    report = (struct config_report){0};
    return config_load_file(sample_tables, path_of("p.yaml"), out, &report);
}

/* The only fault, behind the path of the file; @ stands for the folder. */
static void assert_fault(enum err_code code, const char *expected)
{
    struct config *c = NULL;
    assert_true(err_is(load(&c), code));
    assert_null(c);
    struct buf out CLEANUP(buf_done);
    const char *text = NULL;
    buf_init(&out, 10000);
    assert_true(err_ok(config_report_write(&report, &out)));
    assert_true(err_ok(buf_text(&out, &text)));
    const char *path = path_of("p.yaml");
    assert_memory_equal(text, path, strlen(path));
    text += strlen(path);
    struct buf wanted CLEANUP(buf_done);
    const char *wanted_text = NULL;
    buf_init(&wanted, 1000);
    for (struct span rest = span_from(expected); rest.at != NULL;) {
        assert_true(err_ok(buf_add(&wanted, span_cut(&rest, '@'))));
        assert_true(rest.at == NULL || err_ok(buf_add(&wanted, span_from(folder))));
    }
    assert_true(err_ok(buf_text(&wanted, &wanted_text)));
    assert_string_equal(text, wanted_text);
}

static void assert_token(const char *expected)
{
    struct config *c = NULL;
    err outcome = load(&c);
    if (!err_ok(outcome))
        fail_msg("%s", report.faults[0].text);
    assert_true(secret_equals(config_secret(config_root(c), "admin_token"), span_from(expected)));
    config_unref(c);
}

static void test_file_paths_start_at_its_folder(void **state)
{
    (void)state;
    char expected[128];
    struct config *c = NULL;
    write_file("p.yaml", SPAN("state: a/b.db\n"), 0644);
    assert_true(err_ok(load(&c)));
    (void)snprintf(expected, sizeof expected, "%s/a/b.db", folder);
    assert_string_equal(config_span(config_root(c), "state").at, expected);
    assert_string_equal(config_path(c), path_of("p.yaml"));
    config_unref(c);
    write_file("p.yaml", SPAN("state: /a/b.db\n"), 0644);
    assert_true(err_ok(load(&c)));
    assert_string_equal(config_span(config_root(c), "state").at, "/a/b.db");
    config_unref(c);
    write_file("p.yaml", SPAN(""), 0644);
    assert_true(err_ok(load(&c)));
    (void)snprintf(expected, sizeof expected, "%s/var/state.db", folder);
    assert_string_equal(config_span(config_root(c), "state").at, expected); /* a fallback too */
    config_unref(c);
    assert_true(span_eq(config_file_folder("a/b/c.yaml"), SPAN("a/b/")));
    assert_true(span_eq(config_file_folder("/c.yaml"), SPAN("/")));
    assert_int_equal(config_file_folder("c.yaml").len, 0);
}

static void test_file_that_cannot_be_read_is_an_io_error(void **state)
{
    (void)state;
    assert_fault(ERR_IO, ": cannot open @/p.yaml: No such file or directory\n");
    assert_int_equal(mkdir(path_of("p.yaml"), 0700), 0);
    assert_fault(ERR_IO, ": @/p.yaml is not a regular file\n");
    assert_int_equal(rmdir(path_of("p.yaml")), 0);
    assert_int_equal(mkfifo(path_of("p.yaml"), 0600), 0); /* and does not hang */
    assert_fault(ERR_IO, ": @/p.yaml is not a regular file\n");
}

static void test_file_size_has_a_limit(void **state)
{
    (void)state;
    for (size_t size = CONFIG_FILE_BYTES_MAX - 1; size <= CONFIG_FILE_BYTES_MAX + 1; size++) {
        struct config *c = NULL;
        struct buf text CLEANUP(buf_done);
        buf_init(&text, size);
        for (size_t i = 0; i < size; i++)
            assert_true(err_ok(buf_add_char(&text, i % 64 == 63 ? '\n' : '#')));
        write_file("p.yaml", buf_span(&text), 0600);
        assert_true(err_is(load(&c), size <= CONFIG_FILE_BYTES_MAX ? ERR_NONE : ERR_CONFIG));
        config_unref(c);
    }
    assert_fault(ERR_CONFIG, ": @/p.yaml has 1048577 bytes; allowed are 1048576\n");
}

static void test_secret_file_is_read_without_its_line_end(void **state)
{
    (void)state;
    write_file("p.yaml", SPAN("admin_token: file:token\n"), 0644);
    write_file("token", SPAN("hunter2-hunter2"), 0600);
    assert_token("hunter2-hunter2");
    write_file("token", SPAN("hunter2-hunter2\n"), 0640);
    assert_token("hunter2-hunter2");
    write_file("token", SPAN("hunter2-hunter2\r\n"), 0400);
    assert_token("hunter2-hunter2");
    write_file("token", SPAN("hunter2-hunter\n\n"), 0600);
    assert_token("hunter2-hunter\n");
    assert_int_equal(symlink("token", path_of("link")), 0);
    write_file("p.yaml", SPAN("admin_token: file:link\n"), 0644);
    assert_token("hunter2-hunter\n");
    assert_int_equal(setenv("PLIMSOLL_TEST_FOLDER", folder, 1), 0);
    write_file("p.yaml", SPAN("admin_token: file:${PLIMSOLL_TEST_FOLDER}/token\n"), 0644);
    assert_token("hunter2-hunter\n");
}

static void test_secret_file_that_others_can_read_is_an_error(void **state)
{
    (void)state;
    write_file("p.yaml", SPAN("admin_token: file:token\n"), 0644);
    write_file("token", SPAN("hunter2-hunter2\n"), 0644);
    assert_fault(
        ERR_CONFIG,
        ":1:14: admin_token: others can read @/token (mode 0644); take that away: chmod o-r\n");
    write_file("token", SPAN("hunter2-hunter2\n"), 0604);
    assert_fault(
        ERR_CONFIG,
        ":1:14: admin_token: others can read @/token (mode 0604); take that away: chmod o-r\n");
}

static void test_secret_file_that_is_missing_or_wrong_is_an_error(void **state)
{
    (void)state;
    write_file("p.yaml", SPAN("workers: 1\nadmin_token: file:token\n"), 0644);
    assert_fault(ERR_CONFIG,
                 ":2:14: admin_token: cannot open @/token: No such file or directory\n");
    write_file("token", SPAN("\n"), 0600);
    assert_fault(ERR_CONFIG, ":2:14: admin_token: found an empty secret; expected a secret: text, "
                             "${NAME} or file:path, from 8 to 16 bytes\n");
    write_file("token", SPAN("hunter2-hunter2-hunter2"), 0600);
    assert_fault(ERR_CONFIG, ":2:14: admin_token: found a secret of another length; expected a "
                             "secret: text, ${NAME} or file:path, from 8 to 16 bytes\n");
    write_file("p.yaml", SPAN("admin_token: \"file:\"\n"), 0644);
    assert_fault(ERR_CONFIG, ":1:14: admin_token: behind \"file:\" must stand a path\n");
}

static void test_secret_in_a_file_that_others_can_read_is_an_error(void **state)
{
    (void)state;
    write_file("p.yaml", SPAN("admin_token: hunter2-hunter2\n"), 0600);
    assert_token("hunter2-hunter2");
    write_file("p.yaml", SPAN("admin_token: hunter2-hunter2\n"), 0640);
    assert_token("hunter2-hunter2");
    write_file("p.yaml", SPAN("admin_token: hunter2-hunter2\n"), 0644);
    assert_fault(ERR_CONFIG,
                 ":1:14: admin_token: a secret stands in a file that others can read (mode 0644); "
                 "use ${NAME} or file:path, or take that away: chmod o-r\n");
    assert_int_equal(setenv("PLIMSOLL_TEST_SECRET", "hunter2-hunter2", 1), 0);
    write_file("p.yaml", SPAN("admin_token: ${PLIMSOLL_TEST_SECRET}\n"), 0644);
    assert_token("hunter2-hunter2");
}

static void test_file_read_stops_at_the_maximum_of_its_buffer(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 9; size++) {
        struct buf out CLEANUP(buf_done);
        struct config_file_info info = {0};
        struct fault why = {0};
        buf_init(&out, 8);
        write_file("f", span_of("123456789", size), 0604);
        err outcome = config_file_read(path_of("f"), &out, &info, &why);
        assert_true(err_is(outcome, size <= 8 ? ERR_NONE : ERR_TOO_LARGE));
        assert_int_equal(out.len, size <= 8 ? size : 0);
        assert_int_equal(info.mode, 0604);
        assert_true(info.is_world_readable);
    }
}

static void test_file_load_survives_every_failure(void **state)
{
    (void)state;
    write_file("p.yaml", SPAN("admin_token: file:token\nstate: a.db\n"), 0600);
    write_file("token", SPAN("hunter2-hunter2\n"), 0600);
    for (unsigned nth = 1;; nth++) {
        struct config *c = NULL;
        fault_point_arm("", nth, false);
        err outcome = load(&c);
        unsigned fired = fault_point_fired();
        fault_point_disarm();
        if (fired == 0) {
            assert_true(err_ok(outcome));
            config_unref(c);
            assert_true(nth > 6);
            return;
        }
        assert_false(err_ok(outcome));
        assert_null(c);
        assert_true(report.count > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_file_paths_start_at_its_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_that_cannot_be_read_is_an_io_error, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_file_size_has_a_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_secret_file_is_read_without_its_line_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_secret_file_that_others_can_read_is_an_error, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_secret_file_that_is_missing_or_wrong_is_an_error,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_secret_in_a_file_that_others_can_read_is_an_error,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_read_stops_at_the_maximum_of_its_buffer, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_file_load_survives_every_failure, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
