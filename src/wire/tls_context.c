/* tls_context.c: the rules of an endpoint, as OpenSSL objects.
 *
 * The one hard thing is the order of a handshake: the certificate, and with it the security domain
 * of tickets, must be chosen before OpenSSL looks at a ticket. So the server name is read in the
 * hello callback, which runs before all else, and not in the server name callback, which runs
 * after resumption was decided. Shared by reference, immutable; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/tls_context.h"

#include <openssl/err.h>

#include "core/mem.h"
#include "wire/tls_priv.h"

/* Mozilla "intermediate", version 5.7, without its DHE suites: they let a client spend our CPU
 * cheaply (CVE-2002-20001), and every client that knows them knows ECDHE. */
static const char tls_context_ciphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char tls_context_suites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

#define TLS_CONTEXT_SECURITY_LEVEL 2 /* 112 bits: no RSA under 2048, no SHA-1 signatures */
#define TLS_CONTEXT_TICKET_S       (24 * 3600)
#define TLS_CONTEXT_TEXTS_MAX      (8u * 1024 * 1024) /* per certificate file of 1 MiB */
#define TLS_CONTEXT_ALPN_MAX       255

static err tls_context_failed(struct fault *why, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    ERR_clear_error();
    return fault_set(why, ERR_CONFIG, "TLS: %s%s%s", what, reason == NULL ? "" : ": ",
                     reason == NULL ? "" : reason);
}

/* ---- while a server's handshake runs ---- */

/* The host_name of the extension (RFC 6066 section 3): a list of one entry, type 0. */
static err tls_context_parse_server_name(const unsigned char *bytes, size_t len, struct span *out)
{
    if (len < 5 || (size_t)(bytes[0] << 8 | bytes[1]) != len - 2 || bytes[2] != 0 ||
        (size_t)(bytes[3] << 8 | bytes[4]) != len - 5)
        return FAIL(INVALID);
    *out = span_of((const char *)bytes + 5, len - 5);
    return OK;
}

static int tls_context_on_hello(SSL *ssl, int *out_alert, void *arg)
{
    struct tls_context *c = OBJ(tls_context, TLS_CONTEXT_MAGIC, arg);
    const unsigned char *bytes;
    size_t len;
    char name[TLS_HOSTS_NAME_MAX];
    struct span raw;
    size_t name_len = 0;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &len) == 1) {
        *out_alert = SSL_AD_DECODE_ERROR;
        if (!err_ok(tls_context_parse_server_name(bytes, len, &raw)))
            return SSL_CLIENT_HELLO_ERROR;
        *out_alert = SSL_AD_UNRECOGNIZED_NAME;
        if (!err_ok(tls_hosts_normalise(raw, name, &name_len)))
            return SSL_CLIENT_HELLO_ERROR;
    }
    const struct tls_host *host = tls_hosts_find(&c->hosts, span_of(name, name_len));
    *out_alert = SSL_AD_INTERNAL_ERROR;
    if (SSL_set_session_id_context(ssl, host->domain, sizeof host->domain) != 1)
        return SSL_CLIENT_HELLO_ERROR;
    if (host->choice.ssl != SSL_get_SSL_CTX(ssl) && SSL_set_SSL_CTX(ssl, host->choice.ssl) == NULL)
        return SSL_CLIENT_HELLO_ERROR;
    tls_session_on_hello(ssl, span_of(name, name_len));
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* Our order decides. A client that offers protocols and knows none of ours is refused
 * (RFC 7301 section 3.2): going on would make two sides guess. */
static int tls_context_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                               const unsigned char *offered, unsigned offered_len, void *arg)
{
    const struct tls_context *c = OBJ(tls_context, TLS_CONTEXT_MAGIC, arg);
    (void)ssl;
    for (size_t i = 0; i < c->alpn.len; i += 1u + (unsigned char)c->alpn.at[i]) {
        struct span ours = span_of(c->alpn.at + i, 1u + (unsigned char)c->alpn.at[i]);
        for (unsigned at = 0; at < offered_len; at += 1u + offered[at]) {
            unsigned len = 1u + offered[at];
            if (len > offered_len - at)
                break;
            if (span_eq(ours, span_of((const char *)offered + at, len))) {
                *out = offered + at + 1;
                *out_len = offered[at];
                return SSL_TLSEXT_ERR_OK;
            }
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- building ---- */

static struct tls_context *tls_context_alloc(bool is_server, size_t certificate_count)
{
    struct tls_context *c = MEM_NEW(struct tls_context);
    c->magic = TLS_CONTEXT_MAGIC;
    c->is_server = is_server;
    atomic_init(&c->refs, 1);
    c->certificates = mem_alloc(size_mul(size_add(certificate_count, 1), sizeof *c->certificates));
    arena_init(&c->texts, NULL, size_mul(certificate_count + 1, TLS_CONTEXT_TEXTS_MAX));
    c->pipe_method = tls_pipe_method();
    must(c->pipe_method != NULL);
    return c;
}

static void tls_context_free(struct tls_context *c)
{
    for (size_t i = 0; i < c->other_count; i++)
        SSL_CTX_free(c->others[i]);
    mem_free(c->others);
    SSL_CTX_free(c->first);
    tls_hosts_done(&c->hosts);
    for (size_t i = 0; i < c->certificate_count; i++)
        tls_certificate_done(&c->certificates[i]);
    mem_free(c->certificates);
    tls_tickets_unref(c->tickets);
    BIO_meth_free(c->pipe_method);
    arena_done(&c->texts);
    c->magic = 0;
    mem_free(c);
}

static err tls_context_set_alpn(struct tls_context *c, const struct span *names, size_t count,
                                struct fault *why)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (names[i].len == 0 || names[i].len > TLS_CONTEXT_ALPN_MAX)
            return fault_set(why, ERR_CONFIG, "ALPN: a protocol name has 1 to 255 bytes");
        total = size_add(total, names[i].len + 1);
    }
    char *wire = arena_alloc(&c->texts, total);
    c->alpn = span_of(wire, total);
    for (size_t i = 0; i < count; i++) {
        *wire++ = (char)names[i].len;
        memcpy(wire, names[i].at, names[i].len);
        wire += names[i].len;
    }
    return OK;
}

/* What servers and clients have in common. NULL when OpenSSL refuses. */
static SSL_CTX *tls_context_new_ssl(struct tls_context *c)
{
    char groups[] = "X25519:P-256:P-384"; /* OpenSSL's macro takes a char pointer */
    SSL_CTX *ssl = SSL_CTX_new(c->is_server ? TLS_server_method() : TLS_client_method());
    if (ssl == NULL)
        return NULL;
    SSL_CTX_set_app_data(ssl, c);
    SSL_CTX_set_security_level(ssl, TLS_CONTEXT_SECURITY_LEVEL);
    (void)SSL_CTX_clear_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_read_ahead(ssl, 0); /* the pipe has no system calls to save */
    SSL_CTX_set_info_callback(ssl, tls_session_on_info);
    SSL_CTX_set_msg_callback(ssl, tls_session_on_message);
    if (SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
        SSL_CTX_set_cipher_list(ssl, tls_context_ciphers) == 1 &&
        SSL_CTX_set_ciphersuites(ssl, tls_context_suites) == 1 &&
        SSL_CTX_set1_groups_list(ssl, groups) == 1)
        return ssl;
    SSL_CTX_free(ssl);
    return NULL;
}

static SSL_CTX *tls_context_new_server_ssl(struct tls_context *c)
{
    SSL_CTX *ssl = tls_context_new_ssl(c);
    if (ssl == NULL)
        return NULL;
    (void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_timeout(ssl, TLS_CONTEXT_TICKET_S);
    (void)SSL_CTX_set_max_early_data(ssl, 0); /* 0-RTT can be replayed */
    SSL_CTX_set_client_hello_cb(ssl, tls_context_on_hello, c);
    SSL_CTX_set_alpn_select_cb(ssl, tls_context_on_alpn, c);
    if (c->tickets == NULL) {
        (void)SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
        (void)SSL_CTX_set_num_tickets(ssl, 0);
    } else {
        (void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, tls_tickets_callback);
    }
    return ssl;
}

static err tls_context_use(SSL_CTX *ssl, const struct tls_certificate *certificate,
                           struct fault *why)
{
    ERR_clear_error();
    if (SSL_CTX_use_cert_and_key(ssl, certificate->leaf, certificate->key, certificate->chain, 1) ==
        1)
        return OK;
    return tls_certificate_fault(why, certificate->about.path, "cannot be used");
}

/* The SSL_CTX with these certificates: one that another host has, or a new one. */
static err tls_context_ssl_of(struct tls_context *c, size_t host_index, struct fault *why)
{
    struct tls_choice *choice = &c->hosts.all[host_index].choice;
    for (size_t h = 0; h < host_index; h++) {
        const struct tls_choice *other = &c->hosts.all[h].choice;
        if (other->count == choice->count &&
            memcmp(other->certificates, choice->certificates,
                   choice->count * sizeof choice->certificates[0]) == 0) {
            choice->ssl = other->ssl;
            return OK;
        }
    }
    SSL_CTX *ssl = tls_context_new_server_ssl(c);
    if (ssl == NULL)
        return tls_context_failed(why, "a context cannot be made");
    /* Owned by the context from here on, also when what follows fails. */
    if (host_index == 0)
        c->first = ssl;
    else
        c->others[c->other_count++] = ssl;
    choice->ssl = ssl;
    for (size_t i = 0; i < choice->count; i++)
        TRY(tls_context_use(ssl, &c->certificates[choice->certificates[i]], why));
    return OK;
}

static void tls_context_judge(struct tls_context_certificate *about, const struct clock *clock)
{
    uint64_t now_s = clock_wall_ns(clock) / 1000000000u;
    about->is_expired = now_s > about->not_after_s;
    about->is_not_yet_valid = now_s < about->not_before_s;
}

static err tls_context_load(struct tls_context *c, const struct tls_context_source *source,
                            bool accepts_readable_keys, const struct clock *clock,
                            struct fault *why)
{
    struct tls_certificate *certificate = &c->certificates[c->certificate_count++];
    TRY(tls_certificate_load(source, accepts_readable_keys, &c->texts, certificate, why));
    tls_context_judge(&certificate->about, clock);
    return OK;
}

static err tls_context_build_server(struct tls_context *c, const struct tls_context_server *o,
                                    struct fault *why)
{
    static const struct span http1 = SPAN_INIT("http/1.1");
    for (size_t i = 0; i < o->source_count; i++)
        TRY(tls_context_load(c, &o->sources[i], o->accepts_readable_keys, o->clock, why));
    TRY(tls_context_set_alpn(c, o->alpn_count == 0 ? &http1 : o->alpn,
                             o->alpn_count == 0 ? 1 : o->alpn_count, why));
    c->tickets = o->tickets == NULL ? NULL : tls_tickets_ref(o->tickets);
    tls_hosts_init(&c->hosts, c->certificates, c->certificate_count, o->domain);
    c->others = mem_alloc(size_mul(c->hosts.count, sizeof(SSL_CTX *)));
    for (size_t i = 0; i < c->hosts.count; i++)
        TRY(tls_context_ssl_of(c, i, why));
    return OK;
}

err tls_context_new_server(const struct tls_context_server *options, struct tls_context **out,
                           struct fault *why)
{
    if (options->source_count == 0)
        return fault_set(why, ERR_CONFIG, "TLS: a listener needs a certificate");
    struct tls_context *c = tls_context_alloc(true, options->source_count);
    err outcome = tls_context_build_server(c, options, why);
    if (!err_ok(outcome)) {
        tls_context_free(c);
        return outcome;
    }
    *out = c;
    return OK;
}

static err tls_context_trust(SSL_CTX *ssl, const struct tls_context_client *o, struct fault *why)
{
    ERR_clear_error();
    if (o->ca_path == NULL)
        return SSL_CTX_set_default_verify_paths(ssl) == 1
                   ? OK
                   : tls_context_failed(why, "the system's certificate authorities");
    if (SSL_CTX_load_verify_file(ssl, o->ca_path) == 1)
        return OK;
    return tls_certificate_fault(why, o->ca_path, "cannot be used as a list of trusted issuers");
}

static err tls_context_build_client(struct tls_context *c, const struct tls_context_client *o,
                                    struct fault *why)
{
    c->first = tls_context_new_ssl(c);
    if (c->first == NULL)
        return tls_context_failed(why, "a context cannot be made");
    (void)SSL_CTX_set_session_cache_mode(c->first,
                                         SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c->first, tls_session_on_ticket);
    SSL_CTX_set_verify(c->first, o->is_unverified ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (!o->is_unverified)
        TRY(tls_context_trust(c->first, o, why));
    if (o->certificate_path != NULL) {
        struct tls_context_source source = {.certificate_path = o->certificate_path,
                                            .key_path = o->key_path == NULL ? o->certificate_path
                                                                            : o->key_path};
        TRY(tls_context_load(c, &source, o->accepts_readable_keys, o->clock, why));
        TRY(tls_context_use(c->first, &c->certificates[0], why));
    }
    TRY(tls_context_set_alpn(c, o->alpn, o->alpn_count, why));
    /* This function alone returns 0 when it did well. */
    if (c->alpn.len > 0 && SSL_CTX_set_alpn_protos(c->first, (const unsigned char *)c->alpn.at,
                                                   (unsigned)c->alpn.len) != 0)
        return tls_context_failed(why, "ALPN");
    return OK;
}

err tls_context_new_client(const struct tls_context_client *options, struct tls_context **out,
                           struct fault *why)
{
    struct tls_context *c = tls_context_alloc(false, 1);
    c->is_unverified = options->is_unverified;
    err outcome = tls_context_build_client(c, options, why);
    if (!err_ok(outcome)) {
        tls_context_free(c);
        return outcome;
    }
    *out = c;
    return OK;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
    must(c->magic == TLS_CONTEXT_MAGIC);
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void tls_context_unref(struct tls_context *c)
{
    if (c == NULL)
        return;
    must(c->magic == TLS_CONTEXT_MAGIC);
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        tls_context_free(c);
}

size_t tls_context_certificate_count(const struct tls_context *c)
{
    return c->certificate_count;
}

const struct tls_context_certificate *tls_context_certificate(const struct tls_context *c,
                                                              size_t index)
{
    must(index < c->certificate_count);
    return &c->certificates[index].about;
}

static const struct tls_host *tls_context_host(const struct tls_context *c, struct span name)
{
    char text[TLS_HOSTS_NAME_MAX];
    size_t len = 0;
    if (!err_ok(tls_hosts_normalise(name, text, &len)))
        return &c->hosts.all[0];
    return tls_hosts_find(&c->hosts, span_of(text, len));
}

bool tls_context_is_same_host(const struct tls_context *c, struct span server_name,
                              struct span host)
{
    must(c->is_server);
    return tls_context_host(c, server_name) == tls_context_host(c, host);
}
