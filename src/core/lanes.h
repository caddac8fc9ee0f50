/* lanes.h: sixteen bytes compared at once.
 *
 * What every 64-bit x86 can do, and elsewhere the same by a loop that compilers understand, so the
 * parts above need no conditionals. Each question is answered by a mask: bit i tells of byte i.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LANES_BYTES 16
#define LANES_ALL   0xffffu

#ifdef __SSE2__
struct lanes {
    __m128i bytes;
};

static inline struct lanes lanes_load(const char at[LANES_BYTES])
{
    return (struct lanes){_mm_loadu_si128((const __m128i_u *)at)};
}

static inline unsigned lanes_equal(struct lanes l, char c)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(l.bytes, _mm_set1_epi8(c)));
}

/* The bytes in [first, first + span], as unsigned numbers. */
static inline unsigned lanes_between(struct lanes l, char first, unsigned char span)
{
    __m128i from = _mm_sub_epi8(l.bytes, _mm_set1_epi8(first));
    return (unsigned)_mm_movemask_epi8(
        _mm_cmpeq_epi8(_mm_min_epu8(from, _mm_set1_epi8((char)span)), from));
}

/* The ASCII letters. */
static inline unsigned lanes_letters(struct lanes l)
{
    struct lanes lower = {_mm_or_si128(l.bytes, _mm_set1_epi8(0x20))};
    return lanes_between(lower, 'a', 'z' - 'a');
}
#else
struct lanes {
    unsigned char bytes[LANES_BYTES];
};

static inline struct lanes lanes_load(const char at[LANES_BYTES])
{
    struct lanes l;
    memcpy(l.bytes, at, LANES_BYTES);
    return l;
}

static inline unsigned lanes_equal(struct lanes l, char c)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < LANES_BYTES; i++)
        mask |= (l.bytes[i] == (unsigned char)c ? 1u : 0u) << i;
    return mask;
}

static inline unsigned lanes_between(struct lanes l, char first, unsigned char span)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < LANES_BYTES; i++)
        mask |= ((unsigned char)(l.bytes[i] - (unsigned char)first) <= span ? 1u : 0u) << i;
    return mask;
}

static inline unsigned lanes_letters(struct lanes l)
{
    for (unsigned i = 0; i < LANES_BYTES; i++)
        l.bytes[i] |= 0x20;
    return lanes_between(l, 'a', 'z' - 'a');
}
#endif
