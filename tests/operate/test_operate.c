/* test_operate.c: a whole process from configuration to its end, asked by its control socket.
 *
 * It runs in a child of the test, because a process serves once and may give up its rights; all its
 * addresses are Unix sockets in the test's folder. Each wait ends by an event of the child, or
 * fails after a time that no machine needs.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include <jansson.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "edge/edge.h"
#include "observe/observe.h"
#include "operate/operate.h"

#define PATIENCE_TRIES 3000 /* of 10 ms */

static const struct part *const test_parts[] = {&operate_part, &edge_part, &observe_part, NULL};
static struct scratch folder;
static pid_t child;
static char yaml_path[600];

static void test_pause(void)
{
    (void)usleep(10000);
}

static void test_write_config(const char *more)
{
    char text[2048];
    (void)snprintf(text, sizeof text,
                   "listen: [{address: \"unix:%s/l.sock\"}]\n"
                   "admin: {address: off, socket: s.sock}\n"
                   "log: {directory: log}\n"
                   "limit_keys: 1024\nthreads: 1\n%s",
                   folder.path, more);
    if (geteuid() == 0)
        (void)strcat(text, "user: nobody\n");
    scratch_write(&folder, "p.yaml", text);
    assert_int_equal(chmod(yaml_path, 0644), 0);
}

/* Sends one request to the control socket: the body's JSON; *out_status is 0 when nobody answers.
 */
static json_t *test_ask(const char *line, unsigned *out_status)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static char answer[262144];
    char request[512];
    size_t len = 0;
    *out_status = 0;
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.60s/s.sock", folder.path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return NULL;
    }
    int length =
        snprintf(request, sizeof request,
                 "%s HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", line);
    assert_int_equal(send(fd, request, (size_t)length, MSG_NOSIGNAL), length);
    for (ssize_t got; (got = read(fd, answer + len, sizeof answer - 1 - len)) > 0;)
        len += (size_t)got;
    answer[len] = '\0';
    (void)close(fd);
    if (sscanf(answer, "HTTP/1.1 %u", out_status) != 1)
        return NULL;
    const char *body = strstr(answer, "\r\n\r\n");
    return body == NULL ? NULL : json_loads(body + 4, 0, NULL);
}

static void test_begin(const char *more)
{
    scratch_make(&folder);
    if (geteuid() == 0)
        assert_int_equal(chmod(folder.path, 0777), 0);
    (void)snprintf(yaml_path, sizeof yaml_path, "%s/p.yaml", folder.path);
    test_write_config(more);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        exit(operate_serve(test_parts, &(struct operate_source){.path = yaml_path}));
    unsigned status = 0;
    for (int i = 0; i < PATIENCE_TRIES && status != 200; i++) {
        json_decref(test_ask("GET /health/ready", &status));
        test_pause();
    }
    assert_int_equal(status, 200);
}

static int test_wait(void)
{
    int status = -1;
    for (int i = 0; i < PATIENCE_TRIES; i++) {
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
        test_pause();
    }
    fail_msg("the process does not end");
    return -1;
}

static void test_end(void)
{
    struct scratch log;
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_int_equal(test_wait(), 0);
    (void)snprintf(log.path, sizeof log.path, "%.50s/log", folder.path);
    scratch_remove(&log);
    assert_false(scratch_has(&folder, "s.sock"));
    assert_false(scratch_has(&folder, "l.sock"));
    scratch_remove(&folder);
}

static const char *test_text(const json_t *tree, const char *key)
{
    const char *text = json_string_value(json_object_get(tree, key));
    return text == NULL ? "" : text;
}

static void test_operate_serves_tells_its_state_and_ends_by_a_signal(void **state)
{
    (void)state;
    unsigned status = 0;
    test_begin("upstreams: {shop: {targets: [\"127.0.0.1:9\"]}}\n"
               "routes: [{name: all, match: {path: /}, to: shop}]\n");
    json_t *tree = test_ask("GET /api/admin/status", &status);
    assert_int_equal(status, 200);
    assert_int_equal(json_integer_value(json_object_get(tree, "pid")), child);
    assert_true(json_is_false(json_object_get(tree, "draining")));
    assert_string_equal(test_text(tree, "configuration"), yaml_path);
    const json_t *upstream = json_array_get(json_object_get(tree, "upstreams"), 0);
    assert_string_equal(test_text(upstream, "name"), "shop");
    assert_string_equal(test_text(json_object_get(upstream, "breaker"), "state"), "closed");
    json_decref(tree);
    test_end();
}

static void test_operate_reload_swaps_or_changes_nothing(void **state)
{
    (void)state;
    unsigned status = 0;
    test_begin("routes: [{name: one, respond: {body: x}}]\n");
    test_write_config("routes: [{name: two, to: nowhere}]\n");
    json_t *tree = test_ask("POST /api/admin/reload", &status);
    assert_int_equal(status, 422);
    assert_true(json_is_false(json_object_get(tree, "reloaded")));
    const json_t *error = json_array_get(json_object_get(tree, "errors"), 0);
    assert_non_null(strstr(test_text(error, "text"), "nowhere"));
    assert_int_equal(json_integer_value(json_object_get(error, "line")), 6);
    json_decref(tree);
    test_write_config("log: []\n"); /* twice the same key */
    json_decref(test_ask("POST /api/admin/reload", &status));
    assert_int_equal(status, 422);
    tree = test_ask("GET /api/admin/status", &status);
    assert_string_equal(json_string_value(json_array_get(json_object_get(tree, "routes"), 0)),
                        "one");
    json_decref(tree);
    test_write_config("routes: [{name: two, respond: {body: y}}]\n");
    tree = test_ask("POST /api/admin/reload", &status);
    assert_int_equal(status, 200);
    assert_int_equal(json_integer_value(json_object_get(tree, "restart_keys")), 0);
    json_decref(tree);
    tree = test_ask("GET /api/admin/status", &status);
    assert_string_equal(json_string_value(json_array_get(json_object_get(tree, "routes"), 0)),
                        "two");
    json_decref(tree);
    test_end();
}

static void test_operate_orders_reach_targets_and_breakers(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        unsigned status;
        const char *state;
    } orders[] = {
        {"POST /api/admin/targets/shop/drain?target=127.0.0.1:9", 200, "draining"},
        {"POST /api/admin/targets/shop/undrain?target=127.0.0.1%3A9", 200, "up"},
        {"POST /api/admin/targets/shop/drain?target=127.0.0.1:8", 404, ""},
        {"POST /api/admin/targets/store/drain?target=127.0.0.1:9", 404, ""},
        {"POST /api/admin/targets/shop/drain?target=unix%3A%2Frun%2Fa.sock", 200, "draining"},
        {"POST /api/admin/targets/shop/drain?target=%5B%3A%3A1%5D:9", 200, "draining"},
        {"POST /api/admin/targets/shop/drain", 400, ""},
        {"POST /api/admin/breakers/shop/open", 200, "forced-open"},
        {"POST /api/admin/breakers/shop/close", 200, "forced-closed"},
        {"POST /api/admin/breakers/shop/auto", 200, "closed"},
        {"POST /api/admin/breakers/shop/half", 404, ""},
        {"POST /api/admin/breakers/store/open", 404, ""},
        {"POST /api/admin/breakers/bare/open", 409, ""},
        {"GET /api/admin/breakers/shop/open", 405, ""},
    };
    test_begin("upstreams: {shop: {targets: [\"127.0.0.1:9\", \"unix:/run/a.sock\", "
               "\"[::1]:9\"]}, bare: {targets: [\"127.0.0.1:9\"], breaker_on: false}}\n");
    for (size_t i = 0; i < COUNT_OF(orders); i++) {
        unsigned status = 0;
        json_t *tree = test_ask(orders[i].line, &status);
        if (status != orders[i].status || strcmp(test_text(tree, "state"), orders[i].state) != 0)
            fail_msg("%s: %u %s", orders[i].line, status, test_text(tree, "state"));
        json_decref(tree);
    }
    test_end();
}

static int test_serve_text(const char *text)
{
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)freopen("/dev/null", "w", stderr);
        exit(operate_serve(test_parts, &(struct operate_source){.text = span_from(text)}));
    }
    return test_wait();
}

static void test_operate_what_cannot_be_served_ends_with_1(void **state)
{
    (void)state;
    const char *user = geteuid() == 0 ? "user: nobody\n" : "";
    static const char *const texts[] = {
        "listen: [{address: nonsense}]\n",
        "routes: []\n",
        "listen: [{address: \"unix:/nonexistent/l.sock\"}]\nadmin: {address: off, socket: off}\n",
        "listen: [{address: \"unix:/tmp/l.sock\"}]\nadmin: {address: off, socket: "
        "/proc/x/s.sock}\n",
        "listen: [{address: \"unix:/tmp/l.sock\"}]\nadmin: {address: off, socket: off}\n"
        "routes: [{to: nowhere}]\n",
        "listen: [{address: \"unix:/tmp/l.sock\", tls: {certificate: /none, key: /none}}]\n",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "%s%s", texts[i], user);
        int status = test_serve_text(text);
        if (status != 1)
            fail_msg("configuration %zu: %d", i, status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operate_serves_tells_its_state_and_ends_by_a_signal),
        cmocka_unit_test(test_operate_reload_swaps_or_changes_nothing),
        cmocka_unit_test(test_operate_orders_reach_targets_and_breakers),
        cmocka_unit_test(test_operate_what_cannot_be_served_ends_with_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
