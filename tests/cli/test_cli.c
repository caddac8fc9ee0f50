/* test_cli.c: finding commands in the parts' tables, help, and the exit statuses.
 *
 * The parts are the command line's own and one of the test's, so that nothing is served.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/scripted.h"

#include "cli/cli.h"
#include "core/command.h"
#include "core/config.h"

static int test_seen_argc;
static char test_seen_first[32];

static int test_greet(const struct part *const *parts, int argc, char **argv)
{
    (void)parts;
    test_seen_argc = argc;
    (void)snprintf(test_seen_first, sizeof test_seen_first, "%s", argv[0]);
    return argc > 1 && strcmp(argv[1], "fail") == 0 ? 1 : 0;
}

static const struct command test_commands[] = {
    {"greet", "[NAME]", "Say hello.", "Greets whom you name.", test_greet}, {0}};
static const struct config_key test_admin[] = {
    {.name = "socket", .type = CONFIG_FILE, .fallback = "var/plimsoll.sock", .help = "Socket."},
    {0}};
static const struct config_key test_keys[] = {
    {.name = "admin", .type = CONFIG_GROUP, .keys = test_admin, .help = "Admin."},
    {.name = "count", .type = CONFIG_INT, .min = 1, .max = 9, .fallback = "1", .help = "Count."},
    {0}};

static void test_examine(struct node *n, struct config *config, struct config_report *report)
{
    (void)n;
    const struct config_node *count = config_child(config_root(config), "count");
    if (config_int(config_root(config), "count") == 7)
        (void)config_fault(count, report, "seven means nothing here");
}

static const struct part test_part = {
    .name = "test", .commands = test_commands, .config = test_keys, .examine = test_examine};
static const struct part *const test_parts[] = {&test_part, &cli_part, NULL};

static struct scripted_output output;

/* Runs `plimsoll WORDS...`; words end with NULL. */
static int run(const char *const *words)
{
    static char text[12][256];
    char *argv[13] = {text[0]};
    int argc = 1;
    (void)snprintf(text[0], sizeof text[0], "plimsoll");
    for (; *words != NULL && argc < 12; words++, argc++) {
        (void)snprintf(text[argc], sizeof text[argc], "%s", *words);
        argv[argc] = text[argc];
    }
    test_seen_argc = -1;
    scripted_capture(&output);
    int status = cli_main(test_parts, argc, argv);
    scripted_release(&output);
    return status;
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void assert_says(unsigned stream, const char *wanted)
{
    if (strstr(output.text[stream], wanted) == NULL)
        fail_msg("\"%s\" is not in: %s", wanted, output.text[stream]);
}

static void test_cli_a_command_of_any_part_is_run_with_its_arguments(void **state)
{
    (void)state;
    assert_int_equal(RUN("greet", "Ann"), 0);
    assert_int_equal(test_seen_argc, 2);
    assert_string_equal(test_seen_first, "greet");
    assert_int_equal(RUN("greet", "fail"), 1);
}

static void test_cli_an_unknown_command_is_wrong_usage(void **state)
{
    (void)state;
    assert_int_equal(RUN("gret"), 2);
    assert_says(1, "there is no command \"gret\"");
    assert_int_equal(RUN("gre"), 2);
    assert_int_equal(RUN("greets"), 2);
    assert_int_equal(RUN(""), 2);
    assert_int_equal(RUN("help", "gret"), 2);
    assert_int_equal(RUN("help", "greet", "more"), 2);
    assert_int_equal(RUN("version", "more"), 2);
    assert_int_equal(run((const char *const[]){NULL}), 2);
    assert_says(1, "Commands:");
    assert_string_equal(output.text[0], "");
}

static void test_cli_help_lists_the_commands_of_all_parts(void **state)
{
    (void)state;
    assert_int_equal(RUN("help"), 0);
    assert_says(0, "  greet      Say hello.\n");
    for (const struct command *c = cli_part.commands; c->name != NULL; c++) {
        char line[64];
        (void)snprintf(line, sizeof line, "\n  %-10s ", c->name);
        assert_says(0, line);
    }
    assert_int_equal(RUN("--help"), 0);
    assert_says(0, "greet");
}

static void test_cli_help_of_a_command_does_not_run_it(void **state)
{
    (void)state;
    static const char *const ways[][3] = {
        {"help", "greet", NULL}, {"greet", "--help", NULL}, {"greet", "-h", NULL}};
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        assert_int_equal(run(ways[i]), 0);
        assert_string_equal(
            output.text[0],
            "Say hello.\n\nUsage: plimsoll greet [NAME]\n\nGreets whom you name.\n");
        assert_int_equal(test_seen_argc, -1);
    }
}

static void test_cli_check_finds_errors_of_form_and_of_meaning(void **state)
{
    (void)state;
    struct scratch folder;
    char path[512];
    scratch_make(&folder);
    (void)snprintf(path, sizeof path, "%s", scratch_path(&folder, "p.yaml"));
    scratch_write(&folder, "p.yaml", "count: 3\n");
    assert_int_equal(RUN("check", path), 0);
    assert_says(0, "p.yaml: no errors\n");
    scratch_write(&folder, "p.yaml", "count: 12\ncont: 1\n");
    assert_int_equal(RUN("check", path), 1);
    assert_says(1, "p.yaml:1:8: count: ");
    assert_says(1, "p.yaml:2:1: cont: ");
    scratch_write(&folder, "p.yaml", "\ncount: 7\n");
    assert_int_equal(RUN("check", "--config", path), 1);
    assert_says(1, "p.yaml:2:8: count: seven means nothing here\n");
    assert_int_equal(RUN("check", scratch_path(&folder, "absent.yaml")), 1);
    assert_says(1, "absent.yaml");
    assert_int_equal(RUN("check", path, path), 2);
    assert_int_equal(RUN("check", path, "--config", path), 2);
    scratch_remove(&folder);
}

static void test_cli_docs_writes_what_the_tables_say(void **state)
{
    (void)state;
    struct scratch folder;
    struct buf text;
    scratch_make(&folder);
    buf_init(&text, 1024 * 1024);
    assert_int_equal(RUN("docs", "--output", folder.path), 0);
    assert_int_equal(scratch_count(&folder), 3);
    assert_non_null(strstr(scratch_read(&folder, "configuration.md", &text), "`count`"));
    assert_non_null(strstr(scratch_read(&folder, "plimsoll.schema.json", &text), "\"count\""));
    assert_non_null(strstr(scratch_read(&folder, "metrics.md", &text), "plimsoll_log_"));
    assert_int_equal(RUN("docs", "--output", "/nonexistent"), 1);
    assert_int_equal(RUN("docs", folder.path), 2);
    buf_done(&text);
    scratch_remove(&folder);
}

static void test_cli_serve_takes_a_file_or_flags_and_not_both(void **state)
{
    (void)state;
    assert_int_equal(RUN("serve"), 2);
    assert_int_equal(RUN("serve", "--config", "a", "--upstream", "h:1"), 2);
    assert_int_equal(RUN("serve", "--config", "a", "--user", "nobody"), 2);
    assert_int_equal(RUN("serve", "--listen", "h:1"), 2);
    assert_int_equal(RUN("serve", "--upstream", "h:1", "word"), 2);
    assert_says(1, "plimsoll serve: ");
}

/* ---- what the control socket answers ---- */

static int test_control(const char *answer, const char *const *words, char *request)
{
    const char *all[12];
    struct scripted s;
    size_t count = 0;
    char whole[8192];
    (void)snprintf(whole, sizeof whole, "HTTP/1.1 %s", answer);
    scripted_begin(&s, whole, 0);
    for (; words[count] != NULL; count++)
        all[count] = words[count];
    all[count++] = "--socket";
    all[count++] = s.path;
    all[count] = NULL;
    int status = run(all);
    scripted_end(&s);
    (void)snprintf(request, 128, "%.*s", (int)strcspn(s.request, "\r"), s.request);
    return status;
}

#define CONTROL(answer, request, ...)                                                              \
    test_control(answer, (const char *const[]){__VA_ARGS__, NULL}, request)

static void test_cli_reload_tells_what_changed_or_what_is_wrong(void **state)
{
    (void)state;
    char request[128];
    assert_int_equal(
        CONTROL("200 OK\r\n\r\n{\"reloaded\": true, \"restart_keys\": 2}", request, "reload"), 0);
    assert_string_equal(request, "POST /api/admin/reload HTTP/1.1");
    assert_string_equal(output.text[0],
                        "reloaded\n2 changed key(s) wait for a restart; the log names them\n");
    assert_int_equal(
        CONTROL(
            "422 Unprocessable Content\r\n\r\n{\"reloaded\": false, \"restart_keys\": 0, "
            "\"errors\": [{\"file\": \"p.yaml\", \"line\": 3, \"column\": 7, \"text\": \"no\"}]}",
            request, "reload"),
        1);
    assert_string_equal(output.text[1],
                        "p.yaml:3:7: no\nplimsoll: not reloaded, nothing has changed\n");
    assert_int_equal(
        CONTROL("409 Conflict\r\n\r\n{\"title\": \"Conflict\", \"detail\": \"by flags\"}", request,
                "reload"),
        1);
    assert_string_equal(output.text[1], "plimsoll: by flags\n");
    assert_int_equal(CONTROL("200 OK\r\n\r\n<html>", request, "reload"), 1);
    assert_says(1, "not JSON");
}

static void test_cli_orders_are_sent_to_the_right_place(void **state)
{
    (void)state;
    char request[128];
    assert_int_equal(CONTROL("200 OK\r\n\r\n{\"state\": \"draining\"}", request, "target", "drain",
                             "shop", "127.0.0.1:3001"),
                     0);
    assert_string_equal(request,
                        "POST /api/admin/targets/shop/drain?target=127.0.0.1%3A3001 HTTP/1.1");
    assert_string_equal(output.text[0], "127.0.0.1:3001: draining\n");
    assert_int_equal(
        CONTROL("200 OK\r\n\r\n{\"state\": \"forced-open\"}", request, "breaker", "open", "shop"),
        0);
    assert_string_equal(request, "POST /api/admin/breakers/shop/open HTTP/1.1");
    assert_int_equal(CONTROL("200 OK\r\n\r\n{\"state\": \"up\"}", request, "target", "undrain",
                             "a b", "unix:/run/[x].sock"),
                     0);
    assert_string_equal(
        request,
        "POST /api/admin/targets/a%20b/undrain?target=unix%3A%2Frun%2F%5Bx%5D.sock HTTP/1.1");
    assert_int_equal(CONTROL("404 Not Found\r\n\r\n{\"title\": \"Not Found\"}", request, "breaker",
                             "auto", "shop"),
                     1);
    assert_string_equal(output.text[1], "plimsoll: Not Found\n");
    assert_int_equal(RUN("target", "stop", "shop", "h:1"), 2);
    assert_int_equal(RUN("target", "drain", "shop"), 2);
    assert_int_equal(RUN("breaker", "half", "shop"), 2);
    assert_int_equal(RUN("breaker"), 2);
}

static void test_cli_status_is_for_people_or_for_programs(void **state)
{
    (void)state;
    static const char answer[] =
        "200 OK\r\n\r\n{\"version\": \"1.2.3\", \"pid\": 42, \"uptime_ms\": 7999, \"draining\": "
        "true,"
        "\"listeners\": [{\"address\": \"0.0.0.0:8443\", \"tls\": true}],"
        "\"traffic\": {\"connections\": 3, \"requests_running\": 2, \"tunnels\": 1},"
        "\"latency\": {\"requests\": 9, \"p50_ms\": 0.5, \"p90_ms\": 1, \"p99_ms\": 2},"
        "\"upstreams\": [{\"name\": \"shop\", \"breaker\": null, \"retries_left\": 100, "
        "\"targets\": "
        "[{\"address\": \"h:1\", \"state\": \"down\", \"reason\": \"refused\", \"in_flight\": "
        "4}]}]}";
    char request[128];
    assert_int_equal(CONTROL(answer, request, "status"), 0);
    assert_string_equal(request, "GET /api/admin/status HTTP/1.1");
    assert_says(0, "plimsoll 1.2.3, pid 42, up 7 s, draining\n");
    assert_says(0, "listens   0.0.0.0:8443 (TLS)\n");
    assert_says(0, "3 connections, 2 requests, 1 WebSockets");
    assert_says(0, "breaker none  retries left 100");
    assert_says(0, "in flight 4");
    assert_says(0, "(refused)");
    assert_null(strchr(output.text[0], '\033'));
    assert_int_equal(CONTROL(answer, request, "status", "--json"), 0);
    assert_int_equal(output.text[0][0], '{');
    assert_says(0, "\"pid\": 42");
    assert_int_equal(RUN("status", "word"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cli_a_command_of_any_part_is_run_with_its_arguments),
        cmocka_unit_test(test_cli_an_unknown_command_is_wrong_usage),
        cmocka_unit_test(test_cli_help_lists_the_commands_of_all_parts),
        cmocka_unit_test(test_cli_help_of_a_command_does_not_run_it),
        cmocka_unit_test(test_cli_check_finds_errors_of_form_and_of_meaning),
        cmocka_unit_test(test_cli_docs_writes_what_the_tables_say),
        cmocka_unit_test(test_cli_serve_takes_a_file_or_flags_and_not_both),
        cmocka_unit_test(test_cli_reload_tells_what_changed_or_what_is_wrong),
        cmocka_unit_test(test_cli_orders_are_sent_to_the_right_place),
        cmocka_unit_test(test_cli_status_is_for_people_or_for_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
