/* cli_client.h: one request to the control socket.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/buf.h"

struct part;

/* Which process to talk to. Either may be NULL. */
struct cli_client_where {
    const char *socket_path;
    const char *config_path;
};

/* An answer. The body is the caller's: buf_done. */
struct cli_client_answer {
    unsigned status;
    struct buf body;
};

/* Sends `method path` and reads the answer. ERR_IO when nobody answers, with a message for people
 * in *why. Blocks. */
err cli_client_call(const struct part *const *parts, const struct cli_client_where *where,
                    const char *method, const char *path, struct cli_client_answer *out,
                    struct fault *why);
