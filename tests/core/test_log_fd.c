/* test_log_fd.c: a reader that stands still holds nobody up for ever.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include <signal.h>
#include <sys/socket.h>

#include "core/fault_point.h"
#include "core/log_fd.h"
#include "core/mem.h"

static atomic_bool is_hurried;
static struct log_fd out;
static int ends[2];

static int set_up(void **state)
{
    (void)state;
    atomic_store(&is_hurried, false);
    assert_int_equal(pipe(ends), 0);
    log_fd_open(&out, ends[1], &is_hurried);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fault_point_disarm();
    log_fd_close(&out);
    log_fd_close(&out);
    for (unsigned i = 0; i < 2; i++)
        if (ends[i] >= 0)
            assert_int_equal(close(ends[i]), 0);
    return 0;
}

static void assert_reads(int fd, const char *expected)
{
    char bytes[256];
    ssize_t got = read(fd, bytes, sizeof bytes);
    assert_int_equal(got, strlen(expected));
    assert_memory_equal(bytes, expected, (size_t)got);
}

static void test_log_fd_writes_lines_to_a_pipe(void **state)
{
    (void)state;
    struct fault why = {0};
    assert_true(out.is_own);
    assert_int_equal(log_fd_write(&out, SPAN("a\nb\n"), &why), 4);
    assert_reads(ends[0], "a\nb\n");
    /* The descriptor that others share still blocks. */
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
}

static void test_log_fd_gives_up_on_a_reader_that_stands_still(void **state)
{
    (void)state;
    enum { BIG = 1 << 20 };
    char *lines = mem_alloc_raw(BIG);
    for (unsigned i = 0; i < BIG; i++)
        lines[i] = i % 1000 == 999 ? '\n' : 'x';
    struct fault why = {0};
    out.grace_ms = 60;
    atomic_store(&is_hurried, true);
    size_t kept = log_fd_write(&out, span_of(lines, BIG), &why);
    assert_true(kept > 0 && kept < BIG && kept % 1000 == 0);
    assert_int_equal(why.code, ERR_IO);
    assert_non_null(strstr(why.text, "timed out"));
    /* What follows a cut line starts on a line of its own. */
    assert_true(out.is_mid_line);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    while (read(ends[0], lines, 4096) > 0)
        continue;
    assert_int_equal(log_fd_write(&out, SPAN("next\n"), &why), 5);
    assert_reads(ends[0], "\nnext\n");
    mem_free(lines);
}

static void test_log_fd_reports_a_reader_that_is_gone(void **state)
{
    (void)state;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
    assert_int_equal(sigaction(SIGPIPE, &ignore, &old), 0);
    assert_int_equal(close(ends[0]), 0);
    ends[0] = -1;
    struct fault why = {0};
    assert_int_equal(log_fd_write(&out, SPAN("a\n"), &why), 0);
    assert_non_null(strstr(why.text, "Broken pipe"));
    assert_int_equal(sigaction(SIGPIPE, &old, NULL), 0);
}

static void test_log_fd_writes_to_a_socket_without_signals(void **state)
{
    (void)state;
    int pair[2];
    struct log_fd socket_out;
    struct fault why = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    log_fd_open(&socket_out, pair[1], &is_hurried);
    assert_true(socket_out.is_socket);
    assert_int_equal(log_fd_write(&socket_out, SPAN("a\n"), &why), 2);
    assert_reads(pair[0], "a\n");
    assert_int_equal(close(pair[0]), 0);
    assert_int_equal(log_fd_write(&socket_out, SPAN("b\n"), &why), 0);
    assert_int_equal(why.code, ERR_IO);
    log_fd_close(&socket_out);
    assert_int_equal(close(pair[1]), 0);
}

static void test_log_fd_reports_a_full_device(void **state)
{
    (void)state;
    int full = open("/dev/full", O_WRONLY);
    assert_true(full >= 0);
    struct log_fd device;
    struct fault why = {0};
    log_fd_open(&device, full, &is_hurried);
    assert_int_equal(log_fd_write(&device, SPAN("a\n"), &why), 0);
    assert_non_null(strstr(why.text, "No space"));
    log_fd_close(&device);
    assert_int_equal(close(full), 0);
    log_fd_open(&device, -1, &is_hurried);
    assert_int_equal(log_fd_write(&device, SPAN("a\n"), &why), 0);
    log_fd_close(&device);
}

static void test_log_fd_heals_after_a_failure(void **state)
{
    (void)state;
    struct fault why = {0};
    fault_point_arm("log.write", 1, false);
    assert_int_equal(log_fd_write(&out, SPAN("a\n"), &why), 0);
    assert_int_equal(log_fd_write(&out, SPAN("b\n"), &why), 2);
    assert_reads(ends[0], "b\n");
}

#define RULE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_log_fd_writes_lines_to_a_pipe),
        RULE(test_log_fd_gives_up_on_a_reader_that_stands_still),
        RULE(test_log_fd_reports_a_reader_that_is_gone),
        RULE(test_log_fd_writes_to_a_socket_without_signals),
        RULE(test_log_fd_reports_a_full_device),
        RULE(test_log_fd_heals_after_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
