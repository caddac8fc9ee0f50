/* test_config_load.c: every error of the loader, with its place and its words.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "cmocka_all.h"
#include "core/config_sample.h"
#include "core/fault_point.h"

static struct config_report report;

static void assert_report(const char *expected)
{
    struct buf out CLEANUP(buf_done);
    buf_init(&out, 100000);
    const char *text = NULL;
    assert_true(err_ok(config_report_write(&report, &out)));
    assert_true(err_ok(buf_text(&out, &text)));
    assert_string_equal(text, expected);
}

/* The faults as "t:line:column: path: text" lines; "" for a text that must load. */
static void assert_faults_of(const struct config_key *const *tables, struct span yaml,
                             const char *expected)
{
    struct config *c = NULL;
    report = (struct config_report){0};
    err outcome = config_load_text(tables, yaml, "t", &c, &report);
    assert_report(expected);
    assert_true(err_is(outcome, expected[0] == '\0' ? ERR_NONE : ERR_CONFIG));
    assert_int_equal(c != NULL, err_ok(outcome));
    config_unref(c);
}

static void assert_faults(const char *yaml, const char *expected)
{
    assert_faults_of(sample_tables, span_from(yaml), expected);
}

static void test_unknown_keys_are_errors_with_the_nearest_name(void **state)
{
    (void)state;
    assert_faults("workers: 1\nupstream: {}\n",
                  "t:2:1: upstream: unknown key; did you mean \"upstreams\"?\n");
    assert_faults("routes:\n  - matsh: {}\n    to: a\n",
                  "t:2:5: routes[0].matsh: unknown key; did you mean \"match\"?\n");
    assert_faults("routes: [{match: {colour: red}}]\n",
                  "t:1:19: routes[0].match.colour: unknown key; expected one of path, methods\n");
    assert_faults("upstreams: {a: {targets: [b:1], heath: {x: 1}}}\n",
                  "t:1:33: upstreams.a.heath: unknown key; did you mean \"health\"?\n");
    assert_faults("\"a b\\n\": 1\n",
                  "t:1:1: \"a b?\": unknown key; expected one of listen, routes, body_max, "
                  "is_strict, admin_token, upstreams, workers, state\n");
    assert_faults("<<: {}\n", "t:1:1: \"<<\": unknown key; expected one of listen, routes, "
                              "body_max, is_strict, admin_token, upstreams, workers, state\n");
}

static void test_keys_and_names_stand_once(void **state)
{
    (void)state;
    assert_faults("workers: 1\n# x\nworkers: 2\n",
                  "t:3:1: workers: stands here again; first at line 1\n");
    assert_faults("routes:\n  - to: a\n    to: b\n",
                  "t:3:5: routes[0].to: stands here again; first at line 2\n");
    assert_faults("upstreams:\n  a: {targets: [b:1]}\n  a: {targets: [b:2]}\n",
                  "t:3:3: upstreams.a: stands here again; first at line 2\n");
    assert_faults("routes: [{headers: {x: 1, y: 2, x: 3}}]\n",
                  "t:1:33: routes[0].headers.x: stands here again; first at line 1\n");
}

static void test_names_are_letters_digits_dot_dash_and_underscore(void **state)
{
    (void)state;
#define EXPECTED "not a name; expected 1 to 64 letters, digits, \".\", \"_\" or \"-\"\n"
    assert_faults("upstreams:\n  a b: {targets: [b:1]}\n", "t:2:3: upstreams.\"a b\": " EXPECTED);
    assert_faults("upstreams:\n  \"\": {targets: [b:1]}\n", "t:2:3: upstreams.\"\": " EXPECTED);
    assert_faults("routes: [{headers: {\"x:y\": 1}}]\n",
                  "t:1:21: routes[0].headers.\"x:y\": " EXPECTED);
#define N16 "abcdefghijklmnop"
    assert_faults("routes: [{headers: {" N16 N16 N16 "abcdefghijklmno: 1}}]\n", "");
    assert_faults("routes: [{headers: {" N16 N16 N16 N16 ": 1}}]\n", "");
    assert_faults("routes: [{headers: {" N16 N16 N16 N16 "q: 1}}]\n",
                  "t:1:21: routes[0].headers.\"" N16 N16 N16 N16 "...\": " EXPECTED);
#undef EXPECTED
}

static void test_missing_keys_are_reported_at_their_group(void **state)
{
    (void)state;
    assert_faults("listen:\n  - backlog: 5\n",
                  "t:2:5: listen[0].address: is missing; expected an address such as "
                  "127.0.0.1:8080, [::1]:8080 or unix:/run/x\n");
    assert_faults(
        "upstreams:\n  shop:\n",
        "t:2:3: upstreams.shop.targets: is missing; expected a list, from 1 to 3 entries\n");
    assert_faults("listen:\n  - address: a:1\n    tls:\n", "");
    assert_faults("listen:\n  - address: a:1\n    tls: {}\n",
                  "t:3:5: listen[0].tls.certificate: is missing; expected a path\n"
                  "t:3:5: listen[0].tls.key: is missing; expected a path\n");
}

static void test_values_of_the_wrong_form_are_quoted(void **state)
{
    (void)state;
    assert_faults("workers: many\n",
                  "t:1:10: workers: found \"many\"; expected a whole number, from -2 to 64\n");
    assert_faults("is_strict: yes\n", "t:1:12: is_strict: found \"yes\"; expected true or false\n");
    assert_faults("body_max:   1.5mb\n", "t:1:13: body_max: found \"1.5mb\"; expected a size such "
                                         "as 512b, 16kb, 1mb or 2gb, from 1kb to 1mb, or off\n");
    assert_faults("routes:\n  - limits:\n      - rate: 10/x\n",
                  "t:3:15: routes[0].limits[0].rate: found \"10/x\"; expected a rate such as 10/s, "
                  "100/min, 20/h or 1000/d, count at most 10000\n");
    assert_faults(
        "routes: [{limits: [{rate: 1/s, per: ups}]}]\n",
        "t:1:37: routes[0].limits[0].per: found \"ups\"; expected one of ip, route, global\n");
    assert_faults("routes: [{limits: [{rate: 1/s, per: rout}]}]\n",
                  "t:1:37: routes[0].limits[0].per: found \"rout\"; did you mean \"route\"?\n");
    assert_faults("routes: [{match: {methods: [GET, POTS]}}]\n",
                  "t:1:34: routes[0].match.methods[1]: found \"POTS\"; did you mean \"POST\"?\n");
    assert_faults("upstreams: {a: {targets: ['b:1', \"c\"]}}\n",
                  "t:1:34: upstreams.a.targets[1]: found \"c\"; expected an address such as "
                  "127.0.0.1:8080, [::1]:8080 or unix:/run/x\n");
    assert_faults(
        "workers: \"a\\tb\\x7f\\u00fc\"\n",
        "t:1:10: workers: found \"a?b?\xc3\xbc\"; expected a whole number, from -2 to 64\n");
    assert_faults("workers: &x 1x\nroutes: [{to: *x}]\n",
                  "t:1:13: workers: found \"1x\"; expected a whole number, from -2 to 64\n");
}

static void test_long_values_are_cut_in_messages(void **state)
{
    (void)state;
#define EXPECTED "\"; expected a whole number, from -2 to 64\n"
    assert_faults("workers: " N16 N16 N16 N16 "\n",
                  "t:1:10: workers: found \"" N16 N16 N16 N16 EXPECTED);
    assert_faults("workers: " N16 N16 N16 N16 "q\n",
                  "t:1:10: workers: found \"" N16 N16 N16 N16 "..." EXPECTED);
#undef EXPECTED
}

static void test_kinds_of_values_must_match(void **state)
{
    (void)state;
    assert_faults("workers: [1]\n",
                  "t:1:1: workers: found a list; expected a whole number, from -2 to 64\n");
    assert_faults(
        "workers: {a: 1}\n",
        "t:1:1: workers: found a group of keys; expected a whole number, from -2 to 64\n");
    assert_faults("workers:\n",
                  "t:1:1: workers: found nothing; expected a whole number, from -2 to 64\n");
    assert_faults("listen: 80\n",
                  "t:1:9: listen: found a single value; expected a list of groups of keys\n");
    assert_faults("listen: {address: a:1}\n",
                  "t:1:1: listen: found a group of keys; expected a list of groups of keys\n");
    assert_faults("listen: [80]\n",
                  "t:1:10: listen[0]: found a single value; expected a group of keys\n");
    assert_faults(
        "upstreams: [a]\n",
        "t:1:1: upstreams: found a list; expected a table of names, each with a group of keys\n");
    assert_faults("upstreams: {a: b}\n",
                  "t:1:16: upstreams.a: found a single value; expected a group of keys\n");
    assert_faults("upstreams: {a: {targets: b:1}}\n",
                  "t:1:26: upstreams.a.targets: found a single value; expected a list, from 1 to 3 "
                  "entries\n");
    assert_faults("upstreams: {a: {targets: [b:1, [c:1]]}}\n",
                  "t:1:32: upstreams.a.targets[1]: found a list; expected an address such as "
                  "127.0.0.1:8080, [::1]:8080 or unix:/run/x\n");
    assert_faults("routes: [{headers: {x: [1]}}]\n",
                  "t:1:21: routes[0].headers.x: found a list; expected a text\n");
    assert_faults("routes: [{match: /}]\n",
                  "t:1:18: routes[0].match: found a single value; expected a group of keys\n");
    assert_faults(
        "listen: [{address: a:1, tls: true}]\n",
        "t:1:30: listen[0].tls: found a single value; expected a group of keys, or off\n");
    assert_faults("- a\n", "t:1:1: found a list; expected a group of keys\n");
    assert_faults("\n  just text\n", "t:2:3: found a single value; expected a group of keys\n");
}

/* Each bound at n - 1, n and n + 1. */
static void test_bounds_hold_at_their_edges(void **state)
{
    (void)state;
    static const struct {
        const char *format;
        const char *inside[2];
        const char *outside[2];
    } rows[] = {
        {"workers: %s\n", {"-2", "64"}, {"-3", "65"}},
        {"workers: %s\n", {"-1", "63"}, {"-99", "9223372036854775807"}},
        {"body_max: %s\n", {"1kb", "1mb"}, {"1023b", "1048577b"}},
        {"body_max: %s\n", {"1025b", "1048575"}, {"0", "2mb"}},
        {"upstreams: {a: {targets: [b:1], health: {interval: %s}}}\n",
         {"100ms", "1h"},
         {"99ms", "3600001ms"}},
        {"upstreams: {a: {targets: [b:1], health: {interval: %s}}}\n",
         {"101ms", "3599999ms"},
         {"0", "2h"}},
        {"upstreams: {a: {targets: [b:1], health: {jitter: %s}}}\n", {"0", "50"}, {"50.01", "100"}},
        {"upstreams: {a: {targets: [b:1], health: {jitter: %s}}}\n",
         {"49.99", "0.01"},
         {"51", "-1"}},
        {"upstreams: {a: {targets: [b:1], health: {path: %s}}}\n",
         {"x", N16 N16 N16 N16},
         {"''", N16 N16 N16 N16 "q"}},
        {"upstreams: {a: {targets: %s}}\n",
         {"[b:1]", "[b:1, b:2, b:3]"},
         {"[]", "[b:1, b:2, b:3, b:4]"}},
        {"upstreams: {a: {targets: [%s]}}\n", {"b:1", "b:65535"}, {"b:0", "b:65536"}},
        {"listen: [{address: %s}]\n", {"b:0", "b:65535"}, {"b:-1", "b:65536"}},
        {"listen: [{address: a:1, backlog: %s}]\n", {"1", "4096"}, {"0", "4097"}},
        {"routes: [{limits: [{rate: %s}]}]\n", {"1/s", "10000/d"}, {"0/s", "10001/d"}},
        {"routes: [{limits: %s}]\n",
         {"[]", "[{rate: 1/s}, {rate: 1/h}]"},
         {"[{rate: 1/s}, {rate: 1/h}, {rate: 1/d}]", "[1]"}},
        {"routes: [{headers: %s}]\n",
         {"{}", "{a: b, b: c, c: d}"},
         {"{a: b, b: c, c: d, d: e}", "1"}},
        {"admin_token: %s\n", {"abcdefgh", N16}, {"abcdefg", N16 "q"}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t k = 0; k < 4; k++) {
            const char *value = k < 2 ? rows[i].inside[k] : rows[i].outside[k - 2];
            struct span format = span_from(rows[i].format);
            size_t hole = span_find(format, '%');
            struct buf yaml CLEANUP(buf_done);
            buf_init(&yaml, 1000);
            assert_true(err_ok(buf_append(&yaml, format.at, hole)));
            assert_true(err_ok(buf_add(&yaml, span_from(value))));
            assert_true(err_ok(buf_add(&yaml, span_skip(format, hole + 2))));
            struct config *c = NULL;
            report = (struct config_report){0};
            err outcome = config_load_text(sample_tables, buf_span(&yaml), "t", &c, &report);
            config_unref(c);
            if (err_ok(outcome) != (k < 2))
                fail_msg("%.*s%s", SPAN_ARGS(buf_span(&yaml)), report.faults[0].text);
            assert_int_equal(report.count, k < 2 ? 0 : 1);
        }
}

static void test_counts_out_of_bounds_name_the_count(void **state)
{
    (void)state;
    assert_faults(
        "upstreams: {a: {targets: []}}\n",
        "t:1:17: upstreams.a.targets: found 0 entries; expected a list, from 1 to 3 entries\n");
    assert_faults("routes: [{headers: {a: b, b: c, c: d, d: e}}]\n",
                  "t:1:11: routes[0].headers: found 4 entries; expected a table of names, each "
                  "with a text, at most 3 entries\n");
}

static void test_all_errors_are_collected_in_file_order(void **state)
{
    (void)state;
    assert_faults(
        "listen:\n"
        "  - backlog: x\n"
        "    tls: 1\n"
        "routes:\n"
        "  - limits: [{rate: 5}, {per: me}]\n"
        "    too: a\n"
        "workers: 1000\n"
        "workers: 1\n",
        "t:2:5: listen[0].address: is missing; expected an address such as 127.0.0.1:8080, "
        "[::1]:8080 or unix:/run/x\n"
        "t:2:14: listen[0].backlog: found \"x\"; expected a whole number, from 1 to 4096\n"
        "t:3:10: listen[0].tls: found a single value; expected a group of keys, or off\n"
        "t:5:21: routes[0].limits[0].rate: found \"5\"; expected a rate such as 10/s, 100/min, "
        "20/h or 1000/d, count at most 10000\n"
        "t:5:25: routes[0].limits[1].rate: is missing; expected a rate such as 10/s, 100/min, 20/h "
        "or 1000/d, count at most 10000\n"
        "t:5:31: routes[0].limits[1].per: found \"me\"; expected one of ip, route, global\n"
        "t:6:5: routes[0].too: unknown key; did you mean \"to\"?\n"
        "t:7:10: workers: found \"1000\"; expected a whole number, from -2 to 64\n"
        "t:8:1: workers: stands here again; first at line 7\n");
}

static void test_variables_must_be_set_and_well_formed(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("PLIMSOLL_TEST_NONE"), 0);
    assert_faults("routes: [{to: \"a${PLIMSOLL_TEST_NONE}\"}]\n",
                  "t:1:15: routes[0].to: the environment variable PLIMSOLL_TEST_NONE is not set\n");
    assert_faults("state: ${PLIMSOLL_TEST_NONE\n",
                  "t:1:8: state: a \"${\" has no \"}\"; write $${ for the text itself\n");
    static const char *const names[] = {"", "1A", "A B", "A-B", "A:-b"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char yaml[64];
        (void)snprintf(yaml, sizeof yaml, "state: 'x${%s}'\n", names[i]);
        assert_faults(yaml, "t:1:8: state: between ${ and } must stand the name of an environment "
                            "variable; write $${ for the text itself\n");
    }
    /* What a variable holds is checked like the rest, and never shown. */
    assert_int_equal(setenv("PLIMSOLL_TEST_VALUE", "hunter2", 1), 0);
    assert_faults("workers: ${PLIMSOLL_TEST_VALUE}\n",
                  "t:1:10: workers: found \"${PLIMSOLL_TEST_VALUE}\"; expected a whole number, "
                  "from -2 to 64\n");
    assert_int_equal(setenv("PLIMSOLL_TEST_VALUE", "a\x01z", 1), 0);
    assert_faults("state: ${PLIMSOLL_TEST_VALUE}\n",
                  "t:1:8: state: found \"${PLIMSOLL_TEST_VALUE}\"; expected a path\n");
    assert_int_equal(setenv("PLIMSOLL_TEST_VALUE", "a\xffz", 1), 0);
    assert_faults("state: ${PLIMSOLL_TEST_VALUE}\n",
                  "t:1:8: state: found \"${PLIMSOLL_TEST_VALUE}\"; expected a path\n");
}

static void test_a_value_has_a_limit_before_and_after_its_variables(void **state)
{
    (void)state;
    for (size_t more = 0; more < 3; more++) {
        struct buf yaml CLEANUP(buf_done);
        struct buf value CLEANUP(buf_done);
        const char *text = NULL;
        buf_init(&yaml, 1 << 20);
        buf_init(&value, 1 << 20);
        size_t len = CONFIG_TEXT_BYTES_MAX - 1 + more;
        for (size_t i = 0; i < len; i++)
            assert_true(err_ok(buf_add_char(&value, 'x')));
        assert_true(err_ok(buf_text(&value, &text)));
        assert_true(err_ok(buf_printf(&yaml, "state: %s\n", text)));
        assert_faults_of(sample_tables, buf_span(&yaml),
                         more < 2 ? ""
                                  : "t:1:8: state: found 65537 bytes; expected at most 65536\n");
        text += 1;
        assert_int_equal(setenv("PLIMSOLL_TEST_LONG", text, 1), 0);
        assert_faults(
            "state: x${PLIMSOLL_TEST_LONG}\n",
            more < 2
                ? ""
                : "t:1:8: state: found more than 65536 bytes after its variables were replaced\n");
        assert_int_equal(unsetenv("PLIMSOLL_TEST_LONG"), 0);
    }
}

/* Nothing that a secret holds may come out, however wrong the file is. */
static void test_secrets_are_in_no_message(void **state)
{
    (void)state;
    assert_int_equal(setenv("PLIMSOLL_TEST_SECRET", "hunter2-is-far-too-long-a-secret", 1), 0);
    static const char *const files[] = {
        "admin_token: hunter2\n",
        "admin_token: hunter2-is-far-too-long-a-secret\n",
        "admin_token: [hunter2-hunter2]\n",
        "admin_token: {hunter2-hunter2: hunter2-hunter2}\n",
        "admin_token: |\n  hunter2-hunter2-hunter2\n",
        "admin_token: \"hunter2\\x01hunter2\"\n",
        "admin_token: ${PLIMSOLL_TEST_SECRET}\n",
        "admin_token: hunter2-1\nadmin_token: hunter2-2\n",
        "admin_token: \"hunter2-hunter2\n",
        "admin_token: 'hunter2-hunter2\n x: \n",
        "admin_token: hunter2: hunter2\n",
        "admin_token: @hunter2\n",
        "listen: [{address: a:1, tls: hunter2}]\n",
    };
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        struct config *c = NULL;
        report = (struct config_report){0};
        assert_false(
            err_ok(config_load_text(sample_tables, span_from(files[i]), "t", &c, &report)));
        assert_true(report.count > 0);
        for (unsigned k = 0; k < report.count; k++)
            if (strstr(report.faults[k].text, "hunter2") != NULL)
                fail_msg("%s leads to: %s", files[i], report.faults[k].text);
    }
    assert_faults("admin_token: hunter2\n",
                  "t:1:14: admin_token: found a secret of another length; expected a secret: text, "
                  "${NAME} or file:path, from 8 to 16 bytes\n");
    assert_faults("admin_token: ''\n", "t:1:14: admin_token: found an empty secret; expected a "
                                       "secret: text, ${NAME} or file:path, from 8 to 16 bytes\n");
}

static void test_a_secret_comes_from_text_or_variable(void **state)
{
    (void)state;
    assert_int_equal(setenv("PLIMSOLL_TEST_SECRET", "hunter2-hunter2", 1), 0);
    static const char *const files[] = {"admin_token: hunter2-hunter2\n",
                                        "admin_token: ${PLIMSOLL_TEST_SECRET}\n"};
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        struct config *c = NULL;
        report = (struct config_report){0};
        assert_true(err_ok(config_load_text(sample_tables, span_from(files[i]), "t", &c, &report)));
        const struct secret *secret = config_secret(config_root(c), "admin_token");
        assert_non_null(secret);
        assert_true(secret_equals(secret, SPAN("hunter2-hunter2")));
        config_unref(c);
    }
}

static void test_a_text_past_the_file_limit_is_refused(void **state)
{
    (void)state;
    for (size_t more = 0; more < 3; more++) {
        struct buf yaml CLEANUP(buf_done);
        buf_init(&yaml, 2 * CONFIG_FILE_BYTES_MAX);
        assert_true(err_ok(buf_add(&yaml, SPAN("workers: 1\n"))));
        while (yaml.len < CONFIG_FILE_BYTES_MAX - 1 + more)
            assert_true(err_ok(buf_add_char(&yaml, yaml.len % 100 == 99 ? '\n' : '#')));
        yaml.at[yaml.len - 1] = '\n';
        assert_faults_of(sample_tables, buf_span(&yaml),
                         more < 2 ? "" : "t: the file has 1048577 bytes; allowed are 1048576\n");
    }
}

static err load_all(struct config **out)
{
    static const char yaml[] = "listen: [{address: a:1}]\n"
                               "upstreams: {a: {targets: [b:1, c:2]}}\n"
                               "routes: [{limits: [{rate: 1/s}], headers: {a: b}, to: a}]\n"
                               "admin_token: ${PLIMSOLL_TEST_SECRET}\n";
    return config_load_text(sample_tables, span_from(yaml), "t", out, &report);
}

static void test_a_load_survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_int_equal(setenv("PLIMSOLL_TEST_SECRET", "hunter2-hunter2", 1), 0);
    for (unsigned nth = 1;; nth++) {
        struct config *c = NULL;
        report = (struct config_report){0};
        fault_point_arm("mem.", nth, false);
        err outcome = load_all(&c);
        unsigned fired = fault_point_fired();
        fault_point_disarm();
        if (fired == 0) {
            assert_true(err_ok(outcome));
            config_unref(c);
            assert_true(nth > 3);
            return;
        }
        assert_true(err_is(outcome, ERR_NO_MEMORY));
        assert_null(c);
        assert_report("t: the configuration takes more memory than there is\n");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_keys_are_errors_with_the_nearest_name),
        cmocka_unit_test(test_keys_and_names_stand_once),
        cmocka_unit_test(test_names_are_letters_digits_dot_dash_and_underscore),
        cmocka_unit_test(test_missing_keys_are_reported_at_their_group),
        cmocka_unit_test(test_values_of_the_wrong_form_are_quoted),
        cmocka_unit_test(test_long_values_are_cut_in_messages),
        cmocka_unit_test(test_kinds_of_values_must_match),
        cmocka_unit_test(test_bounds_hold_at_their_edges),
        cmocka_unit_test(test_counts_out_of_bounds_name_the_count),
        cmocka_unit_test(test_all_errors_are_collected_in_file_order),
        cmocka_unit_test(test_variables_must_be_set_and_well_formed),
        cmocka_unit_test(test_a_value_has_a_limit_before_and_after_its_variables),
        cmocka_unit_test(test_secrets_are_in_no_message),
        cmocka_unit_test(test_a_secret_comes_from_text_or_variable),
        cmocka_unit_test(test_a_text_past_the_file_limit_is_refused),
        cmocka_unit_test(test_a_load_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
