/* secret.h: bytes that must not be seen.
 *
 * Wiped when done, never formatted, compared in constant time. There is deliberately no function
 * that turns a secret into text for a log.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/span.h"

struct secret {
    unsigned char *at; /* owned */
    size_t len;
};

void secret_init(struct secret *s, struct span bytes); /* copies */
void secret_done(struct secret *s);                    /* wipes; may run twice */
/* In time that depends on the lengths only. */
bool secret_equals(const struct secret *s, struct span candidate);
bool secret_bytes_equal(const void *a, const void *b, size_t len);
