/* test_cli_options.c: flags, their values, and the words between them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/scripted.h"

#include "cli/cli_options.h"
#include "core/span.h"

struct test_result {
    const char *config;
    const char *upstreams[2];
    unsigned upstream_count, switch_count;
    int words;
    char *argv[12];
    bool is_read;
};

static struct scripted_output output;

/* Reads a line of arguments, split at spaces, with one flag of each kind. */
static void test_read(struct test_result *r, const char *line)
{
    static char text[256];
    int argc = 0;
    memset(r, 0, sizeof *r);
    (void)snprintf(text, sizeof text, "%s", line);
    for (char *at = text; at != NULL && argc < (int)COUNT_OF(r->argv);) {
        r->argv[argc++] = at;
        at = strchr(at, ' ');
        if (at != NULL)
            *at++ = '\0';
    }
    struct cli_options_flag known[] = {{"--config", &r->config, 1, 0},
                                       {"--upstream", r->upstreams, COUNT_OF(r->upstreams), 0},
                                       {"--json", NULL, 0, 0},
                                       {0}};
    scripted_capture(&output);
    r->is_read = cli_options_read(argc, r->argv, known, &r->words);
    scripted_release(&output);
    r->upstream_count = known[1].count;
    r->switch_count = known[2].count;
}

static void test_cli_options_values_follow_or_stand_behind_an_equals_sign(void **state)
{
    (void)state;
    struct test_result r;
    test_read(&r, "serve --config a.yaml --upstream=h:1 --upstream h:2 --json");
    assert_true(r.is_read);
    assert_string_equal(r.config, "a.yaml");
    assert_int_equal(r.upstream_count, 2);
    assert_string_equal(r.upstreams[0], "h:1");
    assert_string_equal(r.upstreams[1], "h:2");
    assert_int_equal(r.switch_count, 1);
    assert_int_equal(r.words, 0);
    test_read(&r, "serve --config=a=b");
    assert_string_equal(r.config, "a=b");
    test_read(&r, "serve --config=");
    assert_true(r.is_read);
    assert_string_equal(r.config, "");
}

static void test_cli_options_words_come_to_the_front_in_their_order(void **state)
{
    (void)state;
    struct test_result r;
    test_read(&r, "target drain --config c shop --json 127.0.0.1:1");
    assert_true(r.is_read);
    assert_int_equal(r.words, 3);
    assert_string_equal(r.argv[0], "target");
    assert_string_equal(r.argv[1], "drain");
    assert_string_equal(r.argv[2], "shop");
    assert_string_equal(r.argv[3], "127.0.0.1:1");
    test_read(&r, "status");
    assert_true(r.is_read);
    assert_int_equal(r.words, 0);
}

static void test_cli_options_what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *line, *said;
    } cases[] = {
        {"serve --confg x",
         "plimsoll serve: there is no flag --confg; see `plimsoll help serve`\n"},
        {"serve --conf x", "there is no flag --conf;"},
        {"serve --configs x", "there is no flag --configs;"},
        {"serve -", "there is no flag -;"},
        {"serve --config", "a value is missing behind --config;"},
        {"serve --config a --config b", "given too often: --config;"},
        {"serve --upstream=1 --upstream 2 --upstream=3", "given too often: --upstream=3;"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct test_result r;
        test_read(&r, cases[i].line);
        assert_false(r.is_read);
        assert_string_equal(output.text[0], "");
        if (strstr(output.text[1], cases[i].said) == NULL)
            fail_msg("%s: said %s", cases[i].line, output.text[1]);
    }
}

static void test_cli_options_a_switch_takes_no_value(void **state)
{
    (void)state;
    struct test_result r;
    test_read(&r, "status --json=yes");
    assert_false(r.is_read);
    assert_non_null(strstr(output.text[1], "--json=yes"));
}

static void test_cli_options_wrong_usage_is_2_and_names_the_help(void **state)
{
    (void)state;
    scripted_capture(&output);
    int status = cli_options_wrong_usage("docs");
    scripted_release(&output);
    assert_int_equal(status, 2);
    assert_string_equal(output.text[1], "plimsoll docs: wrong usage; see `plimsoll help docs`\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cli_options_values_follow_or_stand_behind_an_equals_sign),
        cmocka_unit_test(test_cli_options_words_come_to_the_front_in_their_order),
        cmocka_unit_test(test_cli_options_what_is_wrong_is_named),
        cmocka_unit_test(test_cli_options_a_switch_takes_no_value),
        cmocka_unit_test(test_cli_options_wrong_usage_is_2_and_names_the_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
