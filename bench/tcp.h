/* tcp.h: sockets and epoll for the programs of the measurement, on 127.0.0.1 only.
 *
 * They end with a message when the machine refuses something: a measurement that goes on after
 * that would compare different things. One thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/span.h"

#define TCP_BACKLOG 4096

_Noreturn static inline void tcp_fail(const char *what)
{
    perror(what);
    exit(1);
}

static inline int tcp_must(int result, const char *what)
{
    if (result < 0)
        tcp_fail(what);
    return result;
}

static inline struct sockaddr_in tcp_address(const char *port_text)
{
    uint64_t port = 0;
    if (!err_ok(span_parse_u64(span_from(port_text), UINT16_MAX, &port))) {
        errno = EINVAL;
        tcp_fail(port_text);
    }
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static inline void tcp_no_delay(int fd)
{
    int on = 1;
    tcp_must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
}

static inline int tcp_listen(const struct sockaddr_in *address)
{
    int on = 1;
    int fd = tcp_must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    tcp_must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    tcp_must(bind(fd, (const struct sockaddr *)address, sizeof *address), "bind");
    tcp_must(listen(fd, TCP_BACKLOG), "listen");
    return fd;
}

/* -1 when nobody is waiting any more or the peer has gone already. */
static inline int tcp_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        tcp_fail("accept");
    if (fd >= 0)
        tcp_no_delay(fd);
    return fd;
}

static inline void tcp_watch(int epoll, int operation, int fd, uint32_t events, void *owner)
{
    struct epoll_event event = {.events = events, .data.ptr = owner};
    tcp_must(epoll_ctl(epoll, operation, fd, &event), "epoll_ctl");
}
