/* metric_reference.h: the documentation of metrics out of their tables.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/metric.h"

/* Appends one Markdown section: a heading and a row a metric of the tables, which end with NULL.
 * Errors of the buf. */
err metric_reference_write(struct buf *out, struct span heading,
                           const struct metric_desc *const *tables);
