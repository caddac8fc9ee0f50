/* overall.h: one word for the state of the whole, and what it rests on.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/json.h"
#include "core/part.h"

/* X(name, text), best first. */
#define OVERALL_TABLE(X)                                                                           \
    X(OK, "ok")                                                                                    \
    X(DEGRADED, "degraded") /* it serves, but something is wrong */                                \
    X(DOWN, "down")         /* it cannot serve */                                                  \
    X(DRAINING, "draining") /* it shuts down */

enum overall {
#define X(name, text) OVERALL_##name,
    OVERALL_TABLE(X)
#undef X
};

const char *overall_text(enum overall state);

/* Runs the checks of all parts and writes an object: the state, and a finding for each check that
 * did not pass. Control thread. */
void overall_write(struct json *j, const struct node *n);
