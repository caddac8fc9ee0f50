/* edge_fixture.h: the edge as a running process has it: its own threads, the system's clock, a
 * control loop that the test turns.
 *
 * It listens on Unix sockets in a folder of its own: $dir in the configuration. For tests of what
 * the control thread does; how requests are served is tested on a loopback.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/config.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/metric_snapshot.h"
#include "edge/edge.h"
#include "peer.h"
#include "scratch.h"

#define EDGE_FIXTURE_WAIT_NS 20000000000ull /* then a test is taken to hang */

struct edge_fixture {
    struct scratch folder;
    struct node node;
};

static const struct part *const edge_fixture_parts[] = {&edge_part, NULL};

static inline struct config *edge_fixture_config(struct edge_fixture *f, const char *yaml)
{
    static const struct config_key *const tables[] = {settings_keys, NULL};
    struct config_report *report = MEM_NEW(struct config_report);
    struct config *config = NULL;
    struct buf text;
    buf_init(&text, 1 << 20);
    assert_true(err_ok(buf_printf(&text,
                                  "threads: 1\n"
                                  "listen: [{address: 'unix:%s/listen'}]\n"
                                  "admin: {address: 'unix:%s/admin', socket: off}\n%s",
                                  f->folder.path, f->folder.path, yaml)));
    if (!err_ok(config_load_text(tables, buf_span(&text), "test.yaml", &config, report)))
        fail_msg("%s", report->faults[0].text);
    buf_done(&text);
    mem_free(report);
    return config;
}

/* The control loop on this clock, everything else on the system's. */
static inline void edge_fixture_open_at(struct edge_fixture *f, const char *yaml,
                                        const struct clock *clock)
{
    struct fault why = {0};
    *f = (struct edge_fixture){0};
    log_level_set(LOG_ERROR);
    scratch_make(&f->folder);
    f->node = (struct node){.parts = edge_fixture_parts,
                            .clock = &clock_system,
                            .metrics = metric_registry_new(),
                            .started_mono_ns = clock_mono_ns(&clock_system),
                            .started_wall_ns = clock_wall_ns(&clock_system)};
    f->node.config = edge_fixture_config(f, yaml);
    f->node.control = loop_new(&(struct loop_options){.name = "control", .clock = clock});
    if (!err_ok(part_init_all(&f->node, &why)) || !err_ok(part_start_all(&f->node, &why)))
        fail_msg("%s", why.text);
}

static inline void edge_fixture_open(struct edge_fixture *f, const char *yaml)
{
    edge_fixture_open_at(f, yaml, &clock_system);
}

static inline void edge_fixture_reload(struct edge_fixture *f, const char *yaml)
{
    struct config_report *report = MEM_NEW(struct config_report);
    struct config *config = edge_fixture_config(f, yaml);
    if (!err_ok(part_reload_all(&f->node, config, report)))
        fail_msg("%s", report->faults[0].text);
    config_unref(config);
    mem_free(report);
}

static inline void edge_fixture_done(struct edge_fixture *f)
{
    part_stop_all(&f->node);
    part_done_all(&f->node);
    loop_free(f->node.control);
    metric_registry_free(f->node.metrics);
    config_unref(f->node.config);
    scratch_remove(&f->folder);
}

/* Turns the control loop, and the test's own servers, until the condition holds. */
#define EDGE_FIXTURE_UNTIL(f, server, condition)                                                   \
    for (uint64_t end_ = clock_mono_ns(&clock_system) + EDGE_FIXTURE_WAIT_NS; !(condition);) {     \
        loop_turn((f)->node.control, false);                                                       \
        (void)peer_server_pump(server);                                                            \
        (void)sched_yield();                                                                       \
        if (clock_mono_ns(&clock_system) > end_)                                                   \
            fail_msg("never true: %s", #condition);                                                \
    }

/* A client of the listener. */
static inline struct peer edge_fixture_connect(const struct edge_fixture *f)
{
    struct sock_address address;
    struct peer client;
    char text[128];
    (void)snprintf(text, sizeof text, "unix:%s/listen", f->folder.path);
    assert_true(err_ok(sock_address_parse(span_from(text), &address)));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, &address.any, address.len), 0);
    peer_init(&client, fd, NULL);
    return client;
}

/* The value of the series whose labels are these (in order, ended by NULL); -1 without one. */
static inline double edge_fixture_metric(const struct edge_fixture *f, const char *name,
                                         const char *const *labels)
{
    struct arena arena CLEANUP(arena_done);
    struct metric_snapshot s;
    double value = -1;
    arena_init(&arena, NULL, 1 << 24);
    assert_true(err_ok(metric_snapshot_take(f->node.metrics, &arena, &s)));
    for (size_t i = 0; i < s.count; i++) {
        const struct metric_family *family = &s.families[i];
        for (size_t k = 0; strcmp(family->desc->name, name) == 0 && k < family->count; k++) {
            const struct metric_sample *sample = &family->samples[k];
            bool is_it = true;
            for (unsigned l = 0; labels[l] != NULL; l++)
                is_it = is_it && span_eq(sample->labels[l], span_from(labels[l]));
            if (is_it)
                value = sample->is_real ? sample->real : (double)sample->stored;
        }
    }
    return value;
}
#define EDGE_FIXTURE_METRIC(f, name, ...)                                                          \
    edge_fixture_metric((f), (name), (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
