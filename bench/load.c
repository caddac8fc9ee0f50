/* load.c: what surrounds a proxy: its clients and the application behind it, in one thread.
 *
 * The hard thing is to add nothing to what the proxy is charged for. A sender pays for waking a
 * receiver that sleeps, above all on a virtual machine, and how often the receiver sleeps depends
 * on how slow the proxy is: with an ordinary load generator a fast relay looks faster and a slow
 * proxy slower than they are. So while a run lasts this program never sleeps: it asks for events
 * without waiting, and both ends of every proxied connection live in it.
 *
 * It serves as the application from its start. Each line on standard input starts a run:
 *     PORT CONNECTIONS MILLISECONDS REQUESTS REQUEST_FILE
 * Every connection has one request on its way, until the time is over or so many have been sent;
 * then what is under way is awaited, so that the count is exact. The answer is one line: "REQUESTS
 * NANOSECONDS", or "error: ..." when a response is missing, malformed or not a 200. The end of
 * input ends it.
 *
 * Connections are owned by the load: clients until their run ends, the application's until their
 * socket ends. One thread.
 *
 * Usage: bench_load ORIGIN_PORT
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/mem.h"
#include "origin.h"

#define LOAD_EVENTS         512
#define LOAD_CLIENTS_MAX    4096
#define LOAD_REQUEST_BYTES  16384
#define LOAD_RESPONSE_BYTES 16384
#define LOAD_DRAIN_NS       (60ULL * 1000 * 1000 * 1000)

enum load_kind { LOAD_LISTENER, LOAD_INPUT, LOAD_ORIGIN, LOAD_CLIENT };

struct load_client {
    enum load_kind kind;
    int fd;
    size_t len;
    char response[LOAD_RESPONSE_BYTES];
};

struct load_origin {
    enum load_kind kind;
    struct origin_conn conn;
};

struct load_run {
    struct sockaddr_in proxy;
    uint64_t client_count;
    uint64_t started_ns;
    uint64_t deadline_ns;
    uint64_t requests_max;
    uint64_t sent;
    uint64_t done;
    const char *problem; /* static text; NULL: none */
    size_t request_len;
    char request[LOAD_REQUEST_BYTES];
};

struct load {
    int epoll;
    int listener;
    bool is_running;
    bool is_sending;
    struct load_run run;
    struct load_client *clients; /* owned, run.client_count of them while a run lasts */
    struct epoll_event events[LOAD_EVENTS];
};

static void load_fail(struct load *load, const char *problem)
{
    if (load->run.problem == NULL)
        load->run.problem = problem;
}

static void load_send(struct load *load, struct load_client *client)
{
    struct load_run *run = &load->run;
    client->len = 0;
    if (send(client->fd, run->request, run->request_len, MSG_NOSIGNAL) !=
        (ssize_t)run->request_len) {
        load_fail(load, "a request could not be sent");
        return;
    }
    run->sent++;
}

/* The bytes of the body by Content-Length. ERR_INVALID: not a 200 with a length. */
static err load_read_head(struct span head, uint64_t *out)
{
    if (!span_starts(head, SPAN("HTTP/1.1 200")))
        return FAIL(INVALID);
    while (head.len > 0) {
        struct span line = span_cut(&head, '\n');
        if (line.len == 0 || (line.at[0] | 0x20) != 'c')
            continue;
        struct span name = span_cut(&line, ':');
        if (!span_eq_nocase(name, SPAN("content-length")))
            continue;
        if (span_ends(line, SPAN("\r")))
            line.len--;
        return span_parse_u64(span_trim(line), LOAD_RESPONSE_BYTES, out);
    }
    return FAIL(INVALID);
}

static void load_receive(struct load *load, struct load_client *client)
{
    size_t room = sizeof client->response - client->len;
    ssize_t got = recv(client->fd, client->response + client->len, room, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        load_fail(load, got == 0 ? "the proxy closed a connection" : "a connection broke");
        return;
    }
    client->len += (size_t)got;
    const char *end = memmem(client->response, client->len, "\r\n\r\n", 4);
    if (end == NULL)
        return;
    size_t head_len = (size_t)(end - client->response) + 4;
    uint64_t body_len = 0;
    if (!err_ok(load_read_head(span_of(client->response, head_len), &body_len))) {
        load_fail(load, "a response is not a 200 with a Content-Length");
        return;
    }
    if (client->len < head_len + body_len)
        return;
    if (client->len > head_len + body_len)
        load_fail(load, "a response has more bytes than it says");
    load->run.done++;
    if (load->is_sending && load->run.sent < load->run.requests_max)
        load_send(load, client);
}

static void load_connect(struct load *load)
{
    struct load_run *run = &load->run;
    load->clients = mem_alloc(size_mul(run->client_count, sizeof(struct load_client)));
    for (uint64_t i = 0; i < run->client_count; i++) {
        struct load_client *client = &load->clients[i];
        client->kind = LOAD_CLIENT;
        client->fd = tcp_must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
        if (connect(client->fd, (const struct sockaddr *)&run->proxy, sizeof run->proxy) < 0)
            load_fail(load, "the proxy refused a connection");
        tcp_must(fcntl(client->fd, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
        tcp_no_delay(client->fd);
        tcp_watch(load->epoll, EPOLL_CTL_ADD, client->fd, EPOLLIN, client);
    }
}

static err load_read_request(const char *path, struct load_run *run)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return FAIL(IO);
    run->request_len = fread(run->request, 1, sizeof run->request, file);
    (void)fclose(file); /* read only */
    return run->request_len == 0 || run->request_len == sizeof run->request ? FAIL(INVALID) : OK;
}

/* PORT CONNECTIONS MILLISECONDS REQUESTS REQUEST_FILE */
static err load_read_command(char *line, struct load_run *run, uint64_t *duration_ms)
{
    struct span rest = span_from(line);
    struct span port = span_cut(&rest, ' ');
    line[port.len] = '\0';
    run->proxy = tcp_address(port.at);
    TRY(span_parse_u64(span_cut(&rest, ' '), LOAD_CLIENTS_MAX, &run->client_count));
    TRY(span_parse_u64(span_cut(&rest, ' '), UINT32_MAX, duration_ms));
    TRY(span_parse_u64(span_cut(&rest, ' '), UINT32_MAX, &run->requests_max));
    if (run->client_count == 0 || run->requests_max < run->client_count || rest.len == 0 ||
        rest.at[rest.len - 1] != '\n')
        return FAIL(INVALID);
    line[rest.at + rest.len - 1 - line] = '\0';
    return load_read_request(rest.at, run);
}

/* False: the input has ended. */
static bool load_start(struct load *load)
{
    char line[512] = {0};
    if (fgets(line, sizeof line, stdin) == NULL)
        return false;
    memset(&load->run, 0, sizeof load->run);
    uint64_t duration_ms = 0;
    if (!err_ok(load_read_command(line, &load->run, &duration_ms))) {
        (void)printf("error: usage: PORT CONNECTIONS MILLISECONDS REQUESTS REQUEST_FILE\n");
        return fflush(stdout) == 0;
    }
    load_connect(load);
    load->is_running = load->is_sending = true;
    load->run.started_ns = clock_mono_ns(&clock_system);
    load->run.deadline_ns = load->run.started_ns + duration_ms * 1000 * 1000;
    for (uint64_t i = 0; i < load->run.client_count && load->run.problem == NULL; i++)
        load_send(load, &load->clients[i]);
    return true;
}

static void load_finish(struct load *load, uint64_t now_ns)
{
    struct load_run *run = &load->run;
    for (uint64_t i = 0; i < run->client_count; i++)
        close(load->clients[i].fd);
    mem_free(load->clients);
    load->clients = NULL;
    load->is_running = load->is_sending = false;
    if (run->problem != NULL)
        (void)printf("error: %s (after %llu requests)\n", run->problem,
                     (unsigned long long)run->done);
    else
        (void)printf("%llu %llu\n", (unsigned long long)run->done,
                     (unsigned long long)(now_ns - run->started_ns));
    if (fflush(stdout) != 0)
        tcp_fail("standard output");
}

/* After each batch of events, so that no event of this batch can name a client that is gone. */
static void load_check(struct load *load)
{
    struct load_run *run = &load->run;
    uint64_t now_ns = clock_mono_ns(&clock_system);
    if (now_ns >= run->deadline_ns || run->sent >= run->requests_max)
        load->is_sending = false;
    if (now_ns >= run->deadline_ns + LOAD_DRAIN_NS)
        load_fail(load, "a response did not come");
    if (run->problem != NULL || (!load->is_sending && run->sent == run->done))
        load_finish(load, now_ns);
}

static void load_accept(struct load *load)
{
    int fd = tcp_accept(load->listener);
    if (fd < 0)
        return;
    struct load_origin *origin = MEM_NEW(struct load_origin);
    origin->kind = LOAD_ORIGIN;
    origin->conn.fd = fd;
    tcp_watch(load->epoll, EPOLL_CTL_ADD, fd, EPOLLIN, origin);
}

/* False: the input has ended. Every owner starts with its kind. */
static bool load_on_event(struct load *load, enum load_kind *kind)
{
    switch (*kind) {
    case LOAD_LISTENER:
        load_accept(load);
        break;
    case LOAD_INPUT:
        return load->is_running || load_start(load);
    case LOAD_ORIGIN: {
        struct load_origin *origin = container_of(kind, struct load_origin, kind);
        if (!origin_serve(&origin->conn)) {
            close(origin->conn.fd);
            mem_free(origin);
        }
        break;
    }
    case LOAD_CLIENT:
        load_receive(load, container_of(kind, struct load_client, kind));
        break;
    }
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "Usage: %s ORIGIN_PORT\n", argv[0]);
        return 2;
    }
    must(ORIGIN_BODY.len == 32);
    static enum load_kind listener = LOAD_LISTENER, input = LOAD_INPUT;
    static struct load load; /* the build clears what is on the stack at every call */
    struct sockaddr_in address = tcp_address(argv[1]);
    /* A buffered second line would make no event. */
    (void)setvbuf(stdin, NULL, _IONBF, 0);
    load.epoll = tcp_must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    load.listener = tcp_listen(&address);
    tcp_watch(load.epoll, EPOLL_CTL_ADD, load.listener, EPOLLIN, &listener);
    tcp_watch(load.epoll, EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, &input);
    for (;;) {
        int timeout = load.is_running ? 0 : -1;
        int count = epoll_wait(load.epoll, load.events, LOAD_EVENTS, timeout);
        if (count < 0 && errno != EINTR)
            tcp_fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (!load_on_event(&load, load.events[i].data.ptr))
                return 0;
        }
        if (load.is_running)
            load_check(&load);
    }
}
