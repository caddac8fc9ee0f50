/* dashboard.h: the part that shows the running process to people with a browser.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/part.h"

extern const struct part dashboard_part;
