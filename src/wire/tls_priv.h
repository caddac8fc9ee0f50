/* tls_priv.h: what the TLS files of this part share with one another and with nobody else.
 *
 * tls_certificate loads files, tls_hosts chooses by name, tls_context ties them to SSL_CTX objects,
 * tls_pipe is the BIO, tls_session runs a connection. Only these files see OpenSSL.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <openssl/ssl.h>
#include <stdatomic.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/map.h"
#include "wire/tls_context.h"
#include "wire/tls_session.h"

/* ---- tls_certificate.c ---- */

struct tls_certificate {
    struct tls_context_certificate about; /* texts live in the arena of the context */
    X509 *leaf;
    STACK_OF(X509) * chain; /* without the leaf */
    EVP_PKEY *key;
    int key_kind; /* EVP_PKEY_RSA, EVP_PKEY_EC, ... */
};

/* ERR_CONFIG with the file in *why. On failure *out is ready for done. */
err tls_certificate_load(const struct tls_context_source *source, bool accepts_readable_keys,
                         struct arena *texts, struct tls_certificate *out, struct fault *why);
void tls_certificate_done(struct tls_certificate *certificate);
/* Fills `why` with the file, a text and the reason that OpenSSL gave last, if any. */
err tls_certificate_fault(struct fault *why, const char *path, const char *text);

/* ---- tls_hosts.c ---- */

#define TLS_HOSTS_KEY_KINDS    4   /* certificates of different key types under one name */
#define TLS_HOSTS_NAME_MAX     255 /* RFC 1035 section 2.3.4 */
#define TLS_HOSTS_DOMAIN_BYTES 32  /* SSL_MAX_SID_CTX_LENGTH */

/* A set of certificates, of which the client's signature algorithms choose. */
struct tls_choice {
    size_t certificates[TLS_HOSTS_KEY_KINDS]; /* indices, ascending */
    size_t count;
    SSL_CTX *ssl; /* owned by the context */
};

struct tls_host {
    struct span name; /* "shop.example", "*.example", or "" for no match */
    struct tls_choice choice;
    unsigned char domain[TLS_HOSTS_DOMAIN_BYTES]; /* tickets do not cross it */
};

struct tls_hosts {
    struct tls_host *all; /* owned; [0] answers when no name matches */
    size_t count;
    struct map by_name;
};

/* Builds the table of the names of all certificates and marks the hidden ones. */
void tls_hosts_init(struct tls_hosts *hosts, struct tls_certificate *certificates, size_t count,
                    struct span domain);
void tls_hosts_done(struct tls_hosts *hosts);
/* Never NULL. `name` in lower case. */
const struct tls_host *tls_hosts_find(const struct tls_hosts *hosts, struct span name);
/* Lower-case copy without the final dot; ERR_INVALID for what is not a host name. */
err tls_hosts_normalise(struct span name, char out[TLS_HOSTS_NAME_MAX], size_t *out_len);

/* ---- tls_context.c ---- */

#define TLS_CONTEXT_MAGIC 0x544c5343u

struct tls_context {
    uint32_t magic;
    atomic_uint refs;
    bool is_server;
    bool is_unverified;
    struct arena texts;
    struct tls_certificate *certificates; /* owned */
    size_t certificate_count;
    struct tls_hosts hosts; /* server */
    SSL_CTX *first;         /* what a session begins with; owned */
    SSL_CTX **others;       /* owned, with other_count */
    size_t other_count;
    struct span alpn;            /* wire form: length byte, name, ... */
    struct tls_tickets *tickets; /* ref or NULL */
    BIO_METHOD *pipe_method;     /* owned */
};

/* ---- tls_tickets.c ---- */

/* The store is that of the context in whose name the handshake runs. */
int tls_tickets_callback(SSL *ssl, unsigned char name[16], unsigned char iv[EVP_MAX_IV_LENGTH],
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_sealing);

/* ---- tls_pipe.c ---- */

/* Both ends of a session's bytes; the BIO reads from one and appends to the other. */
struct tls_pipe {
    struct span borrowed; /* the caller's bytes, behind the kept ones */
    struct buf kept;
    size_t kept_at;
    struct buf out;
    size_t out_at;
    bool has_failed; /* the output passed its hard maximum, or memory is out */
};

BIO_METHOD *tls_pipe_method(void); /* NULL when memory is out; free with BIO_meth_free */
void tls_pipe_init(struct tls_pipe *pipe, size_t kept_max, size_t out_hard_max);
void tls_pipe_done(struct tls_pipe *pipe);
/* A BIO over the pipe, which must outlive it; NULL when memory is out. */
BIO *tls_pipe_bio(struct tls_pipe *pipe, const BIO_METHOD *method);
bool tls_pipe_has_input(const struct tls_pipe *pipe);
void tls_pipe_drop_input(struct tls_pipe *pipe);
err tls_pipe_settle(struct tls_pipe *pipe);
struct span tls_pipe_output(const struct tls_pipe *pipe);
void tls_pipe_output_sent(struct tls_pipe *pipe, size_t count);
void tls_pipe_output_take(struct tls_pipe *pipe, struct buf *out);
/* Room for `more` bytes, in one step. */
err tls_pipe_reserve(struct tls_pipe *pipe, size_t more);

struct tls_session_ticket {
    SSL_SESSION *session; /* owned */
};

/* ---- tls_session.c: what the callbacks of a context tell a session ---- */

void tls_session_on_hello(SSL *ssl, struct span server_name);
void tls_session_on_info(const SSL *ssl, int where, int value);
void tls_session_on_message(int is_written, int version, int type, const void *bytes, size_t len,
                            SSL *ssl, void *arg);
/* For tests that make a peer misbehave in ways that our own API does not allow. */
SSL *tls_session_ssl(struct tls_session *s);
int tls_session_on_ticket(SSL *ssl, SSL_SESSION *session);
