/* json.c: appending JSON to a buf.
 *
 * The one hard thing: text from outside may be any bytes, and what a log reader gets must still
 * be valid JSON in valid UTF-8. So runs of harmless bytes are appended whole, and only the rest
 * is looked at one by one. Owned by the caller; one thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define JSON_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

void json_begin(struct json *j, struct buf *out)
{
    *j = (struct json){.out = out};
}

err json_end(struct json *j)
{
    must(j->depth == 0);
    return j->failed;
}

static void json_raw(struct json *j, const char *bytes, size_t len)
{
    if (err_ok(j->failed))
        j->failed = buf_append(j->out, bytes, len);
}

/* Stands before each value that is not the value of a key. */
static void json_separate(struct json *j)
{
    if (j->needs_comma)
        json_raw(j, ",", 1);
    j->needs_comma = true;
}

static void json_open(struct json *j, char bracket)
{
    json_separate(j);
    json_raw(j, &bracket, 1);
    must(j->depth < JSON_DEPTH_MAX);
    j->depth++;
    j->needs_comma = false;
}

static void json_close(struct json *j, char bracket)
{
    must(j->depth > 0);
    j->depth--;
    json_raw(j, &bracket, 1);
    j->needs_comma = true;
}

void json_object(struct json *j)
{
    json_open(j, '{');
}

void json_object_end(struct json *j)
{
    json_close(j, '}');
}

void json_array(struct json *j)
{
    json_open(j, '[');
}

void json_array_end(struct json *j)
{
    json_close(j, ']');
}

void json_key(struct json *j, const char *key)
{
    must(j->depth > 0);
    json_separate(j);
    json_raw(j, "\"", 1);
    json_raw(j, key, strlen(key));
    json_raw(j, "\":", 2);
    j->needs_comma = false;
}

static void json_quote(struct json *j, struct span value)
{
    json_raw(j, "\"", 1);
    if (err_ok(j->failed))
        j->failed = json_escape(j->out, value);
    json_raw(j, "\"", 1);
}

void json_key_span(struct json *j, struct span key)
{
    must(j->depth > 0);
    json_separate(j);
    json_quote(j, key);
    json_raw(j, ":", 1);
    j->needs_comma = false;
}

void json_string(struct json *j, struct span value)
{
    json_separate(j);
    json_quote(j, value);
}

void json_text(struct json *j, const char *value)
{
    if (value == NULL)
        json_null(j);
    else
        json_string(j, span_from(value));
}

void json_u64(struct json *j, uint64_t value)
{
    json_separate(j);
    if (err_ok(j->failed))
        j->failed = buf_add_u64(j->out, value);
}

void json_i64(struct json *j, int64_t value)
{
    json_separate(j);
    if (value < 0)
        json_raw(j, "-", 1);
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    if (err_ok(j->failed))
        j->failed = buf_add_u64(j->out, magnitude);
}

void json_double(struct json *j, double value)
{
    if (!isfinite(value)) {
        json_null(j);
        return;
    }
    json_separate(j);
    /* 15 digits read as people wrote them; where that loses the value, 17 keep it. */
    char text[32];
    int length = snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value)
        length = snprintf(text, sizeof text, "%.17g", value);
    must(length > 0 && (size_t)length < sizeof text);
    json_raw(j, text, (size_t)length);
}

void json_bool(struct json *j, bool value)
{
    json_separate(j);
    if (value)
        json_raw(j, "true", 4);
    else
        json_raw(j, "false", 5);
}

void json_null(struct json *j)
{
    json_separate(j);
    json_raw(j, "null", 4);
}

void json_ms_of_ns(struct json *j, uint64_t ns)
{
    uint64_t us = ns / 1000 + (ns % 1000 >= 500 ? 1 : 0);
    unsigned rest = (unsigned)(us % 1000);
    char fraction[4] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                        (char)('0' + rest % 10)};
    json_separate(j);
    if (err_ok(j->failed))
        j->failed = buf_add_u64(j->out, us / 1000);
    json_raw(j, fraction, sizeof fraction);
}

static bool json_is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static err json_escape_byte(struct buf *out, unsigned char c)
{
    static const char shorts[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    for (size_t i = 0; i + 1 < sizeof shorts; i += 2)
        if (shorts[i] == (char)c) {
            char text[2] = {'\\', shorts[i + 1]};
            return buf_append(out, text, sizeof text);
        }
    char text[6] = {'\\', 'u', '0', '0', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15]};
    return buf_append(out, text, sizeof text);
}

err json_escape(struct buf *out, struct span s)
{
    while (s.len > 0) {
        size_t run = 0;
        while (run < s.len && json_is_plain((unsigned char)s.at[run]))
            run++;
        TRY(buf_append(out, s.at, run));
        s = span_skip(s, run);
        if (s.len == 0)
            break;
        if ((unsigned char)s.at[0] < 0x80) {
            TRY(json_escape_byte(out, (unsigned char)s.at[0]));
            s = span_skip(s, 1);
            continue;
        }
        size_t length = span_utf8_length(s);
        if (length > 0)
            TRY(buf_append(out, s.at, length));
        else
            TRY(buf_add(out, SPAN(JSON_REPLACEMENT)));
        s = span_skip(s, length > 0 ? length : 1);
    }
    return OK;
}

void json_value(struct json *j, struct span value)
{
    json_separate(j);
    json_raw(j, value.at, value.len);
}
