/* span.c: comparing and cutting borrowed bytes.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/span.h"

static unsigned char span_lower(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? (unsigned char)(u | 0x20) : u;
}

bool span_eq_nocase(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (span_lower(a.at[i]) != span_lower(b.at[i]))
            return false;
    return true;
}

int span_compare(struct span a, struct span b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.at, b.at, common);
    if (order != 0)
        return order;
    return a.len == b.len ? 0 : (a.len < b.len ? -1 : 1);
}

size_t span_find(struct span s, char c)
{
    const char *hit = s.len == 0 ? NULL : memchr(s.at, c, s.len);
    return hit == NULL ? s.len : (size_t)(hit - s.at);
}

struct span span_cut(struct span *rest, char separator)
{
    struct span all = *rest;
    size_t end = span_find(all, separator);
    *rest = end == all.len ? (struct span){NULL, 0} : span_skip(all, end + 1);
    return span_of(all.at, end);
}

struct span span_trim(struct span s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = span_skip(s, 1);
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

err span_parse_u64(struct span s, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    if (s.len == 0)
        return FAIL(INVALID);
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)((unsigned char)s.at[i] - '0');
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return FAIL(INVALID);
        value = value * 10 + digit;
    }
    if (value > max)
        return FAIL(INVALID);
    *out = value;
    return OK;
}

size_t span_utf8_length(struct span s)
{
    must(s.len > 0);
    const unsigned char *b = (const unsigned char *)s.at;
    if (b[0] < 0x80)
        return 1;
    size_t length = 0;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    if (b[0] >= 0xc2 && b[0] <= 0xdf) {
        length = 2;
    } else if (b[0] >= 0xe0 && b[0] <= 0xef) {
        length = 3;
        low = b[0] == 0xe0 ? 0xa0 : low;
        high = b[0] == 0xed ? 0x9f : high;
    } else if (b[0] >= 0xf0 && b[0] <= 0xf4) {
        length = 4;
        low = b[0] == 0xf0 ? 0x90 : low;
        high = b[0] == 0xf4 ? 0x8f : high;
    }
    if (length == 0 || s.len < length || b[1] < low || b[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (b[i] < 0x80 || b[i] > 0xbf)
            return 0;
    return length;
}

struct span span_utf8_prefix(struct span s, size_t max_bytes)
{
    if (s.len <= max_bytes)
        return s;
    size_t cut = max_bytes;
    while (cut > 0 && max_bytes - cut < 3 && ((unsigned char)s.at[cut] & 0xc0) == 0x80)
        cut--;
    return span_of(s.at, cut);
}
