/* promtext.h: metrics as Prometheus and OpenMetrics text.
 *
 * One snapshot, two dialects that look alike and are not: text 0.0.4 names counter families with
 * _total and knows no exemplars; OpenMetrics 1.0.0 names them without, wants units, `# EOF`, and
 * takes the whole target down for a detail in the wrong dialect.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/metric_snapshot.h"

enum promtext_format { PROMTEXT_TEXT, PROMTEXT_OPENMETRICS };

/* OpenMetrics only when the Accept value asks for a version of it that we write, and not at q=0. */
enum promtext_format promtext_negotiate(struct span accept);
struct span promtext_content_type(enum promtext_format format);

/* Appends all families that have samples. ERR_TOO_LARGE or ERR_NO_MEMORY of the buf. */
err promtext_render(const struct metric_snapshot *snapshot, enum promtext_format format,
                    struct buf *out);
