/* pages.h: the pages of the admin listener, for browsers.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "wire/route.h"

extern const struct route pages_routes[];
