/* loop.c: a turn of the loop on top of libuv.
 *
 * The one hard thing: order within a turn. libuv runs prepare handles just before it waits, so
 * that is where due timers and hooks run; the `wake` timer does nothing itself and only bounds
 * the wait. Cached time becomes stale there and is read again by the first callback that asks.
 *
 * Owned by its creator; used by its own thread except loop_stop.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/loop.h"

#include <signal.h>
#include <stdatomic.h>

#include "core/loop_priv.h"
#include "core/mem.h"

static void loop_on_wake(uv_timer_t *handle)
{
    struct loop *l = OBJ(loop, LOOP_MAGIC, handle->data);
    l->wake_ms = 0;
}

static void loop_on_async(uv_async_t *handle)
{
    struct loop *l = OBJ(loop, LOOP_MAGIC, handle->data);
    mailbox_deliver(l);
    if (atomic_load(&l->is_stopping))
        uv_stop(&l->uv);
}

static void loop_set_wake(struct loop *l)
{
    if (l->heap_count == 0)
        return;
    uint64_t next_ms = l->heap[0]->armed_ms;
    if (l->wake_ms != 0 && l->wake_ms <= next_ms)
        return;
    uint64_t now_ms = loop_now_ms(l);
    uv_update_time(&l->uv);
    must(uv_timer_start(&l->wake, loop_on_wake, next_ms > now_ms ? next_ms - now_ms : 0, 0) == 0);
    l->wake_ms = next_ms;
}

static void loop_on_prepare(uv_prepare_t *handle)
{
    struct loop *l = OBJ(loop, LOOP_MAGIC, handle->data);
    timer_run_due(l);
    list_each_safe (node, next, &l->hooks) {
        struct loop_hook *hook = container_of(node, struct loop_hook, node);
        hook->run(hook);
    }
    loop_set_wake(l);
    l->is_now_fresh = false;
    l->is_wall_fresh = false;
}

struct loop *loop_new(const struct loop_options *options)
{
    struct loop *l = MEM_NEW(struct loop);
    l->magic = LOOP_MAGIC;
    l->index = options->index;
    l->name = options->name;
    l->clock = options->clock == NULL ? &clock_system : options->clock;
    random_init(&l->random);
    arena_pool_init(&l->arenas, options->spare_chunks);
    list_init(&l->hooks);
    list_init(&l->mailbox);
    list_init(&l->spare_socks);
    must(pthread_mutex_init(&l->mailbox_lock, NULL) == 0);
    must(uv_loop_init(&l->uv) == 0);
    must(uv_prepare_init(&l->uv, &l->prepare) == 0);
    must(uv_timer_init(&l->uv, &l->wake) == 0);
    must(uv_async_init(&l->uv, &l->async, loop_on_async) == 0);
    l->prepare.data = l;
    l->wake.data = l;
    l->async.data = l;
    must(uv_prepare_start(&l->prepare, loop_on_prepare) == 0);
    return l;
}

void loop_free(struct loop *l)
{
    if (l == NULL)
        return;
    must(!l->has_thread);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_close((uv_handle_t *)&l->async, NULL);
    /* Only close callbacks are left; a socket that nobody closed would keep this from ending. */
    must(uv_run(&l->uv, UV_RUN_DEFAULT) == 0);
    must(uv_loop_close(&l->uv) == 0);
    must(list_is_empty(&l->mailbox));
    sock_free_spares(l);
    arena_pool_done(&l->arenas);
    random_done(&l->random);
    must(pthread_mutex_destroy(&l->mailbox_lock) == 0);
    mem_free(l->heap);
    mem_free(l->scratch);
    l->magic = 0;
    mem_free(l);
}

void loop_run(struct loop *l)
{
    while (!atomic_load(&l->is_stopping))
        (void)uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_turn(struct loop *l, bool may_wait)
{
    (void)uv_run(&l->uv, may_wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->is_stopping, true);
    must(uv_async_send(&l->async) == 0);
}

static void *loop_thread_main(void *arg)
{
    struct loop *l = OBJ(loop, LOOP_MAGIC, arg);
    loop_run(l);
    return NULL;
}

void loop_start_thread(struct loop *l)
{
    sigset_t all, before;
    must(sigfillset(&all) == 0);
    must(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    must(pthread_create(&l->thread, NULL, loop_thread_main, l) == 0);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (l->name != NULL)
        (void)pthread_setname_np(l->thread, l->name);
    l->has_thread = true;
}

void loop_join(struct loop *l)
{
    if (!l->has_thread)
        return;
    must(pthread_join(l->thread, NULL) == 0);
    l->has_thread = false;
}

uint64_t loop_now_ns(struct loop *l)
{
    if (!l->is_now_fresh) {
        l->now_ns = clock_mono_ns(l->clock);
        l->is_now_fresh = true;
    }
    return l->now_ns;
}

uint64_t loop_wall_ns(struct loop *l)
{
    if (!l->is_wall_fresh) {
        l->wall_ns = clock_wall_ns(l->clock);
        l->is_wall_fresh = true;
    }
    return l->wall_ns;
}

struct random *loop_random(struct loop *l)
{
    return &l->random;
}

struct arena_pool *loop_arenas(struct loop *l)
{
    return &l->arenas;
}

unsigned loop_index(const struct loop *l)
{
    return l->index;
}

char *loop_scratch(struct loop *l)
{
    if (l->scratch == NULL)
        l->scratch = mem_alloc_raw(LOOP_SCRATCH_BYTES);
    return l->scratch;
}

const struct clock *loop_clock(const struct loop *l)
{
    return l->clock;
}

uint64_t loop_lag_ns(struct loop *l)
{
    uint64_t begun_ns = loop_now_ns(l);
    uint64_t now_ns = clock_mono_ns(l->clock);
    return now_ns > begun_ns ? now_ns - begun_ns : 0;
}

void loop_add_hook(struct loop *l, struct loop_hook *hook)
{
    list_push_back(&l->hooks, &hook->node);
}

void loop_remove_hook(struct loop_hook *hook)
{
    list_remove(&hook->node);
}
