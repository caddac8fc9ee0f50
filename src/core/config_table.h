/* config_table.h: the rows of config_key themselves: counting, finding, and whether they are sound.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/config.h"

unsigned config_table_count(const struct config_key *keys);
/* Index of the row with this name, or the count. */
unsigned config_table_index(const struct config_key *keys, struct span name);
bool config_table_is_name(struct span name); /* [A-Za-z0-9._-], 1 to CONFIG_NAME_BYTES_MAX */

/* What somebody who wrote `found` may have meant: the most similar name, or NULL when none is. */
const char *config_table_near_key(const struct config_key *keys, struct span found);
const char *config_table_near_choice(const char *const *choices, struct span found);

/* The bounds of a row in words, "from 1s to 1h"; "" without bounds. For a container they count
 * entries, for a text bytes, for an address ports. */
#define CONFIG_TABLE_RANGE_BYTES 96
void config_table_range(const struct config_key *row, char out[CONFIG_TABLE_RANGE_BYTES]);
/* Whether the row's bounds, or without them its type's, admit the value. */
bool config_table_admits(const struct config_key *row, enum config_type type, int64_t value);

/* Whether every row can work: names, help, choices, keys, bounds, and a fallback and an example
 * that the loader accepts. For the test of each part. ERR_INVALID with *why. */
err config_table_validate(const struct config_key *const *tables, struct fault *why);

/* Appends "name: text" as YAML, the lines of a longer text indented below the name. */
err config_table_write_entry(struct buf *yaml, const char *name, const char *text);
