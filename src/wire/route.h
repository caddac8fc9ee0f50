/* route.h: how a part answers requests, without knowing the server.
 *
 * A part is `call in, call out` plus a constant table of routes; main.c hands the tables to the
 * router. The one hard thing: a handler runs on the control loop and must return at once.
 *
 * A call belongs to its exchange; a handler may use it until it returns.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/arena.h"
#include "core/buf.h"
#include "wire/http.h"

struct node;

#define ROUTE_PARAM_MAX 8

struct route_param {
    struct span name;
    struct span value;
};

/* One request to a handler, and its answer. */
struct call {
    struct node *node;
    struct arena *arena;                /* lives until the answer is sent */
    const struct http_request *request; /* borrowed */
    struct span path;                   /* canonical */
    struct span body;                   /* whole; limited by the listener */
    struct span request_id;
    struct route_param params[ROUTE_PARAM_MAX];
    unsigned param_count;
    uint64_t now_ms; /* monotonic */
    uint64_t wall_ns;

    unsigned status;           /* starts as 200 */
    struct span content_type;  /* starts as application/json */
    struct buf answer;         /* starts empty; its maximum is the listener's */
    struct span allow;         /* with 405: the Allow field */
    struct span cache_control; /* starts as no-store */
};

/* OK: `c` holds the answer. Otherwise the error becomes a problem document; `why` may say more. */
typedef err (*route_handler)(struct call *c, struct fault *why);

#define ROUTE_PRIVILEGED 1u /* changes the running process: control socket only */

struct route {
    enum http_method method;
    unsigned flags;
    const char *pattern; /* "/api/admin/targets/{upstream}"; a trailing "*" takes the rest */
    route_handler handle;
    const char *help;
};

/* The value of a path parameter; must exist in the pattern. */
struct span route_param(const struct call *c, const char *name);
/* A query parameter, percent-decoded into the call's arena; false when absent. */
bool route_query(const struct call *c, const char *name, struct span *out);
