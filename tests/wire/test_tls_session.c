/* test_tls_session.c: two sessions that talk through memory.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include "core/fault_point.h"
#include "core/random.h"
#include "wire/tls_fixture.h"
#include "wire/tls_priv.h"

#define TLS_TEST_BIG (3 * 1024 * 1024 + 17)

static struct tls_fixture tls_test_files;
static struct tls_tickets *tls_test_tickets;
static struct tls_context *tls_test_server;
static struct tls_context *tls_test_client;

/* What OpenSSL holds, counted where it asks for it; each block knows its size. */
#define TLS_TEST_HEADER 16
static size_t tls_test_held;

/* Not by mem_try_resize: the fault loop below is about our own allocations. */
static void *tls_test_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    char *start = mem_alloc_raw(size_add(size, TLS_TEST_HEADER));
    memcpy(start, &size, sizeof size);
    tls_test_held += size;
    return start + TLS_TEST_HEADER;
}

static void tls_test_free(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    size_t size;
    if (block == NULL)
        return;
    memcpy(&size, (char *)block - TLS_TEST_HEADER, sizeof size);
    tls_test_held -= size;
    mem_free((char *)block - TLS_TEST_HEADER);
}

static void *tls_test_realloc(void *block, size_t size, const char *file, int line)
{
    size_t before = 0;
    void *moved = tls_test_malloc(size, file, line);
    if (block != NULL)
        memcpy(&before, (char *)block - TLS_TEST_HEADER, sizeof before);
    if (before > 0)
        memcpy(moved, block, before < size ? before : size);
    tls_test_free(block, file, line);
    return moved;
}

static int tls_test_setup(void **state)
{
    (void)state;
    tls_fixture_init(&tls_test_files);
    struct tls_fixture_paths paths = tls_fixture_make(
        &tls_test_files, &(struct tls_fixture_spec){.stem = "shop",
                                                    .alt_names = "DNS:shop.example,IP:127.0.0.1",
                                                    .has_chain = true});
    must(err_ok(tls_tickets_new(&clock_system, &tls_test_tickets)));
    tls_test_server = tls_fixture_server(&paths, tls_test_tickets);
    tls_test_client = tls_fixture_client(&tls_test_files);
    return 0;
}

static int tls_test_teardown(void **state)
{
    (void)state;
    tls_context_unref(tls_test_server);
    tls_context_unref(tls_test_client);
    tls_tickets_unref(tls_test_tickets);
    tls_fixture_done(&tls_test_files);
    return 0;
}

static void tls_test_open_by(struct tls_fixture_pair *pair, size_t step)
{
    tls_fixture_pair_init(pair, tls_test_client, tls_test_server, "shop.example", NULL);
    assert_true(err_ok(tls_fixture_pump(pair->client, pair->server, step)));
    assert_true(tls_session_is_established(pair->client));
    assert_true(tls_session_is_established(pair->server));
}

static void tls_test_open(struct tls_fixture_pair *pair)
{
    tls_test_open_by(pair, SIZE_MAX / 2);
}

static void tls_test_say(struct tls_session *from, const char *text)
{
    size_t taken = 0;
    char copy[256];
    size_t len = strlen(text);
    memcpy(copy, text, len);
    struct iovec piece = {copy, len};
    assert_true(err_ok(tls_session_write(from, &piece, 1, &taken)));
    assert_int_equal(taken, len);
}

static void tls_test_hear(struct tls_session *at, const char *text)
{
    char out[256];
    size_t len;
    assert_int_equal(tls_fixture_read_all(at, out, sizeof out, &len).code, ERR_AGAIN);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(out, text, len);
}

static void test_tls_session_talks_whole_and_byte_by_byte(void **state)
{
    (void)state;
    static const size_t steps[] = {1, 2, 3, 7, 100, 4096, SIZE_MAX / 2};
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
        tls_test_open_by(&pair, steps[i]);
        tls_test_say(pair.client, "ping");
        assert_true(err_ok(tls_fixture_move(pair.client, pair.server, steps[i])));
        tls_test_hear(pair.server, "ping");
        tls_test_say(pair.server, "pong");
        assert_true(err_ok(tls_fixture_move(pair.server, pair.client, steps[i])));
        tls_test_hear(pair.client, "pong");
    }
}

static void test_tls_session_describes_what_was_agreed(void **state)
{
    (void)state;
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    struct tls_session_info info;
    tls_fixture_pair_init(&pair, tls_test_client, tls_test_server, "SHOP.example.", NULL);
    assert_true(err_ok(tls_fixture_pump(pair.client, pair.server, 1000)));
    tls_session_describe(pair.server, &info);
    assert_true(span_eq(info.server_name, SPAN("shop.example")));
    assert_true(span_eq(info.alpn, SPAN("http/1.1")));
    assert_string_equal(info.protocol, "TLSv1.3");
    assert_string_equal(info.cipher, "TLS_AES_128_GCM_SHA256");
    assert_false(info.is_resumed);
    tls_session_describe(pair.client, &info);
    assert_true(span_eq(info.alpn, SPAN("http/1.1")));
    assert_null(tls_session_fault(pair.server));
    assert_null(tls_session_peer_alert(pair.server));
}

static void test_tls_session_early_words_wait_for_the_handshake(void **state)
{
    (void)state;
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    char byte = 'x';
    size_t taken = 99;
    struct iovec piece = {&byte, 1};
    tls_fixture_pair_init(&pair, tls_test_client, tls_test_server, "shop.example", NULL);
    assert_int_equal(tls_session_write(pair.client, &piece, 1, &taken).code, ERR_AGAIN);
    assert_int_equal(tls_session_read(pair.server, &byte, 1, &taken).code, ERR_AGAIN);
    assert_int_equal(taken, 99);
    /* The client's Finished and its first request in one feed, as they arrive in one segment. */
    assert_true(err_ok(tls_fixture_move(pair.client, pair.server, SIZE_MAX / 2)));
    assert_true(err_ok(tls_fixture_move(pair.server, pair.client, SIZE_MAX / 2)));
    assert_true(tls_session_is_established(pair.client));
    tls_test_say(pair.client, "GET /");
    struct span both = tls_session_output(pair.client);
    assert_true(err_ok(tls_session_feed(pair.server, both)));
    tls_test_hear(pair.server, "GET /");
}

static void tls_test_fill(char *bytes, size_t len, uint64_t seed)
{
    struct random random;
    random_init_seeded(&random, seed);
    random_bytes(&random, bytes, len);
    random_done(&random);
}

/* Sends all of `sent` while the output is drained in odd steps; the reader takes odd sizes. */
static void tls_test_transfer(struct tls_session *from, struct tls_session *to, char *sent,
                              char *received, size_t len)
{
    size_t written = 0;
    size_t read = 0;
    while (read < len) {
        struct iovec pieces[4];
        for (size_t i = 0; i < 4; i++) {
            size_t at = written + (len - written) * i / 4;
            size_t end = written + (len - written) * (i + 1) / 4;
            pieces[i] = (struct iovec){sent + at, end - at};
        }
        size_t taken = 0;
        err outcome = tls_session_write(from, pieces, 4, &taken);
        assert_true(err_ok(outcome) || err_is(outcome, ERR_AGAIN));
        written += taken;
        assert_true(tls_session_output(from).len <= TLS_SESSION_OUTPUT_MAX_DEFAULT + 512);
        struct span out = tls_session_output(from);
        size_t part = out.len < 33333 ? out.len : 33333;
        assert_true(err_ok(tls_session_feed(to, span_of(out.at, part))));
        size_t got;
        err heard = tls_fixture_read_all(to, received + read, len - read, &got);
        assert_true(err_ok(heard) || err_is(heard, ERR_AGAIN));
        assert_true(err_ok(tls_session_settle(to)));
        tls_session_output_sent(from, part);
        read += got;
    }
    assert_int_equal(written, len);
    assert_memory_equal(sent, received, len);
}

static void test_tls_session_carries_megabytes_both_ways(void **state)
{
    (void)state;
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    char *sent = mem_alloc(TLS_TEST_BIG);
    char *received = mem_alloc(TLS_TEST_BIG);
    tls_test_open(&pair);
    tls_test_fill(sent, TLS_TEST_BIG, 1);
    tls_test_transfer(pair.client, pair.server, sent, received, TLS_TEST_BIG);
    tls_test_fill(sent, TLS_TEST_BIG, 2);
    tls_test_transfer(pair.server, pair.client, sent, received, TLS_TEST_BIG);
    mem_free(sent);
    mem_free(received);
}

static void test_tls_session_small_pieces_leave_in_one_record(void **state)
{
    (void)state;
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    char head[] = "HTTP/1.1 200 OK\r\n\r\n";
    char body[] = "hello";
    size_t taken = 0;
    struct iovec pieces[] = {{head, 19}, {NULL, 0}, {body, 5}};
    tls_test_open(&pair);
    assert_true(err_ok(tls_session_write(pair.server, pieces, 3, &taken)));
    assert_int_equal(taken, 24);
    struct span out = tls_session_output(pair.server);
    assert_int_equal((unsigned char)out.at[0], 23);
    /* 5 bytes of header, the text, its type, 16 bytes of tag. */
    assert_int_equal(out.len, 5 + 24 + 1 + 16);
    assert_true(err_ok(tls_session_feed(pair.client, out)));
    tls_test_hear(pair.client, "HTTP/1.1 200 OK\r\n\r\nhello");
    assert_true(err_ok(tls_session_write(pair.server, pieces, 0, &taken)));
    assert_int_equal(taken, 0);
}

static void test_tls_session_output_stops_at_its_maximum(void **state)
{
    (void)state;
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    char *block = mem_alloc(100000);
    struct iovec piece = {block, 100000};
    size_t taken = 0;
    size_t total = 0;
    tls_test_open(&pair);
    for (int i = 0; i < 2; i++) {
        assert_true(err_ok(tls_session_write(pair.server, &piece, 1, &taken)));
        total += taken;
    }
    assert_int_equal(tls_session_write(pair.server, &piece, 1, &taken).code, ERR_AGAIN);
    size_t pending = tls_session_output(pair.server).len;
    assert_in_range(pending, TLS_SESSION_OUTPUT_MAX_DEFAULT - 4096, TLS_SESSION_OUTPUT_MAX_DEFAULT);
    assert_in_range(total, TLS_SESSION_OUTPUT_MAX_DEFAULT - 8192, TLS_SESSION_OUTPUT_MAX_DEFAULT);
    tls_session_output_sent(pair.server, 20000);
    assert_true(err_ok(tls_session_write(pair.server, &piece, 1, &taken)));
    assert_in_range(taken, 18000, 24000);
    struct buf out CLEANUP(buf_done) = {0};
    tls_session_output_take(pair.server, &out);
    assert_true(out.len > pending - 20000 && tls_session_output(pair.server).len == 0);
    mem_free(block);
}

static void test_tls_session_input_kept_is_limited(void **state)
{
    (void)state;
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    char *block = mem_alloc(70000);
    struct iovec piece = {block, 70000};
    size_t taken = 0;
    size_t got;
    tls_test_open(&pair);
    assert_true(err_ok(tls_session_write(pair.client, &piece, 1, &taken)));
    struct span out = tls_session_output(pair.client);
    assert_true(err_ok(tls_session_feed(pair.server, out)));
    assert_true(err_ok(tls_session_settle(pair.server)));
    assert_true(tls_session_has_more(pair.server));
    assert_int_equal(tls_session_feed(pair.server, out).code, ERR_TOO_LARGE);
    assert_int_equal(tls_fixture_read_all(pair.server, block, 70000, &got).code, ERR_NONE);
    assert_int_equal(got, 70000);
    assert_false(tls_session_has_more(pair.server));
    mem_free(block);
}

static void test_tls_session_close_notify_ends_each_direction(void **state)
{
    (void)state;
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    char out[16];
    size_t got;
    struct iovec piece = {out, 1};
    tls_test_open(&pair);
    tls_test_say(pair.client, "last");
    tls_session_close(pair.client);
    tls_session_close(pair.client);
    assert_int_equal(tls_session_write(pair.client, &piece, 1, &got).code, ERR_CLOSED);
    assert_true(err_ok(tls_fixture_move(pair.client, pair.server, SIZE_MAX / 2)));
    assert_false(tls_session_is_peer_closed(pair.server));
    assert_int_equal(tls_fixture_read_all(pair.server, out, sizeof out, &got).code, ERR_CLOSED);
    assert_int_equal(got, 4);
    assert_true(tls_session_is_peer_closed(pair.server));
    assert_int_equal(tls_session_read(pair.server, out, 1, &got).code, ERR_CLOSED);
    assert_string_equal(tls_session_peer_alert(pair.server), "close notify");
    /* The other direction still works, and bytes behind a close_notify do no harm. */
    assert_true(err_ok(tls_session_feed(pair.server, SPAN("garbage"))));
    assert_int_equal(tls_session_read(pair.server, out, 1, &got).code, ERR_CLOSED);
    tls_test_say(pair.server, "answer");
    assert_true(err_ok(tls_fixture_move(pair.server, pair.client, SIZE_MAX / 2)));
    tls_test_hear(pair.client, "answer");
}

static void test_tls_session_holds_no_buffer_when_idle(void **state)
{
    (void)state;
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    tls_test_open(&pair);
    tls_test_say(pair.client, "ping");
    assert_true(err_ok(tls_fixture_move(pair.client, pair.server, 10)));
    tls_test_hear(pair.server, "ping");
    assert_false(tls_session_has_more(pair.server));
    assert_int_equal(tls_session_output(pair.server).len, 0);
    assert_null(tls_session_output(pair.server).at);
}

static void test_tls_session_idle_connection_takes_at_most_16_kib(void **state)
{
    (void)state;
    enum { COUNT = 64 };
    struct tls_session *idle[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        struct tls_fixture_pair pair;
        tls_fixture_pair_init(&pair, tls_test_client, tls_test_server, "shop.example", NULL);
        assert_true(err_ok(tls_fixture_pump(pair.client, pair.server, SIZE_MAX / 2)));
        tls_test_say(pair.client, "GET / HTTP/1.1");
        assert_true(err_ok(tls_fixture_move(pair.client, pair.server, SIZE_MAX / 2)));
        tls_test_hear(pair.server, "GET / HTTP/1.1");
        tls_test_say(pair.server, "HTTP/1.1 200 OK");
        assert_true(err_ok(tls_fixture_move(pair.server, pair.client, SIZE_MAX / 2)));
        tls_session_free(pair.client);
        idle[i] = pair.server;
    }
    size_t with_all = tls_test_held;
    for (size_t i = 0; i < COUNT; i++)
        tls_session_free(idle[i]);
    size_t each = (with_all - tls_test_held) / COUNT;
    print_message("idle TLS 1.3 session: %zu bytes in OpenSSL\n", each);
    /* The session itself adds a few hundred. */
    assert_in_range(each, 1024, 15 * 1024);
}

static void tls_test_expect_refusal(const char *name, const char *text)
{
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    tls_fixture_pair_init(&pair, tls_test_client, tls_test_server, name, NULL);
    assert_int_equal(tls_fixture_pump(pair.client, pair.server, 500).code, ERR_TLS);
    const struct fault *why = tls_session_fault(pair.client);
    assert_non_null(why);
    if (strstr(why->text, text) == NULL)
        fail_msg("%s", why->text);
    assert_false(tls_session_is_established(pair.client));
}

static void test_tls_session_client_refuses_another_name(void **state)
{
    (void)state;
    tls_test_expect_refusal("evil.example", "\"evil.example\" is not accepted: hostname mismatch");
    tls_test_expect_refusal("127.0.0.2", "\"127.0.0.2\" is not accepted: IP address mismatch");
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    tls_fixture_pair_init(&pair, tls_test_client, tls_test_server, "127.0.0.1", NULL);
    assert_true(err_ok(tls_fixture_pump(pair.client, pair.server, 500)));
    struct tls_session_info info;
    tls_session_describe(pair.server, &info);
    assert_int_equal(info.server_name.len, 0);
}

static void test_tls_session_client_needs_a_name_to_verify(void **state)
{
    (void)state;
    static const char *const names[] = {"", "a b", "a..b", ".a", "a/b", "*.example"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct tls_session *s = NULL;
        struct tls_session_options options = {.context = tls_test_client,
                                              .server_name = span_from(names[i])};
        assert_int_equal(tls_session_new(&options, &s).code, ERR_INVALID);
        assert_null(s);
    }
}

static void test_tls_session_client_refuses_an_unknown_issuer(void **state)
{
    (void)state;
    struct tls_fixture other;
    tls_fixture_init(&other);
    struct tls_context *client = tls_fixture_client(&other);
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    tls_fixture_pair_init(&pair, client, tls_test_server, "shop.example", NULL);
    assert_int_equal(tls_fixture_pump(pair.client, pair.server, 500).code, ERR_TLS);
    assert_non_null(strstr(tls_session_fault(pair.client)->text, "is not accepted"));
    /* The server hears why. */
    assert_non_null(strstr(tls_session_fault(pair.server)->text, "the peer refuses: unknown CA"));
    assert_string_equal(tls_session_peer_alert(pair.server), "unknown CA");
    tls_context_unref(client);
    tls_fixture_done(&other);
}

static void test_tls_session_unverified_client_accepts_any_certificate(void **state)
{
    (void)state;
    struct tls_context *client = NULL;
    struct tls_context_client options = {.is_unverified = true, .clock = &clock_system};
    assert_true(err_ok(tls_context_new_client(&options, &client, NULL)));
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    tls_fixture_pair_init(&pair, client, tls_test_server, "", NULL);
    assert_true(err_ok(tls_fixture_pump(pair.client, pair.server, 500)));
    struct tls_session_info info;
    tls_session_describe(pair.client, &info);
    assert_int_equal(info.alpn.len, 0);
    tls_context_unref(client);
}

/* A context whose rules the test bends; sessions see only the pointer. */
static struct tls_context *tls_test_bent_client(void)
{
    struct tls_context *client = tls_fixture_client(&tls_test_files);
    SSL_CTX_set_security_level(client->first, 0);
    return client;
}

static void test_tls_session_old_versions_are_refused(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION};
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct tls_context *client = tls_test_bent_client();
        (void)SSL_CTX_set_min_proto_version(client->first, versions[i]);
        (void)SSL_CTX_set_max_proto_version(client->first, versions[i]);
        must(SSL_CTX_set_cipher_list(client->first, "ALL:@SECLEVEL=0") == 1);
        struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
        tls_fixture_pair_init(&pair, client, tls_test_server, "shop.example", NULL);
        assert_true(tls_session_output(pair.client).len > 0);
        assert_int_equal(tls_fixture_pump(pair.client, pair.server, 500).code, ERR_TLS);
        assert_non_null(strstr(tls_session_fault(pair.server)->text, "unsupported protocol"));
        assert_string_equal(tls_session_peer_alert(pair.client), "protocol version");
        tls_context_unref(client);
    }
}

static struct tls_context *tls_test_tls12_client(void)
{
    struct tls_context *client = tls_test_bent_client();
    (void)SSL_CTX_set_max_proto_version(client->first, TLS1_2_VERSION);
    return client;
}

static void test_tls_session_tls12_works_without_weak_suites(void **state)
{
    (void)state;
    struct tls_context *client = tls_test_tls12_client();
    for (int is_weak = 0; is_weak < 2; is_weak++) {
        if (is_weak)
            must(SSL_CTX_set_cipher_list(client->first, "ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256:"
                                                        "DHE-RSA-AES128-GCM-SHA256") == 1);
        struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
        tls_fixture_pair_init(&pair, client, tls_test_server, "shop.example", NULL);
        err outcome = tls_fixture_pump(pair.client, pair.server, 500);
        assert_int_equal(outcome.code, is_weak ? ERR_TLS : ERR_NONE);
        if (is_weak) {
            assert_non_null(strstr(tls_session_fault(pair.server)->text, "no shared cipher"));
            continue;
        }
        struct tls_session_info info;
        tls_session_describe(pair.server, &info);
        assert_string_equal(info.protocol, "TLSv1.2");
        assert_string_equal(info.cipher, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
        tls_test_say(pair.server, "pong");
        assert_true(err_ok(tls_fixture_move(pair.server, pair.client, 3)));
        tls_test_hear(pair.client, "pong");
    }
    tls_context_unref(client);
}

static void test_tls_session_renegotiation_ends_the_connection(void **state)
{
    (void)state;
    struct tls_context *client = tls_test_tls12_client();
    (void)SSL_CTX_clear_options(client->first, SSL_OP_NO_RENEGOTIATION);
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    char out[8];
    size_t got;
    tls_fixture_pair_init(&pair, client, tls_test_server, "shop.example", NULL);
    assert_true(err_ok(tls_fixture_pump(pair.client, pair.server, 500)));
    assert_int_equal(SSL_renegotiate(tls_session_ssl(pair.client)), 1);
    (void)SSL_do_handshake(tls_session_ssl(pair.client));
    assert_true(tls_session_output(pair.client).len > 0);
    assert_true(err_ok(tls_fixture_move(pair.client, pair.server, SIZE_MAX / 2)));
    assert_int_equal(tls_session_read(pair.server, out, sizeof out, &got).code, ERR_TLS);
    assert_non_null(strstr(tls_session_fault(pair.server)->text, "renegotiate"));
    tls_context_unref(client);
}

static void test_tls_session_key_update_flood_ends_the_connection(void **state)
{
    (void)state;
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    char out[8];
    size_t got;
    unsigned accepted = 0;
    tls_test_open(&pair);
    err outcome = OK;
    while (accepted < 1000) {
        assert_int_equal(SSL_key_update(tls_session_ssl(pair.client), SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(tls_session_ssl(pair.client)), 1);
        assert_true(err_ok(tls_fixture_move(pair.client, pair.server, SIZE_MAX / 2)));
        outcome = tls_session_read(pair.server, out, sizeof out, &got);
        if (!err_is(outcome, ERR_AGAIN))
            break;
        accepted++;
        /* A few are the protocol's own business, and work. */
        assert_true(err_ok(tls_fixture_move(pair.server, pair.client, SIZE_MAX / 2)));
        assert_int_equal(tls_session_read(pair.client, out, sizeof out, &got).code, ERR_AGAIN);
    }
    assert_int_equal(outcome.code, ERR_TLS);
    assert_int_equal(accepted, 32);
    assert_non_null(strstr(tls_session_fault(pair.server)->text, "new keys too often"));
}

static void test_tls_session_alpn_without_overlap_is_refused(void **state)
{
    (void)state;
    static const struct span other = SPAN_INIT("spdy/3");
    struct tls_context *client = NULL;
    struct tls_context_client options = {
        .ca_path = tls_test_files.ca_path, .alpn = &other, .alpn_count = 1, .clock = &clock_system};
    assert_true(err_ok(tls_context_new_client(&options, &client, NULL)));
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    tls_fixture_pair_init(&pair, client, tls_test_server, "shop.example", NULL);
    assert_int_equal(tls_fixture_pump(pair.client, pair.server, 500).code, ERR_TLS);
    assert_string_equal(tls_session_peer_alert(pair.client), "no application protocol");
    tls_context_unref(client);
}

static void test_tls_session_plain_http_is_an_error_with_a_text(void **state)
{
    (void)state;
    struct tls_session *s = NULL;
    struct tls_session_options options = {.context = tls_test_server};
    assert_true(err_ok(tls_session_new(&options, &s)));
    assert_int_equal(tls_session_feed(s, SPAN("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).code, ERR_TLS);
    assert_non_null(strstr(tls_session_fault(s)->text, "http request"));
    /* A failed session stays so. */
    char out[8];
    size_t got;
    struct iovec piece = {out, 1};
    assert_int_equal(tls_session_feed(s, SPAN("x")).code, ERR_TLS);
    assert_int_equal(tls_session_read(s, out, 8, &got).code, ERR_TLS);
    assert_int_equal(tls_session_write(s, &piece, 1, &got).code, ERR_TLS);
    tls_session_close(s);
    tls_session_free(s);
}

/* Replays a conversation with a fresh client while one byte of what the server receives is
 * changed. The server fails, or waits for more, or (never) believes a changed byte. */
static void tls_test_mutate_once(size_t at, unsigned char change)
{
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    size_t seen = 0;
    bool is_changed = false;
    char heard[64];
    size_t got = 0;
    tls_fixture_pair_init(&pair, tls_test_client, tls_test_server, "shop.example", NULL);
    for (int turn = 0; turn < 4; turn++) {
        if (turn == 2 && tls_session_is_established(pair.client))
            tls_test_say(pair.client, "hello");
        struct buf out CLEANUP(buf_done) = {0};
        tls_session_output_take(pair.client, &out);
        if (!is_changed && at >= seen && at - seen < out.len) {
            out.at[at - seen] = (char)((unsigned char)out.at[at - seen] ^ change);
            is_changed = true;
        }
        seen += out.len;
        if (!err_ok(tls_session_feed(pair.server, buf_span(&out))))
            break;
        err outcome = tls_fixture_read_all(pair.server, heard, sizeof heard, &got);
        if (!err_is(outcome, ERR_AGAIN))
            break;
        assert_true(got == 0 || (got == 5 && memcmp(heard, "hello", 5) == 0));
        if (!err_ok(tls_fixture_move(pair.server, pair.client, SIZE_MAX / 2)))
            break;
    }
    /* A change of the record header's legacy version is ignored by design (RFC 8446 5.1). */
    if (is_changed && got == 5)
        assert_true(at == 1 || at == 2);
}

static void test_tls_session_a_changed_byte_is_an_error_and_no_crash(void **state)
{
    (void)state;
    struct random random;
    random_init_seeded(&random, 2024);
    for (size_t at = 0; at < 700; at++)
        tls_test_mutate_once(at, (unsigned char)(1u << random_below(&random, 8)));
    random_done(&random);
}

static void test_tls_session_truncation_is_never_taken_for_an_end(void **state)
{
    (void)state;
    struct tls_fixture_pair whole CLEANUP(tls_fixture_pair_done) = {0};
    tls_fixture_pair_init(&whole, tls_test_client, tls_test_server, "shop.example", NULL);
    struct span hello = tls_session_output(whole.client);
    for (size_t len = 0; len < hello.len; len++) {
        struct tls_session *s = NULL;
        struct tls_session_options options = {.context = tls_test_server};
        char out[8];
        size_t got;
        assert_true(err_ok(tls_session_new(&options, &s)));
        assert_true(err_ok(tls_session_feed(s, span_of(hello.at, len))));
        assert_int_equal(tls_session_read(s, out, sizeof out, &got).code, ERR_AGAIN);
        assert_false(tls_session_is_established(s));
        assert_false(tls_session_is_peer_closed(s));
        assert_int_equal(tls_session_output(s).len, 0);
        tls_session_free(s);
    }
}

/* A whole connection; each step may fail, none may lie or leak. Returns whether all went well. */
static bool tls_test_whole_life(void)
{
    struct tls_fixture_pair pair CLEANUP(tls_fixture_pair_done) = {0};
    char text[] = "hello";
    size_t taken;
    struct iovec pieces[] = {{text, 2}, {text + 2, 3}};
    struct tls_session_options options = {
        .context = tls_test_client, .server_name = SPAN("shop.example"), .keeps_ticket = true};
    if (!err_ok(tls_session_new(&options, &pair.client)))
        return false;
    options = (struct tls_session_options){.context = tls_test_server};
    if (!err_ok(tls_session_new(&options, &pair.server)))
        return false;
    if (!err_ok(tls_fixture_pump(pair.client, pair.server, 50)))
        return false;
    if (!tls_session_is_established(pair.server))
        return false;
    struct tls_session_info info;
    tls_session_describe(pair.server, &info);
    if (info.server_name.len == 0 ||
        !err_ok(tls_session_write(pair.client, pieces, COUNT_OF(pieces), &taken)) ||
        !err_ok(tls_fixture_move(pair.client, pair.server, 10)))
        return false;
    char heard[16];
    if (!err_is(tls_fixture_read_all(pair.server, heard, sizeof heard, &taken), ERR_AGAIN))
        return false;
    assert_int_equal(taken, 5);
    if (!err_is(tls_fixture_read_all(pair.client, heard, sizeof heard, &taken), ERR_AGAIN))
        return false;
    struct tls_session_ticket *ticket = tls_session_take_ticket(pair.client);
    tls_session_ticket_free(ticket);
    return ticket != NULL;
}

static void test_tls_session_survives_every_failed_allocation(void **state)
{
    (void)state;
    static const char *const prefixes[] = {"mem.", "tls."};
    for (size_t p = 0; p < COUNT_OF(prefixes); p++)
        for (int is_persistent = 0; is_persistent < 2; is_persistent++)
            for (unsigned nth = 1;; nth++) {
                fault_point_arm(prefixes[p], nth, is_persistent == 1);
                bool is_well = tls_test_whole_life();
                unsigned fired = fault_point_fired();
                fault_point_disarm();
                assert_true(nth < 10000);
                if (fired > 0)
                    continue;
                assert_true(is_well);
                assert_true(nth > 1);
                break;
            }
}

static void test_tls_session_random_garbage_fails(void **state)
{
    (void)state;
    struct random random;
    random_init_seeded(&random, 99);
    for (int i = 0; i < 500; i++) {
        struct tls_session *s = NULL;
        struct tls_session_options options = {.context = tls_test_server};
        char garbage[512];
        size_t len = 1 + (size_t)random_below(&random, sizeof garbage);
        random_bytes(&random, garbage, sizeof garbage);
        if (i % 2 == 0)
            memcpy(garbage, "\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03", 11);
        assert_true(err_ok(tls_session_new(&options, &s)));
        err outcome = tls_session_feed(s, span_of(garbage, len));
        assert_true(err_ok(outcome) || err_is(outcome, ERR_TLS));
        assert_false(tls_session_is_established(s));
        tls_session_free(s);
    }
    random_done(&random);
}

int main(void)
{
    must(CRYPTO_set_mem_functions(tls_test_malloc, tls_test_realloc, tls_test_free) == 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls_session_talks_whole_and_byte_by_byte),
        cmocka_unit_test(test_tls_session_describes_what_was_agreed),
        cmocka_unit_test(test_tls_session_early_words_wait_for_the_handshake),
        cmocka_unit_test(test_tls_session_carries_megabytes_both_ways),
        cmocka_unit_test(test_tls_session_small_pieces_leave_in_one_record),
        cmocka_unit_test(test_tls_session_output_stops_at_its_maximum),
        cmocka_unit_test(test_tls_session_input_kept_is_limited),
        cmocka_unit_test(test_tls_session_close_notify_ends_each_direction),
        cmocka_unit_test(test_tls_session_holds_no_buffer_when_idle),
        cmocka_unit_test(test_tls_session_idle_connection_takes_at_most_16_kib),
        cmocka_unit_test(test_tls_session_client_refuses_another_name),
        cmocka_unit_test(test_tls_session_client_needs_a_name_to_verify),
        cmocka_unit_test(test_tls_session_client_refuses_an_unknown_issuer),
        cmocka_unit_test(test_tls_session_unverified_client_accepts_any_certificate),
        cmocka_unit_test(test_tls_session_old_versions_are_refused),
        cmocka_unit_test(test_tls_session_tls12_works_without_weak_suites),
        cmocka_unit_test(test_tls_session_renegotiation_ends_the_connection),
        cmocka_unit_test(test_tls_session_key_update_flood_ends_the_connection),
        cmocka_unit_test(test_tls_session_alpn_without_overlap_is_refused),
        cmocka_unit_test(test_tls_session_plain_http_is_an_error_with_a_text),
        cmocka_unit_test(test_tls_session_a_changed_byte_is_an_error_and_no_crash),
        cmocka_unit_test(test_tls_session_truncation_is_never_taken_for_an_end),
        cmocka_unit_test(test_tls_session_random_garbage_fails),
        cmocka_unit_test(test_tls_session_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, tls_test_setup, tls_test_teardown);
}
