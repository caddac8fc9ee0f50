/* relay.h: moves the bodies of a proxied exchange, both ways, with bounded memory.
 *
 * Each direction has one block and one flow; a side is read only while the other side's flow is
 * empty. So a stalled reader stops its writer, and nothing grows.
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "edge/proxy.h"

/* Renders the request head and begins to send it with what is here of the body. */
void relay_send_request(struct proxy *p);
/* Goes on sending the request body. */
void relay_pump_request(struct proxy *p);
/* Something came from the target while its response head is awaited. */
void relay_read_head(struct proxy *p);
/* The client can take more of an interim response while the final one is awaited. */
void relay_resume_head(struct proxy *p);
/* Goes on passing the response body; true when the response was passed on whole. Afterwards the
 * exchange may be gone when this returns false: do not touch it without looking at its state. */
bool relay_pump_response(struct proxy *p);
/* Renders the response head and queues it with what is here of the body. */
err relay_queue_response(struct proxy *p);
