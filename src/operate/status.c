/* status.c: gathers what the loops publish.
 *
 * Counters are totals since the start; whoever wants rates subtracts two readings. Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operate/status.h"

#include <stdio.h>
#include <unistd.h>

#include "core/json.h"
#include "core/mem.h"
#include "edge/access.h"
#include "edge/edge.h"
#include "operate/overall.h"
#include "operate/recent.h"

#define STATUS_REASON_BYTES 96

static void status_put_u64(struct json *j, const char *key, uint64_t value)
{
    json_key(j, key);
    json_u64(j, value);
}

static void status_put_text(struct json *j, const char *key, const char *value)
{
    json_key(j, key);
    json_text(j, value);
}

static void status_put_breaker(struct json *j, const struct breaker *b, uint64_t now_ms)
{
    struct breaker_view v;
    breaker_look(b, now_ms, &v);
    json_object(j);
    status_put_text(j, "state", breaker_state_text(v.state));
    status_put_u64(j, "since_ms", now_ms > v.since_ms ? now_ms - v.since_ms : 0);
    status_put_u64(j, "probes_after_ms", v.next_probe_ms > now_ms ? v.next_probe_ms - now_ms : 0);
    status_put_u64(j, "volume", v.volume);
    status_put_u64(j, "failure_rate_percent", v.failure_rate_percent);
    status_put_u64(j, "slow_rate_percent", v.slow_rate_percent);
    status_put_u64(j, "opened", v.opened_count);
    status_put_u64(j, "refused", v.refused_count);
    json_object_end(j);
}

static void status_put_ms(struct json *j, const char *key, uint64_t ns)
{
    json_key(j, key);
    json_ms_of_ns(j, ns);
}

/* A rate with two decimals. */
static void status_put_rate(struct json *j, const char *key, double per_s)
{
    json_key(j, key);
    json_double(j, (double)(uint64_t)(per_s * 100.0 + 0.5) / 100.0);
}

/* How the last check ended, with its status: "status 503". */
static void status_check_text(const struct target_view *v, char out[STATUS_REASON_BYTES])
{
    if (v->check_status > 0 && v->check != TARGET_CHECK_PASSED)
        (void)snprintf(out, STATUS_REASON_BYTES, "%s %u", target_check_text(v->check),
                       v->check_status);
    else
        (void)snprintf(out, STATUS_REASON_BYTES, "%s", target_check_text(v->check));
}

/* Why it is not up, with what the last check found. */
static void status_put_reason(struct json *j, const struct target_view *v, const char *check)
{
    char reason[2 * STATUS_REASON_BYTES];
    if (v->state == TARGET_DOWN && v->check == TARGET_CHECK_PASSED)
        (void)snprintf(reason, sizeof reason, "active checks failed, the last passed");
    else if (v->state == TARGET_DOWN)
        (void)snprintf(reason, sizeof reason, "%s: %s", v->reason, check);
    else
        (void)snprintf(reason, sizeof reason, "%s", v->reason);
    status_put_text(j, "reason", reason);
}

static void status_put_target(struct json *j, const struct target *t, uint64_t now_ms)
{
    struct target_view v;
    char check[STATUS_REASON_BYTES];
    target_look(t, now_ms, &v);
    status_check_text(&v, check);
    json_object(j);
    json_key(j, "address");
    json_string(j, t->address);
    status_put_text(j, "state", target_state_text(v.state));
    status_put_reason(j, &v, check);
    status_put_text(j, "check", v.check == TARGET_CHECK_NONE ? NULL : check);
    status_put_u64(j, "for_ms", v.until_ms > now_ms ? v.until_ms - now_ms : 0);
    status_put_u64(j, "in_flight", v.in_flight);
    json_key(j, "latency_ms");
    json_ms_of_ns(j, (uint64_t)v.latency_us * 1000);
    status_put_u64(j, "tries", v.tries);
    status_put_u64(j, "failures", v.failures);
    status_put_u64(j, "connect_failures", v.connect_failures);
    status_put_u64(j, "ejections", v.ejected_count);
    json_object_end(j);
}

err status_write_target(const struct target *t, uint64_t now_ms, struct buf *out)
{
    struct json j;
    json_begin(&j, out);
    status_put_target(&j, t, now_ms);
    return json_end(&j);
}

err status_write_breaker(const struct breaker *b, uint64_t now_ms, struct buf *out)
{
    struct json j;
    json_begin(&j, out);
    status_put_breaker(&j, b, now_ms);
    return json_end(&j);
}

/* "now": an upstream's tries of the last seconds. */
static void status_put_window(struct json *j, const struct recent_window_view *v)
{
    status_put_rate(j, "tries_per_s", v->per_s);
    status_put_ms(j, "p50_ms", v->p50_ns);
    status_put_ms(j, "p90_ms", v->p90_ns);
    status_put_ms(j, "p99_ms", v->p99_ns);
}

static void status_put_upstream(struct json *j, const struct upstream *u, struct recent *recent,
                                uint64_t now_ms)
{
    struct recent_window_view window;
    recent_upstream_now(recent, u->name, &window);
    json_object(j);
    json_key(j, "name");
    json_string(j, u->name);
    json_key(j, "now");
    json_object(j);
    status_put_window(j, &window);
    json_object_end(j);
    json_key(j, "breaker");
    if (u->breaker != NULL)
        status_put_breaker(j, u->breaker, now_ms);
    else
        json_null(j);
    status_put_u64(j, "retries_left", retry_budget_left(u->budget, now_ms));
    json_key(j, "targets");
    json_array(j);
    for (unsigned i = 0; i < u->set.member_count; i++)
        status_put_target(j, u->set.members[i].target, now_ms);
    json_array_end(j);
    json_object_end(j);
}

static void status_put_traffic(struct json *j, const struct node *n)
{
    struct edge_totals totals;
    edge_totals(n, &totals);
    json_key(j, "traffic");
    json_object(j);
    status_put_u64(j, "connections", totals.connections);
    status_put_u64(j, "requests_running", totals.requests);
    status_put_u64(j, "tunnels", totals.tunnels);
    json_object_end(j);
}

/* Keys of recent_totals.classes and recent_rates.classes. */
static const char *const status_classes[RECENT_CLASSES] = {
    "other", "status_1xx", "status_2xx", "status_3xx", "status_4xx", "status_5xx"};

static void status_put_totals(struct json *j, const struct recent_totals *t)
{
    json_key(j, "totals");
    json_object(j);
    for (unsigned i = 0; i < RECENT_CLASSES; i++)
        status_put_u64(j, status_classes[i], t->classes[i]);
    status_put_u64(j, "limited", t->limited);
    status_put_u64(j, "refused_by_breaker", t->refused);
    status_put_u64(j, "retries", t->retries);
    status_put_u64(j, "received_bytes", t->received_bytes);
    status_put_u64(j, "sent_bytes", t->sent_bytes);
    json_object_end(j);
}

/* Per second over five seconds; latencies over the last 10 to 15. */
static void status_put_now(struct json *j, struct recent *recent)
{
    struct recent_rates rates;
    struct recent_window_view window;
    recent_rates_now(recent, &rates);
    recent_window_now(recent, &window);
    json_key(j, "now");
    json_object(j);
    status_put_rate(j, "requests_per_s", rates.requests);
    for (unsigned i = 0; i < RECENT_CLASSES; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "%s_per_s", status_classes[i]);
        status_put_rate(j, key, rates.classes[i]);
    }
    status_put_rate(j, "limited_per_s", rates.limited);
    status_put_rate(j, "refused_by_breaker_per_s", rates.refused);
    status_put_rate(j, "retries_per_s", rates.retries);
    status_put_ms(j, "p50_ms", window.p50_ns);
    status_put_ms(j, "p90_ms", window.p90_ns);
    status_put_ms(j, "p99_ms", window.p99_ns);
    json_object_end(j);
}

static void status_put_latency(struct json *j, const struct node *n)
{
    static const double shares[] = {0.5, 0.9, 0.99};
    static const char *const names[] = {"p50_ms", "p90_ms", "p99_ms"};
    struct histogram *all = MEM_NEW(struct histogram);
    metric_quantiles(n->metrics, &access_metrics[0], METRIC_NO_LABELS, all);
    json_key(j, "latency");
    json_object(j);
    status_put_u64(j, "requests", histogram_count(all));
    for (size_t i = 0; i < COUNT_OF(shares); i++) {
        json_key(j, names[i]);
        json_ms_of_ns(j, histogram_quantile_ns(all, shares[i]));
    }
    json_object_end(j);
    mem_free(all);
}

static void status_put_limits(struct json *j, const struct node *n)
{
    struct limit_table_stats stats;
    edge_limit_stats(n, &stats);
    json_key(j, "limits");
    json_object(j);
    status_put_u64(j, "keys", stats.keys);
    status_put_u64(j, "keys_max", stats.keys_max);
    status_put_u64(j, "evicted_live", stats.evicted_live);
    json_object_end(j);
}

static void status_put_routes(struct json *j, const struct settings *s)
{
    json_key(j, "routes");
    json_array(j);
    for (unsigned i = 0; i < s->route_count; i++)
        json_string(j, s->routes[i].name);
    json_array_end(j);
}

static void status_put_listeners(struct json *j, const struct settings *s)
{
    json_key(j, "listeners");
    json_array(j);
    for (unsigned i = 0; i < s->listener_count; i++) {
        json_object(j);
        json_key(j, "address");
        json_string(j, s->listeners[i].address_text);
        json_key(j, "tls");
        json_bool(j, s->listeners[i].tls != NULL);
        json_object_end(j);
    }
    json_array_end(j);
}

err status_write(const struct node *n, struct recent *recent, uint64_t wall_ns, struct buf *out)
{
    const struct settings *s = edge_settings(n);
    uint64_t now_ms = clock_mono_ms(n->clock);
    char time[CLOCK_RFC3339_BYTES];
    struct json j;
    clock_format_rfc3339(wall_ns, time);
    json_begin(&j, out);
    json_object(&j);
    status_put_text(&j, "version", PLIMSOLL_VERSION);
    status_put_text(&j, "time", time);
    json_key(&j, "overall");
    overall_write(&j, n);
    status_put_u64(&j, "pid", (uint64_t)getpid());
    status_put_u64(&j, "uptime_ms", now_ms - n->started_mono_ns / 1000000);
    status_put_u64(&j, "loops", edge_loop_count(n));
    json_key(&j, "draining");
    json_bool(&j, n->is_draining);
    status_put_text(&j, "configuration", n->config_path);
    status_put_listeners(&j, s);
    status_put_routes(&j, s);
    status_put_traffic(&j, n);
    status_put_now(&j, recent);
    status_put_totals(&j, recent_totals_now(recent));
    status_put_latency(&j, n);
    status_put_limits(&j, n);
    json_key(&j, "upstreams");
    json_array(&j);
    for (unsigned i = 0; i < s->upstream_count; i++)
        status_put_upstream(&j, s->upstreams[i].upstream, recent, now_ms);
    json_array_end(&j);
    json_object_end(&j);
    return json_end(&j);
}
