/* listener.c: accept until there is nobody left, or nothing left to accept with.
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/listener.h"

#include <unistd.h>

#include "core/mem.h"
#include "edge/access.h"
#include "edge/conn.h"
#include "edge/view.h"

#define LISTENER_REST_MS   100
#define LISTENER_BATCH_MAX 64 /* per event, so that running requests are not starved */

static void listener_on_event(void *owner, unsigned events)
{
    struct listener *l = owner;
    struct edge_loop *home = l->home;
    (void)events;
    for (unsigned i = 0; i < LISTENER_BATCH_MAX; i++) {
        struct sock_address peer;
        int fd = -1;
        err outcome = sock_accept(l->sock, &fd, &peer);
        if (err_is(outcome, ERR_AGAIN))
            return;
        if (err_is(outcome, ERR_OVERLOADED)) {
            access_refused(home, ACCESS_REFUSED_DESCRIPTORS);
            sock_watch(l->sock, 0);
            timer_set(home->loop, &l->rest, loop_now_ms(home->loop) + LISTENER_REST_MS);
            return;
        }
        if (!err_ok(outcome))
            continue;
        if (home->conn_count >= home->view->settings->connections_max) {
            access_refused(home, ACCESS_REFUSED_CONNECTIONS);
            (void)close(fd);
            continue;
        }
        conn_open(home, l->index, fd, &peer);
    }
}

static void listener_on_rested(struct timer *t)
{
    struct listener *l = container_of(t, struct listener, rest);
    sock_watch(l->sock, SOCK_READ);
}

void listener_open(struct edge_loop *home, unsigned index, int fd)
{
    struct listener *l = MEM_NEW(struct listener);
    l->home = home;
    l->index = index;
    timer_init(&l->rest, listener_on_rested);
    l->sock = sock_adopt(home->loop, fd, listener_on_event, l);
    sock_watch(l->sock, SOCK_READ);
    list_push_back(&home->listeners, &l->node);
}

void listener_close(struct listener *l)
{
    list_remove(&l->node);
    timer_close(l->home->loop, &l->rest);
    sock_close(l->sock);
    mem_free(l);
}
