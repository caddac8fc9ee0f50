/* err_table.h: every outcome that a fallible function can return, in one table.
 *
 * X(name, HTTP status that a client gets, retryable, text). The HTTP status is what the edge
 * answers when this error ends a request; docs and problem types are generated from the rows.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#define ERR_TABLE(X)                                                                               \
    X(NONE, 200, false, "no error")                                                                \
    X(INVALID, 400, false, "the input is not valid")                                               \
    X(BAD_REQUEST, 400, false, "the request is malformed")                                         \
    X(UNAUTHENTICATED, 401, false, "the caller is not known")                                      \
    X(FORBIDDEN, 403, false, "the caller may not do this")                                         \
    X(NOT_FOUND, 404, false, "there is nothing here")                                              \
    X(METHOD_NOT_ALLOWED, 405, false, "the method is not allowed here")                            \
    X(REQUEST_TIMEOUT, 408, false, "the request did not arrive in time")                           \
    X(CONFLICT, 409, false, "the state does not allow this")                                       \
    X(BODY_TOO_LARGE, 413, false, "the request body is larger than the limit")                     \
    X(URI_TOO_LONG, 414, false, "the request target is longer than the limit")                     \
    X(EXPECTATION_FAILED, 417, false, "the expectation cannot be met")                             \
    X(MISDIRECTED, 421, false, "this host is not served on this connection")                       \
    X(RATE_LIMITED, 429, true, "too many requests")                                                \
    X(HEADERS_TOO_LARGE, 431, false, "the header section is larger than the limit")                \
    X(INTERNAL, 500, false, "the server failed")                                                   \
    X(NOT_IMPLEMENTED, 501, false, "the method or transfer coding is not implemented")             \
    X(BAD_UPSTREAM, 502, true, "the upstream answered with an invalid response")                   \
    X(UPSTREAM_CLOSED, 502, true, "the upstream closed the connection before it answered")         \
    X(UPSTREAM_CONNECT, 502, true, "no connection to the upstream could be made")                  \
    X(NO_UPSTREAM, 503, true, "no target of the upstream is available")                            \
    X(BREAKER_OPEN, 503, true, "the circuit breaker of the upstream is open")                      \
    X(OVERLOADED, 503, true, "the server is at its limit")                                         \
    X(DRAINING, 503, true, "the server is shutting down")                                          \
    X(UPSTREAM_TIMEOUT, 504, true, "the upstream did not answer in time")                          \
    X(VERSION, 505, false, "the HTTP version is not supported")                                    \
    X(TOO_LARGE, 500, false, "a size limit was reached")                                           \
    X(NO_MEMORY, 503, true, "there is not enough memory")                                          \
    X(IO, 500, false, "an input or output operation failed")                                       \
    X(AGAIN, 500, true, "the operation would block")                                               \
    X(CLOSED, 500, false, "the other side closed")                                                 \
    X(TLS, 500, false, "the TLS layer failed")                                                     \
    X(CONFIG, 500, false, "the configuration is not valid")
