/* relay.c: the floor: an epoll byte relay that parses nothing.
 *
 * Every client connection gets one upstream connection, and bytes go from each to the other: one
 * recv and one send per side and request, one epoll_wait for as many sockets as are ready. A proxy
 * that also reads what it forwards can only cost more. The hard thing is a peer that does not take
 * its bytes: then its pair keeps them and stops reading until they are gone, so memory is bounded.
 *
 * Each pair is owned by the relay and freed after the batch of events that ended it, because the
 * same batch may still name its other side. One thread.
 *
 * Usage: bench_relay PORT UPSTREAM_PORT
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/mem.h"
#include "tcp.h"

#define RELAY_EVENTS      512
#define RELAY_CHUNK_BYTES 16384

struct relay_side {
    struct relay_pair *pair;
    struct relay_side *peer;
    int fd;
};

struct relay_pair {
    struct relay_side client;
    struct relay_side upstream;
    struct relay_pair *next_dead;
    bool is_dead;
    /* The side whose socket did not take [held_at, held_end). While it waits, neither is read. */
    struct relay_side *stuck;
    size_t held_at;
    size_t held_end;
    char *held; /* owned; NULL while nobody is stuck */
};

struct relay {
    int epoll;
    int listener;
    struct sockaddr_in upstream;
    struct relay_pair *dead; /* owned */
    /* Here and not on the stack, which the build clears at every call. */
    struct epoll_event events[RELAY_EVENTS];
    char chunk[RELAY_CHUNK_BYTES];
};

static void relay_kill(struct relay *relay, struct relay_pair *pair)
{
    if (pair->is_dead)
        return;
    pair->is_dead = true;
    close(pair->client.fd);
    close(pair->upstream.fd);
    pair->next_dead = relay->dead;
    relay->dead = pair;
}

static void relay_bury(struct relay *relay)
{
    while (relay->dead != NULL) {
        struct relay_pair *pair = relay->dead;
        relay->dead = pair->next_dead;
        mem_free(pair->held);
        mem_free(pair);
    }
}

static void relay_accept(struct relay *relay)
{
    int client = tcp_accept(relay->listener);
    if (client < 0)
        return;
    /* Blocking: on the loopback connect is done or refused when it returns. */
    int upstream = tcp_must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    if (connect(upstream, (const struct sockaddr *)&relay->upstream, sizeof relay->upstream) < 0) {
        close(client);
        close(upstream);
        return;
    }
    tcp_must(fcntl(upstream, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
    tcp_no_delay(upstream);

    struct relay_pair *pair = MEM_NEW(struct relay_pair);
    pair->client.pair = pair->upstream.pair = pair;
    pair->client.peer = &pair->upstream;
    pair->upstream.peer = &pair->client;
    pair->client.fd = client;
    pair->upstream.fd = upstream;
    tcp_watch(relay->epoll, EPOLL_CTL_ADD, client, EPOLLIN, &pair->client);
    tcp_watch(relay->epoll, EPOLL_CTL_ADD, upstream, EPOLLIN, &pair->upstream);
}

/* What the socket took of the bytes; -1 when it is gone. */
static ssize_t relay_send(int fd, const char *bytes, size_t len)
{
    ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return sent;
}

static void relay_forward(struct relay *relay, struct relay_side *from)
{
    struct relay_pair *pair = from->pair;
    struct relay_side *to = from->peer;
    ssize_t got = recv(from->fd, relay->chunk, sizeof relay->chunk, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    ssize_t sent = got <= 0 ? -1 : relay_send(to->fd, relay->chunk, (size_t)got);
    if (sent < 0) {
        relay_kill(relay, pair);
        return;
    }
    if (sent == got)
        return;
    pair->stuck = to;
    pair->held_at = 0;
    pair->held_end = (size_t)(got - sent);
    pair->held = mem_alloc_raw(pair->held_end);
    memcpy(pair->held, relay->chunk + sent, pair->held_end);
    tcp_watch(relay->epoll, EPOLL_CTL_MOD, from->fd, 0, from);
    tcp_watch(relay->epoll, EPOLL_CTL_MOD, to->fd, EPOLLOUT, to);
}

static void relay_flush(struct relay *relay, struct relay_side *to)
{
    struct relay_pair *pair = to->pair;
    ssize_t sent = relay_send(to->fd, pair->held + pair->held_at, pair->held_end - pair->held_at);
    if (sent < 0) {
        relay_kill(relay, pair);
        return;
    }
    pair->held_at += (size_t)sent;
    if (pair->held_at < pair->held_end)
        return;
    pair->stuck = NULL;
    mem_free(pair->held);
    pair->held = NULL;
    tcp_watch(relay->epoll, EPOLL_CTL_MOD, to->fd, EPOLLIN, to);
    tcp_watch(relay->epoll, EPOLL_CTL_MOD, to->peer->fd, EPOLLIN, to->peer);
}

static void relay_on_event(struct relay *relay, const struct epoll_event *event)
{
    struct relay_side *side = event->data.ptr;
    if (side == NULL) {
        relay_accept(relay);
        return;
    }
    struct relay_pair *pair = side->pair;
    if (pair->is_dead)
        return;
    if (pair->stuck == NULL && (event->events & EPOLLIN) != 0)
        relay_forward(relay, side);
    else if (pair->stuck == side && (event->events & EPOLLOUT) != 0)
        relay_flush(relay, side);
    else if ((event->events & (EPOLLHUP | EPOLLERR)) != 0)
        relay_kill(relay, pair);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "Usage: %s PORT UPSTREAM_PORT\n", argv[0]);
        return 2;
    }
    static struct relay relay;
    struct sockaddr_in address = tcp_address(argv[1]);
    relay.epoll = tcp_must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    relay.listener = tcp_listen(&address);
    relay.upstream = tcp_address(argv[2]);
    tcp_watch(relay.epoll, EPOLL_CTL_ADD, relay.listener, EPOLLIN, NULL);
    for (;;) {
        int count = epoll_wait(relay.epoll, relay.events, RELAY_EVENTS, -1);
        if (count < 0 && errno != EINTR)
            tcp_fail("epoll_wait");
        for (int i = 0; i < count; i++)
            relay_on_event(&relay, &relay.events[i]);
        relay_bury(&relay);
    }
}
