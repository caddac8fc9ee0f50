/* cli.h: the command line.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/part.h"

extern const struct part cli_part;

/* Runs the command that argv names. Returns the exit status: 0 done, 1 failed, 2 wrong usage. */
int cli_main(const struct part *const *parts, int argc, char **argv);
