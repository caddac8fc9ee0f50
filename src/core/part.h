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
struct edge;
struct loop;
struct metric_desc;
struct metric_registry;
struct node;
struct operate;
struct route;
struct worker_pool;

struct check;

struct part {
    const char *name;
    const struct config_key *config;          /* top-level keys; ends with name == NULL */
    const struct metric_desc *const *metrics; /* tables, each ends with name == NULL; then NULL */
    const struct route *routes;               /* of the admin listener; ends with pattern == NULL */
    const struct command *commands;           /* ends with name == NULL */
    const struct check *checks;               /* ends with name == NULL */

    /* Looks for errors of meaning in a configuration without running anything; every error goes
     * into *report. For `plimsoll check`. */
    void (*examine)(struct node *n, struct config *config, struct config_report *report);
    /* All on the main thread, any may be NULL. `start` begins to serve. */
    err (*init)(struct node *n, struct fault *why);
    err (*start)(struct node *n, struct fault *why);
    /* Builds what `next` needs and reports every error; must change nothing that serves. */
    err (*prepare)(struct node *n, struct config *next, struct config_report *report);
    /* After every part prepared without error: put the prepared state to work. Cannot fail. */
    void (*commit)(struct node *n);
    /* Some part failed to prepare: forget it. */
    void (*discard)(struct node *n);
    void (*drain)(struct node *n); /* no new work; part_is_idle tells when all is finished */
    bool (*is_idle)(struct node *n);
    void (*stop)(struct node *n); /* end threads and close sockets now */
    void (*done)(struct node *n); /* free; also after a failed init */
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
    struct edge *edge; /* each part's own state; NULL before its init */
    struct operate *operate;
};

#define PART_TABLES_MAX 32

/* Main thread, in this order; part_stop_all and part_done_all also after a failure. */
err part_init_all(struct node *n, struct fault *why);
err part_start_all(struct node *n, struct fault *why);
void part_drain_all(struct node *n);
bool part_all_idle(struct node *n);
void part_stop_all(struct node *n);
void part_done_all(struct node *n);

/* Lets every part prepare, then all commit; on an error none has changed, and *report says why. */
err part_reload_all(struct node *n, struct config *next, struct config_report *report);

/* The configuration tables of all parts, ended by NULL; returns their number (< max). */
unsigned part_config_tables(const struct part *const *parts, const struct config_key **tables,
                            unsigned max);
