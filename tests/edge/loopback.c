/* loopback.c: puts a serving loop together as edge.c does, without threads and without time.
 *
 * The one hard thing: fault points must hit the server alone, so they are disarmed whenever the
 * test's own side moves.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "loopback.h"

#include "core/fault_point.h"
#include "core/log.h"
#include "core/metric_snapshot.h"
#include "edge/access.h"
#include "edge/listener.h"
#include "edge/view.h"

#define LOOPBACK_WAIT_MS    20000 /* real time after which a test is taken to hang */
#define LOOPBACK_TEXT_MAX   ((size_t)256 * 1024)
#define LOOPBACK_QUIET      8 /* turns without any movement */
#define LOOPBACK_START_NS   UINT64_C(100000000000000)
#define LOOPBACK_BUFFER     4096
#define LOOPBACK_LISTEN     "listen: [{address: \"127.0.0.1:1\"}]\n"
#define LOOPBACK_ADMIN      "admin: {address: off, socket: off}\n"
#define LOOPBACK_LIMITS_OFF "limits: off\n"

static const struct part *const loopback_no_parts[] = {NULL};

static const struct http1_limits loopback_limits = {.target_bytes = 65536,
                                                    .head_bytes = 131072,
                                                    .field_count = LOOPBACK_FIELDS_MAX,
                                                    .trailer_bytes = 4096,
                                                    .chunk_line_bytes = 256};

/* ---- configuration ---- */

static bool loopback_replace(struct loopback *lb, const char *folder, struct span *rest,
                             struct buf *out)
{
    const struct {
        const char *mark, *text;
    } words[] = {{"$0", lb->upstreams[0].server.text}, {"$1", lb->upstreams[1].server.text},
                 {"$2", lb->upstreams[2].server.text}, {"$dead", lb->dead.text},
                 {"$silent", lb->silent.text},         {"$dir", folder}};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (!span_starts(*rest, span_from(words[i].mark)))
            continue;
        assert_non_null(words[i].text);
        *rest = span_skip(*rest, strlen(words[i].mark));
        assert_true(err_ok(buf_add(out, span_from(words[i].text))));
        return true;
    }
    return false;
}

static void loopback_text(struct loopback *lb, const char *yaml, const char *folder,
                          struct buf *out)
{
    struct span rest = span_from(yaml);
    buf_init(out, LOOPBACK_TEXT_MAX);
    if (strstr(yaml, "listen:") == NULL)
        assert_true(err_ok(buf_add(out, SPAN(LOOPBACK_LISTEN))));
    if (strstr(yaml, "admin:") == NULL)
        assert_true(err_ok(buf_add(out, SPAN(LOOPBACK_ADMIN))));
    if (strstr(yaml, "limits:") == NULL)
        assert_true(err_ok(buf_add(out, SPAN(LOOPBACK_LIMITS_OFF))));
    while (rest.len > 0) {
        if (rest.at[0] == '$' && loopback_replace(lb, folder, &rest, out))
            continue;
        assert_true(err_ok(buf_add_char(out, rest.at[0])));
        rest = span_skip(rest, 1);
    }
}

static void loopback_fail(const struct config_report *report)
{
    struct buf text;
    const char *shown = "";
    buf_init(&text, LOOPBACK_TEXT_MAX);
    (void)err_ok(config_report_write(report, &text));
    (void)err_ok(buf_text(&text, &shown));
    fail_msg("the configuration was refused: %s", shown);
}

static struct settings *loopback_build(struct loopback *lb, const struct loopback_options *o,
                                       struct config_report *report)
{
    static const struct config_key *const tables[] = {settings_keys, NULL};
    struct config_report *own = MEM_NEW(struct config_report);
    struct config_report *faults = report == NULL ? own : report;
    struct config *config = NULL;
    struct settings *settings = NULL;
    struct buf text;
    loopback_text(lb, o->yaml, o->folder, &text);
    err outcome = config_load_text(tables, buf_span(&text), "test.yaml", &config, faults);
    if (err_ok(outcome)) {
        struct settings_options options = {.node = &lb->node,
                                           .config = config,
                                           .tickets = lb->tickets,
                                           .upstreams = &lb->registry,
                                           .limit_table = lb->limit_table};
        outcome = settings_new(&options, o->is_admin, &settings, faults);
    }
    if (!err_ok(outcome) && report == NULL)
        loopback_fail(faults);
    config_unref(config);
    buf_done(&text);
    mem_free(own);
    return settings;
}

struct settings *loopback_settings(struct loopback *lb, const char *yaml,
                                   struct config_report *report)
{
    return loopback_build(lb, &(struct loopback_options){.yaml = yaml}, report);
}

void loopback_use(struct loopback *lb, const char *yaml)
{
    struct settings *next = loopback_settings(lb, yaml, NULL);
    edge_loop_use(lb->home, next);
    settings_unref(lb->settings);
    lb->settings = next;
    upstream_registry_sweep(&lb->registry);
}

/* ---- opening and closing ---- */

static void loopback_listen(struct loopback *lb)
{
    const struct settings *s = lb->settings;
    assert_true(s->listener_count <= COUNT_OF(lb->addresses));
    for (unsigned i = 0; i < s->listener_count; i++) {
        struct sock_listen_options options = {.backlog = 512, .unix_mode = 0600};
        struct fault why = {0};
        int fd = -1;
        struct sock_address address = s->listeners[i].address;
        if (address.any.sa_family == AF_INET)
            address.in.sin_port = 0; /* a free port, which a configuration cannot ask for */
        if (!err_ok(sock_listen(&address, &options, &fd, &why)))
            fail_msg("%s", why.text);
        lb->addresses[i].len = sizeof lb->addresses[i].un;
        assert_int_equal(getsockname(fd, &lb->addresses[i].any, &lb->addresses[i].len), 0);
        listener_open(lb->home, i, fd);
    }
}

void loopback_open_with(struct loopback *lb, const struct loopback_options *options)
{
    *lb = (struct loopback){0};
    log_level_set(LOG_ERROR);
    clock_fake_init(&lb->clock, LOOPBACK_START_NS, clock_wall_ns(&clock_system));
    lb->loop = loop_new(&(struct loop_options){
        .name = "edge", .clock = &lb->clock.clock, .spare_chunks = options->spare_chunks});
    lb->node = (struct node){.parts = options->parts == NULL ? loopback_no_parts : options->parts,
                             .clock = &lb->clock.clock,
                             .control = lb->loop,
                             .metrics = metric_registry_new()};
    metric_register(lb->node.metrics, access_metrics);
    assert_true(err_ok(limit_table_new(4096, &lb->limit_table)));
    assert_true(err_ok(tls_tickets_new(&lb->clock.clock, &lb->tickets)));
    lb->cap = conn_cap_new(1024);
    random_init_seeded(&lb->random, 7);
    upstream_registry_init(&lb->registry, NULL, &lb->random);
    for (unsigned i = 0; i < LOOPBACK_UPSTREAMS; i++)
        peer_server_init(&lb->upstreams[i].server, PEER_SERVER_ACCEPTS);
    peer_server_init(&lb->dead, PEER_SERVER_REFUSES);
    peer_server_init(&lb->silent, PEER_SERVER_SILENT);
    lb->settings = loopback_build(lb, options, NULL);
    lb->home = edge_loop_new(&(struct edge_loop_options){.loop = lb->loop,
                                                         .node = &lb->node,
                                                         .settings = lb->settings,
                                                         .cap = lb->cap,
                                                         .is_admin = options->is_admin});
    loopback_listen(lb);
}

void loopback_open(struct loopback *lb, const char *yaml)
{
    loopback_open_with(lb, &(struct loopback_options){.yaml = yaml});
}

void loopback_done(struct loopback *lb)
{
    edge_loop_free(lb->home);
    for (unsigned i = 0; i < lb->client_count; i++) {
        peer_done(lb->clients[i]);
        mem_free(lb->clients[i]);
    }
    for (unsigned i = 0; i < LOOPBACK_UPSTREAMS; i++)
        peer_server_done(&lb->upstreams[i].server);
    peer_server_done(&lb->dead);
    peer_server_done(&lb->silent);
    loop_turn(lb->loop, false);
    loop_free(lb->loop);
    settings_unref(lb->settings);
    upstream_registry_done(&lb->registry);
    tls_tickets_unref(lb->tickets);
    limit_table_free(lb->limit_table);
    conn_cap_free(lb->cap);
    metric_registry_free(lb->node.metrics);
    random_done(&lb->random);
}

/* ---- messages ---- */

void loopback_message_done(struct loopback_message *m)
{
    buf_done(&m->head_bytes);
    buf_done(&m->body);
    m->head = NULL;
}

/* Parses the head at the front of the bytes; the spans point into them. */
static err loopback_parse_head(struct loopback_message *m, struct span bytes, bool is_request,
                               enum http_method method)
{
    struct http1_head_parser parser = {0};
    struct fault why = {0};
    m->request = (struct http_request){0};
    m->response = (struct http_response){0};
    m->head = is_request ? &m->request.head : &m->response.head;
    m->head->fields = m->fields;
    m->head->field_max = LOOPBACK_FIELDS_MAX;
    err outcome =
        is_request
            ? http1_parse_request(&parser, &loopback_limits, bytes, &m->request, &why)
            : http1_parse_response(&parser, &loopback_limits, method, bytes, &m->response, &why);
    if (!err_ok(outcome) && !err_is(outcome, ERR_AGAIN))
        fail_msg("the server sent a message that is not valid: %s\n%.*s", why.text,
                 SPAN_ARGS(bytes));
    return outcome;
}

/* Takes the framing off a copy of what follows the head; false while it is not whole. */
static bool loopback_take_body(struct loopback_message *m, struct span bytes, bool is_ended,
                               size_t *out_consumed)
{
    struct http1_body body;
    struct http1_decoded decoded = {0};
    struct fault why = {0};
    http1_body_init(&body, m->head->body, m->head->content_length);
    if (m->head->body == HTTP_BODY_LENGTH && bytes.len < m->head->content_length)
        return false;
    buf_init(&m->body, PEER_BYTES_MAX);
    assert_true(err_ok(buf_add(&m->body, bytes)));
    if (!err_ok(
            http1_body_decode(&body, &loopback_limits, m->body.at, m->body.len, &decoded, &why)))
        fail_msg("the server sent a body that is not valid: %s", why.text);
    bool is_whole =
        http1_body_is_done(&body) || (m->head->body == HTTP_BODY_UNTIL_CLOSE && is_ended);
    m->body.len = decoded.payload;
    *out_consumed = decoded.consumed;
    if (!is_whole)
        buf_done(&m->body);
    return is_whole;
}

static bool loopback_take(struct peer *p, bool is_request, enum http_method method,
                          struct loopback_message *out)
{
    size_t body_bytes = 0;
    loopback_message_done(out);
    if (p->in.len == 0 ||
        err_is(loopback_parse_head(out, buf_span(&p->in), is_request, method), ERR_AGAIN))
        return false;
    size_t head_bytes = out->head->head_bytes;
    if (!loopback_take_body(out, span_skip(buf_span(&p->in), head_bytes), peer_is_over(p),
                            &body_bytes))
        return false;
    buf_init(&out->head_bytes, PEER_BYTES_MAX);
    assert_true(err_ok(buf_append(&out->head_bytes, p->in.at, head_bytes)));
    assert_true(err_ok(loopback_parse_head(out, buf_span(&out->head_bytes), is_request, method)));
    buf_consume(&p->in, head_bytes + body_bytes);
    return true;
}

struct span loopback_field(const struct loopback_message *m, const char *name)
{
    for (unsigned i = 0; i < m->head->field_count; i++)
        if (span_eq_nocase(m->head->fields[i].name, span_from(name)))
            return m->head->fields[i].value;
    return (struct span){NULL, 0};
}

unsigned loopback_field_count(const struct loopback_message *m, const char *name)
{
    unsigned count = 0;
    for (unsigned i = 0; i < m->head->field_count; i++)
        count += span_eq_nocase(m->head->fields[i].name, span_from(name));
    return count;
}

bool loopback_field_is(const struct loopback_message *m, const char *name, const char *value)
{
    return loopback_field_count(m, name) == 1 && span_eq(loopback_field(m, name), span_from(value));
}

bool loopback_body_has(const struct loopback_message *m, const char *text)
{
    return m->body.len > 0 && memmem(m->body.at, m->body.len, text, strlen(text)) != NULL;
}

/* ---- turns ---- */

static bool loopback_serve(struct loopback_upstream *u)
{
    static struct loopback_message message;
    bool has_answered = false;
    for (unsigned i = 0; u->answer != NULL && i < u->server.count; i++) {
        struct peer *p = &u->server.peers[i];
        while (p->fd >= 0 && loopback_take(p, true, HTTP_GET, &message)) {
            u->requests++;
            p->requests++;
            peer_say(p, u->answer);
            has_answered = true;
            if (!u->closes)
                continue;
            (void)peer_pump(p);
            peer_close(p);
        }
    }
    loopback_message_done(&message);
    return has_answered;
}

static bool loopback_pump(struct loopback *lb)
{
    bool is_armed = atomic_exchange(&fault_point_is_armed, false);
    bool has_moved = false;
    for (unsigned i = 0; i < lb->client_count; i++)
        has_moved = peer_pump(lb->clients[i]) || has_moved;
    for (unsigned i = 0; i < LOOPBACK_UPSTREAMS; i++) {
        has_moved = peer_server_pump(&lb->upstreams[i].server) || has_moved;
        if (loopback_serve(&lb->upstreams[i]))
            has_moved = peer_server_pump(&lb->upstreams[i].server) || has_moved;
    }
    atomic_store(&fault_point_is_armed, is_armed);
    return has_moved;
}

bool loopback_turn(struct loopback *lb)
{
    bool has_moved = loopback_pump(lb);
    loop_turn(lb->loop, false);
    return loopback_pump(lb) || has_moved;
}

void loopback_settle(struct loopback *lb)
{
    unsigned quiet = 0;
    for (loopback_begin_wait(lb); quiet < LOOPBACK_QUIET;
         loopback_wait_turn(lb, "nothing moves any more"))
        quiet = loopback_turn(lb) ? 0 : quiet + 1;
}

void loopback_advance(struct loopback *lb, uint64_t ms)
{
    loopback_settle(lb); /* what was on its way arrives at the old time */
    clock_fake_advance_ms(&lb->clock, ms);
    loopback_settle(lb);
}

void loopback_begin_wait(struct loopback *lb)
{
    lb->wait_until_ms = clock_mono_ms(&clock_system) + LOOPBACK_WAIT_MS;
}

void loopback_wait_turn(struct loopback *lb, const char *condition)
{
    if (clock_mono_ms(&clock_system) > lb->wait_until_ms)
        fail_msg("this never came: %s; the last client has: %s", condition,
                 lb->client_count == 0 ? "" : peer_text(lb->clients[lb->client_count - 1]));
    (void)loopback_turn(lb);
}

/* ---- clients ---- */

static struct peer *loopback_add_client(struct loopback *lb, int fd, struct tls_session *tls)
{
    assert_true(lb->client_count < LOOPBACK_CLIENTS_MAX);
    struct peer *p = MEM_NEW(struct peer);
    peer_init(p, fd, tls);
    lb->clients[lb->client_count++] = p;
    return p;
}

static int loopback_dial(const struct sock_address *address)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &address->any, address->len), 0);
    return fd;
}

struct peer *loopback_connect_to(struct loopback *lb, unsigned listener)
{
    return loopback_add_client(lb, loopback_dial(&lb->addresses[listener]), NULL);
}

struct peer *loopback_connect(struct loopback *lb)
{
    return loopback_connect_to(lb, 0);
}

struct peer *loopback_connect_from(struct loopback *lb, const char *address)
{
    struct sock_address from;
    int fds[2];
    assert_true(err_ok(sock_address_parse(span_from(address), &from)));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    peer_buffer_sizes(fds[0], LOOPBACK_BUFFER);
    peer_buffer_sizes(fds[1], LOOPBACK_BUFFER);
    conn_open(lb->home, 0, fds[1], &from);
    return loopback_add_client(lb, fds[0], NULL);
}

struct peer *loopback_connect_tls(struct loopback *lb, unsigned listener,
                                  struct tls_context *context, const char *name)
{
    struct tls_session *tls = NULL;
    assert_true(err_ok(tls_session_new(
        &(struct tls_session_options){.context = context, .server_name = span_from(name)}, &tls)));
    return loopback_add_client(lb, loopback_dial(&lb->addresses[listener]), tls);
}

void loopback_answer_to(struct loopback *lb, struct peer *client, enum http_method method,
                        struct loopback_message *out)
{
    loopback_begin_wait(lb);
    while (!loopback_take(client, false, method, out)) {
        if (peer_is_over(client))
            fail_msg("the connection ended before a whole answer: %s", peer_text(client));
        loopback_wait_turn(lb, "an answer");
    }
}

void loopback_answer(struct loopback *lb, struct peer *client, struct loopback_message *out)
{
    loopback_answer_to(lb, client, HTTP_GET, out);
}

unsigned loopback_ask(struct loopback *lb, struct peer *client, const char *text,
                      struct loopback_message *out)
{
    peer_say(client, text);
    loopback_answer_to(lb, client, strncmp(text, "HEAD ", 5) == 0 ? HTTP_HEAD : HTTP_GET, out);
    return out->response.status;
}

struct peer *loopback_request(struct loopback *lb, unsigned upstream, unsigned index,
                              struct loopback_message *out)
{
    struct peer_server *server = &lb->upstreams[upstream].server;
    LOOPBACK_UNTIL(lb, server->count > index);
    struct peer *p = &server->peers[index];
    LOOPBACK_UNTIL(lb, loopback_take(p, true, HTTP_GET, out));
    return p;
}

/* ---- what is seen inside ---- */

struct upstream *loopback_upstream_of(struct loopback *lb, unsigned index)
{
    assert_true(index < lb->settings->upstream_count);
    return lb->settings->upstreams[index].upstream;
}

struct target *loopback_target(struct loopback *lb, unsigned upstream, unsigned index)
{
    struct upstream *u = loopback_upstream_of(lb, upstream);
    assert_true(index < u->set.member_count);
    return u->set.members[index].target;
}

struct link_pool_stats loopback_links(const struct loopback *lb)
{
    struct link_pool_stats stats;
    link_pool_stats(lb->home->links, &stats);
    return stats;
}

void loopback_assert_idle(struct loopback *lb)
{
    assert_int_equal(lb->home->exchange_count, 0);
    assert_int_equal(lb->home->tunnel_count, 0);
    assert_int_equal(lb->home->blocks.taken, 0);
    assert_int_equal(loopback_links(lb).active, 0);
    assert_int_equal(lb->home->view->pins, 1);
    for (unsigned i = 0; i < lb->settings->upstream_count; i++) {
        struct upstream *u = loopback_upstream_of(lb, i);
        struct breaker_view view;
        for (unsigned k = 0; k < u->set.member_count; k++)
            assert_int_equal(atomic_load(&u->set.members[k].target->in_flight), 0);
        if (u->breaker == NULL)
            continue;
        breaker_look(u->breaker, lb->clock.mono_now_ns / 1000000, &view);
        assert_int_equal(view.probes_in_flight, 0);
    }
}

static bool loopback_has_label(const struct metric_family *family,
                               const struct metric_sample *sample, const char *label)
{
    for (unsigned i = 0; family->desc->labels != NULL && family->desc->labels[i] != NULL; i++)
        if (span_eq(sample->labels[i], span_from(label)))
            return true;
    return label == NULL;
}

uint64_t loopback_metric(struct loopback *lb, const char *name, const char *label)
{
    struct metric_snapshot snapshot;
    struct arena arena;
    uint64_t sum = 0;
    arena_init(&arena, NULL, (size_t)16 * 1024 * 1024);
    assert_true(err_ok(metric_snapshot_take(lb->node.metrics, &arena, &snapshot)));
    for (size_t i = 0; i < snapshot.count; i++) {
        const struct metric_family *family = &snapshot.families[i];
        if (strcmp(family->desc->name, name) != 0)
            continue;
        for (size_t k = 0; k < family->count; k++) {
            const struct metric_sample *sample = &family->samples[k];
            if (label == NULL || loopback_has_label(family, sample, label))
                sum += sample->distribution != NULL ? sample->distribution->total : sample->stored;
        }
    }
    arena_done(&arena);
    return sum;
}
