/* test_probe.c: what one check asks, and how it judges each kind of answer.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "egress/probe.h"
#include "probe_fixture.h"
#include "wire/tls_fixture.h"

struct probe_case {
    const char *name;
    const char *answer;
    const char *wanted; /* text in the body; NULL: none */
    enum target_check check;
    unsigned status;
    bool closes;
};

#define HEAD_200 "HTTP/1.1 200 OK\r\n"

static const struct probe_case probe_cases[] = {
    {"200", HEAD_200 "content-length: 0\r\n\r\n", NULL, TARGET_CHECK_PASSED, 200, false},
    {"200 with body", HEAD_200 "content-length: 2\r\n\r\nok", NULL, TARGET_CHECK_PASSED, 200,
     false},
    {"302", "HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n", NULL, TARGET_CHECK_PASSED, 302,
     false},
    {"399", "HTTP/1.1 399 X\r\ncontent-length: 0\r\n\r\n", NULL, TARGET_CHECK_PASSED, 399, false},
    {"400", "HTTP/1.1 400 X\r\ncontent-length: 0\r\n\r\n", NULL, TARGET_CHECK_STATUS, 400, false},
    {"500", "HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n", NULL, TARGET_CHECK_STATUS, 500, false},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", NULL, TARGET_CHECK_PASSED, 200, false},
    {"early hints",
     "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" HEAD_200 "content-length: 0\r\n\r\n", NULL,
     TARGET_CHECK_PASSED, 200, false},
    {"not HTTP", "hello there, stranger\r\n\r\n", NULL, TARGET_CHECK_INVALID, 0, false},
    {"switching", "HTTP/1.1 101 Switching Protocols\r\n\r\n", NULL, TARGET_CHECK_INVALID, 0, false},
    {"two lengths", HEAD_200 "content-length: 1\r\ncontent-length: 2\r\n\r\na", NULL,
     TARGET_CHECK_INVALID, 0, false},
    {"closed in the head", "HTTP/1.1 200 OK\r\nconte", NULL, TARGET_CHECK_CLOSED, 0, true},
    {"text", HEAD_200 "content-length: 13\r\n\r\nall is ok now", "is ok", TARGET_CHECK_PASSED, 200,
     false},
    {"text is all", HEAD_200 "content-length: 2\r\n\r\nok", "ok", TARGET_CHECK_PASSED, 200, false},
    {"text after a false start", HEAD_200 "content-length: 8\r\n\r\naaaaaaab", "aab",
     TARGET_CHECK_PASSED, 200, false},
    {"other text", HEAD_200 "content-length: 4\r\n\r\nfine", "ok", TARGET_CHECK_BODY, 200, false},
    {"text in the head only", HEAD_200 "x-state: healthy\r\ncontent-length: 1\r\n\r\nx", "healthy",
     TARGET_CHECK_BODY, 200, false},
    {"no body", "HTTP/1.1 204 No Content\r\n\r\n", "ok", TARGET_CHECK_BODY, 204, false},
    {"empty body", HEAD_200 "content-length: 0\r\n\r\n", "ok", TARGET_CHECK_BODY, 200, false},
    {"text in one chunk", HEAD_200 "transfer-encoding: chunked\r\n\r\n7\r\nhealthy\r\n0\r\n\r\n",
     "healthy", TARGET_CHECK_PASSED, 200, false},
    {"text over chunk borders",
     HEAD_200
     "transfer-encoding: chunked\r\n\r\n3\r\nhea\r\n2;a=b\r\nlt\r\n4\r\nhy.\n\r\n0\r\n\r\n",
     "healthy", TARGET_CHECK_PASSED, 200, false},
    {"chunks without the text",
     HEAD_200 "transfer-encoding: chunked\r\n\r\n3\r\nhea\r\n3\r\nvy!\r\n0\r\n\r\n", "healthy",
     TARGET_CHECK_BODY, 200, false},
    {"framing is no text", HEAD_200 "transfer-encoding: chunked\r\n\r\n3;ok=ok\r\nbad\r\n0\r\n\r\n",
     "ok", TARGET_CHECK_BODY, 200, false},
    {"broken chunk", HEAD_200 "transfer-encoding: chunked\r\n\r\nzz\r\nok\r\n", "ok",
     TARGET_CHECK_INVALID, 200, false},
    {"cut body", HEAD_200 "content-length: 10\r\n\r\nnearly", "ok", TARGET_CHECK_CLOSED, 200, true},
    {"cut chunk", HEAD_200 "transfer-encoding: chunked\r\n\r\n5\r\nnear", "ok", TARGET_CHECK_CLOSED,
     200, true},
    {"until the end, found", HEAD_200 "\r\nall is ok", "ok", TARGET_CHECK_PASSED, 200, true},
    {"until the end, not found", HEAD_200 "\r\nall is well", "ok", TARGET_CHECK_BODY, 200, true},
    {"status before text", "HTTP/1.1 503 X\r\ncontent-length: 2\r\n\r\nok", "ok",
     TARGET_CHECK_STATUS, 503, false},
};

/* A probe that counts how often it ended. */
struct probe_seen {
    struct probe probe;
    struct probe_outcome outcome;
    unsigned ended;
};

static void probe_seen_done(struct probe *p, const struct probe_outcome *outcome)
{
    struct probe_seen *seen = container_of(p, struct probe_seen, probe);
    assert_false(p->is_running);
    seen->outcome = *outcome;
    seen->ended++;
}

static struct upstream_check_options probe_http(const char *wanted)
{
    struct upstream_check_options check = UPSTREAM_CHECK_DEFAULT;
    check.kind = UPSTREAM_CHECK_HTTP;
    check.path = SPAN("/healthz");
    if (wanted != NULL)
        check.body_contains = span_from(wanted);
    return check;
}

static struct probe_options probe_options_of(struct probe_fixture *f,
                                             const struct upstream_check_options *check)
{
    return (struct probe_options){.loop = f->loop,
                                  .check = check,
                                  .address = &f->server.address,
                                  .address_text = span_from(f->server.text)};
}

static void probe_run(struct probe_fixture *f, const struct upstream_check_options *check,
                      struct probe_seen *seen)
{
    struct probe_options options = probe_options_of(f, check);
    *seen = (struct probe_seen){0};
    probe_start(&seen->probe, &options, probe_seen_done);
    assert_int_equal(seen->ended, 0);
    probe_fixture_settle(f);
}

static void probe_try_case(const struct probe_case *c, size_t step_bytes)
{
    struct probe_fixture f;
    struct probe_seen seen;
    struct upstream_check_options check = probe_http(c->wanted);
    probe_fixture_init(&f);
    f.answer = span_from(c->answer);
    f.closes = c->closes;
    f.step_bytes = step_bytes;
    probe_run(&f, &check, &seen);
    if (seen.ended != 1 || seen.outcome.check != c->check || seen.outcome.status != c->status)
        fail_msg("%s, %zu bytes at a time: ended %u times, \"%s\", status %u", c->name, step_bytes,
                 seen.ended, target_check_text(seen.outcome.check), seen.outcome.status);
    probe_fixture_done(&f);
}

static void test_probe_judges_answers_whole_and_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(probe_cases); i++) {
        probe_try_case(&probe_cases[i], 0);
        probe_try_case(&probe_cases[i], 1);
        probe_try_case(&probe_cases[i], 7);
    }
}

static void test_probe_asks_with_host_and_agent_and_closes(void **state)
{
    (void)state;
    struct probe_fixture f;
    struct probe_seen seen;
    struct upstream_check_options check = probe_http(NULL);
    char expected[512];
    probe_fixture_init(&f);
    f.answer = span_from(HEAD_200 "content-length: 0\r\n\r\n");
    probe_run(&f, &check, &seen);
    (void)snprintf(expected, sizeof expected,
                   "GET /healthz HTTP/1.1\r\nhost: %s\r\nuser-agent: plimsoll/" PLIMSOLL_VERSION
                   " health\r\naccept: */*\r\nconnection: close\r\n\r\n",
                   f.server.text);
    assert_string_equal(peer_text(&f.server.peers[0]), expected);
    assert_int_equal(f.server.peers[0].fd, -1); /* the probe went away */
    check.host = SPAN("shop.example");
    probe_run(&f, &check, &seen);
    assert_true(peer_has(&f.server.peers[1], "\r\nhost: shop.example\r\n"));
    assert_int_equal(f.server.count, 2);
    probe_fixture_done(&f);
}

/* The text ends at the last byte that is searched, one before, and one behind. */
static void test_probe_searches_64_kib_of_the_body(void **state)
{
    (void)state;
    for (int over = -1; over <= 1; over++) {
        struct probe_fixture f;
        struct probe_seen seen;
        struct upstream_check_options check = probe_http("healthy");
        struct buf answer CLEANUP(buf_done);
        size_t before = (size_t)(PROBE_BODY_BYTES - 7 + over);
        probe_fixture_init(&f);
        buf_init(&answer, 1 << 20);
        assert_true(err_ok(buf_printf(&answer, HEAD_200 "content-length: 100000\r\n\r\n")));
        for (size_t i = 0; i < before; i++)
            assert_true(err_ok(buf_add_char(&answer, 'h')));
        assert_true(err_ok(buf_add(&answer, SPAN("healthy"))));
        while (answer.len < 100100)
            assert_true(err_ok(buf_add_char(&answer, '.')));
        f.answer = buf_span(&answer);
        probe_run(&f, &check, &seen);
        assert_int_equal(seen.ended, 1);
        assert_int_equal(seen.outcome.check, over <= 0 ? TARGET_CHECK_PASSED : TARGET_CHECK_BODY);
        probe_fixture_done(&f);
    }
}

static void test_probe_refuses_endless_heads_and_interim_answers(void **state)
{
    (void)state;
    struct probe_fixture f;
    struct probe_seen seen;
    struct upstream_check_options check = probe_http(NULL);
    struct buf answer CLEANUP(buf_done);
    buf_init(&answer, 1 << 20);
    probe_fixture_init(&f);
    assert_true(err_ok(buf_add(&answer, SPAN(HEAD_200 "x-long: "))));
    for (size_t i = 0; i < 40000; i++)
        assert_true(err_ok(buf_add_char(&answer, 'x')));
    f.answer = buf_span(&answer);
    probe_run(&f, &check, &seen);
    assert_int_equal(seen.outcome.check, TARGET_CHECK_INVALID);
    for (unsigned interim = 10; interim <= 11; interim++) {
        buf_reset(&answer);
        for (unsigned i = 0; i < interim; i++)
            assert_true(err_ok(buf_add(&answer, SPAN("HTTP/1.1 103 Early Hints\r\n\r\n"))));
        assert_true(err_ok(buf_add(&answer, SPAN(HEAD_200 "content-length: 0\r\n\r\n"))));
        f.answer = buf_span(&answer);
        probe_run(&f, &check, &seen);
        assert_int_equal(seen.ended, 1);
        assert_int_equal(seen.outcome.check,
                         interim == 10 ? TARGET_CHECK_PASSED : TARGET_CHECK_INVALID);
    }
    probe_fixture_done(&f);
}

static void test_probe_ends_at_its_deadline_and_not_before(void **state)
{
    (void)state;
    struct probe_fixture f;
    struct probe_seen seen;
    struct upstream_check_options check = probe_http(NULL);
    probe_fixture_init(&f);
    check.timeout_ms = 500;
    probe_run(&f, &check, &seen);
    probe_fixture_advance(&f, 499);
    assert_int_equal(seen.ended, 0);
    probe_fixture_advance(&f, 1);
    assert_int_equal(seen.ended, 1);
    assert_int_equal(seen.outcome.check, TARGET_CHECK_TIMEOUT);
    assert_int_equal(seen.outcome.took_ms, 500);
    probe_fixture_advance(&f, 5000);
    assert_int_equal(seen.ended, 1);
    probe_fixture_done(&f);
}

static void test_probe_tells_a_refused_connection(void **state)
{
    (void)state;
    struct probe_fixture f;
    struct probe_seen seen;
    struct upstream_check_options check = probe_http(NULL);
    struct peer_server dead;
    probe_fixture_init(&f);
    peer_server_init(&dead, PEER_SERVER_REFUSES);
    struct probe_options options = probe_options_of(&f, &check);
    options.address = &dead.address;
    seen = (struct probe_seen){0};
    probe_start(&seen.probe, &options, probe_seen_done);
    probe_fixture_settle(&f);
    assert_int_equal(seen.ended, 1);
    assert_int_equal(seen.outcome.check, TARGET_CHECK_REFUSED);
    /* A Unix socket without a file fails inside connect, and is told all the same by the loop. */
    struct sock_address missing;
    assert_true(err_ok(sock_address_parse(SPAN("unix:/nowhere/at/all"), &missing)));
    options.address = &missing;
    seen = (struct probe_seen){0};
    probe_start(&seen.probe, &options, probe_seen_done);
    assert_int_equal(seen.ended, 0);
    probe_fixture_settle(&f);
    assert_int_equal(seen.ended, 1);
    assert_int_equal(seen.outcome.check, TARGET_CHECK_REFUSED);
    peer_server_done(&dead);
    probe_fixture_done(&f);
}

static void test_probe_of_tcp_only_connects(void **state)
{
    (void)state;
    struct probe_fixture f;
    struct probe_seen seen;
    struct upstream_check_options check = UPSTREAM_CHECK_DEFAULT;
    check.kind = UPSTREAM_CHECK_TCP;
    probe_fixture_init(&f);
    probe_run(&f, &check, &seen);
    assert_int_equal(seen.ended, 1);
    assert_int_equal(seen.outcome.check, TARGET_CHECK_PASSED);
    assert_int_equal(seen.outcome.status, 0);
    assert_int_equal(f.server.count, 1);
    assert_int_equal(f.server.peers[0].received_bytes, 0);
    probe_fixture_done(&f);
}

static void test_probe_that_is_stopped_says_nothing(void **state)
{
    (void)state;
    struct probe_fixture f;
    struct probe_seen seen = {0};
    struct upstream_check_options check = probe_http(NULL);
    probe_fixture_init(&f);
    struct probe_options options = probe_options_of(&f, &check);
    probe_stop(&seen.probe); /* one that never ran */
    probe_start(&seen.probe, &options, probe_seen_done);
    probe_stop(&seen.probe);
    probe_stop(&seen.probe);
    probe_start(&seen.probe, &options, probe_seen_done);
    probe_fixture_settle(&f); /* it has asked and waits */
    probe_stop(&seen.probe);
    probe_fixture_advance(&f, 60000);
    assert_int_equal(seen.ended, 0);
    probe_fixture_done(&f);
}

static void test_probe_speaks_tls_and_verifies(void **state)
{
    (void)state;
    struct probe_fixture f;
    struct probe_seen seen;
    struct tls_fixture ours, others;
    tls_fixture_init(&ours);
    tls_fixture_init(&others);
    struct tls_fixture_spec spec = {.stem = "t", .alt_names = "DNS:shop.example"};
    struct tls_fixture_paths paths = tls_fixture_make(&ours, &spec);
    struct tls_context *trusting = tls_fixture_client(&ours);
    struct tls_context *strange = tls_fixture_client(&others);
    struct upstream_check_options http = probe_http("ok"), tcp = UPSTREAM_CHECK_DEFAULT;
    tcp.kind = UPSTREAM_CHECK_TCP;
    probe_fixture_init(&f);
    f.server.tls = tls_fixture_server(&paths, NULL);
    f.answer = span_from(HEAD_200 "content-length: 2\r\n\r\nok");
    f.step_bytes = 5;
    const struct {
        const struct upstream_check_options *check;
        struct tls_context *tls;
        const char *name;
        enum target_check expected;
    } cases[] = {
        {&http, trusting, "shop.example", TARGET_CHECK_PASSED},
        {&tcp, trusting, "shop.example", TARGET_CHECK_PASSED},
        {&http, trusting, "other.example", TARGET_CHECK_TLS},
        {&http, strange, "shop.example", TARGET_CHECK_TLS},
        {&tcp, strange, "shop.example", TARGET_CHECK_TLS},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct probe_options options = probe_options_of(&f, cases[i].check);
        options.tls = cases[i].tls;
        options.server_name = span_from(cases[i].name);
        seen = (struct probe_seen){0};
        probe_start(&seen.probe, &options, probe_seen_done);
        probe_fixture_settle(&f);
        if (seen.ended != 1 || seen.outcome.check != cases[i].expected)
            fail_msg("case %zu: ended %u times, \"%s\"", i, seen.ended,
                     target_check_text(seen.outcome.check));
    }
    assert_true(f.server.peers[0].has_ended); /* by close_notify */
    probe_fixture_done(&f);
    tls_context_unref(trusting);
    tls_context_unref(strange);
    tls_fixture_done(&ours);
    tls_fixture_done(&others);
}

static void test_probe_under_tls_has_a_deadline_for_the_handshake(void **state)
{
    (void)state;
    struct probe_fixture f;
    struct probe_seen seen = {0};
    struct tls_fixture keys;
    struct upstream_check_options check = probe_http(NULL);
    tls_fixture_init(&keys);
    probe_fixture_init(&f); /* a server without TLS, which waits for a request */
    struct probe_options options = probe_options_of(&f, &check);
    options.tls = tls_fixture_client(&keys);
    options.server_name = SPAN("shop.example");
    probe_start(&seen.probe, &options, probe_seen_done);
    probe_fixture_settle(&f);
    assert_int_equal(seen.ended, 0);
    probe_fixture_advance(&f, check.timeout_ms);
    assert_int_equal(seen.outcome.check, TARGET_CHECK_TIMEOUT);
    tls_context_unref(options.tls);
    probe_fixture_done(&f);
    tls_fixture_done(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe_judges_answers_whole_and_byte_by_byte),
        cmocka_unit_test(test_probe_asks_with_host_and_agent_and_closes),
        cmocka_unit_test(test_probe_searches_64_kib_of_the_body),
        cmocka_unit_test(test_probe_refuses_endless_heads_and_interim_answers),
        cmocka_unit_test(test_probe_ends_at_its_deadline_and_not_before),
        cmocka_unit_test(test_probe_tells_a_refused_connection),
        cmocka_unit_test(test_probe_of_tcp_only_connects),
        cmocka_unit_test(test_probe_that_is_stopped_says_nothing),
        cmocka_unit_test(test_probe_speaks_tls_and_verifies),
        cmocka_unit_test(test_probe_under_tls_has_a_deadline_for_the_handshake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
