/* access.c: one JSON record per request, and the metrics beside it.
 *
 * The one hard thing is the cost: this runs once a request whatever the request was. Keys are
 * literals, cells are found once per route, method and status, and the record goes straight
 * into the loop's batch.
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/access.h"

#include "core/mem.h"
#include "edge/proxy.h"
#include "edge/redact.h"

#define ACCESS_RECORD_BYTES 8192
#define ACCESS_QUERY_BYTES  4096 /* of a query with secrets, which is written anew */
#define ACCESS_FLUSH_MS     200
#define ACCESS_CACHE_SLOTS  16 /* a power of two */

static const char *const access_server_labels[] = {"http_request_method", "url_scheme",
                                                   "http_route", "http_response_status_code", NULL};
static const char *const access_client_labels[] = {"upstream", "server_address",
                                                   "http_response_status_code", NULL};
static const char *const access_upstream_label[] = {"upstream", NULL};
static const char *const access_reason_label[] = {"reason", NULL};
static const char *const access_route_label[] = {"http_route", NULL};
static const char *const access_direction_label[] = {"direction", NULL};

const struct metric_desc access_metrics[ACCESS_METRIC_COUNT + 1] = {
    [ACCESS_SERVER_DURATION] = {.name = "http_server_request_duration_seconds",
                                .type = METRIC_HISTOGRAM,
                                .unit = "seconds",
                                .help = "Requests from clients: first byte received to last byte "
                                        "of the answer handed to the socket.",
                                .labels = access_server_labels,
                                .has_quantiles = true},
    [ACCESS_CLIENT_DURATION] = {.name = "http_client_request_duration_seconds",
                                .type = METRIC_HISTOGRAM,
                                .unit = "seconds",
                                .help = "Tries at upstream targets; status 0 is a try without an "
                                        "answer.",
                                .labels = access_client_labels,
                                .has_quantiles = true},
    [ACCESS_CONNECTIONS] = {.name = "plimsoll_connections",
                            .type = METRIC_GAUGE,
                            .help = "Client connections that are open."},
    [ACCESS_ACCEPTED] = {.name = "plimsoll_connections_accepted_total",
                         .type = METRIC_COUNTER,
                         .help = "Client connections accepted."},
    [ACCESS_REFUSED] = {.name = "plimsoll_connections_refused_total",
                        .type = METRIC_COUNTER,
                        .help = "Client connections closed at once, by reason.",
                        .labels = access_reason_label},
    [ACCESS_ACTIVE] = {.name = "http_server_active_requests",
                       .type = METRIC_GAUGE,
                       .help = "Requests that are being served."},
    [ACCESS_TUNNELS] = {.name = "plimsoll_tunnels",
                        .type = METRIC_GAUGE,
                        .help = "WebSocket connections that are open."},
    [ACCESS_LIMITED] = {.name = "plimsoll_requests_limited_total",
                        .type = METRIC_COUNTER,
                        .help = "Requests refused by a rate limit, by route.",
                        .labels = access_route_label},
    [ACCESS_RETRIES] = {.name = "plimsoll_retries_total",
                        .type = METRIC_COUNTER,
                        .help = "Tries that were made again.",
                        .labels = access_upstream_label},
    [ACCESS_EJECTIONS] = {.name = "plimsoll_target_ejections_total",
                          .type = METRIC_COUNTER,
                          .help = "Targets taken out because their requests kept failing.",
                          .labels = access_upstream_label},
    [ACCESS_LINKS_OPENED] = {.name = "plimsoll_upstream_connections_opened_total",
                             .type = METRIC_COUNTER,
                             .help = "Connections to targets that were opened."},
    [ACCESS_LINKS_REUSED] = {.name = "plimsoll_upstream_connections_reused_total",
                             .type = METRIC_COUNTER,
                             .help = "Tries that found an idle connection."},
    [ACCESS_BYTES] = {.name = "plimsoll_body_bytes_total",
                      .type = METRIC_COUNTER,
                      .unit = "bytes",
                      .help = "Body bytes from clients (received) and to clients (sent).",
                      .labels = access_direction_label},
};

struct access_slot {
    unsigned status;
    enum http_method method;
    bool is_secure;
    const void *target;
    struct metric_histogram *histogram;
};

/* Direct-mapped: two combinations of a route that share a slot take turns. */
struct access_route {
    struct access_slot server[ACCESS_CACHE_SLOTS];
    struct access_slot client[ACCESS_CACHE_SLOTS];
};

struct access {
    struct edge_loop *home;
    struct log_batch batch;
    struct timer flush;
    uint64_t date_s;
    char date[CLOCK_HTTP_BYTES];
    uint64_t time_ms;
    char time[CLOCK_RFC3339_BYTES];
    struct metric_cell *connections, *accepted, *active, *tunnels, *links_opened, *links_reused;
    struct metric_cell *received, *sent;
};

static void access_on_flush(struct timer *t)
{
    struct access *a = container_of(t, struct access, flush);
    log_batch_flush(&a->batch);
}

struct access *access_new(struct edge_loop *home)
{
    struct access *a = MEM_NEW(struct access);
    struct metric_shard *s = home->shard;
    const struct metric_desc *m = access_metrics;
    a->home = home;
    log_batch_init(&a->batch);
    timer_init(&a->flush, access_on_flush);
    a->connections = metric_gauge(s, &m[ACCESS_CONNECTIONS], METRIC_NO_LABELS);
    a->accepted = metric_counter(s, &m[ACCESS_ACCEPTED], METRIC_NO_LABELS);
    a->active = metric_gauge(s, &m[ACCESS_ACTIVE], METRIC_NO_LABELS);
    a->tunnels = metric_gauge(s, &m[ACCESS_TUNNELS], METRIC_NO_LABELS);
    a->links_opened = metric_counter(s, &m[ACCESS_LINKS_OPENED], METRIC_NO_LABELS);
    a->links_reused = metric_counter(s, &m[ACCESS_LINKS_REUSED], METRIC_NO_LABELS);
    a->received = metric_counter(s, &m[ACCESS_BYTES], METRIC_LABELS(SPAN("received")));
    a->sent = metric_counter(s, &m[ACCESS_BYTES], METRIC_LABELS(SPAN("sent")));
    return a;
}

void access_free(struct access *a)
{
    if (a == NULL)
        return;
    timer_close(a->home->loop, &a->flush);
    log_batch_done(&a->batch);
    mem_free(a);
}

struct access_route *access_routes_new(unsigned count)
{
    return mem_alloc(size_mul(count, sizeof(struct access_route)));
}

void access_routes_free(struct access_route *routes)
{
    mem_free(routes);
}

struct span access_date(struct edge_loop *home)
{
    struct access *a = home->access;
    uint64_t now_s = loop_wall_ns(home->loop) / 1000000000u;
    if (a->date_s != now_s) {
        clock_format_http(now_s * 1000000000u, a->date);
        a->date_s = now_s;
    }
    return span_of(a->date, sizeof a->date - 1);
}

static struct span access_time(struct access *a)
{
    uint64_t wall_ns = loop_wall_ns(a->home->loop);
    if (a->time_ms != wall_ns / 1000000u) {
        clock_format_rfc3339(wall_ns, a->time);
        a->time_ms = wall_ns / 1000000u;
    }
    return span_of(a->time, sizeof a->time - 1);
}

void access_turn_end(struct edge_loop *home)
{
    struct access *a = home->access;
    struct link_pool_stats links;
    metric_set(a->connections, home->conn_count);
    metric_set(a->active, home->exchange_count);
    metric_set(a->tunnels, home->tunnel_count);
    link_pool_stats(home->links, &links);
    atomic_store_explicit(&a->links_opened->value, links.opened, memory_order_relaxed);
    atomic_store_explicit(&a->links_reused->value, links.reused, memory_order_relaxed);
}

void access_accepted(struct edge_loop *home)
{
    metric_add(home->access->accepted, 1);
}

void access_refused(struct edge_loop *home, enum access_refusal reason)
{
    static const char *const names[] = {[ACCESS_REFUSED_CONNECTIONS] = "connections",
                                        [ACCESS_REFUSED_DESCRIPTORS] = "descriptors",
                                        [ACCESS_REFUSED_PER_IP] = "per_ip"};
    metric_add(metric_counter(home->shard, &access_metrics[ACCESS_REFUSED],
                              METRIC_LABELS(span_from(names[reason]))),
               1);
}

/* ---- metrics ---- */

static struct access_route *access_route_of(const struct exchange *x)
{
    /* The last one is for what is answered without a configured route. */
    bool is_own = x->route == &x->settings->no_route || x->route == &x->settings->server_route;
    unsigned index = is_own ? x->settings->route_count : (unsigned)(x->route - x->settings->routes);
    return &x->view->routes[index];
}

static struct span access_status_text(unsigned status, char room[3])
{
    if (status == 0)
        return SPAN("0");
    room[0] = (char)('0' + status / 100 % 10);
    room[1] = (char)('0' + status / 10 % 10);
    room[2] = (char)('0' + status % 10);
    return span_of(room, 3);
}

static struct metric_histogram *access_server_histogram(const struct exchange *x)
{
    enum http_method method = x->request.method;
    unsigned at = (x->status * 7 + (unsigned)method) & (ACCESS_CACHE_SLOTS - 1);
    struct access_slot *slot = &access_route_of(x)->server[at];
    bool is_hit = slot->histogram != NULL && slot->status == x->status && slot->method == method &&
                  slot->is_secure == x->is_secure;
    if (is_hit)
        return slot->histogram;
    char room[3];
    *slot = (struct access_slot){.status = x->status, .method = method, .is_secure = x->is_secure};
    slot->histogram =
        metric_histogram(x->home->shard, &access_metrics[ACCESS_SERVER_DURATION],
                         METRIC_LABELS(span_from(http_method_name(method)),
                                       x->is_secure ? SPAN("https") : SPAN("http"), x->route->name,
                                       access_status_text(x->status, room)));
    return slot->histogram;
}

static struct metric_histogram *access_client_histogram(const struct exchange *x)
{
    const struct proxy *p = x->proxy;
    const struct target *target = p->pick.target;
    unsigned at = (p->response_status * 7 + p->pick.index) & (ACCESS_CACHE_SLOTS - 1);
    struct access_slot *slot = &access_route_of(x)->client[at];
    if (slot->histogram != NULL && slot->status == p->response_status && slot->target == target)
        return slot->histogram;
    char room[3];
    *slot = (struct access_slot){.status = p->response_status, .target = target};
    slot->histogram = metric_histogram(x->home->shard, &access_metrics[ACCESS_CLIENT_DURATION],
                                       METRIC_LABELS(p->upstream->upstream->name, target->address,
                                                     access_status_text(p->response_status, room)));
    return slot->histogram;
}

static void access_count(struct exchange *x, uint64_t took_ns)
{
    struct access *a = x->home->access;
    struct metric_histogram *h = access_server_histogram(x);
    metric_observe(h, took_ns);
    if (x->trace.flags & TRACECONTEXT_SAMPLED) {
        struct metric_exemplar example = {.value = took_ns, .wall_ns = loop_wall_ns(x->home->loop)};
        memcpy(example.trace_id, exchange_trace_id(x).at, sizeof example.trace_id);
        metric_exemplify(h, &example);
    }
    metric_add(a->received, x->body.decoder.received_bytes);
    metric_add(a->sent, x->response_body_bytes);
    if (x->limits.is_refused)
        metric_add(metric_counter(x->home->shard, &access_metrics[ACCESS_LIMITED],
                                  METRIC_LABELS(x->route->name)),
                   1);
}

void access_try(struct exchange *x, uint64_t took_ns)
{
    metric_observe(access_client_histogram(x), took_ns);
}

static struct metric_cell *access_upstream_counter(struct edge_loop *home, unsigned metric,
                                                   struct span upstream)
{
    return metric_counter(home->shard, &access_metrics[metric], METRIC_LABELS(upstream));
}

void access_retry(struct exchange *x)
{
    metric_add(access_upstream_counter(x->home, ACCESS_RETRIES, x->proxy->upstream->upstream->name),
               1);
}

/* ---- events ---- */

void access_target_ejected(struct edge_loop *home, const struct upstream *u, const struct target *t)
{
    struct log_line l;
    metric_add(access_upstream_counter(home, ACCESS_EJECTIONS, u->name), 1);
    log_begin(&l, LOG_WARN, "target_ejected");
    log_str(&l, "upstream", u->name);
    log_str(&l, "target", t->address);
    log_end(&l);
}

static void access_warn(struct exchange *x, const char *event, const struct fault *why)
{
    struct log_line l;
    log_begin(&l, LOG_WARN, event);
    log_str(&l, "request_id", span_of(x->id, x->id_len));
    log_str(&l, "upstream", x->proxy->upstream->upstream->name);
    log_str(&l, "target", x->proxy->pick.target->address);
    log_text(&l, "detail", why->text);
    log_end(&l);
}

void access_bad_response(struct exchange *x, const struct fault *why)
{
    access_warn(x, "upstream_response_invalid", why);
}

void access_tls_failed(struct exchange *x, const struct fault *why)
{
    access_warn(x, "upstream_tls_failed", why);
}

/* ---- the record ---- */

static void access_write_query(struct exchange *x, struct record *r)
{
    char room[ACCESS_QUERY_BYTES];
    struct put shown = put_into(room, sizeof room);
    if (redact_query(x->request.query, &shown))
        record_str(r, RECORD_KEY("query"), span_of(room, (size_t)(shown.at - room)));
    else
        record_str(r, RECORD_KEY("query"), x->request.query);
}

static void access_write_request(struct exchange *x, struct record *r)
{
    record_str(r, RECORD_KEY("method"), x->request.method_text);
    record_str(r, RECORD_KEY("host"), x->request.host);
    record_str(r, RECORD_KEY("path"), x->path.at == NULL ? x->request.raw_path : x->path);
    if (x->request.query.len > 0)
        access_write_query(x, r);
    record_u64(r, RECORD_KEY("status"), x->status);
    record_plain(r, RECORD_KEY("client"), span_of(x->client_text, x->client_len));
    record_plain(r, RECORD_KEY("scheme"), x->is_secure ? SPAN("https") : SPAN("http"));
    record_str(r, RECORD_KEY("route"), x->route->name);
    const struct http_field *agent = http_head_find(&x->request.head, HTTP_FIELD_USER_AGENT);
    if (agent != NULL)
        record_str(r, RECORD_KEY("user_agent"), agent->value);
}

static void access_write_upstream(struct exchange *x, struct record *r)
{
    const struct proxy *p = x->proxy;
    const struct upstream *u = p->upstream->upstream;
    record_str(r, RECORD_KEY("upstream"), u->name);
    if (p->pick.target != NULL)
        record_str(r, RECORD_KEY("target"), p->pick.target->address);
    record_u64(r, RECORD_KEY("tries"), p->tries);
    if (p->retry_reason != RETRY_AGAIN && p->retry_reason != RETRY_NOT_RETRYABLE)
        record_plain(r, RECORD_KEY("retry"), span_from(retry_reason_text(p->retry_reason)));
    if (u->breaker != NULL)
        record_plain(r, RECORD_KEY("breaker"),
                     span_from(breaker_state_text(breaker_state_now(u->breaker))));
}

static void access_write_ids(struct exchange *x, struct record *r)
{
    record_plain(r, RECORD_KEY("request_id"), span_of(x->id, x->id_len));
    record_plain(r, RECORD_KEY("trace_id"), exchange_trace_id(x));
    record_plain(r, RECORD_KEY("span_id"), exchange_span_id(x));
}

/* Phases: receive (request head), route (until dispatched), wait (until the answer's head is
 * known), total. */
static void access_write_times(struct exchange *x, struct record *r, uint64_t took_ns)
{
    record_ms(r, RECORD_KEY("receive_ms"), x->head_ns - x->started_ns);
    if (x->dispatched_ns != 0 && x->answered_ns >= x->dispatched_ns)
        record_ms(r, RECORD_KEY("wait_ms"), x->answered_ns - x->dispatched_ns);
    record_ms(r, RECORD_KEY("duration_ms"), took_ns);
    record_u64(r, RECORD_KEY("bytes_in"), x->body.decoder.received_bytes);
    record_u64(r, RECORD_KEY("bytes_out"), x->response_body_bytes);
}

static void access_write(struct exchange *x, uint64_t took_ns)
{
    struct access *a = x->home->access;
    char *room = log_batch_reserve(&a->batch, ACCESS_RECORD_BYTES);
    if (room == NULL)
        return;
    struct record r;
    record_begin(&r, room, ACCESS_RECORD_BYTES, access_time(a));
    access_write_ids(x, &r);
    access_write_request(x, &r);
    if (x->proxy != NULL)
        access_write_upstream(x, &r);
    access_write_times(x, &r, took_ns);
    if (x->limits.is_refused)
        record_str(&r, RECORD_KEY("limited_by"), x->limits.refused_by);
    if (x->limits.is_shadow_exceeded)
        record_bool(&r, RECORD_KEY("limit_shadow"), true);
    if (!err_ok(x->failure)) {
        record_plain(&r, RECORD_KEY("error"), span_from(err_name(x->failure.code)));
        record_str(&r, RECORD_KEY("detail"), span_from(x->why.text));
    }
    log_batch_commit(&a->batch, record_end(&r));
    if (!timer_is_set(&a->flush))
        timer_set(a->home->loop, &a->flush, loop_now_ms(a->home->loop) + ACCESS_FLUSH_MS);
}

void access_record(struct exchange *x)
{
    uint64_t took_ns = loop_now_ns(x->home->loop) - x->started_ns;
    if (x->home->is_admin)
        return; /* probes and scrapes are not traffic */
    access_count(x, took_ns);
    if (x->settings->logs_access)
        access_write(x, took_ns);
}
