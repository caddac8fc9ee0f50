/* tunnel.h: WebSocket connections: bytes both ways after a 101.
 *
 * The tunnel opens only when the client asked in the one valid form and the upstream agreed with a
 * valid 101 (RFC 6455, RFC 9931). What the client sends before that stays here.
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "edge/proxy.h"

/* Whether the request is a valid upgrade; otherwise the failure is set. */
bool tunnel_may_begin(struct exchange *x);
/* The upstream answered 101: WAIT until an end closes; NEXT when the 101 is not valid. */
enum exchange_verdict tunnel_begin(struct proxy *p);
/* Something can be read or written at either end. */
void tunnel_pump(struct proxy *p);
