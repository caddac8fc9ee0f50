/* test_router.c: precedence as a table, parameters, and what is refused.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "router_text.h"

#include <stdio.h>

static struct router *router_of(const struct text_rule *texts, unsigned count)
{
    struct rule_set set = {0};
    for (unsigned i = 0; i < count; i++)
        router_text_add(&set, &texts[i]);
    struct router *r = NULL;
    struct fault why = {0};
    if (!err_ok(router_new(set.rules, set.count, &r, &why)))
        fail_msg("%s", why.text);
    return r;
}

static struct router_match find(const struct router *r, const char *method, const char *host,
                                const char *path)
{
    struct router_query query = {.host = span_from(host),
                                 .path = span_from(path),
                                 .method = http_method_of(span_from(method))};
    struct router_match match;
    router_find(r, &query, &match);
    return match;
}

static const struct text_rule precedence_rules[] = {
    [0] = {"", "", NULL, {NULL}},
    [1] = {"", "/", NULL, {NULL}},
    [2] = {"", "/api/", NULL, {NULL}},
    [3] = {"", "/api/v1/", NULL, {NULL}},
    [4] = {"", "/api/v1/users", NULL, {NULL}},
    [5] = {"", "/api/v1/{thing}", NULL, {NULL}},
    [6] = {"", "/api/{version}/users", NULL, {NULL}},
    [7] = {"", "/users/{id}/orders", NULL, {NULL}},
    [8] = {"", "/users/me/{what}", NULL, {NULL}},
    [9] = {"", "/{a}/me/orders", NULL, {NULL}},
    [10] = {"", "/files/{rest*}", NULL, {NULL}},
    [11] = {"", "/files/public/*", NULL, {NULL}},
    [12] = {"", "/{$}", NULL, {NULL}},
    [13] = {"", "/cart/{$}", NULL, {NULL}},
    [14] = {"shop.example", "/cart", NULL, {NULL}},
    [15] = {"*.example", "/cart", NULL, {NULL}},
    [16] = {"*.shop.example", "", NULL, {NULL}},
    [17] = {"", "/{section}/deep/", NULL, {NULL}},
    [18] = {"[2001:db8::1]", "", NULL, {NULL}},
    [19] = {"", "/search", "GET", {NULL}},
    [20] = {"", "/search", NULL, {NULL}},
};
static const struct {
    const char *method;
    const char *host;
    const char *path;
    int rule;
} precedence_cases[] = {
    /* paths */
    {"GET", "", "/", 12},
    {"GET", "", "/other", 1},
    {"GET", "", "/api", 1},
    {"GET", "", "/api/", 2},
    {"GET", "", "/api/x", 2},
    {"GET", "", "/api/v1/", 3},
    {"GET", "", "/api/v1/x/y", 3},
    {"GET", "", "/api/v1/users", 4},
    {"GET", "", "/api/v1/users/", 3},
    {"GET", "", "/api/v1/x", 5},
    {"GET", "", "/api/v2/users", 6},
    {"GET", "", "/api//users", 2}, /* a parameter is never empty */
    {"GET", "", "/users/7/orders", 7},
    {"GET", "", "/users/me/orders", 8},
    {"GET", "", "/x/me/orders", 9},
    {"GET", "", "/users/7/orders/", 1},
    {"GET", "", "/files/a/b/c", 10},
    {"GET", "", "/files/", 10},
    {"GET", "", "/files", 1},
    {"GET", "", "/files/public/a", 11},
    {"GET", "", "/files/public", 10},
    {"GET", "", "/files/deep/a", 10}, /* literal before parameter, from the left */
    {"GET", "", "/a/deep/x", 17},
    {"GET", "", "/cart/", 13},
    {"GET", "", "/cart", 1},
    {"GET", "", "/CART/", 1}, /* paths have case */
    {"GET", "", "/apiary", 1},
    {"OPTIONS", "", "*", 0},
    {"CONNECT", "", "", 0},
    /* hosts */
    {"GET", "shop.example", "/cart", 14},
    {"GET", "SHOP.Example", "/cart", 14},
    {"GET", "shop.example.", "/cart", 14},
    {"GET", "www.example", "/cart", 15},
    {"GET", "a.b.example", "/cart", 15},
    {"GET", "example", "/cart", 1},
    {"GET", ".example", "/cart", 1},
    {"GET", "..", "/cart", 1},
    {"GET", ".", "/cart", 1},
    {"GET", "notexample", "/cart", 1},
    {"GET", "a.shop.example", "/cart", 16},
    {"GET", "a.b.shop.example", "/x", 16},
    {"GET", "shop.example", "/other", 1}, /* the rules for any host come last */
    {"GET", "www.example", "/cart/", 13},
    {"GET", "[2001:DB8::1]", "/", 18},
    {"GET", "[2001:db8::2]", "/", 12},
    /* methods */
    {"GET", "", "/search", 19},
    {"HEAD", "", "/search", 19},
    {"POST", "", "/search", 20},
    {"PROPFIND", "", "/search", 20},
};

static void test_router_precedence_table(void **state)
{
    (void)state;
    struct router *r = router_of(precedence_rules, COUNT_OF(precedence_rules));
    for (size_t i = 0; i < COUNT_OF(precedence_cases); i++) {
        struct router_match m =
            find(r, precedence_cases[i].method, precedence_cases[i].host, precedence_cases[i].path);
        if (m.rule != precedence_cases[i].rule)
            fail_msg("%s %s%s: rule %d in place of %d", precedence_cases[i].method,
                     precedence_cases[i].host, precedence_cases[i].path, m.rule,
                     precedence_cases[i].rule);
    }
    router_free(r);
}

static void test_router_prefers_more_conditions_then_named_methods_then_order(void **state)
{
    (void)state;
    static const struct text_rule rules[] = {
        [0] = {"", "/a", NULL, {NULL}},
        [1] = {"", "/a", "POST", {NULL}},
        [2] = {"", "/a", NULL, {"x-one=1"}},
        [3] = {"", "/a", "POST,PUT", {"x-two"}},
        [4] = {"", "/a", NULL, {"x-two", "x-one=1"}},
        [5] = {"", "/a", "PUT,DELETE", {NULL}},
        [6] = {"", "/a", "PUT,PATCH", {NULL}},
        [7] = {"", "/", NULL, {"x-one=9"}},
    };
    static const struct {
        const char *method;
        const char *path;
        const char *one; /* NULL: not sent */
        const char *two;
        int rule;
    } cases[] = {
        {"GET", "/a", NULL, NULL, 0},   {"POST", "/a", NULL, NULL, 1}, {"PUT", "/a", NULL, NULL, 5},
        {"PATCH", "/a", NULL, NULL, 6}, {"POST", "/a", "1", NULL, 2},  {"POST", "/a", "1", "", 4},
        {"PUT", "/a", "2", "x", 3},     {"GET", "/a", "2", "x", 0},    {"PUT", "/a", "1", NULL, 2},
        {"GET", "/b", "9", NULL, 7},    {"GET", "/b", "1", NULL, -1},  {"GET", "/a", "9", NULL, 0},
    };
    struct router *r = router_of(rules, COUNT_OF(rules));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fields f = {0};
        if (cases[i].one != NULL)
            router_text_field(&f, SPAN("X-One"), span_from(cases[i].one));
        if (cases[i].two != NULL)
            router_text_field(&f, SPAN("X-Two"), span_from(cases[i].two));
        struct router_query query = {.path = span_from(cases[i].path),
                                     .method = http_method_of(span_from(cases[i].method)),
                                     .head = &f.head};
        struct router_match m;
        router_find(r, &query, &m);
        if (m.rule != cases[i].rule)
            fail_msg("case %zu: rule %d in place of %d", i, m.rule, cases[i].rule);
    }
    router_free(r);
}

static void assert_allowed(const struct router *r, const char *method, const char *path,
                           const char *allowed)
{
    struct router_match m = find(r, method, "", path);
    assert_int_equal(m.rule, -1);
    assert_int_equal(m.is_path_known, allowed != NULL);
    if (allowed == NULL) {
        assert_int_equal(m.allowed_methods, 0);
        return;
    }
    struct buf text;
    buf_init(&text, 256);
    assert_true(err_ok(router_write_allow(m.allowed_methods, &text)));
    assert_true(span_eq(buf_span(&text), span_from(allowed)));
    buf_done(&text);
}

static void test_router_tells_which_methods_a_known_path_allows(void **state)
{
    (void)state;
    static const struct text_rule rules[] = {
        {"", "/a", "GET", {NULL}},      {"", "/a", "POST", {NULL}},
        {"", "/{x}", "DELETE", {NULL}}, {"", "/a", "PATCH", {"x-one=1"}},
        {"a.b", "/a", "PUT", {NULL}},   {"", "/b/", "PUT", {NULL}},
    };
    struct router *r = router_of(rules, COUNT_OF(rules));
    assert_allowed(r, "PUT", "/a", "GET, HEAD, POST, DELETE");
    assert_allowed(r, "GET", "/x", "DELETE");
    assert_allowed(r, "GET", "/b/x/y", "PUT");
    assert_allowed(r, "FROB", "/b/", "PUT");
    assert_allowed(r, "GET", "/b/x", "PUT");
    assert_allowed(r, "GET", "/none/x", NULL);
    assert_allowed(r, "GET", "*", NULL);
    assert_int_equal(find(r, "HEAD", "", "/a").rule, 0);
    assert_false(find(r, "HEAD", "", "/a").is_path_known);
    assert_int_equal(find(r, "HEAD", "", "/a").allowed_methods, 0);
    assert_int_equal(find(r, "DELETE", "", "/a").rule, 2);
    router_free(r);
}

static void assert_params(const struct router *r, const char *path, int rule, const char *expected)
{
    struct router_match m = find(r, "GET", "", path);
    assert_int_equal(m.rule, rule);
    struct buf text;
    buf_init(&text, 1024);
    for (unsigned i = 0; i < m.param_count; i++)
        assert_true(err_ok(buf_printf(&text, "%.*s=%.*s;", SPAN_ARGS(m.params[i].name),
                                      SPAN_ARGS(m.params[i].value))));
    if (!span_eq(buf_span(&text), span_from(expected)))
        fail_msg("%s: %.*s", path, SPAN_ARGS(buf_span(&text)));
    buf_done(&text);
}

static void test_router_gives_the_values_of_parameters(void **state)
{
    (void)state;
    static const struct text_rule rules[] = {
        [0] = {"", "/users/{id}/orders/{order}", NULL, {NULL}},
        [1] = {"", "/users/{user}/", NULL, {NULL}},
        [2] = {"", "/files/{rest*}", NULL, {NULL}},
        [3] = {"", "/{tenant}/files/*", NULL, {NULL}},
        [4] = {"", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}", NULL, {NULL}},
        [5] = {"", "/{only}", NULL, {NULL}},
    };
    struct router *r = router_of(rules, COUNT_OF(rules));
    assert_params(r, "/users/7/orders/8", 0, "id=7;order=8;");
    assert_params(r, "/users/7/orders/", 1, "user=7;");
    assert_params(r, "/users/%20/x", 1, "user=%20;");
    assert_params(r, "/files/", 2, "rest=;");
    assert_params(r, "/files/a/b/", 2, "rest=a/b/;");
    assert_params(r, "/t/files/a/b", 3, "tenant=t;*=a/b;");
    assert_params(r, "/1/2/3/4/5/6/7/8", 4, "a=1;b=2;c=3;d=4;e=5;f=6;g=7;h=8;");
    assert_params(r, "/1", 5, "only=1;");
    assert_params(r, "/users", 5, "only=users;");
    assert_params(r, "/1/", -1, "");
    router_free(r);
}

static void assert_refused(const struct text_rule *texts, unsigned count, const char *start)
{
    struct rule_set set = {0};
    for (unsigned i = 0; i < count; i++)
        router_text_add(&set, &texts[i]);
    struct router *r = NULL;
    struct fault why = {0};
    assert_true(err_is(router_new(set.rules, set.count, &r, &why), ERR_INVALID));
    assert_null(r);
    assert_int_equal(why.code, ERR_INVALID);
    if (!span_starts(span_from(why.text), span_from(start)))
        fail_msg("%s", why.text);
    assert_true(err_is(router_new(set.rules, set.count, &r, NULL), ERR_INVALID));
}

static void test_router_refuses_rules_that_can_never_match(void **state)
{
    (void)state;
    const char *blocked = "rule 1: can never match: rule 0";
    static const struct text_rule same_host[] = {{"A.b", "/x", NULL, {NULL}},
                                                 {"a.B", "/x", NULL, {NULL}}};
    static const struct text_rule same_param[] = {{"", "/x/{a}", NULL, {NULL}},
                                                  {"", "/x/{b}", NULL, {NULL}}};
    static const struct text_rule same_rest[] = {{"", "/x/", NULL, {NULL}},
                                                 {"", "/x/{rest*}", NULL, {NULL}}};
    static const struct text_rule same_head[] = {{"", "/x", "GET", {NULL}},
                                                 {"", "/x", "HEAD", {NULL}}};
    static const struct text_rule same_conditions[] = {{"", "", NULL, {"x-a=1", "x-b"}},
                                                       {"", "", NULL, {"X-B", "X-A=1"}}};
    assert_refused(same_host, 2, blocked);
    assert_refused(same_param, 2, blocked);
    assert_refused(same_rest, 2, blocked);
    assert_refused(same_head, 2, blocked);
    assert_refused(same_conditions, 2, blocked);
    static const struct text_rule covered[] = {{"", "/x", NULL, {NULL}},
                                               {"", "/x", "GET", {NULL}},
                                               {"", "/x", "PUT,POST", {NULL}},
                                               {"", "/x", "PUT,GET", {NULL}}};
    assert_refused(covered, 4, "rule 3: can never match: rule 1");
}

static void test_router_names_the_malformed_rule(void **state)
{
    (void)state;
    static const struct text_rule bad_path[] = {{"", "/x", NULL, {NULL}}, {"", "x", NULL, {NULL}}};
    static const struct text_rule bad_host[] = {{"a:80", "/x", NULL, {NULL}}};
    static const struct text_rule bad_header[] = {{"", "", NULL, {"a b"}}};
    assert_refused(bad_path, 2, "rule 1: path \"x\"");
    assert_refused(bad_host, 1, "rule 0: host \"a:80\"");
    assert_refused(bad_header, 1, "rule 0: header \"a b\"");
}

static void test_router_accepts_what_differs_in_one_thing(void **state)
{
    (void)state;
    static const struct text_rule rules[] = {
        {"", "/x", NULL, {NULL}},    {"", "/x/", NULL, {NULL}},  {"", "/x/{$}", NULL, {NULL}},
        {"", "/x", "GET", {NULL}},   {"", "/x", "POST", {NULL}}, {"a.b", "/x", NULL, {NULL}},
        {"*.b", "/x", NULL, {NULL}}, {"", "/x", NULL, {"a"}},    {"", "/x", NULL, {"a="}},
        {"", "/x", NULL, {"a=1"}},   {"", "", NULL, {NULL}},     {"", "/", NULL, {NULL}},
        {"", "/X", NULL, {NULL}},    {"", "/{x}", NULL, {NULL}}, {"", "/{x}/", NULL, {NULL}},
    };
    router_free(router_of(rules, COUNT_OF(rules)));
}

static void test_router_without_rules_matches_nothing(void **state)
{
    (void)state;
    struct router *r = router_of(NULL, 0);
    struct router_match m = find(r, "GET", "a.b", "/");
    assert_int_equal(m.rule, -1);
    assert_false(m.is_path_known);
    router_free(r);
    router_free(NULL);
}

static void test_router_owns_its_strings(void **state)
{
    (void)state;
    char path[] = "/users/{id}";
    char host[] = "a.b";
    struct router_rule rule = {.host = span_from(host), .path = span_from(path)};
    struct router *r = NULL;
    assert_true(err_ok(router_new(&rule, 1, &r, NULL)));
    memset(path, '#', sizeof(path) - 1);
    memset(host, '#', sizeof(host) - 1);
    struct router_match m = find(r, "GET", "a.b", "/users/7");
    assert_int_equal(m.rule, 0);
    assert_true(span_eq(m.params[0].name, SPAN("id")));
    router_free(r);
}

static void test_router_finds_each_of_2000_routes(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static char paths[COUNT][32];
    static char hosts[COUNT][32];
    static struct router_rule rules[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "/%c/r%u%s", 'a' + i % 3, i,
                       i % 2 == 0 ? "/" : "");
        (void)snprintf(hosts[i], sizeof(hosts[i]), "h%u.example", i % 200);
        rules[i] = (struct router_rule){.host = span_from(hosts[i]), .path = span_from(paths[i])};
    }
    struct router *r = NULL;
    assert_true(err_ok(router_new(rules, COUNT, &r, NULL)));
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(find(r, "GET", hosts[i], paths[i]).rule, (int)i);
        assert_int_equal(find(r, "GET", "h200.example", paths[i]).rule, -1);
    }
    router_free(r);
}

static void test_router_survives_paths_deeper_than_any_rule(void **state)
{
    (void)state;
    static const struct text_rule rules[] = {
        [0] = {"",
               "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/",
               NULL,
               {NULL}},
        [1] = {"", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/a/", NULL, {NULL}},
        [2] = {"", "/a/{b}/", NULL, {NULL}},
    };
    struct router *r = router_of(rules, COUNT_OF(rules));
    static char path[8193];
    for (size_t i = 0; i + 1 < sizeof(path); i += 2)
        memcpy(&path[i], "/a", 2);
    assert_int_equal(find(r, "GET", "", path).rule, 0);
    path[63] = 'b'; /* the 32nd segment */
    assert_int_equal(find(r, "GET", "", path).rule, 2);
    path[1] = 'b';
    assert_int_equal(find(r, "GET", "", path).rule, 1);
    router_free(r);
}

/* The example of docs/routing.md. */
static void test_router_answers_as_the_page_says(void **state)
{
    (void)state;
    static const struct text_rule rules[] = {
        {"", "/", NULL, {NULL}},
        {"", "/api/", NULL, {NULL}},
        {"", "/api/{version}/users", NULL, {NULL}},
        {"", "/api/v1/users", NULL, {NULL}},
        {"", "/api/v1/{thing}", NULL, {NULL}},
        {"*.shop.example", "", NULL, {NULL}},
        {"", "/search", "GET", {NULL}},
        {"", "/search", NULL, {NULL}},
    };
    static const struct {
        const char *method;
        const char *host;
        const char *path;
        char route;
    } cases[] = {
        {"GET", "", "/api/v1/users", 'D'}, {"GET", "", "/api/v1/carts", 'E'},
        {"GET", "", "/api/v2/users", 'C'}, {"GET", "", "/api/v2/carts", 'B'},
        {"GET", "", "/api", 'A'},          {"HEAD", "", "/search", 'G'},
        {"POST", "", "/search", 'H'},      {"GET", "a.shop.example", "/api/v1/users", 'F'},
    };
    struct router *r = router_of(rules, COUNT_OF(rules));
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal('A' + find(r, cases[i].method, cases[i].host, cases[i].path).rule,
                         cases[i].route);
    router_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_router_precedence_table),
        cmocka_unit_test(test_router_prefers_more_conditions_then_named_methods_then_order),
        cmocka_unit_test(test_router_tells_which_methods_a_known_path_allows),
        cmocka_unit_test(test_router_gives_the_values_of_parameters),
        cmocka_unit_test(test_router_refuses_rules_that_can_never_match),
        cmocka_unit_test(test_router_names_the_malformed_rule),
        cmocka_unit_test(test_router_accepts_what_differs_in_one_thing),
        cmocka_unit_test(test_router_without_rules_matches_nothing),
        cmocka_unit_test(test_router_owns_its_strings),
        cmocka_unit_test(test_router_finds_each_of_2000_routes),
        cmocka_unit_test(test_router_answers_as_the_page_says),
        cmocka_unit_test(test_router_survives_paths_deeper_than_any_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
