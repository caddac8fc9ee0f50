/* test_cli_client.c: one request to a control socket that answers in every way.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/scripted.h"

#include "cli/cli_client.h"
#include "core/config.h"
#include "core/part.h"

static const struct config_key test_admin[] = {
    {.name = "socket", .type = CONFIG_FILE, .fallback = "var/plimsoll.sock", .help = "Socket."},
    {0}};
static const struct config_key test_keys[] = {
    {.name = "admin", .type = CONFIG_GROUP, .keys = test_admin, .help = "Admin."}, {0}};
static const struct part test_part = {.name = "test", .config = test_keys};
static const struct part *const test_parts[] = {&test_part, NULL};

struct test_call {
    err outcome;
    unsigned status;
    char body[256];
    struct fault why;
};

static void test_ask(const struct cli_client_where *where, struct test_call *out)
{
    struct cli_client_answer answer = {0};
    memset(out, 0, sizeof *out);
    out->outcome =
        cli_client_call(test_parts, where, "POST", "/api/admin/x%20y", &answer, &out->why);
    out->status = answer.status;
    if (answer.body.len > 0)
        (void)snprintf(out->body, sizeof out->body, "%.*s", (int)answer.body.len, answer.body.at);
    buf_done(&answer.body);
}

static void test_script(const char *answer, size_t step_bytes, struct test_call *out, char *request)
{
    struct scripted s;
    scripted_begin(&s, answer, step_bytes);
    test_ask(&(struct cli_client_where){.socket_path = s.path}, out);
    scripted_end(&s);
    if (request != NULL)
        (void)snprintf(request, sizeof s.request, "%s", s.request);
}

static void test_cli_client_sends_a_whole_request_and_returns_the_answer(void **state)
{
    (void)state;
    struct test_call call;
    char request[4096];
    test_script("HTTP/1.1 422 Unprocessable Content\r\ncontent-length: 2\r\n\r\n{}", 0, &call,
                request);
    assert_true(err_ok(call.outcome));
    assert_int_equal(call.status, 422);
    assert_string_equal(call.body, "{}");
    assert_string_equal(request, "POST /api/admin/x%20y HTTP/1.1\r\nhost: control\r\n"
                                 "content-length: 0\r\nconnection: close\r\n\r\n");
}

static void test_cli_client_takes_an_answer_byte_by_byte(void **state)
{
    (void)state;
    struct test_call call;
    test_script("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\": 12}", 1, &call, NULL);
    assert_true(err_ok(call.outcome));
    assert_int_equal(call.status, 200);
    assert_string_equal(call.body, "{\"a\": 12}");
}

static void test_cli_client_refuses_what_is_no_whole_answer(void **state)
{
    (void)state;
    static const char *const answers[] = {"", "HTTP/1.1 200 OK\r\ncontent-le",
                                          "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 OK\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\": 1"};
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct test_call call;
        test_script(answers[i], 0, &call, NULL);
        if (!err_is(call.outcome, ERR_IO) || call.why.text[0] == '\0')
            fail_msg("answer %zu was taken", i);
    }
}

static void test_cli_client_says_where_nobody_answers(void **state)
{
    (void)state;
    struct test_call call;
    test_ask(&(struct cli_client_where){.socket_path = "/nonexistent/s.sock"}, &call);
    assert_true(err_is(call.outcome, ERR_IO));
    assert_non_null(strstr(call.why.text, "/nonexistent/s.sock"));
    char path[256];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    test_ask(&(struct cli_client_where){.socket_path = path}, &call);
    assert_true(err_is(call.outcome, ERR_IO));
    assert_non_null(strstr(call.why.text, "too long"));
}

static void test_cli_client_finds_the_socket_by_the_configuration(void **state)
{
    (void)state;
    struct scripted s;
    struct test_call call;
    char config[512], text[256];
    scripted_begin(&s, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 0);
    (void)snprintf(text, sizeof text, "admin: {socket: s.sock}\n"); /* beside the file */
    scratch_write(&s.folder, "p.yaml", text);
    (void)snprintf(config, sizeof config, "%s", scratch_path(&s.folder, "p.yaml"));
    test_ask(&(struct cli_client_where){.config_path = config}, &call);
    scripted_end(&s);
    assert_true(err_ok(call.outcome));
    assert_int_equal(call.status, 200);
}

static void test_cli_client_says_why_a_configuration_names_no_socket(void **state)
{
    (void)state;
    struct scratch folder;
    struct test_call call;
    char config[512];
    scratch_make(&folder);
    scratch_write(&folder, "p.yaml", "admin:\n  sockt: s.sock\n");
    (void)snprintf(config, sizeof config, "%s", scratch_path(&folder, "p.yaml"));
    test_ask(&(struct cli_client_where){.config_path = config}, &call);
    scratch_remove(&folder);
    assert_true(err_is(call.outcome, ERR_IO));
    assert_non_null(strstr(call.why.text, "p.yaml:2:3: admin.sockt"));
    assert_non_null(strstr(call.why.text, "give --socket"));
}

static void test_cli_client_falls_back_to_the_default_socket(void **state)
{
    (void)state;
    struct test_call call;
    test_ask(&(struct cli_client_where){.config_path = "/nonexistent/plimsoll.yaml"}, &call);
    assert_true(err_is(call.outcome, ERR_IO));
    assert_non_null(strstr(call.why.text, "var/plimsoll.sock"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cli_client_sends_a_whole_request_and_returns_the_answer),
        cmocka_unit_test(test_cli_client_takes_an_answer_byte_by_byte),
        cmocka_unit_test(test_cli_client_refuses_what_is_no_whole_answer),
        cmocka_unit_test(test_cli_client_says_where_nobody_answers),
        cmocka_unit_test(test_cli_client_finds_the_socket_by_the_configuration),
        cmocka_unit_test(test_cli_client_says_why_a_configuration_names_no_socket),
        cmocka_unit_test(test_cli_client_falls_back_to_the_default_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
