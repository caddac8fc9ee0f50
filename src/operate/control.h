/* control.h: what the control socket can do: the verbs behind the command line.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "wire/route.h"

extern const struct route control_routes[];
