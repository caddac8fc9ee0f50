/* test_edge.c: the part itself: threads that serve, snapshots that come by mail, and the end.
 *
 * Real threads and the real clock; nothing depends on how fast they are.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/edge.h"

#include "core/log.h"
#include "core/loop.h"
#include "core/metric.h"
#include "edge/edge_loop.h"
#include "edge/limit_table.h"
#include "peer.h"

#define GET     "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define WAIT_MS 20000

static const struct part *const parts[] = {&edge_part, NULL};
static const struct config_key *const tables[] = {settings_keys, NULL};
static struct config_report report;
static struct node node;
static uint16_t port;

/* What is behind the listener and admin: nothing that a configuration always needs. */
static struct config *load(const char *rest)
{
    char yaml[2000];
    struct config *config = NULL;
    report = (struct config_report){0};
    (void)snprintf(yaml, sizeof yaml,
                   "listen: [{address: \"127.0.0.1:%u\"}]\nadmin: {address: off, socket: off}\n"
                   "threads: 3\nlimits: off\nlimit_keys: 1024\n%s",
                   port, rest);
    if (!err_ok(config_load_text(tables, span_from(yaml), "test.yaml", &config, &report)))
        fail_msg("%s", report.faults[0].text);
    return config;
}

static uint16_t free_port(void)
{
    struct peer_server server;
    peer_server_init(&server, PEER_SERVER_REFUSES);
    uint16_t found = server.port;
    peer_server_done(&server);
    return found;
}

static void begin(const char *rest)
{
    log_level_set(LOG_ERROR);
    port = free_port();
    node = (struct node){.parts = parts,
                         .clock = &clock_system,
                         .control = loop_new(&(struct loop_options){.name = "control"}),
                         .metrics = metric_registry_new(),
                         .config = load(rest)};
}

static void start(const char *rest)
{
    struct fault why = {0};
    begin(rest);
    if (!err_ok(part_init_all(&node, &why)) || !err_ok(part_start_all(&node, &why)))
        fail_msg("%s", why.text);
}

static int end(void **state)
{
    (void)state;
    part_stop_all(&node);
    part_done_all(&node);
    loop_free(node.control);
    metric_registry_free(node.metrics);
    config_unref(node.config);
    return 0;
}

static void dial(struct peer *p)
{
    struct sock_address address = {.len = sizeof address.in};
    address.in.sin_family = AF_INET;
    address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.in.sin_port = htons(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, &address.any, address.len), 0);
    peer_init(p, fd, NULL);
}

#define UNTIL(p, condition)                                                                        \
    for (uint64_t until_ms = clock_mono_ms(&clock_system) + WAIT_MS; !(condition);) {              \
        (void)peer_pump(p);                                                                        \
        loop_turn(node.control, false);                                                            \
        if (clock_mono_ms(&clock_system) > until_ms)                                               \
            fail_msg("this never came: %s", #condition);                                           \
    }

/* The body of the answer must be this word. */
static void ask(struct peer *p, const char *word)
{
    peer_say(p, GET);
    UNTIL(p, peer_has(p, word) || p->has_ended);
    assert_true(peer_has(p, word));
    assert_true(peer_has(p, "HTTP/1.1 200 OK\r\n"));
    buf_reset(&p->in);
}

static err reload(const char *rest)
{
    struct config *next = load(rest);
    err outcome = part_reload_all(&node, next, &report);
    config_unref(next);
    return outcome;
}

static struct edge_totals totals(void)
{
    struct edge_totals seen;
    edge_totals(&node, &seen);
    return seen;
}

#define RESPOND(word) "routes: [{match: {path: /}, respond: {body: " word "}}]\n"

static void test_edge_serves_on_every_loop(void **state)
{
    (void)state;
    enum { CLIENTS = 24 };
    static struct peer clients[CLIENTS];
    start(RESPOND("word"));
    assert_int_equal(edge_loop_count(&node), 3);
    for (unsigned i = 0; i < CLIENTS; i++) {
        dial(&clients[i]);
        ask(&clients[i], "word");
    }
    UNTIL(&clients[0], totals().connections == CLIENTS);
    assert_int_equal(totals().requests, 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        peer_done(&clients[i]);
    struct limit_table_stats limits;
    edge_limit_stats(&node, &limits);
    assert_int_equal(limits.keys, 0);
}

static void test_edge_reload_reaches_every_loop(void **state)
{
    (void)state;
    enum { CLIENTS = 12 };
    static struct peer clients[CLIENTS];
    start(RESPOND("one"));
    for (unsigned i = 0; i < CLIENTS; i++) {
        dial(&clients[i]);
        ask(&clients[i], "one");
    }
    assert_true(err_ok(reload(RESPOND("two"))));
    assert_true(span_eq(edge_settings(&node)->routes[0].body, SPAN("two")));
    for (unsigned i = 0; i < CLIENTS; i++) {
        /* the order may still be in the mail when the first answer is given */
        for (bool is_new = false; !is_new;) {
            peer_say(&clients[i], GET);
            UNTIL(&clients[i],
                  peer_has(&clients[i], "\r\n\r\none") || peer_has(&clients[i], "\r\n\r\ntwo"));
            is_new = peer_has(&clients[i], "\r\n\r\ntwo");
            buf_reset(&clients[i].in);
        }
        peer_done(&clients[i]);
    }
}

static void test_edge_reload_that_is_wrong_changes_nothing(void **state)
{
    (void)state;
    static struct peer client;
    start(RESPOND("one"));
    dial(&client);
    const struct settings *before = edge_settings(&node);
    const struct config *config = node.config;
    assert_true(err_is(reload("routes: [{match: {path: /}, to: nobody}]\n"), ERR_CONFIG));
    assert_int_equal(report.count, 1);
    assert_ptr_equal(edge_settings(&node), before);
    assert_ptr_equal(node.config, config);
    uint16_t kept = port;
    port = free_port();
    assert_true(err_is(reload(RESPOND("two")), ERR_CONFIG)); /* another address */
    port = kept;
    assert_ptr_equal(edge_settings(&node), before);
    ask(&client, "one");
    peer_done(&client);
}

/* A larger head would not fit into the blocks that the loops have. */
static void test_edge_reload_keeps_the_size_of_heads(void **state)
{
    (void)state;
    static struct peer client;
    start(RESPOND("one") "http: {head: 2kb}\n");
    assert_true(err_ok(reload(RESPOND("one") "http: {head: 64kb}\n")));
    assert_int_equal(edge_settings(&node)->http1.head_bytes, 2048);
    dial(&client);
    ask(&client, "one");
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    peer_fill(&client, 'x', 60000);
    UNTIL(&client, peer_has(&client, " 431 "));
    peer_done(&client);
}

static void test_edge_reloads_under_requests_fail_none(void **state)
{
    (void)state;
    enum { CLIENTS = 8, RELOADS = 60 };
    static struct peer clients[CLIENTS];
    unsigned answers[CLIENTS] = {0};
    start(RESPOND("same"));
    for (unsigned i = 0; i < CLIENTS; i++) {
        dial(&clients[i]);
        peer_say(&clients[i], GET);
    }
    for (unsigned round = 0; round < RELOADS; round++) {
        assert_true(err_ok(reload(RESPOND("same"))));
        for (unsigned i = 0; i < CLIENTS; i++) {
            UNTIL(&clients[i], peer_has(&clients[i], "\r\n\r\nsame"));
            buf_reset(&clients[i].in);
            answers[i]++;
            peer_say(&clients[i], GET);
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        assert_int_equal(answers[i], RELOADS);
        assert_false(peer_is_over(&clients[i]));
        peer_done(&clients[i]);
    }
}

static void test_edge_drains(void **state)
{
    (void)state;
    static struct peer idle, half;
    start(RESPOND("word"));
    dial(&idle);
    dial(&half);
    ask(&idle, "word");
    peer_say(&half, "GET / HTTP/1.1\r\n");
    (void)peer_pump(&half);
    UNTIL(&half, totals().connections == 2 && totals().requests == 1);
    assert_false(part_all_idle(&node));
    part_drain_all(&node);
    UNTIL(&idle, idle.has_ended);
    UNTIL(&idle, totals().connections == 1);
    peer_say(&half, "Host: a\r\n\r\n");
    UNTIL(&half, peer_has(&half, "word"));
    assert_true(peer_has(&half, "connection: close\r\n"));
    peer_done(&half);
    UNTIL(&idle, part_all_idle(&node));
    peer_done(&idle);
}

static void test_edge_says_when_its_address_is_taken(void **state)
{
    (void)state;
    struct peer_server other;
    struct fault why = {0};
    begin(RESPOND("word"));
    peer_server_init(&other, PEER_SERVER_ACCEPTS);
    port = other.port;
    config_unref(node.config);
    node.config = load(RESPOND("word"));
    assert_true(err_is(part_init_all(&node, &why), ERR_IO));
    assert_non_null(strstr(why.text, other.text));
    peer_server_done(&other);
}

static void test_edge_says_what_is_wrong_before_it_starts(void **state)
{
    (void)state;
    struct fault why = {0};
    begin("routes: [{match: {path: /}, to: nobody}]\n");
    assert_true(err_is(part_init_all(&node, &why), ERR_CONFIG));
    assert_non_null(strstr(why.text, "nobody"));
    assert_int_equal(why.line, 6);
}

static void test_edge_examines_without_running_anything(void **state)
{
    (void)state;
    begin(RESPOND("word"));
    edge_part.examine(&node, node.config, &report);
    assert_int_equal(report.count, 0);
    struct config *wrong = load("routes: [{match: {path: /}, to: nobody}]\n");
    edge_part.examine(&node, wrong, &report);
    assert_int_equal(report.count, 1);
    config_unref(wrong);
}

static void test_edge_ends_with_requests_under_way(void **state)
{
    (void)state;
    static struct peer clients[6];
    start("upstreams: {app: {targets: [\"127.0.0.1:1\"], retry: {tries: 1}}}\n"
          "routes: [{match: {path: /}, to: app}]\n");
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        dial(&clients[i]);
        peer_say(&clients[i], "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
        (void)peer_pump(&clients[i]);
    }
    UNTIL(&clients[0], totals().connections > 0);
    (void)end(state);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        peer_done(&clients[i]);
}

#define RULE(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_edge_serves_on_every_loop),
        RULE(test_edge_reload_reaches_every_loop),
        RULE(test_edge_reload_that_is_wrong_changes_nothing),
        RULE(test_edge_reload_keeps_the_size_of_heads),
        RULE(test_edge_reloads_under_requests_fail_none),
        RULE(test_edge_drains),
        RULE(test_edge_says_when_its_address_is_taken),
        RULE(test_edge_says_what_is_wrong_before_it_starts),
        RULE(test_edge_examines_without_running_anything),
        cmocka_unit_test(test_edge_ends_with_requests_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
