/* test_loop.c: turns, lazy timers, mailboxes, workers and sockets of a loop.
 *
 * Timers run on a fake clock, so nothing here depends on speed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/sock.h"
#include "core/timer.h"
#include "core/worker.h"

struct alarm {
    struct timer timer;
    unsigned fired;
    uint64_t seen_ms;
    struct loop *loop;
};

static void alarm_fire(struct timer *t)
{
    struct alarm *a = container_of(t, struct alarm, timer);
    a->fired++;
    a->seen_ms = loop_now_ms(a->loop);
}

static void turn_at(struct loop *l, struct clock_fake *clock, uint64_t ms)
{
    clock->mono_now_ns = ms * 1000000u;
    loop_turn(l, false); /* time becomes stale at the end of a turn */
    loop_turn(l, false);
}

static void test_timer_fires_once_at_its_deadline(void **state)
{
    (void)state;
    struct clock_fake clock;
    clock_fake_init(&clock, 1000 * 1000000u, 0);
    struct loop *l = loop_new(&(struct loop_options){.name = "t", .clock = &clock.clock});
    struct alarm a = {.loop = l};
    timer_init(&a.timer, alarm_fire);
    timer_set(l, &a.timer, 1100);
    turn_at(l, &clock, 1099);
    assert_int_equal(a.fired, 0);
    turn_at(l, &clock, 1100);
    assert_int_equal(a.fired, 1);
    turn_at(l, &clock, 5000);
    assert_int_equal(a.fired, 1);
    loop_free(l);
}

static void test_timer_moved_later_stays_in_place_and_fires_late(void **state)
{
    (void)state;
    struct clock_fake clock;
    clock_fake_init(&clock, 1000 * 1000000u, 0);
    struct loop *l = loop_new(&(struct loop_options){.name = "t", .clock = &clock.clock});
    struct alarm a = {.loop = l};
    timer_init(&a.timer, alarm_fire);
    timer_set(l, &a.timer, 1100);
    timer_set(l, &a.timer, 1300);
    assert_int_equal(a.timer.armed_ms, 1100);
    turn_at(l, &clock, 1200);
    assert_int_equal(a.fired, 0);
    assert_int_equal(a.timer.armed_ms, 1300);
    turn_at(l, &clock, 1300);
    assert_int_equal(a.fired, 1);
    timer_set(l, &a.timer, 2000);
    timer_clear(&a.timer);
    turn_at(l, &clock, 3000);
    assert_int_equal(a.fired, 1);
    timer_set(l, &a.timer, 9000);
    timer_set(l, &a.timer, 4000);
    turn_at(l, &clock, 4000);
    assert_int_equal(a.fired, 2);
    loop_free(l);
}

static void test_timers_fire_in_order_of_deadline_for_random_sets(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    struct clock_fake clock;
    clock_fake_init(&clock, 0, 0);
    struct loop *l = loop_new(&(struct loop_options){.name = "t", .clock = &clock.clock});
    struct random r;
    random_init_seeded(&r, 42);
    struct alarm *alarms = mem_alloc(COUNT * sizeof *alarms);
    uint64_t wanted[COUNT] = {0};
    for (unsigned i = 0; i < COUNT; i++) {
        alarms[i].loop = l;
        timer_init(&alarms[i].timer, alarm_fire);
    }
    for (unsigned step = 0; step < 5 * COUNT; step++) {
        unsigned i = (unsigned)random_below(&r, COUNT);
        wanted[i] = random_below(&r, 4) == 0 ? 0 : 1 + random_below(&r, 1000);
        if (wanted[i] == 0)
            timer_close(l, &alarms[i].timer);
        else
            timer_set(l, &alarms[i].timer, wanted[i]);
    }
    for (uint64_t ms = 1; ms <= 1000; ms++)
        turn_at(l, &clock, ms);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(alarms[i].fired, wanted[i] == 0 ? 0 : 1);
        assert_int_equal(alarms[i].seen_ms, wanted[i]);
    }
    mem_free(alarms);
    random_done(&r);
    loop_free(l);
}

struct note {
    struct message message;
    unsigned number;
    struct loop *loop;
};

static unsigned notes_seen;

static void note_run(struct message *m)
{
    struct note *n = container_of(m, struct note, message);
    assert_int_equal(n->number, notes_seen);
    notes_seen++;
    if (n->number == 999)
        loop_stop(n->loop);
    mem_free(n);
}

static void test_mailbox_keeps_the_order_of_one_sender(void **state)
{
    (void)state;
    struct loop *l = loop_new(&(struct loop_options){.name = "mail"});
    notes_seen = 0;
    loop_start_thread(l);
    for (unsigned i = 0; i < 1000; i++) {
        struct note *n = MEM_NEW(struct note);
        *n = (struct note){.message = {.run = note_run}, .number = i, .loop = l};
        mailbox_post(l, &n->message);
    }
    loop_join(l);
    assert_int_equal(notes_seen, 1000);
    loop_free(l);
}

struct sum_job {
    struct worker_job job;
    uint64_t input, result;
    unsigned *finished;
    unsigned wanted;
    struct loop *loop;
};

static void sum_run(struct worker_job *job)
{
    struct sum_job *j = container_of(job, struct sum_job, job);
    j->result = j->input * 2;
}

static void sum_finished(struct worker_job *job)
{
    struct sum_job *j = container_of(job, struct sum_job, job);
    assert_int_equal(j->result, j->input * 2);
    if (++*j->finished == j->wanted)
        loop_stop(j->loop);
}

static void test_worker_results_come_home(void **state)
{
    (void)state;
    enum { COUNT = 64 };
    struct loop *l = loop_new(&(struct loop_options){.name = "home"});
    struct worker_pool *pool = worker_pool_new(3, COUNT);
    struct sum_job jobs[COUNT];
    unsigned finished = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        jobs[i] = (struct sum_job){.job = {.run = sum_run, .finished = sum_finished, .home = l},
                                   .input = i,
                                   .finished = &finished,
                                   .wanted = COUNT,
                                   .loop = l};
        assert_true(err_ok(worker_submit(pool, &jobs[i].job)));
    }
    loop_run(l);
    assert_int_equal(finished, COUNT);
    worker_pool_free(pool);
    loop_free(l);
}

static atomic_bool gate_is_open;

static void gate_run(struct worker_job *job)
{
    (void)job;
    while (!atomic_load(&gate_is_open))
        (void)usleep(100);
}

static void gate_finished(struct worker_job *job)
{
    struct sum_job *j = container_of(job, struct sum_job, job);
    ++*j->finished;
}

static void test_worker_refuses_what_the_queue_cannot_hold(void **state)
{
    (void)state;
    enum { QUEUE = 4 };
    struct loop *l = loop_new(&(struct loop_options){.name = "home"});
    struct worker_pool *pool = worker_pool_new(1, QUEUE);
    struct sum_job jobs[QUEUE + 2];
    unsigned finished = 0, accepted = 0;
    atomic_store(&gate_is_open, false);
    for (unsigned i = 0; i < COUNT_OF(jobs); i++) {
        jobs[i] = (struct sum_job){.job = {.run = gate_run, .finished = gate_finished, .home = l},
                                   .finished = &finished};
        accepted += err_ok(worker_submit(pool, &jobs[i].job)) ? 1 : 0;
    }
    /* One may already have left the queue for the thread. */
    assert_in_range(accepted, QUEUE, QUEUE + 1);
    atomic_store(&gate_is_open, true);
    worker_pool_free(pool);
    loop_turn(l, true);
    assert_int_equal(finished, accepted);
    loop_free(l);
}

struct pipe_end {
    struct sock *sock;
    char bytes[64];
    size_t len;
    bool is_closed;
};

static void pipe_on_event(void *owner, unsigned events)
{
    struct pipe_end *end = owner;
    size_t got = 0;
    assert_true(events & SOCK_READ);
    err outcome = sock_read(end->sock, end->bytes + end->len, sizeof end->bytes - end->len, &got);
    if (err_ok(outcome))
        end->len += got;
    else if (err_is(outcome, ERR_CLOSED))
        end->is_closed = true;
    if (end->is_closed)
        sock_watch(end->sock, 0);
}

static void test_sock_carries_bytes_and_reports_the_end(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    struct loop *l = loop_new(&(struct loop_options){.name = "sock"});
    struct pipe_end a = {0}, b = {0};
    a.sock = sock_adopt(l, fds[0], pipe_on_event, &a);
    b.sock = sock_adopt(l, fds[1], pipe_on_event, &b);
    sock_watch(b.sock, SOCK_READ);
    char hello[] = "hello ", world[] = "world";
    struct iovec parts[2] = {{hello, 6}, {world, 5}};
    size_t written = 0;
    assert_true(err_ok(sock_write(a.sock, parts, 2, &written)));
    assert_int_equal(written, 11);
    loop_turn(l, true);
    assert_memory_equal(b.bytes, "hello world", 11);
    assert_true(sock_is_quiet(b.sock));
    sock_close(a.sock);
    assert_false(sock_is_quiet(b.sock));
    loop_turn(l, true);
    assert_true(b.is_closed);
    sock_close(b.sock);
    loop_free(l);
}

static void test_sock_listens_accepts_and_connects(void **state)
{
    (void)state;
    struct loop *l = loop_new(&(struct loop_options){.name = "sock"});
    struct sock_address address;
    struct fault why = {0};
    int fd = -1;
    assert_true(err_ok(sock_address_parse(SPAN("127.0.0.1:0"), &address)));
    struct sock_listen_options options = {.backlog = 8, .is_shared = true};
    assert_true(err_ok(sock_listen(&address, &options, &fd, &why)));
    struct pipe_end listener = {0}, client = {0};
    listener.sock = sock_adopt(l, fd, pipe_on_event, &listener);
    assert_true(err_ok(sock_local_address(listener.sock, &address)));
    assert_true(sock_address_port(&address) > 0);
    assert_true(err_ok(sock_connect(l, &address, pipe_on_event, &client, &client.sock)));
    int accepted = -1;
    struct sock_address peer;
    err outcome;
    do
        outcome = sock_accept(listener.sock, &accepted, &peer);
    while (err_is(outcome, ERR_AGAIN));
    assert_true(err_ok(outcome));
    assert_true(err_ok(sock_connect_result(client.sock)));
    (void)close(accepted);
    sock_close(client.sock);
    sock_close(listener.sock);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timer_fires_once_at_its_deadline),
        cmocka_unit_test(test_timer_moved_later_stays_in_place_and_fires_late),
        cmocka_unit_test(test_timers_fire_in_order_of_deadline_for_random_sets),
        cmocka_unit_test(test_mailbox_keeps_the_order_of_one_sender),
        cmocka_unit_test(test_worker_results_come_home),
        cmocka_unit_test(test_worker_refuses_what_the_queue_cannot_hold),
        cmocka_unit_test(test_sock_carries_bytes_and_reports_the_end),
        cmocka_unit_test(test_sock_listens_accepts_and_connects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
