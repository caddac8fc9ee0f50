/* timer.h: deadlines of a loop.
 *
 * The one hard thing: timers are lazy, because a proxy moves a deadline on every request and
 * almost none is ever reached. Moving a deadline later, or clearing it, only stores a number; the
 * timer wakes at its old time, sees that it is early, and arms itself again. Intrusive: the timer
 * lives in its owner, who calls timer_close before the owner's memory goes.
 *
 * The loop's own thread only.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

struct timer {
    void (*fire)(struct timer *t);
    uint64_t deadline_ms; /* wanted; 0 = none */
    uint64_t armed_ms;    /* place in the heap */
    size_t place;         /* index + 1 in the heap; 0 = not in it */
};

void timer_init(struct timer *t, void (*fire)(struct timer *t));

/* Puts the timer into the heap, or to an earlier place. */
void timer_arm(struct loop *l, struct timer *t);

/* Fires once at or after deadline_ms (monotonic, > 0), never inside this call. */
static inline void timer_set(struct loop *l, struct timer *t, uint64_t deadline_ms)
{
    t->deadline_ms = deadline_ms;
    if (t->place == 0 || deadline_ms < t->armed_ms)
        timer_arm(l, t);
}

static inline void timer_clear(struct timer *t)
{
    t->deadline_ms = 0;
}

static inline bool timer_is_set(const struct timer *t)
{
    return t->deadline_ms != 0;
}

/* Takes the timer out of the loop; it may be freed, or set again. */
void timer_close(struct loop *l, struct timer *t);
