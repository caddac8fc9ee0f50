/* assets.h: the files of assets/, put into the program when it is built (cmake/embed.cmake).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/span.h"

struct assets_file {
    struct span name; /* "page.js"; at == NULL ends the table */
    struct span content_type;
    struct span content;
};

extern const struct assets_file assets_files[];
