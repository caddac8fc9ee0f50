/* edge.h: the part that serves traffic: its loops, listeners and snapshots.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/part.h"
#include "edge/settings.h"

extern const struct part edge_part;

struct edge;

/* Control thread. The snapshot that new requests are served by; borrowed until the next commit. */
const struct settings *edge_settings(const struct node *n);
unsigned edge_loop_count(const struct node *n);

struct edge_totals {
    unsigned connections;
    unsigned requests; /* running */
    unsigned tunnels;
};
void edge_totals(const struct node *n, struct edge_totals *out);

/* All 429s and the keys behind them. */
struct limit_table_stats;
void edge_limit_stats(const struct node *n, struct limit_table_stats *out);
