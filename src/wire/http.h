/* http.h: the vocabulary of HTTP that every protocol version and both sides share.
 *
 * Methods, statuses, field names, and the parsed form of a message head. The one hard thing: a
 * head borrows. All spans of a request or response point into the buffer that was parsed, which
 * its connection keeps in place until the exchange ends.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/span.h"

/* clang-format off: one table, several rows a line. */
/* X(name). Order is the index of the per-method metric labels. METHOD_OTHER is any valid token
 * that is not listed: it is proxied, never retried. */
#define HTTP_METHOD_TABLE(X)                                                                       \
    X(GET) X(HEAD) X(POST) X(PUT) X(DELETE) X(OPTIONS) X(PATCH) X(TRACE) X(CONNECT)

/* clang-format on */

enum http_method {
#define X(name) HTTP_##name,
    HTTP_METHOD_TABLE(X)
#undef X
        HTTP_METHOD_OTHER,
    HTTP_METHOD_COUNT
};

/* Field names that Plimsoll itself reads or writes: X(id, canonical lower-case name, flags).
 * HTTP_HOP_BY_HOP: never forwarded (RFC 9110 section 7.6.1). A new row needs its key in http.c, or
 * that does not compile. */
#define HTTP_NO_FLAGS   0u
#define HTTP_HOP_BY_HOP 1u
#define HTTP_FIELD_TABLE(X)                                                                        \
    X(ACCEPT, "accept", HTTP_NO_FLAGS)                                                             \
    X(AGE, "age", HTTP_NO_FLAGS)                                                                   \
    X(AUTHORIZATION, "authorization", HTTP_NO_FLAGS)                                               \
    X(CACHE_CONTROL, "cache-control", HTTP_NO_FLAGS)                                               \
    X(CONNECTION, "connection", HTTP_HOP_BY_HOP)                                                   \
    X(CONTENT_LENGTH, "content-length", HTTP_NO_FLAGS)                                             \
    X(CONTENT_SECURITY_POLICY, "content-security-policy", HTTP_NO_FLAGS)                           \
    X(CONTENT_TYPE, "content-type", HTTP_NO_FLAGS)                                                 \
    X(COOKIE, "cookie", HTTP_NO_FLAGS)                                                             \
    X(CSP_REPORT_ONLY, "content-security-policy-report-only", HTTP_NO_FLAGS)                       \
    X(CROSS_ORIGIN_OPENER_POLICY, "cross-origin-opener-policy", HTTP_NO_FLAGS)                     \
    X(CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin-resource-policy", HTTP_NO_FLAGS)                 \
    X(DATE, "date", HTTP_NO_FLAGS)                                                                 \
    X(EXPECT, "expect", HTTP_NO_FLAGS)                                                             \
    X(FORWARDED, "forwarded", HTTP_NO_FLAGS)                                                       \
    X(HOST, "host", HTTP_NO_FLAGS)                                                                 \
    X(IDEMPOTENCY_KEY, "idempotency-key", HTTP_NO_FLAGS)                                           \
    X(KEEP_ALIVE, "keep-alive", HTTP_HOP_BY_HOP)                                                   \
    X(LOCATION, "location", HTTP_NO_FLAGS)                                                         \
    X(PERMISSIONS_POLICY, "permissions-policy", HTTP_NO_FLAGS)                                     \
    X(PROXY_AUTHENTICATE, "proxy-authenticate", HTTP_HOP_BY_HOP)                                   \
    X(PROXY_AUTHORIZATION, "proxy-authorization", HTTP_HOP_BY_HOP)                                 \
    X(PROXY_CONNECTION, "proxy-connection", HTTP_HOP_BY_HOP)                                       \
    X(RATELIMIT, "ratelimit", HTTP_NO_FLAGS)                                                       \
    X(RATELIMIT_POLICY, "ratelimit-policy", HTTP_NO_FLAGS)                                         \
    X(REFERRER_POLICY, "referrer-policy", HTTP_NO_FLAGS)                                           \
    X(RETRY_AFTER, "retry-after", HTTP_NO_FLAGS)                                                   \
    X(SEC_WEBSOCKET_ACCEPT, "sec-websocket-accept", HTTP_NO_FLAGS)                                 \
    X(SEC_WEBSOCKET_KEY, "sec-websocket-key", HTTP_NO_FLAGS)                                       \
    X(SEC_WEBSOCKET_VERSION, "sec-websocket-version", HTTP_NO_FLAGS)                               \
    X(SERVER, "server", HTTP_NO_FLAGS)                                                             \
    X(STRICT_TRANSPORT_SECURITY, "strict-transport-security", HTTP_NO_FLAGS)                       \
    X(TE, "te", HTTP_HOP_BY_HOP)                                                                   \
    X(TRACEPARENT, "traceparent", HTTP_NO_FLAGS)                                                   \
    X(TRACESTATE, "tracestate", HTTP_NO_FLAGS)                                                     \
    X(TRAILER, "trailer", HTTP_NO_FLAGS)                                                           \
    X(TRANSFER_ENCODING, "transfer-encoding", HTTP_HOP_BY_HOP)                                     \
    X(UPGRADE, "upgrade", HTTP_HOP_BY_HOP)                                                         \
    X(USER_AGENT, "user-agent", HTTP_NO_FLAGS)                                                     \
    X(VIA, "via", HTTP_NO_FLAGS)                                                                   \
    X(X_CONTENT_TYPE_OPTIONS, "x-content-type-options", HTTP_NO_FLAGS)                             \
    X(X_FORWARDED_FOR, "x-forwarded-for", HTTP_NO_FLAGS)                                           \
    X(X_FORWARDED_HOST, "x-forwarded-host", HTTP_NO_FLAGS)                                         \
    X(X_FORWARDED_PORT, "x-forwarded-port", HTTP_NO_FLAGS)                                         \
    X(X_FORWARDED_PROTO, "x-forwarded-proto", HTTP_NO_FLAGS)                                       \
    X(X_FRAME_OPTIONS, "x-frame-options", HTTP_NO_FLAGS)                                           \
    X(X_POWERED_BY, "x-powered-by", HTTP_NO_FLAGS)                                                 \
    X(X_RATELIMIT_LIMIT, "x-ratelimit-limit", HTTP_NO_FLAGS)                                       \
    X(X_RATELIMIT_REMAINING, "x-ratelimit-remaining", HTTP_NO_FLAGS)                               \
    X(X_RATELIMIT_RESET, "x-ratelimit-reset", HTTP_NO_FLAGS)                                       \
    X(X_REAL_IP, "x-real-ip", HTTP_NO_FLAGS)                                                       \
    X(X_REQUEST_ID, "x-request-id", HTTP_NO_FLAGS)

enum http_field_id {
    HTTP_FIELD_OTHER, /* a name that is not in the table */
#define X(id, name, flags) HTTP_FIELD_##id,
    HTTP_FIELD_TABLE(X)
#undef X
        HTTP_FIELD_COUNT
};

/* One field line. `line` spans the line as received with its CRLF; is_plain says that the line is
 * exactly `name ": " value CRLF`, so that it can be forwarded as a run of received bytes. */
struct http_field {
    struct span name;
    struct span value; /* without surrounding white space */
    struct span line;
    uint16_t id; /* enum http_field_id */
    bool is_plain;
    bool is_dropped; /* hop-by-hop or named by Connection: never forwarded */
};

enum http_body_kind {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,
    HTTP_BODY_CHUNKED,
    HTTP_BODY_UNTIL_CLOSE, /* responses only */
};

/* What requests and responses share. `fields` is caller's storage of `field_max` entries. */
struct http_head {
    struct http_field *fields;
    unsigned field_count;
    unsigned field_max;
    unsigned version_minor; /* HTTP/1.x; 1 for anything from 1 up */
    enum http_body_kind body;
    uint64_t content_length; /* with HTTP_BODY_LENGTH */
    bool is_keep_alive;      /* the sender's wish after version and Connection */
    bool is_upgrade;         /* request: a WebSocket handshake; response: 101 */
    struct span upgrade;     /* value of the Upgrade field, if any */
    bool has_trailer_te;     /* request: TE: trailers */
    size_t head_bytes;       /* length of the head in the buffer, with the empty line */
    /* first occurrence per known id: index + 1 into fields, 0 = absent */
    uint16_t first[HTTP_FIELD_COUNT];
};

enum http_target_form {
    HTTP_TARGET_ORIGIN,    /* /path?query */
    HTTP_TARGET_ABSOLUTE,  /* http://host/path */
    HTTP_TARGET_AUTHORITY, /* host:port, CONNECT only */
    HTTP_TARGET_ASTERISK,  /* *, OPTIONS only */
};

struct http_request {
    struct http_head head;
    enum http_method method;
    struct span method_text;
    struct span target; /* as received */
    enum http_target_form target_form;
    struct span raw_path; /* as received, before '?'; "/" when absolute-form has none */
    struct span query;    /* behind '?', without it; at == NULL when there is no '?' */
    struct span host;     /* lower case is not applied; without port */
    uint32_t port;        /* 0 = none given */
    bool expects_continue;
};

struct http_response {
    struct http_head head;
    unsigned status;
    struct span reason;
};

/* The known field of this id, or NULL. */
static inline const struct http_field *http_head_find(const struct http_head *h,
                                                      enum http_field_id id)
{
    return h->first[id] == 0 ? NULL : &h->fields[h->first[id] - 1];
}

enum http_method http_method_of(struct span token);
const char *http_method_name(enum http_method method); /* "_OTHER" for METHOD_OTHER */
/* RFC 9110 section 9.2.2. */
bool http_method_is_idempotent(enum http_method method);
bool http_method_is_safe(enum http_method method);
/* The reason phrase of RFC 9110 and the IANA registry; "Status" for unknown ones. */
const char *http_status_text(unsigned status);

enum http_field_id http_field_id_of(struct span name); /* case-insensitive */
/* The same, and HTTP_FIELD_COUNT for a name that is a known one but for '_' in place of '-':
 * programs that put fields into variables (CGI, WSGI) cannot tell the two apart. */
unsigned http_field_identify(struct span name);
struct span http_field_name(enum http_field_id id); /* canonical, lower case */
bool http_field_is_hop_by_hop(enum http_field_id id);

/* Whether every byte is a token character (RFC 9110 section 5.6.2) and there is at least one. */
bool http_is_token(struct span s);
/* Whether the comma-separated list has this member, without case; for Connection, TE, ... */
bool http_list_has(struct span list, struct span member);
/* Next member of a comma-separated list, trimmed; false at the end. Empty members are skipped. */
bool http_list_next(struct span *rest, struct span *out);

/* One IMF-fixdate, or delta seconds, as in Retry-After: milliseconds from wall_ns.
 * ERR_INVALID for anything else; a date in the past gives 0. */
err http_parse_retry_after(struct span value, uint64_t wall_ns, uint64_t *out_ms);
