/* part.h: how a part of the house introduces itself.
 *
 * main.c holds one visible array of parts and walks it: init, start, and backward stop, done. A
 * part brings its configuration keys, metrics, routes, commands and checks as tables, so that
 * the dashboard, the command line and the documentation show them without knowing the part.
 * core knows the tables' types by name only; whoever uses one includes its header.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/err.h"

struct command;
struct config;
struct config_key;
struct config_report;
struct metric_desc;
struct metric_registry;
struct node;
struct route;
struct worker_pool;

struct part {
    const char *name;
    const struct config_key *config;       /* top-level keys; ends with name == NULL */
    const struct metric_desc *metrics;     /* ends with name == NULL */
    const struct route *routes;            /* of the admin listener; ends with pattern == NULL */
    const struct command *const *commands; /* ends with NULL */

    /* All on the main thread, any may be NULL. `start` begins to serve. */
    err (*init)(struct node *n, struct fault *why);
    err (*start)(struct node *n, struct fault *why);
    /* Builds what `next` needs and reports every error; must change nothing that serves. */
    err (*prepare)(struct node *n, const struct config *next, struct config_report *report);
    /* After every part prepared without error: put the prepared state to work. Cannot fail. */
    void (*commit)(struct node *n);
    /* Some part failed to prepare: forget it. */
    void (*discard)(struct node *n);
    void (*drain)(struct node *n); /* no new work; part_is_idle tells when all is finished */
    bool (*is_idle)(struct node *n);
    void (*stop)(struct node *n);  /* end threads and close sockets now */
    void (*done)(struct node *n);  /* free; also after a failed init */
};

/* The running process: what parts share. Made by main.c, borrowed by all. */
struct node {
    const struct part *const *parts; /* ends with NULL */
    const char *config_path;         /* NULL when configured by flags */
    struct config *config;           /* of the running state; owned (ref) */
    struct loop *control;            /* the control loop, which runs on the main thread */
    struct worker_pool *workers;
    struct metric_registry *metrics;
    const struct clock *clock;
    uint64_t started_wall_ns;
    uint64_t started_mono_ns;
    bool is_draining;
};
