/* link.c: opening, lending and keeping connections.
 *
 * The one hard thing: a failed connect must reach the owner outside its own call to link_open, so
 * every outcome comes from the loop. Places (one per target and loop) live as long as the pool;
 * they are few and small. Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "egress/link.h"

#include "core/loop.h"
#include "core/mem.h"

#define LINK_MAGIC 0x6c696e6bu
/* A target closes at its timeout; we stop using a link this much earlier. */
#define LINK_HINT_MARGIN_MS 1000

struct link_place {
    uint64_t key;
    struct list idle; /* most recently used first */
    unsigned idle_count;
    unsigned idle_max;
    uint64_t idle_timeout_ms;
};

struct link_pool {
    struct loop *loop;
    struct link_place **places; /* owned; open addressing by key */
    size_t place_count;
    size_t place_cap;
    struct link_pool_stats stats;
};

struct link_pool *link_pool_new(struct loop *l)
{
    struct link_pool *pool = MEM_NEW(struct link_pool);
    pool->loop = l;
    return pool;
}

static size_t link_place_index(const struct link_pool *pool, uint64_t key)
{
    size_t at = (size_t)(key * 0x9e3779b97f4a7c15u >> 20) & (pool->place_cap - 1);
    while (pool->places[at] != NULL && pool->places[at]->key != key)
        at = (at + 1) & (pool->place_cap - 1);
    return at;
}

static struct link_place *link_find_place(const struct link_pool *pool, uint64_t key)
{
    return pool->place_cap == 0 ? NULL : pool->places[link_place_index(pool, key)];
}

static void link_grow_places(struct link_pool *pool)
{
    struct link_place **old = pool->places;
    size_t old_cap = pool->place_cap;
    pool->place_cap = old_cap == 0 ? 16 : size_mul(old_cap, 2);
    pool->places = mem_alloc(size_mul(pool->place_cap, sizeof(struct link_place *)));
    for (size_t i = 0; i < old_cap; i++)
        if (old[i] != NULL)
            pool->places[link_place_index(pool, old[i]->key)] = old[i];
    mem_free(old);
}

static struct link_place *link_make_place(struct link_pool *pool, const struct link_route *route)
{
    if ((pool->place_count + 1) * 2 > pool->place_cap)
        link_grow_places(pool);
    size_t at = link_place_index(pool, route->key);
    if (pool->places[at] == NULL) {
        pool->places[at] = MEM_NEW(struct link_place);
        pool->places[at]->key = route->key;
        list_init(&pool->places[at]->idle);
        pool->place_count++;
    }
    pool->places[at]->idle_max = route->idle_max;
    pool->places[at]->idle_timeout_ms = route->idle_timeout_ms;
    return pool->places[at];
}

static void link_release(struct link *link)
{
    if (link->state == LINK_IDLE) {
        list_remove(&link->node);
        link->place->idle_count--;
        link->pool->stats.idle--;
    } else {
        link->pool->stats.active--;
    }
    timer_close(link->pool->loop, &link->timer);
    channel_close(&link->channel);
    link->magic = 0;
    mem_free(link);
}

void link_close(struct link *link)
{
    must(link->magic == LINK_MAGIC);
    link_release(link);
}

static void link_opening_failed(struct link *link)
{
    const struct link_owner *ops = link->ops;
    void *owner = link->owner;
    const struct fault *found =
        link->channel.tls == NULL ? NULL : tls_session_fault(link->channel.tls);
    struct fault why = found == NULL ? (struct fault){0} : *found;
    link_release(link);
    ops->opened(owner, NULL, FAIL(UPSTREAM_CONNECT), found == NULL ? NULL : &why);
}

/* Nobody expects anything of an idle link: any event means that it is over. */
static void link_on_event(struct channel *c, unsigned events)
{
    struct link *link = container_of(c, struct link, channel);
    must(link->magic == LINK_MAGIC && link->state != LINK_OPENING);
    if (link->state == LINK_IDLE)
        link_release(link);
    else
        link->ops->event(link->owner, link, events);
}

static void link_opened(struct link *link)
{
    timer_clear(&link->timer);
    link->state = LINK_BUSY;
    link->channel.on_event = link_on_event;
    link->ops->opened(link->owner, link, OK, NULL);
}

/* Drives a TLS handshake; a target that sends data before any request breaks the protocol. */
static void link_on_handshake(struct channel *c, unsigned events)
{
    struct link *link = container_of(c, struct link, channel);
    (void)events;
    char byte;
    size_t got = 0;
    err outcome = channel_read(c, &byte, 1, &got);
    if (!err_is(outcome, ERR_AGAIN))
        link_opening_failed(link);
    else if (channel_is_established(c))
        link_opened(link);
}

static void link_on_connected(struct channel *c, unsigned events)
{
    struct link *link = container_of(c, struct link, channel);
    (void)events;
    if (!err_ok(sock_connect_result(c->sock))) {
        link_opening_failed(link);
        return;
    }
    if (c->tls != NULL) {
        struct sock *sock = c->sock;
        struct tls_session *tls = c->tls;
        channel_init(c, link->pool->loop, sock, tls, link_on_handshake);
        channel_want(c, SOCK_READ);
        return;
    }
    link_opened(link);
}

static void link_on_timer(struct timer *t)
{
    struct link *link = container_of(t, struct link, timer);
    must(link->magic == LINK_MAGIC && link->state != LINK_BUSY);
    if (link->state == LINK_OPENING)
        link_opening_failed(link);
    else
        link_release(link);
}

static void link_on_connecting(void *owner, unsigned events)
{
    struct link *link = owner;
    link_on_connected(&link->channel, events);
}

static err link_make_session(const struct link_route *route, struct tls_session **out)
{
    if (route->tls == NULL) {
        *out = NULL;
        return OK;
    }
    struct tls_session_options options = {.context = route->tls, .server_name = route->server_name};
    return tls_session_new(&options, out);
}

err link_open(struct link_pool *pool, const struct link_route *route, const struct link_owner *ops,
              void *owner, struct link **out)
{
    struct tls_session *tls = NULL;
    TRY(link_make_session(route, &tls));
    struct link *link = MEM_NEW(struct link);
    struct sock *sock = NULL;
    err outcome = sock_connect(pool->loop, route->address, link_on_connecting, link, &sock);
    if (!err_ok(outcome)) {
        tls_session_free(tls);
        mem_free(link);
        return outcome;
    }
    *link = (struct link){.magic = LINK_MAGIC,
                          .state = LINK_OPENING,
                          .channel = {.loop = pool->loop, .sock = sock, .tls = tls},
                          .pool = pool,
                          .place = link_make_place(pool, route),
                          .ops = ops,
                          .owner = owner,
                          .used_count = 1};
    list_init(&link->node);
    timer_init(&link->timer, link_on_timer);
    timer_set(pool->loop, &link->timer, loop_now_ms(pool->loop) + route->connect_timeout_ms);
    if (tls == NULL)
        channel_init(&link->channel, pool->loop, sock, NULL, link_on_connected);
    pool->stats.opened++;
    pool->stats.active++;
    *out = link;
    return OK;
}

struct link *link_take(struct link_pool *pool, uint64_t key, const struct link_owner *ops,
                       void *owner)
{
    struct link_place *place = link_find_place(pool, key);
    struct list *node = place == NULL ? NULL : list_pop_front(&place->idle);
    if (node == NULL)
        return NULL;
    struct link *link = container_of(node, struct link, node);
    must(link->magic == LINK_MAGIC && link->state == LINK_IDLE);
    link->state = LINK_BUSY;
    link->ops = ops;
    link->owner = owner;
    link->used_count++;
    timer_clear(&link->timer);
    place->idle_count--;
    pool->stats.idle--;
    pool->stats.active++;
    pool->stats.reused++;
    return link;
}

void link_give_back(struct link *link, uint64_t hint_ms)
{
    struct link_place *place = link->place;
    struct link_pool *pool = link->pool;
    must(link->magic == LINK_MAGIC && link->state == LINK_BUSY);
    uint64_t keep_ms = place->idle_timeout_ms;
    if (hint_ms > 0 && hint_ms < keep_ms + LINK_HINT_MARGIN_MS)
        keep_ms = hint_ms > LINK_HINT_MARGIN_MS ? hint_ms - LINK_HINT_MARGIN_MS : 0;
    if (place->idle_count >= place->idle_max || keep_ms == 0 || channel_has_more(&link->channel)) {
        link_release(link);
        return;
    }
    link->state = LINK_IDLE;
    link->owner = NULL;
    list_push_front(&place->idle, &link->node);
    place->idle_count++;
    pool->stats.active--;
    pool->stats.idle++;
    channel_want(&link->channel, SOCK_READ);
    timer_set(pool->loop, &link->timer, loop_now_ms(pool->loop) + keep_ms);
}

static void link_drop_idle(struct link_place *place)
{
    while (!list_is_empty(&place->idle))
        link_release(container_of(place->idle.next, struct link, node));
}

void link_forget(struct link_pool *pool, uint64_t key)
{
    struct link_place *place = link_find_place(pool, key);
    if (place != NULL)
        link_drop_idle(place);
}

void link_pool_free(struct link_pool *pool)
{
    if (pool == NULL)
        return;
    for (size_t i = 0; i < pool->place_cap; i++) {
        if (pool->places[i] == NULL)
            continue;
        link_drop_idle(pool->places[i]);
        mem_free(pool->places[i]);
    }
    must(pool->stats.active == 0);
    mem_free(pool->places);
    mem_free(pool);
}

void link_pool_stats(const struct link_pool *pool, struct link_pool_stats *out)
{
    *out = pool->stats;
}
