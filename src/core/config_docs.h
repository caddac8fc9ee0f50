/* config_docs.h: the reference page and the JSON Schema, written from the tables.
 *
 * Pure; any thread. Both: ERR_TOO_LARGE past the buf's maximum, ERR_NO_MEMORY. The same tables give
 * the same bytes, so a test can compare them with the files in docs/.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/config.h"

/* Markdown: how values are written, then a section for each group with a row for each key. */
err config_docs_reference(const struct config_key *const *tables, struct buf *out);
/* JSON Schema, draft 2020-12, indented, for editors. What it refuses the loader refuses too. */
err config_docs_schema(const struct config_key *const *tables, struct buf *out);
