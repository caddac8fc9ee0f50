/* tls_certificate.c: a certificate chain and its key, from PEM files.
 *
 * The one hard thing is to say what is wrong: a person who renewed a certificate at night gets the
 * file and the reason, not an OpenSSL code. Owned by the context; reads files, so not on a loop.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fault_point.h"
#include "core/mem.h"
#include "wire/ip.h"
#include "wire/tls_priv.h"

#define TLS_CERTIFICATE_FILE_MAX (1024 * 1024)
#define TLS_CERTIFICATE_TEXT_MAX 256

static err tls_certificate_file(struct fault *why, const char *path)
{
    if (why != NULL)
        (void)snprintf(why->file, sizeof why->file, "%s", path);
    return FAIL(CONFIG);
}

err tls_certificate_fault(struct fault *why, const char *path, const char *text)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    if (reason == NULL)
        (void)fault_set(why, ERR_CONFIG, "%s", text);
    else
        (void)fault_set(why, ERR_CONFIG, "%s: %s", text, reason);
    ERR_clear_error();
    return tls_certificate_file(why, path);
}

static void tls_certificate_close(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/* The descriptor is what is judged, so the file cannot be exchanged in between. */
static err tls_certificate_check(int fd, bool is_key, bool accepts_readable, const char *path,
                                 struct fault *why)
{
    struct stat about;
    if (fstat(fd, &about) != 0) {
        (void)fault_errno(why, ERR_CONFIG, "cannot be read");
        return tls_certificate_file(why, path);
    }
    if (!S_ISREG(about.st_mode) || about.st_size > TLS_CERTIFICATE_FILE_MAX)
        return tls_certificate_fault(why, path, "is not a regular file of at most 1 MiB");
    if (is_key && !accepts_readable && (about.st_mode & (S_IROTH | S_IWOTH)) != 0) {
        (void)fault_set(why, ERR_CONFIG,
                        "the private key is open to every user (mode %04o); chmod 0600, or 0640 "
                        "with a group of its own",
                        (unsigned)about.st_mode & 07777u);
        return tls_certificate_file(why, path);
    }
    return OK;
}

static err tls_certificate_read(const char *path, bool is_key, bool accepts_readable,
                                struct buf *out, struct fault *why)
{
    /* O_NONBLOCK: opening a pipe by mistake must not hang the start. */
    int fd CLEANUP(tls_certificate_close) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        (void)fault_errno(why, ERR_CONFIG, "cannot be opened");
        return tls_certificate_file(why, path);
    }
    TRY(tls_certificate_check(fd, is_key, accepts_readable, path, why));
    for (;;) {
        if (!err_ok(buf_reserve(out, 4096)))
            return tls_certificate_fault(why, path, "is larger than 1 MiB");
        ssize_t got = fault_point("tls.read") ? -1 : read(fd, out->at + out->len, 4096);
        if (got < 0) {
            (void)fault_errno(why, ERR_CONFIG, "cannot be read");
            return tls_certificate_file(why, path);
        }
        if (got == 0)
            return OK;
        out->len += (size_t)got;
    }
}

static void tls_certificate_wipe(struct buf *b)
{
    if (b->at != NULL)
        mem_wipe(b->at, b->cap);
    buf_done(b);
}

static void tls_certificate_bio_done(BIO **bio)
{
    BIO_free_all(*bio);
}

static bool tls_certificate_is_end_of_pem(void)
{
    unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

static err tls_certificate_parse_chain(const struct buf *pem, const char *path,
                                       struct tls_certificate *out, struct fault *why)
{
    BIO *bio CLEANUP(tls_certificate_bio_done) = BIO_new_mem_buf(pem->at, (int)pem->len);
    out->chain = sk_X509_new_null();
    if (bio == NULL || out->chain == NULL)
        return tls_certificate_fault(why, path, "there is not enough memory");
    ERR_clear_error();
    for (;;) {
        X509 *next = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (next == NULL)
            break;
        if (out->leaf == NULL)
            out->leaf = next;
        else if (sk_X509_push(out->chain, next) == 0) {
            X509_free(next);
            return tls_certificate_fault(why, path, "there is not enough memory");
        }
    }
    if (!tls_certificate_is_end_of_pem())
        return tls_certificate_fault(why, path, "holds a damaged certificate");
    ERR_clear_error();
    if (out->leaf == NULL)
        return tls_certificate_fault(why, path, "holds no certificate in PEM form");
    out->about.chain_length = 1 + (unsigned)sk_X509_num(out->chain);
    return OK;
}

/* There is nobody to ask at start; the flag turns this into a clear message. */
static int tls_certificate_on_password(char *out, int size, int is_writing, void *was_asked)
{
    (void)out;
    (void)size;
    (void)is_writing;
    *(bool *)was_asked = true;
    return -1;
}

static err tls_certificate_parse_key(const struct buf *pem, const char *path,
                                     struct tls_certificate *out, struct fault *why)
{
    bool was_asked = false;
    BIO *bio CLEANUP(tls_certificate_bio_done) = BIO_new_mem_buf(pem->at, (int)pem->len);
    ERR_clear_error();
    if (bio == NULL)
        return tls_certificate_fault(why, path, "there is not enough memory");
    out->key = PEM_read_bio_PrivateKey(bio, NULL, tls_certificate_on_password, &was_asked);
    if (out->key != NULL) {
        out->key_kind = EVP_PKEY_get_base_id(out->key);
        return OK;
    }
    /* OpenSSL's decoder calls a file without a key "unsupported", like one that is damaged. */
    static const char mark[] = "PRIVATE KEY-----";
    bool is_absent = pem->len == 0 || memmem(pem->at, pem->len, mark, sizeof mark - 1) == NULL;
    if (was_asked || is_absent)
        ERR_clear_error();
    return tls_certificate_fault(why, path,
                                 was_asked   ? "the private key is encrypted; store it decrypted"
                                 : is_absent ? "holds no private key in PEM form"
                                             : "holds a damaged private key");
}

static struct span tls_certificate_name_text(struct arena *texts, const X509_NAME *name)
{
    char *text = NULL;
    BIO *bio CLEANUP(tls_certificate_bio_done) = BIO_new(BIO_s_mem());
    if (bio == NULL || X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0)
        return SPAN("");
    long len = BIO_get_mem_data(bio, &text);
    size_t kept = len < 0 ? 0 : (size_t)len;
    return arena_copy(
        texts, span_of(text, kept < TLS_CERTIFICATE_TEXT_MAX ? kept : TLS_CERTIFICATE_TEXT_MAX));
}

static uint64_t tls_certificate_time(const ASN1_TIME *when)
{
    int days = 0;
    int seconds = 0;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    bool is_known = epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, when) == 1;
    ASN1_TIME_free(epoch);
    int64_t total = (int64_t)days * 86400 + seconds;
    return is_known && total > 0 ? (uint64_t)total : 0;
}

static struct span tls_certificate_key_text(struct arena *texts, EVP_PKEY *key, int kind)
{
    char group[64];
    size_t len = 0;
    if (kind == EVP_PKEY_RSA)
        return arena_printf(texts, "RSA %d", EVP_PKEY_get_bits(key));
    if (kind == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof group, &len) == 1)
        return arena_printf(texts, "EC %s", group);
    return arena_printf(texts, "%s", OBJ_nid2sn(kind));
}

static struct span tls_certificate_fingerprint(struct arena *texts, const X509 *leaf)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (X509_digest(leaf, EVP_sha256(), digest, &len) != 1)
        return SPAN("");
    char *hex = arena_alloc(texts, 2 * (size_t)len);
    for (unsigned i = 0; i < len; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    return span_of(hex, 2 * (size_t)len);
}

/* A name in lower case; empty for one with a NUL inside, an old trick against readers in C. */
static struct span tls_certificate_lower(struct arena *texts, const ASN1_STRING *from)
{
    size_t len = (size_t)ASN1_STRING_length(from);
    const unsigned char *bytes = ASN1_STRING_get0_data(from);
    if (len == 0 || memchr(bytes, '\0', len) != NULL)
        return SPAN("");
    char *copy = arena_alloc(texts, len);
    for (size_t i = 0; i < len; i++)
        copy[i] = (char)(bytes[i] >= 'A' && bytes[i] <= 'Z' ? bytes[i] | 0x20 : bytes[i]);
    return span_of(copy, len);
}

static struct span tls_certificate_ip(struct arena *texts, const ASN1_OCTET_STRING *from)
{
    struct ip_address ip = {{[10] = 0xff, [11] = 0xff}};
    char text[IP_TEXT_MAX];
    int len = ASN1_STRING_length(from);
    if (len != 4 && len != 16)
        return SPAN("");
    memcpy(ip.bytes + 16 - len, ASN1_STRING_get0_data(from), (size_t)len);
    return arena_copy(texts, span_of(text, ip_format(&ip, text)));
}

static struct span tls_certificate_alt_name(struct arena *texts, const GENERAL_NAME *name)
{
    int kind;
    const void *value = GENERAL_NAME_get0_value(name, &kind);
    if (kind == GEN_DNS)
        return tls_certificate_lower(texts, value);
    return kind == GEN_IPADD ? tls_certificate_ip(texts, value) : SPAN("");
}

static struct span tls_certificate_common_name(struct arena *texts, const X509 *leaf)
{
    const X509_NAME *subject = X509_get_subject_name(leaf);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    return at < 0 ? SPAN("")
                  : tls_certificate_lower(
                        texts, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static void tls_certificate_set_names(struct tls_certificate *c, struct arena *texts)
{
    GENERAL_NAMES *alt = X509_get_ext_d2i(c->leaf, NID_subject_alt_name, NULL, NULL);
    int alt_count = alt == NULL ? 0 : sk_GENERAL_NAME_num(alt);
    struct span *names = arena_alloc(texts, size_mul((size_t)alt_count + 1, sizeof *names));
    size_t count = 0;
    for (int i = 0; i < alt_count; i++) {
        struct span name = tls_certificate_alt_name(texts, sk_GENERAL_NAME_value(alt, i));
        if (name.len > 0)
            names[count++] = name;
    }
    GENERAL_NAMES_free(alt);
    struct span common = count > 0 ? SPAN("") : tls_certificate_common_name(texts, c->leaf);
    if (common.len > 0)
        names[count++] = common;
    c->about.names = names;
    c->about.name_count = count;
}

/* A chain out of order, or with a gap: many clients cannot build a path from it. */
static bool tls_certificate_is_broken(const struct tls_certificate *c)
{
    X509 *subject = c->leaf;
    for (int i = 0; i < sk_X509_num(c->chain); i++) {
        X509 *issuer = sk_X509_value(c->chain, i);
        if (X509_check_issued(issuer, subject) != X509_V_OK)
            return true;
        subject = issuer;
    }
    return false;
}

static void tls_certificate_describe(struct tls_certificate *c, const char *path,
                                     struct arena *texts)
{
    c->about.path = arena_printf(texts, "%s", path).at;
    c->about.subject = tls_certificate_name_text(texts, X509_get_subject_name(c->leaf));
    c->about.issuer = tls_certificate_name_text(texts, X509_get_issuer_name(c->leaf));
    c->about.key_type = tls_certificate_key_text(texts, c->key, c->key_kind);
    c->about.fingerprint = tls_certificate_fingerprint(texts, c->leaf);
    c->about.not_before_s = tls_certificate_time(X509_get0_notBefore(c->leaf));
    c->about.not_after_s = tls_certificate_time(X509_get0_notAfter(c->leaf));
    c->about.is_chain_broken = tls_certificate_is_broken(c);
    tls_certificate_set_names(c, texts);
}

err tls_certificate_load(const struct tls_context_source *source, bool accepts_readable_keys,
                         struct arena *texts, struct tls_certificate *out, struct fault *why)
{
    struct buf chain CLEANUP(buf_done);
    struct buf key CLEANUP(tls_certificate_wipe);
    buf_init(&chain, TLS_CERTIFICATE_FILE_MAX + 8192);
    buf_init(&key, TLS_CERTIFICATE_FILE_MAX + 8192);
    *out = (struct tls_certificate){0};
    TRY(tls_certificate_read(source->certificate_path, false, true, &chain, why));
    TRY(tls_certificate_parse_chain(&chain, source->certificate_path, out, why));
    TRY(tls_certificate_read(source->key_path, true, accepts_readable_keys, &key, why));
    TRY(tls_certificate_parse_key(&key, source->key_path, out, why));
    if (X509_check_private_key(out->leaf, out->key) != 1) {
        ERR_clear_error();
        (void)fault_set(why, ERR_CONFIG,
                        "the private key does not belong to the first certificate of %s",
                        source->certificate_path);
        return tls_certificate_file(why, source->key_path);
    }
    tls_certificate_describe(out, source->certificate_path, texts);
    return OK;
}

void tls_certificate_done(struct tls_certificate *certificate)
{
    X509_free(certificate->leaf);
    sk_X509_pop_free(certificate->chain, X509_free);
    EVP_PKEY_free(certificate->key);
    *certificate = (struct tls_certificate){0};
}
