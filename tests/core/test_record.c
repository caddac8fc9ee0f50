/* test_record.c: a record is always one valid line of JSON inside its room.
 *
 * The room is a heap block of exactly the stated size, so that a byte past it is seen.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdio.h>

#include "core/json.h"
#include "core/mem.h"
#include "core/random.h"
#include "core/record.h"

#define TIME SPAN("2026-11-21T10:00:00.000Z")

static char *room;

static struct record started(size_t size)
{
    mem_free(room);
    room = mem_alloc_raw(size);
    struct record r;
    record_begin(&r, room, size, TIME);
    return r;
}

static int drop_room(void **state)
{
    (void)state;
    mem_free(room);
    room = NULL;
    return 0;
}

static void assert_line(struct record *r, const char *expected)
{
    struct span line = span_of(room, record_end(r));
    if (!span_eq(line, span_from(expected)))
        fail_msg("got %.*s", SPAN_ARGS(line));
}

static void test_record_writes_each_kind_of_field(void **state)
{
    (void)state;
    struct record r = started(1000);
    record_str(&r, RECORD_KEY("path"), SPAN("/a b"));
    record_str(&r, RECORD_KEY("empty"), SPAN(""));
    record_str(&r, RECORD_KEY("none"), (struct span){NULL, 0});
    record_plain(&r, RECORD_KEY("id"), SPAN("0af7"));
    record_u64(&r, RECORD_KEY("status"), 200);
    record_i64(&r, RECORD_KEY("change"), -7);
    record_bool(&r, RECORD_KEY("yes"), true);
    record_bool(&r, RECORD_KEY("no"), false);
    record_ms(&r, RECORD_KEY("took_ms"), 1234567);
    record_json(&r, RECORD_KEY("tries"), SPAN("[1,2]"));
    assert_line(&r, "{\"time\":\"2026-11-21T10:00:00.000Z\",\"path\":\"/a b\",\"empty\":\"\","
                    "\"none\":null,\"id\":\"0af7\",\"status\":200,\"change\":-7,\"yes\":true,"
                    "\"no\":false,\"took_ms\":1.235,\"tries\":[1,2]}\n");
}

static void test_record_numbers_equal_printf(void **state)
{
    (void)state;
    struct random rng;
    random_init_seeded(&rng, 7);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t value = random_u64(&rng) >> random_below(&rng, 64);
        if (i < 128)
            value = i % 2 == 0 ? (uint64_t)1 << (i / 2) : ((uint64_t)1 << (i / 2)) - 1;
        char expected[40], got[40];
        (void)snprintf(expected, sizeof expected, "%llu", (unsigned long long)value);
        *record_put_u64(got, value) = '\0';
        assert_string_equal(got, expected);
        uint64_t us = value / 1000 + (value % 1000 >= 500);
        (void)snprintf(expected, sizeof expected, "%llu.%03llu", (unsigned long long)us / 1000,
                       (unsigned long long)us % 1000);
        *record_put_ms(got, value) = '\0';
        assert_string_equal(got, expected);
    }
    for (uint64_t power = 1; power <= 10000000000000000000u / 10; power *= 10) {
        char expected[40], got[40];
        for (uint64_t value = power - 1; value <= power + 1; value++) {
            (void)snprintf(expected, sizeof expected, "%llu", (unsigned long long)value);
            *record_put_u64(got, value) = '\0';
            assert_string_equal(got, expected);
        }
    }
    struct record r = started(200);
    record_i64(&r, RECORD_KEY("least"), INT64_MIN);
    record_u64(&r, RECORD_KEY("most"), UINT64_MAX);
    record_ms(&r, RECORD_KEY("ms"), UINT64_MAX);
    assert_line(&r, "{\"time\":\"2026-11-21T10:00:00.000Z\",\"least\":-9223372036854775808,"
                    "\"most\":18446744073709551615,\"ms\":18446744073709.552}\n");
}

static void test_record_escapes_what_json_asks(void **state)
{
    (void)state;
    struct record r = started(1000);
    record_str(&r, RECORD_KEY("s"), SPAN("a\"b\\c\nd\te\x01\x1f\x7f/\b\f\r"));
    record_str(&r, RECORD_KEY("u"), SPAN("\xc3\xa9 \xff \xe2\x82\xac \xed\xa0\x80"));
    assert_line(&r, "{\"time\":\"2026-11-21T10:00:00.000Z\",\"s\":\"a\\\"b\\\\c\\nd\\te\\u0001"
                    "\\u001f\\u007f/\\b\\f\\r\",\"u\":\"\xc3\xa9 \xef\xbf\xbd \xe2\x82\xac "
                    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}\n");
}

/* Each byte at each place of strings of each length around the word size. */
static void test_record_strings_equal_those_of_json(void **state)
{
    (void)state;
    struct buf expected CLEANUP(buf_done);
    buf_init(&expected, 4096);
    for (size_t length = 1; length <= 19; length++) {
        for (size_t at = 0; at < length; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                char *text = mem_alloc(length);
                memset(text, 'x', length);
                text[at] = (char)byte;
                buf_reset(&expected);
                assert_true(err_ok(buf_add(&expected, SPAN("{\"time\":\"\",\"s\":\""))));
                assert_true(err_ok(json_escape(&expected, span_of(text, length))));
                assert_true(err_ok(buf_add(&expected, SPAN("\"}\n"))));
                char bytes[300];
                struct record r;
                record_begin(&r, bytes, sizeof bytes, SPAN(""));
                record_str(&r, RECORD_KEY("s"), span_of(text, length));
                mem_free(text);
                assert_true(span_eq(span_of(bytes, record_end(&r)), buf_span(&expected)));
            }
        }
    }
}

static void test_record_cuts_long_strings_and_says_so(void **state)
{
    (void)state;
    char text[RECORD_STRING_MAX + 1];
    memset(text, 'x', sizeof text);
    for (size_t length = RECORD_STRING_MAX - 1; length <= RECORD_STRING_MAX + 1; length++) {
        struct record r = started(4000);
        record_str(&r, RECORD_KEY("s"), span_of(text, length));
        bool is_cut = length > RECORD_STRING_MAX;
        assert_int_equal(r.is_cut, is_cut);
        struct span line = span_of(room, record_end(&r));
        assert_int_equal(span_ends(line, SPAN("x\xe2\x80\xa6\",\"truncated\":true}\n")), is_cut);
        assert_int_equal(span_ends(line, SPAN("x\"}\n")), !is_cut);
    }
    /* The cut falls before a sequence, not into it. */
    memcpy(text + RECORD_STRING_MAX - 1, "\xc3\xa9", 2);
    struct record r = started(4000);
    record_str(&r, RECORD_KEY("s"), span_of(text, sizeof text));
    assert_true(
        span_ends(span_of(room, record_end(&r)), SPAN("x\xe2\x80\xa6\",\"truncated\":true}\n")));
}

static bool is_utf8(struct span s)
{
    while (s.len > 0 && span_utf8_length(s) > 0)
        s = span_skip(s, span_utf8_length(s));
    return s.len == 0;
}

static bool braces_and_quotes_close(struct span line)
{
    bool in_string = false;
    int depth = 0;
    for (size_t i = 0; i + 1 < line.len; i++) {
        char c = line.at[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string)
            depth += (c == '{') - (c == '}');
        if ((unsigned char)c < 0x20)
            return false;
    }
    return !in_string && depth == 0 && line.at[line.len - 1] == '\n';
}

static void test_record_stays_whole_in_any_room(void **state)
{
    (void)state;
    struct random rng;
    random_init_seeded(&rng, 99);
    for (size_t size = RECORD_MIN_BYTES; size < 700; size++) {
        struct record r = started(size);
        for (unsigned field = 0; field < 12; field++) {
            char bytes[120];
            size_t length = random_below(&rng, sizeof bytes);
            random_bytes(&rng, bytes, length);
            if (field % 2 == 0)
                memset(bytes, 'a' + (int)field, length);
            record_str(&r, RECORD_KEY("text"), span_of(bytes, length));
            record_u64(&r, RECORD_KEY("number"), random_u64(&rng));
            record_ms(&r, RECORD_KEY("ms"), random_u64(&rng));
            record_plain(&r, RECORD_KEY("plain"), SPAN("0123456789abcdef"));
        }
        assert_true(r.is_cut || size > 600);
        bool is_cut = r.is_cut;
        struct span line = span_of(room, record_end(&r));
        assert_true(line.len <= size);
        assert_true(is_utf8(line));
        assert_true(braces_and_quotes_close(line));
        assert_int_equal(is_cut, span_ends(line, SPAN(",\"truncated\":true}\n")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_writes_each_kind_of_field),
        cmocka_unit_test(test_record_numbers_equal_printf),
        cmocka_unit_test(test_record_escapes_what_json_asks),
        cmocka_unit_test(test_record_strings_equal_those_of_json),
        cmocka_unit_test(test_record_cuts_long_strings_and_says_so),
        cmocka_unit_test(test_record_stays_whole_in_any_room),
    };
    return cmocka_run_group_tests(tests, NULL, drop_room);
}
