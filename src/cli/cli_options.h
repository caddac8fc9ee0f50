/* cli_options.h: reading flags.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdbool.h>

/* One flag. A value goes to value[0], the next of the same flag to value[1], up to value_max. */
struct cli_options_flag {
    const char *name;   /* "--config" */
    const char **value; /* NULL: a switch */
    unsigned value_max;
    unsigned count; /* times seen */
};

/* Reads argv[1..]; what is no flag is moved to argv[1], argv[2] ... and counted in *out_words.
 * "--name=value" works as well. False after telling on stderr what is wrong. `flags` ends with
 * name == NULL. */
bool cli_options_read(int argc, char **argv, struct cli_options_flag *flags, int *out_words);

/* Tells on stderr that the command was called wrongly; returns the exit status for that. */
int cli_options_wrong_usage(const char *command);
