/* edge_metrics.h: the state of targets, breakers and limits as series.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/metric.h"
#include "core/part.h"

extern const struct metric_desc edge_metrics_table[];
extern const struct metric_desc *const edge_metrics_tables[]; /* all of the part; ends with NULL */

/* Serves the table from the node's edge, which has started, until edge_metrics_end. Control
 * thread; so is whoever scrapes. */
void edge_metrics_collect(struct node *n);
void edge_metrics_end(struct node *n);
