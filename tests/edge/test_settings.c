/* test_settings.c: what is made of a configuration, and what is said of a wrong one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/settings.h"

#include "settings_case.h"
#include "wire/tls_fixture.h"

#define HEAD "listen: [{address: \"127.0.0.1:1\"}]\nadmin: {address: off, socket: off}\n"

static void test_settings_names_what_is_wrong_and_where(void **state)
{
    (void)state;
    static const struct settings_case cases[] = {
        {HEAD "limits: off\ntrusted_proxies: [10.0.0.0/8, 10.0.0.1/8]\n",
         "test.yaml:4:31: trusted_proxies[1]: "},
        {HEAD "limits: off\ntrusted_proxies: [nonsense]\n", "test.yaml:4:19: trusted_proxies[0]: "},
        {HEAD "limits: [{rate: 1/s, rates: [1/s]}]\n",
         "test.yaml:3:10: limits[0]: exactly one of preset, rate and rates is needed"},
        {HEAD "limits: [{per: ip}]\n", "limits[0]: exactly one of preset, rate and rates"},
        {HEAD "limits: [{per: header, rate: 1/s}]\n", "header goes with per: header"},
        {HEAD "limits: [{rate: 1/s, header: x}]\n", "header goes with per: header"},
        {HEAD "limits: off\nhttp: {head: 1b}\n", "test.yaml:4:14: http.head: "},
        {HEAD "limits: off\nnonsense: 1\n", "test.yaml:4:1: nonsense: unknown key"},
        {"listen: []\nadmin: {address: off, socket: off}\nlimits: off\n",
         "test.yaml:1:1: listen: "},
        {"listen: [{address: \"127.0.0.1:1\", tls: {}}]\nadmin: {address: off, socket: off}\n"
         "limits: off\n",
         "listen[0].tls: certificate and key are needed, or certificates"},
        {"listen: [{address: \"127.0.0.1:1\", tls: {certificate: a.crt}}]\n"
         "admin: {address: off, socket: off}\nlimits: off\n",
         "listen[0].tls: certificate and key are needed, or certificates"},
        {"listen: [{address: \"127.0.0.1:1\", tls: {certificate: no.crt, key: no.key}}]\n"
         "admin: {address: off, socket: off}\nlimits: off\n",
         "listen[0].tls: no.crt: "},
        {"listen: [{address: \"no-such-host.invalid:1\"}]\nadmin: {address: off, socket: off}\n"
         "limits: off\n",
         "test.yaml:1:10: listen[0]: "},
    };
    loopback_open(&lb, "routes: []\n");
    settings_case_check_all(cases, COUNT_OF(cases));
}

static void test_settings_names_several_faults_at_once(void **state)
{
    (void)state;
    static struct config_report report;
    report = (struct config_report){0};
    loopback_open(&lb, "routes: []\n");
    assert_null(
        loopback_settings(&lb,
                          "trusted_proxies: [x, y]\n"
                          "routes: [{match: {path: /}, to: nobody}, {match: {path: \"\\n\"}}]\n",
                          &report));
    assert_in_range(report.count, 4, 6);
}

static void test_settings_have_the_defaults_that_are_documented(void **state)
{
    (void)state;
    loopback_open(&lb, HEAD "routes: []\nlimit_headers: true\nlimits: [{preset: client}]\n");
    const struct settings *s = lb.settings;
    assert_int_equal(s->http1.head_bytes, 16 * 1024);
    assert_int_equal(s->http1.target_bytes, 8 * 1024);
    assert_int_equal(s->http1.field_count, 100);
    assert_int_equal(s->timeouts.header_ms, 10000);
    assert_int_equal(s->timeouts.idle_ms, 75000);
    assert_int_equal(s->connections_per_ip, 256);
    assert_int_equal(s->body_rate_min, 256);
    assert_int_equal(s->trust.count, 0);
    assert_int_equal(s->limits.count, 1);
    assert_true(s->logs_access);
    assert_int_equal(s->listener_count, 1);
    assert_null(s->listeners[0].tls);
    assert_false(s->listeners[0].is_admin);
}

static void test_settings_limit_every_client_where_nothing_is_said(void **state)
{
    (void)state;
    static const struct config_key *const tables[] = {settings_keys, NULL};
    static struct config_report report;
    struct config *config = NULL;
    struct settings *s = NULL;
    loopback_open(&lb, "routes: []\n");
    assert_true(err_ok(config_load_text(tables, SPAN(HEAD), "test.yaml", &config, &report)));
    struct settings_options options = {.node = &lb.node,
                                       .config = config,
                                       .tickets = lb.tickets,
                                       .upstreams = &lb.registry,
                                       .limit_table = lb.limit_table};
    assert_true(err_ok(settings_new(&options, false, &s, &report)));
    assert_int_equal(s->limits.count, 1);
    assert_int_equal(s->limits.entries[0].per, LIMITS_PER_ip);
    assert_int_equal(s->limits.entries[0].rule.window_count, 3);
    settings_unref(s);
    config_unref(config);
}

static void test_settings_end_with_their_last_reference(void **state)
{
    (void)state;
    loopback_open(&lb, APP);
    struct settings *s = loopback_settings(&lb, APP, NULL);
    assert_ptr_equal(settings_ref(s), s);
    settings_unref(s);
    assert_int_equal(atomic_load(&s->refs), 1);
    settings_unref(s);
    settings_unref(NULL);
}

static void test_settings_refused_leave_no_reference_behind(void **state)
{
    (void)state;
    static struct config_report report;
    report = (struct config_report){0};
    loopback_open(&lb, APP);
    struct target *t = loopback_target(&lb, 0, 0);
    unsigned before = atomic_load(&t->refs);
    assert_null(loopback_settings(&lb, APP "trusted_proxies: [wrong]\n", &report));
    assert_int_equal(atomic_load(&t->refs), before);
}

static void test_settings_for_admin_have_its_listeners_alone(void **state)
{
    (void)state;
    char yaml[300], path[64];
    (void)snprintf(path, sizeof path, "/tmp/plimsoll-settings-%d.sock", (int)getpid());
    (void)snprintf(yaml, sizeof yaml, "admin: {address: \"127.0.0.1:1\", socket: \"%s\"}\n" APP,
                   path);
    loopback_open_with(&lb, &(struct loopback_options){.yaml = yaml, .is_admin = true});
    const struct settings *s = lb.settings;
    assert_int_equal(s->listener_count, 2);
    assert_true(s->listeners[0].is_admin && !s->listeners[0].is_control_socket);
    assert_true(s->listeners[1].is_admin && s->listeners[1].is_control_socket);
    assert_int_equal(s->upstream_count, 0);
    assert_int_equal(s->route_count, 0);
    assert_false(s->logs_access);
    assert_int_equal(s->limits.count, 0);
    (void)unlink(path);
}

static void test_settings_read_certificates(void **state)
{
    (void)state;
    struct tls_fixture tls;
    tls_fixture_init(&tls);
    (void)tls_fixture_make(&tls, &(struct tls_fixture_spec){.stem = "a"});
    (void)tls_fixture_make(&tls, &(struct tls_fixture_spec){.stem = "b"});
    loopback_open_with(&lb, &(struct loopback_options){
                                .folder = tls.dir,
                                .yaml = "listen: [{address: \"127.0.0.1:1\", tls: {certificate: "
                                        "$dir/a.crt, key: $dir/a.key, certificates: [{certificate: "
                                        "$dir/b.crt, key: $dir/b.key}]}}]\n" APP});
    assert_int_equal(tls_context_certificate_count(lb.settings->listeners[0].tls), 2);
    tls_fixture_done(&tls);
}

#define RULE(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_settings_names_what_is_wrong_and_where),
        RULE(test_settings_names_several_faults_at_once),
        RULE(test_settings_have_the_defaults_that_are_documented),
        RULE(test_settings_limit_every_client_where_nothing_is_said),
        RULE(test_settings_end_with_their_last_reference),
        RULE(test_settings_refused_leave_no_reference_behind),
        RULE(test_settings_for_admin_have_its_listeners_alone),
        RULE(test_settings_read_certificates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
