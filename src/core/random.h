/* random.h: the only source of randomness.
 *
 * One `struct random` a thread. The system form hands out bytes of getrandom(2) that it fetched
 * in blocks, so they are fit for keys, and an id costs no system call. The seeded form repeats
 * itself, for tests and the simulator.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random {
    bool is_seeded;
    uint64_t state[4]; /* of names, and of all that the seeded form gives */
    size_t left;
    unsigned char block[2048];
};

void random_init(struct random *r);                       /* operating system */
void random_init_seeded(struct random *r, uint64_t seed); /* deterministic; tests only */
void random_done(struct random *r);                       /* wipes what was not handed out */

/* For names that are no secrets, like the ids of requests and traces: eight bytes at a fraction of
 * the price. Who has seen some can tell the next ones, so never for keys, tokens or tickets. */
uint64_t random_name_word(struct random *r);

void random_bytes(struct random *r, void *out, size_t size);
uint64_t random_u64(struct random *r);
/* Uniform in [0, bound); bound > 0. */
uint64_t random_below(struct random *r, uint64_t bound);
/* Uniform in [0, 1). */
double random_unit(struct random *r);
/* `size` random bytes as 2*size lower-case hex digits, no NUL. size <= 32. */
void random_hex(struct random *r, char *out, size_t size);
