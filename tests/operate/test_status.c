/* test_status.c: targets and breakers as JSON; the whole document is test_operate's.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "cmocka_all.h"
#include "operate/status.h"

#define NOW 1000000ull

static const struct upstream_target_options test_targets[] = {{SPAN_INIT("127.0.0.1:1"), 1},
                                                              {SPAN_INIT("[::1]:2"), 1}};

struct test_fixture {
    struct random random;
    struct upstream_registry registry;
    struct upstream *upstream;
};

static void test_start(struct test_fixture *f)
{
    struct upstream_options options = UPSTREAM_OPTIONS_DEFAULT;
    options.name = SPAN("shop");
    options.targets = test_targets;
    options.target_count = 2;
    options.breaker.volume_min = 4;
    options.outlier.failures_in_a_row = 2;
    random_init_seeded(&f->random, 7);
    upstream_registry_init(&f->registry, NULL, &f->random);
    assert_true(err_ok(upstream_new(&f->registry, &options, NOW, NULL, &f->upstream)));
}

static void test_end(struct test_fixture *f)
{
    upstream_unref(f->upstream);
    upstream_registry_done(&f->registry);
    random_done(&f->random);
}

static json_t *test_parse(struct buf *text)
{
    json_error_t where;
    json_t *tree = json_loadb(text->at, text->len, JSON_REJECT_DUPLICATES, &where);
    if (tree == NULL)
        fail_msg("%s in %.*s", where.text, (int)text->len, text->at);
    buf_done(text);
    return tree;
}

static json_t *test_target_of(const struct test_fixture *f, unsigned index, uint64_t now_ms)
{
    struct buf text;
    buf_init(&text, 4096);
    assert_true(err_ok(status_write_target(f->upstream->set.members[index].target, now_ms, &text)));
    return test_parse(&text);
}

static void assert_text(const json_t *tree, const char *key, const char *wanted)
{
    const char *text = json_string_value(json_object_get(tree, key));
    assert_non_null(text);
    assert_string_equal(text, wanted);
}

static void assert_number(const json_t *tree, const char *key, long long wanted)
{
    assert_true(json_is_integer(json_object_get(tree, key)));
    assert_int_equal(json_integer_value(json_object_get(tree, key)), wanted);
}

static void test_try(struct test_fixture *f, unsigned index, enum target_outcome outcome)
{
    struct upstream_result result = {.outcome = outcome, .latency_us = 2500};
    target_begin(f->upstream->set.members[index].target);
    (void)upstream_finish(f->upstream, index, &result, NOW);
}

static void test_status_tells_the_state_of_a_target(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f);
    test_try(&f, 1, TARGET_SUCCESS);
    target_begin(f.upstream->set.members[1].target);
    json_t *tree = test_target_of(&f, 1, NOW);
    assert_text(tree, "address", "[::1]:2");
    assert_text(tree, "state", "up");
    assert_text(tree, "reason", "");
    assert_number(tree, "in_flight", 1);
    assert_number(tree, "failures", 0);
    assert_true(json_number_value(json_object_get(tree, "latency_ms")) > 2.0);
    json_decref(tree);
    target_drain(f.upstream->set.members[1].target, true);
    tree = test_target_of(&f, 1, NOW);
    assert_text(tree, "state", "draining");
    json_decref(tree);
    test_end(&f);
}

static void test_status_says_how_long_a_target_is_out(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f);
    test_try(&f, 0, TARGET_FAILURE);
    test_try(&f, 0, TARGET_NO_CONNECT);
    json_t *tree = test_target_of(&f, 0, NOW);
    assert_text(tree, "state", "ejected");
    assert_number(tree, "failures", 2);
    assert_number(tree, "connect_failures", 1);
    assert_number(tree, "ejections", 1);
    long long for_ms = json_integer_value(json_object_get(tree, "for_ms"));
    assert_true(for_ms > 0);
    json_decref(tree);
    tree = test_target_of(&f, 0, NOW + 1000);
    assert_number(tree, "for_ms", for_ms - 1000);
    json_decref(tree);
    test_end(&f);
}

static json_t *test_breaker_of(const struct test_fixture *f, uint64_t now_ms)
{
    struct buf text;
    buf_init(&text, 4096);
    assert_true(err_ok(status_write_breaker(f->upstream->breaker, now_ms, &text)));
    return test_parse(&text);
}

static void test_status_tells_the_state_of_a_breaker(void **state)
{
    (void)state;
    struct test_fixture f;
    test_start(&f);
    struct breaker_permit permit;
    for (unsigned i = 0; i < 4; i++) {
        json_t *tree = test_breaker_of(&f, NOW);
        assert_text(tree, "state", "closed");
        assert_number(tree, "volume", i);
        json_decref(tree);
        assert_true(err_ok(breaker_allow(f.upstream->breaker, NOW, &permit)));
        breaker_record(f.upstream->breaker, &permit, BREAKER_FAILURE, 5, NOW);
    }
    assert_false(err_ok(breaker_allow(f.upstream->breaker, NOW + 10, &permit)));
    json_t *tree = test_breaker_of(&f, NOW + 10);
    assert_text(tree, "state", "open");
    assert_number(tree, "since_ms", 10);
    assert_number(tree, "failure_rate_percent", 100);
    assert_number(tree, "opened", 1);
    assert_number(tree, "refused", 1);
    assert_true(json_integer_value(json_object_get(tree, "probes_after_ms")) > 0);
    json_decref(tree);
    test_end(&f);
}

static void test_status_reports_a_full_buffer(void **state)
{
    (void)state;
    struct test_fixture f;
    struct buf text;
    test_start(&f);
    buf_init(&text, 16);
    const struct target *t = f.upstream->set.members[0].target;
    assert_false(err_ok(status_write_target(t, NOW, &text)));
    assert_false(err_ok(status_write_breaker(f.upstream->breaker, NOW, &text)));
    buf_done(&text);
    test_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_tells_the_state_of_a_target),
        cmocka_unit_test(test_status_says_how_long_a_target_is_out),
        cmocka_unit_test(test_status_tells_the_state_of_a_breaker),
        cmocka_unit_test(test_status_reports_a_full_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
