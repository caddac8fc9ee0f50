/* operate.h: the control plane: the running process, reload, drain, and the control socket's verbs.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/config.h"
#include "core/part.h"
#include "core/span.h"

extern const struct part operate_part;

/* Where the configuration comes from: a file, or text that flags were turned into. */
struct operate_source {
    const char *path; /* NULL: text */
    struct span text;
};

/* Loads the file again and swaps, or changes nothing. ERR_CONFLICT when there is no file.
 * *out_restart_keys: how many changed keys wait for a restart. Control thread. */
err operate_reload(struct node *n, struct config_report *report, unsigned *out_restart_keys);

struct recent;
/* The last minutes of this process. Control thread, while the part is up. */
struct recent *operate_recent(const struct node *n);

/* Runs the process until a signal ends it. Returns the exit status; errors go to stderr.
 * The main thread, before any other exists. */
int operate_serve(const struct part *const *parts, const struct operate_source *source);
