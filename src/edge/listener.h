/* listener.h: accepts the connections of one address on one loop.
 *
 * Every loop has its own socket on the address (SO_REUSEPORT) and the kernel spreads connections.
 * The one hard thing: running out of descriptors must not spin. The listener then rests for a
 * moment instead of being woken again and again for a connection that it cannot take. And clients
 * may not take all: the last quarter is for upstreams, logs and the admin pages.
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "edge/edge_loop.h"

struct listener {
    struct list node; /* in the loop's listeners */
    struct edge_loop *home;
    struct sock *sock;
    struct timer rest;
    int fd_end;     /* a client that would get this descriptor or a higher one is refused */
    unsigned index; /* in settings->listeners: addresses change only with a restart */
};

/* Begins to accept on an already listening descriptor, which it takes over. */
void listener_open(struct edge_loop *home, unsigned index, int fd);
void listener_close(struct listener *l);
