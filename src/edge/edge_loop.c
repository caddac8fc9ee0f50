/* edge_loop.c: what a serving loop owns, and the end of its objects.
 *
 * Loop's own thread, except new and free.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/edge_loop.h"

#include "core/mem.h"
#include "edge/access.h"
#include "edge/conn.h"
#include "edge/exchange.h"
#include "edge/head.h"
#include "edge/listener.h"

#define EDGE_LOOP_BLOCKS_SPARE 512

static void edge_loop_bury_all(struct edge_loop *home)
{
    for (struct list *node = list_pop_front(&home->morgue); node != NULL;
         node = list_pop_front(&home->morgue)) {
        struct edge_loop_body *body = container_of(node, struct edge_loop_body, node);
        body->bury(home, body);
    }
}

static void edge_loop_turn_end(struct loop_hook *hook)
{
    struct edge_loop *home = container_of(hook, struct edge_loop, turn_end);
    edge_loop_bury_all(home);
    access_turn_end(home);
}

struct edge_loop *edge_loop_new(const struct edge_loop_options *options)
{
    struct edge_loop *home = MEM_NEW(struct edge_loop);
    home->magic = EDGE_LOOP_MAGIC;
    home->loop = options->loop;
    home->node = options->node;
    home->cap = options->cap;
    home->is_admin = options->is_admin;
    list_init(&home->listeners);
    list_init(&home->conns);
    list_init(&home->spare_exchanges);
    list_init(&home->morgue);
    block_pool_init(&home->blocks, options->settings->http1.head_bytes + HEAD_OWN_BYTES,
                    EDGE_LOOP_BLOCKS_SPARE);
    home->links = link_pool_new(options->loop);
    home->shard = metric_shard_new(options->node->metrics);
    home->access = access_new(home);
    home->view = view_new(options->settings);
    home->turn_end.run = edge_loop_turn_end;
    loop_add_hook(options->loop, &home->turn_end);
    return home;
}

static void edge_loop_close_listeners(struct edge_loop *home)
{
    while (!list_is_empty(&home->listeners))
        listener_close(container_of(home->listeners.next, struct listener, node));
}

void edge_loop_free(struct edge_loop *home)
{
    if (home == NULL)
        return;
    must(home->magic == EDGE_LOOP_MAGIC);
    edge_loop_close_listeners(home);
    while (!list_is_empty(&home->conns))
        conn_close(container_of(home->conns.next, struct conn, node));
    edge_loop_bury_all(home);
    must(home->conn_count == 0 && home->exchange_count == 0);
    exchange_free_spares(home);
    loop_remove_hook(&home->turn_end);
    link_pool_free(home->links);
    view_unpin(home->view);
    access_free(home->access);
    metric_shard_end(home->shard);
    block_pool_done(&home->blocks);
    home->magic = 0;
    mem_free(home);
}

void edge_loop_end(struct edge_loop *home, struct edge_loop_body *body)
{
    list_push_back(&home->morgue, &body->node);
}

void edge_loop_use(struct edge_loop *home, struct settings *settings)
{
    struct view *before = home->view;
    home->view = view_new(settings);
    view_unpin(before);
}

void edge_loop_drain(struct edge_loop *home)
{
    home->is_draining = true;
    edge_loop_close_listeners(home);
    list_each_safe (node, next, &home->conns) {
        struct conn *c = container_of(node, struct conn, node);
        if (c->state == CONN_IDLE)
            conn_close(c);
    }
}
