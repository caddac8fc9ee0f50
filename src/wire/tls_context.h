/* tls_context.h: certificates and rules of a TLS endpoint, immutable once built.
 *
 * A reload builds a new context; sessions keep the one they began with by reference. A server
 * context chooses the certificate by the client's server name before anything else of the hello is
 * judged, so that a ticket of one host is never honoured for another (the CVE-2025-23419 class).
 * Rules: TLS 1.2 and 1.3, Mozilla "intermediate" without DHE, no compression, no renegotiation, no
 * early data.
 *
 * Building reads files: not on a loop. A built context may be used by any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/clock.h"
#include "core/span.h"
#include "wire/tls_tickets.h"

struct tls_context;

/* One certificate chain (leaf first) with its key; both PEM files. */
struct tls_context_source {
    const char *certificate_path;
    const char *key_path; /* may be the same file */
};

struct tls_context_server {
    /* The first is served when no name matches. Names come from the subject alternative names, or
     * the common name when there are none; "*.example.org" matches one label. An exact name wins
     * over a wildcard. Several key types may carry one name; the client's signature algorithms
     * choose. Of two with one name and key type the earlier is used. */
    const struct tls_context_source *sources;
    size_t source_count;
    /* Protocols in order of preference, for example {"h2", "http/1.1"}; none: "http/1.1". */
    const struct span *alpn;
    size_t alpn_count;
    struct tls_tickets *tickets; /* a reference is taken; NULL: no resumption */
    /* Tickets are honoured only by contexts of the same domain and for the same matched name.
     * Give listeners with different rules about clients different domains. */
    struct span domain;
    /* Key files that others may read are refused (group access, as with Debian's ssl-cert, is
     * fine), unless this is set: for secrets mounted by an orchestrator. */
    bool accepts_readable_keys;
    const struct clock *clock; /* to tell which certificates are expired */
};

/* ERR_CONFIG; why->file names the file and why->text what is wrong with it. */
err tls_context_new_server(const struct tls_context_server *options, struct tls_context **out,
                           struct fault *why);

struct tls_context_client {
    bool is_unverified;           /* accept any certificate; for upstreams on a trusted wire */
    const char *ca_path;          /* PEM of trusted issuers; NULL: the system's */
    const char *certificate_path; /* shown to servers that ask; NULL: none */
    const char *key_path;
    bool accepts_readable_keys;
    const struct span *alpn; /* none: no ALPN is offered */
    size_t alpn_count;
    const struct clock *clock;
};

err tls_context_new_client(const struct tls_context_client *options, struct tls_context **out,
                           struct fault *why);

struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context *c); /* accepts NULL */

/* What is served, for health, metrics and people. All borrowed from the context. */
struct tls_context_certificate {
    const char *path;
    struct span subject; /* RFC 2253 form */
    struct span issuer;
    struct span key_type;     /* "RSA 2048", "EC prime256v1", "ED25519" */
    const struct span *names; /* lower case; wildcards as written */
    size_t name_count;
    uint64_t not_before_s; /* since 1970 */
    uint64_t not_after_s;
    struct span fingerprint; /* SHA-256 of the leaf, lower-case hex */
    unsigned chain_length;   /* certificates in the file, the leaf included */
    bool is_chain_broken;    /* one of them is not issued by the one that follows it */
    bool is_expired;         /* when the context was built; so are the next two */
    bool is_not_yet_valid;
    bool is_hidden; /* no name of it is ever chosen, and it is not the first */
};

size_t tls_context_certificate_count(const struct tls_context *c);
const struct tls_context_certificate *tls_context_certificate(const struct tls_context *c,
                                                              size_t index);

/* Whether both hosts (any case, no port) fall under the same matched name: a request for `host` on
 * a connection that asked for `server_name` is misdirected (421) when they do not. */
bool tls_context_is_same_host(const struct tls_context *c, struct span server_name,
                              struct span host);
