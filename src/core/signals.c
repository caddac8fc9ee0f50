/* signals.c: signalfd(2) on the control loop.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/sock.h"

struct signals {
    struct sock *sock;
    void (*on_signal)(void *ctx, int number);
    void *ctx;
};

static void signals_set(sigset_t *set)
{
    must(sigemptyset(set) == 0);
    must(sigaddset(set, SIGHUP) == 0 && sigaddset(set, SIGINT) == 0 &&
         sigaddset(set, SIGTERM) == 0);
}

void signals_block(void)
{
    sigset_t set;
    signals_set(&set);
    must(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    must(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

static void signals_on_event(void *owner, unsigned events)
{
    struct signals *s = owner;
    struct signalfd_siginfo info;
    (void)events;
    if (read(sock_fd(s->sock), &info, sizeof info) == sizeof info)
        s->on_signal(s->ctx, (int)info.ssi_signo);
}

err signals_open(struct loop *l, void (*on_signal)(void *ctx, int number), void *ctx,
                 struct signals **out, struct fault *why)
{
    sigset_t set;
    signals_set(&set);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return fault_errno(why, ERR_IO, "signalfd");
    struct signals *s = MEM_NEW(struct signals);
    s->on_signal = on_signal;
    s->ctx = ctx;
    s->sock = sock_adopt(l, fd, signals_on_event, s);
    sock_watch(s->sock, SOCK_READ);
    *out = s;
    return OK;
}

void signals_close(struct signals *s)
{
    if (s == NULL)
        return;
    sock_close(s->sock);
    mem_free(s);
}
