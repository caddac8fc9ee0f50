/* test_config_docs.c: the reference page, byte by byte.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/config_docs.h"
#include "core/config_docs_sample.h"
#include "core/config_sample.h"

static const char expected[] =
    "## Top level\n"
    "\n"
    "| key | type | default | allowed | reload | meaning |\n"
    "|---|---|---|---|---|---|\n"
    "| [`outer`](#outername) | table | empty |  | restart | Outside. |\n"
    "| `size` | size | off | at least 1kb, or off | live | How large. |\n"
    "\n"
    "```yaml\n"
    "outer:\n"
    "  a: {share: 5}\n"
    "  b: {}\n"
    "```\n"
    "\n"
    "## `outer.NAME`\n"
    "\n"
    "Outside.\n"
    "\n"
    "| key | type | default | allowed | reload | meaning |\n"
    "|---|---|---|---|---|---|\n"
    "| [`inner`](#outernameinner) | list of groups | empty | at most 2 entries | restart | Inside. "
    "|\n"
    "| `share` | percent | `12.5%` | at most 50% | restart | A \"part\" \\| of it. |\n"
    "\n"
    "### `outer.NAME.inner[]`\n"
    "\n"
    "Inside.\n"
    "\n"
    "| key | type | default | allowed | reload | meaning |\n"
    "|---|---|---|---|---|---|\n"
    "| `rate` | rate | required | count at most 100 | restart | How many. |\n"
    "| `modes` | list of choice | `[fast, a\\|b]` | `fast`, `a\\|b` | restart | Ways. |\n"
    "\n"
    "```yaml\n"
    "rate: 100/min\n"
    "```\n";

static void test_reference_has_a_section_for_each_group_and_a_row_for_each_key(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done);
    buf_init(&out, 1 << 20);
    assert_true(err_ok(config_docs_reference(docs_tables, &out)));
    const char *text = NULL;
    assert_true(err_ok(buf_text(&out, &text)));
    assert_true(span_starts(buf_span(&out), SPAN("# Configuration reference\n")));
    const char *rest = strstr(text, "## Top level");
    assert_non_null(rest);
    assert_string_equal(rest, expected);
}

static void test_reference_names_the_form_of_every_type(void **state)
{
    (void)state;
    static const char *const forms[] = {"true or false", "16kb",        "250ms",   "100/min",
                                        "12.5%",         "unix:/run/x", "${NAME}", "file:path"};
    struct buf out CLEANUP(buf_done);
    const char *text = NULL;
    buf_init(&out, 1 << 20);
    assert_true(err_ok(config_docs_reference(sample_tables, &out)));
    assert_true(err_ok(buf_text(&out, &text)));
    for (size_t i = 0; i < COUNT_OF(forms); i++)
        if (strstr(text, forms[i]) == NULL)
            fail_msg("the page does not have %s", forms[i]);
}

static void test_reference_past_its_buffer_is_an_error(void **state)
{
    (void)state;
    for (size_t max = 1; max < 3000; max += 97) {
        struct buf out CLEANUP(buf_done);
        buf_init(&out, max);
        assert_true(err_is(config_docs_reference(sample_tables, &out), ERR_TOO_LARGE));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_has_a_section_for_each_group_and_a_row_for_each_key),
        cmocka_unit_test(test_reference_names_the_form_of_every_type),
        cmocka_unit_test(test_reference_past_its_buffer_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
