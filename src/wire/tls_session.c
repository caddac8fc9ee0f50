/* tls_session.c: a connection's TLS, driven by the bytes that its owner moves.
 *
 *   HANDSHAKE --handshake done--> OPEN
 *       |                           |
 *       +------ any failure --------+--> FAILED
 *
 * HANDSHAKE: only feed makes progress. OPEN: read and write work; each direction is closed by its
 * own flag. FAILED: `fault` says why, input is dropped, the output may still hold an alert.
 * The one hard thing is OpenSSL's rule that a write which was refused must be repeated with the
 * same bytes: the pipe never refuses, because write counts the room before it encrypts.
 *
 * Owned by a connection; the thread of that. The context is shared.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/tls_session.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "core/fault_point.h"
#include "core/mem.h"
#include "wire/ip.h"
#include "wire/tls_priv.h"

#define TLS_SESSION_MAGIC        0x544c5353u
#define TLS_SESSION_RECORD_MAX   16384
#define TLS_SESSION_RECORD_EXTRA 64 /* at least what header, nonce, padding and tag take */
#define TLS_SESSION_GATHER_BYTES 8192
#define TLS_SESSION_OUTPUT_MIN   (32 * 1024)
#define TLS_SESSION_ROOM_MIN     4096 /* less room is none: no dribble of tiny records */
/* Room above output_max_bytes for what OpenSSL writes by itself: certificates, tickets, alerts. */
#define TLS_SESSION_OWN_BYTES (256 * 1024)
/* A key update costs its sender 27 bytes and us a key derivation and an answer. */
#define TLS_SESSION_KEY_UPDATES_FREE 32
#define TLS_SESSION_KEY_UPDATE_PER   65536 /* one more for so many bytes of plaintext */

enum tls_session_state {
    TLS_SESSION_HANDSHAKE,
    TLS_SESSION_OPEN,
    TLS_SESSION_FAILED,
};

struct tls_session {
    uint32_t magic;
    enum tls_session_state state;
    struct tls_context *context; /* ref */
    SSL *ssl;                    /* owned */
    struct tls_pipe pipe;
    size_t output_max;
    size_t input_max;
    char *server_name; /* owned, lower case; NULL for none */
    size_t server_name_len;
    struct fault *fault;               /* owned; NULL while there is none */
    struct tls_session_ticket *ticket; /* owned; client */
    uint64_t plain_bytes;              /* received */
    uint64_t key_updates;              /* received */
    int peer_alert;                    /* level << 8 | description; -1 for none */
    bool keeps_ticket;
    bool is_flooded;      /* more key updates than allowed */
    bool is_renegotiated; /* a TLS 1.2 client asked for a new handshake */
    bool is_peer_closed;
    bool is_closed;
};

/* For a failure of which not even the story could be stored. */
static const struct fault tls_session_no_memory = {.code = ERR_NO_MEMORY,
                                                   .text = "there is not enough memory"};

static void tls_session_enter(struct tls_session *s, enum tls_session_state state)
{
    must(s->state != TLS_SESSION_FAILED &&
         (state == TLS_SESSION_FAILED ||
          (s->state == TLS_SESSION_HANDSHAKE && state == TLS_SESSION_OPEN)));
    s->state = state;
    if (state == TLS_SESSION_FAILED)
        tls_pipe_drop_input(&s->pipe);
}

/* ---- what OpenSSL tells while it works ---- */

static struct tls_session *tls_session_of(const SSL *ssl)
{
    return OBJ(tls_session, TLS_SESSION_MAGIC, SSL_get_app_data(ssl));
}

static err tls_session_set_name(struct tls_session *s, struct span name)
{
    void *copy;
    if (name.len == 0)
        return OK;
    TRY(mem_try_alloc(size_add(name.len, 1), &copy));
    memcpy(copy, name.at, name.len);
    mem_free(s->server_name);
    s->server_name = copy;
    s->server_name_len = name.len;
    return OK;
}

void tls_session_on_hello(SSL *ssl, struct span server_name)
{
    struct tls_session *s = tls_session_of(ssl);
    /* Without memory for it the name is unknown; the certificate is chosen all the same. */
    (void)err_ok(tls_session_set_name(s, server_name));
}

void tls_session_on_info(const SSL *ssl, int where, int value)
{
    struct tls_session *s = tls_session_of(ssl);
    if (where == SSL_CB_READ_ALERT)
        s->peer_alert = value;
    /* OpenSSL declines a new handshake by a warning and goes on, for as often as it is asked. */
    else if (where == SSL_CB_WRITE_ALERT && (value & 0xff) == SSL_AD_NO_RENEGOTIATION) {
        s->is_renegotiated = true;
        tls_pipe_drop_input(&s->pipe);
    }
}

/* NOLINTNEXTLINE(readability-function-size): the seven parameters are OpenSSL's callback type. */
void tls_session_on_message(int is_written, int version, int type, const void *bytes, size_t len,
                            SSL *ssl, void *arg)
{
    (void)version;
    (void)arg;
    if (is_written || type != SSL3_RT_HANDSHAKE || len == 0 ||
        *(const unsigned char *)bytes != SSL3_MT_KEY_UPDATE)
        return;
    struct tls_session *s = tls_session_of(ssl);
    s->key_updates++;
    if (s->key_updates >
        TLS_SESSION_KEY_UPDATES_FREE + s->plain_bytes / TLS_SESSION_KEY_UPDATE_PER) {
        s->is_flooded = true;
        tls_pipe_drop_input(&s->pipe);
    }
}

/* Takes over the reference when it returns true. */
static bool tls_session_keep_ticket(struct tls_session *s, SSL_SESSION *session)
{
    void *block;
    if (!s->keeps_ticket || !err_ok(mem_try_alloc(sizeof(struct tls_session_ticket), &block)))
        return false;
    tls_session_ticket_free(s->ticket);
    s->ticket = block;
    s->ticket->session = session;
    return true;
}

int tls_session_on_ticket(SSL *ssl, SSL_SESSION *session)
{
    return tls_session_keep_ticket(tls_session_of(ssl), session) ? 1 : 0;
}

/* ---- failure ---- */

static const char *tls_session_alert_text(int alert)
{
    return SSL_alert_desc_string_long(alert);
}

static void tls_session_describe_failure(struct tls_session *s, struct fault *out)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    long verified = SSL_get_verify_result(s->ssl);
    const char *phase = s->state == TLS_SESSION_HANDSHAKE ? "handshake" : "connection";
    if (s->is_flooded)
        (void)fault_set(out, ERR_TLS, "the peer asks for new keys too often");
    else if (s->is_renegotiated)
        (void)fault_set(out, ERR_TLS, "the client asks to renegotiate");
    else if (s->pipe.has_failed)
        (void)fault_set(out, ERR_TLS, "%s: the peer does not read what it asks for", phase);
    else if (!s->context->is_server && !s->context->is_unverified && verified != X509_V_OK)
        (void)fault_set(out, ERR_TLS, "the certificate of \"%s\" is not accepted: %s",
                        s->server_name == NULL ? "" : s->server_name,
                        X509_verify_cert_error_string(verified));
    else if (s->peer_alert >> 8 == SSL3_AL_FATAL)
        (void)fault_set(out, ERR_TLS, "%s: the peer refuses: %s", phase,
                        tls_session_alert_text(s->peer_alert));
    else
        (void)fault_set(out, ERR_TLS, "%s: %s", phase, reason == NULL ? "unknown" : reason);
}

static err tls_session_fail(struct tls_session *s)
{
    void *block;
    if (err_ok(mem_try_alloc(sizeof(struct fault), &block))) {
        s->fault = block;
        tls_session_describe_failure(s, s->fault);
    }
    ERR_clear_error();
    tls_session_enter(s, TLS_SESSION_FAILED);
    return FAIL(TLS);
}

const struct fault *tls_session_fault(const struct tls_session *s)
{
    if (s->state != TLS_SESSION_FAILED)
        return NULL;
    return s->fault == NULL ? &tls_session_no_memory : s->fault;
}

/* ---- birth and death ---- */

/* Asks for the name and demands that the certificate is for it. */
static err tls_session_set_target(struct tls_session *s, struct span server_name)
{
    char name[TLS_HOSTS_NAME_MAX];
    struct ip_address ip;
    size_t len;
    X509_VERIFY_PARAM *rules = SSL_get0_param(s->ssl);
    if (server_name.len == 0)
        return s->context->is_unverified ? OK : FAIL(INVALID);
    if (err_ok(ip_parse(server_name, &ip))) {
        TRY(tls_session_set_name(s, server_name));
        bool is_v4 = ip_is_v4(&ip);
        return X509_VERIFY_PARAM_set1_ip(rules, is_v4 ? ip.bytes + 12 : ip.bytes, is_v4 ? 4 : 16) ==
                       1
                   ? OK
                   : FAIL(NO_MEMORY);
    }
    TRY(tls_hosts_normalise(server_name, name, &len));
    TRY(tls_session_set_name(s, span_of(name, len)));
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set_tlsext_host_name(s->ssl, s->server_name) != 1 ||
        X509_VERIFY_PARAM_set1_host(rules, s->server_name, len) != 1)
        return FAIL(NO_MEMORY);
    return OK;
}

static err tls_session_handshake(struct tls_session *s)
{
    ERR_clear_error();
    int outcome = SSL_do_handshake(s->ssl);
    if (outcome == 1) {
        tls_session_enter(s, TLS_SESSION_OPEN);
        return OK;
    }
    if (SSL_get_error(s->ssl, outcome) == SSL_ERROR_WANT_READ)
        return OK;
    return tls_session_fail(s);
}

static err tls_session_start(struct tls_session *s, const struct tls_session_options *o)
{
    s->ssl = fault_point("tls.session_new") ? NULL : SSL_new(s->context->first);
    if (s->ssl == NULL)
        return FAIL(NO_MEMORY);
    SSL_set_app_data(s->ssl, s);
    BIO *bio = tls_pipe_bio(&s->pipe, s->context->pipe_method);
    if (bio == NULL)
        return FAIL(NO_MEMORY);
    SSL_set_bio(s->ssl, bio, bio);
    if (s->context->is_server) {
        SSL_set_accept_state(s->ssl);
        return OK;
    }
    SSL_set_connect_state(s->ssl);
    TRY(tls_session_set_target(s, o->server_name));
    if (o->ticket != NULL && SSL_set_session(s->ssl, o->ticket->session) != 1)
        return FAIL(NO_MEMORY);
    return err_ok(tls_session_handshake(s)) ? OK : FAIL(NO_MEMORY);
}

err tls_session_new(const struct tls_session_options *options, struct tls_session **out)
{
    void *block;
    TRY(mem_try_alloc(sizeof(struct tls_session), &block));
    struct tls_session *s = block;
    s->magic = TLS_SESSION_MAGIC;
    s->peer_alert = -1;
    s->context = tls_context_ref(options->context);
    s->keeps_ticket = options->keeps_ticket;
    s->input_max =
        options->input_max_bytes == 0 ? TLS_SESSION_INPUT_MAX_DEFAULT : options->input_max_bytes;
    s->output_max =
        options->output_max_bytes == 0 ? TLS_SESSION_OUTPUT_MAX_DEFAULT : options->output_max_bytes;
    must(s->output_max >= TLS_SESSION_OUTPUT_MIN);
    tls_pipe_init(&s->pipe, s->input_max, size_add(s->output_max, TLS_SESSION_OWN_BYTES));
    err outcome = tls_session_start(s, options);
    ERR_clear_error();
    if (!err_ok(outcome)) {
        tls_session_free(s);
        return outcome;
    }
    *out = s;
    return OK;
}

void tls_session_free(struct tls_session *s)
{
    if (s == NULL)
        return;
    must(s->magic == TLS_SESSION_MAGIC);
    /* OpenSSL spoils the ticket of a connection that ends without close_notify. HTTP frames its
     * own messages, so such an end says nothing against resuming. */
    if (s->state == TLS_SESSION_OPEN)
        SSL_set_shutdown(s->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(s->ssl);
    tls_pipe_done(&s->pipe);
    tls_session_ticket_free(s->ticket);
    mem_free(s->server_name);
    mem_free(s->fault);
    tls_context_unref(s->context);
    s->magic = 0;
    mem_free(s);
}

/* ---- bytes ---- */

static size_t tls_session_kept_bytes(const struct tls_session *s)
{
    return s->pipe.kept.len - s->pipe.kept_at;
}

err tls_session_feed(struct tls_session *s, struct span ciphertext)
{
    must(s->pipe.borrowed.len == 0);
    if (s->state == TLS_SESSION_FAILED)
        return FAIL(TLS);
    size_t kept = tls_session_kept_bytes(s);
    if (kept > s->input_max || ciphertext.len > s->input_max - kept)
        return FAIL(TOO_LARGE);
    /* What follows a close_notify is not the peer's any more. */
    if (s->is_peer_closed)
        return OK;
    s->pipe.borrowed = ciphertext;
    return s->state == TLS_SESSION_HANDSHAKE ? tls_session_handshake(s) : OK;
}

err tls_session_settle(struct tls_session *s)
{
    err outcome = tls_pipe_settle(&s->pipe);
    if (err_ok(outcome))
        return OK;
    if (s->state != TLS_SESSION_FAILED)
        (void)err_ok(tls_session_fail(s));
    return outcome;
}

bool tls_session_has_more(const struct tls_session *s)
{
    return tls_session_kept_bytes(s) > 0 || SSL_pending(s->ssl) > 0;
}

/* One record's worth. */
static err tls_session_read_some(struct tls_session *s, char *out, size_t cap, size_t *out_got)
{
    if (s->state == TLS_SESSION_FAILED)
        return FAIL(TLS);
    if (s->is_peer_closed)
        return FAIL(CLOSED);
    if (s->state == TLS_SESSION_HANDSHAKE)
        return FAIL(AGAIN);
    ERR_clear_error();
    int outcome = SSL_read_ex(s->ssl, out, cap, out_got);
    if (s->is_flooded || s->is_renegotiated || s->pipe.has_failed)
        return tls_session_fail(s);
    if (outcome == 1) {
        s->plain_bytes += *out_got;
        return OK;
    }
    int why = SSL_get_error(s->ssl, outcome);
    if (why == SSL_ERROR_WANT_READ) {
        must(!tls_pipe_has_input(&s->pipe));
        return FAIL(AGAIN);
    }
    if (why != SSL_ERROR_ZERO_RETURN)
        return tls_session_fail(s);
    s->is_peer_closed = true;
    tls_pipe_drop_input(&s->pipe);
    return FAIL(CLOSED);
}

err tls_session_read(struct tls_session *s, char *out, size_t cap, size_t *out_got)
{
    size_t total = 0;
    must(cap > 0);
    while (total < cap) {
        size_t got = 0;
        err outcome = tls_session_read_some(s, out + total, cap - total, &got);
        /* What stands behind data comes out again at the next call. */
        if (!err_ok(outcome) && total == 0)
            return outcome;
        if (!err_ok(outcome))
            break;
        total += got;
    }
    *out_got = total;
    return OK;
}

/* How much plaintext may still be encrypted: the room without what its records add. */
static size_t tls_session_room(const struct tls_session *s)
{
    size_t pending = tls_pipe_output(&s->pipe).len;
    size_t room = pending < s->output_max ? s->output_max - pending : 0;
    size_t records = room / TLS_SESSION_RECORD_MAX + 1;
    return room > records * TLS_SESSION_RECORD_EXTRA ? room - records * TLS_SESSION_RECORD_EXTRA
                                                     : 0;
}

static err tls_session_write_record(struct tls_session *s, const char *bytes, size_t len)
{
    size_t taken = 0;
    ERR_clear_error();
    int outcome = SSL_write_ex(s->ssl, bytes, len, &taken);
    if (outcome != 1 || s->pipe.has_failed)
        return tls_session_fail(s);
    must(taken == len);
    return OK;
}

/* A place in the caller's pieces. */
struct tls_session_cursor {
    const struct iovec *pieces;
    size_t count;
    size_t at; /* within the first piece */
};

static size_t tls_session_cursor_take(struct tls_session_cursor *c, char *out, size_t len)
{
    size_t total = 0;
    while (total < len && c->count > 0) {
        size_t left = c->pieces->iov_len - c->at;
        size_t part = left < len - total ? left : len - total;
        if (part > 0)
            memcpy(out + total, (const char *)c->pieces->iov_base + c->at, part);
        total += part;
        c->at += part;
        if (c->at == c->pieces->iov_len) {
            c->pieces++;
            c->count--;
            c->at = 0;
        }
    }
    return total;
}

/* Small pieces leave in one record: a head and a short body cost one seal, not two. */
static err tls_session_write_gathered(struct tls_session *s, struct tls_session_cursor *c,
                                      size_t len)
{
    /* Zeroing eight kilobytes for each response would cost more than the copy. */
    char gathered[TLS_SESSION_GATHER_BYTES] __attribute__((uninitialized));
    size_t got = tls_session_cursor_take(c, gathered, len);
    must(got == len);
    return tls_session_write_record(s, gathered, got);
}

static err tls_session_write_next(struct tls_session *s, struct tls_session_cursor *c, size_t left,
                                  size_t *out_taken)
{
    size_t piece = c->pieces->iov_len - c->at;
    if (piece == left || piece >= TLS_SESSION_GATHER_BYTES) {
        size_t len = piece < left ? piece : left;
        len = len < TLS_SESSION_RECORD_MAX ? len : TLS_SESSION_RECORD_MAX;
        TRY(tls_session_write_record(s, (const char *)c->pieces->iov_base + c->at, len));
        c->at += len;
        *out_taken = len;
        return OK;
    }
    size_t len = left < TLS_SESSION_GATHER_BYTES ? left : TLS_SESSION_GATHER_BYTES;
    TRY(tls_session_write_gathered(s, c, len));
    *out_taken = len;
    return OK;
}

err tls_session_write(struct tls_session *s, const struct iovec *pieces, size_t count,
                      size_t *out_taken)
{
    if (s->state == TLS_SESSION_FAILED)
        return FAIL(TLS);
    if (s->is_closed)
        return FAIL(CLOSED);
    if (s->state == TLS_SESSION_HANDSHAKE)
        return FAIL(AGAIN);
    size_t wanted = 0;
    for (size_t i = 0; i < count; i++)
        wanted = size_add(wanted, pieces[i].iov_len);
    size_t room = tls_session_room(s);
    if (room < wanted && room < TLS_SESSION_ROOM_MIN)
        return FAIL(AGAIN);
    size_t total = wanted < room ? wanted : room;
    size_t records = total / TLS_SESSION_GATHER_BYTES + 1;
    TRY(tls_pipe_reserve(&s->pipe, total + records * TLS_SESSION_RECORD_EXTRA));
    struct tls_session_cursor cursor = {.pieces = pieces, .count = count};
    for (size_t done = 0; done < total;) {
        size_t taken = 0;
        if (cursor.at == cursor.pieces->iov_len) {
            cursor.pieces++;
            cursor.count--;
            cursor.at = 0;
            continue;
        }
        TRY(tls_session_write_next(s, &cursor, total - done, &taken));
        done += taken;
    }
    *out_taken = total;
    return OK;
}

struct span tls_session_output(const struct tls_session *s)
{
    return tls_pipe_output(&s->pipe);
}

void tls_session_output_sent(struct tls_session *s, size_t count)
{
    tls_pipe_output_sent(&s->pipe, count);
}

void tls_session_output_take(struct tls_session *s, struct buf *out)
{
    tls_pipe_output_take(&s->pipe, out);
}

void tls_session_close(struct tls_session *s)
{
    if (s->is_closed || s->state != TLS_SESSION_OPEN)
        return;
    s->is_closed = true;
    ERR_clear_error();
    /* 0 means that the peer's close_notify is still to come; nobody waits for it. */
    if (SSL_shutdown(s->ssl) < 0)
        ERR_clear_error();
}

/* ---- what is known ---- */

SSL *tls_session_ssl(struct tls_session *s)
{
    return s->ssl;
}

bool tls_session_is_established(const struct tls_session *s)
{
    return s->state == TLS_SESSION_OPEN;
}

bool tls_session_is_peer_closed(const struct tls_session *s)
{
    return s->is_peer_closed;
}

const char *tls_session_peer_alert(const struct tls_session *s)
{
    return s->peer_alert < 0 ? NULL : tls_session_alert_text(s->peer_alert);
}

void tls_session_describe(const struct tls_session *s, struct tls_session_info *out)
{
    const unsigned char *alpn = NULL;
    unsigned alpn_len = 0;
    SSL_get0_alpn_selected(s->ssl, &alpn, &alpn_len);
    const SSL_CIPHER *cipher = SSL_get_current_cipher(s->ssl);
    *out = (struct tls_session_info){
        .server_name = span_of(s->server_name, s->server_name_len),
        .alpn = span_of((const char *)alpn, alpn_len),
        .protocol = SSL_get_version(s->ssl),
        .cipher = cipher == NULL ? "" : SSL_CIPHER_standard_name(cipher),
        .is_resumed = SSL_session_reused(s->ssl) == 1,
    };
}

/* A ticket that renews a resumed TLS 1.2 session is not announced by OpenSSL, only stored. */
static void tls_session_fetch_renewed(struct tls_session *s)
{
    if (SSL_version(s->ssl) >= TLS1_3_VERSION || SSL_session_reused(s->ssl) != 1)
        return;
    SSL_SESSION *session = SSL_get1_session(s->ssl);
    if (session != NULL && !tls_session_keep_ticket(s, session))
        SSL_SESSION_free(session);
}

struct tls_session_ticket *tls_session_take_ticket(struct tls_session *s)
{
    if (s->state == TLS_SESSION_OPEN && s->keeps_ticket && s->ticket == NULL)
        tls_session_fetch_renewed(s);
    struct tls_session_ticket *ticket = s->ticket;
    s->ticket = NULL;
    return ticket;
}

void tls_session_ticket_free(struct tls_session_ticket *t)
{
    if (t == NULL)
        return;
    SSL_SESSION_free(t->session);
    mem_free(t);
}
