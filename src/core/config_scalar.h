/* config_scalar.h: how single values are written: numbers with units, rates, addresses.
 *
 * Pure; any thread. Also for the values of command-line flags.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/config.h"

/* All: the whole text or ERR_INVALID. */
err config_scalar_int(struct span text, int64_t *out);
err config_scalar_size(struct span text, int64_t *out_bytes);
err config_scalar_duration(struct span text, int64_t *out_ms);
err config_scalar_percent(struct span text, int64_t *out_basis_points);
err config_scalar_rate(struct span text, struct config_rate *out);
/* Form only: whether a host name resolves is not asked. The port of unix: is -1. */
err config_scalar_address(struct span text, int64_t *out_port);

/* The inverse, in the largest unit that divides the value: 5400000 -> "90m". For every type with
 * bounds; a count or a number of bytes of text is a plain number. */
#define CONFIG_SCALAR_TEXT_BYTES 32
void config_scalar_format(enum config_type type, int64_t value, char out[CONFIG_SCALAR_TEXT_BYTES]);

/* What stands in messages and docs; of every type, static storage. */
const char *config_scalar_type_name(enum config_type type); /* "duration" */
const char *config_scalar_form(enum config_type type);      /* "a duration such as 250ms, ..." */
const char *config_scalar_pattern(enum config_type type);   /* ECMA 262 for the schema, or NULL */
