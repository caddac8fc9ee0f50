/* loopback.h: a whole serving loop inside one test, with its clients and its upstreams.
 *
 * The edge is real from the listening socket to the connection to the target; clients and
 * upstreams are peers that the test plays. Time stands still until loopback_advance, so timeouts
 * are tested without waiting. Chunks of memory are not kept for reuse: whoever touches an exchange
 * that has ended is caught by the address sanitizer.
 *
 * One thread; the test owns a loopback.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/metric.h"
#include "edge/edge_loop.h"
#include "edge/settings.h"
#include "peer.h"
#include "wire/http1.h"

#define LOOPBACK_UPSTREAMS   3
#define LOOPBACK_CLIENTS_MAX 512
#define LOOPBACK_FIELDS_MAX  128

/* One target. With `answer` it answers each whole request with it, at once. */
struct loopback_upstream {
    struct peer_server server;
    const char *answer; /* NULL: the test answers by hand */
    bool closes;        /* closes behind each answer */
    unsigned requests;  /* whole ones, answered by itself */
};

/* A parsed message; owns its bytes. Zeroed is valid. */
struct loopback_message {
    struct buf head_bytes;
    struct buf body;
    struct http_field fields[LOOPBACK_FIELDS_MAX];
    struct http_request request;
    struct http_response response;
    struct http_head *head; /* of the one that it is */
};

struct loopback {
    struct clock_fake clock;
    struct loop *loop;
    struct node node;
    struct limit_table *limit_table;
    struct conn_cap *cap;
    struct tls_tickets *tickets;
    struct random random;
    struct upstream_registry registry;
    struct settings *settings; /* a reference: of what new requests are served by */
    struct edge_loop *home;
    struct sock_address addresses[8]; /* where it listens */
    struct loopback_upstream upstreams[LOOPBACK_UPSTREAMS];
    struct peer_server dead;   /* refuses connections */
    struct peer_server silent; /* neither takes nor refuses them */
    struct peer *clients[LOOPBACK_CLIENTS_MAX];
    unsigned client_count;
    uint64_t wait_until_ms; /* real time: a test that hangs fails */
};

struct loopback_options {
    const char *yaml;
    bool is_admin;
    unsigned spare_chunks;           /* of memory; 0 finds uses of what is gone */
    const struct part *const *parts; /* NULL: none */
    const char *folder;              /* stands for $dir */
};

/* $0 $1 $2 in the text are the upstreams, $dead is a port that refuses, $silent one that
 * never answers, $dir the folder. Where
 * `listen` is missing it is one plain listener; limits are off where none are given. Listeners
 * get free ports, whatever the text says. */
void loopback_open_with(struct loopback *lb, const struct loopback_options *options);
void loopback_open(struct loopback *lb, const char *yaml);
/* Checks that nothing is under way any more, and frees all. */
void loopback_done(struct loopback *lb);

/* The snapshot of another configuration; faults go to *report when it is not NULL, else fail the
 * test. NULL when refused. The caller's reference. */
struct settings *loopback_settings(struct loopback *lb, const char *yaml,
                                   struct config_report *report);
/* Switches to it as a reload does. */
void loopback_use(struct loopback *lb, const char *yaml);

/* One turn of everybody. */
bool loopback_turn(struct loopback *lb);
/* Turns until nothing moves. */
void loopback_settle(struct loopback *lb);
void loopback_advance(struct loopback *lb, uint64_t ms);
void loopback_begin_wait(struct loopback *lb);
void loopback_wait_turn(struct loopback *lb, const char *condition);
#define LOOPBACK_UNTIL(lb, condition)                                                              \
    for (loopback_begin_wait(lb); !(condition);)                                                   \
    loopback_wait_turn(lb, #condition)

struct peer *loopback_connect(struct loopback *lb);
struct peer *loopback_connect_to(struct loopback *lb, unsigned listener);
/* A client that seems to come from this address; its socket holds few bytes. */
struct peer *loopback_connect_from(struct loopback *lb, const char *address);
struct peer *loopback_connect_tls(struct loopback *lb, unsigned listener,
                                  struct tls_context *context, const char *name);

/* The next whole answer of a request with this method; fails the test when none comes. */
void loopback_answer_to(struct loopback *lb, struct peer *client, enum http_method method,
                        struct loopback_message *out);
void loopback_answer(struct loopback *lb, struct peer *client, struct loopback_message *out);
/* Sends the text and waits for the answer; returns its status. */
unsigned loopback_ask(struct loopback *lb, struct peer *client, const char *text,
                      struct loopback_message *out);
/* The next whole request that the upstream got on its connection `index`. */
struct peer *loopback_request(struct loopback *lb, unsigned upstream, unsigned index,
                              struct loopback_message *out);
void loopback_message_done(struct loopback_message *m);
/* The value of the first field of this name; at == NULL without one. */
struct span loopback_field(const struct loopback_message *m, const char *name);
unsigned loopback_field_count(const struct loopback_message *m, const char *name);
bool loopback_field_is(const struct loopback_message *m, const char *name, const char *value);
bool loopback_body_has(const struct loopback_message *m, const char *text);

struct upstream *loopback_upstream_of(struct loopback *lb, unsigned index);
struct target *loopback_target(struct loopback *lb, unsigned upstream, unsigned index);
struct link_pool_stats loopback_links(const struct loopback *lb);
/* Nothing is under way: no exchange, no block, no target or breaker place is held. */
void loopback_assert_idle(struct loopback *lb);
/* Sum over the series of a counter or gauge of the edge; labels NULL: all. */
uint64_t loopback_metric(struct loopback *lb, const char *name, const char *label);
