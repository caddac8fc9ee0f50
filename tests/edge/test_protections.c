/* test_protections.c: each header on, off, replaced, and left to the application.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "edge/protections.h"

#include <stdio.h>

#define DEFAULT_HSTS "strict-transport-security: max-age=31536000\r\n"
#define DEFAULT_CSP  "content-security-policy: base-uri 'self'; object-src 'none'\r\n"
#define DEFAULT_REST                                                                               \
    "x-frame-options: SAMEORIGIN\r\n"                                                              \
    "x-content-type-options: nosniff\r\n"                                                          \
    "referrer-policy: strict-origin-when-cross-origin\r\n"                                         \
    "permissions-policy: camera=(self), geolocation=(self), hid=(), "                              \
    "magnetometer=(), microphone=(self), midi=(), serial=(), usb=()\r\n"                           \
    "cross-origin-opener-policy: same-origin-allow-popups\r\n"                                     \
    "cross-origin-resource-policy: same-site\r\n"

/* The application's answer, as the parser would fill it. */
struct answer {
    struct http_head head;
    struct http_field list[16];
};

static struct http_field *answer_add(struct answer *a, enum http_field_id id)
{
    a->head.fields = a->list;
    unsigned i = a->head.field_count++;
    a->list[i] = (struct http_field){
        .name = http_field_name(id), .value = SPAN("theirs"), .id = (uint16_t)id};
    if (a->head.first[id] == 0)
        a->head.first[id] = (uint16_t)(i + 1);
    return &a->list[i];
}

static struct protections *rendered(const struct protections_options *options)
{
    struct protections *p = NULL;
    struct fault why = {0};
    if (!err_ok(protections_new(options, &p, &why)))
        fail_msg("%s", why.text);
    return p;
}

static void assert_written(const struct protections *p, bool is_tls, const struct answer *answer,
                           const char *expected)
{
    char out[4096];
    assert_in_range(protections_bytes_max(p), 0, sizeof(out));
    size_t len = protections_write(p, is_tls, answer == NULL ? NULL : &answer->head, out,
                                   protections_bytes_max(p));
    if (!span_eq(span_of(out, len), span_from(expected)))
        fail_msg("wrote:\n%.*s", (int)len, out);
}

static void test_protections_defaults_are_all_on(void **state)
{
    (void)state;
    struct protections_options options;
    protections_defaults(&options);
    struct protections *p = rendered(&options);
    struct answer silent = {0};
    (void)answer_add(&silent, HTTP_FIELD_SERVER);
    assert_written(p, true, NULL, DEFAULT_HSTS DEFAULT_CSP DEFAULT_REST);
    assert_written(p, false, NULL, DEFAULT_CSP DEFAULT_REST);
    assert_written(p, true, &silent, DEFAULT_HSTS DEFAULT_CSP DEFAULT_REST);
    assert_written(p, false, &silent, DEFAULT_CSP DEFAULT_REST);
    for (unsigned id = 0; id < HTTP_FIELD_COUNT; id++) {
        bool is_dropped = id == HTTP_FIELD_SERVER || id == HTTP_FIELD_X_POWERED_BY ||
                          id == HTTP_FIELD_X_CONTENT_TYPE_OPTIONS;
        assert_int_equal(protections_drops(p, (enum http_field_id)id), is_dropped);
    }
    protections_free(p);
    protections_free(NULL);
}

/* What is written of one header when it stands alone: "name: value\r\n". */
static struct span line_of(enum protections_header header, char out[512])
{
    char *at = out;
    struct span parts[] = {http_field_name(protections_table[header].field), SPAN(": "),
                           span_from(protections_table[header].fallback), SPAN("\r\n")};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        memcpy(at, parts[i].at, parts[i].len);
        at += parts[i].len;
    }
    return span_of(out, (size_t)(at - out));
}

static struct protections_options all_off(void)
{
    struct protections_options options;
    protections_defaults(&options);
    for (unsigned i = 0; i < PROTECTIONS_HEADER_COUNT; i++)
        options.headers[i].is_on = false;
    for (unsigned i = 0; i < PROTECTIONS_REMOVE_COUNT; i++)
        options.removes[i] = false;
    return options;
}

/* Every header, on TLS and plain, sent by the application or not, the application winning or not.
 */
static void test_protections_matrix_of_each_header(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PROTECTIONS_HEADER_COUNT * 8; i++) {
        enum protections_header header = (enum protections_header)(i / 8);
        bool is_tls = (i & 1) != 0;
        bool is_sent = (i & 2) != 0;
        bool does_app_win = (i & 4) != 0;
        enum http_field_id field = protections_table[header].field;
        struct protections_options options = all_off();
        options.headers[header].is_on = true;
        options.headers[header].does_app_win = does_app_win;
        struct protections *p = rendered(&options);
        struct answer answer = {0};
        (void)answer_add(&answer, HTTP_FIELD_DATE);
        if (is_sent)
            (void)answer_add(&answer, field);

        bool is_expected = !(is_sent && does_app_win) && (is_tls || header != PROTECTIONS_HSTS);
        char line[512];
        struct span expected = is_expected ? line_of(header, line) : SPAN("");
        char out[512];
        size_t len = protections_write(p, is_tls, &answer.head, out, sizeof(out));
        assert_true(span_eq(span_of(out, len), expected));
        assert_int_equal(protections_drops(p, field), !does_app_win);
        protections_free(p);
    }
}

static void test_protections_off_lets_the_application_speak(void **state)
{
    (void)state;
    struct protections_options options = all_off();
    struct protections *p = rendered(&options);
    assert_written(p, true, NULL, "");
    assert_int_equal(protections_bytes_max(p), 0);
    for (unsigned id = 0; id < HTTP_FIELD_COUNT; id++)
        assert_false(protections_drops(p, (enum http_field_id)id));
    protections_free(p);
}

static void test_protections_write_only_what_the_application_left_out(void **state)
{
    (void)state;
    struct protections_options options;
    protections_defaults(&options);
    struct protections *p = rendered(&options);
    struct answer answer = {0};
    (void)answer_add(&answer, HTTP_FIELD_STRICT_TRANSPORT_SECURITY);
    (void)answer_add(&answer, HTTP_FIELD_CONTENT_SECURITY_POLICY);
    assert_written(p, true, &answer, DEFAULT_REST);
    assert_written(p, false, &answer, DEFAULT_REST);
    protections_free(p);
}

static void test_protections_leave_out_the_one_that_the_application_sends(void **state)
{
    (void)state;
    struct protections_options options;
    protections_defaults(&options);
    struct protections *p = rendered(&options);
    char whole[4096];
    size_t whole_len = protections_write(p, true, NULL, whole, sizeof(whole));
    for (unsigned i = 0; i < PROTECTIONS_HEADER_COUNT; i++) {
        struct answer answer = {0};
        (void)answer_add(&answer, protections_table[i].field);
        char line[512];
        struct span theirs = line_of((enum protections_header)i, line);
        char expected[4096];
        const char *at = memmem(whole, whole_len, theirs.at, theirs.len);
        assert_non_null(at);
        size_t before = (size_t)(at - whole);
        size_t left_out = protections_table[i].does_app_win ? theirs.len : 0;
        memcpy(expected, whole, before);
        memcpy(expected + before, at + left_out, whole_len - before - left_out);
        char out[4096];
        size_t len = protections_write(p, true, &answer.head, out, sizeof(out));
        assert_true(span_eq(span_of(out, len), span_of(expected, whole_len - left_out)));
    }
    protections_free(p);
}

static void test_protections_ignore_a_header_that_is_not_forwarded(void **state)
{
    (void)state;
    struct protections_options options;
    protections_defaults(&options);
    struct protections *p = rendered(&options);
    struct answer answer = {0};
    answer_add(&answer, HTTP_FIELD_CONTENT_SECURITY_POLICY)->is_dropped = true;
    assert_written(p, false, &answer, DEFAULT_CSP DEFAULT_REST);
    protections_free(p);
}

static void test_protections_report_only_leaves_the_enforcing_policy_alone(void **state)
{
    (void)state;
    struct protections_options options = all_off();
    options.headers[PROTECTIONS_CSP].is_on = true;
    options.is_csp_report_only = true;
    const char *ours =
        "content-security-policy-report-only: base-uri 'self'; object-src 'none'\r\n";
    struct protections *p = rendered(&options);
    struct answer enforcing = {0};
    (void)answer_add(&enforcing, HTTP_FIELD_CONTENT_SECURITY_POLICY);
    struct answer reporting = {0};
    (void)answer_add(&reporting, HTTP_FIELD_CSP_REPORT_ONLY);
    assert_written(p, false, NULL, ours);
    assert_written(p, false, &enforcing, ours);
    assert_written(p, false, &reporting, "");
    protections_free(p);

    options.headers[PROTECTIONS_CSP].does_app_win = false;
    p = rendered(&options);
    assert_written(p, false, &reporting, ours);
    assert_true(protections_drops(p, HTTP_FIELD_CSP_REPORT_ONLY));
    assert_false(protections_drops(p, HTTP_FIELD_CONTENT_SECURITY_POLICY));
    protections_free(p);
}

static void test_protections_of_a_route_are_a_changed_copy(void **state)
{
    (void)state;
    struct protections_options options;
    protections_defaults(&options);
    struct protections_options route = options;
    char value[] = "default-src 'self'";
    protections_set(&route.headers[PROTECTIONS_CSP], span_from(value));
    route.headers[PROTECTIONS_RESOURCE].is_on = false;
    route.removes[PROTECTIONS_REMOVE_SERVER] = false;
    struct protections *p = rendered(&route);
    memset(value, '#', sizeof(value) - 1); /* what was rendered is owned */
    char out[4096];
    size_t len = protections_write(p, false, NULL, out, sizeof(out));
    assert_true(
        span_starts(span_of(out, len), SPAN("content-security-policy: default-src 'self'\r\n")));
    assert_null(memmem(out, len, "cross-origin-resource-policy", 28));
    assert_true(protections_drops(p, HTTP_FIELD_CONTENT_SECURITY_POLICY));
    assert_false(protections_drops(p, HTTP_FIELD_SERVER));
    assert_true(protections_drops(p, HTTP_FIELD_X_POWERED_BY));
    assert_false(protections_drops(p, HTTP_FIELD_CROSS_ORIGIN_RESOURCE_POLICY));
    protections_free(p);
}

static void test_protections_know_the_values_of_each_header(void **state)
{
    (void)state;
    static const struct {
        enum protections_header header;
        const char *value;
        bool is_valid;
    } cases[] = {
        {PROTECTIONS_HSTS, "max-age=63072000; includeSubDomains; preload", true},
        {PROTECTIONS_HSTS, "Max-Age=0", true},
        {PROTECTIONS_HSTS, "includeSubDomains ;max-age = 1", true},
        {PROTECTIONS_HSTS, "max-age", false},
        {PROTECTIONS_HSTS, "max-age=", false},
        {PROTECTIONS_HSTS, "max-age=1y", false},
        {PROTECTIONS_HSTS, "max-age=-1", false},
        {PROTECTIONS_HSTS, "max-age=1; max-age=2", false},
        {PROTECTIONS_HSTS, "includeSubDomains", false},
        {PROTECTIONS_HSTS, "max-age=1; include", false},
        {PROTECTIONS_HSTS, "max-age=1; preload=1", false},
        {PROTECTIONS_HSTS, "max-age=1, preload", false},
        {PROTECTIONS_CSP, "default-src 'self'; script-src 'nonce-abc'", true},
        {PROTECTIONS_CSP, "", false},
        {PROTECTIONS_CSP, " default-src 'self'", false},
        {PROTECTIONS_CSP, "default-src 'self' ", false},
        {PROTECTIONS_CSP, "default-src\r\nset-cookie: a=b", false},
        {PROTECTIONS_CSP, "a\nb", false},
        {PROTECTIONS_CSP, "a\tb", false},
        {PROTECTIONS_CSP, "a\x7f", false},
        {PROTECTIONS_CSP, "caf\xc3\xa9", false},
        {PROTECTIONS_FRAME, "deny", true},
        {PROTECTIONS_FRAME, "SAMEORIGIN", true},
        {PROTECTIONS_FRAME, "ALLOW-FROM https://a.example", false},
        {PROTECTIONS_NOSNIFF, "nosniff", true},
        {PROTECTIONS_NOSNIFF, "sniff", false},
        {PROTECTIONS_REFERRER, "no-referrer", true},
        {PROTECTIONS_REFERRER, "no-referrer, strict-origin-when-cross-origin", true},
        {PROTECTIONS_REFERRER, "strict", false},
        {PROTECTIONS_REFERRER, ",", false},
        {PROTECTIONS_PERMISSIONS, "camera=()", true},
        {PROTECTIONS_OPENER, "same-origin", true},
        {PROTECTIONS_OPENER, "same-origin; report-to=\"x\"", true},
        {PROTECTIONS_OPENER, "unsafe-none", true},
        {PROTECTIONS_OPENER, "same-site", false},
        {PROTECTIONS_RESOURCE, "cross-origin", true},
        {PROTECTIONS_RESOURCE, "any", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fault why = {0};
        err outcome = protections_check(cases[i].header, span_from(cases[i].value), &why);
        if (err_ok(outcome) != cases[i].is_valid)
            fail_msg("%s", cases[i].value);
        if (cases[i].is_valid)
            continue;
        assert_true(err_is(outcome, ERR_INVALID));
        assert_true(
            span_starts(span_from(why.text), span_from(protections_table[cases[i].header].name)));
        assert_null(strpbrk(why.text, "\r\n\x7f"));
    }
}

static void test_protections_limit_a_value(void **state)
{
    (void)state;
    static char value[PROTECTIONS_VALUE_BYTES_MAX + 1];
    memset(value, 'a', sizeof(value));
    assert_true(
        err_ok(protections_check(PROTECTIONS_CSP, span_of(value, sizeof(value) - 1), NULL)));
    assert_true(err_is(protections_check(PROTECTIONS_CSP, span_of(value, sizeof(value)), NULL),
                       ERR_INVALID));
}

static void test_protections_refuse_a_broken_value_only_when_it_is_used(void **state)
{
    (void)state;
    struct protections_options options;
    protections_defaults(&options);
    options.headers[PROTECTIONS_FRAME].value = SPAN("a\r\nb: c");
    struct protections *p = NULL;
    struct fault why = {0};
    assert_true(err_is(protections_new(&options, &p, &why), ERR_INVALID));
    assert_null(p);
    options.headers[PROTECTIONS_FRAME].is_on = false;
    protections_free(rendered(&options));
}

static void test_protections_table_is_complete(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PROTECTIONS_ROW_COUNT; i++) {
        const struct protections_row *row = &protections_table[i];
        assert_non_null(row->name);
        assert_non_null(row->key);
        assert_non_null(row->fallback);
        assert_non_null(row->help);
        assert_true(span_eq_nocase(span_from(row->name), http_field_name(row->field)));
        if (i < PROTECTIONS_HEADER_COUNT)
            assert_true(err_ok(
                protections_check((enum protections_header)i, span_from(row->fallback), NULL)));
    }
}

static void test_protections_page_lists_the_defaults(void **state)
{
    (void)state;
    static char page[65536];
    FILE *file = fopen("docs/protections.md", "re");
    assert_non_null(file);
    size_t len = fread(page, 1, sizeof(page) - 1, file);
    (void)fclose(file);
    page[len] = '\0';
    for (unsigned i = 0; i < PROTECTIONS_HEADER_COUNT; i++) {
        const struct protections_row *row = &protections_table[i];
        char line[512];
        (void)snprintf(line, sizeof(line), "| `%s` | %s | `%s` |\n", row->key, row->name,
                       row->fallback);
        if (strstr(page, line) == NULL)
            fail_msg("docs/protections.md lacks: %s", line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protections_defaults_are_all_on),
        cmocka_unit_test(test_protections_matrix_of_each_header),
        cmocka_unit_test(test_protections_off_lets_the_application_speak),
        cmocka_unit_test(test_protections_write_only_what_the_application_left_out),
        cmocka_unit_test(test_protections_leave_out_the_one_that_the_application_sends),
        cmocka_unit_test(test_protections_ignore_a_header_that_is_not_forwarded),
        cmocka_unit_test(test_protections_report_only_leaves_the_enforcing_policy_alone),
        cmocka_unit_test(test_protections_of_a_route_are_a_changed_copy),
        cmocka_unit_test(test_protections_know_the_values_of_each_header),
        cmocka_unit_test(test_protections_limit_a_value),
        cmocka_unit_test(test_protections_refuse_a_broken_value_only_when_it_is_used),
        cmocka_unit_test(test_protections_table_is_complete),
        cmocka_unit_test(test_protections_page_lists_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
