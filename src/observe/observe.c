/* observe.c: the part's tables.
 *
 * Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "observe/observe.h"

#include "observe/health.h"
#include "observe/machine.h"
#include "observe/process.h"

static err observe_init(struct node *n, struct fault *why)
{
    (void)why;
    process_metrics_collect(n);
    return OK;
}

const struct part observe_part = {.name = "observe",
                                  .metrics = process_metric_tables,
                                  .routes = health_routes,
                                  .checks = machine_checks,
                                  .init = observe_init};
