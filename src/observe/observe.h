/* observe.h: the part that judges: health pages and the metrics page.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/part.h"

extern const struct part observe_part;
