/* recent.c: one sample a second, kept in a ring.
 *
 * The one hard thing is the cost: the histogram of one series has 8 KiB, so an upstream costs as
 * many for each slot of its window, and adding up is done once a second for all requests but for
 * upstreams only when a slot is taken or somebody looks.
 *
 * Owned by the part; control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operate/recent.h"

#include "core/json.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metric.h"
#include "core/timer.h"
#include "edge/access.h"
#include "edge/edge.h"

#define RECENT_MAGIC      0x72636e74u
#define RECENT_SLOTS      3
#define RECENT_SLOT_STEPS 5 /* a slot is taken each so many points; rates are of so many points */

/* Earlier states of one histogram, the oldest at `next`. */
struct recent_window {
    struct histogram slots[RECENT_SLOTS];
    uint64_t slot_ms[RECENT_SLOTS];
    unsigned next;
};

struct recent_upstream {
    struct list node;
    struct span name; /* behind the struct */
    bool is_listed;
    struct recent_window window;
};

struct recent {
    uint32_t magic;
    struct node *node;
    struct timer timer;
    uint64_t sampled_ms;
    uint64_t sample_count;
    struct recent_point points[RECENT_POINTS]; /* the n-th is at n % RECENT_POINTS */
    struct recent_totals totals;
    struct recent_window all;
    struct list upstreams;
    struct histogram scratch; /* of recent_window_look */
    struct histogram tunnels; /* of recent_read */
};

/* ---- windows ---- */

static void recent_add_status(const struct recent *r, struct span upstream, struct span status,
                              struct histogram *out)
{
    const struct span any = {0};
    if (upstream.at == NULL)
        metric_quantiles(r->node->metrics, &access_metrics[ACCESS_SERVER_DURATION],
                         METRIC_LABELS(any, any, any, status), out);
    else
        metric_quantiles(r->node->metrics, &access_metrics[ACCESS_CLIENT_DURATION],
                         METRIC_LABELS(upstream, any, status), out);
}

/* All but WebSockets: how long one was open says nothing of how fast an answer comes. */
static void recent_read(struct recent *r, struct span upstream, struct histogram *out)
{
    histogram_reset(out);
    histogram_reset(&r->tunnels);
    recent_add_status(r, upstream, (struct span){0}, out);
    recent_add_status(r, upstream, SPAN("101"), &r->tunnels);
    histogram_subtract(out, &r->tunnels);
}

static uint64_t recent_now_ms(const struct recent *r)
{
    return loop_now_ms(r->node->control);
}

static void recent_window_put(struct recent *r, struct recent_window *w, struct span upstream)
{
    recent_read(r, upstream, &w->slots[w->next]);
    w->slot_ms[w->next] = recent_now_ms(r);
    w->next = (w->next + 1) % RECENT_SLOTS;
}

static void recent_window_begin(struct recent *r, struct recent_window *w, struct span upstream)
{
    for (unsigned i = 0; i < RECENT_SLOTS; i++)
        recent_window_put(r, w, upstream);
}

static void recent_window_look(struct recent *r, const struct recent_window *w,
                               struct span upstream, struct recent_window_view *out)
{
    uint64_t age_ms = recent_now_ms(r) - w->slot_ms[w->next];
    recent_read(r, upstream, &r->scratch);
    histogram_subtract(&r->scratch, &w->slots[w->next]);
    uint64_t count = histogram_count(&r->scratch);
    *out = (struct recent_window_view){
        .per_s = age_ms == 0 ? 0 : (double)count * 1000.0 / (double)age_ms,
        .p50_ns = histogram_quantile_ns(&r->scratch, 0.5),
        .p90_ns = histogram_quantile_ns(&r->scratch, 0.9),
        .p99_ns = histogram_quantile_ns(&r->scratch, 0.99),
    };
}

static struct recent_upstream *recent_upstream_find(const struct recent *r, struct span name)
{
    list_each (node, &r->upstreams) {
        struct recent_upstream *u = container_of(node, struct recent_upstream, node);
        if (span_eq(u->name, name))
            return u;
    }
    return NULL;
}

static struct recent_upstream *recent_upstream_add(struct recent *r, struct span name)
{
    struct recent_upstream *u = mem_alloc(size_add(sizeof *u, name.len));
    char *copy = (char *)(u + 1);
    memcpy(copy, name.at, name.len);
    u->name = span_of(copy, name.len);
    recent_window_begin(r, &u->window, u->name);
    list_push_back(&r->upstreams, &u->node);
    return u;
}

/* Follows the upstreams of the current snapshot. */
static void recent_put_upstreams(struct recent *r)
{
    const struct settings *s = edge_settings(r->node);
    list_each (node, &r->upstreams)
        container_of(node, struct recent_upstream, node)->is_listed = false;
    for (unsigned i = 0; i < s->upstream_count; i++) {
        struct span name = s->upstreams[i].upstream->name;
        struct recent_upstream *u = recent_upstream_find(r, name);
        if (u == NULL)
            u = recent_upstream_add(r, name);
        else
            recent_window_put(r, &u->window, u->name);
        u->is_listed = true;
    }
    list_each_safe (node, following, &r->upstreams) {
        struct recent_upstream *u = container_of(node, struct recent_upstream, node);
        if (u->is_listed)
            continue;
        list_remove(&u->node);
        mem_free(u);
    }
}

/* ---- totals ---- */

static void recent_add_class(void *ctx, const struct span *labels, uint64_t total)
{
    struct recent_totals *t = ctx;
    struct span status = labels[3]; /* of http_server_request_duration_seconds */
    bool is_known = status.len == 3 && status.at[0] >= '1' && status.at[0] <= '5';
    t->classes[is_known ? status.at[0] - '0' : 0] += total;
}

static void recent_add_sum(void *ctx, const struct span *labels, uint64_t total)
{
    uint64_t *sum = ctx;
    (void)labels;
    *sum += total;
}

static void recent_add_bytes(void *ctx, const struct span *labels, uint64_t total)
{
    struct recent_totals *t = ctx;
    *(span_eq(labels[0], SPAN("sent")) ? &t->sent_bytes : &t->received_bytes) += total;
}

static void recent_read_totals(const struct recent *r, struct recent_totals *out)
{
    struct metric_registry *m = r->node->metrics;
    const struct settings *s = edge_settings(r->node);
    *out = (struct recent_totals){0};
    metric_visit(m, &access_metrics[ACCESS_SERVER_DURATION], recent_add_class, out);
    metric_visit(m, &access_metrics[ACCESS_LIMITED], recent_add_sum, &out->limited);
    metric_visit(m, &access_metrics[ACCESS_RETRIES], recent_add_sum, &out->retries);
    metric_visit(m, &access_metrics[ACCESS_BYTES], recent_add_bytes, out);
    for (unsigned i = 0; i < s->upstream_count; i++) {
        const struct upstream *u = s->upstreams[i].upstream;
        struct breaker_view v;
        if (u->breaker == NULL)
            continue;
        breaker_look(u->breaker, recent_now_ms(r), &v);
        out->refused += v.refused_count;
    }
}

/* ---- points ---- */

/* Of `count` events in elapsed_ms, those of one step. A total that went back (an upstream was
 * taken out) counts as none. */
static uint32_t recent_step(uint64_t now, uint64_t before, uint64_t elapsed_ms)
{
    uint64_t count = now > before ? now - before : 0;
    uint64_t step = (count * RECENT_STEP_MS + elapsed_ms / 2) / elapsed_ms;
    return step < UINT32_MAX ? (uint32_t)step : UINT32_MAX;
}

static uint32_t recent_us(uint64_t ns)
{
    return ns / 1000 < UINT32_MAX ? (uint32_t)(ns / 1000) : UINT32_MAX;
}

static void recent_add_point(struct recent *r, const struct recent_totals *now, uint64_t elapsed_ms)
{
    const struct recent_totals *before = &r->totals;
    struct recent_point *p = &r->points[r->sample_count++ % RECENT_POINTS];
    struct recent_window_view latency;
    struct edge_totals open;
    edge_totals(r->node, &open);
    recent_window_look(r, &r->all, (struct span){0}, &latency);
    *p = (struct recent_point){.limited = recent_step(now->limited, before->limited, elapsed_ms),
                               .refused = recent_step(now->refused, before->refused, elapsed_ms),
                               .retries = recent_step(now->retries, before->retries, elapsed_ms),
                               .p50_us = recent_us(latency.p50_ns),
                               .p90_us = recent_us(latency.p90_ns),
                               .p99_us = recent_us(latency.p99_ns),
                               .connections = open.connections,
                               .tunnels = open.tunnels};
    for (unsigned i = 0; i < RECENT_CLASSES; i++) {
        p->classes[i] = recent_step(now->classes[i], before->classes[i], elapsed_ms);
        p->requests += p->classes[i];
    }
}

static void recent_on_timer(struct timer *t)
{
    struct recent *r = container_of(t, struct recent, timer);
    must(r->magic == RECENT_MAGIC);
    uint64_t now_ms = recent_now_ms(r);
    struct recent_totals now;
    if (r->sample_count % RECENT_SLOT_STEPS == 0) {
        recent_window_put(r, &r->all, (struct span){0});
        recent_put_upstreams(r);
    }
    recent_read_totals(r, &now);
    recent_add_point(r, &now, now_ms - r->sampled_ms);
    r->totals = now;
    r->sampled_ms = now_ms;
    timer_set(r->node->control, t, now_ms + RECENT_STEP_MS);
}

struct recent *recent_new(struct node *n)
{
    struct recent *r = MEM_NEW(struct recent);
    r->magic = RECENT_MAGIC;
    r->node = n;
    list_init(&r->upstreams);
    timer_init(&r->timer, recent_on_timer);
    r->sampled_ms = recent_now_ms(r);
    for (unsigned i = 0; i < RECENT_SLOTS; i++)
        r->all.slot_ms[i] = r->sampled_ms;
    timer_set(n->control, &r->timer, r->sampled_ms + RECENT_STEP_MS);
    return r;
}

void recent_free(struct recent *r)
{
    if (r == NULL)
        return;
    must(r->magic == RECENT_MAGIC);
    list_each_safe (node, following, &r->upstreams)
        mem_free(container_of(node, struct recent_upstream, node));
    timer_close(r->node->control, &r->timer);
    r->magic = 0;
    mem_free(r);
}

/* ---- what others ask ---- */

static unsigned recent_count(const struct recent *r)
{
    return r->sample_count < RECENT_POINTS ? (unsigned)r->sample_count : RECENT_POINTS;
}

/* The point of `age` steps ago, 0 the latest. */
static const struct recent_point *recent_ago(const struct recent *r, unsigned age)
{
    must(age < recent_count(r));
    return &r->points[(r->sample_count - 1 - age) % RECENT_POINTS];
}

const struct recent_totals *recent_totals_now(const struct recent *r)
{
    return &r->totals;
}

void recent_rates_now(const struct recent *r, struct recent_rates *out)
{
    unsigned count = recent_count(r) < RECENT_SLOT_STEPS ? recent_count(r) : RECENT_SLOT_STEPS;
    *out = (struct recent_rates){0};
    for (unsigned age = 0; age < count; age++) {
        const struct recent_point *p = recent_ago(r, age);
        double share = 1000.0 / RECENT_STEP_MS / count;
        out->requests += p->requests * share;
        out->limited += p->limited * share;
        out->refused += p->refused * share;
        out->retries += p->retries * share;
        for (unsigned i = 0; i < RECENT_CLASSES; i++)
            out->classes[i] += p->classes[i] * share;
    }
}

void recent_window_now(struct recent *r, struct recent_window_view *out)
{
    recent_window_look(r, &r->all, (struct span){0}, out);
}

void recent_upstream_now(struct recent *r, struct span upstream, struct recent_window_view *out)
{
    const struct recent_upstream *u = recent_upstream_find(r, upstream);
    *out = (struct recent_window_view){0};
    if (u != NULL)
        recent_window_look(r, &u->window, u->name, out);
}

/* ---- JSON ---- */

struct recent_field {
    const char *name;
    size_t offset;
    bool is_time; /* microseconds, written as milliseconds; 0 is null */
};

static const struct recent_field recent_fields[] = {
    {"requests", offsetof(struct recent_point, requests), false},
    {"status_2xx", offsetof(struct recent_point, classes[2]), false},
    {"status_3xx", offsetof(struct recent_point, classes[3]), false},
    {"status_4xx", offsetof(struct recent_point, classes[4]), false},
    {"status_5xx", offsetof(struct recent_point, classes[5]), false},
    {"limited", offsetof(struct recent_point, limited), false},
    {"refused", offsetof(struct recent_point, refused), false},
    {"retries", offsetof(struct recent_point, retries), false},
    {"p50_ms", offsetof(struct recent_point, p50_us), true},
    {"p90_ms", offsetof(struct recent_point, p90_us), true},
    {"p99_ms", offsetof(struct recent_point, p99_us), true},
    {"connections", offsetof(struct recent_point, connections), false},
    {"tunnels", offsetof(struct recent_point, tunnels), false},
};

static void recent_write_field(const struct recent *r, struct json *j,
                               const struct recent_field *field)
{
    json_key(j, field->name);
    json_array(j);
    for (unsigned age = recent_count(r); age > 0; age--) {
        uint32_t value;
        memcpy(&value, (const char *)recent_ago(r, age - 1) + field->offset, sizeof value);
        if (!field->is_time)
            json_u64(j, value);
        else if (value == 0)
            json_null(j);
        else
            json_ms_of_ns(j, (uint64_t)value * 1000);
    }
    json_array_end(j);
}

err recent_write(const struct recent *r, struct buf *out)
{
    struct json j;
    json_begin(&j, out);
    json_object(&j);
    json_key(&j, "step_ms");
    json_u64(&j, RECENT_STEP_MS);
    json_key(&j, "points_max");
    json_u64(&j, RECENT_POINTS);
    json_key(&j, "points");
    json_u64(&j, recent_count(r));
    for (size_t i = 0; i < COUNT_OF(recent_fields); i++)
        recent_write_field(r, &j, &recent_fields[i]);
    json_object_end(&j);
    return json_end(&j);
}
