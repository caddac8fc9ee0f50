/* put.c: numbers, by the record's way of writing digits.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/put.h"

#include "core/record.h"

void put_u64(struct put *w, uint64_t value)
{
    if (__builtin_expect((size_t)(w->end - w->at) >= RECORD_U64_BYTES, 1)) {
        w->at = record_put_u64(w->at, value);
        return;
    }
    /* Near the end only a number that really does not fit may be left out. */
    char digits[RECORD_U64_BYTES];
    put_span(w, span_of(digits, (size_t)(record_put_u64(digits, value) - digits)));
}
