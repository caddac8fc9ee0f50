/* loop_priv.h: the inside of a loop, for core's own loop, timer, mailbox and sock.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <pthread.h>
#include <uv.h>

#include "core/loop.h"
#include "core/timer.h"

#define LOOP_MAGIC 0x6c6f6f70u

struct loop {
    uint32_t magic;
    unsigned index;
    const char *name;
    const struct clock *clock;
    struct random random;
    struct arena_pool arenas;

    uv_loop_t uv;
    uv_prepare_t prepare; /* runs before each wait: timers, hooks */
    uv_timer_t wake;      /* only ends the wait when the next timer is due */
    uv_async_t async;     /* mailbox and stop */

    bool is_now_fresh;
    bool is_wall_fresh;
    uint64_t now_ns;
    uint64_t wall_ns;

    struct timer **heap; /* owned array; 4-ary heap by armed_ms */
    size_t heap_count;
    size_t heap_cap;
    uint64_t wake_ms; /* when `wake` ends the wait; 0 = not started */

    struct list hooks;
    char *scratch; /* owned, made on first use */

    pthread_mutex_t mailbox_lock;
    struct list mailbox; /* under mailbox_lock */
    _Atomic bool is_stopping;

    struct list spare_socks;
    pthread_t thread;
    bool has_thread;
};

void timer_run_due(struct loop *l);    /* timer.c */
void mailbox_deliver(struct loop *l);  /* mailbox.c */
void sock_free_spares(struct loop *l); /* sock.c */
