/* test_settings_upstreams.c: upstreams as a snapshot connects to them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "settings_case.h"
#include "wire/tls_fixture.h"

static void test_settings_upstreams_name_what_is_wrong_and_where(void **state)
{
    (void)state;
    static const struct settings_case cases[] = {
        {"upstreams: {app: {}}\n", "test.yaml:4:"},
        {"upstreams: {app: {targets: [\"127.0.0.1:1\"], weighted: [{address: \"127.0.0.1:1\"}]}}\n",
         "upstreams.app"},
        {"upstreams: {app: {targets: [\"127.0.0.1:1\", \"127.0.0.1:1\"]}}\n",
         "upstreams.app: upstream app: a target is listed twice"},
        {"upstreams: {app: {targets: [\"no-such-host.invalid:1\"]}}\n", "upstreams.app: "},
        {"upstreams: {app: {targets: [nonsense]}}\n", "upstreams.app.targets[0]: "},
        {"upstreams: {app: {targets: [\"127.0.0.1:1\"], tls: {ca: no.pem}}}\n",
         "upstreams.app.tls: no.pem: "},
        {"upstreams: {app: {targets: [\"127.0.0.1:1\"], breaker: {open: 10s, open_max: 5s}}}\n",
         "upstreams.app"},
        {"upstreams: {app: {targets: [\"127.0.0.1:1\"], retry: {base: 2s, cap: 1s}}}\n",
         "upstreams.app"},
    };
    loopback_open(&lb, "routes: []\n");
    settings_case_check_all(cases, COUNT_OF(cases));
}

static void test_settings_upstreams_are_found_by_name(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams: {a: {targets: [$0]}, b: {targets: [$1, $0]}}\n");
    const struct settings *s = lb.settings;
    assert_int_equal(s->upstream_count, 2);
    const struct settings_upstream *b = settings_upstreams_find(s, SPAN("b"));
    assert_ptr_equal(b, &s->upstreams[1]);
    assert_int_equal(b->index, 1);
    assert_true(sock_address_equal(&b->addresses[0], &lb.upstreams[1].server.address));
    assert_true(sock_address_equal(&b->addresses[1], &lb.upstreams[0].server.address));
    assert_null(settings_upstreams_find(s, SPAN("c")));
    assert_null(b->tls);
    assert_int_equal(b->idle_timeout_ms, 60000);
}

/* The key of a target's connections in a snapshot of this text. */
static uint64_t key_of(const char *yaml)
{
    struct settings *s = loopback_settings(&lb, yaml, NULL);
    uint64_t key = s->upstreams[0].link_keys[0];
    settings_unref(s);
    return key;
}

static void
test_settings_upstreams_keep_connections_over_a_reload_only_if_nothing_changed(void **state)
{
    (void)state;
    loopback_open(&lb, "routes: []\n");
    uint64_t key = key_of("upstreams: {app: {targets: [\"127.0.0.1:81\"]}}\n");
    assert_int_equal(key, key_of("upstreams: {app: {targets: [\"127.0.0.1:81\"], timeout: 9s}}\n"));
    static const char *const others[] = {
        "upstreams: {other: {targets: [\"127.0.0.1:81\"]}}\n",
        "upstreams: {app: {targets: [\"127.0.0.1:82\"]}}\n",
        "upstreams: {app: {targets: [\"127.0.0.1:81\"], tls: {}}}\n",
        "upstreams: {app: {targets: [\"127.0.0.1:81\"], tls: {verify: false}}}\n",
        "upstreams: {app: {targets: [\"127.0.0.1:81\"], tls: {server_name: x}}}\n",
    };
    uint64_t keys[COUNT_OF(others)];
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        keys[i] = key_of(others[i]);
        assert_int_not_equal(keys[i], key);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(keys[i], keys[k]);
    }
}

static void test_settings_upstreams_ask_targets_for_their_own_names(void **state)
{
    (void)state;
    loopback_open(&lb, "upstreams:\n"
                       "  a: {targets: [\"localhost:81\", \"[::1]:82\"], tls: {verify: false}}\n"
                       "  b: {targets: [\"127.0.0.1:81\"], tls: {server_name: b.example}}\n");
    const struct settings_upstream *u = lb.settings->upstreams;
    assert_true(span_eq(u[0].server_names[0], SPAN("localhost")));
    assert_true(span_eq(u[0].server_names[1], SPAN("::1")));
    assert_true(span_eq(u[1].server_names[0], SPAN("b.example")));
    assert_non_null(u[0].tls);
}

static void test_settings_upstreams_keep_what_was_learnt(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct target *t = loopback_target(&lb, 0, 0);
    struct breaker *b = loopback_upstream_of(&lb, 0)->breaker;
    target_drain(t, true);
    loopback_use(&lb, APP);
    assert_ptr_equal(loopback_target(&lb, 0, 0), t);
    assert_ptr_equal(loopback_upstream_of(&lb, 0)->breaker, b);
    loopback_use(&lb, "upstreams: {app: {targets: [$0], breaker: {volume: 7}}}\n" ROUTE);
    assert_ptr_equal(loopback_target(&lb, 0, 0), t);
    assert_ptr_not_equal(loopback_upstream_of(&lb, 0)->breaker, b);
}

/* ---- TLS to the targets ---- */

static struct tls_fixture tls;

static void open_sealed(const char *tls_group)
{
    static char yaml[300];
    tls_fixture_init(&tls);
    struct tls_fixture_paths paths = tls_fixture_make(
        &tls, &(struct tls_fixture_spec){.stem = "up", .alt_names = "DNS:up.example"});
    (void)snprintf(yaml, sizeof yaml, "upstreams: {app: {targets: [$0], tls: %s}}\n" ROUTE,
                   tls_group);
    loopback_open_with(&lb, &(struct loopback_options){.yaml = yaml, .folder = tls.dir});
    lb.upstreams[0].server.tls = tls_fixture_server(&paths, NULL);
    lb.upstreams[0].answer = OK_ANSWER;
}

static int done_sealed(void **state)
{
    (void)done(state);
    tls_fixture_done(&tls);
    return 0;
}

static void test_settings_upstreams_speak_tls_and_keep_connections(void **state)
{
    (void)state;
    open_sealed("{ca: $dir/ca.crt, server_name: up.example}");
    struct peer *c = loopback_connect(&lb);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(loopback_ask(&lb, c, GET("/"), &answer), 200);
    assert_int_equal(loopback_links(&lb).opened, 1);
    loopback_assert_idle(&lb);
}

static void test_settings_upstreams_trust_no_other_name(void **state)
{
    (void)state;
    open_sealed("{ca: $dir/ca.crt, server_name: other.example}");
    struct peer *c = loopback_connect(&lb);
    peer_say(c, GET("/"));
    for (unsigned i = 0; i < 3000 && c->in.len == 0; i++)
        loopback_advance(&lb, 1);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.response.status, 502);
    assert_int_equal(lb.upstreams[0].requests, 0);
    loopback_assert_idle(&lb);
}

static void test_settings_upstreams_pass_large_bodies_under_tls(void **state)
{
    (void)state;
    enum { BYTES = 3000000 };
    open_sealed("{ca: $dir/ca.crt, server_name: up.example}");
    lb.upstreams[0].answer = NULL;
    struct peer *c = loopback_connect(&lb);
    peer_say(c, POST("Content-Length: 3000000\r\n"));
    peer_fill(c, 'u', BYTES);
    struct peer *up = loopback_request(&lb, 0, 0, &request);
    assert_int_equal(request.body.len, BYTES);
    peer_say(up, "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n");
    peer_fill(up, 'd', BYTES);
    loopback_answer(&lb, c, &answer);
    assert_int_equal(answer.body.len, BYTES);
    loopback_assert_idle(&lb);
}

#define RULE(name)        cmocka_unit_test_teardown(name, done)
#define SEALED_RULE(name) cmocka_unit_test_teardown(name, done_sealed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_settings_upstreams_name_what_is_wrong_and_where),
        RULE(test_settings_upstreams_are_found_by_name),
        RULE(test_settings_upstreams_keep_connections_over_a_reload_only_if_nothing_changed),
        RULE(test_settings_upstreams_ask_targets_for_their_own_names),
        RULE(test_settings_upstreams_keep_what_was_learnt),
        SEALED_RULE(test_settings_upstreams_speak_tls_and_keep_connections),
        SEALED_RULE(test_settings_upstreams_trust_no_other_name),
        SEALED_RULE(test_settings_upstreams_pass_large_bodies_under_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
