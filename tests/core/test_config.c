/* test_config.c: what a loaded configuration reads as.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "cmocka_all.h"
#include "core/config_sample.h"
#include "core/config_table.h"

static struct config_report report;

static struct config *load(const char *yaml)
{
    struct config *c = NULL;
    report = (struct config_report){0};
    err outcome = config_load_text(sample_tables, span_from(yaml), "test.yaml", &c, &report);
    if (!err_ok(outcome))
        fail_msg("%u:%u %s", report.faults[0].line, report.faults[0].column, report.faults[0].text);
    assert_int_equal(report.count, 0);
    return c;
}

static void drop(struct config **c)
{
    config_unref(*c);
}

#define CONFIG struct config *c CLEANUP(drop)

static void assert_text(struct span s, const char *expected)
{
    if (expected == NULL) {
        assert_null(s.at);
        return;
    }
    assert_non_null(s.at);
    assert_int_equal(s.len, strlen(expected));
    assert_string_equal(s.at, expected); /* a NUL stands behind it */
}

static const char full[] = "# a comment\n"
                           "listen:\n"
                           "  - address: 0.0.0.0:8080\n"
                           "  - address: '[::]:8443'\n"
                           "    tls: {certificate: cert.pem, key: /etc/key.pem}\n"
                           "upstreams:\n"
                           "  shop:\n"
                           "    targets: [127.0.0.1:3001, unix:/run/app.sock]\n"
                           "    health: {path: /up, interval: 500ms, jitter: 12.5}\n"
                           "  blog.v2:\n"
                           "    targets:\n"
                           "      - blog:80\n"
                           "routes:\n"
                           "  - match: {path: /api/, methods: [DELETE]}\n"
                           "    limits: [{per: route, rate: 100/min}, {rate: 10/s}]\n"
                           "    headers: {X-Frame-Options: DENY, server: false, via: null}\n"
                           "    to: shop\n"
                           "  - to: off\n"
                           "body_max: 1mb\n"
                           "is_strict: false\n"
                           "workers: -2\n"
                           "state: \"a b.db\"\n";

static void test_config_reads_every_type_as_written(void **state)
{
    (void)state;
    CONFIG = load(full);
    const struct config_node *root = config_root(c);
    const struct config_node *listen = config_child(root, "listen");
    assert_int_equal(config_count(listen), 2);
    assert_text(config_span(config_at(listen, 0), "address"), "0.0.0.0:8080");
    assert_null(config_child(config_at(listen, 0), "tls"));
    assert_text(config_span(config_at(listen, 1), "address"), "[::]:8443");
    const struct config_node *tls = config_child(config_at(listen, 1), "tls");
    assert_text(config_span(tls, "certificate"), "cert.pem");
    assert_text(config_span(tls, "key"), "/etc/key.pem");
    const struct config_node *upstreams = config_child(root, "upstreams");
    assert_int_equal(config_count(upstreams), 2);
    const struct config_node *shop = config_find(upstreams, SPAN("shop"));
    assert_text(config_name(shop), "shop");
    assert_ptr_equal(config_at(upstreams, 0), shop);
    assert_text(config_name(config_at(upstreams, 1)), "blog.v2");
    assert_null(config_find(upstreams, SPAN("sho")));
    const struct config_node *targets = config_child(shop, "targets");
    assert_int_equal(config_count(targets), 2);
    assert_text(config_value(config_at(targets, 0)), "127.0.0.1:3001");
    assert_text(config_value(config_at(targets, 1)), "unix:/run/app.sock");
    const struct config_node *health = config_child(shop, "health");
    assert_text(config_span(health, "path"), "/up");
    assert_int_equal(config_int(health, "interval"), 500);
    assert_int_equal(config_int(health, "jitter"), 1250);
    assert_int_equal(config_int(root, "body_max"), 1048576);
    assert_false(config_bool(root, "is_strict"));
    assert_int_equal(config_int(root, "workers"), -2);
    assert_text(config_span(root, "state"), "a b.db");
    assert_string_equal(config_path(c), "test.yaml");
}

static void test_config_reads_routes_as_written(void **state)
{
    (void)state;
    CONFIG = load(full);
    const struct config_node *route = config_at(config_child(config_root(c), "routes"), 0);
    const struct config_node *methods = config_child(config_child(route, "match"), "methods");
    assert_int_equal(config_count(methods), 1);
    assert_int_equal(config_value_int(config_at(methods, 0)), 2);
    assert_text(config_value(config_at(methods, 0)), "DELETE");
    const struct config_node *limits = config_child(route, "limits");
    assert_int_equal(config_count(limits), 2);
    assert_int_equal(config_int(config_at(limits, 0), "per"), 1);
    assert_text(config_span(config_at(limits, 0), "per"), "route");
    struct config_rate rate = config_rate(config_at(limits, 0), "rate");
    assert_int_equal(rate.count, 100);
    assert_int_equal(rate.window_ms, 60000);
    assert_text(config_span(config_at(limits, 1), "per"), "ip");
    const struct config_node *headers = config_child(route, "headers");
    assert_int_equal(config_count(headers), 3);
    assert_text(config_name(config_at(headers, 0)), "X-Frame-Options");
    assert_text(config_value(config_at(headers, 0)), "DENY");
    assert_text(config_value(config_find(headers, SPAN("server"))), NULL);
    assert_text(config_value(config_find(headers, SPAN("via"))), NULL);
    assert_text(config_span(route, "to"), "shop");
    assert_false(config_is_off(route, "to"));
    assert_true(config_is_set(route, "to"));
}

static void test_config_absent_keys_read_as_their_fallbacks(void **state)
{
    (void)state;
    static const char *const empties[] = {"",   "# nothing\n", "---\n",
                                          "{}", "null\n",      "listen:\nroutes:\nupstreams:\n"};
    for (size_t i = 0; i < COUNT_OF(empties); i++) {
        CONFIG = load(empties[i]);
        const struct config_node *root = config_root(c);
        assert_int_equal(config_count(config_child(root, "listen")), 0);
        assert_int_equal(config_count(config_child(root, "upstreams")), 0);
        assert_int_equal(config_int(root, "body_max"), 16384);
        assert_false(config_is_set(root, "body_max"));
        assert_false(config_is_off(root, "body_max"));
        assert_true(config_bool(root, "is_strict"));
        assert_int_equal(config_int(root, "workers"), 4);
        assert_text(config_span(root, "state"), "var/state.db");
        assert_null(config_secret(root, "admin_token"));
    }
    CONFIG = load("upstreams: {a: {targets: [b:1]}}\nroutes: [{}]\n");
    const struct config_node *a = config_find(config_child(config_root(c), "upstreams"), SPAN("a"));
    const struct config_node *health = config_child(a, "health");
    assert_non_null(health);
    assert_false(config_is_set(a, "health"));
    assert_text(config_span(health, "path"), "/healthz");
    assert_int_equal(config_int(health, "interval"), 2000);
    assert_int_equal(config_int(health, "jitter"), 1000);
    const struct config_node *route = config_at(config_child(config_root(c), "routes"), 0);
    assert_text(config_span(route, "to"), NULL);
    const struct config_node *methods = config_child(config_child(route, "match"), "methods");
    assert_int_equal(config_count(methods), 2);
    assert_text(config_value(config_at(methods, 0)), "GET");
    assert_text(config_value(config_at(methods, 1)), "POST");
    assert_int_equal(config_value_int(config_at(methods, 1)), 1);
}

static void test_config_optional_keys_can_be_turned_off(void **state)
{
    (void)state;
    static const char *const offs[] = {"body_max: off\n", "body_max: false\n", "body_max: null\n",
                                       "body_max:\n", "body_max: ~\n"};
    for (size_t i = 0; i < COUNT_OF(offs); i++) {
        CONFIG = load(offs[i]);
        assert_true(config_is_off(config_root(c), "body_max"));
        assert_false(config_is_set(config_root(c), "body_max"));
        assert_int_equal(config_int(config_root(c), "body_max"), 0);
    }
    CONFIG = load("listen: [{address: a:1, tls: off}]\nroutes: [{to: \"off\"}]\n");
    const struct config_node *listen = config_child(config_root(c), "listen");
    assert_null(config_child(config_at(listen, 0), "tls"));
    assert_true(config_is_off(config_at(listen, 0), "tls"));
    /* In quotes it is a text like any other. */
    const struct config_node *route = config_at(config_child(config_root(c), "routes"), 0);
    assert_text(config_span(route, "to"), "off");
    assert_false(config_is_off(route, "to"));
}

static void test_config_aliases_stand_for_their_values(void **state)
{
    (void)state;
    CONFIG = load("upstreams:\n"
                  "  a: &a {targets: &t [x:1, y:2], health: {path: &p /up}}\n"
                  "  b: *a\n"
                  "  c: {targets: *t, health: {path: *p}}\n");
    const struct config_node *upstreams = config_child(config_root(c), "upstreams");
    for (unsigned i = 0; i < 3; i++) {
        const struct config_node *targets = config_child(config_at(upstreams, i), "targets");
        assert_int_equal(config_count(targets), 2);
        assert_text(config_value(config_at(targets, 1)), "y:2");
        assert_text(config_span(config_child(config_at(upstreams, i), "health"), "path"), "/up");
    }
    assert_text(config_name(config_at(upstreams, 1)), "b");
}

static void test_config_variables_are_replaced_once(void **state)
{
    (void)state;
    assert_int_equal(setenv("PLIMSOLL_TEST_PORT", "3000", 1), 0);
    assert_int_equal(setenv("PLIMSOLL_TEST_ODD", "${PLIMSOLL_TEST_PORT}: [x", 1), 0);
    assert_int_equal(setenv("PLIMSOLL_TEST_EMPTY", "", 1), 0);
    CONFIG = load("upstreams: {a: {targets: [\"app:${PLIMSOLL_TEST_PORT}\"]}}\n"
                  "workers: ${PLIMSOLL_TEST_EMPTY}5\n"
                  "routes:\n"
                  "  - {to: \"${PLIMSOLL_TEST_ODD}\"}\n"
                  "  - {to: \"$${PLIMSOLL_TEST_ODD} $ $$ {} $}\"}\n");
    const struct config_node *root = config_root(c);
    const struct config_node *a = config_at(config_child(root, "upstreams"), 0);
    assert_text(config_value(config_at(config_child(a, "targets"), 0)), "app:3000");
    assert_int_equal(config_int(root, "workers"), 5);
    const struct config_node *routes = config_child(root, "routes");
    assert_text(config_span(config_at(routes, 0), "to"), "${PLIMSOLL_TEST_PORT}: [x");
    assert_text(config_span(config_at(routes, 1), "to"), "${PLIMSOLL_TEST_ODD} $ $$ {} $}");
}

static void test_config_block_texts_keep_their_lines(void **state)
{
    (void)state;
    CONFIG = load("routes:\n  - to: |\n      a\n      b\n  - to: >\n      a\n      b\n");
    const struct config_node *routes = config_child(config_root(c), "routes");
    assert_text(config_span(config_at(routes, 0), "to"), "a\nb\n");
    assert_text(config_span(config_at(routes, 1), "to"), "a b\n");
}

static void test_config_lives_until_its_last_reference(void **state)
{
    (void)state;
    struct config *c = load(full);
    assert_ptr_equal(config_ref(c), c);
    config_unref(c);
    assert_int_equal(config_int(config_root(c), "workers"), -2);
    config_unref(c);
    config_unref(NULL);
}

static void test_config_fault_of_a_part_names_place_and_path(void **state)
{
    (void)state;
    CONFIG = load(full);
    const struct config_node *root = config_root(c);
    const struct config_node *route = config_at(config_child(root, "routes"), 0);
    const struct config_node *limit = config_at(config_child(route, "limits"), 1);
    const struct config_node *shop = config_at(config_child(root, "upstreams"), 0);
    report = (struct config_report){0};
    assert_true(err_is(config_fault(config_child(route, "to"), &report, "no upstream \"%s\"", "x"),
                       ERR_CONFIG));
    (void)config_fault(config_child(limit, "rate"), &report, "too high");
    (void)config_fault(config_child(limit, "per"), &report, "at its group, as it is not written");
    (void)config_fault(config_at(config_child(shop, "targets"), 1), &report, "is down");
    (void)config_fault(config_child(shop, "targets"), &report, "too few");
    (void)config_fault(shop, &report, "no");
    (void)config_fault(root, &report, "nothing to do");
    struct buf out CLEANUP(buf_done);
    buf_init(&out, 10000);
    const char *text = NULL;
    assert_true(err_ok(config_report_write(&report, &out)));
    assert_true(err_ok(buf_text(&out, &text)));
    assert_string_equal(
        text, "test.yaml:1:1: nothing to do\n"
              "test.yaml:7:3: upstreams.shop: no\n"
              "test.yaml:8:5: upstreams.shop.targets: too few\n"
              "test.yaml:8:31: upstreams.shop.targets[1]: is down\n"
              "test.yaml:15:43: routes[0].limits[1].per: at its group, as it is not written\n"
              "test.yaml:15:50: routes[0].limits[1].rate: too high\n"
              "test.yaml:17:9: routes[0].to: no upstream \"x\"\n");
}

static void test_config_sample_table_is_sound(void **state)
{
    (void)state;
    struct fault why = {0};
    if (!err_ok(config_table_validate(sample_tables, &why)))
        fail_msg("%s", why.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_reads_every_type_as_written),
        cmocka_unit_test(test_config_reads_routes_as_written),
        cmocka_unit_test(test_config_absent_keys_read_as_their_fallbacks),
        cmocka_unit_test(test_config_optional_keys_can_be_turned_off),
        cmocka_unit_test(test_config_aliases_stand_for_their_values),
        cmocka_unit_test(test_config_variables_are_replaced_once),
        cmocka_unit_test(test_config_block_texts_keep_their_lines),
        cmocka_unit_test(test_config_lives_until_its_last_reference),
        cmocka_unit_test(test_config_fault_of_a_part_names_place_and_path),
        cmocka_unit_test(test_config_sample_table_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
