/* signals.h: signals as events of a loop.
 *
 * All threads block the signals; one descriptor delivers them to the control loop, so no code of
 * ours ever runs inside a signal handler.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/err.h"

struct loop;
struct signals;

/* Blocks HUP, INT and TERM in the calling thread and in all that it starts later, and ignores
 * PIPE. Call first in main. */
void signals_block(void);

/* Delivers them to `on_signal` on the loop. ERR_IO. */
err signals_open(struct loop *l, void (*on_signal)(void *ctx, int number), void *ctx,
                 struct signals **out, struct fault *why);
void signals_close(struct signals *s); /* accepts NULL */
