/* http_chars.h: which bytes may stand where, as one table.
 *
 * The byte classes of RFC 9110 section 5.6.2 and RFC 3986 section 2, so that a grammar rule costs
 * one load a byte, and so that two parsers never differ about a character.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define HTTP_CHARS_TOKEN        0x01u /* tchar */
#define HTTP_CHARS_TARGET       0x02u /* visible ASCII without '#' */
#define HTTP_CHARS_PATH         0x04u /* pchar and '/', without '%' */
#define HTTP_CHARS_UNRESERVED   0x08u /* ALPHA DIGIT - . _ ~ */
#define HTTP_CHARS_LABEL        0x10u /* ALPHA DIGIT - _ */
#define HTTP_CHARS_VALUE        0x20u /* HTAB, SP, VCHAR, obs-text */
#define HTTP_CHARS_HEX          0x40u
#define HTTP_CHARS_BEFORE_QUERY 0x80u /* TARGET without '?' */

extern const uint8_t http_chars[256];

static inline bool http_chars_is(char c, unsigned classes)
{
    return (http_chars[(unsigned char)c] & classes) != 0;
}

static inline bool http_chars_is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

/* The first byte behind `at` that is in none of the classes. The caller knows that there is one. */
static inline const char *http_chars_skip(const char *at, unsigned classes)
{
    for (;;) {
        if (!http_chars_is(at[0], classes))
            return at;
        if (!http_chars_is(at[1], classes))
            return at + 1;
        if (!http_chars_is(at[2], classes))
            return at + 2;
        if (!http_chars_is(at[3], classes))
            return at + 3;
        at += 4;
    }
}

/* The same with an end. */
static inline const char *http_chars_skip_until(const char *at, const char *end, unsigned classes)
{
    for (; end - at >= 4; at += 4) {
        if (!http_chars_is(at[0], classes))
            return at;
        if (!http_chars_is(at[1], classes))
            return at + 1;
        if (!http_chars_is(at[2], classes))
            return at + 2;
        if (!http_chars_is(at[3], classes))
            return at + 3;
    }
    while (at < end && http_chars_is(*at, classes))
        at++;
    return at;
}

/* The byte where http_chars_skip stopped, read again: otherwise the compiler keeps every byte of
 * the scan at hand for the end, which costs a fifth of the scan. */
static inline char http_chars_reread(const char *at)
{
    return *(const volatile char *)at;
}

/* The value of a hexadecimal digit; c must be one. */
static inline unsigned http_chars_hex(char c)
{
    unsigned u = (unsigned char)c;
    return u <= '9' ? u - '0' : (u | 0x20u) - 'a' + 10;
}
