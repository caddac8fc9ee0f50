/* random.c: getrandom in blocks, or xoshiro256** (Blackman and Vigna) from a seed.
 *
 * Owned by one thread. Bytes that were handed out are wiped from the block.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "core/hex.h"
#include "core/mem.h"

void random_init_seeded(struct random *r, uint64_t seed)
{
    r->is_seeded = true;
    r->left = 0;
    /* splitmix64 spreads the seed over the state, as the generator's authors advise. */
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        r->state[i] = z ^ (z >> 31);
    }
}

void random_done(struct random *r)
{
    mem_wipe(r, sizeof *r);
}

static uint64_t random_rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static uint64_t random_next(struct random *r)
{
    uint64_t *s = r->state;
    uint64_t result = random_rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = random_rotl(s[3], 45);
    return result;
}

static void random_refill(struct random *r)
{
    if (r->is_seeded) {
        for (size_t i = 0; i < sizeof r->block; i += 8) {
            uint64_t word = random_next(r);
            memcpy(r->block + i, &word, 8);
        }
    } else {
        size_t got = 0;
        while (got < sizeof r->block) {
            ssize_t n = getrandom(r->block + got, sizeof r->block - got, 0);
            must(n > 0 || errno == EINTR);
            got += n > 0 ? (size_t)n : 0;
        }
    }
    r->left = sizeof r->block;
}

void random_bytes(struct random *r, void *out, size_t size)
{
    char *at = out;
    while (size > 0) {
        if (r->left == 0)
            random_refill(r);
        size_t part = size < r->left ? size : r->left;
        unsigned char *from = r->block + (sizeof r->block - r->left);
        memcpy(at, from, part);
        memset(from, 0, part);
        r->left -= part;
        at += part;
        size -= part;
    }
}

void random_init(struct random *r)
{
    r->is_seeded = false;
    r->left = 0;
    do
        random_bytes(r, r->state, sizeof r->state);
    while ((r->state[0] | r->state[1] | r->state[2] | r->state[3]) == 0);
}

uint64_t random_name_word(struct random *r)
{
    return random_next(r);
}

uint64_t random_u64(struct random *r)
{
    uint64_t value;
    random_bytes(r, &value, sizeof value);
    return value;
}

uint64_t random_below(struct random *r, uint64_t bound)
{
    must(bound > 0);
    /* Values under 2^64 mod bound would make small results likelier. */
    uint64_t biased = (0 - bound) % bound;
    uint64_t value;
    do
        value = random_u64(r);
    while (value < biased);
    return value % bound;
}

double random_unit(struct random *r)
{
    return (double)(random_u64(r) >> 11) * 0x1.0p-53;
}

void random_hex(struct random *r, char *out, size_t size)
{
    unsigned char bytes[32];
    must(size <= sizeof bytes);
    random_bytes(r, bytes, size);
    (void)hex_write(out, bytes, size);
}
