/* test_websocket.c: both halves of the opening handshake.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "wire/websocket.h"

/* The example of RFC 6455 section 1.3. */
#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

struct fields {
    struct http_field list[8];
};

static void head_add(struct http_head *head, struct fields *f, enum http_field_id id,
                     const char *value)
{
    head->fields = f->list;
    unsigned i = head->field_count++;
    f->list[i] = (struct http_field){
        .name = http_field_name(id), .value = span_from(value), .id = (uint16_t)id};
    if (head->first[id] == 0)
        head->first[id] = (uint16_t)(i + 1);
}

static void head_upgrade(struct http_head *head, struct fields *f, const char *upgrade)
{
    head->version_minor = 1;
    head->is_upgrade = true;
    head->upgrade = span_from(upgrade);
    head_add(head, f, HTTP_FIELD_UPGRADE, upgrade);
}

struct request_case {
    const char *upgrade; /* NULL: none */
    const char *keys[2];
    const char *versions[2];
    enum http_method method;
    bool is_http10;
    uint64_t body_bytes;
    enum websocket_verdict verdict;
};

static enum websocket_verdict verdict_of(const struct request_case *c, struct fault *why)
{
    struct fields f = {0};
    struct http_request request = {.method = c->method};
    request.head.version_minor = 1;
    if (c->upgrade != NULL)
        head_upgrade(&request.head, &f, c->upgrade);
    if (c->is_http10)
        request.head.version_minor = 0;
    if (c->body_bytes > 0)
        request.head.body = HTTP_BODY_LENGTH;
    request.head.content_length = c->body_bytes;
    for (size_t i = 0; i < 2 && c->keys[i] != NULL; i++)
        head_add(&request.head, &f, HTTP_FIELD_SEC_WEBSOCKET_KEY, c->keys[i]);
    for (size_t i = 0; i < 2 && c->versions[i] != NULL; i++)
        head_add(&request.head, &f, HTTP_FIELD_SEC_WEBSOCKET_VERSION, c->versions[i]);
    return websocket_check_request(&request, why);
}

static void test_websocket_request_is_judged_by_the_rfc(void **state)
{
    (void)state;
    static const struct request_case cases[] = {
        {"websocket", {KEY}, {"13"}, HTTP_GET, false, 0, WEBSOCKET_VALID},
        {"WebSocket", {KEY}, {"13"}, HTTP_GET, false, 0, WEBSOCKET_VALID},
        {"h2c, websocket", {KEY}, {"13"}, HTTP_GET, false, 0, WEBSOCKET_VALID},
        {"websocket", {"++//++//++//++//++//++=="}, {"13"}, HTTP_GET, false, 0, WEBSOCKET_VALID},
        {NULL, {KEY}, {"13"}, HTTP_GET, false, 0, WEBSOCKET_NONE},
        {"h2c", {KEY}, {"13"}, HTTP_GET, false, 0, WEBSOCKET_NONE},
        {"websockets", {KEY}, {"13"}, HTTP_GET, false, 0, WEBSOCKET_NONE},
        {"websocket", {KEY}, {"13"}, HTTP_POST, false, 0, WEBSOCKET_BAD_REQUEST},
        {"websocket", {KEY}, {"13"}, HTTP_HEAD, false, 0, WEBSOCKET_BAD_REQUEST},
        {"websocket", {KEY}, {"13"}, HTTP_GET, true, 0, WEBSOCKET_BAD_REQUEST},
        {"websocket", {KEY}, {"13"}, HTTP_GET, false, 1, WEBSOCKET_BAD_REQUEST},
        {"websocket", {NULL}, {"13"}, HTTP_GET, false, 0, WEBSOCKET_BAD_REQUEST},
        {"websocket", {KEY, KEY}, {"13"}, HTTP_GET, false, 0, WEBSOCKET_BAD_REQUEST},
        {"websocket", {""}, {"13"}, HTTP_GET, false, 0, WEBSOCKET_BAD_REQUEST},
        {"websocket",
         {"dGhlIHNhbXBsZSBub25jZQ="},
         {"13"},
         HTTP_GET,
         false,
         0,
         WEBSOCKET_BAD_REQUEST},
        {"websocket",
         {"dGhlIHNhbXBsZSBub25jZQ==="},
         {"13"},
         HTTP_GET,
         false,
         0,
         WEBSOCKET_BAD_REQUEST},
        {"websocket",
         {"dGhlIHNhbXBsZSBub25jZQAA"},
         {"13"},
         HTTP_GET,
         false,
         0,
         WEBSOCKET_BAD_REQUEST},
        {"websocket",
         {"dGhlIHNhbXBsZSBub25j-_=="},
         {"13"},
         HTTP_GET,
         false,
         0,
         WEBSOCKET_BAD_REQUEST},
        {"websocket",
         {"dGhlIHNhbXBs ZSBub25jZQ=="},
         {"13"},
         HTTP_GET,
         false,
         0,
         WEBSOCKET_BAD_REQUEST},
        {"websocket", {KEY}, {NULL}, HTTP_GET, false, 0, WEBSOCKET_BAD_REQUEST},
        {"websocket", {KEY}, {"13", "13"}, HTTP_GET, false, 0, WEBSOCKET_BAD_REQUEST},
        {"websocket", {KEY}, {"8"}, HTTP_GET, false, 0, WEBSOCKET_BAD_VERSION},
        {"websocket", {KEY}, {"013"}, HTTP_GET, false, 0, WEBSOCKET_BAD_VERSION},
        {"websocket", {KEY}, {"13, 8"}, HTTP_GET, false, 0, WEBSOCKET_BAD_VERSION},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fault why = {0};
        enum websocket_verdict verdict = verdict_of(&cases[i], &why);
        if (verdict != cases[i].verdict)
            fail_msg("case %zu: verdict %d: %s", i, (int)verdict, why.text);
        bool is_refused = verdict == WEBSOCKET_BAD_REQUEST || verdict == WEBSOCKET_BAD_VERSION;
        assert_int_equal(why.text[0] != '\0', is_refused);
        assert_int_equal(verdict_of(&cases[i], NULL), cases[i].verdict);
    }
}

static void test_websocket_request_with_an_empty_length_has_no_body(void **state)
{
    (void)state;
    struct fields f = {0};
    struct http_request request = {.method = HTTP_GET};
    head_upgrade(&request.head, &f, "websocket");
    head_add(&request.head, &f, HTTP_FIELD_SEC_WEBSOCKET_KEY, KEY);
    head_add(&request.head, &f, HTTP_FIELD_SEC_WEBSOCKET_VERSION, "13");
    request.head.body = HTTP_BODY_LENGTH;
    assert_int_equal(websocket_check_request(&request, NULL), WEBSOCKET_VALID);
    request.head.body = HTTP_BODY_CHUNKED;
    assert_int_equal(websocket_check_request(&request, NULL), WEBSOCKET_BAD_REQUEST);
}

static void test_websocket_accept_answers_the_key_of_the_rfc(void **state)
{
    (void)state;
    char accept[WEBSOCKET_ACCEPT_BYTES];
    assert_true(err_ok(websocket_accept_of(SPAN(KEY), accept)));
    assert_true(span_eq(span_of(accept, sizeof(accept)), SPAN(ACCEPT)));
    assert_true(err_is(websocket_accept_of(SPAN("short"), accept), ERR_INVALID));
}

static void test_websocket_response_must_answer_the_key(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *upgrade;
        const char *accepts[2];
        bool is_valid;
    } cases[] = {
        {101, "websocket", {ACCEPT}, true},
        {101, "WEBSOCKET", {ACCEPT}, true},
        {200, "websocket", {ACCEPT}, false},
        {101, NULL, {ACCEPT}, false},
        {101, "h2c", {ACCEPT}, false},
        {101, "websocket, h2c", {ACCEPT}, false},
        {101, "websocket", {NULL}, false},
        {101, "websocket", {ACCEPT, ACCEPT}, false},
        {101, "websocket", {"s3pPLMBiTxaQ9kYGzzhZRbK+xOO="}, false},
        {101, "websocket", {"S3PPLMBITXAQ9KYGZZHZRBK+XOO="}, false},
        {101, "websocket", {""}, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fields f = {0};
        struct http_response response = {.status = cases[i].status};
        if (cases[i].upgrade != NULL)
            head_upgrade(&response.head, &f, cases[i].upgrade);
        for (size_t k = 0; k < 2 && cases[i].accepts[k] != NULL; k++)
            head_add(&response.head, &f, HTTP_FIELD_SEC_WEBSOCKET_ACCEPT, cases[i].accepts[k]);
        struct fault why = {0};
        err outcome = websocket_check_response(SPAN(KEY), &response, &why);
        if (outcome.code != (cases[i].is_valid ? ERR_NONE : ERR_BAD_UPSTREAM))
            fail_msg("case %zu: %s", i, why.text);
        assert_int_equal(why.text[0] == '\0', cases[i].is_valid);
    }
}

static void test_websocket_response_upgrades_once(void **state)
{
    (void)state;
    struct fields f = {0};
    struct http_response response = {.status = 101};
    head_upgrade(&response.head, &f, "websocket");
    head_add(&response.head, &f, HTTP_FIELD_UPGRADE, "h2c");
    head_add(&response.head, &f, HTTP_FIELD_SEC_WEBSOCKET_ACCEPT, ACCEPT);
    assert_true(err_is(websocket_check_response(SPAN(KEY), &response, NULL), ERR_BAD_UPSTREAM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_websocket_request_is_judged_by_the_rfc),
        cmocka_unit_test(test_websocket_request_with_an_empty_length_has_no_body),
        cmocka_unit_test(test_websocket_accept_answers_the_key_of_the_rfc),
        cmocka_unit_test(test_websocket_response_must_answer_the_key),
        cmocka_unit_test(test_websocket_response_upgrades_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
