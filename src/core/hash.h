/* hash.h: keyed hashing of bytes for tables that outsiders can fill.
 *
 * SipHash-1-3 (Aumasson and Bernstein): without the key nobody can construct collisions. The key
 * is drawn once a process.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/span.h"

struct hash_key {
    uint64_t k0, k1;
};

/* Any thread. */
uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t len);

static inline uint64_t hash_span(const struct hash_key *key, struct span s)
{
    return hash_bytes(key, s.at, s.len);
}

/* The process-wide key, drawn on first use from the operating system. Any thread. */
const struct hash_key *hash_process_key(void);
