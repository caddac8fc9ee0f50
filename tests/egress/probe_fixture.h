/* probe_fixture.h: a loop on a clock that stands still, and a server that answers checks as the
 * test says.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/loop.h"
#include "peer.h"

#define PROBE_FIXTURE_START_MS 1000000ull
#define PROBE_FIXTURE_TURNS    40 /* without any movement: nothing more will come */

struct probe_fixture {
    struct clock_fake clock;
    struct loop *loop;
    struct peer_server server;
    struct span answer; /* to each request; at == NULL: never */
    size_t step_bytes;  /* of the answer in one go; 0 = all */
    bool closes;        /* behind the answer */
    bool closes_at_once;
    unsigned open_max; /* most connections that were open at one time */
};

static inline void probe_fixture_init(struct probe_fixture *f)
{
    *f = (struct probe_fixture){0};
    clock_fake_init(&f->clock, PROBE_FIXTURE_START_MS * 1000000u, 0);
    f->loop = loop_new(&(struct loop_options){.name = "probe", .clock = &f->clock.clock});
    peer_server_init(&f->server, PEER_SERVER_ACCEPTS);
}

static inline void probe_fixture_done(struct probe_fixture *f)
{
    peer_server_done(&f->server);
    loop_free(f->loop);
}

static inline void probe_fixture_answer(struct probe_fixture *f, struct peer *p)
{
    if (peer_is_over(p) || f->closes_at_once) {
        peer_close(p);
        return;
    }
    if (p->requests == 0 && f->answer.at != NULL && peer_has(p, "\r\n\r\n")) {
        p->requests = 1;
        p->step_bytes = f->step_bytes;
        peer_send(p, f->answer);
    }
    if (p->requests == 1 && f->closes && p->out.len == 0) {
        peer_finish(p);
        p->requests = 2;
    }
}

static inline bool probe_fixture_pump(struct probe_fixture *f)
{
    bool has_moved = peer_server_pump(&f->server);
    unsigned open = 0;
    for (unsigned i = 0; i < f->server.count; i++) {
        if (f->server.peers[i].fd < 0)
            continue;
        probe_fixture_answer(f, &f->server.peers[i]);
        has_moved = has_moved || f->server.peers[i].out.len > 0;
        open += f->server.peers[i].fd >= 0;
    }
    if (open > f->open_max)
        f->open_max = open;
    return has_moved;
}

/* Turns until nothing moves any more; time stands still. */
static inline void probe_fixture_settle(struct probe_fixture *f)
{
    for (unsigned quiet = 0; quiet < PROBE_FIXTURE_TURNS; quiet++) {
        loop_turn(f->loop, false);
        if (probe_fixture_pump(f))
            quiet = 0;
    }
}

static inline void probe_fixture_advance(struct probe_fixture *f, uint64_t ms)
{
    clock_fake_advance_ms(&f->clock, ms);
    probe_fixture_settle(f);
}
