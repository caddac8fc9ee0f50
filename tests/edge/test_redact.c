/* test_redact.c: secrets in a query are not logged, and the rest is.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/redact.h"

#include "cmocka_all.h"

static void assert_redacted(const char *query, const char *expected)
{
    char room[256];
    struct put out = put_into(room, sizeof room);
    assert_true(redact_query(span_from(query), &out));
    assert_false(out.is_full);
    assert_int_equal(out.at - room, strlen(expected));
    assert_memory_equal(room, expected, strlen(expected));
}

static void assert_shown(const char *query)
{
    char room[256];
    struct put out = put_into(room, sizeof room);
    assert_false(redact_query(span_from(query), &out));
    assert_ptr_equal(out.at, room);
}

static void test_redact_hides_values_of_secret_parameters(void **state)
{
    (void)state;
    assert_redacted("token=a", "token=REDACTED");
    assert_redacted("a=1&access_token=b&c=2", "a=1&access_token=REDACTED&c=2");
    assert_redacted("X-Amz-Signature=f0&x=", "X-Amz-Signature=REDACTED&x=");
    assert_redacted("PASSWORD=a=b&user=me", "PASSWORD=REDACTED&user=me");
    assert_redacted("code=1&state=2&flag", "code=REDACTED&state=2&flag");
    assert_redacted("&&key=1&&", "&&key=REDACTED&&");
}

static void test_redact_shows_everything_else(void **state)
{
    (void)state;
    assert_shown("");
    assert_shown("q=token");
    assert_shown("monkey=1&pinned=2&zipcode=3");
    assert_shown("token&secret=");
    assert_shown("=token&a==b");
}

static void test_redact_leaves_out_what_does_not_fit(void **state)
{
    (void)state;
    char room[8];
    struct put out = put_into(room, sizeof room);
    assert_true(redact_query(SPAN("key=0123456789&b=1"), &out));
    assert_true(out.is_full);
    assert_true(out.at <= room + sizeof room);
    assert_null(memchr(room, '0', (size_t)(out.at - room)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redact_hides_values_of_secret_parameters),
        cmocka_unit_test(test_redact_shows_everything_else),
        cmocka_unit_test(test_redact_leaves_out_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
