/* record.c: digits in pairs, strings in blocks of sixteen and words of eight bytes.
 *
 * The one hard thing: a string is copied a block at a time while none of its bytes needs an escape,
 * and the block is stored before that is known; RECORD_STRING_SLACK keeps the room for it. Which
 * byte of a word needs one first is found by borrow arithmetic over the whole word.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/record.h"

#include <endian.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define RECORD_WORD        8
#define RECORD_BLOCK       16
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
    if (value < 100) {
        memcpy(at, &record_pairs[value * 2], 2);
        return at + 2;
    }
    char *end = at + record_digits(value);
    char *to = end;
    do {
        uint64_t rest = value / 100;
        to -= 2;
        memcpy(to, &record_pairs[(value - rest * 100) * 2], 2);
        value = rest;
    } while (value >= 100);
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

/* One to seven bytes as a word, the first lowest; what is missing is spaces. */
static uint64_t record_load_part(const char *at, size_t len)
{
    uint64_t word = RECORD_BYTES(' ') << (8 * len);
    if (len >= 4) {
        uint32_t low, high;
        memcpy(&low, at, 4);
        memcpy(&high, at + len - 4, 4);
        return word | le32toh(low) | (uint64_t)le32toh(high) << (8 * (len - 4));
    }
    /* First, middle and last cover one to three bytes; what comes twice is the same. */
    word |= (unsigned char)at[0];
    word |= (uint64_t)(unsigned char)at[len / 2] << (8 * (len / 2));
    return word | (uint64_t)(unsigned char)at[len - 1] << (8 * (len - 1));
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
    size_t length = span_utf8_length(value);
    if (length == 0) {
        memcpy(*at, RECORD_REPLACEMENT, 3);
        *at += 3;
        return 1;
    }
    memcpy(*at, value.at, length);
    *at += length;
    return length;
}

static uint64_t record_load(const char *at)
{
    uint64_t word;
    memcpy(&word, at, RECORD_WORD);
    return le64toh(word);
}

static void record_store(char *to, uint64_t word)
{
    word = htole64(word);
    memcpy(to, &word, RECORD_WORD);
}

/* Copies until a byte needs an escape or `to` has passed limit; returns how many bytes. */
static size_t record_put_safe(char *to, const char *limit, struct span from)
{
    size_t at = 0;
    while (at < from.len && to + at <= limit) {
        size_t whole = from.len - at < RECORD_WORD ? from.len - at : RECORD_WORD;
        const char *source = from.at + at;
        uint64_t word = whole < RECORD_WORD ? record_load_part(source, whole) : record_load(source);
        uint64_t unsafe = record_unsafe(word);
        record_store(to + at, word);
        if (unsafe != 0)
            return at + (size_t)__builtin_ctzll(unsafe) / 8;
        at += whole;
    }
    return at;
}

/* A string that needs an escape or a cut, of which `done` bytes are copied and need none. Apart
 * from the common case so that this one saves no registers. */
static __attribute__((noinline, cold)) void record_put_string_rest(struct record *r,
                                                                   struct span value, size_t done)
{
    struct span rest = span_utf8_prefix(value, RECORD_STRING_MAX);
    bool is_cut = rest.len < value.len;
    /* Each step stores at most a word; U+2026 and the closing quote come after. */
    const char *limit = r->end - RECORD_WORD - 4;
    *r->at = '"';
    char *at = r->at + 1 + done;
    rest = span_skip(rest, done);
    for (;;) {
        size_t safe = record_put_safe(at, limit, rest);
        at += safe;
        rest = span_skip(rest, safe);
        if (rest.len == 0)
            break;
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

/* Copies sixteen bytes; whether none of them needs an escape. */
static inline bool record_copy_block(char *to, const char *from)
{
#ifdef __SSE2__
    __m128i block = _mm_loadu_si128((const __m128i_u *)from);
    /* Signed: bytes from 0x80 up are below zero, so they count as control bytes. */
    __m128i unsafe = _mm_cmplt_epi8(block, _mm_set1_epi8(0x20));
    unsafe = _mm_or_si128(unsafe, _mm_cmpeq_epi8(block, _mm_set1_epi8('"')));
    unsafe = _mm_or_si128(unsafe, _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
    unsafe = _mm_or_si128(unsafe, _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f)));
    _mm_storeu_si128((__m128i_u *)to, block);
    return _mm_movemask_epi8(unsafe) == 0;
#else
    uint64_t low = record_load(from), high = record_load(from + RECORD_WORD);
    record_store(to, low);
    record_store(to + RECORD_WORD, high);
    return (record_unsafe(low) | record_unsafe(high)) == 0;
#endif
}

static inline bool record_copy_word(char *to, const char *from)
{
    uint64_t word = record_load(from);
    record_store(to, word);
    return record_unsafe(word) == 0;
}

/* Copies what is less than a block and stands at `at`; whether none of it needs an escape. The
 * last word overlaps what was copied before it, so that no part of a word is left over. */
static inline bool record_copy_tail(char *to, struct span from, size_t at)
{
    if (from.len - at > RECORD_WORD && !record_copy_word(to + at, from.at + at))
        return false;
    if (from.len >= RECORD_WORD)
        return record_copy_word(to + from.len - RECORD_WORD, from.at + from.len - RECORD_WORD);
    if (from.len == 0)
        return true;
    uint64_t word = record_load_part(from.at, from.len);
    record_store(to, word);
    return record_unsafe(word) == 0;
}

void record_put_string(struct record *r, struct span value)
{
    size_t room = (size_t)(r->end - r->at);
    size_t at = 0;
    if (value.len <= RECORD_STRING_MAX && value.len + RECORD_STRING_SLACK <= room) {
        char *to = r->at + 1;
        bool is_safe = true;
        for (; value.len - at >= RECORD_BLOCK && is_safe; at += RECORD_BLOCK)
            is_safe = record_copy_block(to + at, value.at + at);
        if (__builtin_expect(is_safe && record_copy_tail(to, value, at), 1)) {
            *r->at = '"';
            to[value.len] = '"';
            r->at = to + value.len + 1;
            return;
        }
        at -= is_safe ? 0 : RECORD_BLOCK;
    }
    record_put_string_rest(r, value, at);
}
