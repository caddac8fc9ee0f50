/* test_rights.c: who is asked for, the folders of that user, and that root does not come back.
 *
 * Some tests need root and others its absence; each runs where it can, in a child process where
 * it gives rights away.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include <sys/wait.h>

#include "edge/edge.h"
#include "operate/operate.h"
#include "operate/rights.h"

#define NOBODY 65534

static struct scratch folder;
static struct config_report report;
static const struct part *const test_parts[] = {&operate_part, &edge_part, NULL};

static int set_up(void **state)
{
    (void)state;
    scratch_make(&folder);
    return 0;
}

static void test_remove(const char *name)
{
    (void)remove(scratch_path(&folder, name));
}

static int tear_down(void **state)
{
    (void)state;
    test_remove("a/b/log");
    test_remove("a/b");
    test_remove("run/s.sock");
    scratch_remove(&folder);
    return 0;
}

/* A configuration with this socket and log folder, below the scratch folder. */
static struct config *test_config(const char *more)
{
    const struct config_key *tables[PART_TABLES_MAX];
    struct config *config = NULL;
    char text[2048];
    (void)snprintf(text, sizeof text,
                   "listen: [{address: \"unix:%s/l.sock\"}]\n"
                   "admin: {address: off, socket: %s/run/s.sock}\n"
                   "log: {directory: %s/a/b/log}\n%s",
                   folder.path, folder.path, folder.path, more);
    memset(&report, 0, sizeof report);
    (void)part_config_tables(test_parts, tables, PART_TABLES_MAX);
    if (!err_ok(config_load_text(tables, span_from(text), "test", &config, &report)))
        fail_msg("%s", report.faults[0].text);
    return config;
}

static err test_find(const char *more, struct rights *out, struct fault *why)
{
    struct config *config = test_config(more);
    memset(why, 0, sizeof *why);
    err outcome = rights_find(config_root(config), out, why);
    config_unref(config);
    return outcome;
}

static void test_rights_an_ordinary_user_stays_who_it_is(void **state)
{
    (void)state;
    struct rights rights;
    struct fault why;
    if (geteuid() == 0)
        skip();
    assert_true(err_ok(test_find("", &rights, &why)));
    assert_false(rights.drops);
    assert_true(err_ok(rights_drop(&rights, &why)));
}

static void test_rights_root_must_name_another_user_that_exists(void **state)
{
    (void)state;
    struct rights rights;
    struct fault why;
    if (geteuid() != 0)
        skip();
    assert_true(err_is(test_find("", &rights, &why), ERR_CONFIG));
    assert_non_null(strstr(why.text, "refusing to serve as root"));
    assert_true(err_is(test_find("user: root\n", &rights, &why), ERR_CONFIG));
    assert_non_null(strstr(why.text, "is root"));
    assert_true(err_is(test_find("user: no-such-user\n", &rights, &why), ERR_CONFIG));
    assert_non_null(strstr(why.text, "no user \"no-such-user\""));
    assert_true(err_ok(test_find("user: nobody\n", &rights, &why)));
    assert_true(rights.drops);
    assert_int_equal(rights.uid, NOBODY);
    assert_string_equal(rights.name, "nobody");
}

static void assert_owned(const char *name, uid_t wanted)
{
    struct stat seen;
    assert_int_equal(stat(scratch_path(&folder, name), &seen), 0);
    assert_int_equal(seen.st_uid, wanted);
    assert_int_equal(seen.st_mode & 0007, 0);
}

static void test_rights_missing_folders_are_made_for_the_user(void **state)
{
    (void)state;
    struct rights rights = {
        .drops = geteuid() == 0, .uid = NOBODY, .gid = NOBODY, .name = "nobody"};
    uid_t wanted = rights.drops ? NOBODY : geteuid();
    struct fault why = {0};
    struct config *config = test_config("");
    for (int i = 0; i < 2; i++) { /* the second time they are there */
        assert_true(err_ok(rights_make_folders(config_root(config), &rights, &why)));
        assert_owned("run", wanted);
        assert_owned("a", wanted);
        assert_owned("a/b/log", wanted);
    }
    scratch_write(&folder, "run/s.sock", "");
    assert_true(err_ok(rights_give_socket(config_root(config), &rights, &why)));
    assert_owned("run/s.sock", wanted);
    config_unref(config);
}

static void test_rights_a_file_in_the_way_is_named(void **state)
{
    (void)state;
    struct rights rights = {0};
    struct fault why = {0};
    struct config *config = test_config("");
    scratch_write(&folder, "a", "");
    assert_true(err_is(rights_make_folders(config_root(config), &rights, &why), ERR_IO));
    assert_non_null(strstr(why.text, "/a is not a folder"));
    config_unref(config);
}

static void test_rights_root_is_given_up_for_good(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    pid_t child = fork();
    if (child == 0) {
        struct rights rights = {.drops = true, .uid = NOBODY, .gid = NOBODY, .name = "nobody"};
        bool is_dropped = err_ok(rights_drop(&rights, NULL)) && getuid() == NOBODY &&
                          geteuid() == NOBODY && getgid() == NOBODY && setuid(0) != 0 &&
                          getgroups(0, NULL) <= 1;
        _exit(is_dropped ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rights_an_ordinary_user_stays_who_it_is, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_rights_root_must_name_another_user_that_exists, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_rights_missing_folders_are_made_for_the_user, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_rights_a_file_in_the_way_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rights_root_is_given_up_for_good, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
