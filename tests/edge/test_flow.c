/* test_flow.c: pieces leave in order and once, in whatever portions the socket takes them.
 *
 * A channel over one end of a socket pair; the test reads the other end.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/flow.h"

#include <unistd.h>

#include "cmocka_all.h"
#include "core/loop.h"
#include "core/mem.h"
#include "peer.h"

#define LARGE ((size_t)300 * 1024)

struct test_wire {
    struct loop *loop;
    struct channel channel;
    struct peer peer;
};

static void test_on_event(struct channel *c, unsigned events)
{
    (void)c;
    (void)events;
}

static void test_open(struct test_wire *w)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    peer_buffer_sizes(pair[0], 4096);
    w->loop = loop_new(&(struct loop_options){.name = "t"});
    channel_init(&w->channel, w->loop, sock_adopt(w->loop, pair[0], NULL, NULL), NULL,
                 test_on_event);
    peer_init(&w->peer, pair[1], NULL);
}

static void test_close(struct test_wire *w)
{
    channel_close(&w->channel);
    peer_done(&w->peer);
    loop_turn(w->loop, false);
    loop_free(w->loop);
}

static bool test_got(struct test_wire *w, const char *text)
{
    while (peer_pump(&w->peer))
        continue;
    bool is_same = strcmp(peer_text(&w->peer), text) == 0;
    buf_reset(&w->peer.in);
    return is_same;
}

static void test_flow_sends_its_pieces_in_order(void **state)
{
    (void)state;
    struct test_wire w;
    struct flow f;
    test_open(&w);
    flow_reset(&f);
    assert_true(flow_is_empty(&f));
    assert_true(err_ok(flow_send(&f, &w.channel)));
    flow_add(&f, SPAN("one "));
    flow_add(&f, SPAN(""));
    flow_add(&f, SPAN("two "));
    flow_add(&f, SPAN("three"));
    assert_int_equal(f.count, 3);
    assert_false(flow_is_empty(&f));
    assert_true(err_ok(flow_send(&f, &w.channel)));
    assert_true(flow_is_empty(&f));
    assert_int_equal(f.sent_bytes, 13);
    assert_true(test_got(&w, "one two three"));
    test_close(&w);
}

static void test_flow_has_room_again_each_time_it_was_empty(void **state)
{
    (void)state;
    struct test_wire w;
    struct flow f;
    test_open(&w);
    flow_reset(&f);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < FLOW_PARTS_MAX; i++)
            flow_add(&f, SPAN("ab"));
        assert_true(err_ok(flow_send(&f, &w.channel)));
        assert_true(test_got(&w, "abababababab"));
    }
    assert_int_equal(f.sent_bytes, 3 * FLOW_PARTS_MAX * 2);
    flow_reset(&f);
    assert_int_equal(f.sent_bytes, 0);
    test_close(&w);
}

/* Each piece is longer than what the socket holds, so the cuts fall inside pieces. */
static void test_flow_goes_on_where_a_partial_write_ended(void **state)
{
    (void)state;
    struct test_wire w;
    struct flow f;
    char *bytes = mem_alloc_raw(LARGE);
    size_t blocked = 0;
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (char)(i * 7 + (i >> 8));
    test_open(&w);
    flow_reset(&f);
    flow_add(&f, span_of(bytes, 10));
    flow_add(&f, span_of(bytes + 10, LARGE / 3));
    flow_add(&f, span_of(bytes + 10 + LARGE / 3, 1));
    flow_add(&f, span_of(bytes + 11 + LARGE / 3, LARGE - 11 - LARGE / 3));
    for (err outcome = flow_send(&f, &w.channel); !err_ok(outcome);
         outcome = flow_send(&f, &w.channel)) {
        assert_true(err_is(outcome, ERR_AGAIN));
        assert_false(flow_is_empty(&f));
        assert_true(f.sent_bytes < LARGE);
        blocked++;
        (void)peer_pump(&w.peer);
        assert_int_equal(w.peer.received_bytes, f.sent_bytes);
    }
    (void)peer_pump(&w.peer);
    assert_true(blocked > 3);
    assert_int_equal(f.sent_bytes, LARGE);
    assert_int_equal(w.peer.in.len, LARGE);
    assert_memory_equal(w.peer.in.at, bytes, LARGE);
    test_close(&w);
    mem_free(bytes);
}

static void test_flow_says_that_the_other_side_is_gone(void **state)
{
    (void)state;
    struct test_wire w;
    struct flow f;
    test_open(&w);
    flow_reset(&f);
    peer_close(&w.peer);
    flow_add(&f, SPAN("nobody reads this"));
    assert_true(err_is(flow_send(&f, &w.channel), ERR_CLOSED));
    assert_false(flow_is_empty(&f));
    assert_int_equal(f.sent_bytes, 0);
    test_close(&w);
}

struct test_join {
    size_t cap;
    size_t copy_max;
    unsigned expected_parts;
};

static void test_flow_joins_small_pieces_behind_the_first(void **state)
{
    (void)state;
    static const struct test_join cases[] = {
        {64, 64, 1}, {9, 64, 1}, {8, 64, 3}, {4, 64, 3}, {64, 5, 1}, {64, 4, 3},
    };
    struct test_wire w;
    test_open(&w);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct flow f;
        char room[64] = "head";
        flow_reset(&f);
        flow_add(&f, span_of(room, 4));
        flow_add(&f, SPAN("bod"));
        flow_add(&f, SPAN("y!"));
        flow_join(&f, room, cases[i].cap, cases[i].copy_max);
        assert_int_equal(f.count - f.first, cases[i].expected_parts);
        assert_true(err_ok(flow_send(&f, &w.channel)));
        assert_int_equal(f.sent_bytes, 9);
        assert_true(test_got(&w, "headbody!"));
    }
    test_close(&w);
}

static void test_flow_joins_nothing_to_a_piece_that_lies_elsewhere(void **state)
{
    (void)state;
    struct test_wire w;
    struct flow f;
    char room[64] = "head";
    test_open(&w);
    flow_reset(&f);
    flow_join(&f, room, sizeof room, sizeof room);
    assert_true(flow_is_empty(&f));
    flow_add(&f, SPAN("other"));
    flow_add(&f, SPAN("body"));
    flow_join(&f, room, sizeof room, sizeof room);
    assert_int_equal(f.count, 2);
    assert_string_equal(room, "head");
    assert_true(err_ok(flow_send(&f, &w.channel)));
    assert_true(test_got(&w, "otherbody"));
    flow_add(&f, span_of(room, 4));
    flow_join(&f, room, sizeof room, sizeof room);
    assert_int_equal(f.count, 1);
    assert_true(err_ok(flow_send(&f, &w.channel)));
    assert_true(test_got(&w, "head"));
    test_close(&w);
}

/* After six pieces nothing stands behind the list's end. */
static void test_flow_joins_nothing_when_all_is_sent(void **state)
{
    (void)state;
    struct test_wire w;
    struct flow f;
    char room[64] = "head";
    test_open(&w);
    flow_reset(&f);
    for (unsigned i = 0; i < FLOW_PARTS_MAX; i++)
        flow_add(&f, SPAN("x"));
    assert_true(err_ok(flow_send(&f, &w.channel)));
    flow_join(&f, room, sizeof room, sizeof room);
    assert_true(flow_is_empty(&f));
    assert_true(test_got(&w, "xxxxxx"));
    test_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flow_sends_its_pieces_in_order),
        cmocka_unit_test(test_flow_has_room_again_each_time_it_was_empty),
        cmocka_unit_test(test_flow_goes_on_where_a_partial_write_ended),
        cmocka_unit_test(test_flow_says_that_the_other_side_is_gone),
        cmocka_unit_test(test_flow_joins_small_pieces_behind_the_first),
        cmocka_unit_test(test_flow_joins_nothing_to_a_piece_that_lies_elsewhere),
        cmocka_unit_test(test_flow_joins_nothing_when_all_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
