/* config_expand.h: ${NAME} in values.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/buf.h"

/* Appends the text with each ${NAME} replaced by that environment variable; $${ stands for ${.
 * What was inserted is not looked at again. ERR_INVALID with *why (a variable that is not set, a
 * malformed reference), ERR_TOO_LARGE past the buf's maximum, ERR_NO_MEMORY. */
err config_expand(struct span text, struct buf *out, struct fault *why);
bool config_expand_is_needed(struct span text);
