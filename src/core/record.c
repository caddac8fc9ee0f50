/* record.c: digits in pairs, strings in words of eight bytes.
 *
 * The one hard thing: a string is copied a word at a time while none of its bytes needs an escape,
 * and the word is stored before that is known; RECORD_STRING_SLACK keeps the room for it. Which
 * byte needs one first is found by borrow arithmetic over the whole word.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/record.h"

#include <endian.h>

#include "core/utf8.h"

#define RECORD_WORD        8
#define RECORD_BYTES(byte) (0x0101010101010101u * (uint64_t)(byte))
#define RECORD_TAIL        SPAN(",\"truncated\":true}\n")
#define RECORD_ELLIPSIS    "\xe2\x80\xa6"
#define RECORD_REPLACEMENT "\xef\xbf\xbd"

static const char record_pairs[] = "000102030405060708091011121314151617181920212223242526272829303"
                                   "13233343536373839404142434445464"
                                   "748495051525354555657585960616263646566676869707172737475767778"
                                   "79808182838485868788899091929394"
                                   "9596979899";

static_assert(sizeof record_pairs == 201, "two digits for each number below 100");

void record_begin(struct record *r, char *at, size_t size_bytes, struct span time)
{
    must(size_bytes >= RECORD_MIN_BYTES && time.len <= 32);
    *r = (struct record){.start = at, .at = at, .end = at + size_bytes - RECORD_TAIL.len};
    record_plain(r, SPAN("{\"time\":"), time);
}

size_t record_end(struct record *r)
{
    must(r->at <= r->end);
    struct span tail = r->is_cut ? RECORD_TAIL : SPAN("}\n");
    memcpy(r->at, tail.at, tail.len);
    r->at += tail.len;
    return (size_t)(r->at - r->start);
}

static unsigned record_digits(uint64_t value)
{
    unsigned digits = 1;
    for (; value >= 10000; value /= 10000)
        digits += 4;
    return digits + (value >= 10) + (value >= 100) + (value >= 1000);
}

char *record_put_u64(char *at, uint64_t value)
{
    if (value < 10) {
        *at = (char)('0' + value);
        return at + 1;
    }
    char *end = at + record_digits(value);
    char *to = end;
    while (value >= 100) {
        to -= 2;
        memcpy(to, &record_pairs[value % 100 * 2], 2);
        value /= 100;
    }
    if (value >= 10)
        memcpy(at, &record_pairs[value * 2], 2);
    else
        *at = (char)('0' + value);
    return end;
}

char *record_put_ms(char *at, uint64_t ns)
{
    uint64_t us = ns / 1000 + (ns % 1000 >= 500);
    at = record_put_u64(at, us / 1000);
    unsigned rest = (unsigned)(us % 1000);
    *at++ = '.';
    *at++ = (char)('0' + rest / 100);
    memcpy(at, &record_pairs[(size_t)rest % 100 * 2], 2);
    return at + 2;
}

/* Up to eight bytes as a word, the first lowest; what is missing is spaces. */
static uint64_t record_load(const char *at, size_t len)
{
    uint64_t word = RECORD_BYTES(' ');
    if (len >= RECORD_WORD) {
        memcpy(&word, at, RECORD_WORD);
        return le64toh(word);
    }
    word = word << (8 * len); /* len > 0, so this shifts by 8 to 56 */
    if (len >= 4) {
        uint32_t low, high;
        memcpy(&low, at, 4);
        memcpy(&high, at + len - 4, 4);
        return word | le32toh(low) | (uint64_t)le32toh(high) << (8 * (len - 4));
    }
    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)(unsigned char)at[i] << (8 * i);
    return word;
}

/* The high bit of each byte that is below 0x20, a quote, a backslash or from 0x7f up. Exact up to
 * and including the lowest one; those above it may be wrong, by its borrow or carry. */
static uint64_t record_unsafe(uint64_t word)
{
    uint64_t control = word - RECORD_BYTES(0x20);
    uint64_t quote = (word ^ RECORD_BYTES('"')) - RECORD_BYTES(1);
    uint64_t backslash = (word ^ RECORD_BYTES('\\')) - RECORD_BYTES(1);
    uint64_t del = word + RECORD_BYTES(1);
    return (control | quote | backslash | del | word) & RECORD_BYTES(0x80);
}

static char *record_put_control(char *at, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char short_form[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    *at++ = '\\';
    char letter = c == 0x7f ? 0 : c >= 0x20 ? (char)c : short_form[c];
    if (letter != 0) {
        *at++ = letter;
        return at;
    }
    memcpy(at, "u00", 3);
    at[3] = hex[c >> 4];
    at[4] = hex[c & 15];
    return at + 5;
}

/* Writes the unsafe start of `value` at *at, six bytes at most; returns how much it took of it. */
static size_t record_put_unsafe(char **at, struct span value)
{
    unsigned char first = (unsigned char)value.at[0];
    if (first < 0x80) {
        *at = record_put_control(*at, first);
        return 1;
    }
    unsigned length = utf8_sequence(value);
    if (length == 0) {
        memcpy(*at, RECORD_REPLACEMENT, 3);
        *at += 3;
        return 1;
    }
    memcpy(*at, value.at, length);
    *at += length;
    return length;
}

void record_put_string(struct record *r, struct span value)
{
    struct span rest = utf8_prefix(value, RECORD_STRING_MAX);
    bool is_cut = rest.len < value.len;
    /* Each step stores at most a word; U+2026 and the closing quote come after. */
    const char *limit = r->end - RECORD_WORD - 4;
    char *at = r->at;
    *at++ = '"';
    while (rest.len > 0) {
        if (at > limit) {
            is_cut = true;
            break;
        }
        size_t whole = rest.len < RECORD_WORD ? rest.len : RECORD_WORD;
        uint64_t word = record_load(rest.at, whole);
        uint64_t unsafe = record_unsafe(word);
        word = htole64(word);
        memcpy(at, &word, RECORD_WORD);
        if (__builtin_expect(unsafe == 0, 1)) {
            at += whole;
            rest = span_skip(rest, whole);
            continue;
        }
        size_t clean = (size_t)__builtin_ctzll(unsafe) / 8;
        at += clean;
        rest = span_skip(rest, clean);
        if (at > limit) {
            is_cut = true;
            break;
        }
        rest = span_skip(rest, record_put_unsafe(&at, rest));
    }
    if (is_cut) {
        memcpy(at, RECORD_ELLIPSIS, 3);
        at += 3;
        r->is_cut = true;
    }
    *at++ = '"';
    r->at = at;
}
