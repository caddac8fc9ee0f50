/* test_limit_headers.c: clients are shown the limit that decides.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "edge/limit_headers.h"

#define WALL_NS 1700000000000000000ull

struct test_fixture {
    struct limit_rule api, login, shadow;
    struct limit_headers_text texts[3];
    struct arena arena;
    struct limit_verdict verdicts[3];
    struct limit_headers_entry entries[3];
};

/* api: 10/s and 100/min, of which 3 are used; login: 5/min, of which `login_used` are used. */
static void test_start(struct test_fixture *f, unsigned login_used)
{
    struct limit_rule_options api = {
        .name = SPAN("api"), .windows = {{10, 1000}, {100, 60000}}, .window_count = 2};
    struct limit_rule_options login = {
        .name = SPAN("login"), .windows = {{5, 60000}}, .window_count = 1};
    struct limit_rule_options shadow = {
        .name = SPAN("shadow"), .windows = {{1, 60000}}, .window_count = 1, .is_shadow = true};
    assert_true(err_ok(limit_rule_init(&f->api, &api, NULL)));
    assert_true(err_ok(limit_rule_init(&f->login, &login, NULL)));
    assert_true(err_ok(limit_rule_init(&f->shadow, &shadow, NULL)));
    struct limit_table *t;
    assert_true(err_ok(limit_table_new(10, &t)));
    for (unsigned i = 0; i < 3; i++)
        limit_table_admit(t, &f->api, 1, 60000000, &f->verdicts[0]);
    for (unsigned i = 0; i < login_used; i++)
        limit_table_admit(t, &f->login, 2, 60000000, &f->verdicts[1]);
    for (unsigned i = 0; i < 2; i++)
        limit_table_admit(t, &f->shadow, 3, 60000000, &f->verdicts[2]);
    const struct limit_rule *rules[3] = {&f->api, &f->login, &f->shadow};
    arena_init(&f->arena, NULL, 65536);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(err_ok(limit_headers_prepare(rules[i], &f->arena, &f->texts[i])));
        f->entries[i] = (struct limit_headers_entry){rules[i], &f->texts[i], &f->verdicts[i]};
    }
    limit_table_free(t);
}

static void test_end(struct test_fixture *f)
{
    arena_done(&f->arena);
}

static void test_lines_are(const struct limit_headers_entry *entries, unsigned count,
                           const char *expected)
{
    char room[4096];
    struct put w = put_into(room, sizeof room - 1);
    limit_headers_put(&w, entries, count, WALL_NS);
    *w.at = '\0';
    assert_string_equal(room, expected);
}

static void test_limit_headers_show_all_windows_and_the_tightest(void **state)
{
    (void)state;
    struct test_fixture f CLEANUP(test_end);
    test_start(&f, 2);
    test_lines_are(f.entries, 1,
                   "ratelimit-policy: \"api-second\";q=10;w=1, \"api-minute\";q=100;w=60\r\n"
                   "ratelimit: \"api-second\";r=7;t=2, \"api-minute\";r=97;t=61\r\n"
                   "x-ratelimit-limit: 10\r\n"
                   "x-ratelimit-remaining: 7\r\n"
                   "x-ratelimit-reset: 1700000002\r\n");
    test_lines_are(f.entries, 3,
                   "ratelimit-policy: \"api-second\";q=10;w=1, \"api-minute\";q=100;w=60, "
                   "\"login\";q=5;w=60\r\n"
                   "ratelimit: \"api-second\";r=7;t=2, \"api-minute\";r=97;t=61, "
                   "\"login\";r=3;t=61\r\n"
                   "x-ratelimit-limit: 5\r\n"
                   "x-ratelimit-remaining: 3\r\n"
                   "x-ratelimit-reset: 1700000061\r\n");
}

static void test_limit_headers_of_a_refusal_show_the_limit_that_refused(void **state)
{
    (void)state;
    struct test_fixture f CLEANUP(test_end);
    test_start(&f, 6);
    test_lines_are(f.entries, 2,
                   "ratelimit-policy: \"api-second\";q=10;w=1, \"api-minute\";q=100;w=60, "
                   "\"login\";q=5;w=60\r\n"
                   "ratelimit: \"api-second\";r=7;t=2, \"api-minute\";r=97;t=61, "
                   "\"login\";r=0;t=61\r\n"
                   "x-ratelimit-limit: 5\r\n"
                   "x-ratelimit-remaining: 0\r\n"
                   "x-ratelimit-reset: 1700000061\r\n"
                   "retry-after: 61\r\n");
}

static void test_limit_headers_leave_shadow_rules_out(void **state)
{
    (void)state;
    struct test_fixture f CLEANUP(test_end);
    test_start(&f, 1);
    assert_true(f.verdicts[2].is_exceeded);
    test_lines_are(f.entries + 2, 1, "");
    test_lines_are(NULL, 0, "");
}

static void test_limit_headers_violated_are_the_exhausted_windows_of_what_refused(void **state)
{
    (void)state;
    struct test_fixture f CLEANUP(test_end);
    test_start(&f, 6);
    struct arena arena CLEANUP(arena_done);
    arena_init(&arena, NULL, 1 << 16);
    struct span names[LIMIT_HEADERS_ITEMS_MAX];
    assert_int_equal(limit_headers_violated(f.entries, 3, &arena, names), 1);
    assert_true(span_eq(names[0], SPAN("login")));
    f.verdicts[0].is_exceeded = true;
    f.verdicts[0].windows[1].remaining = 0;
    assert_int_equal(limit_headers_violated(f.entries, 3, &arena, names), 2);
    assert_true(span_eq(names[0], SPAN("api-minute")));
}

static void test_limit_headers_report_a_full_buffer(void **state)
{
    (void)state;
    struct test_fixture f CLEANUP(test_end);
    test_start(&f, 6);
    char room[200];
    for (size_t max = 1; max < sizeof room; max++) {
        struct put w = put_into(room, max);
        limit_headers_put(&w, f.entries, 2, WALL_NS);
        assert_true(w.is_full && w.at <= room + max);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_headers_show_all_windows_and_the_tightest),
        cmocka_unit_test(test_limit_headers_of_a_refusal_show_the_limit_that_refused),
        cmocka_unit_test(test_limit_headers_leave_shadow_rules_out),
        cmocka_unit_test(test_limit_headers_violated_are_the_exhausted_windows_of_what_refused),
        cmocka_unit_test(test_limit_headers_report_a_full_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
