/* test_tls_tickets.c: resumption over time, over reloads, and never across hosts.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <pthread.h>

#include "core/fault_point.h"
#include "wire/tls_fixture.h"
#include "wire/tls_priv.h"

struct tickets_test {
    struct tls_fixture files;
    struct clock_fake clock;
    struct tls_tickets *tickets;
    struct tls_fixture_paths paths;
    struct tls_context *server;
    struct tls_context *client;
    int version;
};

static void tickets_test_init(struct tickets_test *t, int version)
{
    tls_fixture_init(&t->files);
    clock_fake_init(&t->clock, 5000000000u, 1700000000000000000u);
    must(err_ok(tls_tickets_new(&t->clock.clock, &t->tickets)));
    t->paths =
        tls_fixture_make(&t->files, &(struct tls_fixture_spec){.stem = "all",
                                                               .alt_names = "DNS:a.example,"
                                                                            "DNS:b.example"});
    t->server = tls_fixture_server(&t->paths, t->tickets);
    t->client = tls_fixture_client(&t->files);
    t->version = version;
    (void)SSL_CTX_set_max_proto_version(t->client->first, version);
}

static void tickets_test_done(struct tickets_test *t)
{
    tls_context_unref(t->server);
    tls_context_unref(t->client);
    tls_tickets_unref(t->tickets);
    tls_fixture_done(&t->files);
}

static void tickets_test_replace_server(struct tickets_test *t, struct tls_context *server)
{
    tls_context_unref(t->server);
    t->server = server;
}

static void tickets_test_ticket_done(struct tls_session_ticket **ticket)
{
    tls_session_ticket_free(*ticket);
}

static bool tickets_test_is_same(const struct tls_session_ticket *a,
                                 const struct tls_session_ticket *b)
{
    const unsigned char *bytes[2];
    size_t lens[2];
    if (a == NULL || b == NULL)
        return a == b;
    SSL_SESSION_get0_ticket(a->session, &bytes[0], &lens[0]);
    SSL_SESSION_get0_ticket(b->session, &bytes[1], &lens[1]);
    return lens[0] == lens[1] && memcmp(bytes[0], bytes[1], lens[0]) == 0;
}

/* One connection with a word each way. Returns whether it was resumed; *ticket, when the server
 * issued a new one, is exchanged for that. */
static bool tickets_test_connect(struct tickets_test *t, const char *name,
                                 struct tls_session_ticket **ticket, bool *out_is_renewed)
{
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    struct tls_session_info at_server;
    struct tls_session_info at_client;
    char word[8] = "word";
    size_t got;
    struct iovec piece = {word, 4};
    tls_fixture_pair_init(&pair, t->client, t->server, name, *ticket);
    assert_true(err_ok(tls_fixture_pump(pair.client, pair.server, 4000)));
    assert_true(err_ok(tls_session_write(pair.server, &piece, 1, &got)));
    assert_true(err_ok(tls_fixture_move(pair.server, pair.client, 4000)));
    assert_int_equal(tls_fixture_read_all(pair.client, word, sizeof word, &got).code, ERR_AGAIN);
    assert_int_equal(got, 4);
    tls_session_describe(pair.server, &at_server);
    tls_session_describe(pair.client, &at_client);
    assert_int_equal(at_server.is_resumed, at_client.is_resumed);
    struct tls_session_ticket *fresh = tls_session_take_ticket(pair.client);
    *out_is_renewed = fresh != NULL && !tickets_test_is_same(fresh, *ticket);
    if (fresh != NULL) {
        tls_session_ticket_free(*ticket);
        *ticket = fresh;
    }
    return at_server.is_resumed;
}

static const int tickets_test_versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void test_tls_tickets_resume_and_survive_a_reload(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(tickets_test_versions); i++) {
        struct tickets_test t CLEANUP(tickets_test_done);
        struct tls_session_ticket *ticket CLEANUP(tickets_test_ticket_done) = NULL;
        bool is_renewed;
        tickets_test_init(&t, tickets_test_versions[i]);
        assert_false(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
        assert_true(is_renewed);
        assert_true(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
        /* A TLS 1.3 ticket is for one use; a TLS 1.2 ticket under the current key lives on. */
        assert_int_equal(is_renewed, t.version == TLS1_3_VERSION);
        tickets_test_replace_server(&t, tls_fixture_server(&t.paths, t.tickets));
        assert_true(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
    }
}

static void test_tls_tickets_old_key_opens_and_the_ticket_is_issued_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(tickets_test_versions); i++) {
        struct tickets_test t CLEANUP(tickets_test_done);
        struct tls_session_ticket *ticket CLEANUP(tickets_test_ticket_done) = NULL;
        bool is_renewed;
        tickets_test_init(&t, tickets_test_versions[i]);
        assert_false(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
        assert_int_equal(tls_tickets_rotate(t.tickets), 1);
        for (unsigned rotations = 2; rotations < 6; rotations++) {
            clock_fake_advance_ms(&t.clock, TLS_TICKETS_ROTATE_MS);
            assert_int_equal(tls_tickets_rotate(t.tickets), rotations);
            assert_true(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
            assert_true(is_renewed);
        }
    }
}

static void test_tls_tickets_rotated_out_key_means_a_full_handshake(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(tickets_test_versions); i++) {
        for (unsigned rotations = 1; rotations <= TLS_TICKETS_KEYS; rotations++) {
            struct tickets_test t CLEANUP(tickets_test_done);
            struct tls_session_ticket *ticket CLEANUP(tickets_test_ticket_done) = NULL;
            bool is_renewed;
            tickets_test_init(&t, tickets_test_versions[i]);
            assert_false(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
            for (unsigned r = 0; r < rotations; r++) {
                clock_fake_advance_ms(&t.clock, TLS_TICKETS_ROTATE_MS);
                (void)tls_tickets_rotate(t.tickets);
            }
            bool is_resumed = tickets_test_connect(&t, "a.example", &ticket, &is_renewed);
            assert_int_equal(is_resumed, rotations < TLS_TICKETS_KEYS);
            assert_true(is_renewed);
        }
    }
}

static void test_tls_tickets_idle_store_forgets_by_age(void **state)
{
    (void)state;
    struct tickets_test t CLEANUP(tickets_test_done);
    struct tls_session_ticket *ticket CLEANUP(tickets_test_ticket_done) = NULL;
    bool is_renewed;
    tickets_test_init(&t, TLS1_3_VERSION);
    assert_false(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
    clock_fake_advance_ms(&t.clock, TLS_TICKETS_ROTATE_MS * TLS_TICKETS_KEYS - 1);
    assert_true(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
    assert_int_equal(tls_tickets_rotate(t.tickets), 2);
    clock_fake_advance_ms(&t.clock, TLS_TICKETS_ROTATE_MS * TLS_TICKETS_KEYS);
    assert_false(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
}

static void test_tls_tickets_rotate_not_before_their_time(void **state)
{
    (void)state;
    struct clock_fake clock;
    struct tls_tickets *tickets = NULL;
    clock_fake_init(&clock, 0, 0);
    assert_true(err_ok(tls_tickets_new(&clock.clock, &tickets)));
    assert_int_equal(tls_tickets_rotate(tickets), 1);
    clock_fake_advance_ms(&clock, TLS_TICKETS_ROTATE_MS - 1);
    assert_int_equal(tls_tickets_rotate(tickets), 1);
    clock_fake_advance_ms(&clock, 1);
    assert_int_equal(tls_tickets_rotate(tickets), 2);
    assert_int_equal(tls_tickets_rotate(tickets), 2);
    tls_tickets_unref(tls_tickets_ref(tickets));
    tls_tickets_unref(tickets);
}

static void test_tls_tickets_of_one_host_are_not_accepted_for_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(tickets_test_versions); i++) {
        struct tickets_test t CLEANUP(tickets_test_done);
        struct tls_session_ticket *ticket CLEANUP(tickets_test_ticket_done) = NULL;
        bool is_renewed;
        tickets_test_init(&t, tickets_test_versions[i]);
        assert_false(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
        /* The client goes along: it offers the ticket of a.example to b.example. */
        assert_false(tickets_test_connect(&t, "b.example", &ticket, &is_renewed));
        assert_true(is_renewed);
        assert_true(tickets_test_connect(&t, "b.example", &ticket, &is_renewed));
        assert_false(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
    }
}

static struct tls_context *tickets_test_domain_server(struct tickets_test *t, const char *domain)
{
    struct tls_context *c = NULL;
    struct tls_context_source source = {t->paths.certificate, t->paths.key};
    struct tls_context_server options = {.sources = &source,
                                         .source_count = 1,
                                         .tickets = t->tickets,
                                         .domain = span_from(domain),
                                         .clock = &clock_system};
    assert_true(err_ok(tls_context_new_server(&options, &c, NULL)));
    return c;
}

static void test_tls_tickets_do_not_cross_domains(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(tickets_test_versions); i++) {
        struct tickets_test t CLEANUP(tickets_test_done);
        struct tls_session_ticket *ticket CLEANUP(tickets_test_ticket_done) = NULL;
        bool is_renewed;
        tickets_test_init(&t, tickets_test_versions[i]);
        tickets_test_replace_server(&t, tickets_test_domain_server(&t, "public"));
        assert_false(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
        tickets_test_replace_server(&t, tickets_test_domain_server(&t, "staff"));
        assert_false(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
        tickets_test_replace_server(&t, tickets_test_domain_server(&t, "staff"));
        assert_true(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
    }
}

static void test_tls_tickets_of_another_store_are_not_accepted(void **state)
{
    (void)state;
    struct tickets_test t CLEANUP(tickets_test_done);
    struct tls_session_ticket *ticket CLEANUP(tickets_test_ticket_done) = NULL;
    struct tls_tickets *other = NULL;
    bool is_renewed;
    tickets_test_init(&t, TLS1_3_VERSION);
    assert_false(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
    assert_true(err_ok(tls_tickets_new(&t.clock.clock, &other)));
    tickets_test_replace_server(&t, tls_fixture_server(&t.paths, other));
    assert_false(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
    tls_tickets_unref(other);
}

static void test_tls_tickets_none_are_issued_without_a_store(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(tickets_test_versions); i++) {
        struct tickets_test t CLEANUP(tickets_test_done);
        struct tls_session_ticket *ticket CLEANUP(tickets_test_ticket_done) = NULL;
        bool is_renewed;
        tickets_test_init(&t, tickets_test_versions[i]);
        tickets_test_replace_server(&t, tls_fixture_server(&t.paths, NULL));
        assert_false(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
        assert_false(tickets_test_connect(&t, "a.example", &ticket, &is_renewed));
    }
}

struct tickets_race {
    struct tls_tickets *tickets;
    struct clock turning; /* each reading is a rotation later */
    atomic_uint_fast64_t now_ms;
    atomic_bool is_over;
};

static uint64_t tickets_race_mono(const struct clock *self)
{
    struct tickets_race *race = container_of(self, struct tickets_race, turning);
    return atomic_load(&race->now_ms) * 1000000u;
}

/* Seals and opens as OpenSSL would, while the other thread rotates: a key that was read in halves
 * would seal what it cannot open. */
static void *tickets_race_use(void *arg)
{
    struct tickets_race *race = arg;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    struct tls_context owner = {.magic = TLS_CONTEXT_MAGIC, .tickets = race->tickets};
    SSL_CTX_set_app_data(context, &owner);
    SSL *ssl = SSL_new(context);
    EVP_MAC *mac_kind = EVP_MAC_fetch(NULL, "HMAC", NULL);
    uintptr_t opened = 0;
    while (!atomic_load(&race->is_over)) {
        unsigned char name[16], iv[EVP_MAX_IV_LENGTH], sealed[64], plain[64];
        unsigned char macs[2][32];
        int len = 0;
        size_t mac_len;
        EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
        EVP_MAC_CTX *mac = EVP_MAC_CTX_new(mac_kind);
        must(tls_tickets_callback(ssl, name, iv, cipher, mac, 1) == 1);
        must(
            EVP_EncryptUpdate(cipher, sealed, &len, (const unsigned char *)"0123456789abcdef", 16));
        must(EVP_MAC_init(mac, NULL, 0, NULL) && EVP_MAC_update(mac, sealed, 16) &&
             EVP_MAC_final(mac, macs[0], &mac_len, 32));
        EVP_MAC_CTX_free(mac);
        EVP_CIPHER_CTX_reset(cipher);
        mac = EVP_MAC_CTX_new(mac_kind);
        int found = tls_tickets_callback(ssl, name, iv, cipher, mac, 0);
        if (found > 0) {
            must(EVP_CIPHER_CTX_set_padding(cipher, 0) == 1);
            must(EVP_DecryptUpdate(cipher, plain, &len, sealed, 16) && len == 16);
            must(memcmp(plain, "0123456789abcdef", 16) == 0);
            must(EVP_MAC_init(mac, NULL, 0, NULL) && EVP_MAC_update(mac, sealed, 16) &&
                 EVP_MAC_final(mac, macs[1], &mac_len, 32));
            must(memcmp(macs[0], macs[1], 32) == 0);
            opened++;
        }
        EVP_MAC_CTX_free(mac);
        EVP_CIPHER_CTX_free(cipher);
    }
    EVP_MAC_free(mac_kind);
    SSL_free(ssl);
    SSL_CTX_free(context);
    return (void *)opened;
}

static void test_tls_tickets_are_read_whole_while_they_rotate(void **state)
{
    (void)state;
    struct tickets_race race = {.turning = {.mono_ns = tickets_race_mono}};
    pthread_t users[2];
    uintptr_t opened = 0;
    atomic_init(&race.now_ms, 0);
    assert_true(err_ok(tls_tickets_new(&race.turning, &race.tickets)));
    for (size_t i = 0; i < COUNT_OF(users); i++)
        assert_int_equal(pthread_create(&users[i], NULL, tickets_race_use, &race), 0);
    for (int i = 0; i < 2000; i++) {
        atomic_fetch_add(&race.now_ms, TLS_TICKETS_ROTATE_MS);
        (void)tls_tickets_rotate(race.tickets);
        (void)usleep(50);
    }
    atomic_store(&race.is_over, true);
    for (size_t i = 0; i < COUNT_OF(users); i++) {
        void *count;
        assert_int_equal(pthread_join(users[i], &count), 0);
        opened += (uintptr_t)count;
    }
    assert_int_equal(tls_tickets_rotate(race.tickets), 2001);
    assert_true(opened > 0);
    tls_tickets_unref(race.tickets);
}

static void test_tls_tickets_without_a_page_are_an_error(void **state)
{
    (void)state;
    struct tls_tickets *tickets = NULL;
    fault_point_arm("tls.tickets_map", 1, false);
    assert_int_equal(tls_tickets_new(&clock_system, &tickets).code, ERR_NO_MEMORY);
    fault_point_disarm();
    assert_null(tickets);
    assert_true(err_ok(tls_tickets_new(&clock_system, &tickets)));
    /* 4 KiB are within any memory lock limit in use; the answer itself is the platform's. */
    (void)tls_tickets_is_locked(tickets);
    tls_tickets_unref(tickets);
    tls_tickets_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls_tickets_resume_and_survive_a_reload),
        cmocka_unit_test(test_tls_tickets_old_key_opens_and_the_ticket_is_issued_again),
        cmocka_unit_test(test_tls_tickets_rotated_out_key_means_a_full_handshake),
        cmocka_unit_test(test_tls_tickets_idle_store_forgets_by_age),
        cmocka_unit_test(test_tls_tickets_rotate_not_before_their_time),
        cmocka_unit_test(test_tls_tickets_of_one_host_are_not_accepted_for_another),
        cmocka_unit_test(test_tls_tickets_do_not_cross_domains),
        cmocka_unit_test(test_tls_tickets_of_another_store_are_not_accepted),
        cmocka_unit_test(test_tls_tickets_none_are_issued_without_a_store),
        cmocka_unit_test(test_tls_tickets_are_read_whole_while_they_rotate),
        cmocka_unit_test(test_tls_tickets_without_a_page_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
