/* worker.h: the bounded pool of threads that may block.
 *
 * Handlers of services, the store, password hashing and name resolution run here, as plain
 * top-to-bottom functions. A job moves: submitter -> worker (run) -> submitter's loop (finished).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/err.h"
#include "core/mailbox.h"

struct worker_pool;

struct worker_job {
    struct message message;                   /* first; used for the way home */
    struct loop *home;                        /* whose thread runs `finished` */
    void (*run)(struct worker_job *job);      /* on a worker; may block */
    void (*finished)(struct worker_job *job); /* on home's thread */
};

/* `threads` >= 1; at most `queue_max` jobs wait. */
struct worker_pool *worker_pool_new(unsigned threads, unsigned queue_max);
/* Finishes what is queued, then ends the threads. The home loops must still exist. */
void worker_pool_free(struct worker_pool *pool); /* accepts NULL */

/* ERR_OVERLOADED when the queue is full, and then nothing of the job was touched. Any thread. */
err worker_submit(struct worker_pool *pool, struct worker_job *job);
