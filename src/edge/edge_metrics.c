/* edge_metrics.c: what is asked at each scrape rather than counted.
 *
 * The one hard thing: the current snapshot is the control thread's, so scrapes must run there; they
 * do, with the admin listener. Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/edge_metrics.h"

#include "edge/access.h"
#include "edge/edge.h"
#include "edge/limit_table.h"
#include "egress/prober.h"

#define EDGE_METRICS_TARGETS_MAX 10000

static const char *const edge_metrics_target_labels[] = {"upstream", "target", NULL};
static const char *const edge_metrics_state_labels[] = {"upstream", "state", NULL};
static const char *const edge_metrics_upstream_label[] = {"upstream", NULL};

enum {
    EDGE_METRICS_TARGET_UP,
    EDGE_METRICS_IN_FLIGHT,
    EDGE_METRICS_BREAKER_STATE,
    EDGE_METRICS_BREAKER_REFUSED,
    EDGE_METRICS_LIMIT_KEYS,
    EDGE_METRICS_LIMIT_EVICTIONS,
    EDGE_METRICS_COUNT
};

const struct metric_desc edge_metrics_table[EDGE_METRICS_COUNT + 1] = {
    [EDGE_METRICS_TARGET_UP] = {.name = "plimsoll_target_up",
                                .type = METRIC_GAUGE,
                                .help =
                                    "1 while a target may get requests; 0 while it is draining, "
                                    "down, paused or ejected.",
                                .labels = edge_metrics_target_labels,
                                .series_max = EDGE_METRICS_TARGETS_MAX},
    [EDGE_METRICS_IN_FLIGHT] = {.name = "plimsoll_target_in_flight",
                                .type = METRIC_GAUGE,
                                .help = "Tries at a target that are under way.",
                                .labels = edge_metrics_target_labels,
                                .series_max = EDGE_METRICS_TARGETS_MAX},
    [EDGE_METRICS_BREAKER_STATE] = {.name = "plimsoll_breaker_state",
                                    .type = METRIC_GAUGE,
                                    .help = "1 for the state that a breaker is in, 0 for the "
                                            "others.",
                                    .labels = edge_metrics_state_labels,
                                    .series_max = EDGE_METRICS_TARGETS_MAX},
    [EDGE_METRICS_BREAKER_REFUSED] = {.name = "plimsoll_breaker_refused_total",
                                      .type = METRIC_COUNTER,
                                      .help = "Requests that a breaker refused.",
                                      .labels = edge_metrics_upstream_label},
    [EDGE_METRICS_LIMIT_KEYS] = {.name = "plimsoll_limit_keys",
                                 .type = METRIC_GAUGE,
                                 .help = "Keys that rate limits remember, idle ones included."},
    [EDGE_METRICS_LIMIT_EVICTIONS] = {.name = "plimsoll_limit_evictions_total",
                                      .type = METRIC_COUNTER,
                                      .help = "Keys forgotten while they still counted, because "
                                              "limit_keys is too small."},
};

const struct metric_desc *const edge_metrics_tables[] = {access_metrics, edge_metrics_table,
                                                         prober_metrics, NULL};

/* ---- targets ---- */

typedef double edge_metrics_read(const struct target_view *v);

static void edge_metrics_targets(const struct node *n, struct metric_emitter *out,
                                 edge_metrics_read *read)
{
    const struct settings *s = edge_settings(n);
    uint64_t now_ms = clock_mono_ms(n->clock);
    for (unsigned i = 0; i < s->upstream_count; i++) {
        const struct upstream *u = s->upstreams[i].upstream;
        for (unsigned k = 0; k < u->set.member_count; k++) {
            const struct target *t = u->set.members[k].target;
            struct target_view v;
            target_look(t, now_ms, &v);
            metric_emit(out, METRIC_LABELS(u->name, t->address), read(&v));
        }
    }
}

static double edge_metrics_is_up(const struct target_view *v)
{
    return v->state == TARGET_UP ? 1 : 0;
}

static double edge_metrics_in_flight(const struct target_view *v)
{
    return v->in_flight;
}

static void edge_metrics_up(void *ctx, struct metric_emitter *out)
{
    edge_metrics_targets(ctx, out, edge_metrics_is_up);
}

static void edge_metrics_flight(void *ctx, struct metric_emitter *out)
{
    edge_metrics_targets(ctx, out, edge_metrics_in_flight);
}

/* ---- breakers ---- */

static void edge_metrics_breakers(void *ctx, struct metric_emitter *out)
{
    static const enum breaker_state states[] = {
#define X(name, text) BREAKER_##name,
        BREAKER_STATE_TABLE(X)
#undef X
    };
    const struct settings *s = edge_settings(ctx);
    for (unsigned i = 0; i < s->upstream_count; i++) {
        const struct upstream *u = s->upstreams[i].upstream;
        for (unsigned k = 0; u->breaker != NULL && k < COUNT_OF(states); k++)
            metric_emit(out, METRIC_LABELS(u->name, span_from(breaker_state_text(states[k]))),
                        breaker_state_now(u->breaker) == states[k] ? 1 : 0);
    }
}

static void edge_metrics_refused(void *ctx, struct metric_emitter *out)
{
    const struct node *n = ctx;
    const struct settings *s = edge_settings(n);
    for (unsigned i = 0; i < s->upstream_count; i++) {
        const struct upstream *u = s->upstreams[i].upstream;
        struct breaker_view v;
        if (u->breaker == NULL)
            continue;
        breaker_look(u->breaker, clock_mono_ms(n->clock), &v);
        metric_emit(out, METRIC_LABELS(u->name), (double)v.refused_count);
    }
}

/* ---- limits ---- */

static void edge_metrics_limit_keys(void *ctx, struct metric_emitter *out)
{
    struct limit_table_stats stats;
    edge_limit_stats(ctx, &stats);
    metric_emit(out, METRIC_NO_LABELS, (double)stats.keys);
}

static void edge_metrics_limit_evictions(void *ctx, struct metric_emitter *out)
{
    struct limit_table_stats stats;
    edge_limit_stats(ctx, &stats);
    metric_emit(out, METRIC_NO_LABELS, (double)stats.evicted_live);
}

static metric_collect_fn *const edge_metrics_collectors[EDGE_METRICS_COUNT] = {
    [EDGE_METRICS_TARGET_UP] = edge_metrics_up,
    [EDGE_METRICS_IN_FLIGHT] = edge_metrics_flight,
    [EDGE_METRICS_BREAKER_STATE] = edge_metrics_breakers,
    [EDGE_METRICS_BREAKER_REFUSED] = edge_metrics_refused,
    [EDGE_METRICS_LIMIT_KEYS] = edge_metrics_limit_keys,
    [EDGE_METRICS_LIMIT_EVICTIONS] = edge_metrics_limit_evictions,
};

void edge_metrics_collect(struct node *n)
{
    for (unsigned i = 0; i < EDGE_METRICS_COUNT; i++)
        metric_collect(n->metrics, &edge_metrics_table[i], edge_metrics_collectors[i], n);
}

void edge_metrics_end(struct node *n)
{
    for (unsigned i = 0; i < EDGE_METRICS_COUNT; i++)
        metric_collect_end(n->metrics, &edge_metrics_table[i], n);
}
