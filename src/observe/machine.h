/* machine.h: checks of the machine under us: memory, load, descriptors, disk, the log.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/check.h"

extern const struct check machine_checks[];

#define MACHINE_FILE_BYTES 8192

/* The beginning of a small file of the kernel, NUL-terminated; false when it is not there. Any
 * thread. */
bool machine_read(const char *path, char room[MACHINE_FILE_BYTES]);
