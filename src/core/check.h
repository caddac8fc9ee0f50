/* check.h: what a part says about its own health.
 *
 * Each part brings a table of checks; the health pages walk the tables. Names and statuses are
 * those of the health+json draft (draft-inadarei-api-health-check), so a check's name is
 * "component:measurement".
 *
 * Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/json.h"

struct node;

enum check_status { CHECK_PASS, CHECK_WARN, CHECK_FAIL };

/* LIVE: the process itself works. READY: it can serve. SYSTEM: the machine around it. */
enum check_level { CHECK_LIVE, CHECK_READY, CHECK_SYSTEM };

/* One observation; a check may give several (one for each target, certificate, ...). */
struct check_result {
    struct span component_id; /* empty: none */
    enum check_status status;
    bool has_value;
    double value;
    const char *unit;   /* NULL: none */
    const char *output; /* why it is not a pass; NULL: nothing to say */
};

struct check_sink {
    void (*add)(struct check_sink *sink, const struct check_result *result);
};

struct check {
    const char *name; /* "upstream:targets" */
    const char *type; /* "component", "datastore" or "system" */
    enum check_level level;
    const char *help;
    void (*run)(const struct node *n, struct check_sink *sink);
};
