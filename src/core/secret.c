/* secret.c: copies, wipes and constant-time comparison.
 *
 * Owned by whoever embeds it; one thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/secret.h"

#include "core/mem.h"

void secret_init(struct secret *s, struct span bytes)
{
    s->at = mem_alloc_raw(bytes.len);
    s->len = bytes.len;
    if (bytes.len > 0)
        memcpy(s->at, bytes.at, bytes.len);
}

void secret_done(struct secret *s)
{
    if (s->at != NULL)
        mem_wipe(s->at, s->len);
    mem_free(s->at);
    *s = (struct secret){0};
}

bool secret_bytes_equal(const void *a, const void *b, size_t len)
{
    const volatile unsigned char *left = a;
    const volatile unsigned char *right = b;
    unsigned char difference = 0;
    for (size_t i = 0; i < len; i++)
        difference = (unsigned char)(difference | (left[i] ^ right[i]));
    return difference == 0;
}

bool secret_equals(const struct secret *s, struct span candidate)
{
    return s->len == candidate.len && secret_bytes_equal(s->at, candidate.at, s->len);
}
