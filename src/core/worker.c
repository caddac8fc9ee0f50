/* worker.c: a queue under a lock, and threads that wait for it.
 *
 * The one hard thing: ending. Threads leave only when the queue is empty, so every accepted job
 * is finished. Jobs belong to the pool from submit until they are posted home.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "core/mem.h"

struct worker_pool {
    pthread_mutex_t lock;
    pthread_cond_t has_work;
    struct list queue; /* all below under lock */
    unsigned queued;
    unsigned queue_max;
    bool is_ending;
    unsigned thread_count;
    pthread_t threads[];
};

static void worker_go_home(struct message *m)
{
    struct worker_job *job = container_of(m, struct worker_job, message);
    job->finished(job);
}

static struct worker_job *worker_take(struct worker_pool *pool)
{
    must(pthread_mutex_lock(&pool->lock) == 0);
    while (list_is_empty(&pool->queue) && !pool->is_ending)
        must(pthread_cond_wait(&pool->has_work, &pool->lock) == 0);
    struct list *node = list_pop_front(&pool->queue);
    if (node != NULL)
        pool->queued--;
    must(pthread_mutex_unlock(&pool->lock) == 0);
    return node == NULL ? NULL : container_of(node, struct worker_job, message.node);
}

static void *worker_main(void *arg)
{
    struct worker_pool *pool = arg;
    for (struct worker_job *job = worker_take(pool); job != NULL; job = worker_take(pool)) {
        job->run(job);
        job->message.run = worker_go_home;
        mailbox_post(job->home, &job->message);
    }
    return NULL;
}

struct worker_pool *worker_pool_new(unsigned threads, unsigned queue_max)
{
    must(threads >= 1 && queue_max >= 1);
    struct worker_pool *pool =
        mem_alloc(size_add(sizeof *pool, size_mul(threads, sizeof(pthread_t))));
    pool->thread_count = threads;
    pool->queue_max = queue_max;
    list_init(&pool->queue);
    must(pthread_mutex_init(&pool->lock, NULL) == 0);
    must(pthread_cond_init(&pool->has_work, NULL) == 0);
    sigset_t all, before;
    must(sigfillset(&all) == 0 && pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    for (unsigned i = 0; i < threads; i++) {
        char name[24];
        must(pthread_create(&pool->threads[i], NULL, worker_main, pool) == 0);
        (void)snprintf(name, sizeof name, "worker-%u", i);
        (void)pthread_setname_np(pool->threads[i], name);
    }
    must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return pool;
}

void worker_pool_free(struct worker_pool *pool)
{
    if (pool == NULL)
        return;
    must(pthread_mutex_lock(&pool->lock) == 0);
    pool->is_ending = true;
    must(pthread_cond_broadcast(&pool->has_work) == 0);
    must(pthread_mutex_unlock(&pool->lock) == 0);
    for (unsigned i = 0; i < pool->thread_count; i++)
        must(pthread_join(pool->threads[i], NULL) == 0);
    must(pthread_cond_destroy(&pool->has_work) == 0);
    must(pthread_mutex_destroy(&pool->lock) == 0);
    mem_free(pool);
}

err worker_submit(struct worker_pool *pool, struct worker_job *job)
{
    must(job->run != NULL && job->finished != NULL && job->home != NULL);
    must(pthread_mutex_lock(&pool->lock) == 0);
    bool has_room = pool->queued < pool->queue_max && !pool->is_ending;
    if (has_room) {
        list_push_back(&pool->queue, &job->message.node);
        pool->queued++;
        must(pthread_cond_signal(&pool->has_work) == 0);
    }
    must(pthread_mutex_unlock(&pool->lock) == 0);
    return has_room ? OK : FAIL(OVERLOADED);
}
