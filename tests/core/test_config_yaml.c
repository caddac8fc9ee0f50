/* test_config_yaml.c: the tree of a YAML text, and the limits under which it is built.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/config_yaml.h"

static struct config_report report;

/* Writes the tree back in one line: {name: value} [value] "text" 'plain', * before an alias. */
static void write_node(struct buf *out, const struct config_yaml_node *node)
{
    err outcome = OK;
    const struct config_yaml_node *shown = node->target == NULL ? node : node->target;
    if (node->name.at != NULL)
        outcome = buf_printf(out, "%.*s:", SPAN_ARGS(node->name));
    assert_true(err_ok(outcome));
    if (node->kind == CONFIG_YAML_ALIAS)
        assert_true(err_ok(buf_add_char(out, '*')));
    if (shown->kind == CONFIG_YAML_SCALAR) {
        const char *quote = shown->is_plain ? "" : "\"";
        assert_true(
            err_ok(buf_printf(out, "%s%.*s%s", quote, SPAN_ARGS(config_yaml_text(shown)), quote)));
        return;
    }
    bool is_list = shown->kind == CONFIG_YAML_LIST;
    unsigned count = 0;
    assert_true(err_ok(buf_add_char(out, is_list ? '[' : '{')));
    for (const struct config_yaml_node *child = shown->first; child != NULL; child = child->next) {
        if (count++ > 0)
            assert_true(err_ok(buf_add_char(out, ',')));
        write_node(out, child);
    }
    assert_int_equal(count, shown->count);
    assert_true(err_ok(buf_add_char(out, is_list ? ']' : '}')));
}

static void assert_tree(const char *yaml, const char *expected)
{
    struct config_yaml tree CLEANUP(config_yaml_done) = {0};
    struct buf out CLEANUP(buf_done);
    const char *text = NULL;
    report = (struct config_report){0};
    buf_init(&out, 100000);
    if (!err_ok(config_yaml_parse(span_from(yaml), "y", &tree, &report)))
        fail_msg("%s: %s", yaml, report.faults[0].text);
    if (tree.root != NULL)
        write_node(&out, tree.root);
    assert_true(err_ok(buf_text(&out, &text)));
    assert_string_equal(text, expected);
}

static void assert_fault_of(struct span yaml, unsigned line, unsigned column, const char *text)
{
    struct config_yaml tree CLEANUP(config_yaml_done) = {0};
    report = (struct config_report){0};
    err outcome = config_yaml_parse(yaml, "y", &tree, &report);
    if (!err_is(outcome, ERR_CONFIG))
        fail_msg("parses: %.*s", SPAN_ARGS(yaml));
    assert_int_equal(report.count, 1);
    assert_string_equal(report.faults[0].text, text);
    assert_int_equal(report.faults[0].line, line);
    assert_int_equal(report.faults[0].column, column);
    assert_string_equal(report.faults[0].file, "y");
}

static void assert_fault(const char *yaml, unsigned line, unsigned column, const char *text)
{
    assert_fault_of(span_from(yaml), line, column, text);
}

static void test_yaml_forms_become_one_tree(void **state)
{
    (void)state;
    assert_tree("", "");
    assert_tree("# only a comment\n", "");
    assert_tree("\xef\xbb\xbf"
                "a: 1\n",
                "{a:1}");
    assert_tree("a: 1\r\nb: 2\r\n", "{a:1,b:2}");
    assert_tree("a:\n  - 1\n  - b: 2\n    c: 'x y'\n  -\nd: {e: [f, \"g\\x41\"], h: }\n",
                "{a:[1,{b:2,c:\"x y\"},],d:{e:[f,\"gA\"],h:}}");
    assert_tree("a: |\n  x\n  y\nb: >\n  x\n  y\n", "{a:\"x\ny\n\",b:\"x y\n\"}");
    assert_tree("a: \"x\\ty\"\nb: 5%\n", "{a:\"x\ty\",b:5%}");
    assert_tree("a: 1\na: 2\n", "{a:1,a:2}"); /* the loader knows the path for its message */
    assert_tree("a: &x [1, 2]\nb: *x\nc: &y 3\nd: [*y, *x]\n",
                "{a:[1,2],b:*[1,2],c:3,d:[*3,*[1,2]]}");
    assert_tree("a: &x 1\nb: &x 2\nc: *x\n", "{a:1,b:2,c:*2}");
    assert_tree("---\na: 1\n...\n", "{a:1}");
    assert_tree("\xc3\xbc: \xe2\x82\xac\n", "{\xc3\xbc:\xe2\x82\xac}");
}

static void test_yaml_nodes_know_their_places(void **state)
{
    (void)state;
    struct config_yaml tree CLEANUP(config_yaml_done) = {0};
    assert_true(err_ok(config_yaml_parse(SPAN("\xc3\xbc: [1,\n  'two', \"three\"]\nb:\n  c: x\n"),
                                         "y", &tree, &report)));
    const struct config_yaml_node *list = tree.root->first;
    assert_int_equal(list->name_line, 1);
    assert_int_equal(list->name_column, 1);
    assert_int_equal(list->line, 1);
    assert_int_equal(list->column, 4); /* in characters, not bytes */
    const struct config_yaml_node *two = list->first->next;
    assert_int_equal(two->line, 2);
    assert_int_equal(two->column, 3); /* at the quote */
    assert_int_equal(two->next->column, 10);
    const struct config_yaml_node *c = list->next->first;
    assert_int_equal(c->name_line, 4);
    assert_int_equal(c->name_column, 3);
    assert_int_equal(c->line, 4);
    assert_int_equal(c->column, 6);
}

static void test_yaml_syntax_errors_have_a_place(void **state)
{
    (void)state;
    assert_fault("a: [1, 2\n", 2, 1, "not valid YAML: flow sequence without a closing bracket");
    assert_fault("a: b: c\n", 1, 5,
                 "not valid YAML: invalid nested block mapping on the same line");
    assert_fault("a: \"x\\q\"\n", 1, 6,
                 "not valid YAML: invalid escape 'q' in double-quoted string");
    assert_fault("a: @x\n", 1, 4, "not valid YAML: plain scalar cannot start with '@'");
}

static void test_yaml_outside_our_subset_is_refused(void **state)
{
    (void)state;
    assert_fault("a: !!str 1\n", 1, 10, "tags (!...) have no meaning here");
    assert_fault("a: 1\n---\nb: 1\n", 2, 1, "the file must hold one document");
    assert_fault("? [a]\n: 1\n", 1, 3, "a key must be a plain text");
    assert_fault("a: &x b\n*x : 1\n", 2, 1, "a key must be a plain text");
    assert_fault("%YAML 1.2\n---\na: 1\n", 1, 1, "directives (%...) have no meaning here");
    assert_fault("a: 1\n%x\n", 2, 1, "directives (%...) have no meaning here");
    assert_fault("a:\n\tb: 1\n", 2, 1, "a tab stands here; write spaces, or \\t in double quotes");
    assert_fault("? a:\t:b\n", 1, 5, "a tab stands here; write spaces, or \\t in double quotes");
    assert_fault("a: *x\n", 1, 4, "no complete value with this anchor stands before the alias");
    assert_fault("a: &x [*x]\n", 1, 8,
                 "no complete value with this anchor stands before the alias");
}

static void test_yaml_bytes_must_be_clean_utf8(void **state)
{
    (void)state;
    assert_fault("a: b\nc: \xff\n", 2, 4, "the file is not valid UTF-8 here");
    assert_fault("\xc3\xbc\xc3\xbc: \xc3\n", 1, 5, "the file is not valid UTF-8 here");
    assert_fault("a: \"\xed\xa0\x80\"\n", 1, 5, "the file is not valid UTF-8 here");
    assert_fault_of(SPAN("a: b\0c\n"), 1, 5, "a control character stands here");
    assert_fault("a: b\r\nc: \x1b[0m\n", 2, 4, "a control character stands here");
    assert_fault("a: b\rc: \x7f\n", 2, 4, "a control character stands here");
}

/* depth nested lists around one scalar. */
static void write_lists(struct buf *out, unsigned depth)
{
    buf_reset(out);
    for (unsigned i = 0; i < depth; i++)
        assert_true(err_ok(buf_add_char(out, '[')));
    assert_true(err_ok(buf_add_char(out, '1')));
    for (unsigned i = 0; i < depth; i++)
        assert_true(err_ok(buf_add_char(out, ']')));
}

static void test_yaml_depth_has_a_limit(void **state)
{
    (void)state;
    struct buf yaml CLEANUP(buf_done);
    buf_init(&yaml, 100000);
    for (unsigned depth = CONFIG_DEPTH_MAX - 1; depth <= CONFIG_DEPTH_MAX; depth++) {
        struct config_yaml tree CLEANUP(config_yaml_done) = {0};
        write_lists(&yaml, depth);
        assert_true(err_ok(config_yaml_parse(buf_span(&yaml), "y", &tree, &report)));
        assert_int_equal(tree.root->height, depth);
    }
    write_lists(&yaml, CONFIG_DEPTH_MAX + 1);
    assert_fault_of(buf_span(&yaml), 1, CONFIG_DEPTH_MAX + 1,
                    "lists and groups stand too deep in one another");
    write_lists(&yaml, 20000);
    assert_fault_of(buf_span(&yaml), 1, CONFIG_DEPTH_MAX + 1,
                    "lists and groups stand too deep in one another");
}

static void test_yaml_depth_counts_what_an_alias_brings(void **state)
{
    (void)state;
    for (unsigned depth = CONFIG_DEPTH_MAX - 1; depth <= CONFIG_DEPTH_MAX + 1; depth++) {
        struct config_yaml tree CLEANUP(config_yaml_done) = {0};
        struct buf yaml CLEANUP(buf_done);
        struct buf lists CLEANUP(buf_done);
        buf_init(&yaml, 1000);
        buf_init(&lists, 1000);
        report = (struct config_report){0};
        write_lists(&lists, 6);
        assert_true(err_ok(buf_printf(&yaml, "[&x %.*s, ", SPAN_ARGS(buf_span(&lists)))));
        for (unsigned i = 0; i < depth - 7; i++)
            assert_true(err_ok(buf_add_char(&yaml, '[')));
        assert_true(err_ok(buf_add(&yaml, SPAN("*x "))));
        for (unsigned i = 0; i < depth - 7; i++)
            assert_true(err_ok(buf_add_char(&yaml, ']')));
        assert_true(err_ok(buf_add_char(&yaml, ']')));
        err outcome = config_yaml_parse(buf_span(&yaml), "y", &tree, &report);
        assert_int_equal(err_ok(outcome), depth <= CONFIG_DEPTH_MAX);
        if (err_ok(outcome))
            assert_int_equal(tree.root->height, depth);
    }
}

static void test_yaml_number_of_values_has_a_limit(void **state)
{
    (void)state;
    for (unsigned nodes = CONFIG_NODES_MAX - 1; nodes <= CONFIG_NODES_MAX + 1; nodes++) {
        struct config_yaml tree CLEANUP(config_yaml_done) = {0};
        struct buf yaml CLEANUP(buf_done);
        buf_init(&yaml, CONFIG_FILE_BYTES_MAX);
        for (unsigned i = 1; i < nodes; i++) /* the list is a value itself */
            assert_true(err_ok(buf_add(&yaml, SPAN("- a\n"))));
        report = (struct config_report){0};
        err outcome = config_yaml_parse(buf_span(&yaml), "y", &tree, &report);
        if (nodes <= CONFIG_NODES_MAX) {
            assert_true(err_ok(outcome));
            assert_int_equal(tree.root->nodes, nodes);
            continue;
        }
        assert_true(err_is(outcome, ERR_CONFIG));
        assert_string_equal(report.faults[0].text, "the file has too many values");
        assert_int_equal(report.faults[0].line, CONFIG_NODES_MAX);
    }
}

static void test_yaml_aliases_have_a_limit_and_count_as_what_they_bring(void **state)
{
    (void)state;
    for (unsigned aliases = CONFIG_ALIASES_MAX - 1; aliases <= CONFIG_ALIASES_MAX + 1; aliases++) {
        struct config_yaml tree CLEANUP(config_yaml_done) = {0};
        struct buf yaml CLEANUP(buf_done);
        buf_init(&yaml, 10000);
        assert_true(err_ok(buf_add(&yaml, SPAN("- &x [a, b]\n"))));
        for (unsigned i = 0; i < aliases; i++)
            assert_true(err_ok(buf_add(&yaml, SPAN("- *x\n"))));
        report = (struct config_report){0};
        err outcome = config_yaml_parse(buf_span(&yaml), "y", &tree, &report);
        assert_int_equal(err_ok(outcome), aliases <= CONFIG_ALIASES_MAX);
        if (err_ok(outcome))
            assert_int_equal(tree.root->nodes, 1 + 3 * (1 + aliases));
        else
            assert_string_equal(report.faults[0].text, "the file has too many aliases");
    }
    /* Ten times ten times ten ... : the fifth level would bring more than 100,000 values. */
    assert_fault("- &a [x, x, x, x, x, x, x, x, x, x]\n"
                 "- &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
                 "- &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
                 "- &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\n"
                 "- &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\n",
                 5, 19, "the file has too many values");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yaml_forms_become_one_tree),
        cmocka_unit_test(test_yaml_nodes_know_their_places),
        cmocka_unit_test(test_yaml_syntax_errors_have_a_place),
        cmocka_unit_test(test_yaml_outside_our_subset_is_refused),
        cmocka_unit_test(test_yaml_bytes_must_be_clean_utf8),
        cmocka_unit_test(test_yaml_depth_has_a_limit),
        cmocka_unit_test(test_yaml_depth_counts_what_an_alias_brings),
        cmocka_unit_test(test_yaml_number_of_values_has_a_limit),
        cmocka_unit_test(test_yaml_aliases_have_a_limit_and_count_as_what_they_bring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
