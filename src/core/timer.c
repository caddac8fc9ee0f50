/* timer.c: a 4-ary heap of timers by the time at which they are armed.
 *
 * A timer's place is stored in the timer, so removal needs no search. Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/timer.h"

#include "core/loop_priv.h"
#include "core/mem.h"

#define TIMER_ARITY     4
#define TIMER_FIRST_CAP 64

void timer_init(struct timer *t, void (*fire)(struct timer *t))
{
    *t = (struct timer){.fire = fire};
}

static void timer_put(struct loop *l, size_t index, struct timer *t)
{
    l->heap[index] = t;
    t->place = index + 1;
}

static void timer_sift_up(struct loop *l, size_t index, struct timer *t)
{
    while (index > 0) {
        size_t parent = (index - 1) / TIMER_ARITY;
        if (l->heap[parent]->armed_ms <= t->armed_ms)
            break;
        timer_put(l, index, l->heap[parent]);
        index = parent;
    }
    timer_put(l, index, t);
}

static void timer_sift_down(struct loop *l, size_t index, struct timer *t)
{
    for (;;) {
        size_t first = index * TIMER_ARITY + 1;
        if (first >= l->heap_count)
            break;
        size_t last = first + TIMER_ARITY < l->heap_count ? first + TIMER_ARITY : l->heap_count;
        size_t least = first;
        for (size_t child = first + 1; child < last; child++)
            if (l->heap[child]->armed_ms < l->heap[least]->armed_ms)
                least = child;
        if (l->heap[least]->armed_ms >= t->armed_ms)
            break;
        timer_put(l, index, l->heap[least]);
        index = least;
    }
    timer_put(l, index, t);
}

static void timer_unlink(struct loop *l, struct timer *t)
{
    size_t index = t->place - 1;
    must(index < l->heap_count && l->heap[index] == t);
    struct timer *moved = l->heap[--l->heap_count];
    t->place = 0;
    if (moved == t)
        return;
    if (index > 0 && l->heap[(index - 1) / TIMER_ARITY]->armed_ms > moved->armed_ms)
        timer_sift_up(l, index, moved);
    else
        timer_sift_down(l, index, moved);
}

void timer_arm(struct loop *l, struct timer *t)
{
    must(t->fire != NULL && t->deadline_ms > 0);
    if (t->place != 0)
        timer_unlink(l, t);
    if (l->heap_count == l->heap_cap) {
        l->heap_cap = l->heap_cap == 0 ? TIMER_FIRST_CAP : size_mul(l->heap_cap, 2);
        void *block = l->heap;
        must(err_ok(mem_try_resize(&block, size_mul(l->heap_cap, sizeof(struct timer *)))));
        l->heap = block;
    }
    t->armed_ms = t->deadline_ms;
    timer_sift_up(l, l->heap_count++, t);
}

void timer_close(struct loop *l, struct timer *t)
{
    if (t->place != 0)
        timer_unlink(l, t);
    t->deadline_ms = 0;
}

void timer_run_due(struct loop *l)
{
    if (l->heap_count == 0)
        return;
    uint64_t now_ms = loop_now_ms(l);
    while (l->heap_count > 0 && l->heap[0]->armed_ms <= now_ms) {
        struct timer *t = l->heap[0];
        timer_unlink(l, t);
        if (t->deadline_ms == 0)
            continue;
        if (t->deadline_ms > now_ms) {
            timer_arm(l, t);
            continue;
        }
        t->deadline_ms = 0;
        t->fire(t);
    }
}
