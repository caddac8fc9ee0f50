/* sock.c: readiness of sockets by libuv's poll handles, and the socket calls themselves.
 *
 * The one hard thing: a poll handle may be freed only in its close callback, but owners want to
 * go at once. So handles live here, outside their owners; a closed one loses its owner first and
 * returns to the loop's list of spares later. Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/sock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/fault_point.h"
#include "core/loop_priv.h"
#include "core/mem.h"

#define SOCK_MAGIC 0x736f636bu

struct sock {
    uint32_t magic;
    int fd;
    unsigned watched;
    sock_fn on_event; /* NULL once closed */
    void *owner;      /* borrowed until sock_close */
    struct loop *loop;
    struct list spare;
    uv_poll_t poll;
};

static void sock_on_poll(uv_poll_t *handle, int status, int events)
{
    struct sock *s = OBJ(sock, SOCK_MAGIC, handle->data);
    if (s->on_event == NULL)
        return;
    unsigned seen = s->watched;
    if (status == 0)
        seen = ((events & UV_READABLE) ? SOCK_READ : 0) | ((events & UV_WRITABLE) ? SOCK_WRITE : 0);
    else
        s->watched = 0; /* libuv stops a handle that reports an error */
    if (seen != 0)
        s->on_event(s->owner, seen);
}

struct sock *sock_adopt(struct loop *l, int fd, sock_fn on_event, void *owner)
{
    struct list *spare = list_pop_front(&l->spare_socks);
    struct sock *s = spare != NULL ? container_of(spare, struct sock, spare) : MEM_NEW(struct sock);
    *s = (struct sock){
        .magic = SOCK_MAGIC, .fd = fd, .on_event = on_event, .owner = owner, .loop = l};
    list_init(&s->spare);
    must(uv_poll_init_socket(&l->uv, &s->poll, fd) == 0);
    s->poll.data = s;
    return s;
}

void sock_free_spares(struct loop *l)
{
    for (struct list *node = list_pop_front(&l->spare_socks); node != NULL;
         node = list_pop_front(&l->spare_socks))
        mem_free(container_of(node, struct sock, spare));
}

void sock_watch(struct sock *s, unsigned events)
{
    if (s->watched == events)
        return;
    s->watched = events;
    int wanted =
        ((events & SOCK_READ) ? UV_READABLE : 0) | ((events & SOCK_WRITE) ? UV_WRITABLE : 0);
    if (wanted == 0)
        must(uv_poll_stop(&s->poll) == 0);
    else
        must(uv_poll_start(&s->poll, wanted, sock_on_poll) == 0);
}

unsigned sock_watched(const struct sock *s)
{
    return s->watched;
}

void sock_set_owner(struct sock *s, sock_fn on_event, void *owner)
{
    s->on_event = on_event;
    s->owner = owner;
}

static void sock_on_closed(uv_handle_t *handle)
{
    struct sock *s = OBJ(sock, SOCK_MAGIC, handle->data);
    s->magic = 0;
    list_push_front(&s->loop->spare_socks, &s->spare);
}

void sock_close(struct sock *s)
{
    if (s == NULL)
        return;
    must(s->magic == SOCK_MAGIC && s->on_event != NULL);
    s->on_event = NULL;
    s->owner = NULL;
    uv_close((uv_handle_t *)&s->poll, sock_on_closed);
    (void)close(s->fd);
    s->fd = -1;
}

void sock_abort(struct sock *s)
{
    if (s == NULL)
        return;
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    sock_close(s);
}

static void sock_tune(int fd, const struct sock_address *address)
{
    int yes = 1;
    if (address->any.sa_family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

/* A Unix socket file without a listener is left over from a process that was killed. */
static void sock_remove_stale(const struct sock_address *address)
{
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return;
    if (connect(probe, &address->any, address->len) != 0 && errno == ECONNREFUSED)
        (void)unlink(address->un.sun_path);
    (void)close(probe);
}

static err sock_bind(int fd, const struct sock_address *address,
                     const struct sock_listen_options *options)
{
    int yes = 1;
    bool is_unix = address->any.sa_family == AF_UNIX;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (options->is_shared && !is_unix &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) != 0)
        return FAIL(IO);
    if (address->any.sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    /* Nobody may connect to a Unix socket before its mode is set: no permission until then. */
    mode_t before = is_unix ? umask(0777) : 0;
    int bound = bind(fd, &address->any, address->len);
    if (is_unix)
        (void)umask(before);
    if (bound != 0)
        return FAIL(IO);
    if (is_unix && chmod(address->un.sun_path, options->unix_mode) != 0)
        return FAIL(IO);
    return listen(fd, options->backlog) == 0 ? OK : FAIL(IO);
}

err sock_listen(const struct sock_address *address, const struct sock_listen_options *options,
                int *out_fd, struct fault *why)
{
    char text[SOCK_ADDRESS_TEXT_BYTES];
    sock_address_format(address, text);
    if (address->any.sa_family == AF_UNIX)
        sock_remove_stale(address);
    int fd = fault_point("sock.listen")
                 ? -1
                 : socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fault_errno(why, ERR_IO, "listen on %s", text);
    if (!err_ok(sock_bind(fd, address, options))) {
        err outcome = fault_errno(why, ERR_IO, "listen on %s", text);
        (void)close(fd);
        return outcome;
    }
    *out_fd = fd;
    return OK;
}

/* Whether a call failed for lack of something of our own. */
static bool sock_is_short(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
           error == EADDRNOTAVAIL;
}

err sock_accept(struct sock *listener, int *out_fd, struct sock_address *out_peer)
{
    struct sock_address peer = {.len = sizeof peer.un};
    int fd = fault_point("sock.accept")
                 ? -1
                 : accept4(listener->fd, &peer.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EAGAIN)
            return FAIL(AGAIN);
        return sock_is_short(errno) ? FAIL(OVERLOADED) : FAIL(IO);
    }
    sock_tune(fd, &peer);
    *out_fd = fd;
    *out_peer = peer;
    return OK;
}

err sock_connect(struct loop *l, const struct sock_address *address, sock_fn on_event, void *owner,
                 struct sock **out)
{
    int fd = fault_point("sock.connect")
                 ? -1
                 : socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return sock_is_short(errno) ? FAIL(OVERLOADED) : FAIL(UPSTREAM_CONNECT);
    sock_tune(fd, address);
    if (connect(fd, &address->any, address->len) != 0 && errno != EINPROGRESS) {
        err outcome = sock_is_short(errno) ? FAIL(OVERLOADED) : FAIL(UPSTREAM_CONNECT);
        (void)close(fd);
        return outcome;
    }
    struct sock *s = sock_adopt(l, fd, on_event, owner);
    sock_watch(s, SOCK_WRITE);
    *out = s;
    return OK;
}

err sock_connect_result(struct sock *s)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
        return FAIL(UPSTREAM_CONNECT);
    return OK;
}

/* By number, because the C library's recv and send are cancellation points: in a program with
 * threads each of them changes the thread's state twice, atomically. Nobody here cancels threads.
 */
static ssize_t sock_receive(int fd, char *into, size_t cap)
{
    return syscall(SYS_recvfrom, fd, into, cap, 0, NULL, NULL);
}

static ssize_t sock_send(int fd, const struct iovec *part)
{
    return syscall(SYS_sendto, fd, part->iov_base, part->iov_len, MSG_NOSIGNAL, NULL, 0);
}

static ssize_t sock_send_parts(int fd, const struct iovec *parts, unsigned count)
{
    struct msghdr message = {.msg_iovlen = count};
    memcpy(&message.msg_iov, &parts, sizeof parts);
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

err sock_read(struct sock *s, char *into, size_t cap, size_t *out_got)
{
    must(cap > 0);
    if (fault_point("sock.read"))
        return FAIL(IO);
    ssize_t got;
    do
        got = sock_receive(s->fd, into, cap);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        *out_got = (size_t)got;
        return OK;
    }
    if (got == 0)
        return FAIL(CLOSED);
    return errno == EAGAIN ? FAIL(AGAIN) : FAIL(IO);
}

err sock_write(struct sock *s, const struct iovec *parts, unsigned count, size_t *out_written)
{
    if (fault_point("sock.write"))
        return FAIL(CLOSED);
    ssize_t sent;
    do
        sent = count == 1 ? sock_send(s->fd, parts) : sock_send_parts(s->fd, parts, count);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
        *out_written = (size_t)sent;
        return OK;
    }
    return errno == EAGAIN ? FAIL(AGAIN) : FAIL(CLOSED);
}

bool sock_is_quiet(struct sock *s)
{
    char byte;
    ssize_t got = recv(s->fd, &byte, 1, MSG_PEEK);
    return got < 0 && errno == EAGAIN;
}

void sock_shutdown_write(struct sock *s)
{
    (void)shutdown(s->fd, SHUT_WR);
}

int sock_fd(const struct sock *s)
{
    return s->fd;
}

err sock_local_address(const struct sock *s, struct sock_address *out)
{
    struct sock_address address = {.len = sizeof address.un};
    if (getsockname(s->fd, &address.any, &address.len) != 0)
        return FAIL(IO);
    *out = address;
    return OK;
}
