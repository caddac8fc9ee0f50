/* operate.c: from a configuration to a running process, and back to nothing.
 *
 * The one hard thing is order: addresses are bound and folders made with the rights of whoever
 * started us; then those rights are dropped, for good; only then do threads start and files of
 * our own open. Main thread, which is the control loop's.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operate/operate.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/config.h"
#include "core/log.h"
#include "core/log_metrics.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metric.h"
#include "core/signals.h"
#include "core/timer.h"
#include "operate/control.h"
#include "operate/recent.h"
#include "operate/rights.h"

#define OPERATE_DRAIN_POLL_MS 20

static const char *const operate_levels[] = {"debug", "info", "warn", "error", NULL};

static const struct config_key operate_log_keys[] = {
    {.name = "directory",
     .type = CONFIG_FILE,
     .mode = CONFIG_RESTART,
     .help = "Folder of the log files, one a day and stream; without it both streams go to the "
             "standard output.",
     .example = "var/log"},
    {.name = "level",
     .type = CONFIG_CHOICE,
     .choices = operate_levels,
     .fallback = "info",
     .help = "Events below this level are not written."},
    {.name = "file_max",
     .type = CONFIG_SIZE,
     .min = 65536,
     .max = 1099511627776,
     .fallback = "256mb",
     .mode = CONFIG_RESTART,
     .help = "Size at which the next file of a day begins."},
    {.name = "total_max",
     .type = CONFIG_SIZE,
     .min = 131072,
     .max = 1099511627776,
     .fallback = "8gb",
     .mode = CONFIG_RESTART,
     .help = "All log files together; the oldest go first."},
    {.name = "retention",
     .type = CONFIG_DURATION,
     .min = 86400000,
     .max = 315360000000,
     .fallback = "90d",
     .mode = CONFIG_RESTART,
     .help = "How long log files are kept."},
    {0}};

static const struct config_key operate_keys[] = {
    {.name = "log",
     .type = CONFIG_GROUP,
     .keys = operate_log_keys,
     .help = "Where logs are written."},
    {.name = "user",
     .type = CONFIG_STRING,
     .min = 1,
     .max = 32,
     .mode = CONFIG_RESTART,
     .help = "The user to become when started as root; Plimsoll does not serve as root.",
     .example = "www-data"},
    {0}};

struct operate {
    struct node *node;
    struct signals *signals;
    struct recent *recent;
    struct timer drain_poll;
    uint64_t drain_until_ms;
    int exit_status;
};

/* ---- the log ---- */

static void operate_set_level(struct node *n)
{
    const struct config_node *log = config_child(config_root(n->config), "log");
    log_level_set((enum log_level)config_int(log, "level"));
}

static err operate_start_log(struct node *n, struct fault *why)
{
    const struct config_node *log = config_child(config_root(n->config), "log");
    struct log_options options = {
        .clock = n->clock,
        .directory = config_span(log, "directory").at,
        .fd = STDOUT_FILENO,
        .file_max_bytes = (uint64_t)config_int(log, "file_max"),
        .total_max_bytes = (uint64_t)config_int(log, "total_max"),
        .retention_days = (unsigned)(config_int(log, "retention") / 86400000),
    };
    operate_set_level(n);
    return log_start(&options, why);
}

static void operate_log_started(const struct node *n, const char *event)
{
    struct log_line l;
    log_begin(&l, LOG_INFO, event);
    log_text(&l, "version", PLIMSOLL_VERSION);
    log_u64(&l, "pid", (uint64_t)getpid());
    log_text(&l, "configuration", n->config_path == NULL ? "flags" : n->config_path);
    log_end(&l);
}

/* ---- reload ---- */

static void operate_log_report(const struct config_report *report, const char *event,
                               enum log_level level)
{
    for (unsigned i = 0; i < report->count; i++) {
        struct log_line l;
        log_begin(&l, level, event);
        log_fault(&l, &report->faults[i]);
        log_end(&l);
    }
}

static err operate_apply(struct node *n, struct config *next, struct config_report *report,
                         unsigned *out_restart_keys)
{
    struct config_report *restart = MEM_NEW(struct config_report);
    *out_restart_keys = config_diff(n->config, next, restart);
    operate_log_report(restart, "configuration_needs_restart", LOG_WARN);
    mem_free(restart);
    return part_reload_all(n, next, report);
}

err operate_reload(struct node *n, struct config_report *report, unsigned *out_restart_keys)
{
    const struct config_key *tables[PART_TABLES_MAX];
    struct config *next = NULL;
    if (n->config_path == NULL)
        return FAIL(CONFLICT);
    (void)part_config_tables(n->parts, tables, PART_TABLES_MAX);
    err outcome = config_load_file(tables, n->config_path, &next, report);
    if (err_ok(outcome))
        outcome = operate_apply(n, next, report, out_restart_keys);
    config_unref(next);
    if (err_ok(outcome))
        operate_log_started(n, "configuration_reloaded");
    else
        operate_log_report(report, "configuration_refused", LOG_ERROR);
    return outcome;
}

/* ---- signals ---- */

static void operate_stop_now(struct operate *o)
{
    loop_stop(o->node->control);
}

static void operate_on_drain_poll(struct timer *t)
{
    struct operate *o = container_of(t, struct operate, drain_poll);
    struct loop *l = o->node->control;
    uint64_t now_ms = loop_now_ms(l);
    if (part_all_idle(o->node) || now_ms >= o->drain_until_ms)
        operate_stop_now(o);
    else
        timer_set(l, t, now_ms + OPERATE_DRAIN_POLL_MS);
}

static void operate_begin_drain(struct operate *o)
{
    const struct config_node *timeouts = config_child(config_root(o->node->config), "timeouts");
    struct loop *l = o->node->control;
    if (o->node->is_draining) {
        operate_stop_now(o);
        return;
    }
    operate_log_started(o->node, "draining");
    o->drain_until_ms = loop_now_ms(l) + (uint64_t)config_int(timeouts, "drain");
    part_drain_all(o->node);
    timer_set(l, &o->drain_poll, loop_now_ms(l) + OPERATE_DRAIN_POLL_MS);
}

static void operate_on_signal(void *ctx, int number)
{
    struct operate *o = ctx;
    if (number == SIGHUP) {
        unsigned restart_keys = 0;
        struct config_report *report = MEM_NEW(struct config_report);
        log_reopen();
        (void)err_ok(operate_reload(o->node, report, &restart_keys));
        mem_free(report);
    } else {
        operate_begin_drain(o);
    }
}

/* ---- the part ---- */

static err operate_init(struct node *n, struct fault *why)
{
    struct operate *o = MEM_NEW(struct operate);
    n->operate = o;
    o->node = n;
    timer_init(&o->drain_poll, operate_on_drain_poll);
    TRY(signals_open(n->control, operate_on_signal, o, &o->signals, why));
    log_metrics_collect(n->metrics);
    o->recent = recent_new(n);
    return OK;
}

static void operate_done(struct node *n)
{
    struct operate *o = n->operate;
    if (o == NULL)
        return;
    recent_free(o->recent);
    signals_close(o->signals);
    timer_close(n->control, &o->drain_poll);
    n->operate = NULL;
    mem_free(o);
}

struct recent *operate_recent(const struct node *n)
{
    return n->operate->recent;
}

const struct part operate_part = {.name = "operate",
                                  .config = operate_keys,
                                  .routes = control_routes,
                                  .init = operate_init,
                                  .commit = operate_set_level,
                                  .done = operate_done};

/* ---- the process ---- */

static void operate_print_report(const struct config_report *report)
{
    struct buf text;
    buf_init(&text, 256 * 1024);
    if (err_ok(config_report_write(report, &text)))
        (void)fwrite(text.at, 1, text.len, stderr);
    buf_done(&text);
}

static err operate_load(const struct part *const *parts, const struct operate_source *source,
                        struct config **out)
{
    const struct config_key *tables[PART_TABLES_MAX];
    struct config_report *report = MEM_NEW(struct config_report);
    (void)part_config_tables(parts, tables, PART_TABLES_MAX);
    err outcome = source->path != NULL
                      ? config_load_file(tables, source->path, out, report)
                      : config_load_text(tables, source->text, "flags", out, report);
    if (!err_ok(outcome))
        operate_print_report(report);
    mem_free(report);
    return outcome;
}

static err operate_run(struct node *n, struct fault *why)
{
    struct rights rights;
    rights_raise_descriptors();
    TRY(rights_find(config_root(n->config), &rights, why));
    TRY(rights_make_folders(config_root(n->config), &rights, why));
    TRY(part_init_all(n, why));
    TRY(rights_give_socket(config_root(n->config), &rights, why));
    TRY(rights_drop(&rights, why));
    TRY(operate_start_log(n, why));
    TRY(part_start_all(n, why));
    operate_log_started(n, "started");
    loop_run(n->control);
    operate_log_started(n, "stopped");
    return OK;
}

int operate_serve(const struct part *const *parts, const struct operate_source *source)
{
    struct node n = {.parts = parts, .config_path = source->path, .clock = &clock_system};
    struct fault why = {0};
    n.started_mono_ns = clock_mono_ns(n.clock);
    n.started_wall_ns = clock_wall_ns(n.clock);
    signals_block();
    if (!err_ok(operate_load(parts, source, &n.config)))
        return 1;
    n.control =
        loop_new(&(struct loop_options){.name = "control", .clock = n.clock, .spare_chunks = 64});
    n.metrics = metric_registry_new();
    err outcome = operate_run(&n, &why);
    if (!err_ok(outcome))
        (void)fprintf(stderr, "plimsoll: %s\n",
                      why.text[0] != '\0' ? why.text : err_text(outcome.code));
    part_stop_all(&n);
    part_done_all(&n);
    loop_free(n.control);
    log_stop();
    metric_registry_free(n.metrics);
    config_unref(n.config);
    return err_ok(outcome) ? 0 : 1;
}
