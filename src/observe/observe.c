/* observe.c: the part's tables.
 *
 * Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "observe/observe.h"

#include "observe/health.h"
#include "observe/machine.h"

const struct part observe_part = {
    .name = "observe", .routes = health_routes, .checks = machine_checks};
