/* config_file.h: reading a whole small file, and where relative paths start.
 *
 * Blocks: a worker or the start of the process.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/buf.h"

struct config_file_info {
    bool is_world_readable;
    unsigned mode; /* permission bits */
};

/* Appends the file to an empty `out`, whose maximum is the limit for the file. Memory is taken
 * once, so a secret leaves no copies behind. ERR_IO, ERR_TOO_LARGE and ERR_NO_MEMORY, each with
 * *why, which names the path. */
err config_file_read(const char *path, struct buf *out, struct config_file_info *info,
                     struct fault *why);

/* The part of a path before its last slash, with the slash; empty when there is none. */
struct span config_file_folder(const char *path);
