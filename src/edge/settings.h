/* settings.h: what the edge made of one configuration: an immutable snapshot.
 *
 * A reload builds a new one beside the old; each loop switches to it between two requests, and
 * each exchange pins the one that it began with. The one hard thing: it is shared by all loops, so
 * nothing in it changes but its count and what its members themselves share (upstreams).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdatomic.h>

#include "core/config.h"
#include "core/part.h"
#include "core/sock_address.h"
#include "edge/limits.h"
#include "edge/protections.h"
#include "edge/router.h"
#include "egress/upstream.h"
#include "wire/forwarded.h"
#include "wire/http1.h"
#include "wire/tls_context.h"

extern const struct config_key settings_keys[]; /* settings_keys.c: the edge's configuration */

enum settings_action {
    SETTINGS_UPSTREAM, /* proxy to an upstream */
    SETTINGS_REDIRECT,
    SETTINGS_RESPOND, /* a fixed answer */
    SETTINGS_HANDLER, /* a part's own route */
};

/* An upstream as this snapshot connects to it. */
struct settings_upstream {
    struct upstream *upstream;      /* a reference */
    struct sock_address *addresses; /* of its targets, in their order */
    uint64_t *link_keys;            /* the same for the same upstream and address, for ever */
    struct tls_context *tls;        /* a reference; NULL: plain */
    struct span *server_names;      /* with tls: to ask each target for */
    uint64_t idle_timeout_ms;
    unsigned idle_max;
    unsigned index; /* in settings->upstreams */
};

struct settings_route {
    struct span name; /* for logs and metrics: the configured name, or its match as text */
    enum settings_action action;
    const struct settings_upstream *upstream; /* UPSTREAM */
    unsigned status;                          /* REDIRECT, RESPOND */
    struct span location;                     /* REDIRECT: "{path}" and "{query}" are replaced */
    struct span content_type;                 /* RESPOND */
    struct span body;                         /* RESPOND */
    const struct route *handler;              /* HANDLER */
    const struct protections *protections;    /* the snapshot's, or its own */
    struct protections *own_protections;      /* owned; NULL without */
    uint64_t body_max_bytes;
    uint64_t deadline_ms;      /* from the first byte to the response head, all tries */
    bool keeps_host;           /* the upstream gets the client's Host */
    struct span upstream_host; /* otherwise this */
    struct limits_set limits;  /* beside the global ones */
    /* Rendered "name: value\r\n" lines and the fields that they replace or remove. */
    struct span request_lines;
    struct span response_lines;
    const struct span *request_drops; /* names without an id that are left out */
    unsigned request_drop_count;
    const struct span *response_drops;
    unsigned response_drop_count;
    bool request_id_drops[HTTP_FIELD_COUNT]; /* fields by id that are left out */
    bool response_id_drops[HTTP_FIELD_COUNT];
};

struct settings_listener {
    struct span address_text;
    struct sock_address address;
    struct tls_context *tls; /* a reference; NULL: plain */
    bool is_admin;           /* served by the control loop */
    bool is_control_socket;  /* may use privileged routes */
    bool is_local_admin;     /* admin on a loopback address */
};

struct settings_timeouts {
    uint64_t handshake_ms;
    uint64_t header_ms;      /* first byte to complete head; absolute */
    uint64_t request_ms;     /* first byte to complete body; absolute */
    uint64_t idle_ms;        /* between requests */
    uint64_t stall_ms;       /* without progress while a body or answer is under way */
    uint64_t linger_ms;      /* discarding input after the last answer */
    uint64_t tunnel_idle_ms; /* without a byte either way */
    uint64_t drain_ms;       /* for running requests at shutdown */
};

struct settings {
    atomic_uint refs;
    struct config *config; /* a reference; spans of the configuration point into it */
    struct arena arena;    /* owns what was derived */
    struct settings_listener *listeners;
    unsigned listener_count;
    struct settings_upstream *upstreams;
    unsigned upstream_count;
    struct router *router;
    struct settings_route *routes;
    unsigned route_count;
    struct settings_route no_route;     /* what a request that matches nothing is served by */
    struct settings_route server_route; /* OPTIONS *: asks about the server, not a resource */
    struct protections *protections;
    struct limits_set limits;        /* for every request */
    struct limit_table *limit_table; /* borrowed */
    struct forwarded_trust trust;
    struct http1_limits http1;
    struct settings_timeouts timeouts;
    uint64_t body_rate_min; /* bytes per second */
    uint64_t body_rate_grace_ms;
    unsigned connections_max;
    unsigned connections_per_ip;
    unsigned requests_per_connection;
    bool sends_limit_headers;
    bool logs_access;
};

/* What outlives every snapshot. All borrowed. */
struct settings_options {
    struct node *node;
    struct config *config; /* a reference is taken */
    struct tls_tickets *tickets;
    struct upstream_registry *upstreams;
    struct limit_table *limit_table;
};

/* The snapshot of a configuration for the traffic loops, or with `is_admin` for the control loop:
 * then its listeners are the admin address and the control socket, and its routes are those that
 * the parts bring. On ERR_CONFIG every error is in *report and nothing that serves has changed.
 * Reads files and resolves names: control thread. */
err settings_new(const struct settings_options *options, bool is_admin, struct settings **out,
                 struct config_report *report);
/* Pieces of settings_new, each in a file of its own. */
void settings_routes_build(struct settings *s, const struct settings_options *options,
                           struct config_report *report);
/* The routes that the parts bring, for the control loop. */
void settings_routes_build_admin(struct settings *s, const struct settings_options *options,
                                 struct config_report *report);
void settings_routes_free(struct settings *s);
void settings_upstreams_build(struct settings *s, const struct settings_options *options,
                              struct config_report *report);
void settings_upstreams_free(struct settings *s);
const struct settings_upstream *settings_upstreams_find(const struct settings *s, struct span name);

/* Any thread; the last reference frees. */
struct settings *settings_ref(struct settings *s);
void settings_unref(struct settings *s); /* accepts NULL */
