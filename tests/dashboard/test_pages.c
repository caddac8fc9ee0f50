/* test_pages.c: what a browser gets is what lies in assets/, and the page asks for nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "dashboard/assets.h"
#include "dashboard/dashboard.h"
#include "dashboard/pages.h"
#include "scratch.h"

static const struct assets_file *file_of(const char *name)
{
    for (const struct assets_file *f = assets_files; f->name.at != NULL; f++)
        if (span_eq(f->name, span_from(name)))
            return f;
    return NULL;
}

static err serve(const struct route *route, const char *name, struct call *c)
{
    struct fault why = {0};
    *c = (struct call){.status = 200, .content_type = SPAN("application/json"), .param_count = 1};
    c->params[0] = (struct route_param){SPAN("name"), span_from(name)};
    buf_init(&c->answer, 1 << 20);
    return route->handle(c, &why);
}

static void test_pages_serve_each_file_as_it_lies_in_the_tree(void **state)
{
    (void)state;
    struct scratch assets = {.path = "src/dashboard/assets"};
    struct buf text;
    unsigned count = 0;
    buf_init(&text, 1 << 20);
    for (const struct assets_file *f = assets_files; f->name.at != NULL; f++, count++) {
        struct call c;
        const char *lying = scratch_read(&assets, f->name.at, &text);
        assert_true(err_ok(serve(&pages_routes[1], f->name.at, &c)));
        assert_true(span_eq(buf_span(&c.answer), span_from(lying)));
        assert_true(span_eq(c.content_type, f->content_type));
        buf_done(&c.answer);
    }
    assert_int_equal(count, scratch_count(&assets));
    buf_done(&text);
}

static void test_pages_have_the_content_types_of_the_web(void **state)
{
    (void)state;
    assert_true(span_eq(file_of("index.html")->content_type, SPAN("text/html; charset=utf-8")));
    assert_true(span_eq(file_of("style.css")->content_type, SPAN("text/css; charset=utf-8")));
    assert_true(span_eq(file_of("page.js")->content_type, SPAN("text/javascript; charset=utf-8")));
    assert_true(span_eq(file_of("icon.svg")->content_type, SPAN("image/svg+xml")));
}

static void test_pages_answer_the_root_with_the_page_and_the_unknown_with_404(void **state)
{
    (void)state;
    struct call c;
    assert_true(err_ok(serve(&pages_routes[0], "", &c)));
    assert_true(span_eq(buf_span(&c.answer), file_of("index.html")->content));
    buf_done(&c.answer);
    static const char *const unknown[] = {"", "page", "page.js2", "../pages.c", "INDEX.HTML"};
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        assert_true(err_is(serve(&pages_routes[1], unknown[i], &c), ERR_NOT_FOUND));
        assert_int_equal(c.answer.len, 0);
        buf_done(&c.answer);
    }
}

static bool has(struct span s, const char *text)
{
    return memmem(s.at, s.len, text, strlen(text)) != NULL;
}

/* The policy of the admin listener would break these; a browser says so only at run time. */
static void test_pages_have_nothing_inline_and_nothing_from_elsewhere(void **state)
{
    (void)state;
    struct span page = file_of("index.html")->content;
    static const char *const forbidden[] = {" style=",     "<style",  " onclick=", " onload=",
                                            "javascript:", "http://", "https://",  "src=\"//"};
    for (size_t i = 0; i < COUNT_OF(forbidden); i++)
        assert_false(has(page, forbidden[i]));
    assert_false(has(file_of("style.css")->content, "@import"));
    assert_false(has(file_of("style.css")->content, "url("));
    assert_false(has(file_of("page.js")->content, "innerHTML"));
    assert_false(has(file_of("page.js")->content, "eval("));
    assert_ptr_equal(dashboard_part.routes, pages_routes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_serve_each_file_as_it_lies_in_the_tree),
        cmocka_unit_test(test_pages_have_the_content_types_of_the_web),
        cmocka_unit_test(test_pages_answer_the_root_with_the_page_and_the_unknown_with_404),
        cmocka_unit_test(test_pages_have_nothing_inline_and_nothing_from_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
