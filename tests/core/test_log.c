/* test_log.c: what an event looks like, and how batches travel.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include "core/log.h"

/* 2026-11-21T10:00:00.123Z */
#define NOW_NS (1795255200123 * (uint64_t)1000000u)

static struct scratch folder;
static struct clock_fake fake;
static struct buf text;

static void start(unsigned blocks_max)
{
    struct log_options options = {
        .clock = &fake.clock, .directory = folder.path, .blocks_max = blocks_max};
    struct fault why = {0};
    if (!err_ok(log_start(&options, &why)))
        fail_msg("%s", why.text);
}

static int set_up(void **state)
{
    (void)state;
    scratch_make(&folder);
    clock_fake_init(&fake, 1, NOW_NS);
    buf_init(&text, 1 << 24);
    log_level_set(LOG_INFO);
    start(0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_stop();
    scratch_remove(&folder);
    buf_done(&text);
    return 0;
}

static const char *events(void)
{
    log_sync();
    return scratch_read(&folder, "plimsoll-2026-11-21.jsonl", &text);
}

static const char *accesses(void)
{
    log_sync();
    return scratch_read(&folder, "access-2026-11-21.jsonl", &text);
}

static void test_log_event_has_time_level_name_and_the_callers_fields(void **state)
{
    (void)state;
    struct log_line l;
    log_begin(&l, LOG_WARN, "breaker_opened");
    log_str(&l, "upstream", SPAN("sh\"op"));
    log_text(&l, "why", NULL);
    log_text(&l, "state", "open");
    log_u64(&l, "failures", 12);
    log_i64(&l, "change", -1);
    log_bool(&l, "forced", false);
    log_ms(&l, "open_ms", 1500000);
    log_end(&l);
    log_end(&l); /* once only */
    assert_string_equal(events(),
                        "{\"time\":\"2026-11-21T10:00:00.123Z\",\"level\":\"warn\","
                        "\"event\":\"breaker_opened\",\"upstream\":\"sh\\\"op\",\"why\":null,"
                        "\"state\":\"open\",\"failures\":12,\"change\":-1,\"forced\":false,"
                        "\"open_ms\":1.500}\n");
}

static void test_log_fault_tells_where_it_has_a_place(void **state)
{
    (void)state;
    struct log_line l;
    struct fault why = {0};
    (void)fault_set(&why, ERR_CONFIG, "no such key");
    log_begin(&l, LOG_ERROR, "reload_failed");
    log_fault(&l, &why);
    log_end(&l);
    memcpy(why.file, "p.yaml", sizeof "p.yaml");
    why.line = 3;
    why.column = 7;
    log_begin(&l, LOG_ERROR, "reload_failed");
    log_fault(&l, &why);
    log_end(&l);
    const char *got = events();
    assert_non_null(strstr(got, "\"error\":\"CONFIG\",\"detail\":\"no such key\"}\n"));
    assert_non_null(strstr(got, "\"file\":\"p.yaml\",\"line\":3,\"column\":7}\n"));
}

static void test_log_level_says_what_is_written(void **state)
{
    (void)state;
    for (int now = LOG_DEBUG; now <= LOG_ERROR; now++) {
        log_level_set((enum log_level)now);
        for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
            struct log_line l;
            log_begin(&l, (enum log_level)level, "event");
            log_u64(&l, "n", 1);
            log_end(&l);
            assert_int_equal(log_wants((enum log_level)level), level >= now);
        }
    }
    const char *got = events();
    unsigned lines = 0;
    for (; *got != '\0'; got++)
        lines += *got == '\n';
    assert_int_equal(lines, 4 + 3 + 2 + 1);
    enum log_level level = LOG_WARN;
    assert_true(err_ok(log_level_parse(SPAN("debug"), &level)));
    assert_int_equal(level, LOG_DEBUG);
    assert_true(err_is(log_level_parse(SPAN("loud"), &level), ERR_INVALID));
    assert_string_equal(log_level_name(LOG_ERROR), "error");
}

static void test_log_event_stays_bounded(void **state)
{
    (void)state;
    static char big[100000];
    memset(big, '\n', sizeof big);
    struct log_line l;
    log_begin(&l, LOG_ERROR, "big");
    for (unsigned i = 0; i < 20; i++)
        log_str(&l, "text", span_of(big, sizeof big));
    log_end(&l);
    const char *got = events();
    assert_true(strlen(got) <= LOG_LINE_BYTES);
    assert_true(span_ends(span_from(got), SPAN(",\"truncated\":true}\n")));
}

static void put(struct log_batch *batch, const char *line)
{
    char *at = log_batch_reserve(batch, 100);
    assert_non_null(at);
    memcpy(at, line, strlen(line));
    log_batch_commit(batch, strlen(line));
}

static void test_log_batch_travels_when_flushed(void **state)
{
    (void)state;
    struct log_batch batch;
    log_batch_init(&batch);
    log_batch_flush(&batch);
    put(&batch, "one\n");
    put(&batch, "two\n");
    assert_string_equal(accesses(), "");
    log_batch_flush(&batch);
    assert_string_equal(accesses(), "one\ntwo\n");
    put(&batch, "three\n");
    log_batch_done(&batch);
    log_batch_done(&batch);
    assert_string_equal(accesses(), "one\ntwo\nthree\n");
}

static void test_log_batch_travels_when_full(void **state)
{
    (void)state;
    struct log_batch batch;
    log_batch_init(&batch);
    for (unsigned i = 0; i < LOG_BLOCK_BYTES / 16; i++) {
        char *at = log_batch_reserve(&batch, 16);
        assert_non_null(at);
        memcpy(at, "0123456789abcde\n", 16);
        log_batch_commit(&batch, 16);
    }
    assert_string_equal(accesses(), "");
    put(&batch, "last\n");
    assert_int_equal(strlen(accesses()), LOG_BLOCK_BYTES);
    log_batch_done(&batch);
    assert_int_equal(strlen(accesses()), LOG_BLOCK_BYTES + 5);
    /* A record may fill a block, and a reserved one need not be committed. */
    assert_non_null(log_batch_reserve(&batch, LOG_BLOCK_BYTES));
    log_batch_done(&batch);
    assert_int_equal(strlen(accesses()), LOG_BLOCK_BYTES + 5);
}

static void test_log_batch_drops_and_counts_without_a_block(void **state)
{
    (void)state;
    log_stop();
    start(1);
    struct log_stats before, after;
    log_stats(&before);
    struct log_batch one, two;
    log_batch_init(&one);
    log_batch_init(&two);
    put(&one, "kept\n");
    for (unsigned i = 0; i < 3; i++)
        assert_null(log_batch_reserve(&two, 100));
    log_stats(&after);
    assert_int_equal(after.stream[LOG_ACCESS].dropped_behind,
                     before.stream[LOG_ACCESS].dropped_behind + 3);
    log_batch_done(&one);
    log_sync();
    put(&two, "room again\n");
    log_batch_done(&two);
    assert_string_equal(accesses(), "kept\nroom again\n");
    assert_non_null(strstr(events(), "\"event\":\"log_records_dropped\",\"stream\":\"access\","
                                     "\"records\":3}\n"));
    /* Events have blocks of their own. */
    put(&one, "fills the only block\n");
    struct log_line l;
    log_begin(&l, LOG_INFO, "still_heard");
    log_end(&l);
    assert_non_null(strstr(events(), "still_heard"));
    log_batch_done(&one);
}

static void test_log_without_a_writer_goes_to_stderr(void **state)
{
    (void)state;
    log_stop();
    int saved = dup(STDERR_FILENO);
    int caught = open(scratch_path(&folder, "stderr"), O_RDWR | O_CREAT, 0600);
    assert_int_equal(dup2(caught, STDERR_FILENO), STDERR_FILENO);
    struct log_line l;
    log_begin(&l, LOG_ERROR, "too_early");
    log_end(&l);
    struct log_batch batch;
    log_batch_init(&batch);
    char *at = log_batch_reserve(&batch, 100);
    log_batch_done(&batch);
    log_sync();
    log_reopen();
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(saved), 0);
    assert_int_equal(close(caught), 0);
    assert_null(at);
    assert_non_null(strstr(scratch_read(&folder, "stderr", &text), "\"event\":\"too_early\"}\n"));
}

#define RULE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_log_event_has_time_level_name_and_the_callers_fields),
        RULE(test_log_fault_tells_where_it_has_a_place),
        RULE(test_log_level_says_what_is_written),
        RULE(test_log_event_stays_bounded),
        RULE(test_log_batch_travels_when_flushed),
        RULE(test_log_batch_travels_when_full),
        RULE(test_log_batch_drops_and_counts_without_a_block),
        RULE(test_log_without_a_writer_goes_to_stderr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
