/* test_tls_context.c: which certificate is shown to whom.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <pthread.h>

#include "wire/tls_fixture.h"
#include "wire/tls_priv.h"

static struct tls_fixture context_files;

/* The table's certificates, in this order; the common name tells which was shown. */
enum context_certificate {
    CONTEXT_DEFAULT, /* EC: default.example */
    CONTEXT_SHOP_EC, /* EC: shop.example, *.shop.example */
    CONTEXT_SHOP_RSA,
    CONTEXT_WWW,      /* EC: www.shop.example */
    CONTEXT_EXPIRED,  /* EC: old.example */
    CONTEXT_TOO_SOON, /* EC: new.example */
    CONTEXT_HIDDEN,   /* EC: shop.example once more */
    CONTEXT_COUNT,
};

static const struct tls_fixture_spec context_specs[CONTEXT_COUNT] = {
    [CONTEXT_DEFAULT] = {.stem = "0",
                         .common_name = "default-ec",
                         .alt_names = "DNS:default.example"},
    [CONTEXT_SHOP_EC] = {.stem = "1",
                         .common_name = "shop-ec",
                         .alt_names = "DNS:shop.example,DNS:*.shop.example"},
    [CONTEXT_SHOP_RSA] = {.stem = "2",
                          .common_name = "shop-rsa",
                          .alt_names = "DNS:shop.example,DNS:default.example",
                          .rsa_bits = 2048},
    [CONTEXT_WWW] = {.stem = "3", .common_name = "www-ec", .alt_names = "DNS:www.shop.example"},
    [CONTEXT_EXPIRED] = {.stem = "4",
                         .common_name = "old-ec",
                         .alt_names = "DNS:old.example",
                         .from_days = -60},
    [CONTEXT_TOO_SOON] = {.stem = "5",
                          .common_name = "new-ec",
                          .alt_names = "DNS:new.example",
                          .from_days = 10},
    [CONTEXT_HIDDEN] = {.stem = "6", .common_name = "hidden", .alt_names = "DNS:shop.example"},
};

static struct tls_fixture_paths context_paths[CONTEXT_COUNT];
static struct tls_context *context_server;
static struct tls_tickets *context_tickets;

static err context_build(const struct tls_fixture_paths *paths, size_t count,
                         const struct tls_context_server *options, struct tls_context **out,
                         struct fault *why)
{
    struct tls_context_source sources[CONTEXT_COUNT];
    struct tls_context_server o = *options;
    for (size_t i = 0; i < count; i++)
        sources[i] = (struct tls_context_source){paths[i].certificate, paths[i].key};
    o.sources = sources;
    o.source_count = count;
    o.clock = &clock_system;
    return tls_context_new_server(&o, out, why);
}

static int context_setup(void **state)
{
    (void)state;
    tls_fixture_init(&context_files);
    for (size_t i = 0; i < CONTEXT_COUNT; i++)
        context_paths[i] = tls_fixture_make(&context_files, &context_specs[i]);
    must(err_ok(tls_tickets_new(&clock_system, &context_tickets)));
    struct tls_context_server options = {.tickets = context_tickets};
    must(err_ok(context_build(context_paths, CONTEXT_COUNT, &options, &context_server, NULL)));
    return 0;
}

static int context_teardown(void **state)
{
    (void)state;
    tls_context_unref(context_server);
    tls_tickets_unref(context_tickets);
    tls_fixture_done(&context_files);
    return 0;
}

/* The common name of the certificate that a client of this kind is shown. */
static void context_ask(const char *name, int version, const char *signatures, char out[64])
{
    struct tls_context *client = NULL;
    struct tls_context_client options = {.is_unverified = true, .clock = &clock_system};
    assert_true(err_ok(tls_context_new_client(&options, &client, NULL)));
    (void)SSL_CTX_set_max_proto_version(client->first, version);
    if (signatures != NULL) {
        char list[64]; /* OpenSSL's macro casts const away */
        assert_true(snprintf(list, sizeof list, "%s", signatures) < (int)sizeof list);
        assert_int_equal(SSL_CTX_set1_sigalgs_list(client->first, list), 1);
    }
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    tls_fixture_pair_init(&pair, client, context_server, name, NULL);
    out[0] = '\0';
    if (err_ok(tls_fixture_pump(pair.client, pair.server, 2000))) {
        X509 *shown = SSL_get1_peer_certificate(tls_session_ssl(pair.client));
        must(X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, out, 64) > 0);
        X509_free(shown);
    }
    tls_context_unref(client);
}

#define CONTEXT_RSA_ONLY "RSA-PSS+SHA256:RSA+SHA256"
#define CONTEXT_EC_ONLY  "ECDSA+SHA256"

static void test_tls_context_shows_the_certificate_of_the_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *signatures, *shown;
    } cases[] = {
        {"default.example", CONTEXT_EC_ONLY, "default-ec"},
        {"default.example", CONTEXT_RSA_ONLY, "shop-rsa"},
        {"shop.example", CONTEXT_EC_ONLY, "shop-ec"},
        {"shop.example", CONTEXT_RSA_ONLY, "shop-rsa"},
        {"SHOP.Example", CONTEXT_EC_ONLY, "shop-ec"},
        {"a.shop.example", NULL, "shop-ec"},
        {"a.b.shop.example", NULL, "default-ec"},
        {"www.shop.example", NULL, "www-ec"},
        {"WWW.shop.example.", NULL, "www-ec"},
        {"unknown.example", NULL, "default-ec"},
        {"unknown.example", CONTEXT_RSA_ONLY, "shop-rsa"},
        {"", CONTEXT_EC_ONLY, "default-ec"},
        {"", CONTEXT_RSA_ONLY, "shop-rsa"},
        {"192.0.2.1", CONTEXT_EC_ONLY, "default-ec"},
        {"old.example", NULL, "old-ec"},
        {"new.example", NULL, "new-ec"},
        {"www.shop.example", CONTEXT_RSA_ONLY, ""}, /* there is no RSA key for it */
    };
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t v = 0; v < COUNT_OF(versions); v++) {
            char shown[64];
            context_ask(cases[i].name, versions[v], cases[i].signatures, shown);
            if (strcmp(shown, cases[i].shown) != 0)
                fail_msg("%s (%s): \"%s\"", cases[i].name, cases[i].signatures, shown);
        }
}

static void test_tls_context_lists_certificates_with_warnings(void **state)
{
    (void)state;
    assert_int_equal(tls_context_certificate_count(context_server), CONTEXT_COUNT);
    for (size_t i = 0; i < CONTEXT_COUNT; i++) {
        const struct tls_context_certificate *c = tls_context_certificate(context_server, i);
        assert_string_equal(c->path, context_paths[i].certificate);
        assert_int_equal(c->is_expired, i == CONTEXT_EXPIRED);
        assert_int_equal(c->is_not_yet_valid, i == CONTEXT_TOO_SOON);
        assert_int_equal(c->is_hidden, i == CONTEXT_HIDDEN);
        assert_true(c->name_count > 0);
    }
}

static void test_tls_context_knows_which_hosts_share_a_connection(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool is_same;
    } cases[] = {
        {"shop.example", "SHOP.example.", true},
        {"a.shop.example", "b.shop.example", true},
        {"a.shop.example", "www.shop.example", false},
        {"shop.example", "a.shop.example", false},
        {"shop.example", "default.example", false},
        {"x.example", "y.example", true},
        {"", "unknown.example", true},
        {"shop.example", "", false},
        {"shop.example", "shop.example/", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (tls_context_is_same_host(context_server, span_from(cases[i].a),
                                     span_from(cases[i].b)) != cases[i].is_same)
            fail_msg("%s %s", cases[i].a, cases[i].b);
}

/* A hello whose server name is what the test says, length bytes and all. */
static err context_hello(const unsigned char *extension, size_t len, const char **out_alert)
{
    unsigned char hello[256] = {
        0x16, 0x03, 0x01, 0,    0, 0x01, 0, 0, 0, 0x03, 0x03, [43] = 0,
        0,    2,    0x13, 0x01, 1, 0,    0, 0, 0, 0,    0,    0,
    };
    size_t at = 50; /* extensions length */
    hello[at + 2] = 0;
    hello[at + 3] = 0; /* server_name */
    hello[at + 4] = (unsigned char)(len >> 8);
    hello[at + 5] = (unsigned char)len;
    memcpy(hello + at + 6, extension, len);
    size_t total = at + 6 + len;
    hello[at] = (unsigned char)((len + 4) >> 8);
    hello[at + 1] = (unsigned char)(len + 4);
    hello[4] = (unsigned char)(total - 5);
    hello[8] = (unsigned char)(total - 9);
    struct tls_session *s = NULL;
    struct tls_session_options options = {.context = context_server};
    assert_true(err_ok(tls_session_new(&options, &s)));
    err outcome = tls_session_feed(s, span_of((const char *)hello, total));
    struct span out = tls_session_output(s);
    *out_alert = out.len == 7 ? SSL_alert_desc_string_long((unsigned char)out.at[6]) : "";
    tls_session_free(s);
    return outcome;
}

static void test_tls_context_malformed_server_names_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *alert;
    } cases[] = {
        {"", 0, "decode error"},
        {"\x00\x04\x00\x00\x01", 5, "decode error"},
        {"\x00\x04\x01\x00\x01x", 6, "decode error"},
        {"\x00\x04\x00\x00\x02x", 6, "decode error"},
        {"\x00\x04\x00\x00\x01xx", 7, "decode error"},
        {"\x00\x03\x00\x00\x00", 5, "unrecognized name"},
        {"\x00\x06\x00\x00\x03"
         "a\0b",
         8, "unrecognized name"},
        {"\x00\x06\x00\x00\x03"
         "a b",
         8, "unrecognized name"},
        {"\x00\x06\x00\x00\x03"
         "::1",
         8, "unrecognized name"},
        {"\x00\x06\x00\x00\x03.ab", 8, "unrecognized name"},
        /* A good one goes on to the next complaint: this hello shares no group. */
        {"\x00\x06\x00\x00\x03"
         "a.b",
         8, "handshake failure"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *alert;
        assert_int_equal(
            context_hello((const unsigned char *)cases[i].bytes, cases[i].len, &alert).code,
            ERR_TLS);
        if (strcmp(alert, cases[i].alert) != 0)
            fail_msg("%zu: %s", i, alert);
    }
}

static void test_tls_context_faults_name_the_file(void **state)
{
    (void)state;
    struct fault why = {0};
    struct tls_context *c = NULL;
    struct tls_context_server options = {0};
    struct tls_fixture_paths paths[2] = {context_paths[0], context_paths[1]};
    assert_int_equal(context_build(paths, 0, &options, &c, &why).code, ERR_CONFIG);
    (void)snprintf(paths[1].key, sizeof paths[1].key, "%s", paths[0].key);
    assert_int_equal(context_build(paths, 2, &options, &c, &why).code, ERR_CONFIG);
    assert_string_equal(why.file, paths[0].key);
    assert_non_null(strstr(why.text, paths[1].certificate));
    /* Too weak for today's rules. */
    paths[0] = tls_fixture_make(&context_files,
                                &(struct tls_fixture_spec){.stem = "weak", .rsa_bits = 1024});
    assert_int_equal(context_build(paths, 1, &options, &c, &why).code, ERR_CONFIG);
    assert_string_equal(why.file, paths[0].certificate);
    assert_non_null(strstr(why.text, "ee key too small"));
    assert_null(c);
}

static void test_tls_context_prefers_our_order_of_protocols(void **state)
{
    (void)state;
    static const struct span offers[] = {SPAN_INIT("http/1.1"), SPAN_INIT("x"), SPAN_INIT("h2")};
    static const struct span ours[] = {SPAN_INIT("h2"), SPAN_INIT("http/1.1")};
    struct tls_context *server = NULL;
    struct tls_context *client = NULL;
    struct tls_context_server server_options = {.alpn = ours, .alpn_count = COUNT_OF(ours)};
    assert_true(err_ok(context_build(context_paths, 2, &server_options, &server, NULL)));
    struct tls_context_client client_options = {.is_unverified = true,
                                                .alpn = offers,
                                                .alpn_count = COUNT_OF(offers),
                                                .clock = &clock_system};
    assert_true(err_ok(tls_context_new_client(&client_options, &client, NULL)));
    static const char *const names[] = {"default.example", "shop.example"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
        struct tls_session_info info;
        tls_fixture_pair_init(&pair, client, server, names[i], NULL);
        assert_true(err_ok(tls_fixture_pump(pair.client, pair.server, 2000)));
        tls_session_describe(pair.server, &info);
        assert_true(span_eq(info.alpn, SPAN("h2")));
    }
    tls_context_unref(client);
    tls_context_unref(server);
    static const struct span bad = SPAN_INIT("");
    server_options = (struct tls_context_server){.alpn = &bad, .alpn_count = 1};
    assert_int_equal(context_build(context_paths, 1, &server_options, &server, NULL).code,
                     ERR_CONFIG);
}

static void test_tls_context_outlives_its_owner_while_a_session_runs(void **state)
{
    (void)state;
    struct tls_context *server = tls_fixture_server(&context_paths[CONTEXT_SHOP_EC], NULL);
    struct tls_context *client = tls_fixture_client(&context_files);
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    tls_fixture_pair_init(&pair, client, server, "shop.example", NULL);
    tls_context_unref(client);
    tls_context_unref(server);
    assert_true(err_ok(tls_fixture_pump(pair.client, pair.server, 2000)));
}

/* What a loop does with the contexts that all loops share. */
static void *context_loop(void *client)
{
    static const char *const names[] = {"shop.example", "a.shop.example", "www.shop.example"};
    uintptr_t established = 0;
    for (unsigned i = 0; i < 60; i++) {
        struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
        tls_fixture_pair_init(&pair, client, context_server, names[i % COUNT_OF(names)], NULL);
        if (err_ok(tls_fixture_pump(pair.client, pair.server, 2000)))
            established += tls_session_is_established(pair.server);
    }
    return (void *)established;
}

static void test_tls_context_is_shared_by_threads(void **state)
{
    (void)state;
    struct tls_context *client = tls_fixture_client(&context_files);
    pthread_t loops[3];
    for (size_t i = 0; i < COUNT_OF(loops); i++)
        assert_int_equal(pthread_create(&loops[i], NULL, context_loop, client), 0);
    for (size_t i = 0; i < COUNT_OF(loops); i++) {
        void *established;
        assert_int_equal(pthread_join(loops[i], &established), 0);
        assert_int_equal((uintptr_t)established, 60);
    }
    tls_context_unref(client);
}

static void test_tls_context_client_faults_name_the_file(void **state)
{
    (void)state;
    struct fault why = {0};
    struct tls_context *c = NULL;
    struct tls_context_client options = {.ca_path = "/nowhere/ca.crt", .clock = &clock_system};
    assert_int_equal(tls_context_new_client(&options, &c, &why).code, ERR_CONFIG);
    assert_string_equal(why.file, "/nowhere/ca.crt");
    options = (struct tls_context_client){.ca_path = context_files.ca_path,
                                          .certificate_path = context_paths[0].certificate,
                                          .key_path = context_paths[1].key,
                                          .clock = &clock_system};
    assert_int_equal(tls_context_new_client(&options, &c, &why).code, ERR_CONFIG);
    assert_string_equal(why.file, context_paths[1].key);
    options.key_path = context_paths[0].key;
    assert_true(err_ok(tls_context_new_client(&options, &c, &why)));
    assert_int_equal(tls_context_certificate_count(c), 1);
    tls_context_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls_context_shows_the_certificate_of_the_name),
        cmocka_unit_test(test_tls_context_lists_certificates_with_warnings),
        cmocka_unit_test(test_tls_context_knows_which_hosts_share_a_connection),
        cmocka_unit_test(test_tls_context_malformed_server_names_are_refused),
        cmocka_unit_test(test_tls_context_faults_name_the_file),
        cmocka_unit_test(test_tls_context_prefers_our_order_of_protocols),
        cmocka_unit_test(test_tls_context_outlives_its_owner_while_a_session_runs),
        cmocka_unit_test(test_tls_context_is_shared_by_threads),
        cmocka_unit_test(test_tls_context_client_faults_name_the_file),
    };
    return cmocka_run_group_tests(tests, context_setup, context_teardown);
}
