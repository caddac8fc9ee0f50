/* test_router_rule.c: what may stand in a rule, and what it is taken apart into.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "edge/router_rule.h"

static err take_apart(struct arena *arena, const struct router_rule *rule,
                      struct router_rule_parts *out, struct fault *why)
{
    *why = (struct fault){0};
    return router_rule_take_apart(arena, rule, out, why);
}

static void assert_path(const char *path, bool is_valid)
{
    struct arena arena;
    arena_init(&arena, NULL, 1 << 20);
    struct router_rule_parts parts;
    struct fault why;
    struct router_rule rule = {.path = span_from(path)};
    err outcome = take_apart(&arena, &rule, &parts, &why);
    if (err_ok(outcome) != is_valid)
        fail_msg("path %s: %s", path, is_valid ? why.text : "was accepted");
    if (!is_valid) {
        assert_true(err_is(outcome, ERR_INVALID));
        assert_non_null(strstr(why.text, path));
    }
    arena_done(&arena);
}

static void test_router_rule_accepts_canonical_paths(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "",
        "/",
        "/{$}",
        "/a",
        "/a/",
        "/a/{$}",
        "/{id}",
        "/{a}/{b}/",
        "/files/{rest*}",
        "/files/*",
        "/*",
        "/{all*}",
        "/a-b._~",
        "/%20",
        "/caf%C3%A9",
        "/!$&'()+,;=:@",
        "/a%25b",
        "/...",
        "/.well-known/x",
        "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}",
        "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/31/32",
    };
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        assert_path(paths[i], true);
}

static void test_router_rule_refuses_paths_that_never_arrive(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "a",
        "*",
        "{id}",
        "//",
        "/a//b",
        "/./a",
        "/a/..",
        "/a b",
        "/a?b",
        "/a#b",
        "/caf\xc3\xa9",
        "/a\\b",
        "/%",
        "/%2",
        "/%2f",
        "/%2F",
        "/%5C",
        "/%00",
        "/%7F",
        "/%c3",
        "/%41",
        "/%252F",
        "/%252e",
        "/%7E",
        "/a\x01",
        "/{}",
        "/{a",
        "/a}",
        "/x{a}",
        "/{a}x",
        "/{a-b}",
        "/{a}/{a}",
        "/{a*}/b",
        "/{$}/b",
        "/*/b",
        "/a*",
        "/{*}",
        "/{a}/{a*}",
        "/\"",
        "/<",
        "/|",
        "/^",
        "/[",
        "/`",
        "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}",
        "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/*",
        "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/31/32/"
        "33",
        "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/31/32/"
        "{$}",
    };
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        assert_path(paths[i], false);
}

static void test_router_rule_knows_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool is_valid;
        enum router_rule_host kind;
        const char *kept;
    } cases[] = {
        {"", true, ROUTER_RULE_HOST_ANY, ""},
        {"Shop.Example", true, ROUTER_RULE_HOST_EXACT, "shop.example"},
        {"localhost", true, ROUTER_RULE_HOST_EXACT, "localhost"},
        {"a_b-c.d", true, ROUTER_RULE_HOST_EXACT, "a_b-c.d"},
        {"10.0.0.1", true, ROUTER_RULE_HOST_EXACT, "10.0.0.1"},
        {"[2001:DB8::1]", true, ROUTER_RULE_HOST_EXACT, "[2001:db8::1]"},
        {"*.Shop.Example", true, ROUTER_RULE_HOST_WILDCARD, "shop.example"},
        {"*.example", true, ROUTER_RULE_HOST_WILDCARD, "example"},
        {"*", false, 0, NULL},
        {"*.", false, 0, NULL},
        {"*.*.a", false, 0, NULL},
        {"a.*.b", false, 0, NULL},
        {"*a.b", false, 0, NULL},
        {".a", false, 0, NULL},
        {"a.", false, 0, NULL},
        {"a..b", false, 0, NULL},
        {"a:80", false, 0, NULL},
        {"a b", false, 0, NULL},
        {"a/b", false, 0, NULL},
        {"[]", false, 0, NULL},
        {"[::1]:80", false, 0, NULL},
        {"*.[::1]", false, 0, NULL},
        {"caf\xc3\xa9.example", false, 0, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena arena;
        arena_init(&arena, NULL, 1 << 20);
        struct router_rule_parts parts;
        struct fault why;
        struct router_rule rule = {.host = span_from(cases[i].host)};
        err outcome = take_apart(&arena, &rule, &parts, &why);
        if (err_ok(outcome) != cases[i].is_valid)
            fail_msg("host %s", cases[i].host);
        if (cases[i].is_valid) {
            assert_int_equal(parts.host_kind, cases[i].kind);
            assert_true(span_eq(parts.host, span_from(cases[i].kept)));
        }
        arena_done(&arena);
    }
}

static void test_router_rule_limits_the_length_of_a_host(void **state)
{
    (void)state;
    char name[254];
    memset(name, 'a', sizeof(name));
    struct arena arena;
    arena_init(&arena, NULL, 1 << 20);
    struct router_rule_parts parts;
    struct fault why;
    struct router_rule rule = {.host = span_of(name, 253)};
    assert_true(err_ok(take_apart(&arena, &rule, &parts, &why)));
    rule.host.len = 254;
    assert_true(err_is(take_apart(&arena, &rule, &parts, &why), ERR_INVALID));
    arena_done(&arena);
}

static void test_router_rule_takes_a_path_apart(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 1 << 20);
    struct router_rule_parts parts;
    struct fault why;
    struct router_rule rule = {.path = SPAN("/users/{id}/files/{rest*}")};
    assert_true(err_ok(take_apart(&arena, &rule, &parts, &why)));
    assert_int_equal(parts.path_kind, ROUTER_RULE_PATH_OPEN);
    assert_int_equal(parts.segment_count, 3);
    assert_true(span_eq(parts.segments[0], SPAN("users")));
    assert_null(parts.segments[1].at);
    assert_true(span_eq(parts.segments[2], SPAN("files")));
    assert_int_equal(parts.entry->param_count, 2);
    assert_true(span_eq(parts.entry->params[0].name, SPAN("id")));
    assert_int_equal(parts.entry->params[0].segment, 1);
    assert_false(parts.entry->params[0].is_rest);
    assert_true(span_eq(parts.entry->params[1].name, SPAN("rest")));
    assert_int_equal(parts.entry->params[1].segment, 3);
    assert_true(parts.entry->params[1].is_rest);
    assert_true(router_rule_is_any_method(parts.entry));
    arena_done(&arena);
}

static void test_router_rule_reads_methods(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 1 << 20);
    struct router_rule_parts parts;
    struct fault why;
    struct router_rule rule = {.methods = 1u << HTTP_GET};
    assert_true(err_ok(take_apart(&arena, &rule, &parts, &why)));
    assert_int_equal(parts.entry->methods, 1u << HTTP_GET | 1u << HTTP_HEAD);
    rule.methods = 1u << HTTP_METHOD_OTHER;
    assert_true(err_ok(take_apart(&arena, &rule, &parts, &why)));
    rule.methods = 1u << HTTP_METHOD_COUNT;
    assert_true(err_is(take_apart(&arena, &rule, &parts, &why), ERR_INVALID));
    arena_done(&arena);
}

static void test_router_rule_refuses_broken_conditions(void **state)
{
    (void)state;
    static const struct router_condition broken[][2] = {
        {{SPAN_INIT("a b"), SPAN_INIT("x"), false}}, {{SPAN_INIT(""), SPAN_INIT("x"), false}},
        {{SPAN_INIT("a:"), SPAN_INIT("x"), false}},  {{SPAN_INIT("a"), SPAN_INIT(" x"), false}},
        {{SPAN_INIT("a"), SPAN_INIT("x\t"), false}},
    };
    struct arena arena;
    arena_init(&arena, NULL, 1 << 20);
    struct router_rule_parts parts;
    struct fault why;
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        struct router_rule rule = {.conditions = broken[i], .condition_count = 1};
        assert_true(err_is(take_apart(&arena, &rule, &parts, &why), ERR_INVALID));
    }
    static const struct router_condition twice[] = {
        {SPAN_INIT("X-A"), SPAN_INIT("1"), false},
        {SPAN_INIT("x-b"), SPAN_INIT("1"), false},
        {SPAN_INIT("x-a"), SPAN_INIT("1"), false},
    };
    struct router_rule rule = {.conditions = twice, .condition_count = 3};
    assert_true(err_is(take_apart(&arena, &rule, &parts, &why), ERR_INVALID));
    rule.condition_count = 2;
    assert_true(err_ok(take_apart(&arena, &rule, &parts, &why)));

    struct router_condition many[ROUTER_CONDITIONS_MAX + 1];
    static const char letters[] = "abcdefghi";
    for (unsigned i = 0; i < COUNT_OF(many); i++)
        many[i] = (struct router_condition){.name = span_of(&letters[i], 1), .is_presence = true};
    rule = (struct router_rule){.conditions = many, .condition_count = ROUTER_CONDITIONS_MAX};
    assert_true(err_ok(take_apart(&arena, &rule, &parts, &why)));
    rule.condition_count++;
    assert_true(err_is(take_apart(&arena, &rule, &parts, &why), ERR_INVALID));
    arena_done(&arena);
}

/* Fields of a request as the parser would list them. */
struct fields {
    struct http_head head;
    struct http_field list[8];
};

static void fields_add(struct fields *f, const char *name, const char *value)
{
    f->head.fields = f->list;
    unsigned i = f->head.field_count++;
    f->list[i] = (struct http_field){.name = span_from(name), .value = span_from(value)};
    f->list[i].id = (uint16_t)http_field_id_of(f->list[i].name);
    if (f->list[i].id != HTTP_FIELD_OTHER && f->head.first[f->list[i].id] == 0)
        f->head.first[f->list[i].id] = (uint16_t)(i + 1);
}

static void test_router_rule_holds_when_one_line_has_the_value(void **state)
{
    (void)state;
    struct fields f = {0};
    fields_add(&f, "X-Tier", "gold");
    fields_add(&f, "Accept", "text/html");
    fields_add(&f, "accept", "image/png");
    fields_add(&f, "x-tier", "Silver");
    fields_add(&f, "x-empty", "");
    static const struct {
        const char *name;
        const char *value; /* NULL: presence */
        bool holds;
    } cases[] = {
        {"x-tier", "gold", true},      {"X-TIER", "Silver", true}, {"x-tier", "silver", false},
        {"x-tier", "gol", false},      {"x-tier", NULL, true},     {"accept", "text/html", true},
        {"Accept", "image/png", true}, {"accept", "image", false}, {"accept", NULL, true},
        {"cookie", NULL, false},       {"cookie", "", false},      {"x-none", NULL, false},
        {"x-empty", "", true},         {"x-empty", NULL, true},    {"x-none", "", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena arena;
        arena_init(&arena, NULL, 1 << 20);
        struct router_condition condition = {.name = span_from(cases[i].name),
                                             .value = span_from(cases[i].value),
                                             .is_presence = cases[i].value == NULL};
        struct router_rule rule = {.conditions = &condition, .condition_count = 1};
        struct router_rule_parts parts;
        struct fault why;
        assert_true(err_ok(take_apart(&arena, &rule, &parts, &why)));
        if (router_rule_holds(parts.entry, &f.head) != cases[i].holds)
            fail_msg("case %zu: %s", i, cases[i].name);
        assert_false(router_rule_holds(parts.entry, NULL));
        arena_done(&arena);
    }
}

static void test_router_rule_conditions_are_the_same_in_any_order_and_case(void **state)
{
    (void)state;
    static const struct router_condition one[] = {
        {SPAN_INIT("X-A"), SPAN_INIT("1"), false},
        {SPAN_INIT("x-b"), SPAN_INIT("ignored"), true},
    };
    static const struct router_condition same[] = {
        {SPAN_INIT("X-B"), SPAN_INIT(""), true},
        {SPAN_INIT("x-a"), SPAN_INIT("1"), false},
    };
    static const struct router_condition other[] = {
        {SPAN_INIT("x-a"), SPAN_INIT("1"), false},
        {SPAN_INIT("x-b"), SPAN_INIT(""), false},
    };
    struct arena arena;
    arena_init(&arena, NULL, 1 << 20);
    struct router_rule_parts a;
    struct router_rule_parts b;
    struct router_rule_parts c;
    struct fault why;
    struct router_rule rule = {.conditions = one, .condition_count = 2};
    assert_true(err_ok(take_apart(&arena, &rule, &a, &why)));
    rule.conditions = same;
    assert_true(err_ok(take_apart(&arena, &rule, &b, &why)));
    rule.conditions = other;
    assert_true(err_ok(take_apart(&arena, &rule, &c, &why)));
    assert_true(router_rule_same_checks(a.entry, b.entry));
    assert_false(router_rule_same_checks(a.entry, c.entry));
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_router_rule_accepts_canonical_paths),
        cmocka_unit_test(test_router_rule_refuses_paths_that_never_arrive),
        cmocka_unit_test(test_router_rule_knows_hosts),
        cmocka_unit_test(test_router_rule_limits_the_length_of_a_host),
        cmocka_unit_test(test_router_rule_takes_a_path_apart),
        cmocka_unit_test(test_router_rule_reads_methods),
        cmocka_unit_test(test_router_rule_refuses_broken_conditions),
        cmocka_unit_test(test_router_rule_holds_when_one_line_has_the_value),
        cmocka_unit_test(test_router_rule_conditions_are_the_same_in_any_order_and_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
