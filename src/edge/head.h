/* head.h: writes the heads that leave: requests to upstreams, responses to clients.
 *
 * Every message is serialised anew from what was parsed. The one hard thing is to do so without
 * touching each byte: field lines that were received in the one plain form are copied in runs.
 *
 * Pure over the exchange; loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "edge/proxy.h"

/* Bytes that a head may gain over the received one: our own lines. Blocks have this much more
 * room than the configured head limit. */
#define HEAD_OWN_BYTES 8192
/* Of those, what the configuration may take: protections, limits and header lines of a route. */
#define HEAD_CONFIGURED_BYTES 6144

/* The request for the upstream into out[0..cap). HEADERS_TOO_LARGE when it does not fit. */
err head_write_request(struct exchange *x, const struct settings_upstream *upstream,
                       const struct head_framing *framing, char *out, size_t cap, size_t *out_len);

/* The answer for the client, from the upstream's response, or from x->answer when `response` is
 * NULL. BAD_UPSTREAM when it does not fit. */
err head_write_response(struct exchange *x, const struct http_response *response,
                        const struct head_framing *framing, char *out, size_t cap, size_t *out_len);

/* An interim (1xx) response as it is passed on. */
err head_write_interim(struct exchange *x, const struct http_response *response, char *out,
                       size_t cap, size_t *out_len);
