/* upstream_config.h: the `upstreams` table of the configuration.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/config.h"
#include "egress/upstream.h"

extern const struct config_key upstream_config_keys[]; /* of one upstream */

/* Beside what the upstream itself needs: how links to it are made and kept. */
struct upstream_config_links {
    bool has_tls;
    bool is_verified;
    struct span ca_path;     /* empty: the system's */
    struct span server_name; /* empty: the host of each target */
    uint64_t idle_timeout_ms;
    unsigned idle_max;
};

/* Reads one entry of the table. `targets` has room for UPSTREAM_TARGETS_MAX. Spans are borrowed
 * from the configuration. Errors of meaning are added to *report. */
void upstream_config_read(const struct config_node *node, struct upstream_target_options *targets,
                          struct upstream_options *options, struct upstream_config_links *links,
                          struct config_report *report);
