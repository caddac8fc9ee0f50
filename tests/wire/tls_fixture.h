/* tls_fixture.h: certificates made on the spot, and two sessions that talk through memory.
 *
 * Keys are made by the test run and die with its temporary directory. Header only, so that each
 * test and each fuzzer stays one file.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"
#include "wire/tls_session.h"

#define TLS_FIXTURE_UNUSED __attribute__((unused))
#define TLS_FIXTURE_DAY_S  86400l

struct tls_fixture {
    char dir[64];
    char ca_path[128];
    EVP_PKEY *ca_key;
    X509 *ca;
    long serial;
};

struct tls_fixture_spec {
    const char *stem;        /* of the files */
    const char *common_name; /* NULL: "fixture" */
    const char *alt_names;   /* "DNS:a.example,IP:127.0.0.1", NULL: none */
    int rsa_bits;            /* 0: P-256 */
    long from_days;          /* offset of not_before; 0 is now */
    long days;               /* 0: 30 */
    bool has_chain;          /* the issuer follows in the file */
    mode_t key_mode;         /* 0: 0600 */
};

struct tls_fixture_paths {
    char certificate[128];
    char key[128];
};

static TLS_FIXTURE_UNUSED FILE *tls_fixture_open(const char *path, mode_t mode)
{
    FILE *file = fopen(path, "w");
    must(file != NULL && fchmod(fileno(file), mode) == 0);
    return file;
}

static TLS_FIXTURE_UNUSED void tls_fixture_write(const char *path, const char *text)
{
    FILE *file = tls_fixture_open(path, 0600);
    must(fputs(text, file) >= 0 && fclose(file) == 0);
}

static TLS_FIXTURE_UNUSED void tls_fixture_extend(X509 *certificate, X509 *issuer, int nid,
                                                  const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static TLS_FIXTURE_UNUSED X509 *tls_fixture_begin(struct tls_fixture *f, const char *common_name,
                                                  EVP_PKEY *key, long from_days, long days)
{
    X509 *certificate = X509_new();
    must(certificate != NULL && X509_set_version(certificate, 2) == 1);
    must(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++f->serial) == 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), from_days * TLS_FIXTURE_DAY_S - 60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), (from_days + days) * TLS_FIXTURE_DAY_S);
    must(X509_set_pubkey(certificate, key) == 1);
    must(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                    (const unsigned char *)common_name, -1, -1, 0) == 1);
    return certificate;
}

static TLS_FIXTURE_UNUSED void tls_fixture_init(struct tls_fixture *f)
{
    *f = (struct tls_fixture){.dir = "/tmp/plimsoll-tls-XXXXXX"};
    must(mkdtemp(f->dir) != NULL);
    f->ca_key = EVP_EC_gen("P-256");
    must(f->ca_key != NULL);
    f->ca = tls_fixture_begin(f, f->dir, f->ca_key, -400, 800); /* a name of its own */
    must(X509_set_issuer_name(f->ca, X509_get_subject_name(f->ca)) == 1);
    tls_fixture_extend(f->ca, f->ca, NID_basic_constraints, "critical,CA:TRUE");
    must(X509_sign(f->ca, f->ca_key, EVP_sha256()) > 0);
    (void)snprintf(f->ca_path, sizeof f->ca_path, "%s/ca.crt", f->dir);
    FILE *file = tls_fixture_open(f->ca_path, 0644);
    must(PEM_write_X509(file, f->ca) == 1 && fclose(file) == 0);
}

static TLS_FIXTURE_UNUSED void tls_fixture_done(struct tls_fixture *f)
{
    DIR *dir = opendir(f->dir);
    must(dir != NULL);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
    must(rmdir(f->dir) == 0);
    EVP_PKEY_free(f->ca_key);
    X509_free(f->ca);
}

static TLS_FIXTURE_UNUSED struct tls_fixture_paths
tls_fixture_make(struct tls_fixture *f, const struct tls_fixture_spec *spec)
{
    struct tls_fixture_paths paths;
    EVP_PKEY *key =
        spec->rsa_bits > 0 ? EVP_RSA_gen((unsigned)spec->rsa_bits) : EVP_EC_gen("P-256");
    must(key != NULL);
    X509 *leaf = tls_fixture_begin(f, spec->common_name == NULL ? "fixture" : spec->common_name,
                                   key, spec->from_days, spec->days == 0 ? 30 : spec->days);
    must(X509_set_issuer_name(leaf, X509_get_subject_name(f->ca)) == 1);
    if (spec->alt_names != NULL)
        tls_fixture_extend(leaf, f->ca, NID_subject_alt_name, spec->alt_names);
    must(X509_sign(leaf, f->ca_key, EVP_sha256()) > 0);
    (void)snprintf(paths.certificate, sizeof paths.certificate, "%s/%s.crt", f->dir, spec->stem);
    (void)snprintf(paths.key, sizeof paths.key, "%s/%s.key", f->dir, spec->stem);
    FILE *file = tls_fixture_open(paths.certificate, 0644);
    must(PEM_write_X509(file, leaf) == 1);
    must(!spec->has_chain || PEM_write_X509(file, f->ca) == 1);
    must(fclose(file) == 0);
    file = tls_fixture_open(paths.key, spec->key_mode == 0 ? 0600 : spec->key_mode);
    must(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(file) == 0);
    X509_free(leaf);
    EVP_PKEY_free(key);
    return paths;
}

/* A server context with one certificate. */
static TLS_FIXTURE_UNUSED struct tls_context *
tls_fixture_server(const struct tls_fixture_paths *paths, struct tls_tickets *tickets)
{
    struct tls_context *c = NULL;
    struct fault why = {0};
    struct tls_context_source source = {paths->certificate, paths->key};
    struct tls_context_server options = {
        .sources = &source, .source_count = 1, .tickets = tickets, .clock = &clock_system};
    must(err_ok(tls_context_new_server(&options, &c, &why)));
    return c;
}

static TLS_FIXTURE_UNUSED struct tls_context *tls_fixture_client(const struct tls_fixture *f)
{
    static const struct span http1 = SPAN_INIT("http/1.1");
    struct tls_context *c = NULL;
    struct fault why = {0};
    struct tls_context_client options = {
        .ca_path = f->ca_path, .alpn = &http1, .alpn_count = 1, .clock = &clock_system};
    must(err_ok(tls_context_new_client(&options, &c, &why)));
    return c;
}

/* Feeds what `from` has to say to `to`, at most `step` bytes at a time. OK while all is well. */
static TLS_FIXTURE_UNUSED err tls_fixture_move(struct tls_session *from, struct tls_session *to,
                                               size_t step)
{
    struct span out = tls_session_output(from);
    err outcome = OK;
    for (size_t at = 0; at < out.len && err_ok(outcome); at += step) {
        size_t part = out.len - at < step ? out.len - at : step;
        outcome = tls_session_feed(to, span_of(out.at + at, part));
        if (err_ok(outcome))
            outcome = tls_session_settle(to);
    }
    tls_session_output_sent(from, out.len);
    return outcome;
}

/* Moves bytes both ways until both are silent; alerts arrive too. The first error is returned. */
static TLS_FIXTURE_UNUSED err tls_fixture_pump(struct tls_session *client,
                                               struct tls_session *server, size_t step)
{
    err first = OK;
    while (tls_session_output(client).len > 0 || tls_session_output(server).len > 0) {
        err to_server = tls_fixture_move(client, server, step);
        err to_client = tls_fixture_move(server, client, step);
        if (err_ok(first))
            first = err_ok(to_server) ? to_client : to_server;
    }
    return first;
}

struct tls_fixture_pair {
    struct tls_session *client;
    struct tls_session *server;
};

static TLS_FIXTURE_UNUSED void tls_fixture_pair_done(struct tls_fixture_pair *pair)
{
    tls_session_free(pair->client);
    tls_session_free(pair->server);
    *pair = (struct tls_fixture_pair){0};
}

static TLS_FIXTURE_UNUSED void tls_fixture_pair_init(struct tls_fixture_pair *pair,
                                                     struct tls_context *client,
                                                     struct tls_context *server, const char *name,
                                                     struct tls_session_ticket *ticket)
{
    struct tls_session_options options = {
        .context = client, .server_name = span_from(name), .ticket = ticket, .keeps_ticket = true};
    must(err_ok(tls_session_new(&options, &pair->client)));
    options = (struct tls_session_options){.context = server};
    must(err_ok(tls_session_new(&options, &pair->server)));
}

/* Reads all plaintext that is there, without a limit but `cap`. Returns the outcome that ended it.
 */
static TLS_FIXTURE_UNUSED err tls_fixture_read_all(struct tls_session *s, char *out, size_t cap,
                                                   size_t *out_len)
{
    size_t total = 0;
    err outcome = OK;
    while (err_ok(outcome) && total < cap) {
        size_t got = 0;
        outcome = tls_session_read(s, out + total, cap - total, &got);
        if (err_ok(outcome))
            total += got;
    }
    *out_len = total;
    return outcome;
}
