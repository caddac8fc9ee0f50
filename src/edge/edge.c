/* edge.c: starts the loops, swaps their snapshots, and ends them.
 *
 * The one hard thing: a loop's edge_loop may be touched by its own thread only while that thread
 * runs. So snapshots and drains travel by mailbox, and what the control thread wants to know
 * comes back in atomics.
 *
 * Control thread, unless said otherwise.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/edge.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mailbox.h"
#include "core/mem.h"
#include "edge/access.h"
#include "edge/edge_checks.h"
#include "edge/edge_loop.h"
#include "edge/edge_metrics.h"
#include "edge/edge_probes.h"
#include "edge/listener.h"
#include "edge/view.h"
#include "egress/upstream.h"

#define EDGE_BACKLOG      4096
#define EDGE_SPARE_CHUNKS 256
#define EDGE_IP_CELLS     65536
#define EDGE_SOCKET_MODE  0600

/* One traffic loop and its thread. */
struct edge_lane {
    struct loop *loop;
    struct edge_loop *home;
    int *fds; /* owned array; -1 = none: listening sockets until listener_open takes them */
    char name[16];
    atomic_uint connections, requests, tunnels;
    struct loop_hook publish;
};

struct edge {
    struct node *node;
    struct limit_table *limit_table;
    struct conn_cap *cap;
    struct tls_tickets *tickets;
    struct upstream_registry registry;
    struct breaker_observer observer;
    struct random random;
    struct edge_lane *lanes;
    unsigned lane_count;
    struct edge_loop *admin;
    int admin_fds[2];
    struct settings *settings;
    struct settings *admin_settings;
    struct settings *next;
    struct settings *admin_next;
    struct prober *prober; /* from start on */
    bool is_started;
};

/* ---- messages to lanes ---- */

struct edge_order {
    struct message message;
    struct edge_loop *home;
    struct settings *settings; /* a reference; NULL: drain */
};

static void edge_obey(struct message *m)
{
    struct edge_order *order = container_of(m, struct edge_order, message);
    if (order->settings == NULL) {
        edge_loop_drain(order->home);
    } else {
        edge_loop_use(order->home, order->settings);
        settings_unref(order->settings);
    }
    mem_free(order);
}

static void edge_tell(const struct edge_lane *lane, struct settings *settings)
{
    struct edge_order *order = MEM_NEW(struct edge_order);
    order->message.run = edge_obey;
    order->home = lane->home;
    order->settings = settings == NULL ? NULL : settings_ref(settings);
    mailbox_post(lane->loop, &order->message);
}

static void edge_publish(struct loop_hook *hook)
{
    struct edge_lane *lane = container_of(hook, struct edge_lane, publish);
    atomic_store_explicit(&lane->connections, lane->home->conn_count, memory_order_relaxed);
    atomic_store_explicit(&lane->requests, lane->home->exchange_count, memory_order_relaxed);
    atomic_store_explicit(&lane->tunnels, lane->home->tunnel_count, memory_order_relaxed);
}

/* ---- breakers speak ---- */

static void edge_breaker_changed(struct breaker_observer *self, const struct breaker_change *change)
{
    struct log_line l;
    (void)self;
    log_begin(&l, change->to == BREAKER_OPEN ? LOG_WARN : LOG_INFO, "breaker_changed");
    log_str(&l, "upstream", change->breaker->name);
    log_text(&l, "from", breaker_state_text(change->from));
    log_text(&l, "to", breaker_state_text(change->to));
    if (change->to == BREAKER_OPEN)
        log_u64(&l, "probes_after_ms", change->retry_after_ms);
    log_end(&l);
}

/* ---- start ---- */

static err edge_listen(const struct settings_listener *l, bool is_first, int *out_fd,
                       struct fault *why)
{
    bool is_unix = l->address.any.sa_family == AF_UNIX;
    struct sock_listen_options options = {.backlog = EDGE_BACKLOG,
                                          .is_shared = !l->is_admin,
                                          .unix_mode =
                                              l->is_control_socket ? EDGE_SOCKET_MODE : 0666};
    if (is_unix && !is_first) {
        *out_fd = -1;
        return OK;
    }
    if (options.is_shared && is_first && !is_unix) {
        /* With SO_REUSEPORT alone, a second Plimsoll of the same user would silently take half
         * of the connections; a plain bind first tells that the address is in use. */
        struct sock_listen_options alone = options;
        alone.is_shared = false;
        int probe = -1;
        TRY(sock_listen(&l->address, &alone, &probe, why));
        (void)close(probe);
    }
    return sock_listen(&l->address, &options, out_fd, why);
}

static err edge_make_lane(struct edge *e, unsigned index, struct fault *why)
{
    struct edge_lane *lane = &e->lanes[index];
    unsigned count = e->settings->listener_count;
    (void)snprintf(lane->name, sizeof lane->name, "edge-%u", index);
    lane->fds = mem_alloc(size_mul(count, sizeof(int)));
    for (unsigned i = 0; i < count; i++)
        lane->fds[i] = -1;
    for (unsigned i = 0; i < count; i++)
        TRY(edge_listen(&e->settings->listeners[i], index == 0, &lane->fds[i], why));
    lane->loop = loop_new(&(struct loop_options){.name = lane->name,
                                                 .index = index,
                                                 .clock = e->node->clock,
                                                 .spare_chunks = EDGE_SPARE_CHUNKS});
    struct edge_loop_options options = {
        .loop = lane->loop, .node = e->node, .settings = e->settings, .cap = e->cap};
    lane->home = edge_loop_new(&options);
    lane->publish.run = edge_publish;
    loop_add_hook(lane->loop, &lane->publish);
    return OK;
}

static void edge_options(struct edge *e, struct config *config, struct settings_options *out)
{
    *out = (struct settings_options){.node = e->node,
                                     .config = config,
                                     .tickets = e->tickets,
                                     .upstreams = &e->registry,
                                     .limit_table = e->limit_table};
}

static err edge_build(struct edge *e, struct config *config, struct config_report *report)
{
    struct settings_options options;
    edge_options(e, config, &options);
    TRY(settings_new(&options, false, &e->next, report));
    err outcome = settings_new(&options, true, &e->admin_next, report);
    if (!err_ok(outcome)) {
        settings_unref(e->next);
        e->next = NULL;
    }
    return outcome;
}

static err edge_first_settings(struct edge *e, struct fault *why)
{
    struct config_report *report = MEM_NEW(struct config_report);
    err outcome = edge_build(e, e->node->config, report);
    if (!err_ok(outcome) && report->count > 0)
        *why = report->faults[0];
    mem_free(report);
    TRY(outcome);
    e->settings = e->next;
    e->admin_settings = e->admin_next;
    e->next = e->admin_next = NULL;
    return OK;
}

static unsigned edge_wanted_lanes(const struct config_node *root)
{
    int64_t wanted = config_int(root, "threads");
    long processors = wanted > 0 ? (long)wanted : sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 1 ? 1 : (unsigned)processors;
}

static err edge_make_admin(struct edge *e, struct fault *why)
{
    for (unsigned i = 0; i < e->admin_settings->listener_count; i++)
        TRY(edge_listen(&e->admin_settings->listeners[i], true, &e->admin_fds[i], why));
    struct edge_loop_options options = {.loop = e->node->control,
                                        .node = e->node,
                                        .settings = e->admin_settings,
                                        .cap = e->cap,
                                        .is_admin = true};
    e->admin = edge_loop_new(&options);
    return OK;
}

static err edge_init(struct node *n, struct fault *why)
{
    struct edge *e = MEM_NEW(struct edge);
    const struct config_node *root = config_root(n->config);
    n->edge = e;
    e->node = n;
    e->admin_fds[0] = e->admin_fds[1] = -1;
    random_init(&e->random);
    e->observer.changed = edge_breaker_changed;
    upstream_registry_init(&e->registry, &e->observer, &e->random);
    e->cap = conn_cap_new(EDGE_IP_CELLS);
    TRY(limit_table_new((size_t)config_int(root, "limit_keys"), &e->limit_table));
    TRY(tls_tickets_new(n->clock, &e->tickets));
    TRY(edge_first_settings(e, why));
    TRY(edge_make_admin(e, why));
    e->lane_count = edge_wanted_lanes(root);
    e->lanes = mem_alloc(size_mul(e->lane_count, sizeof *e->lanes));
    for (unsigned i = 0; i < e->lane_count; i++)
        TRY(edge_make_lane(e, i, why));
    return OK;
}

static void edge_start_checks(struct edge *e)
{
    struct prober_options options = {.loop = e->node->control,
                                     .random = loop_random(e->node->control),
                                     .metrics = e->node->metrics};
    e->prober = prober_new(&options);
    edge_probes_use(e->prober, e->settings);
    edge_metrics_collect(e->node);
}

static err edge_start(struct node *n, struct fault *why)
{
    struct edge *e = n->edge;
    (void)why;
    for (unsigned i = 0; i < e->lane_count; i++) {
        struct edge_lane *lane = &e->lanes[i];
        for (unsigned k = 0; k < e->settings->listener_count; k++) {
            if (lane->fds[k] >= 0)
                listener_open(lane->home, k, lane->fds[k]);
            lane->fds[k] = -1;
        }
        loop_start_thread(lane->loop);
    }
    for (unsigned i = 0; i < e->admin_settings->listener_count; i++) {
        listener_open(e->admin, i, e->admin_fds[i]);
        e->admin_fds[i] = -1;
    }
    e->is_started = true;
    edge_start_checks(e);
    return OK;
}

/* ---- reload ---- */

static void edge_discard(struct node *n)
{
    struct edge *e = n->edge;
    settings_unref(e->next);
    settings_unref(e->admin_next);
    e->next = e->admin_next = NULL;
}

static bool edge_same_listeners(const struct settings *a, const struct settings *b)
{
    if (a->listener_count != b->listener_count)
        return false;
    for (unsigned i = 0; i < a->listener_count; i++)
        if (!sock_address_equal(&a->listeners[i].address, &b->listeners[i].address))
            return false;
    return true;
}

static err edge_prepare(struct node *n, struct config *next, struct config_report *report)
{
    struct edge *e = n->edge;
    const struct config_node *root = config_root(next);
    TRY(edge_build(e, next, report));
    /* Blocks were sized at the start; a larger head would not fit into them. */
    e->next->http1.head_bytes = e->settings->http1.head_bytes;
    e->admin_next->http1.head_bytes = e->admin_settings->http1.head_bytes;
    /* Connections know their listener by its place in the list. */
    err outcome = OK;
    if (!edge_same_listeners(e->settings, e->next))
        outcome = config_fault(config_child(root, "listen"), report,
                               "other addresses than the running ones need a restart");
    if (!edge_same_listeners(e->admin_settings, e->admin_next))
        outcome = config_fault(config_child(root, "admin"), report,
                               "other addresses than the running ones need a restart");
    if (!err_ok(outcome))
        edge_discard(n);
    return outcome;
}

static void edge_commit(struct node *n)
{
    struct edge *e = n->edge;
    for (unsigned i = 0; i < e->lane_count; i++)
        edge_tell(&e->lanes[i], e->next);
    edge_loop_use(e->admin, e->admin_next);
    settings_unref(e->settings);
    settings_unref(e->admin_settings);
    e->settings = e->next;
    e->admin_settings = e->admin_next;
    e->next = e->admin_next = NULL;
    edge_probes_use(e->prober, e->settings);
    upstream_registry_sweep(&e->registry);
}

/* Builds a snapshot as a start would, with state of its own, and drops it. */
static void edge_examine(struct node *n, struct config *config, struct config_report *report)
{
    struct edge e = {.node = n};
    random_init(&e.random);
    upstream_registry_init(&e.registry, NULL, &e.random);
    if (err_ok(tls_tickets_new(n->clock, &e.tickets)))
        (void)err_ok(edge_build(&e, config, report));
    settings_unref(e.next);
    settings_unref(e.admin_next);
    upstream_registry_done(&e.registry);
    tls_tickets_unref(e.tickets);
    random_done(&e.random);
}

/* ---- end ---- */

static void edge_drain(struct node *n)
{
    struct edge *e = n->edge;
    for (unsigned i = 0; i < e->lane_count; i++)
        edge_tell(&e->lanes[i], NULL);
}

static bool edge_is_idle(struct node *n)
{
    struct edge_totals totals;
    if (n->edge == NULL)
        return true;
    edge_totals(n, &totals);
    return totals.connections == 0;
}

static void edge_stop(struct node *n)
{
    struct edge *e = n->edge;
    if (e == NULL || !e->is_started)
        return;
    for (unsigned i = 0; i < e->lane_count; i++)
        loop_stop(e->lanes[i].loop);
    for (unsigned i = 0; i < e->lane_count; i++)
        loop_join(e->lanes[i].loop);
}

static void edge_close_fd(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

static void edge_free_lane(struct edge *e, struct edge_lane *lane)
{
    for (unsigned i = 0; lane->fds != NULL && i < e->settings->listener_count; i++)
        edge_close_fd(lane->fds[i]);
    mem_free(lane->fds);
    if (lane->loop != NULL) {
        /* Orders that came too late still hold references. */
        loop_turn(lane->loop, false);
        loop_remove_hook(&lane->publish);
    }
    edge_loop_free(lane->home);
    loop_free(lane->loop);
}

static void edge_remove_socket_files(const struct settings *s)
{
    for (unsigned i = 0; i < s->listener_count; i++)
        if (s->listeners[i].address.any.sa_family == AF_UNIX)
            (void)unlink(s->listeners[i].address.un.sun_path);
}

static void edge_done(struct node *n)
{
    struct edge *e = n->edge;
    if (e == NULL)
        return;
    for (unsigned i = 0; e->lanes != NULL && i < e->lane_count; i++)
        edge_free_lane(e, &e->lanes[i]);
    mem_free(e->lanes);
    if (e->prober != NULL)
        edge_metrics_end(n);
    prober_free(e->prober);
    edge_loop_free(e->admin);
    edge_close_fd(e->admin_fds[0]);
    edge_close_fd(e->admin_fds[1]);
    if (e->is_started) {
        edge_remove_socket_files(e->settings);
        edge_remove_socket_files(e->admin_settings);
    }
    settings_unref(e->settings);
    settings_unref(e->admin_settings);
    upstream_registry_done(&e->registry);
    tls_tickets_unref(e->tickets);
    limit_table_free(e->limit_table);
    conn_cap_free(e->cap);
    random_done(&e->random);
    n->edge = NULL;
    mem_free(e);
}

/* ---- what others ask ---- */

const struct settings *edge_settings(const struct node *n)
{
    return n->edge->settings;
}

unsigned edge_loop_count(const struct node *n)
{
    return n->edge->lane_count;
}

void edge_totals(const struct node *n, struct edge_totals *out)
{
    const struct edge *e = n->edge;
    *out = (struct edge_totals){0};
    for (unsigned i = 0; i < e->lane_count; i++) {
        out->connections += atomic_load_explicit(&e->lanes[i].connections, memory_order_relaxed);
        out->requests += atomic_load_explicit(&e->lanes[i].requests, memory_order_relaxed);
        out->tunnels += atomic_load_explicit(&e->lanes[i].tunnels, memory_order_relaxed);
    }
}

void edge_limit_stats(const struct node *n, struct limit_table_stats *out)
{
    limit_table_stats(n->edge->limit_table, out);
}

const struct part edge_part = {.name = "edge",
                               .config = settings_keys,
                               .metrics = edge_metrics_tables,
                               .checks = edge_checks_table,
                               .examine = edge_examine,
                               .init = edge_init,
                               .start = edge_start,
                               .prepare = edge_prepare,
                               .commit = edge_commit,
                               .discard = edge_discard,
                               .drain = edge_drain,
                               .is_idle = edge_is_idle,
                               .stop = edge_stop,
                               .done = edge_done};
