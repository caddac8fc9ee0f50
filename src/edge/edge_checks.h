/* edge_checks.h: what the edge says about its own health.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/check.h"

extern const struct check edge_checks_table[];
