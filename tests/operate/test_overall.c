/* test_overall.c: the state of the whole is the worst that the checks say of service and process.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/check.h"
#include "core/mem.h"
#include "operate/overall.h"

static enum check_status live, ready, machine;

static void put(struct check_sink *sink, enum check_status status, const char *output)
{
    struct check_result r = {.component_id = SPAN("shop"), .status = status, .output = output};
    sink->add(sink, &r);
}

static void run_live(const struct node *n, struct check_sink *sink)
{
    (void)n;
    put(sink, live, "the process is ill");
}

static void run_ready(const struct node *n, struct check_sink *sink)
{
    (void)n;
    put(sink, CHECK_PASS, NULL);
    put(sink, ready, NULL);
}

static void run_machine(const struct node *n, struct check_sink *sink)
{
    (void)n;
    put(sink, machine, "the disk is full");
}

static const struct check first_checks[] = {
    {"process:alive", "component", CHECK_LIVE, "Alive.", run_live},
    {"upstream:targets", "component", CHECK_READY, "Targets that may get requests.", run_ready},
    {0}};
static const struct check second_checks[] = {
    {"disk:space", "system", CHECK_SYSTEM, "Disk.", run_machine}, {0}};
static const struct part first = {.name = "first", .checks = first_checks};
static const struct part second = {.name = "second", .checks = second_checks};
static const struct part third = {.name = "third"};
static const struct part *const parts[] = {&first, &third, &second, NULL};

/* What is written, NUL-terminated in the buf. */
static const char *overall_of(bool is_draining, struct buf *text)
{
    struct node n = {.parts = parts, .is_draining = is_draining};
    struct json j;
    const char *written = "";
    buf_init(text, 65536);
    json_begin(&j, text);
    overall_write(&j, &n);
    assert_true(err_ok(json_end(&j)));
    assert_true(err_ok(buf_text(text, &written)));
    return written;
}

#define DISK_WARNS                                                                                 \
    "{\"check\":\"disk:space\",\"component\":\"shop\",\"status\":\"warn\","                        \
    "\"text\":\"the disk is full\"}"
#define DISK_FAILS                                                                                 \
    "{\"check\":\"disk:space\",\"component\":\"shop\",\"status\":\"fail\","                        \
    "\"text\":\"the disk is full\"}"
/* A check that says nothing of its own is told by what it looks at. */
#define TARGETS_WARN                                                                               \
    "{\"check\":\"upstream:targets\",\"component\":\"shop\",\"status\":\"warn\","                  \
    "\"text\":\"Targets that may get requests.\"}"
#define TARGETS_FAIL                                                                               \
    "{\"check\":\"upstream:targets\",\"component\":\"shop\",\"status\":\"fail\","                  \
    "\"text\":\"Targets that may get requests.\"}"
#define PROCESS_WARNS                                                                              \
    "{\"check\":\"process:alive\",\"component\":\"shop\",\"status\":\"warn\","                     \
    "\"text\":\"the process is ill\"}"
#define PROCESS_FAILS                                                                              \
    "{\"check\":\"process:alive\",\"component\":\"shop\",\"status\":\"fail\","                     \
    "\"text\":\"the process is ill\"}"
#define WRITTEN(state, findings) "{\"findings\":[" findings "],\"state\":\"" state "\"}"

static void test_overall_is_the_worst_of_its_checks(void **state)
{
    (void)state;
    static const struct {
        enum check_status live, ready, machine;
        bool is_draining;
        const char *written;
    } cases[] = {
        {CHECK_PASS, CHECK_PASS, CHECK_PASS, false, WRITTEN("ok", "")},
        {CHECK_PASS, CHECK_PASS, CHECK_WARN, false, WRITTEN("ok", DISK_WARNS)},
        {CHECK_PASS, CHECK_PASS, CHECK_FAIL, false, WRITTEN("degraded", DISK_FAILS)},
        {CHECK_PASS, CHECK_WARN, CHECK_PASS, false, WRITTEN("degraded", TARGETS_WARN)},
        {CHECK_WARN, CHECK_PASS, CHECK_PASS, false, WRITTEN("degraded", PROCESS_WARNS)},
        {CHECK_PASS, CHECK_FAIL, CHECK_PASS, false, WRITTEN("down", TARGETS_FAIL)},
        {CHECK_FAIL, CHECK_WARN, CHECK_WARN, false,
         WRITTEN("down", PROCESS_FAILS "," TARGETS_WARN "," DISK_WARNS)},
        {CHECK_PASS, CHECK_PASS, CHECK_PASS, true, WRITTEN("draining", "")},
        {CHECK_PASS, CHECK_FAIL, CHECK_PASS, true, WRITTEN("draining", TARGETS_FAIL)},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf text;
        live = cases[i].live;
        ready = cases[i].ready;
        machine = cases[i].machine;
        assert_string_equal(overall_of(cases[i].is_draining, &text), cases[i].written);
        buf_done(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overall_is_the_worst_of_its_checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
