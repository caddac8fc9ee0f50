/* test_link.c: connections to a target: opened, lent, kept while idle, and given up.
 *
 * The targets are peers of the test; time stands still but for test_pass.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "egress/link.h"

#include "cmocka_all.h"
#include "core/loop.h"
#include "peer.h"
#include "wire/tls_fixture.h"

#define WAIT_TURNS         20000 /* turns after which a test is taken to hang */
#define KEY                77u
#define CONNECT_TIMEOUT_MS 1000u
#define IDLE_TIMEOUT_MS    60000u
#define OWNERS_MAX         4

struct test_owner {
    unsigned opened;
    err outcome;
    struct fault why;
    struct link *link;
    unsigned events;
};

struct test_house {
    struct clock_fake clock;
    struct loop *loop;
    struct link_pool *pool;
    struct peer_server target;
    struct link_route route;
    struct test_owner owners[OWNERS_MAX];
};

static void test_opened(void *owner, struct link *link, err outcome, const struct fault *why)
{
    struct test_owner *o = owner;
    o->opened++;
    o->outcome = outcome;
    o->why = why == NULL ? (struct fault){0} : *why;
    o->link = link;
    if (err_ok(outcome))
        channel_want(&link->channel, 0); /* every owner says what it wants */
}

static void test_event(void *owner, struct link *link, unsigned events)
{
    struct test_owner *o = owner;
    assert_ptr_equal(link, o->link);
    o->events |= events;
}

static const struct link_owner test_ops = {test_opened, test_event};

static void test_start(struct test_house *h, enum peer_server_kind kind)
{
    *h = (struct test_house){0};
    clock_fake_init(&h->clock, UINT64_C(5000000000000), 0);
    h->loop = loop_new(&(struct loop_options){.name = "t", .clock = &h->clock.clock});
    h->pool = link_pool_new(h->loop);
    peer_server_init(&h->target, kind);
    h->route = (struct link_route){.key = KEY,
                                   .address = &h->target.address,
                                   .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                   .idle_timeout_ms = IDLE_TIMEOUT_MS,
                                   .idle_max = 8};
}

static void test_end(struct test_house *h)
{
    link_pool_free(h->pool);
    peer_server_done(&h->target);
    loop_turn(h->loop, false);
    loop_free(h->loop);
}

static void test_turn(struct test_house *h)
{
    (void)peer_server_pump(&h->target);
    loop_turn(h->loop, false);
    (void)peer_server_pump(&h->target);
}

#define TEST_UNTIL(h, condition)                                                                   \
    for (unsigned turns_ = 0; !(condition); test_turn(h))                                          \
        if (turns_++ > WAIT_TURNS)                                                                 \
    fail_msg("never true: %s", #condition)

static void test_settle(struct test_house *h)
{
    for (unsigned i = 0; i < 10; i++)
        test_turn(h);
}

static void test_pass(struct test_house *h, uint64_t ms)
{
    clock_fake_advance_ms(&h->clock, ms);
    test_settle(h);
}

static struct link_pool_stats test_stats(const struct test_house *h)
{
    struct link_pool_stats stats;
    link_pool_stats(h->pool, &stats);
    return stats;
}

/* An open link of this owner, with its peer as the target's last one. */
static struct link *test_link(struct test_house *h, unsigned owner)
{
    struct test_owner *o = &h->owners[owner];
    struct link *link = NULL;
    unsigned peers = h->target.count;
    *o = (struct test_owner){0};
    assert_true(err_ok(link_open(h->pool, &h->route, &test_ops, o, &link)));
    assert_int_equal(o->opened, 0); /* never inside link_open */
    assert_int_equal(link->state, LINK_OPENING);
    TEST_UNTIL(h, o->opened > 0 && h->target.count > peers);
    assert_int_equal(o->opened, 1);
    assert_true(err_ok(o->outcome));
    assert_ptr_equal(o->link, link);
    assert_int_equal(link->state, LINK_BUSY);
    return link;
}

static struct link *test_take(struct test_house *h, unsigned owner)
{
    struct test_owner *o = &h->owners[owner];
    *o = (struct test_owner){0};
    o->link = link_take(h->pool, h->route.key, &test_ops, o);
    return o->link;
}

/* ---- opening ---- */

static void test_link_opens_and_passes_bytes(void **state)
{
    (void)state;
    struct test_house h;
    char ask[] = "ask", room[16];
    size_t moved = 0;
    test_start(&h, PEER_SERVER_ACCEPTS);
    struct link *link = test_link(&h, 0);
    struct iovec piece = {.iov_base = ask, .iov_len = 3};
    assert_int_equal(test_stats(&h).active, 1);
    assert_int_equal(link->used_count, 1);
    assert_true(err_ok(channel_write(&link->channel, &piece, 1, &moved)));
    TEST_UNTIL(&h, peer_has(&h.target.peers[0], "ask"));
    channel_want(&link->channel, SOCK_READ);
    peer_say(&h.target.peers[0], "answer");
    TEST_UNTIL(&h, h.owners[0].events != 0);
    assert_int_equal(h.owners[0].events, SOCK_READ);
    assert_true(err_ok(channel_read(&link->channel, room, sizeof room, &moved)));
    assert_memory_equal(room, "answer", moved);
    link_close(link);
    assert_int_equal(test_stats(&h).active, 0);
    test_end(&h);
}

static void test_link_refused_is_told_once_and_gone(void **state)
{
    (void)state;
    struct test_house h;
    struct link *link = NULL;
    test_start(&h, PEER_SERVER_REFUSES);
    err outcome = link_open(h.pool, &h.route, &test_ops, &h.owners[0], &link);
    /* The system may refuse at once or later; each is told in one way alone. */
    if (err_ok(outcome)) {
        assert_int_equal(h.owners[0].opened, 0);
        TEST_UNTIL(&h, h.owners[0].opened > 0);
        outcome = h.owners[0].outcome;
        assert_null(h.owners[0].link);
    }
    assert_true(err_is(outcome, ERR_UPSTREAM_CONNECT));
    test_pass(&h, 10 * CONNECT_TIMEOUT_MS);
    assert_in_range(h.owners[0].opened, 0, 1);
    assert_int_equal(test_stats(&h).active, 0);
    assert_int_equal(test_stats(&h).idle, 0);
    test_end(&h);
}

static void test_link_gives_up_connecting_at_its_timeout(void **state)
{
    (void)state;
    struct test_house h;
    struct link *link = NULL;
    test_start(&h, PEER_SERVER_SILENT);
    assert_true(err_ok(link_open(h.pool, &h.route, &test_ops, &h.owners[0], &link)));
    test_pass(&h, CONNECT_TIMEOUT_MS - 1);
    assert_int_equal(h.owners[0].opened, 0);
    assert_int_equal(test_stats(&h).active, 1);
    test_pass(&h, 1);
    assert_int_equal(h.owners[0].opened, 1);
    assert_true(err_is(h.owners[0].outcome, ERR_UPSTREAM_CONNECT));
    assert_string_equal(h.owners[0].why.text, ""); /* a plain connection knows no more */
    assert_int_equal(test_stats(&h).active, 0);
    test_end(&h);
}

static void test_link_closed_while_opening_tells_nobody(void **state)
{
    (void)state;
    struct test_house h;
    struct link *link = NULL;
    test_start(&h, PEER_SERVER_ACCEPTS);
    assert_true(err_ok(link_open(h.pool, &h.route, &test_ops, &h.owners[0], &link)));
    link_close(link);
    test_pass(&h, 10 * CONNECT_TIMEOUT_MS);
    assert_int_equal(h.owners[0].opened, 0);
    assert_int_equal(test_stats(&h).active, 0);
    test_end(&h);
}

/* ---- TLS ---- */

struct test_tls {
    struct tls_fixture certificates;
    struct tls_context *client;
};

static void test_start_tls(struct test_house *h, struct test_tls *t)
{
    struct tls_fixture_spec spec = {.stem = "a", .alt_names = "DNS:a.example"};
    test_start(h, PEER_SERVER_ACCEPTS);
    tls_fixture_init(&t->certificates);
    struct tls_fixture_paths paths = tls_fixture_make(&t->certificates, &spec);
    h->target.tls = tls_fixture_server(&paths, NULL);
    t->client = tls_fixture_client(&t->certificates);
    h->route.tls = t->client;
    h->route.server_name = SPAN("a.example");
}

static void test_end_tls(struct test_house *h, struct test_tls *t)
{
    tls_context_unref(t->client);
    test_end(h);
    tls_fixture_done(&t->certificates);
}

static void test_link_tls_is_open_when_hands_are_shaken(void **state)
{
    (void)state;
    struct test_house h;
    struct test_tls t;
    char ask[] = "ask";
    size_t moved = 0;
    test_start_tls(&h, &t);
    struct link *link = test_link(&h, 0);
    struct iovec piece = {.iov_base = ask, .iov_len = 3};
    assert_true(channel_is_established(&link->channel));
    assert_true(err_ok(channel_write(&link->channel, &piece, 1, &moved)));
    TEST_UNTIL(&h, peer_has(&h.target.peers[0], "ask"));
    /* Tickets that come later must not end an idle link's first use. */
    test_settle(&h);
    link_give_back(link, 0);
    assert_int_equal(test_stats(&h).idle, 1);
    test_end_tls(&h, &t);
}

static void test_link_tls_with_another_name_fails_to_open(void **state)
{
    (void)state;
    struct test_house h;
    struct test_tls t;
    struct link *link = NULL;
    test_start_tls(&h, &t);
    h.route.server_name = SPAN("b.example");
    assert_true(err_ok(link_open(h.pool, &h.route, &test_ops, &h.owners[0], &link)));
    TEST_UNTIL(&h, h.owners[0].opened > 0);
    assert_true(err_is(h.owners[0].outcome, ERR_UPSTREAM_CONNECT));
    assert_true(err_is((err){h.owners[0].why.code}, ERR_TLS));
    assert_true(strlen(h.owners[0].why.text) > 0);
    h.route.server_name = SPAN("not a name");
    assert_true(err_is(link_open(h.pool, &h.route, &test_ops, &h.owners[0], &link), ERR_INVALID));
    assert_int_equal(test_stats(&h).active, 0);
    test_end_tls(&h, &t);
}

static void test_link_tls_handshake_counts_toward_the_connect_timeout(void **state)
{
    (void)state;
    struct test_house h;
    struct test_tls t;
    struct link *link = NULL;
    test_start_tls(&h, &t);
    assert_true(err_ok(link_open(h.pool, &h.route, &test_ops, &h.owners[0], &link)));
    for (unsigned i = 0; i < 100; i++)
        loop_turn(h.loop, false); /* connected, but the target says nothing */
    clock_fake_advance_ms(&h.clock, CONNECT_TIMEOUT_MS - 1);
    loop_turn(h.loop, false);
    assert_int_equal(h.owners[0].opened, 0);
    clock_fake_advance_ms(&h.clock, 1);
    for (unsigned i = 0; i < 3; i++)
        loop_turn(h.loop, false);
    assert_int_equal(h.owners[0].opened, 1);
    assert_true(err_is(h.owners[0].outcome, ERR_UPSTREAM_CONNECT));
    test_end_tls(&h, &t);
}

/* ---- lending ---- */

static void test_link_most_recently_used_is_taken_first(void **state)
{
    (void)state;
    struct test_house h;
    struct link *links[3];
    test_start(&h, PEER_SERVER_ACCEPTS);
    assert_null(test_take(&h, 3));
    for (unsigned i = 0; i < 3; i++)
        links[i] = test_link(&h, i);
    link_give_back(links[1], 0);
    link_give_back(links[0], 0);
    link_give_back(links[2], 0);
    assert_int_equal(test_stats(&h).idle, 3);
    assert_int_equal(test_stats(&h).active, 0);
    assert_ptr_equal(test_take(&h, 0), links[2]);
    assert_ptr_equal(test_take(&h, 1), links[0]);
    assert_ptr_equal(test_take(&h, 2), links[1]);
    assert_null(link_take(h.pool, KEY, &test_ops, &h.owners[3]));
    assert_int_equal(test_stats(&h).reused, 3);
    assert_int_equal(test_stats(&h).opened, 3);
    assert_int_equal(test_stats(&h).active, 3);
    assert_int_equal(links[0]->used_count, 2);
    for (unsigned i = 0; i < 3; i++)
        link_close(links[i]);
    test_end(&h);
}

static void test_link_taken_reports_to_its_new_owner(void **state)
{
    (void)state;
    struct test_house h;
    test_start(&h, PEER_SERVER_ACCEPTS);
    struct link *link = test_link(&h, 0);
    link_give_back(link, 0);
    assert_ptr_equal(test_take(&h, 1), link);
    channel_want(&link->channel, SOCK_READ);
    peer_say(&h.target.peers[0], "answer");
    TEST_UNTIL(&h, h.owners[1].events != 0);
    assert_int_equal(h.owners[0].events, 0);
    assert_int_equal(h.owners[1].opened, 0);
    link_close(link);
    test_end(&h);
}

static void test_link_of_one_target_is_never_lent_for_another(void **state)
{
    (void)state;
    struct test_house h;
    enum { TARGETS = 40 }; /* more than the pool has places at first */
    struct link *links[TARGETS];
    test_start(&h, PEER_SERVER_ACCEPTS);
    for (unsigned i = 0; i < TARGETS; i++) {
        h.route.key = i * UINT64_C(0x100000);
        links[i] = test_link(&h, 0);
    }
    for (unsigned i = 0; i < TARGETS; i++)
        link_give_back(links[i], 0);
    for (unsigned i = 0; i < TARGETS; i++) {
        h.route.key = i * UINT64_C(0x100000);
        assert_ptr_equal(test_take(&h, 0), links[i]);
        assert_null(test_take(&h, 1));
        link_close(links[i]);
    }
    test_end(&h);
}

/* ---- idle ---- */

static void test_link_idle_is_closed_at_the_idle_timeout(void **state)
{
    (void)state;
    struct test_house h;
    test_start(&h, PEER_SERVER_ACCEPTS);
    link_give_back(test_link(&h, 0), 0);
    test_pass(&h, IDLE_TIMEOUT_MS - 1);
    assert_int_equal(test_stats(&h).idle, 1);
    assert_false(peer_is_over(&h.target.peers[0]));
    test_pass(&h, 1);
    assert_int_equal(test_stats(&h).idle, 0);
    TEST_UNTIL(&h, peer_is_over(&h.target.peers[0]));
    assert_null(test_take(&h, 0));
    test_end(&h);
}

static void test_link_in_use_outlives_the_idle_timeout(void **state)
{
    (void)state;
    struct test_house h;
    test_start(&h, PEER_SERVER_ACCEPTS);
    struct link *link = test_link(&h, 0);
    link_give_back(link, 0);
    test_pass(&h, IDLE_TIMEOUT_MS - 1);
    assert_ptr_equal(test_take(&h, 0), link);
    test_pass(&h, 3 * IDLE_TIMEOUT_MS);
    assert_int_equal(test_stats(&h).active, 1);
    link_give_back(link, 0);
    test_pass(&h, IDLE_TIMEOUT_MS - 1);
    assert_int_equal(test_stats(&h).idle, 1);
    test_end(&h);
}

/* A link is given up one second before the target would close it. */
static void test_link_keeps_within_the_targets_own_timeout(void **state)
{
    (void)state;
    static const struct {
        uint64_t hint_ms, kept_ms;
    } cases[] = {{5000, 4000},
                 {1001, 1},
                 {IDLE_TIMEOUT_MS, IDLE_TIMEOUT_MS - 1000},
                 {IDLE_TIMEOUT_MS + 1000, IDLE_TIMEOUT_MS},
                 {10 * IDLE_TIMEOUT_MS, IDLE_TIMEOUT_MS}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct test_house h;
        test_start(&h, PEER_SERVER_ACCEPTS);
        link_give_back(test_link(&h, 0), cases[i].hint_ms);
        test_pass(&h, cases[i].kept_ms - 1);
        assert_int_equal(test_stats(&h).idle, 1);
        test_pass(&h, 1);
        assert_int_equal(test_stats(&h).idle, 0);
        test_end(&h);
    }
}

static void test_link_with_no_time_left_is_not_kept(void **state)
{
    (void)state;
    struct test_house h;
    test_start(&h, PEER_SERVER_ACCEPTS);
    link_give_back(test_link(&h, 0), 1000);
    link_give_back(test_link(&h, 0), 1);
    assert_int_equal(test_stats(&h).idle, 0);
    assert_int_equal(test_stats(&h).active, 0);
    test_end(&h);
}

static void test_link_closed_by_the_target_while_idle_is_noticed(void **state)
{
    (void)state;
    struct test_house h;
    test_start(&h, PEER_SERVER_ACCEPTS);
    struct link *kept = test_link(&h, 0);
    struct link *closed = test_link(&h, 1);
    link_give_back(kept, 0);
    link_give_back(closed, 0);
    peer_close(&h.target.peers[1]);
    TEST_UNTIL(&h, test_stats(&h).idle == 1);
    assert_ptr_equal(test_take(&h, 0), kept);
    assert_int_equal(h.owners[1].events, 0);
    link_give_back(kept, 0);
    peer_reset(&h.target.peers[0]);
    TEST_UNTIL(&h, test_stats(&h).idle == 0);
    test_end(&h);
}

static void test_link_that_speaks_out_of_turn_is_dropped(void **state)
{
    (void)state;
    struct test_house h;
    test_start(&h, PEER_SERVER_ACCEPTS);
    link_give_back(test_link(&h, 0), 0);
    peer_say(&h.target.peers[0], "HTTP/1.1 408 Request Timeout\r\n\r\n");
    TEST_UNTIL(&h, test_stats(&h).idle == 0);
    assert_null(test_take(&h, 0));
    test_end(&h);
}

static void test_link_pool_keeps_no_more_than_idle_max(void **state)
{
    (void)state;
    for (unsigned max = 0; max < 3; max++) {
        struct test_house h;
        struct link *links[3];
        test_start(&h, PEER_SERVER_ACCEPTS);
        h.route.idle_max = max;
        for (unsigned i = 0; i < 3; i++)
            links[i] = test_link(&h, i);
        for (unsigned i = 0; i < 3; i++) {
            link_give_back(links[i], 0);
            assert_int_equal(test_stats(&h).idle, i + 1 < max ? i + 1 : max);
        }
        assert_int_equal(test_stats(&h).active, 0);
        test_end(&h);
    }
}

static void test_link_forget_closes_the_idle_links_of_one_target(void **state)
{
    (void)state;
    struct test_house h;
    test_start(&h, PEER_SERVER_ACCEPTS);
    struct link *busy = test_link(&h, 0);
    link_give_back(test_link(&h, 1), 0);
    link_give_back(test_link(&h, 2), 0);
    h.route.key = KEY + 1;
    struct link *other = test_link(&h, 3);
    link_give_back(other, 0);
    assert_int_equal(test_stats(&h).idle, 3);
    link_forget(h.pool, KEY);
    link_forget(h.pool, KEY + 2);
    assert_int_equal(test_stats(&h).idle, 1);
    assert_int_equal(test_stats(&h).active, 1);
    assert_ptr_equal(test_take(&h, 1), other);
    link_close(other);
    link_close(busy);
    test_end(&h);
}

static void test_link_pool_of_nothing_is_freed(void **state)
{
    (void)state;
    link_pool_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link_opens_and_passes_bytes),
        cmocka_unit_test(test_link_refused_is_told_once_and_gone),
        cmocka_unit_test(test_link_gives_up_connecting_at_its_timeout),
        cmocka_unit_test(test_link_closed_while_opening_tells_nobody),
        cmocka_unit_test(test_link_tls_is_open_when_hands_are_shaken),
        cmocka_unit_test(test_link_tls_with_another_name_fails_to_open),
        cmocka_unit_test(test_link_tls_handshake_counts_toward_the_connect_timeout),
        cmocka_unit_test(test_link_most_recently_used_is_taken_first),
        cmocka_unit_test(test_link_taken_reports_to_its_new_owner),
        cmocka_unit_test(test_link_of_one_target_is_never_lent_for_another),
        cmocka_unit_test(test_link_idle_is_closed_at_the_idle_timeout),
        cmocka_unit_test(test_link_in_use_outlives_the_idle_timeout),
        cmocka_unit_test(test_link_keeps_within_the_targets_own_timeout),
        cmocka_unit_test(test_link_with_no_time_left_is_not_kept),
        cmocka_unit_test(test_link_closed_by_the_target_while_idle_is_noticed),
        cmocka_unit_test(test_link_that_speaks_out_of_turn_is_dropped),
        cmocka_unit_test(test_link_pool_keeps_no_more_than_idle_max),
        cmocka_unit_test(test_link_forget_closes_the_idle_links_of_one_target),
        cmocka_unit_test(test_link_pool_of_nothing_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
