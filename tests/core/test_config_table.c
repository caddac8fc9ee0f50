/* test_config_table.c: rows are sound, or the test of their part says which is not.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/config_sample.h"
#include "core/config_table.h"

static const char *const letters[] = {"a", "b", NULL};
static const struct config_key plain_keys[] = {
    {.name = "x", .type = CONFIG_INT, .help = "x"},
    {0},
};

static void assert_flaw(struct config_key row, const char *expected)
{
    const struct config_key keys[] = {row, {0}};
    const struct config_key *const tables[] = {keys, NULL};
    struct fault why = {0};
    err outcome = config_table_validate(tables, &why);
    assert_string_equal(why.text, expected);
    assert_true(err_is(outcome, expected[0] == '\0' ? ERR_NONE : ERR_INVALID));
}

#define ROW(...) ((struct config_key){.name = "k", .help = "x", __VA_ARGS__})

static void test_table_rows_that_cannot_work_are_found(void **state)
{
    (void)state;
    assert_flaw(ROW(.type = CONFIG_INT), "");
    assert_flaw((struct config_key){.name = "a b", .type = CONFIG_INT, .help = "x"},
                "a b: the name has characters that names cannot have");
    assert_flaw((struct config_key){.name = "k", .type = CONFIG_INT}, "k: there is no help");
    assert_flaw(ROW(.type = CONFIG_GROUP),
                "k: keys belong to GROUP, GROUPS and TABLE, and to them alone");
    assert_flaw(ROW(.type = CONFIG_INT, .keys = plain_keys),
                "k: keys belong to GROUP, GROUPS and TABLE, and to them alone");
    assert_flaw(ROW(.type = CONFIG_CHOICE), "k: choices belong to CHOICE, and to it alone");
    assert_flaw(ROW(.type = CONFIG_INT, .choices = letters),
                "k: choices belong to CHOICE, and to it alone");
    assert_flaw(ROW(.type = CONFIG_LIST, .item = CONFIG_CHOICE, .choices = letters), "");
    assert_flaw(ROW(.type = CONFIG_LIST, .item = CONFIG_GROUP),
                "k: the items of a list must be plain scalars");
    assert_flaw(ROW(.type = CONFIG_INT, .min = 2, .max = 1), "k: min is larger than max");
    assert_flaw(ROW(.type = CONFIG_INT, .is_required = true, .fallback = "1"),
                "k: a required key can have no fallback and cannot be optional");
    assert_flaw(ROW(.type = CONFIG_STRINGS, .fallback = "{}"), "k: the type can have no fallback");
    assert_flaw(ROW(.type = CONFIG_SECRET, .fallback = "x"), "k: the type can have no fallback");
    assert_flaw(ROW(.type = CONFIG_LIST, .fallback = "1"),
                "k: the fallback of a list must stand between [ and ]");
    assert_flaw(ROW(.type = CONFIG_BOOL, .is_optional = true),
                "k: a bool cannot be optional: false is a value of its own");
}

static void test_table_fallbacks_and_examples_must_load(void **state)
{
    (void)state;
    assert_flaw(ROW(.type = CONFIG_INT, .max = 5, .fallback = "5", .example = "0"), "");
    assert_flaw(ROW(.type = CONFIG_INT, .max = 5, .fallback = "6"),
                "k: fallback \"6\": k: found \"6\"; expected a whole number, from 0 to 5");
    assert_flaw(ROW(.type = CONFIG_DURATION, .example = "5"),
                "k: example \"5\": k: found \"5\"; expected a duration such as 250ms, 2s, 5m, 1h "
                "or 90d");
    assert_flaw(ROW(.type = CONFIG_LIST, .item = CONFIG_INT, .fallback = "[1, 2]"), "");
    assert_flaw(ROW(.type = CONFIG_LIST, .item = CONFIG_INT, .fallback = "[1, x]"),
                "k: fallback \"[1, x]\": k[1]: found \"x\"; expected a whole number");
    /* A fallback is the text itself, whatever YAML would make of it. */
    assert_flaw(ROW(.type = CONFIG_STRING, .fallback = ""), "");
    assert_flaw(ROW(.type = CONFIG_STRING, .fallback = "*: [@"), "");
    assert_flaw(ROW(.type = CONFIG_STRING, .min = 1, .max = 9, .fallback = ""),
                "k: fallback \"\": k: found \"\"; expected a text, from 1 to 9 bytes");
    assert_flaw(ROW(.type = CONFIG_GROUP, .keys = plain_keys, .example = "{x: 1}"), "");
    assert_flaw(ROW(.type = CONFIG_GROUP, .keys = plain_keys, .example = "x: 1"),
                "k: example \"x: 1\": not valid YAML: invalid nested block mapping on the same "
                "line");
    assert_flaw(ROW(.type = CONFIG_GROUPS, .keys = plain_keys, .example = "- x: 1\n- x: 2"), "");
    assert_flaw(ROW(.type = CONFIG_TABLE, .keys = plain_keys, .example = "a:\n  x: 1"), "");
    /* The world around is not asked: no file is read and no variable must be set. */
    assert_flaw(ROW(.type = CONFIG_SECRET, .example = "file:no-such-file"), "");
    assert_flaw(ROW(.type = CONFIG_SECRET, .example = "${PLIMSOLL_TEST_NOT_SET}"), "");
}

static const struct config_key endless_keys[] = {
    {.name = "again", .type = CONFIG_GROUP, .keys = endless_keys, .help = "x"},
    {0},
};

static void test_table_names_stand_once_and_groups_end(void **state)
{
    (void)state;
    static const struct config_key twice[] = {
        {.name = "x", .type = CONFIG_INT, .help = "x"},
        {.name = "x", .type = CONFIG_BOOL, .help = "x"},
        {0},
    };
    const struct config_key *const tables[] = {plain_keys, twice + 1, NULL};
    struct fault why = {0};
    assert_true(err_is(config_table_validate(tables, &why), ERR_INVALID));
    assert_string_equal(why.text, "x: stands in two tables");
    assert_flaw(ROW(.type = CONFIG_GROUP, .keys = twice), "k.x: stands twice");
    struct fault deep = {0};
    const struct config_key *const endless[] = {endless_keys, NULL};
    assert_true(err_is(config_table_validate(endless, &deep), ERR_INVALID));
    assert_true(span_ends(span_from(deep.text), SPAN("too deep in one another")));
}

static void test_table_ranges_read_as_words(void **state)
{
    (void)state;
    static const struct {
        struct config_key row;
        const char *expected;
    } rows[] = {
        {{.type = CONFIG_INT}, ""},
        {{.type = CONFIG_INT, .min = 1, .max = 64}, "from 1 to 64"},
        {{.type = CONFIG_INT, .min = 1, .max = INT64_MAX}, "at least 1"},
        {{.type = CONFIG_DURATION, .max = 60000}, "at most 1m"},
        {{.type = CONFIG_DURATION, .min = 1000, .max = 90000}, "from 1s to 90s"},
        {{.type = CONFIG_SIZE, .min = 1024, .max = INT64_MAX}, "at least 1kb"},
        {{.type = CONFIG_PERCENT}, "from 0 to 100%"},
        {{.type = CONFIG_PERCENT, .min = 50, .max = 1000}, "from 0.50% to 10%"},
        {{.type = CONFIG_RATE, .min = 1, .max = 100}, "count at most 100"},
        {{.type = CONFIG_STRING, .min = 1, .max = 64}, "from 1 to 64 bytes"},
        {{.type = CONFIG_ADDRESS, .max = 65535}, ""},
        {{.type = CONFIG_ADDRESS, .min = 1024, .max = 65535}, "port at least 1024"},
        {{.type = CONFIG_LIST, .min = 1, .max = 3}, "from 1 to 3 entries"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[CONFIG_TABLE_RANGE_BYTES];
        config_table_range(&rows[i].row, text);
        assert_string_equal(text, rows[i].expected);
    }
}

static void test_table_suggests_similar_names_only(void **state)
{
    (void)state;
    assert_string_equal(config_table_near_key(sample_edge, SPAN("route")), "routes");
    assert_string_equal(config_table_near_key(sample_edge, SPAN("lisetn")), "listen");
    assert_string_equal(config_table_near_key(sample_edge, SPAN("body-max")), "body_max");
    assert_null(config_table_near_key(sample_edge, SPAN("colour")));
    assert_null(config_table_near_key(sample_edge, SPAN("")));
    assert_string_equal(config_table_near_choice(sample_methods, SPAN("DELET")), "DELETE");
    assert_null(config_table_near_choice(sample_methods, SPAN("PATCH")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_rows_that_cannot_work_are_found),
        cmocka_unit_test(test_table_fallbacks_and_examples_must_load),
        cmocka_unit_test(test_table_names_stand_once_and_groups_end),
        cmocka_unit_test(test_table_ranges_read_as_words),
        cmocka_unit_test(test_table_suggests_similar_names_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
