/* test_channel.c: one face for plain connections and for TLS.
 *
 * The other end is a peer with TLS of its own; certificates are made on the spot.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "egress/channel.h"

#include "cmocka_all.h"
#include "core/loop.h"
#include "core/mem.h"
#include "peer.h"
#include "wire/tls_fixture.h"

#define WAIT_TURNS 20000 /* turns after which a test is taken to hang */
#define LARGE      ((size_t)2 * 1024 * 1024)
#define RECORD     16384 /* RFC 8446 section 5.1: the most plaintext of one record */

/* A channel that plays the server, and its client. */
struct test_wire {
    struct loop *loop;
    struct channel channel;
    struct peer peer;
    struct tls_fixture certificates;
    struct tls_context *server;
    struct tls_context *client;
    unsigned reads; /* events of either kind */
    unsigned writes;
};

static void test_on_event(struct channel *c, unsigned events)
{
    struct test_wire *w = container_of(c, struct test_wire, channel);
    w->reads += (events & SOCK_READ) != 0;
    w->writes += (events & SOCK_WRITE) != 0;
}

static struct tls_session *test_session(struct tls_context *context, const char *name)
{
    struct tls_session *session = NULL;
    struct tls_session_options options = {.context = context, .server_name = span_from(name)};
    assert_true(err_ok(tls_session_new(&options, &session)));
    return session;
}

static void test_open(struct test_wire *w, bool has_tls)
{
    int pair[2];
    struct tls_session *server = NULL, *client = NULL;
    *w = (struct test_wire){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    peer_buffer_sizes(pair[0], 4096);
    if (has_tls) {
        struct tls_fixture_spec spec = {.stem = "a", .alt_names = "DNS:a.example"};
        tls_fixture_init(&w->certificates);
        struct tls_fixture_paths paths = tls_fixture_make(&w->certificates, &spec);
        w->server = tls_fixture_server(&paths, NULL);
        w->client = tls_fixture_client(&w->certificates);
        server = test_session(w->server, "");
        client = test_session(w->client, "a.example");
    }
    w->loop = loop_new(&(struct loop_options){.name = "t"});
    channel_init(&w->channel, w->loop, sock_adopt(w->loop, pair[0], NULL, NULL), server,
                 test_on_event);
    peer_init(&w->peer, pair[1], client);
}

static void test_close(struct test_wire *w)
{
    channel_close(&w->channel);
    channel_close(&w->channel);
    assert_false(channel_is_open(&w->channel));
    peer_done(&w->peer);
    loop_turn(w->loop, false);
    loop_free(w->loop);
    if (w->server == NULL)
        return;
    tls_context_unref(w->server);
    tls_context_unref(w->client);
    tls_fixture_done(&w->certificates);
}

static void test_turn(struct test_wire *w)
{
    (void)peer_pump(&w->peer);
    loop_turn(w->loop, false);
    (void)peer_pump(&w->peer);
}

#define TEST_UNTIL(w, condition)                                                                   \
    for (unsigned turns_ = 0; !(condition); test_turn(w))                                          \
        if (turns_++ > WAIT_TURNS)                                                                 \
    fail_msg("never true: %s", #condition)

static err test_read(struct test_wire *w, char *into, size_t cap, size_t *out_got)
{
    *out_got = 0;
    return channel_read(&w->channel, into, cap, out_got);
}

/* Turns until there is something to read, or the end. */
static err test_read_soon(struct test_wire *w, char *into, size_t cap, size_t *out_got)
{
    channel_want(&w->channel, SOCK_READ);
    for (unsigned i = 0; i < WAIT_TURNS; i++) {
        err outcome = test_read(w, into, cap, out_got);
        if (!err_is(outcome, ERR_AGAIN))
            return outcome;
        test_turn(w);
    }
    return FAIL(AGAIN);
}

static bool test_reads_end(struct test_wire *w, enum err_code code)
{
    char byte;
    size_t got = 0;
    return err_is(test_read_soon(w, &byte, 1, &got), code) && got == 0;
}

static void test_shake_hands(struct test_wire *w)
{
    char byte;
    size_t got = 0;
    channel_want(&w->channel, SOCK_READ);
    assert_false(channel_is_established(&w->channel));
    for (unsigned i = 0; i < WAIT_TURNS && !channel_is_established(&w->channel); i++) {
        unsigned reads = w->reads;
        test_turn(w);
        if (w->reads > reads)
            assert_true(err_is(test_read(w, &byte, 1, &got), ERR_AGAIN));
    }
    assert_true(channel_is_established(&w->channel));
    TEST_UNTIL(w, tls_session_is_established(w->peer.tls));
}

static struct iovec test_piece(const char *text)
{
    struct iovec piece = {.iov_len = strlen(text)};
    memcpy(&piece.iov_base, &text, sizeof text);
    return piece;
}

static void test_say(struct test_wire *w, const char *text)
{
    struct iovec piece = test_piece(text);
    size_t written = 0;
    assert_true(err_ok(channel_write(&w->channel, &piece, 1, &written)));
    assert_int_equal(written, strlen(text));
}

/* ---- plain ---- */

static void test_channel_plain_passes_bytes_both_ways(void **state)
{
    (void)state;
    struct test_wire w;
    char room[64];
    size_t got = 0;
    test_open(&w, false);
    assert_true(channel_is_open(&w.channel));
    assert_true(channel_is_established(&w.channel));
    assert_true(err_is(test_read(&w, room, sizeof room, &got), ERR_AGAIN));
    channel_want(&w.channel, SOCK_READ);
    loop_turn(w.loop, false);
    assert_int_equal(w.reads, 0);
    peer_say(&w.peer, "hello");
    TEST_UNTIL(&w, w.reads > 0);
    assert_int_equal(w.writes, 0);
    assert_true(err_ok(test_read(&w, room, sizeof room, &got)));
    assert_memory_equal(room, "hello", got);
    assert_false(channel_has_more(&w.channel));
    test_say(&w, "good day");
    assert_true(channel_is_flushed(&w.channel));
    TEST_UNTIL(&w, peer_has(&w.peer, "good day"));
    test_close(&w);
}

static void test_channel_tells_only_what_was_wanted(void **state)
{
    (void)state;
    struct test_wire w;
    test_open(&w, false);
    peer_say(&w.peer, "hello");
    for (unsigned i = 0; i < 10; i++)
        test_turn(&w);
    assert_int_equal(w.reads + w.writes, 0);
    channel_want(&w.channel, SOCK_WRITE);
    TEST_UNTIL(&w, w.writes > 0);
    assert_int_equal(w.reads, 0);
    channel_want(&w.channel, SOCK_READ | SOCK_WRITE);
    TEST_UNTIL(&w, w.reads > 0);
    test_close(&w);
}

static void test_channel_plain_end_is_closed_and_leaves_the_way_back_open(void **state)
{
    (void)state;
    struct test_wire w;
    test_open(&w, false);
    peer_finish(&w.peer);
    assert_true(test_reads_end(&w, ERR_CLOSED));
    test_say(&w, "goodbye");
    channel_finish(&w.channel);
    TEST_UNTIL(&w, w.peer.has_ended);
    assert_string_equal(peer_text(&w.peer), "goodbye");
    test_close(&w);
}

static void test_channel_abort_is_final(void **state)
{
    (void)state;
    struct test_wire w;
    test_open(&w, false);
    channel_abort(&w.channel);
    channel_abort(&w.channel);
    assert_false(channel_is_open(&w.channel));
    TEST_UNTIL(&w, peer_is_over(&w.peer));
    test_close(&w);
}

/* ---- TLS ---- */

static void test_channel_tls_shakes_hands_and_passes_bytes_both_ways(void **state)
{
    (void)state;
    struct test_wire w;
    char room[64];
    size_t got = 0;
    test_open(&w, true);
    test_shake_hands(&w);
    peer_say(&w.peer, "hello");
    assert_true(err_ok(test_read_soon(&w, room, sizeof room, &got)));
    assert_memory_equal(room, "hello", got);
    assert_true(err_is(test_read(&w, room, sizeof room, &got), ERR_AGAIN));
    struct iovec pieces[] = {test_piece("good "), test_piece("day")};
    assert_true(err_ok(channel_write(&w.channel, pieces, 2, &got)));
    assert_int_equal(got, 8);
    TEST_UNTIL(&w, peer_has(&w.peer, "good day"));
    test_close(&w);
}

/* Owners who want nothing, or only to write, need the client's flights all the same. */
static void test_channel_tls_handshake_needs_no_wish_of_its_owner(void **state)
{
    (void)state;
    struct test_wire w;
    char byte;
    size_t got = 0;
    test_open(&w, true);
    TEST_UNTIL(&w, w.reads > 0);
    assert_true(err_is(test_read(&w, &byte, 1, &got), ERR_AGAIN));
    TEST_UNTIL(&w, tls_session_is_established(w.peer.tls) && w.reads > 1);
    assert_true(err_is(test_read(&w, &byte, 1, &got), ERR_AGAIN));
    assert_true(channel_is_established(&w.channel));
    unsigned reads = w.reads;
    peer_say(&w.peer, "hello");
    for (unsigned i = 0; i < 10; i++)
        test_turn(&w);
    assert_int_equal(w.reads, reads);
    test_close(&w);
}

static void test_channel_tls_refuses_what_is_no_handshake(void **state)
{
    (void)state;
    struct test_wire w;
    test_open(&w, true);
    tls_session_free(w.peer.tls);
    w.peer.tls = NULL;
    peer_send(&w.peer, SPAN("\x16\x03\x01\0\x05\xff\0\0\x01\0"));
    assert_true(test_reads_end(&w, ERR_TLS));
    TEST_UNTIL(&w, w.peer.in.len > 0); /* the alert */
    assert_int_equal(w.peer.in.at[0], 0x15);
    test_close(&w);
}

/* The bytes of `count` records, read in pieces of `cap` while channel_has_more says so: all must
 * come without any further event, because the socket has none. */
static void test_read_pieces(size_t bytes, size_t cap)
{
    struct test_wire w;
    char *room = mem_alloc_raw(cap);
    size_t total = 0;
    test_open(&w, true);
    test_shake_hands(&w);
    peer_buffer_sizes(w.peer.fd, 1 << 20);
    peer_fill(&w.peer, 'x', bytes);
    while (peer_waiting(&w.peer) > 0 || tls_session_output(w.peer.tls).len > 0)
        (void)peer_pump(&w.peer);
    while (total < bytes) {
        size_t got = 0;
        unsigned reads = w.reads;
        TEST_UNTIL(&w, w.reads > reads);
        do {
            err outcome = test_read(&w, room, cap, &got);
            assert_true(err_ok(outcome) || err_is(outcome, ERR_AGAIN));
            for (size_t i = 0; i < got; i++)
                assert_int_equal(room[i], 'x');
            total += got;
        } while (channel_has_more(&w.channel));
        assert_true(total <= bytes);
    }
    assert_int_equal(total, bytes);
    test_close(&w);
    mem_free(room);
}

static void test_channel_tls_has_more_until_all_plaintext_is_read(void **state)
{
    (void)state;
    test_read_pieces(100, 1);
    test_read_pieces(100, 99);
    test_read_pieces(RECORD, 1000);
    test_read_pieces(RECORD, RECORD - 1);
    test_read_pieces(RECORD, RECORD);
    test_read_pieces(RECORD + 1, RECORD);
    test_read_pieces(5 * RECORD, 4096);
    test_read_pieces(5 * RECORD, 3 * RECORD);
}

static void test_channel_tls_writes_no_faster_than_the_peer_reads(void **state)
{
    (void)state;
    struct test_wire w;
    char *bytes = mem_alloc_raw(LARGE);
    size_t total = 0, most_waiting = 0;
    unsigned blocked = 0;
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (char)(i * 7 + (i >> 8));
    test_open(&w, true);
    test_shake_hands(&w);
    while (total < LARGE) {
        struct iovec piece = {.iov_base = bytes + total, .iov_len = LARGE - total};
        size_t written = 0;
        err outcome = channel_write(&w.channel, &piece, 1, &written);
        size_t waiting = tls_session_output(w.channel.tls).len;
        most_waiting = waiting > most_waiting ? waiting : most_waiting;
        total += written;
        if (err_ok(outcome) && channel_is_flushed(&w.channel))
            continue;
        assert_true(err_ok(outcome) || err_is(outcome, ERR_AGAIN));
        unsigned writes = w.writes;
        blocked++;
        channel_want(&w.channel, SOCK_WRITE);
        TEST_UNTIL(&w, w.writes > writes);
        assert_true(channel_is_flushed(&w.channel)); /* nobody is told before */
    }
    TEST_UNTIL(&w, w.peer.in.len == LARGE);
    assert_memory_equal(w.peer.in.at, bytes, LARGE);
    assert_true(blocked > 3);
    assert_in_range(most_waiting, 1, TLS_SESSION_OUTPUT_MAX_DEFAULT);
    test_close(&w);
    mem_free(bytes);
}

static void test_channel_tls_takes_nothing_while_the_peer_reads_nothing(void **state)
{
    (void)state;
    struct test_wire w;
    char *bytes = mem_alloc(LARGE);
    size_t total = 0, written = 0;
    err outcome = OK;
    test_open(&w, true);
    test_shake_hands(&w);
    w.peer.is_paused = true;
    for (unsigned i = 0; i < 1000 && err_ok(outcome); i++) {
        struct iovec piece = {.iov_base = bytes, .iov_len = LARGE};
        written = 0;
        outcome = channel_write(&w.channel, &piece, 1, &written);
        total += written;
    }
    assert_true(err_is(outcome, ERR_AGAIN));
    assert_int_equal(written, 0);
    assert_false(channel_is_flushed(&w.channel));
    assert_true(total < LARGE);
    channel_want(&w.channel, SOCK_WRITE);
    for (unsigned i = 0; i < 20; i++)
        test_turn(&w);
    assert_int_equal(w.writes, 0);
    w.peer.is_paused = false;
    TEST_UNTIL(&w, w.writes > 0);
    TEST_UNTIL(&w, w.peer.in.len == total);
    test_close(&w);
    mem_free(bytes);
}

static void test_channel_tls_finish_sends_what_waits_and_close_notify(void **state)
{
    (void)state;
    struct test_wire w;
    test_open(&w, true);
    test_shake_hands(&w);
    test_say(&w, "goodbye");
    channel_finish(&w.channel);
    TEST_UNTIL(&w, peer_is_over(&w.peer));
    assert_true(w.peer.has_ended);
    assert_false(w.peer.is_broken);
    assert_string_equal(peer_text(&w.peer), "goodbye");
    struct iovec piece = test_piece("more");
    size_t written = 0;
    assert_true(err_is(channel_write(&w.channel, &piece, 1, &written), ERR_CLOSED));
    assert_int_equal(written, 0);
    test_close(&w);
}

/* What is sent after channel_finish is the loop's work; FIN follows when all has left. */
static void test_channel_tls_finish_behind_a_slow_reader_loses_nothing(void **state)
{
    (void)state;
    struct test_wire w;
    size_t size = 60000, written = 0;
    char *bytes = mem_alloc(size);
    test_open(&w, true);
    test_shake_hands(&w);
    w.peer.is_paused = true;
    struct iovec piece = {.iov_base = bytes, .iov_len = size};
    assert_true(err_ok(channel_write(&w.channel, &piece, 1, &written)));
    assert_int_equal(written, size);
    channel_finish(&w.channel);
    assert_false(channel_is_flushed(&w.channel));
    channel_want(&w.channel, SOCK_WRITE);
    w.peer.is_paused = false;
    TEST_UNTIL(&w, channel_is_flushed(&w.channel) && w.writes > 0);
    channel_finish(&w.channel); /* as an owner does when told */
    TEST_UNTIL(&w, w.peer.has_ended);
    assert_int_equal(w.peer.in.len, size);
    int end = 1;
    TEST_UNTIL(&w, recv(w.peer.fd, &end, sizeof end, 0) == 0);
    test_close(&w);
    mem_free(bytes);
}

static void test_channel_tls_orderly_end_differs_from_a_cut(void **state)
{
    (void)state;
    struct test_wire w;
    test_open(&w, true);
    test_shake_hands(&w);
    peer_finish(&w.peer);
    assert_true(test_reads_end(&w, ERR_CLOSED));
    assert_true(tls_session_is_peer_closed(w.channel.tls));
    test_close(&w);
    test_open(&w, true);
    test_shake_hands(&w);
    peer_close(&w.peer);
    assert_true(test_reads_end(&w, ERR_CLOSED));
    assert_false(tls_session_is_peer_closed(w.channel.tls));
    test_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channel_plain_passes_bytes_both_ways),
        cmocka_unit_test(test_channel_tells_only_what_was_wanted),
        cmocka_unit_test(test_channel_plain_end_is_closed_and_leaves_the_way_back_open),
        cmocka_unit_test(test_channel_abort_is_final),
        cmocka_unit_test(test_channel_tls_shakes_hands_and_passes_bytes_both_ways),
        cmocka_unit_test(test_channel_tls_handshake_needs_no_wish_of_its_owner),
        cmocka_unit_test(test_channel_tls_refuses_what_is_no_handshake),
        cmocka_unit_test(test_channel_tls_has_more_until_all_plaintext_is_read),
        cmocka_unit_test(test_channel_tls_writes_no_faster_than_the_peer_reads),
        cmocka_unit_test(test_channel_tls_takes_nothing_while_the_peer_reads_nothing),
        cmocka_unit_test(test_channel_tls_finish_sends_what_waits_and_close_notify),
        cmocka_unit_test(test_channel_tls_finish_behind_a_slow_reader_loses_nothing),
        cmocka_unit_test(test_channel_tls_orderly_end_differs_from_a_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
