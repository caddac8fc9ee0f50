/* test_limits.c: from a `limits` list to rules, and from a request to its verdicts.
 *
 * How a rule counts is test_limit_table's; here is what is counted together and what apart.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/limits.h"

#include "cmocka_all.h"
#include "core/mem.h"

#define NOW 1000000ull

static const struct config_key test_keys[] = {
    {.name = "limits", .type = CONFIG_GROUPS, .keys = limits_keys, .help = "Limits."}, {0}};

/* The rules of one configuration, and what was said against it. */
struct test_rules {
    struct config *config;
    struct arena arena;
    struct limits_set set;
    struct config_report report;
};

/* Big for its report, so it does not stand on the stack. */
static struct test_rules test_one, test_other;

static err test_read(struct test_rules *r, const char *yaml, const char *owner)
{
    static const struct config_key *const tables[] = {test_keys, NULL};
    *r = (struct test_rules){0};
    arena_init(&r->arena, NULL, 1 << 20);
    TRY(config_load_text(tables, span_from(yaml), "t.yaml", &r->config, &r->report));
    return limits_build(config_child(config_root(r->config), "limits"), span_from(owner), &r->arena,
                        &r->set, &r->report);
}

static void test_forget(struct test_rules *r)
{
    config_unref(r->config);
    arena_done(&r->arena);
    *r = (struct test_rules){0};
}

static void test_build(struct test_rules *r, const char *yaml)
{
    if (!err_ok(test_read(r, yaml, "global")))
        fail_msg("%s", r->report.faults[0].text);
}

/* ---- from configuration to rules ---- */

static void test_limits_errors_stand_at_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *says;
    } cases[] = {
        {"limits:\n  - {per: ip}\n",
         "t.yaml:2:5: limits[0]: exactly one of preset, rate and rates is needed\n"},
        {"limits:\n  - {rate: 1/s}\n  - {rate: 5/s, preset: auth}\n",
         "t.yaml:3:5: limits[1]: exactly one of preset, rate and rates is needed\n"},
        {"limits:\n  - {rate: 1/s, rates: [1/s]}\n",
         "t.yaml:2:5: limits[0]: exactly one of preset, rate and rates is needed\n"},
        {"limits:\n  - {rate: 1/s, per: header}\n",
         "t.yaml:2:5: limits[0]: header goes with per: header, and only with it\n"},
        {"limits:\n  - {rate: 1/s, header: x-key}\n",
         "t.yaml:2:5: limits[0]: header goes with per: header, and only with it\n"},
        {"limits:\n  - {preset: global, header: x-key}\n",
         "t.yaml:2:5: limits[0]: header goes with per: header, and only with it\n"},
        {"limits:\n  - {rates: [5/s, 7/s]}\n",
         "t.yaml:2:5: limits[0]: two windows of one limit have one length\n"},
        {"limits:\n  - {per: header}\n",
         "t.yaml:2:5: limits[0]: exactly one of preset, rate and rates is needed\n"
         "t.yaml:2:5: limits[0]: header goes with per: header, and only with it\n"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf text;
        const char *said;
        buf_init(&text, 65536);
        assert_true(err_is(test_read(&test_one, cases[i].yaml, "global"), ERR_CONFIG));
        assert_true(err_ok(config_report_write(&test_one.report, &text)));
        assert_true(err_ok(buf_text(&text, &said)));
        assert_string_equal(said, cases[i].says);
        buf_done(&text);
        test_forget(&test_one);
    }
}

/* A route without a name is called by its match, which may be long. */
static void test_limits_name_too_long_for_headers_is_refused(void **state)
{
    (void)state;
    char owner[1001];
    memset(owner, 'x', sizeof owner - 1);
    owner[sizeof owner - 1] = '\0';
    static const char rates[] = "limits:\n  - {rates: [1/s, 2/min, 3/h, 4/d]}\n";
    assert_true(err_is(test_read(&test_one, rates, owner), ERR_CONFIG));
    assert_int_equal(test_one.report.count, 1);
    assert_string_equal(
        test_one.report.faults[0].text,
        "limits[0]: the name is too long for RateLimit headers; set a shorter name");
    test_forget(&test_one);
    assert_true(err_ok(
        test_read(&test_one, "limits: [{rates: [1/s, 2/min, 3/h, 4/d], name: short}]", owner)));
    test_forget(&test_one);
}

static void test_limits_nothing_configured_is_no_rule(void **state)
{
    (void)state;
    test_build(&test_one, "{}");
    assert_int_equal(test_one.set.count, 0);
    test_forget(&test_one);
}

static void test_limits_presets_are_what_their_help_says(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *name;
        enum limits_per per;
        uint32_t count;
        uint64_t window_ms;
    } cases[] = {
        {"limits: [{preset: auth}]", "global-auth", LIMITS_PER_ip, 5, 60000},
        {"limits: [{preset: admin}]", "global-admin", LIMITS_PER_ip, 10, 60000},
        {"limits: [{preset: api}]", "global-api", LIMITS_PER_ip, 100, 60000},
        {"limits: [{preset: uploads}]", "global-uploads", LIMITS_PER_ip, 20, 3600000},
        {"limits: [{preset: client}]", "global-client", LIMITS_PER_ip, 10, 1000},
        {"limits: [{preset: global}]", "global-global", LIMITS_PER_global, 100, 1000},
        {"limits: [{preset: global, per: route, name: n}]", "n", LIMITS_PER_route, 100, 1000},
        {"limits: [{preset: auth, per: global}]", "global-auth", LIMITS_PER_global, 5, 60000},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        test_build(&test_one, cases[i].yaml);
        assert_int_equal(test_one.set.count, 1);
        const struct limits_entry *entry = &test_one.set.entries[0];
        assert_true(span_eq(entry->rule.name, span_from(cases[i].name)));
        assert_int_equal(entry->per, cases[i].per);
        assert_int_equal(entry->rule.window_count, 1);
        assert_int_equal(entry->rule.windows[0].count, cases[i].count);
        assert_int_equal(entry->rule.windows[0].window_ms, cases[i].window_ms);
        assert_false(entry->rule.is_shadow);
        test_forget(&test_one);
    }
}

static void test_limits_rates_hold_at_the_same_time(void **state)
{
    (void)state;
    test_build(&test_one, "limits:\n"
                          "  - {rates: [2/s, 30/min, 400/h, 5000/d], shadow: true}\n"
                          "  - {per: header, header: X-Key, rate: 7/h}\n"
                          "  - {per: route, rate: 8/d}\n");
    const struct limits_entry *entries = test_one.set.entries;
    assert_int_equal(test_one.set.count, 3);
    assert_int_equal(entries[0].rule.window_count, 4);
    assert_true(entries[0].rule.is_shadow);
    assert_true(span_eq(entries[0].rule.name, SPAN("global-ip-1")));
    assert_true(span_eq(entries[1].rule.name, SPAN("global-header-2")));
    assert_true(span_eq(entries[1].header, SPAN("X-Key")));
    assert_true(span_eq(entries[2].rule.name, SPAN("global-route-3")));
    assert_int_equal(entries[2].rule.windows[0].window_ms, 86400000);
    assert_true(entries[1].text.policy.len > 0);
    test_forget(&test_one);
}

/* ---- from a request to its verdicts ---- */

static struct limit_table *test_table(void)
{
    struct limit_table *table = NULL;
    assert_true(err_ok(limit_table_new(1024, &table)));
    return table;
}

struct test_client {
    const char *ip;
    const char *route;
    const char *key; /* the value of X-Key; NULL: none is sent */
};

static bool test_asks(struct limit_table *table, const struct limits_set *global,
                      const struct limits_set *route, const struct test_client *client,
                      struct limits_outcome *out)
{
    struct ip_address ip;
    struct http_field field = {.name = SPAN("x-key")};
    struct http_head head = {.fields = &field};
    assert_true(err_ok(ip_parse(span_from(client->ip), &ip)));
    if (client->key != NULL) {
        field.value = span_from(client->key);
        head.field_count = 1;
    }
    limits_decide(
        table, global, route,
        &(struct limits_request){
            .client = &ip, .head = &head, .route_name = span_from(client->route), .now_ms = NOW},
        out);
    return !out->is_refused;
}

/* Whether a request of `second` still passes after one of `first`, under a rule of one a day. */
static bool test_counts_apart(const char *yaml, const struct test_client *first,
                              const struct test_client *second)
{
    struct limit_table *table = test_table();
    struct limits_outcome out;
    struct limits_set none = {0};
    test_build(&test_one, yaml);
    assert_true(test_asks(table, &test_one.set, &none, first, &out));
    bool passes = test_asks(table, &test_one.set, &none, second, &out);
    test_forget(&test_one);
    limit_table_free(table);
    return passes;
}

static const struct test_client test_anna = {"192.0.2.1", "/a", "red"};

static void test_limits_per_ip_counts_client_addresses(void **state)
{
    (void)state;
    static const char yaml[] = "limits: [{per: ip, rate: 1/d}]";
    struct test_client other = {"192.0.2.1", "/b", "blue"};
    assert_false(test_counts_apart(yaml, &test_anna, &other));
    other.ip = "192.0.2.2";
    assert_true(test_counts_apart(yaml, &test_anna, &other));
    struct test_client six = {"2001:db8::1", "/a", NULL}, neighbour = {"2001:db8::2", "/a", NULL};
    assert_false(test_counts_apart(yaml, &six, &neighbour));
    neighbour.ip = "2001:db8:0:1::1";
    assert_true(test_counts_apart(yaml, &six, &neighbour));
}

static void test_limits_per_route_counts_routes(void **state)
{
    (void)state;
    static const char yaml[] = "limits: [{per: route, rate: 1/d}]";
    struct test_client other = {"192.0.2.2", "/a", NULL};
    assert_false(test_counts_apart(yaml, &test_anna, &other));
    other.route = "/b";
    assert_true(test_counts_apart(yaml, &test_anna, &other));
}

static void test_limits_per_header_counts_values_and_all_without_one_together(void **state)
{
    (void)state;
    static const char yaml[] = "limits: [{per: header, header: X-Key, rate: 1/d}]";
    struct test_client other = {"192.0.2.2", "/b", "red"};
    assert_false(test_counts_apart(yaml, &test_anna, &other));
    other.key = "blue";
    assert_true(test_counts_apart(yaml, &test_anna, &other));
    other.key = NULL;
    assert_true(test_counts_apart(yaml, &test_anna, &other));
    struct test_client nameless = {"192.0.2.3", "/c", NULL}, empty = {"192.0.2.4", "/d", ""};
    assert_false(test_counts_apart(yaml, &nameless, &other));
    assert_false(test_counts_apart(yaml, &nameless, &empty));
}

static void test_limits_per_global_counts_everybody_together(void **state)
{
    (void)state;
    struct test_client other = {"2001:db8::1", "/b", NULL};
    assert_false(test_counts_apart("limits: [{per: global, rate: 1/d}]", &test_anna, &other));
}

static void test_limits_nothing_to_ask_admits(void **state)
{
    (void)state;
    struct limit_table *table = test_table();
    struct limits_outcome out = {.is_refused = true, .is_shadow_exceeded = true, .count = 9};
    struct limits_set none = {0};
    assert_true(test_asks(table, &none, &none, &test_anna, &out));
    assert_int_equal(out.count, 0);
    assert_false(out.is_shadow_exceeded);
    limit_table_free(table);
}

static void test_limits_verdicts_come_in_order_with_what_is_left(void **state)
{
    (void)state;
    struct limit_table *table = test_table();
    struct limits_outcome out;
    test_build(&test_one, "limits: [{rate: 5/d}, {per: route, rate: 3/d}]");
    assert_true(err_ok(test_read(&test_other, "limits: [{rate: 2/d, name: mine}]", "shop")));
    assert_true(test_asks(table, &test_one.set, &test_other.set, &test_anna, &out));
    assert_int_equal(out.count, 3);
    assert_ptr_equal(out.entries[0].rule, &test_one.set.entries[0].rule);
    assert_ptr_equal(out.entries[1].rule, &test_one.set.entries[1].rule);
    assert_ptr_equal(out.entries[2].rule, &test_other.set.entries[0].rule);
    for (unsigned i = 0; i < out.count; i++) {
        assert_ptr_equal(out.entries[i].verdict, &out.verdicts[i]);
        assert_int_equal(out.verdicts[i].windows[0].remaining, i == 0 ? 4 : 3 - i);
    }
    test_forget(&test_one);
    test_forget(&test_other);
    limit_table_free(table);
}

/* n-1, n, n+1; and what one rule refuses costs nothing under the others. */
static void test_limits_refusal_names_its_rule_and_charges_none(void **state)
{
    (void)state;
    struct limit_table *table = test_table();
    struct limits_outcome out;
    struct limits_set none = {0};
    test_build(&test_one, "limits: [{per: global, rate: 10/d}]");
    assert_true(err_ok(test_read(&test_other, "limits: [{rate: 2/min, name: mine}]", "shop")));
    assert_true(test_asks(table, &test_one.set, &test_other.set, &test_anna, &out));
    assert_true(test_asks(table, &test_one.set, &test_other.set, &test_anna, &out));
    for (unsigned i = 0; i < 3; i++) {
        assert_false(test_asks(table, &test_one.set, &test_other.set, &test_anna, &out));
        assert_true(span_eq(out.refused_by, SPAN("mine")));
        assert_in_range(out.retry_after_ms, 60000, 61000);
        assert_int_equal(out.count, 2);
    }
    assert_true(test_asks(table, &test_one.set, &none, &test_anna, &out));
    assert_int_equal(out.verdicts[0].windows[0].remaining, 10 - 3);
    test_forget(&test_one);
    test_forget(&test_other);
    limit_table_free(table);
}

static void test_limits_first_that_refuses_ends_the_asking(void **state)
{
    (void)state;
    struct limit_table *table = test_table();
    struct limits_outcome out;
    struct limits_set none = {0};
    test_build(&test_one, "limits: [{rate: 1/d, name: first}, {rate: 1/d, name: second}]");
    assert_true(test_asks(table, &test_one.set, &none, &test_anna, &out));
    assert_false(test_asks(table, &test_one.set, &none, &test_anna, &out));
    assert_true(span_eq(out.refused_by, SPAN("first")));
    assert_int_equal(out.count, 1);
    test_forget(&test_one);
    limit_table_free(table);
}

static void test_limits_shadow_tells_and_refuses_nobody(void **state)
{
    (void)state;
    struct limit_table *table = test_table();
    struct limits_outcome out;
    struct limits_set none = {0};
    test_build(&test_one, "limits: [{rate: 1/d, shadow: true}, {rate: 2/d, name: real}]");
    assert_true(test_asks(table, &test_one.set, &none, &test_anna, &out));
    assert_false(out.is_shadow_exceeded);
    assert_true(test_asks(table, &test_one.set, &none, &test_anna, &out));
    assert_true(out.is_shadow_exceeded);
    assert_int_equal(out.count, 2);
    assert_false(test_asks(table, &test_one.set, &none, &test_anna, &out));
    assert_true(span_eq(out.refused_by, SPAN("real")));
    test_forget(&test_one);
    limit_table_free(table);
}

/* A reload builds new rules; the same name and rates find the counts of the old ones. */
static void test_limits_counts_survive_a_reload(void **state)
{
    (void)state;
    struct limit_table *table = test_table();
    struct limits_outcome out;
    struct limits_set none = {0};
    test_build(&test_one, "limits: [{rate: 1/d}]");
    assert_true(test_asks(table, &test_one.set, &none, &test_anna, &out));
    test_build(&test_other, "limits: [{rate: 1/d}]");
    assert_false(test_asks(table, &test_other.set, &none, &test_anna, &out));
    test_forget(&test_other);
    test_build(&test_other, "limits: [{rate: 2/d}]");
    assert_true(test_asks(table, &test_other.set, &none, &test_anna, &out));
    test_forget(&test_other);
    assert_true(err_ok(test_read(&test_other, "limits: [{rate: 1/d}]", "shop")));
    assert_true(test_asks(table, &test_other.set, &none, &test_anna, &out));
    test_forget(&test_one);
    test_forget(&test_other);
    limit_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_errors_stand_at_their_place),
        cmocka_unit_test(test_limits_name_too_long_for_headers_is_refused),
        cmocka_unit_test(test_limits_nothing_configured_is_no_rule),
        cmocka_unit_test(test_limits_presets_are_what_their_help_says),
        cmocka_unit_test(test_limits_rates_hold_at_the_same_time),
        cmocka_unit_test(test_limits_per_ip_counts_client_addresses),
        cmocka_unit_test(test_limits_per_route_counts_routes),
        cmocka_unit_test(test_limits_per_header_counts_values_and_all_without_one_together),
        cmocka_unit_test(test_limits_per_global_counts_everybody_together),
        cmocka_unit_test(test_limits_nothing_to_ask_admits),
        cmocka_unit_test(test_limits_verdicts_come_in_order_with_what_is_left),
        cmocka_unit_test(test_limits_refusal_names_its_rule_and_charges_none),
        cmocka_unit_test(test_limits_first_that_refuses_ends_the_asking),
        cmocka_unit_test(test_limits_shadow_tells_and_refuses_nobody),
        cmocka_unit_test(test_limits_counts_survive_a_reload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
