/* listener.c: accept until there is nobody left, or nothing left to accept with.
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/listener.h"

#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/mem.h"
#include "edge/access.h"
#include "edge/conn.h"
#include "edge/view.h"

#define LISTENER_REST_MS   100
#define LISTENER_BATCH_MAX 64 /* per event, so that running requests are not starved */

static void listener_rest(struct listener *l)
{
    struct loop *loop = l->home->loop;
    access_refused(l->home, ACCESS_REFUSED_DESCRIPTORS);
    sock_watch(l->sock, 0);
    timer_set(loop, &l->rest, loop_now_ms(loop) + LISTENER_REST_MS);
}

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
            listener_rest(l);
            return;
        }
        if (!err_ok(outcome))
            continue;
        if (fd >= l->fd_end) {
            (void)close(fd);
            listener_rest(l);
            return;
        }
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

/* The kernel gives the lowest free descriptor, so its number tells how many are in use. */
static int listener_fd_end(const struct edge_loop *home)
{
    struct rlimit limit;
    if (home->is_admin || getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT_MAX)
        return INT_MAX;
    return (int)(limit.rlim_cur - limit.rlim_cur / 4);
}

void listener_open(struct edge_loop *home, unsigned index, int fd)
{
    struct listener *l = MEM_NEW(struct listener);
    l->home = home;
    l->index = index;
    l->fd_end = listener_fd_end(home);
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
