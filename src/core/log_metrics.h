/* log_metrics.h: what the log tells about itself, as metrics.
 *
 * Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/metric.h"

extern const struct metric_desc log_metrics_table[];

/* Registers the table and serves it out of log_stats at each scrape. */
void log_metrics_collect(struct metric_registry *registry);
