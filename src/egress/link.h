/* link.h: connections to targets, kept alive between requests.
 *
 * One pool a loop; a link serves one exchange at a time and then waits in its target's place.
 * The one hard thing: an idle link may be closed by the target at any moment. Idle links are
 * watched, so a close is seen at once; what is left is the race that retries cover.
 *
 *          link_open          opened(OK)            link_give_back
 *   (new) ----------> OPENING ----------> BUSY -------------------> IDLE
 *                        |                 ^  \                      |  |
 *          opened(error) |       link_take |   \ link_close          |  | closed, spoke, or timed
 * out v                 +----\--------------------+  v (gone)                    +---------------->
 * (gone)
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/list.h"
#include "core/timer.h"
#include "egress/channel.h"

struct link;
struct link_pool;

/* How an owner hears of its link. */
struct link_owner {
    /* Once after link_open: OK, or UPSTREAM_CONNECT and the link is gone. Never inside link_open.
     * `why` is what TLS failed of, during the call; NULL where nothing more is known. */
    void (*opened)(void *owner, struct link *link, err outcome, const struct fault *why);
    /* Events of the channel, SOCK_*. */
    void (*event)(void *owner, struct link *link, unsigned events);
};

enum link_state { LINK_OPENING, LINK_BUSY, LINK_IDLE };

struct link {
    uint32_t magic;
    enum link_state state;
    struct channel channel;
    struct link_pool *pool;
    struct link_place *place;
    const struct link_owner *ops;
    void *owner;         /* borrowed while OPENING or BUSY */
    struct timer timer;  /* connect deadline, idle deadline */
    struct list node;    /* in the place's idle list */
    uint32_t used_count; /* exchanges so far; > 1 means that a failure may be a stale connection */
};

/* Where and how to connect. All borrowed for the call, `key` identifies the target for ever, also
 * after it is gone. */
struct link_route {
    uint64_t key;
    const struct sock_address *address;
    struct tls_context *tls; /* NULL: plain */
    struct span server_name; /* with tls */
    uint64_t connect_timeout_ms;
    uint64_t idle_timeout_ms;
    unsigned idle_max; /* kept per loop */
};

struct link_pool *link_pool_new(struct loop *l);
void link_pool_free(struct link_pool *pool); /* closes idle links; no other may exist */

/* The most recently used idle link of this target, or NULL. It becomes the owner's. */
struct link *link_take(struct link_pool *pool, uint64_t key, const struct link_owner *ops,
                       void *owner);
/* Begins to connect. OK: `opened` will be called. ERR_UPSTREAM_CONNECT at once, ERR_INVALID for a
 * bad server name. */
err link_open(struct link_pool *pool, const struct link_route *route, const struct link_owner *ops,
              void *owner, struct link **out);
/* The exchange is over and both sides may go on. hint_ms: the target's Keep-Alive timeout, 0 when
 * it gave none. */
void link_give_back(struct link *link, uint64_t hint_ms);
void link_close(struct link *link); /* in any state; no callback follows */

/* Closes the idle links of one target, for example when it drains. */
void link_forget(struct link_pool *pool, uint64_t key);

struct link_pool_stats {
    uint64_t opened; /* connections begun since the start */
    uint64_t reused; /* taken from idle */
    unsigned idle;
    unsigned active;
};
void link_pool_stats(const struct link_pool *pool, struct link_pool_stats *out);
