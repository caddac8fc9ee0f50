/* loopback_case.h: what the tests of the request path have in common: one edge, the last answer
 * that a client took and the last request that an upstream took. Each test opens it, `done` ends
 * it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "loopback.h"

#define ROUTE        "routes: [{match: {path: /}, to: app}]\n"
#define APP          "upstreams: {app: {targets: [$0]}}\n" ROUTE
#define OK_ANSWER    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define GET(path)    "GET " path " HTTP/1.1\r\nHost: a.example\r\n\r\n"
#define POST(fields) "POST /p HTTP/1.1\r\nHost: a.example\r\n" fields "\r\n"

static struct loopback lb;
static struct loopback_message answer;
static struct loopback_message request;

static inline int done(void **state)
{
    (void)state;
    loopback_message_done(&answer);
    loopback_message_done(&request);
    loopback_done(&lb);
    return 0;
}
