/* test_route.c: path and query parameters as a handler asks for them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "wire/route.h"

struct fixture {
    struct arena arena;
    struct http_request request;
    struct call call;
};

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){0};
    arena_init(&f.arena, NULL, 65536);
    f.call.arena = &f.arena;
    f.call.request = &f.request;
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_done(&f->arena);
    return 0;
}

static void assert_query(struct fixture *f, const char *query, const char *name,
                         const char *expected)
{
    f->request.query = span_from(query);
    struct span value = SPAN("untouched");
    bool is_there = route_query(&f->call, name, &value);
    assert_int_equal(is_there, expected != NULL);
    struct span wanted = expected == NULL ? SPAN("untouched") : span_from(expected);
    assert_int_equal(value.len, wanted.len);
    assert_memory_equal(value.at, wanted.at, wanted.len);
}

static void test_route_param_finds_by_name(void **state)
{
    struct fixture *f = *state;
    f->call.params[0] = (struct route_param){SPAN("upstream"), SPAN("shop")};
    f->call.params[1] = (struct route_param){SPAN("target"), SPAN("a:1")};
    f->call.param_count = 2;
    assert_true(span_eq(route_param(&f->call, "target"), SPAN("a:1")));
    assert_true(span_eq(route_param(&f->call, "upstream"), SPAN("shop")));
}

static void test_route_query_takes_the_first_of_a_name(void **state)
{
    assert_query(*state, "a=1&b=2&a=3", "a", "1");
    assert_query(*state, "a=1&b=2&a=3", "b", "2");
    assert_query(*state, "aa=1", "a", NULL);
    assert_query(*state, "", "a", NULL);
}

static void test_route_query_without_a_query_finds_nothing(void **state)
{
    assert_query(*state, NULL, "a", NULL);
}

static void test_route_query_without_a_value_is_empty(void **state)
{
    assert_query(*state, "a", "a", "");
    assert_query(*state, "a=", "a", "");
    assert_query(*state, "x&a&y", "a", "");
}

static void test_route_query_decodes_escapes_and_plus(void **state)
{
    assert_query(*state, "a=b%20c+d%2Fe", "a", "b c d/e");
    assert_query(*state, "a=x=y", "a", "x=y");
}

static void test_route_query_leaves_malformed_escapes(void **state)
{
    assert_query(*state, "a=%", "a", "%");
    assert_query(*state, "a=%2", "a", "%2");
    assert_query(*state, "a=%zz%41", "a", "%zzA");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_route_param_finds_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_route_query_takes_the_first_of_a_name, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_route_query_without_a_query_finds_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_route_query_without_a_value_is_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_route_query_decodes_escapes_and_plus, setup, teardown),
        cmocka_unit_test_setup_teardown(test_route_query_leaves_malformed_escapes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
