/* test_tracecontext.c: what is read, refused and passed on of W3C Trace Context.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include "wire/tracecontext.h"

#define TRACECONTEXT_IDS "12345678901234567890123456789012-1234567890123456"

static void test_tracecontext_round_trip_keeps_ids_and_the_sampled_flag(void **state)
{
    (void)state;
    struct tracecontext t;
    char out[TRACECONTEXT_TEXT_BYTES];
    assert_true(err_ok(tracecontext_parse(SPAN("00-" TRACECONTEXT_IDS "-01"), &t)));
    tracecontext_format(&t, out);
    assert_memory_equal(out, "00-" TRACECONTEXT_IDS "-01", sizeof out);
    /* Undefined flags are not passed on (section 3.2.2.5). */
    assert_true(err_ok(tracecontext_parse(SPAN("00-" TRACECONTEXT_IDS "-fe"), &t)));
    tracecontext_format(&t, out);
    assert_memory_equal(out, "00-" TRACECONTEXT_IDS "-00", sizeof out);
}

static void test_tracecontext_later_versions_are_read_by_their_first_fields(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
    } cases[] = {
        {"cc-" TRACECONTEXT_IDS "-01", true},
        {"cc-" TRACECONTEXT_IDS "-01-what-the-future-will-be-like", true},
        {"01-" TRACECONTEXT_IDS "-01-", true},
        {"fe-" TRACECONTEXT_IDS "-01", true},
        {"cc-" TRACECONTEXT_IDS "-01.what-the-future-will-be-like", false},
        {"cc-" TRACECONTEXT_IDS "-0100", false},
        {"ff-" TRACECONTEXT_IDS "-01", false},
        {"00-" TRACECONTEXT_IDS "-01-what", false},
        {"00-" TRACECONTEXT_IDS "-01-", false},
        {"00-" TRACECONTEXT_IDS "-01 ", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tracecontext t;
        if (err_ok(tracecontext_parse(span_from(cases[i].text), &t)) != cases[i].is_valid)
            fail_msg("%s", cases[i].text);
    }
}

static void test_tracecontext_refuses_malformed_parents(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "00",
        "00-00000000000000000000000000000000-1234567890123456-01",
        "00-12345678901234567890123456789012-0000000000000000-01",
        "00-1234567890123456789012345678901-1234567890123456-01",
        "00-123456789012345678901234567890123-1234567890123456-01",
        "00-12345678901234567890123456789012-123456789012345-01",
        "00-1234567890123456789012345678901X-1234567890123456-01",
        "00-1234567890123456789012345678901A-1234567890123456-01",
        "00-12345678901234567890123456789012-123456789012345X-01",
        "00-12345678901234567890123456789012-123456789012345F-01",
        "0X-12345678901234567890123456789012-1234567890123456-01",
        "0-12345678901234567890123456789012-1234567890123456-01",
        "00-12345678901234567890123456789012-1234567890123456-.0",
        "00-12345678901234567890123456789012-1234567890123456-0A",
        "00-12345678901234567890123456789012-1234567890123456-1",
        "00-12345678901234567890123456789012-1234567890123456",
        "00_12345678901234567890123456789012_1234567890123456_01",
        " 00-12345678901234567890123456789012-1234567890123456-01",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tracecontext t;
        if (err_ok(tracecontext_parse(span_from(cases[i]), &t)))
            fail_msg("accepted \"%s\"", cases[i]);
    }
}

static void test_tracecontext_child_keeps_the_trace_and_changes_the_span(void **state)
{
    (void)state;
    struct random random;
    struct tracecontext parent, child;
    random_init_seeded(&random, 3);
    tracecontext_begin(&random, true, &parent);
    assert_int_equal(parent.flags, TRACECONTEXT_SAMPLED);
    tracecontext_child(&parent, &random, &child);
    assert_memory_equal(child.trace_id, parent.trace_id, sizeof child.trace_id);
    assert_memory_not_equal(child.span_id, parent.span_id, sizeof child.span_id);
    assert_int_equal(child.flags, parent.flags);
    struct tracecontext in_place = parent;
    tracecontext_child(&in_place, &random, &in_place);
    assert_memory_equal(in_place.trace_id, parent.trace_id, sizeof child.trace_id);
    tracecontext_begin(&random, false, &parent);
    assert_int_equal(parent.flags, 0);
    char text[TRACECONTEXT_TEXT_BYTES];
    tracecontext_format(&parent, text);
    assert_true(err_ok(tracecontext_parse(span_of(text, sizeof text), &child)));
    random_done(&random);
}

static void test_tracecontext_state_follows_the_grammar(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
    } cases[] = {
        {"", true},
        {"foo=1", true},
        {"foo=1,bar=2", true},
        {"foo=1 , \t bar=2", true},
        {"foo=1,", true},
        {",foo=1,,bar=2", true},
        {"foo=1,foo=1", true}, /* the W3C tests ask for duplicates to be passed on */
        {"fw529a3039@dt=FfaQ2g==", false},
        {"fw529a3039@dt=FfaQ2g:", true},
        {"0tenant@sys=1", true},
        {"a-*/_0=x y", true},
        {"foo= 1", true},
        {"foo = 1", false},
        {"FOO=1", false},
        {"0foo=1", false},
        {"foo@=1", false},
        {"@foo=1", false},
        {"foo@@bar=1", false},
        {"foo@bar@baz=1", false},
        {"foo@0bar=1", false},
        {"foo.bar=1", false},
        {"foo", false},
        {"foo=", false},
        {"=1", false},
        {"foo=bar=baz", false},
        {"foo=\x01", false},
        {"foo=\x7f", false},
        {"foo=\xc3\xa4", false},
        {"foo=,bar=3", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tracecontext_state counts = {0};
        bool is_valid = err_ok(tracecontext_state_add(&counts, span_from(cases[i].text)));
        if (is_valid != cases[i].is_valid)
            fail_msg("\"%s\"", cases[i].text);
    }
}

/* key = `key_len` times 'z', behind it `suffix`, then "=" and `value_len` times 'v'. */
static bool tracecontext_accepts(size_t key_len, const char *suffix, size_t value_len)
{
    char text[1024];
    struct tracecontext_state counts = {0};
    size_t suffix_len = strlen(suffix);
    memset(text, 'z', key_len);
    memcpy(text + key_len, suffix, suffix_len);
    text[key_len + suffix_len] = '=';
    memset(text + key_len + suffix_len + 1, 'v', value_len);
    struct span value = span_of(text, key_len + suffix_len + 1 + value_len);
    return err_ok(tracecontext_state_add(&counts, value));
}

static void test_tracecontext_state_lengths_end_at_their_limits(void **state)
{
    (void)state;
    assert_true(tracecontext_accepts(255, "", 1));
    assert_true(tracecontext_accepts(256, "", 256));
    assert_false(tracecontext_accepts(257, "", 1));
    assert_false(tracecontext_accepts(1, "", 257));
    assert_true(tracecontext_accepts(241, "@vvvvvvvvvvvvvv", 1));
    assert_false(tracecontext_accepts(242, "@v", 1));
    assert_false(tracecontext_accepts(1, "@vvvvvvvvvvvvvvv", 1));
}

static void test_tracecontext_state_counts_over_all_lines(void **state)
{
    (void)state;
    struct tracecontext_state counts = {0};
    for (unsigned i = 0; i < TRACECONTEXT_STATE_MEMBERS_MAX / 2; i++)
        assert_true(err_ok(tracecontext_state_add(&counts, SPAN("a=1,b=2"))));
    assert_int_equal(counts.members, TRACECONTEXT_STATE_MEMBERS_MAX);
    assert_int_equal(tracecontext_state_add(&counts, SPAN("c=3")).code, ERR_TOO_LARGE);
    struct tracecontext_state bytes = {.bytes = TRACECONTEXT_STATE_BYTES_MAX - 3};
    assert_true(err_ok(tracecontext_state_add(&bytes, SPAN("a=1"))));
    bytes = (struct tracecontext_state){.bytes = TRACECONTEXT_STATE_BYTES_MAX - 2};
    assert_int_equal(tracecontext_state_add(&bytes, SPAN("a=1")).code, ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tracecontext_round_trip_keeps_ids_and_the_sampled_flag),
        cmocka_unit_test(test_tracecontext_later_versions_are_read_by_their_first_fields),
        cmocka_unit_test(test_tracecontext_refuses_malformed_parents),
        cmocka_unit_test(test_tracecontext_child_keeps_the_trace_and_changes_the_span),
        cmocka_unit_test(test_tracecontext_state_follows_the_grammar),
        cmocka_unit_test(test_tracecontext_state_lengths_end_at_their_limits),
        cmocka_unit_test(test_tracecontext_state_counts_over_all_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
