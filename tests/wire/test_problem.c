/* test_problem.c: golden documents, hostile text, and who gets a page.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "wire/problem.h"

#include <openssl/evp.h>
#include <stdio.h>

static void assert_json(const struct problem *p, const char *expected)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_true(err_ok(problem_write_json(p, &out)));
    if (!span_eq(buf_span(&out), span_from(expected)))
        fail_msg("%.*s", SPAN_ARGS(buf_span(&out)));
    buf_done(&out);
}

static void test_problem_of_a_plain_status_is_about_blank(void **state)
{
    (void)state;
    struct problem p = problem_of(ERR_NOT_FOUND);
    assert_int_equal(p.status, 404);
    assert_json(&p, "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
                    "\"detail\":\"there is nothing here\"}");
}

static void test_problem_of_limits_has_the_registered_types(void **state)
{
    (void)state;
    static const struct span policies[] = {SPAN_INIT("burst"), SPAN_INIT("dai\"ly")};
    const struct problem_member members[] = {
        {.name = "violated-policies", .kind = PROBLEM_STRINGS, .texts = policies, .text_count = 2},
        {.name = "route", .kind = PROBLEM_STRING, .text = SPAN("/api/")},
        {.name = "limit", .kind = PROBLEM_NUMBER, .number = UINT64_MAX},
        {.name = "none", .kind = PROBLEM_STRINGS},
    };
    struct problem p = problem_of(ERR_RATE_LIMITED);
    p.instance = SPAN("/api/orders/7");
    p.request_id = SPAN("0af7651916cd43dd8448eb211c80319c");
    p.retry_after_s = 12;
    p.members = members;
    p.member_count = COUNT_OF(members);
    assert_json(&p, "{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\","
                    "\"title\":\"Request cannot be satisfied as assigned quota has been exceeded\","
                    "\"status\":429,\"detail\":\"too many requests\","
                    "\"instance\":\"/api/orders/7\","
                    "\"request_id\":\"0af7651916cd43dd8448eb211c80319c\",\"retry_after\":12,"
                    "\"violated-policies\":[\"burst\",\"dai\\\"ly\"],\"route\":\"/api/\","
                    "\"limit\":18446744073709551615,\"none\":[]}");

    p = problem_of(ERR_BREAKER_OPEN);
    assert_json(&p,
                "{\"type\":"
                "\"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity\","
                "\"title\":\"Request cannot be satisfied due to temporary server capacity "
                "constraints\",\"status\":503,"
                "\"detail\":\"the circuit breaker of the upstream is open\"}");
}

static void test_problem_of_each_error_is_an_error_status(void **state)
{
    (void)state;
    for (unsigned code = ERR_NONE + 1; code < ERR_CODE_COUNT; code++) {
        struct problem p = problem_of((enum err_code)code);
        assert_in_range(p.status, 400, 599);
        assert_true(p.detail.len > 0);
        /* What failed inside is nobody's business outside. */
        if (p.status == 500)
            assert_string_equal(p.detail.at, err_text(ERR_INTERNAL));
    }
}

static void test_problem_json_escapes_hostile_text(void **state)
{
    (void)state;
    struct problem p = {.status = 400,
                        .detail = SPAN("\"}\n\0\x7f</script>\xff\xe2\x82"),
                        .instance = SPAN("/\\\"\x1b[31m")};
    assert_json(
        &p, "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
            "\"detail\":\"\\\"}\\n\\u0000\\u007f</script>\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\","
            "\"instance\":\"/\\\\\\\"\\u001b[31m\"}");
}

static void test_problem_writes_stop_at_the_maximum(void **state)
{
    (void)state;
    struct problem p = problem_of(ERR_RATE_LIMITED);
    p.retry_after_s = 1;
    p.request_id = SPAN("id");
    err (*const writers[])(const struct problem *, struct buf *) = {problem_write_json,
                                                                    problem_write_html};
    for (size_t w = 0; w < COUNT_OF(writers); w++) {
        struct buf whole;
        buf_init(&whole, 1 << 16);
        assert_true(err_ok(writers[w](&p, &whole)));
        for (size_t max = 1; max <= whole.len; max++) {
            struct buf out;
            buf_init(&out, max);
            err outcome = writers[w](&p, &out);
            assert_int_equal(outcome.code, max < whole.len ? ERR_TOO_LARGE : ERR_NONE);
            buf_done(&out);
        }
        buf_done(&whole);
    }
}

#define PAGE_STYLE                                                                                 \
    ":root{color-scheme:light dark}"                                                               \
    "body{margin:0;font:1.125rem/1.6 system-ui,sans-serif;overflow-wrap:anywhere}"                 \
    "main{max-width:34rem;margin:12vh auto;padding:0 1.5rem}"                                      \
    "h1{font-size:1.75rem;line-height:1.25}"

static const char page_start[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"robots\" content=\"noindex\">\n";

static void assert_page(const struct problem *p, const char *title, const char *main)
{
    struct buf expected;
    buf_init(&expected, 1 << 16);
    assert_true(err_ok(buf_printf(&expected,
                                  "%s<title>%s</title>\n<style>" PAGE_STYLE "</style>\n</head>\n"
                                  "<body>\n<main>\n%s</main>\n</body>\n</html>\n",
                                  page_start, title, main)));
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_true(err_ok(problem_write_html(p, &out)));
    if (!span_eq(buf_span(&out), buf_span(&expected)))
        fail_msg("%.*s", SPAN_ARGS(buf_span(&out)));
    buf_done(&out);
    buf_done(&expected);
}

static void test_problem_page_says_what_happened_and_what_to_do(void **state)
{
    (void)state;
    struct problem p = problem_of(ERR_OVERLOADED);
    p.retry_after_s = 30;
    p.request_id = SPAN("0af7651916cd43dd8448eb211c80319c");
    assert_page(&p, "503 Service Unavailable",
                "<h1>Service Unavailable</h1>\n"
                "<p>Request cannot be satisfied due to temporary server capacity constraints</p>\n"
                "<p>Reason: the server is at its limit</p>\n"
                "<p>Try again in 30 seconds.</p>\n"
                "<p>Status: 503</p>\n"
                "<p>Request id: <code>0af7651916cd43dd8448eb211c80319c</code></p>\n");
    p = (struct problem){.status = 404, .retry_after_s = 1};
    assert_page(&p, "404 Not Found",
                "<h1>Not Found</h1>\n<p>Try again in 1 second.</p>\n<p>Status: 404</p>\n");
}

static void test_problem_page_escapes_hostile_text(void **state)
{
    (void)state;
    struct problem p = {
        .status = 400,
        .title = SPAN("</title><script>alert(1)</script>"),
        .detail =
            SPAN("<img src=x onerror=\"a()\">&amp;'\r\n\0\xe2\x82<b>\xc3\xa9\xf0\x9f\x9a\xa2"),
        .request_id = SPAN("</code>&"),
    };
    assert_page(&p, "400 Bad Request",
                "<h1>Bad Request</h1>\n"
                "<p>&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;</p>\n"
                "<p>Reason: &lt;img src=x onerror=&quot;a()&quot;&gt;&amp;amp;&#39;"
                "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd&lt;b&gt;"
                "\xc3\xa9\xf0\x9f\x9a\xa2</p>\n"
                "<p>Status: 400</p>\n"
                "<p>Request id: <code>&lt;/code&gt;&amp;</code></p>\n");
}

/* CSP hashes the bytes between <style> and </style> (CSP level 3 section 6.7.2.4). */
static void test_problem_policy_allows_exactly_the_page_style(void **state)
{
    (void)state;
    struct problem p = {.status = 404};
    struct buf out;
    buf_init(&out, 1 << 16);
    const char *page = NULL;
    assert_true(err_ok(problem_write_html(&p, &out)));
    assert_true(err_ok(buf_text(&out, &page)));
    const char *start = strstr(page, "<style>");
    assert_non_null(start);
    start += strlen("<style>");
    const char *end = strstr(start, "</style>");
    assert_non_null(end);
    unsigned char digest[32];
    assert_int_equal(EVP_Digest(start, (size_t)(end - start), digest, NULL, EVP_sha256(), NULL), 1);
    unsigned char base64[45];
    assert_int_equal(EVP_EncodeBlock(base64, digest, sizeof(digest)), 44);
    char expected[256];
    (void)snprintf(expected, sizeof(expected),
                   "default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; "
                   "form-action 'none'; frame-ancestors 'none'",
                   (const char *)base64);
    struct span policy = problem_html_policy();
    if (!span_eq(policy, span_from(expected)))
        fail_msg("the policy must be: %s", expected);
    buf_done(&out);
}

static void test_problem_page_is_for_who_prefers_it(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool is_html;
    } cases[] = {
        {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
         true},
        {"text/html, application/xhtml+xml", true},
        {"text/html", true},
        {"TEXT/HTML", true},
        {"text/*", true},
        {"text/*, application/json;q=0.9", true},
        {"text/html;q=0.001", true},
        {"text/html;q=1.000,*/*;q=0.999", true},
        {" text/html ; q=0.9 , application/json;q=0.8,", true},
        {"application/json;q=0.1, text/html;q=0.2", true},
        {"*/*;q=0.1, text/html;q=0.2", true},
        {"text/html;Q=0.5", true},
        {"text/html;q=0.5;ext=1, */*;q=0.1", true},
        {"", false},
        {",", false},
        {"*/*", false},
        {"application/json", false},
        {"application/problem+json", false},
        {"application/*, text/html;q=0.9", false},
        {"text/html, application/json", false}, /* a tie */
        {"text/html, */*", false},
        {"text/html;q=0", false},
        {"text/html;q=0.0, */*;q=0", false},
        {"text/html;q=0.5, application/problem+json;q=0.6", false},
        {"text/html;q=0.5, application/json;q=0.6", false},
        {"text/plain", false},
        {"image/png, */*;q=0.5", false},
        {"text/*;q=0.1, text/html;q=0", false}, /* the more precise range counts */
        {"text/html;level=1", false},
        {"text/html;level=1, text/html;q=0, */*", false},
        {"text/html;q=2", false},
        {"text/html;q=1.001", false},
        {"text/html;q=0.1234", false},
        {"text/html;q=.5", false},
        {"text/html;q=", false},
        {"text/html;q", false},
        {"text/html;q=-1", false},
        {"text/html;q=0,5", false},
        {"text/html;", false},
        {"text", false},
        {"text/", false},
        {"/html", false},
        {"*/html", false},
        {"text /html", false},
        {"text/html, \"", false},
        {"text/html\xff", false},
    };
    assert_false(problem_prefers_html((struct span){NULL, 0}));
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (problem_prefers_html(span_from(cases[i].accept)) != cases[i].is_html)
            fail_msg("Accept: %s", cases[i].accept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_problem_of_a_plain_status_is_about_blank),
        cmocka_unit_test(test_problem_of_limits_has_the_registered_types),
        cmocka_unit_test(test_problem_of_each_error_is_an_error_status),
        cmocka_unit_test(test_problem_json_escapes_hostile_text),
        cmocka_unit_test(test_problem_writes_stop_at_the_maximum),
        cmocka_unit_test(test_problem_page_says_what_happened_and_what_to_do),
        cmocka_unit_test(test_problem_page_escapes_hostile_text),
        cmocka_unit_test(test_problem_policy_allows_exactly_the_page_style),
        cmocka_unit_test(test_problem_page_is_for_who_prefers_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
