/* tls_tickets.c: three keys in one locked page, read under a sequence lock.
 *
 * The one hard thing: loops read keys while one of them rotates. A writer makes the sequence odd
 * (so there is one at a time), writes the words, and makes it even; a reader copies the words and
 * takes the copy only when the sequence was even and did not move. Words are atomics, so a torn
 * copy is a wrong value that is thrown away, never undefined behaviour.
 *
 * The store is shared by reference; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <sys/mman.h>

#include "core/fault_point.h"
#include "core/mem.h"
#include "wire/tls_priv.h"

#define TLS_TICKETS_MAGIC      0x544c534bu
#define TLS_TICKETS_PAGE_BYTES 4096
#define TLS_TICKETS_NAME_BYTES 16

struct tls_tickets_key {
    unsigned char name[TLS_TICKETS_NAME_BYTES];
    unsigned char cipher[32];
    unsigned char mac[32];
    uint64_t born_ms;
    uint64_t is_set;
};

#define TLS_TICKETS_WORDS (sizeof(struct tls_tickets_key) / sizeof(uint64_t))
static_assert(sizeof(struct tls_tickets_key) % sizeof(uint64_t) == 0, "keys are copied by words");

struct tls_tickets_page {
    atomic_uint sequence;
    atomic_uint_fast64_t made;
    _Atomic uint64_t words[TLS_TICKETS_KEYS][TLS_TICKETS_WORDS]; /* [0] is the current key */
};
static_assert(sizeof(struct tls_tickets_page) <= TLS_TICKETS_PAGE_BYTES, "all keys in one page");

struct tls_tickets {
    uint32_t magic;
    atomic_uint refs;
    const struct clock *clock; /* borrowed */
    struct tls_tickets_page *page;
    EVP_CIPHER *cipher; /* fetched once: 3.0 looks it up by name otherwise */
    bool is_locked;
};

/* A copy of a key. Wiped when its scope ends. */
static void tls_tickets_key_done(struct tls_tickets_key *key)
{
    mem_wipe(key, sizeof *key);
}

static void tls_tickets_copy(struct tls_tickets *t, unsigned index, struct tls_tickets_key *out)
{
    struct tls_tickets_page *page = t->page;
    for (;;) {
        unsigned before = atomic_load_explicit(&page->sequence, memory_order_acquire);
        uint64_t words[TLS_TICKETS_WORDS];
        for (size_t i = 0; i < TLS_TICKETS_WORDS; i++)
            words[i] = atomic_load_explicit(&page->words[index][i], memory_order_acquire);
        unsigned after = atomic_load_explicit(&page->sequence, memory_order_relaxed);
        if (before == after && before % 2 == 0) {
            memcpy(out, words, sizeof *out);
            mem_wipe(words, sizeof words);
            return;
        }
    }
}

/* Another thread may have made the key after `now_ms` was read: then its age is none. */
static uint64_t tls_tickets_age_ms(const struct tls_tickets_key *key, uint64_t now_ms)
{
    return now_ms > key->born_ms ? now_ms - key->born_ms : 0;
}

static bool tls_tickets_is_due(const struct tls_tickets_key *current, uint64_t now_ms)
{
    return current->is_set == 0 || tls_tickets_age_ms(current, now_ms) >= TLS_TICKETS_ROTATE_MS;
}

/* Opens no ticket any more once all younger keys would have been made. */
static bool tls_tickets_is_usable(const struct tls_tickets_key *key, uint64_t now_ms)
{
    return key->is_set != 0 &&
           tls_tickets_age_ms(key, now_ms) < TLS_TICKETS_ROTATE_MS * TLS_TICKETS_KEYS;
}

static bool tls_tickets_draw(struct tls_tickets_key *key, uint64_t now_ms)
{
    key->born_ms = now_ms;
    key->is_set = 1;
    return RAND_bytes(key->name, sizeof key->name) == 1 &&
           RAND_priv_bytes(key->cipher, sizeof key->cipher) == 1 &&
           RAND_priv_bytes(key->mac, sizeof key->mac) == 1;
}

static void tls_tickets_store(struct tls_tickets_page *page, unsigned index,
                              const struct tls_tickets_key *key)
{
    uint64_t words[TLS_TICKETS_WORDS];
    memcpy(words, key, sizeof *key);
    for (size_t i = 0; i < TLS_TICKETS_WORDS; i++)
        atomic_store_explicit(&page->words[index][i], words[i], memory_order_release);
    mem_wipe(words, sizeof words);
}

/* The writer's part, while the sequence is odd. */
static void tls_tickets_shift(struct tls_tickets_page *page, const struct tls_tickets_key *fresh,
                              uint64_t now_ms)
{
    for (unsigned i = TLS_TICKETS_KEYS - 1; i > 0; i--) {
        struct tls_tickets_key key CLEANUP(tls_tickets_key_done);
        uint64_t words[TLS_TICKETS_WORDS];
        for (size_t w = 0; w < TLS_TICKETS_WORDS; w++)
            words[w] = atomic_load_explicit(&page->words[i - 1][w], memory_order_relaxed);
        memcpy(&key, words, sizeof key);
        mem_wipe(words, sizeof words);
        if (!tls_tickets_is_usable(&key, now_ms))
            key = (struct tls_tickets_key){0};
        tls_tickets_store(page, i, &key);
    }
    tls_tickets_store(page, 0, fresh);
    atomic_fetch_add(&page->made, 1);
}

uint64_t tls_tickets_rotate(struct tls_tickets *t)
{
    struct tls_tickets_page *page = t->page;
    struct tls_tickets_key current CLEANUP(tls_tickets_key_done);
    struct tls_tickets_key fresh CLEANUP(tls_tickets_key_done);
    uint64_t now_ms = clock_mono_ms(t->clock);
    unsigned sequence = atomic_load_explicit(&page->sequence, memory_order_acquire);
    tls_tickets_copy(t, 0, &current);
    if (!tls_tickets_is_due(&current, now_ms) || sequence % 2 != 0)
        return atomic_load(&page->made);
    /* Without randomness the old key stays: worse than late is predictable. */
    if (!tls_tickets_draw(&fresh, now_ms))
        return atomic_load(&page->made);
    /* The sequence also tells whether another thread rotated since `current` was read. */
    if (!atomic_compare_exchange_strong(&page->sequence, &sequence, sequence + 1))
        return atomic_load(&page->made);
    tls_tickets_shift(page, &fresh, now_ms);
    atomic_store_explicit(&page->sequence, sequence + 2, memory_order_release);
    return atomic_load(&page->made);
}

static bool tls_tickets_map(struct tls_tickets *t)
{
    if (fault_point("tls.tickets_map"))
        return false;
    void *page = mmap(NULL, TLS_TICKETS_PAGE_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return false;
    t->page = page;
    /* Neither is a reason not to serve; readiness shows the first. */
    t->is_locked = mlock(page, TLS_TICKETS_PAGE_BYTES) == 0;
    (void)madvise(page, TLS_TICKETS_PAGE_BYTES, MADV_DONTDUMP);
    return true;
}

static void tls_tickets_free(struct tls_tickets *t)
{
    if (t->page != NULL) {
        mem_wipe(t->page, TLS_TICKETS_PAGE_BYTES);
        (void)munmap(t->page, TLS_TICKETS_PAGE_BYTES);
    }
    EVP_CIPHER_free(t->cipher);
    t->magic = 0;
    mem_free(t);
}

err tls_tickets_new(const struct clock *clock, struct tls_tickets **out)
{
    struct tls_tickets *t = MEM_NEW(struct tls_tickets);
    t->magic = TLS_TICKETS_MAGIC;
    t->clock = clock;
    atomic_init(&t->refs, 1);
    t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    bool is_mapped = tls_tickets_map(t);
    if (t->cipher == NULL || !is_mapped || tls_tickets_rotate(t) == 0) {
        err failed = is_mapped ? FAIL(TLS) : FAIL(NO_MEMORY);
        tls_tickets_free(t);
        return failed;
    }
    *out = t;
    return OK;
}

struct tls_tickets *tls_tickets_ref(struct tls_tickets *t)
{
    must(t->magic == TLS_TICKETS_MAGIC);
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void tls_tickets_unref(struct tls_tickets *t)
{
    if (t == NULL)
        return;
    must(t->magic == TLS_TICKETS_MAGIC);
    if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1)
        tls_tickets_free(t);
}

bool tls_tickets_is_locked(const struct tls_tickets *t)
{
    return t->is_locked;
}

static bool tls_tickets_set_mac(EVP_MAC_CTX *mac, const struct tls_tickets_key *key)
{
    unsigned char secret[sizeof key->mac];
    char digest[] = "SHA256";
    memcpy(secret, key->mac, sizeof secret);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, sizeof secret),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    bool is_set = EVP_MAC_CTX_set_params(mac, params) == 1;
    mem_wipe(secret, sizeof secret);
    return is_set;
}

static int tls_tickets_seal(struct tls_tickets *t, unsigned char *name, unsigned char *iv,
                            EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    struct tls_tickets_key key CLEANUP(tls_tickets_key_done);
    tls_tickets_copy(t, 0, &key);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->cipher)) != 1 ||
        EVP_EncryptInit_ex2(cipher, t->cipher, key.cipher, iv, NULL) != 1 ||
        !tls_tickets_set_mac(mac, &key))
        return -1;
    memcpy(name, key.name, sizeof key.name);
    return 1;
}

static int tls_tickets_open(struct tls_tickets *t, bool is_renewed_always,
                            const unsigned char *name, const unsigned char *iv,
                            EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    uint64_t now_ms = clock_mono_ms(t->clock);
    for (unsigned i = 0; i < TLS_TICKETS_KEYS; i++) {
        struct tls_tickets_key key CLEANUP(tls_tickets_key_done);
        tls_tickets_copy(t, i, &key);
        if (!tls_tickets_is_usable(&key, now_ms) || memcmp(key.name, name, sizeof key.name) != 0)
            continue;
        if (EVP_DecryptInit_ex2(cipher, t->cipher, key.cipher, iv, NULL) != 1 ||
            !tls_tickets_set_mac(mac, &key))
            return -1;
        return is_renewed_always || i > 0 ? 2 : 1;
    }
    return 0;
}

/* For SSL_CTX_set_tlsext_ticket_key_evp_cb: 1 use, 2 use and issue a new ticket, 0 full handshake.
 * TLS 1.3 tickets are for one use (RFC 8446 appendix C.4), so there is always a new one. */
int tls_tickets_callback(SSL *ssl, unsigned char name[16], unsigned char iv[EVP_MAX_IV_LENGTH],
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_sealing)
{
    struct tls_context *context =
        OBJ(tls_context, TLS_CONTEXT_MAGIC, SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    struct tls_tickets *t = OBJ(tls_tickets, TLS_TICKETS_MAGIC, context->tickets);
    (void)tls_tickets_rotate(t);
    if (is_sealing)
        return tls_tickets_seal(t, name, iv, cipher, mac);
    return tls_tickets_open(t, SSL_version(ssl) == TLS1_3_VERSION, name, iv, cipher, mac);
}
