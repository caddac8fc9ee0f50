/* machine.h: checks of the machine under us: memory, load, descriptors, disk, the log.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/check.h"

extern const struct check machine_checks[];
