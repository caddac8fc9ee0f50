/* dashboard.c: the part's tables.
 *
 * Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "dashboard/dashboard.h"

#include "dashboard/pages.h"

const struct part dashboard_part = {.name = "dashboard", .routes = pages_routes};
