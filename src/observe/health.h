/* health.h: /health/live, /health/ready, /health/system, /api/health and /metrics.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "wire/route.h"

extern const struct route health_routes[];
