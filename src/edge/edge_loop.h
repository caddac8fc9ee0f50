/* edge_loop.h: all that one loop needs to serve: its snapshot, connections and spare parts.
 *
 * One per thread that accepts connections: each traffic loop, and the control loop for the admin
 * listeners. The one hard thing: objects that end in the middle of their own callback. They are
 * put into the morgue and freed at the end of the turn, so a caller further up may still look at
 * their state.
 *
 * Loop's own thread, except edge_loop_new and edge_loop_free (before start, after join).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/log.h"
#include "core/loop.h"
#include "core/metric.h"
#include "core/timer.h"
#include "edge/block.h"
#include "edge/conn_cap.h"
#include "edge/settings.h"
#include "egress/link.h"

struct access;
struct view;

#define EDGE_LOOP_MAGIC 0x65646765u

struct edge_loop {
    uint32_t magic;
    struct loop *loop;       /* borrowed */
    struct node *node;       /* borrowed */
    struct view *view;       /* pinned: what new requests are served by */
    bool is_admin;           /* serves admin listeners and their router */
    bool is_draining;        /* no new connections; every answer closes */
    struct conn_cap *cap;    /* shared; borrowed */
    struct link_pool *links; /* owned */
    struct block_pool blocks;
    struct list listeners; /* struct listener */
    struct list conns;     /* struct conn, all open ones */
    unsigned conn_count;
    unsigned exchange_count; /* running ones */
    unsigned tunnel_count;
    struct list spare_exchanges;
    unsigned spare_exchange_count;
    struct list morgue; /* struct edge_loop_body */
    struct loop_hook turn_end;
    struct metric_shard *shard; /* owned */
    struct access *access;      /* owned: log batch and cached metrics */
};

/* Embedded in what may end inside its own callback. */
struct edge_loop_body {
    struct list node;
    void (*bury)(struct edge_loop *home, struct edge_loop_body *body);
};

struct edge_loop_options {
    struct loop *loop;
    struct node *node;
    struct settings *settings; /* a reference is taken */
    struct conn_cap *cap;
    bool is_admin;
};
struct edge_loop *edge_loop_new(const struct edge_loop_options *options);
void edge_loop_free(struct edge_loop *home); /* accepts NULL; closes what is open */

/* Frees the body at the end of the turn. */
void edge_loop_end(struct edge_loop *home, struct edge_loop_body *body);

/* Switches new requests to another snapshot; takes a reference. */
void edge_loop_use(struct edge_loop *home, struct settings *settings);
/* Stops accepting, closes idle connections, and lets the running exchanges be the last. */
void edge_loop_drain(struct edge_loop *home);
/* Nothing is served any more. */
static inline bool edge_loop_is_idle(const struct edge_loop *home)
{
    return home->conn_count == 0;
}
