/* protections.h: the security headers that every response gets.
 *
 * The one hard thing is not to harm: a default must not break an ordinary application, and it
 * must not replace a stricter policy of the application by a weaker one of ours. So a default
 * steps back where the application sends the header itself; docs and configuration can say
 * otherwise for each header. The reasons for each default stand in protections.c.
 *
 * Rendered once and immutable; protections_write: any thread, no lock, no allocation.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/span.h"
#include "wire/http.h"

enum protections_header {
    PROTECTIONS_CSP,
    PROTECTIONS_HSTS, /* on TLS only (RFC 6797 section 7.2) */
    PROTECTIONS_FRAME,
    PROTECTIONS_NOSNIFF,
    PROTECTIONS_REFERRER,
    PROTECTIONS_PERMISSIONS,
    PROTECTIONS_OPENER,
    PROTECTIONS_RESOURCE,
    PROTECTIONS_HEADER_COUNT
};

/* One row for each header, then one for each removal. Configuration keys and the reference page
 * are made from it. */
struct protections_row {
    const char *name;     /* as in documents: "Content-Security-Policy" */
    const char *key;      /* in the configuration: "content_security_policy" */
    const char *fallback; /* the default value; of a removal "remove" */
    enum http_field_id field;
    bool does_app_win; /* by default */
    bool is_tls_only;
    const char *help;
};

enum { PROTECTIONS_REMOVE_SERVER, PROTECTIONS_REMOVE_POWERED_BY, PROTECTIONS_REMOVE_COUNT };
#define PROTECTIONS_ROW_COUNT (PROTECTIONS_HEADER_COUNT + PROTECTIONS_REMOVE_COUNT)

extern const struct protections_row protections_table[PROTECTIONS_ROW_COUNT];

struct protections_option {
    struct span value; /* borrowed until protections_new returns */
    bool is_on;        /* off: the application's own header passes, none is added */
    bool does_app_win; /* the application's own header stays; otherwise ours replaces it */
};

/* Starts as protections_defaults. To override for one route: copy the struct and change it. */
struct protections_options {
    struct protections_option headers[PROTECTIONS_HEADER_COUNT];
    bool is_csp_report_only; /* Content-Security-Policy-Report-Only in place of the enforcing one */
    bool removes[PROTECTIONS_REMOVE_COUNT];
};

struct protections;

void protections_defaults(struct protections_options *out);

/* What a user wrote replaces the application's header, as nothing less was asked for; who wants
 * the application to win sets does_app_win afterwards. */
void protections_set(struct protections_option *option, struct span value);

/* ERR_INVALID with the reason in *why (may be NULL) for a value that is empty, longer than
 * PROTECTIONS_VALUE_BYTES_MAX, has bytes other than visible ASCII and inner spaces, or is none of
 * the values that its header knows. */
#define PROTECTIONS_VALUE_BYTES_MAX 4096
err protections_new(const struct protections_options *options, struct protections **out,
                    struct fault *why);
void protections_free(struct protections *p); /* accepts NULL */

/* Checks one value as protections_new does. */
err protections_check(enum protections_header header, struct span value, struct fault *why);

/* The most that protections_write writes. */
size_t protections_bytes_max(const struct protections *p);

/* Writes "name: value\r\n" lines and returns their bytes; cap >= protections_bytes_max(p).
 * is_tls: the client speaks https, to us or to a trusted proxy. upstream: the head of the
 * application's response, whose headers are looked at; NULL for an answer of our own. */
size_t protections_write(const struct protections *p, bool is_tls, const struct http_head *upstream,
                         char *out, size_t cap);

/* Whether the application's field is left out, because ours replaces it or it is removed. */
bool protections_drops(const struct protections *p, enum http_field_id field);
