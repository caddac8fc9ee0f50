/* put.c: numbers, two digits at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/put.h"

static const char put_pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233"
    "34353637383940414243444546474849505152535455565758596061626364656667"
    "6869707172737475767778798081828384858687888990919293949596979899";

void put_u64(struct put *w, uint64_t value)
{
    char digits[20];
    char *at = digits + sizeof digits;
    while (value > UINT32_MAX) {
        memcpy(at -= 2, &put_pairs[2 * (value % 100)], 2);
        value /= 100;
    }
    /* Most numbers are small, and 32-bit division is cheaper. */
    uint32_t low = (uint32_t)value;
    for (; low >= 100; low /= 100)
        memcpy(at -= 2, &put_pairs[2 * (size_t)(low % 100)], 2);
    if (low >= 10)
        memcpy(at -= 2, &put_pairs[2 * (size_t)low], 2);
    else
        *--at = (char)('0' + low);
    put_span(w, span_of(at, (size_t)(digits + sizeof digits - at)));
}
