/* loop.h: one event loop, one thread.
 *
 * A turn of a loop: wait for sockets, run their callbacks, then due timers, mailbox messages and
 * turn hooks. Time is read once per turn, on first use. Nothing that runs on a loop may block.
 * libuv does the waiting; it is visible to core alone, so that the loop can be replaced.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/arena.h"
#include "core/clock.h"
#include "core/list.h"
#include "core/random.h"

struct loop;

struct loop_options {
    const char *name;          /* of the thread, at most 15 bytes; static storage */
    unsigned index;            /* 0.. among the loops of the same kind */
    const struct clock *clock; /* NULL: the system's */
    unsigned spare_chunks;     /* arena chunks kept by this thread */
};

/* Owned by the caller, who frees it after its thread ended and all its sockets are closed. */
struct loop *loop_new(const struct loop_options *options);
void loop_free(struct loop *l); /* accepts NULL; runs pending close callbacks */

/* Runs on the calling thread until loop_stop. */
void loop_run(struct loop *l);
/* One turn; waits for an event only if `may_wait`. For tests and simulated time. */
void loop_turn(struct loop *l, bool may_wait);
/* Makes loop_run return at the end of the turn. Any thread. */
void loop_stop(struct loop *l);

/* Runs the loop on a thread of its own, with all signals blocked. */
void loop_start_thread(struct loop *l);
void loop_join(struct loop *l); /* after loop_stop; no-op when no thread was started */

/* All below: the loop's own thread only. */
uint64_t loop_now_ns(struct loop *l); /* monotonic, the same all through a turn */
uint64_t loop_wall_ns(struct loop *l);
static inline uint64_t loop_now_ms(struct loop *l)
{
    return loop_now_ns(l) / 1000000u;
}
struct random *loop_random(struct loop *l);
struct arena_pool *loop_arenas(struct loop *l);
unsigned loop_index(const struct loop *l);
/* Room that whoever runs on the loop may use until it returns; nothing stays in it. */
#define LOOP_SCRATCH_BYTES 32768
char *loop_scratch(struct loop *l);
const struct clock *loop_clock(const struct loop *l);
/* Nanoseconds spent since the current turn began: how late the next event will be served. */
uint64_t loop_lag_ns(struct loop *l);

/* Runs at the end of every turn, before the loop waits: the place to flush batches. */
struct loop_hook {
    struct list node;
    void (*run)(struct loop_hook *hook);
};
void loop_add_hook(struct loop *l, struct loop_hook *hook);
void loop_remove_hook(struct loop_hook *hook);
