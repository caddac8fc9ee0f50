/* utf8.c: table 3-7 of the Unicode standard, as ranges of the second byte.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/utf8.h"

static bool utf8_continues(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

unsigned utf8_sequence(struct span s)
{
    if (s.len == 0)
        return 0;
    unsigned char first = (unsigned char)s.at[0];
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    unsigned length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (s.len < length)
        return 0;
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    unsigned char second = (unsigned char)s.at[1];
    if (second < low || second > high)
        return 0;
    for (unsigned i = 2; i < length; i++)
        if (!utf8_continues((unsigned char)s.at[i]))
            return 0;
    return length;
}

bool utf8_is_valid(struct span s)
{
    while (s.len > 0) {
        unsigned length = utf8_sequence(s);
        if (length == 0)
            return false;
        s = span_skip(s, length);
    }
    return true;
}

struct span utf8_prefix(struct span s, size_t max_bytes)
{
    if (s.len <= max_bytes)
        return s;
    size_t cut = max_bytes;
    while (cut > 0 && max_bytes - cut < 3 && utf8_continues((unsigned char)s.at[cut]))
        cut--;
    return span_of(s.at, cut);
}
