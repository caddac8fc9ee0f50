/* respond.h: answers that Plimsoll makes itself: redirects, fixed texts, handlers, errors.
 *
 * The dispatch functions prepare x->answer; respond_own writes it. Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "edge/exchange.h"

enum exchange_verdict respond_redirect(struct exchange *x);
enum exchange_verdict respond_fixed(struct exchange *x);
enum exchange_verdict respond_handler(struct exchange *x);

/* Renders x->answer, or the problem that x->failure is, and sends it. */
enum exchange_verdict respond_own(struct exchange *x);

void respond_on_writable(struct exchange *x);
bool respond_on_readable(struct exchange *x);
