/* hash.c: SipHash-1-3, and the process's key.
 *
 * The key is made once under pthread_once and then only read. Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/hash.h"

#include <pthread.h>

#include "core/random.h"

struct hash_state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t hash_rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static void hash_round(struct hash_state *s)
{
    s->v0 += s->v1;
    s->v1 = hash_rotl(s->v1, 13) ^ s->v0;
    s->v0 = hash_rotl(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = hash_rotl(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = hash_rotl(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = hash_rotl(s->v1, 17) ^ s->v2;
    s->v2 = hash_rotl(s->v2, 32);
}

uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t len)
{
    struct hash_state s = {
        key->k0 ^ 0x736f6d6570736575u,
        key->k1 ^ 0x646f72616e646f6du,
        key->k0 ^ 0x6c7967656e657261u,
        key->k1 ^ 0x7465646279746573u,
    };
    const unsigned char *at = bytes;
    size_t left = len;
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        s.v3 ^= word;
        hash_round(&s);
        s.v0 ^= word;
    }
    uint64_t last = (uint64_t)len << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)at[i] << (8 * i);
    s.v3 ^= last;
    hash_round(&s);
    s.v0 ^= last;
    s.v2 ^= 0xff;
    hash_round(&s);
    hash_round(&s);
    hash_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

static struct hash_key hash_key_of_process;
static pthread_once_t hash_key_once = PTHREAD_ONCE_INIT;

static void hash_draw_key(void)
{
    struct random r;
    random_init(&r);
    hash_key_of_process = (struct hash_key){random_u64(&r), random_u64(&r)};
    random_done(&r);
}

const struct hash_key *hash_process_key(void)
{
    must(pthread_once(&hash_key_once, hash_draw_key) == 0);
    return &hash_key_of_process;
}
