/* put.c: numbers, two digits at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/put.h"

static const char put_pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233"
                                "34353637383940414243444546474849505152535455565758596061626364656667"
                                "6869707172737475767778798081828384858687888990919293949596979899";

void put_u64(struct put *w, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    while (value >= 100) {
        const char *pair = &put_pairs[2 * (value % 100)];
        value /= 100;
        digits[--at] = pair[1];
        digits[--at] = pair[0];
    }
    if (value >= 10) {
        digits[--at] = put_pairs[2 * value + 1];
        digits[--at] = put_pairs[2 * value];
    } else {
        digits[--at] = (char)('0' + value);
    }
    put_span(w, span_of(digits + at, sizeof digits - at));
}

void put_hex(struct put *w, const unsigned char *bytes, size_t size)
{
    if (!put_has_room(w, 2 * size))
        return;
    for (size_t i = 0; i < size; i++) {
        w->at[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        w->at[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    w->at += 2 * size;
}
