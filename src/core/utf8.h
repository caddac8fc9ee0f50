/* utf8.h: whether bytes are UTF-8.
 *
 * The one hard thing: "valid" means RFC 3629, so no overlong forms, no surrogates, nothing past
 * U+10FFFF; a lenient reader behind us would otherwise see other text than we checked.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/span.h"

/* Bytes of the sequence that s starts with (1 to 4), or 0 when it is not valid or s is empty. */
unsigned utf8_sequence(struct span s);

bool utf8_is_valid(struct span s);

/* The first max_bytes of s, or up to 3 fewer so as not to cut through a sequence. */
struct span utf8_prefix(struct span s, size_t max_bytes);
