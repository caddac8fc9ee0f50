/* http_chars.c: the table of byte classes.
 *
 * Rows are disjoint ranges; tests/wire/test_http.c derives each class from its grammar and
 * compares.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/http_chars.h"

/* Bytes of any token also stand in values; visible ones but '#' stand in targets. */
#define QUERY   (HTTP_CHARS_TARGET | HTTP_CHARS_VALUE)
#define VISIBLE (HTTP_CHARS_BEFORE_QUERY | QUERY)
#define NAME                                                                                       \
    (HTTP_CHARS_TOKEN | HTTP_CHARS_PATH | HTTP_CHARS_UNRESERVED | HTTP_CHARS_LABEL | VISIBLE)
#define SUBDELIM (HTTP_CHARS_PATH | VISIBLE)

const uint8_t http_chars[256] = {
    ['\t'] = HTTP_CHARS_VALUE,
    [' '] = HTTP_CHARS_VALUE,
    ['0' ... '9'] = NAME | HTTP_CHARS_HEX,
    ['A' ... 'F'] = NAME | HTTP_CHARS_HEX,
    ['G' ... 'Z'] = NAME,
    ['a' ... 'f'] = NAME | HTTP_CHARS_HEX,
    ['g' ... 'z'] = NAME,
    ['-'] = NAME,
    ['.'] = HTTP_CHARS_TOKEN | HTTP_CHARS_PATH | HTTP_CHARS_UNRESERVED | VISIBLE,
    ['_'] = NAME,
    ['~'] = HTTP_CHARS_TOKEN | HTTP_CHARS_PATH | HTTP_CHARS_UNRESERVED | VISIBLE,
    ['!'] = HTTP_CHARS_TOKEN | SUBDELIM,
    ['$'] = HTTP_CHARS_TOKEN | SUBDELIM,
    ['&'] = HTTP_CHARS_TOKEN | SUBDELIM,
    ['\''] = HTTP_CHARS_TOKEN | SUBDELIM,
    ['*'] = HTTP_CHARS_TOKEN | SUBDELIM,
    ['+'] = HTTP_CHARS_TOKEN | SUBDELIM,
    ['('] = SUBDELIM,
    [')'] = SUBDELIM,
    [','] = SUBDELIM,
    [';'] = SUBDELIM,
    ['='] = SUBDELIM,
    [':'] = SUBDELIM,
    ['@'] = SUBDELIM,
    ['/'] = SUBDELIM,
    ['%'] = HTTP_CHARS_TOKEN | VISIBLE,
    ['^'] = HTTP_CHARS_TOKEN | VISIBLE,
    ['`'] = HTTP_CHARS_TOKEN | VISIBLE,
    ['|'] = HTTP_CHARS_TOKEN | VISIBLE,
    ['#'] = HTTP_CHARS_TOKEN | HTTP_CHARS_VALUE,
    ['"'] = VISIBLE,
    ['<'] = VISIBLE,
    ['>'] = VISIBLE,
    ['?'] = QUERY,
    ['['] = VISIBLE,
    ['\\'] = VISIBLE,
    [']'] = VISIBLE,
    ['{'] = VISIBLE,
    ['}'] = VISIBLE,
    [0x80 ... 0xff] = HTTP_CHARS_VALUE,
};
