/* websocket.h: the opening handshake of RFC 6455, seen from between the two ends.
 *
 * Bytes after a 101 are a tunnel that no rule of HTTP sees. So the tunnel opens only when the
 * client asked for it in the one valid form and the upstream proved, by the digest of the
 * client's key, that it understood.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "wire/http.h"

#define WEBSOCKET_ACCEPT_BYTES 28 /* base64 of SHA-1 */
/* With 426: the version that is understood (section 4.4). */
#define WEBSOCKET_VERSION SPAN("13")

enum websocket_verdict {
    WEBSOCKET_NONE, /* no upgrade to websocket is asked for */
    WEBSOCKET_VALID,
    WEBSOCKET_BAD_REQUEST, /* asked for in an invalid form: 400 */
    WEBSOCKET_BAD_VERSION, /* 426 with Sec-WebSocket-Version */
};

/* Section 4.2.1: GET, HTTP/1.1, Upgrade has the member "websocket", no body, one key that is the
 * base64 of 16 bytes, version 13. *why (may be NULL) names the rule that is broken. */
enum websocket_verdict websocket_check_request(const struct http_request *request,
                                               struct fault *why);

/* The Sec-WebSocket-Accept that answers this key. */
err websocket_accept_of(struct span key, char out[WEBSOCKET_ACCEPT_BYTES]);

/* Section 4.1: status 101, Upgrade exactly "websocket", Connection with "upgrade", one accept
 * that answers `key`. ERR_BAD_UPSTREAM with the reason in *why (may be NULL). */
err websocket_check_response(struct span key, const struct http_response *response,
                             struct fault *why);
