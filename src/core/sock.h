/* sock.h: non-blocking stream sockets of a loop.
 *
 * Readiness, not completion: the owner is told that a socket can be read or written and makes the
 * call itself, so one readable event costs one read and bytes land where the owner wants them.
 * The one hard thing: closing. sock_close ends the matter for the owner at once: no event comes
 * after it and the owner's memory may go; the rest is freed by the loop later.
 *
 * The loop's own thread only.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <sys/uio.h>

#include "core/sock_address.h"

struct loop;
struct sock;

#define SOCK_READ  1u
#define SOCK_WRITE 2u

/* `events` is a set of SOCK_*; an error or hang-up sets all that are watched, and the call that
 * follows tells what happened. */
typedef void (*sock_fn)(void *owner, unsigned events);

/* Takes over a connected or listening socket, or another pollable descriptor (then only
 * sock_watch, sock_fd and sock_close apply). */
struct sock *sock_adopt(struct loop *l, int fd, sock_fn on_event, void *owner);

struct sock_listen_options {
    int backlog;
    bool is_shared;     /* SO_REUSEPORT: one listener per loop on the same address */
    unsigned unix_mode; /* permission bits of a Unix socket */
};
/* ERR_IO with *why on failure (address in use, permission, ...). An old Unix socket file that
 * nobody listens on is replaced. Returns the descriptor; sock_adopt it on its loop. */
err sock_listen(const struct sock_address *address, const struct sock_listen_options *options,
                int *out_fd, struct fault *why);
/* Next waiting connection: ERR_AGAIN when there is none, ERR_OVERLOADED when descriptors or
 * memory ran out, ERR_IO for one failed connection (try again). */
err sock_accept(struct sock *listener, int *out_fd, struct sock_address *out_peer);

/* Starts to connect. SOCK_WRITE tells the end: sock_connect_result then says which.
 * ERR_UPSTREAM_CONNECT when it failed at once, ERR_OVERLOADED when it is we who have no
 * descriptor, port or memory left. */
err sock_connect(struct loop *l, const struct sock_address *address, sock_fn on_event, void *owner,
                 struct sock **out);
err sock_connect_result(struct sock *s);

/* What to be told of; no system call when nothing changes. */
void sock_watch(struct sock *s, unsigned events);
unsigned sock_watched(const struct sock *s);
/* Hands the events to another owner. */
void sock_set_owner(struct sock *s, sock_fn on_event, void *owner);

/* OK with *out_got > 0; ERR_CLOSED at the end; ERR_AGAIN; ERR_IO. cap > 0. */
err sock_read(struct sock *s, char *into, size_t cap, size_t *out_got);
/* Writes what fits: OK with *out_written > 0; ERR_AGAIN; ERR_CLOSED when the peer is gone. */
err sock_write(struct sock *s, const struct iovec *parts, unsigned count, size_t *out_written);
/* Looks whether an idle connection was closed or spoke out of turn: true = it is still usable. */
bool sock_is_quiet(struct sock *s);

void sock_shutdown_write(struct sock *s);
void sock_close(struct sock *s); /* accepts NULL */
void sock_abort(struct sock *s); /* close with a reset, dropping what is not sent */

int sock_fd(const struct sock *s);
err sock_local_address(const struct sock *s, struct sock_address *out);
