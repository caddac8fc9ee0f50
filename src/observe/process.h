/* process.h: this process as series, by the names that every Prometheus client gives them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/metric.h"
#include "core/part.h"

extern const struct metric_desc process_metrics[];
extern const struct metric_desc *const process_metric_tables[]; /* ends with NULL */

/* How many file descriptors are open; false when the kernel does not tell. Any thread. */
bool process_descriptors(unsigned *out);

/* Serves the table for the life of the registry; the node is asked for its start only. */
void process_metrics_collect(struct node *n);
