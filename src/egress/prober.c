/* prober.c: when each target is checked, and what follows from it.
 *
 *                prober_use       timer            done
 *   (unknown) ----------> waiting ------> probing ------> waiting
 *       ^                    |               |
 *       +--------------------+---------------+   prober_use without it
 *
 * The one hard thing: a check that runs borrows from the snapshot that it began with. So a watch
 * holds that source until the check has ended, and the newer one waits in `next`.
 *
 * The prober owns its watches. Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "egress/prober.h"

#include <stdio.h>

#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "egress/probe.h"

#define PROBER_WATCH_MAGIC  0x70726f62u
#define PROBER_REASON_BYTES 32

static const char *const prober_labels[] = {"upstream", "result", NULL};

enum { PROBER_CHECKS };

const struct metric_desc prober_metrics[] = {
    [PROBER_CHECKS] = {.name = "plimsoll_health_checks_total",
                       .type = METRIC_COUNTER,
                       .help = "Active health checks of targets, by how they ended.",
                       .labels = prober_labels},
    {0}};

/* Where and how to check, out of one snapshot; immutable. */
struct prober_source {
    struct upstream *upstream; /* a reference */
    struct target *target;     /* borrowed from it */
    struct sock_address address;
    struct tls_context *tls; /* a reference, or NULL */
    char *server_name;       /* owned */
};

struct prober_watch {
    uint32_t magic;
    struct prober *prober;
    struct target *target; /* the source's: what the map finds it by */
    struct prober_source *source;
    struct prober_source *next; /* takes its place when the check that runs has ended; or NULL */
    struct timer timer;
    struct probe probe;
    bool is_wanted; /* in the entries of the current prober_use */
    struct list node;
};

struct prober {
    struct loop *loop;
    struct random *random;
    struct metric_shard *shard;
    struct list watches;
    struct map by_target; /* bytes of watch->target -> watch */
};

/* ---- sources ---- */

static struct prober_source *prober_source_new(const struct prober_entry *entry)
{
    struct prober_source *s = MEM_NEW(struct prober_source);
    must(entry->index < entry->upstream->set.member_count);
    s->upstream = upstream_ref(entry->upstream);
    s->target = entry->upstream->set.members[entry->index].target;
    s->address = *entry->address;
    s->tls = entry->tls == NULL ? NULL : tls_context_ref(entry->tls);
    s->server_name = mem_alloc(size_add(entry->server_name.len, 1));
    if (entry->server_name.len > 0)
        memcpy(s->server_name, entry->server_name.at, entry->server_name.len);
    return s;
}

static void prober_source_free(struct prober_source *s)
{
    if (s == NULL)
        return;
    upstream_unref(s->upstream);
    tls_context_unref(s->tls);
    mem_free(s->server_name);
    mem_free(s);
}

/* Whether a result of one is a result of the other. A reload makes new TLS contexts of the same
 * files, so the context itself does not count. */
static bool prober_source_is_same(const struct prober_source *a, const struct prober_source *b)
{
    const struct upstream_check_options *x = &a->upstream->options.check;
    const struct upstream_check_options *y = &b->upstream->options.check;
    bool is_same_rhythm =
        x->interval_ms == y->interval_ms && x->jitter_percent == y->jitter_percent &&
        x->timeout_ms == y->timeout_ms && x->rise == y->rise && x->fall == y->fall;
    bool is_same_question = x->kind == y->kind && span_eq(x->path, y->path) &&
                            span_eq(x->host, y->host) &&
                            span_eq(x->body_contains, y->body_contains) &&
                            x->status_min == y->status_min && x->status_max == y->status_max;
    return is_same_rhythm && is_same_question && (a->tls == NULL) == (b->tls == NULL) &&
           sock_address_equal(&a->address, &b->address) &&
           span_eq(span_from(a->server_name), span_from(b->server_name));
}

/* ---- checking ---- */

static void prober_reason(const struct probe_outcome *outcome, char out[PROBER_REASON_BYTES])
{
    if (outcome->check == TARGET_CHECK_STATUS)
        (void)snprintf(out, PROBER_REASON_BYTES, "status %u", outcome->status);
    else
        (void)snprintf(out, PROBER_REASON_BYTES, "%s", target_check_text(outcome->check));
}

static void prober_log(const struct prober_watch *w, const struct probe_outcome *outcome)
{
    struct log_line l;
    char reason[PROBER_REASON_BYTES];
    bool is_up = outcome->check == TARGET_CHECK_PASSED;
    log_begin(&l, is_up ? LOG_INFO : LOG_WARN, is_up ? "target_up" : "target_down");
    log_str(&l, "upstream", w->source->upstream->name);
    log_str(&l, "target", w->target->address);
    if (!is_up) {
        prober_reason(outcome, reason);
        log_text(&l, "reason", reason);
    }
    log_u64(&l, "took_ms", outcome->took_ms);
    log_end(&l);
}

static void prober_take_result(struct prober_watch *w, const struct probe_outcome *outcome)
{
    const struct upstream *u = w->source->upstream;
    const struct upstream_check_options *check = &u->options.check;
    bool is_good = outcome->check == TARGET_CHECK_PASSED;
    struct span result = span_from(target_check_text(outcome->check));
    metric_add(metric_counter(w->prober->shard, &prober_metrics[PROBER_CHECKS],
                              METRIC_LABELS(u->name, result)),
               1);
    target_check_tell(w->target, outcome->check, outcome->status);
    if (target_check_result(w->target, is_good, check->rise, check->fall))
        prober_log(w, outcome);
}

/* Counted from the start of the check, so that a slow answer does not stretch the interval. */
static uint64_t prober_next_ms(const struct prober_watch *w, uint64_t started_ms)
{
    const struct upstream_check_options *check = &w->source->upstream->options.check;
    uint64_t now_ms = loop_now_ms(w->prober->loop);
    uint64_t jitter_ms = (uint64_t)check->interval_ms * check->jitter_percent / 100;
    uint64_t wait_ms =
        check->interval_ms - jitter_ms + random_below(w->prober->random, 2 * jitter_ms + 1);
    return started_ms + wait_ms > now_ms ? started_ms + wait_ms : now_ms;
}

static void prober_advance(struct prober_watch *w)
{
    if (w->next == NULL)
        return;
    prober_source_free(w->source);
    w->source = w->next;
    w->next = NULL;
}

static void prober_on_done(struct probe *probe, const struct probe_outcome *outcome)
{
    struct prober_watch *w = container_of(probe, struct prober_watch, probe);
    must(w->magic == PROBER_WATCH_MAGIC);
    prober_take_result(w, outcome);
    timer_set(w->prober->loop, &w->timer, prober_next_ms(w, probe->started_ms));
    prober_advance(w);
}

static void prober_on_timer(struct timer *t)
{
    struct prober_watch *w = container_of(t, struct prober_watch, timer);
    must(w->magic == PROBER_WATCH_MAGIC && !w->probe.is_running);
    const struct prober_source *s = w->source;
    struct probe_options options = {.loop = w->prober->loop,
                                    .check = &s->upstream->options.check,
                                    .address = &s->address,
                                    .address_text = w->target->address,
                                    .tls = s->tls,
                                    .server_name = span_from(s->server_name)};
    probe_start(&w->probe, &options, prober_on_done);
}

static void prober_check_now(struct prober_watch *w)
{
    timer_set(w->prober->loop, &w->timer, loop_now_ms(w->prober->loop));
}

/* ---- what is probed ---- */

static struct span prober_key(struct target *const *target)
{
    return span_of((const char *)target, sizeof *target);
}

static void prober_watch_add(struct prober *p, struct prober_source *source)
{
    struct prober_watch *w = MEM_NEW(struct prober_watch);
    w->magic = PROBER_WATCH_MAGIC;
    w->prober = p;
    w->source = source;
    w->target = source->target;
    w->is_wanted = true;
    timer_init(&w->timer, prober_on_timer);
    list_push_back(&p->watches, &w->node);
    map_put(&p->by_target, prober_key(&w->target), w);
    prober_check_now(w);
}

static void prober_watch_free(struct prober_watch *w)
{
    struct prober *p = w->prober;
    probe_stop(&w->probe);
    timer_close(p->loop, &w->timer);
    list_remove(&w->node);
    (void)map_remove(&p->by_target, prober_key(&w->target));
    prober_source_free(w->source);
    prober_source_free(w->next);
    w->magic = 0;
    mem_free(w);
}

static void prober_watch_keep(struct prober_watch *w, struct prober_source *source)
{
    bool is_same = prober_source_is_same(w->source, source);
    w->is_wanted = true;
    prober_source_free(w->next);
    w->next = source;
    if (!is_same)
        probe_stop(&w->probe);
    if (!w->probe.is_running)
        prober_advance(w);
    if (!is_same)
        prober_check_now(w);
}

static void prober_use_one(struct prober *p, const struct prober_entry *entry)
{
    if (entry->upstream->options.check.kind == UPSTREAM_CHECK_NONE)
        return;
    struct prober_source *source = prober_source_new(entry);
    struct prober_watch *known = map_get(&p->by_target, prober_key(&source->target));
    if (known == NULL)
        prober_watch_add(p, source);
    else
        prober_watch_keep(known, source);
}

void prober_use(struct prober *p, const struct prober_entry *entries, unsigned count)
{
    list_each (node, &p->watches)
        container_of(node, struct prober_watch, node)->is_wanted = false;
    for (unsigned i = 0; i < count; i++)
        prober_use_one(p, &entries[i]);
    list_each_safe (node, following, &p->watches) {
        struct prober_watch *w = container_of(node, struct prober_watch, node);
        if (w->is_wanted)
            continue;
        target_check_forget(w->target);
        prober_watch_free(w);
    }
}

struct prober *prober_new(const struct prober_options *options)
{
    struct prober *p = MEM_NEW(struct prober);
    p->loop = options->loop;
    p->random = options->random;
    metric_register(options->metrics, prober_metrics);
    p->shard = metric_shard_new(options->metrics);
    list_init(&p->watches);
    map_init(&p->by_target);
    return p;
}

void prober_free(struct prober *p)
{
    if (p == NULL)
        return;
    list_each_safe (node, following, &p->watches)
        prober_watch_free(container_of(node, struct prober_watch, node));
    map_done(&p->by_target);
    metric_shard_end(p->shard);
    mem_free(p);
}
