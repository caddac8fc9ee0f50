/* test_promtext.c: both dialects to the byte, and promtool's opinion of the older one.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire/promtext.h"

static const char *const request_labels[] = {"route", "code", NULL};
static const char *const route_labels[] = {"route", NULL};
static const uint64_t byte_bounds[] = {1024, 1048576, 0};
static const uint64_t short_bounds[] = {5000000, 1000000000, 2500000000, 0};

enum { REQUESTS, BUSY, CPU, DURATION, SIZE, START, NOTHING };

static const struct metric_desc table[] = {
    [REQUESTS] = {.name = "shop_requests_total",
                  .type = METRIC_COUNTER,
                  .help = "Requests \"as answered\"; a \\ and\na line.",
                  .labels = request_labels},
    [BUSY] = {.name = "shop_busy", .type = METRIC_GAUGE, .help = "Busy workers."},
    [CPU] = {.name = "shop_cpu_seconds_total",
             .type = METRIC_COUNTER,
             .unit = "seconds",
             .help = "Processor time."},
    [DURATION] = {.name = "shop_duration_seconds",
                  .type = METRIC_HISTOGRAM,
                  .unit = "seconds",
                  .help = "Duration.",
                  .labels = route_labels,
                  .bounds = short_bounds},
    [SIZE] = {.name = "shop_size_bytes",
              .type = METRIC_HISTOGRAM,
              .unit = "bytes",
              .help = "Size.",
              .bounds = byte_bounds},
    [START] = {.name = "shop_start_time_seconds",
               .type = METRIC_GAUGE,
               .unit = "seconds",
               .help = "Start."},
    [NOTHING] = {.name = "shop_nothing_total",
                 .type = METRIC_COUNTER,
                 .help = "Never seen.",
                 .labels = route_labels},
    {0},
};

static struct metric_registry *registry;
static struct metric_shard *shard;
static struct arena arena;
static struct buf out;

static void collect_start(void *ctx, struct metric_emitter *emitter)
{
    const double *value = ctx;
    metric_emit(emitter, METRIC_NO_LABELS, *value);
}

static double start_time = 1795255200.25;

static int set_up(void **state)
{
    (void)state;
    registry = metric_registry_new();
    metric_register(registry, table);
    shard = metric_shard_new(registry);
    arena_init(&arena, NULL, 1 << 20);
    buf_init(&out, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    metric_shard_end(shard);
    metric_registry_free(registry);
    arena_done(&arena);
    buf_done(&out);
    return 0;
}

static void fill(void)
{
    metric_add(metric_counter(shard, &table[REQUESTS], METRIC_LABELS(SPAN("/api"), SPAN("200"))),
               41);
    metric_add(metric_counter(shard, &table[REQUESTS],
                              METRIC_LABELS(SPAN("a\\b\"c\nd \xe2\x82\xac"), SPAN(""))),
               1);
    metric_set(metric_gauge(shard, &table[BUSY], METRIC_NO_LABELS), -3);
    metric_add(metric_counter(shard, &table[CPU], METRIC_NO_LABELS), 1500000000);
    struct metric_histogram *h =
        metric_histogram(shard, &table[DURATION], METRIC_LABELS(SPAN("/api")));
    metric_observe(h, 5000000);
    metric_observe(h, 5000001);
    metric_observe(h, 9000000000);
    struct metric_exemplar example = {.value = 5000001, .wall_ns = 1795255200123456789u};
    memcpy(example.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736", 32);
    metric_exemplify(h, &example);
    metric_observe(metric_histogram(shard, &table[SIZE], METRIC_NO_LABELS), 2000);
    metric_collect(registry, &table[START], collect_start, &start_time);
}

static err render(enum promtext_format format)
{
    struct metric_snapshot snapshot;
    arena_reset(&arena);
    assert_true(err_ok(metric_snapshot_take(registry, &arena, &snapshot)));
    return promtext_render(&snapshot, format, &out);
}

static void assert_renders(enum promtext_format format, const char *expected)
{
    const char *text;
    assert_true(err_ok(render(format)));
    assert_true(err_ok(buf_text(&out, &text)));
    assert_string_equal(text, expected);
}

static void test_promtext_writes_the_text_format(void **state)
{
    (void)state;
    fill();
    assert_renders(
        PROMTEXT_TEXT,
        "# HELP shop_requests_total Requests \"as answered\"; a \\\\ and\\na line.\n"
        "# TYPE shop_requests_total counter\n"
        "shop_requests_total{route=\"/api\",code=\"200\"} 41\n"
        "shop_requests_total{route=\"a\\\\b\\\"c\\nd \xe2\x82\xac\",code=\"\"} 1\n"
        "# HELP shop_busy Busy workers.\n# TYPE shop_busy gauge\nshop_busy -3\n"
        "# HELP shop_cpu_seconds_total Processor time.\n"
        "# TYPE shop_cpu_seconds_total counter\nshop_cpu_seconds_total 1.5\n"
        "# HELP shop_duration_seconds Duration.\n# TYPE shop_duration_seconds histogram\n"
        "shop_duration_seconds_bucket{route=\"/api\",le=\"0.005\"} 1\n"
        "shop_duration_seconds_bucket{route=\"/api\",le=\"1.0\"} 2\n"
        "shop_duration_seconds_bucket{route=\"/api\",le=\"2.5\"} 2\n"
        "shop_duration_seconds_bucket{route=\"/api\",le=\"+Inf\"} 3\n"
        "shop_duration_seconds_sum{route=\"/api\"} 9.010000001\n"
        "shop_duration_seconds_count{route=\"/api\"} 3\n"
        "# HELP shop_size_bytes Size.\n# TYPE shop_size_bytes histogram\n"
        "shop_size_bytes_bucket{le=\"1024.0\"} 0\n"
        "shop_size_bytes_bucket{le=\"1048576.0\"} 1\n"
        "shop_size_bytes_bucket{le=\"+Inf\"} 1\n"
        "shop_size_bytes_sum 2000\nshop_size_bytes_count 1\n"
        "# HELP shop_start_time_seconds Start.\n# TYPE shop_start_time_seconds gauge\n"
        "shop_start_time_seconds 1795255200.25\n");
}

static void test_promtext_writes_openmetrics(void **state)
{
    (void)state;
    fill();
    assert_renders(
        PROMTEXT_OPENMETRICS,
        "# HELP shop_requests Requests \\\"as answered\\\"; a \\\\ and\\na line.\n"
        "# TYPE shop_requests counter\n"
        "shop_requests_total{route=\"/api\",code=\"200\"} 41\n"
        "shop_requests_total{route=\"a\\\\b\\\"c\\nd \xe2\x82\xac\",code=\"\"} 1\n"
        "# HELP shop_busy Busy workers.\n# TYPE shop_busy gauge\nshop_busy -3\n"
        "# HELP shop_cpu_seconds Processor time.\n# TYPE shop_cpu_seconds counter\n"
        "# UNIT shop_cpu_seconds seconds\nshop_cpu_seconds_total 1.5\n"
        "# HELP shop_duration_seconds Duration.\n# TYPE shop_duration_seconds histogram\n"
        "# UNIT shop_duration_seconds seconds\n"
        "shop_duration_seconds_bucket{route=\"/api\",le=\"0.005\"} 1\n"
        "shop_duration_seconds_bucket{route=\"/api\",le=\"1.0\"} 2 "
        "# {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 0.005000001 1795255200.123\n"
        "shop_duration_seconds_bucket{route=\"/api\",le=\"2.5\"} 2\n"
        "shop_duration_seconds_bucket{route=\"/api\",le=\"+Inf\"} 3\n"
        "shop_duration_seconds_sum{route=\"/api\"} 9.010000001\n"
        "shop_duration_seconds_count{route=\"/api\"} 3\n"
        "# HELP shop_size_bytes Size.\n# TYPE shop_size_bytes histogram\n"
        "# UNIT shop_size_bytes bytes\n"
        "shop_size_bytes_bucket{le=\"1024.0\"} 0\n"
        "shop_size_bytes_bucket{le=\"1048576.0\"} 1\n"
        "shop_size_bytes_bucket{le=\"+Inf\"} 1\n"
        "shop_size_bytes_sum 2000\nshop_size_bytes_count 1\n"
        "# HELP shop_start_time_seconds Start.\n# TYPE shop_start_time_seconds gauge\n"
        "# UNIT shop_start_time_seconds seconds\nshop_start_time_seconds 1795255200.25\n"
        "# EOF\n");
}

static void test_promtext_writes_numbers_that_are_none(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{(double)INFINITY, " +Inf\n"},
                 {(double)-INFINITY, " -Inf\n"},
                 {(double)NAN, " NaN\n"},
                 {0.1, " 0.1\n"},
                 {-2, " -2\n"},
                 {1e100, " 1e+100\n"}};
    metric_collect(registry, &table[START], collect_start, &start_time);
    double before = start_time;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        start_time = cases[i].value;
        buf_reset(&out);
        assert_true(err_ok(render(PROMTEXT_TEXT)));
        assert_true(span_ends(buf_span(&out), span_from(cases[i].text)));
    }
    start_time = before;
}

static void test_promtext_reports_a_full_buf(void **state)
{
    (void)state;
    fill();
    assert_true(err_ok(render(PROMTEXT_OPENMETRICS)));
    size_t whole = out.len;
    for (size_t max = 1; max <= whole; max++) {
        buf_done(&out);
        buf_init(&out, max);
        assert_int_equal(err_ok(render(PROMTEXT_OPENMETRICS)), max == whole);
    }
}

static void test_promtext_speaks_openmetrics_only_when_asked(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum promtext_format format;
    } cases[] = {
        {"", PROMTEXT_TEXT},
        {"*/*", PROMTEXT_TEXT},
        {"text/html, */*;q=0.8", PROMTEXT_TEXT},
        {"application/openmetrics-text", PROMTEXT_OPENMETRICS},
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
         "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         PROMTEXT_OPENMETRICS},
        {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding="
         "delimited,application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;"
         "q=0.5,*/*;q=0.1",
         PROMTEXT_OPENMETRICS},
        {"Application/OpenMetrics-Text ; Version=\"1.0.0\" ; charset=utf-8", PROMTEXT_OPENMETRICS},
        {"application/openmetrics-text;version=0.0.1", PROMTEXT_TEXT},
        {"application/openmetrics-text;version=2.0.0,text/plain;q=0.5", PROMTEXT_TEXT},
        {"application/openmetrics-text;q=0", PROMTEXT_TEXT},
        {"application/openmetrics-text;q=0.000", PROMTEXT_TEXT},
        {"application/openmetrics-text;q=0.3,text/plain;version=0.0.4", PROMTEXT_TEXT},
        {"application/openmetrics-text;q=0.3,text/*;q=0.4", PROMTEXT_TEXT},
        {"application/openmetrics-text;q=0.5,text/plain;q=0.4,*/*", PROMTEXT_OPENMETRICS},
        {"application/openmetrics-text;q=0.5,text/plain;q=0.5", PROMTEXT_OPENMETRICS},
        {"application/openmetrics-text;q=1.5", PROMTEXT_TEXT},
        {"application/openmetrics-text;q=x", PROMTEXT_TEXT},
        {"application/openmetrics-textual", PROMTEXT_TEXT},
        {",;,;q=1,", PROMTEXT_TEXT},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (promtext_negotiate(span_from(cases[i].accept)) != cases[i].format)
            fail_msg("Accept: %s", cases[i].accept);
    assert_int_equal(promtext_negotiate((struct span){NULL, 0}), PROMTEXT_TEXT);
    assert_true(span_eq(promtext_content_type(PROMTEXT_TEXT),
                        SPAN("text/plain; version=0.0.4; charset=utf-8")));
    assert_true(span_eq(promtext_content_type(PROMTEXT_OPENMETRICS),
                        SPAN("application/openmetrics-text; version=1.0.0; charset=utf-8")));
}

/* promtool ------------------------------------------------------------------------------------ */

static int nameless_file(void)
{
    char path[] = "/tmp/plimsoll-promtext-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    return fd;
}

static int run_promtool(int input, int output)
{
    static char tool[] = "promtool", check[] = "check", metrics[] = "metrics";
    char *const arguments[] = {tool, check, metrics, NULL};
    posix_spawn_file_actions_t actions;
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO), 0);
    pid_t child;
    if (posix_spawnp(&child, "promtool", &actions, NULL, arguments, environ) != 0)
        fail_msg("promtool is not installed: apt-get install prometheus");
    assert_int_equal(posix_spawn_file_actions_destroy(&actions), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) == 127)
        fail_msg("promtool did not run: apt-get install prometheus");
    return WEXITSTATUS(status);
}

static void test_promtext_passes_promtool_check_metrics(void **state)
{
    (void)state;
    fill();
    assert_true(err_ok(render(PROMTEXT_TEXT)));
    int input = nameless_file(), output = nameless_file();
    assert_int_equal(write(input, out.at, out.len), out.len);
    assert_int_equal(lseek(input, 0, SEEK_SET), 0);
    int status = run_promtool(input, output);
    char words[4096];
    ssize_t length = pread(output, words, sizeof words, 0);
    if (status != 0 || length != 0)
        fail_msg("promtool: %d: %.*s", status, (int)length, words);
    assert_int_equal(close(input), 0);
    assert_int_equal(close(output), 0);
}

#define RULE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(test_promtext_writes_the_text_format),
        RULE(test_promtext_writes_openmetrics),
        RULE(test_promtext_writes_numbers_that_are_none),
        RULE(test_promtext_reports_a_full_buf),
        RULE(test_promtext_speaks_openmetrics_only_when_asked),
        RULE(test_promtext_passes_promtool_check_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
