/* conn.h: one client connection that speaks HTTP/1.1.
 *
 *            accept            first byte           head complete
 *   (new) ----------> IDLE ---------------> HEAD ----------------> BUSY
 *                      ^  \                   |                   /  |  \
 *                      |   \ idle deadline,   | refused: BUSY    /   |   \ 101 from the upstream
 *                      |    \ drain, FIN      v                 /    |    v
 *                      |     +-------------> CLOSED <----------+     |  TUNNEL
 *                      |                       ^    answer done,     |    | either end
 *                      |                       |    close            |    v
 *                      +-----------------------|---------------------+  CLOSED
 *                         answer done,         |
 *                         keep-alive           +---- LINGER <--- BUSY (unread input remains)
 *                                                           <--- TUNNEL (the upstream ended)
 *
 * Transitions, all by conn_enter: IDLE->HEAD conn_receive; HEAD->BUSY conn_process; BUSY->IDLE,
 * BUSY->LINGER, BUSY->CLOSED, TUNNEL->LINGER conn_exchange_done; BUSY->TUNNEL conn_become_tunnel;
 * any->CLOSED conn_close. In IDLE it holds no block and no exchange; from HEAD on both; in CLOSED
 * nothing but its own memory, until the end of the turn.
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "edge/edge_loop.h"
#include "edge/flow.h"

#define CONN_MAGIC 0x636f6e6eu

/* X(name) */
#define CONN_STATES(X) X(IDLE) X(HEAD) X(BUSY) X(TUNNEL) X(LINGER) X(CLOSED)

enum conn_state {
#define X(name) CONN_##name,
    CONN_STATES(X)
#undef X
        CONN_STATE_COUNT
};

struct conn {
    uint32_t magic;
    enum conn_state state;
    bool is_processing; /* conn_process is on the stack */
    bool has_address;   /* false: a Unix socket, `peer` is zero */
    struct edge_loop *home;
    struct channel channel;
    struct list node; /* in home->conns */
    struct edge_loop_body body;
    struct timer timer; /* header, idle and linger deadlines */
    struct block *in;   /* received and not yet used up; the head stays here */
    size_t in_len;
    struct http1_head_parser parser;
    struct exchange *exchange; /* owned; in HEAD, BUSY and TUNNEL */
    struct ip_address peer;
    uint16_t peer_port;
    unsigned listener_index;
    struct conn_cap_place cap_place;
    uint64_t head_started_ns; /* first byte of the current head */
    uint64_t linger_left;     /* bytes that are still discarded */
    uint32_t request_count;
};

/* Takes over an accepted descriptor. */
void conn_open(struct edge_loop *home, unsigned listener_index, int fd,
               const struct sock_address *peer);
void conn_close(struct conn *c); /* in any state; may run twice in a turn */

/* The exchange is recorded. `used` bytes of the input belonged to it. */
void conn_exchange_done(struct conn *c, size_t used, bool keeps_alive);
/* Takes bytes of the next request that were read together with the end of a body; false when
 * there is no room for them. */
bool conn_keep_ahead(struct conn *c, struct span bytes);
/* The exchange's 101 was sent: from now on it gets all events. */
void conn_become_tunnel(struct conn *c);

const char *conn_state_name(enum conn_state state);

static inline const struct settings_listener *conn_listener(const struct conn *c,
                                                            const struct settings *s)
{
    return &s->listeners[c->listener_index];
}
