/* redact.h: what of a query is not written into logs.
 *
 * Sign-in links, password resets and signed addresses carry their secret in the query, and logs are
 * kept for months and read by many. So the values of parameters whose names speak of a secret are
 * replaced; names stay, because they tell what the request was.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/put.h"

/* Writes the query with "REDACTED" for the values of secret parameters. False, with nothing
 * written, when it has none and can be shown as it is. */
bool redact_query(struct span query, struct put *out);
