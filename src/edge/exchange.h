/* exchange.h: one request and its answer.
 *
 * Its whole life is the table of steps in exchange.c. A step returns NEXT, WAIT (something else
 * will call exchange_advance) or DONE. The one hard thing: between WAIT and the wake-up the client
 * may go away; exchange_abandon then ends whatever is under way.
 *
 * Belongs to its connection; loop's own thread. All spans point into the connection's input block
 * or the exchange's arena, which both stay until the exchange ends.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "edge/conn.h"
#include "edge/limits.h"
#include "edge/view.h"
#include "wire/http1.h"
#include "wire/tracecontext.h"

#define EXCHANGE_MAGIC      0x65786368u
#define EXCHANGE_FIELDS_MAX 128 /* upper bound of the configured limit */
#define EXCHANGE_ID_MAX     64

enum exchange_verdict { EXCHANGE_NEXT, EXCHANGE_WAIT, EXCHANGE_DONE };

/* The request body: where it stands between the client and whoever takes it. */
struct exchange_body {
    struct http1_body decoder;
    struct span first;   /* payload that arrived with the head; stays in place */
    size_t first_used;   /* input bytes of the connection's block that were body */
    struct block *block; /* room for what comes later; NULL until needed */
    bool is_streamed;    /* something came later: the body cannot be sent again */
    bool is_read_whole;
    uint64_t rate_checked_bytes;
};

/* An answer of our own: set by a step, written by respond. */
struct exchange_answer {
    unsigned status;
    struct span content_type;
    struct span body;
    struct span lines;       /* further "name: value\r\n" lines */
    uint64_t retry_after_ms; /* of an error that is worth trying again; 0 = none */
};

struct proxy;

struct exchange {
    uint32_t magic;
    unsigned step;
    struct list node; /* in home's spares */
    struct edge_loop_body body_in_morgue;
    struct edge_loop *home;
    struct conn *conn; /* NULL once ended */
    struct view *view; /* pinned */
    const struct settings *settings;
    struct arena arena;
    struct timer timer; /* the next of: request deadline, stall, body rate */

    struct http_request request;
    struct span path; /* canonical */
    struct ip_address client;
    struct forwarded_chain chain;
    char client_text[IP_TEXT_MAX];
    size_t client_len;
    bool is_secure; /* the client speaks https, to us or to a trusted proxy */
    char id[EXCHANGE_ID_MAX];
    size_t id_len;
    struct tracecontext trace;                /* our own span in it */
    char trace_text[TRACECONTEXT_TEXT_BYTES]; /* as the upstream gets it */
    unsigned char parent_span_id[8];
    bool has_parent;
    const struct settings_route *route;
    struct router_match match;
    struct limits_outcome limits;
    struct exchange_body body;
    bool keeps_alive; /* the connection may serve another request */

    struct proxy *proxy; /* in the arena; NULL unless dispatched to an upstream */
    struct exchange_answer answer;
    struct buf handler_body; /* owned; what a handler wrote */
    struct flow to_client;
    struct block *head_block; /* rendered response head */
    bool is_head_sent;        /* rendered: the status can no longer change */
    unsigned status;
    err failure; /* why an answer of our own is an error */
    struct fault why;
    uint64_t response_body_bytes;

    uint64_t started_ns; /* first byte of the request */
    uint64_t head_ns;    /* head complete */
    uint64_t dispatched_ns;
    uint64_t answered_ns; /* response head known */

    struct http_field request_fields[EXCHANGE_FIELDS_MAX];
    struct http_field response_fields[EXCHANGE_FIELDS_MAX];
};

/* The hex ids inside trace_text. */
static inline struct span exchange_trace_id(const struct exchange *x)
{
    return span_of(x->trace_text + 3, 32);
}

static inline struct span exchange_span_id(const struct exchange *x)
{
    return span_of(x->trace_text + 36, 16);
}

/* Storage for the next request of the connection; from the loop's spares. */
struct exchange *exchange_new(struct conn *c);
/* The head is parsed (or refused, or late): runs the steps. */
void exchange_start(struct exchange *x, err parsed);
/* Goes on behind the step that waited. */
void exchange_advance(struct exchange *x);
/* The connection is gone: stops all work; recorded as 499. */
void exchange_abandon(struct exchange *x);
/* Gives the storage back before the end of the turn if the exchange has ended. Nobody above the
 * caller may hold it. */
void exchange_recycle(struct exchange *x);

void exchange_on_client_writable(struct exchange *x);
/* False when the exchange does not want input now. */
bool exchange_on_client_readable(struct exchange *x);
void exchange_on_tunnel_event(struct exchange *x);

/* Makes the answer an error of our own; the respond step writes it. */
void exchange_fail(struct exchange *x, enum err_code code, const char *format, ...)
    PRINTF_LIKE(3, 4);

void exchange_free_spares(struct edge_loop *home);
