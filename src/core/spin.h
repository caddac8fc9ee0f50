/* spin.h: the lock bit of a few cache lines that loops share.
 *
 * It is not a mutex, and the difference is why loops may use it: nobody sleeps on it and taking
 * it makes no system call. In return the holder must do a bounded piece of arithmetic, tens of
 * nanoseconds, on memory that belongs to this lock: no call that can wait, allocate or call back.
 * Use one lock for each small object (a set of a table), never one for a structure. Should the
 * holder lose its processor, the others yield theirs after a while instead of burning it.
 *
 * Any thread. A zeroed lock is free.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#define SPIN_TURNS 2048u /* before the processor is yielded */

struct spin {
    atomic_uint is_locked;
};

static inline bool spin_try_lock(struct spin *s)
{
    return atomic_exchange_explicit(&s->is_locked, 1, memory_order_acquire) == 0;
}

static inline void spin_lock(struct spin *s)
{
    unsigned turns = 0;
    while (__builtin_expect(!spin_try_lock(s), 0)) {
        while (atomic_load_explicit(&s->is_locked, memory_order_relaxed) != 0) {
#if defined(__x86_64__) || defined(__i386__)
            __builtin_ia32_pause();
#endif
            if (++turns % SPIN_TURNS == 0)
                sched_yield();
        }
    }
}

static inline void spin_unlock(struct spin *s)
{
    atomic_store_explicit(&s->is_locked, 0, memory_order_release);
}
