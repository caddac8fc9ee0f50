/* probe.c: the steps of a check.
 *
 *   connecting --> (handshake) --> sending --> head --> body
 *
 * Each step falls through to the next as far as it can; every one may end the check. A check
 * without a text to look for ends at the head. The one hard thing: the head borrows from the
 * buffer that it was parsed in, but by then only its status and framing matter, so the body reuses
 * the buffer.
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "egress/probe.h"

#include "core/loop.h"
#include "core/mem.h"
#include "wire/http1.h"

#define PROBE_HEAD_BYTES    16384
#define PROBE_FIELDS_MAX    100
#define PROBE_INTERIM_MAX   10 /* 1xx answers before the real one */
#define PROBE_REQUEST_BYTES 4096

static const struct http1_limits probe_limits = {.target_bytes = 8192,
                                                 .head_bytes = PROBE_HEAD_BYTES,
                                                 .field_count = PROBE_FIELDS_MAX,
                                                 .trailer_bytes = 8192,
                                                 .chunk_line_bytes = 1024};

/* An HTTP check's buffers and parsers. */
struct probe_talk {
    struct buf request;
    size_t sent;
    bool is_sent;
    struct http1_head_parser parser;
    struct http_response response;
    struct http_field fields[PROBE_FIELDS_MAX];
    unsigned interim_count;
    bool has_head;
    struct http1_body body;
    struct buf text; /* the body so far */
    size_t searched; /* of text: no match begins before this */
    size_t len;
    char
        bytes[PROBE_HEAD_BYTES + 1]; /* one more than a head may have, so that it can be too long */
};

static void probe_talk_free(struct probe_talk *talk)
{
    if (talk == NULL)
        return;
    buf_done(&talk->request);
    buf_done(&talk->text);
    mem_free(talk);
}

void probe_stop(struct probe *p)
{
    if (!p->is_running)
        return;
    p->is_running = false;
    timer_close(p->options.loop, &p->timer);
    sock_close(p->connecting);
    p->connecting = NULL;
    channel_close(&p->channel);
    probe_talk_free(p->talk);
    p->talk = NULL;
}

static void probe_end(struct probe *p, enum target_check check)
{
    struct probe_outcome outcome = {.check = check,
                                    .took_ms = loop_now_ms(p->options.loop) - p->started_ms};
    if (p->talk != NULL && p->talk->has_head)
        outcome.status = p->talk->response.status;
    if (channel_is_open(&p->channel))
        channel_finish(&p->channel);
    probe_stop(p);
    p->done(p, &outcome);
}

static void probe_on_timer(struct timer *t)
{
    struct probe *p = container_of(t, struct probe, timer);
    probe_end(p, p->has_failed_at_once ? TARGET_CHECK_REFUSED : TARGET_CHECK_TIMEOUT);
}

/* ---- the answer ---- */

/* Looks for the text in what came since the last look; a match may lie across pieces. */
static bool probe_has_text(struct probe_talk *talk, struct span wanted)
{
    struct span rest = span_skip(buf_span(&talk->text), talk->searched);
    if (rest.len < wanted.len)
        return false;
    if (memmem(rest.at, rest.len, wanted.at, wanted.len) != NULL)
        return true;
    talk->searched = talk->text.len - wanted.len + 1;
    return false;
}

/* True when the check has ended. */
static bool probe_on_body(struct probe *p)
{
    struct probe_talk *talk = p->talk;
    struct http1_decoded decoded = {0};
    struct span wanted = p->options.check->body_contains;
    if (talk->len > 0 && !err_ok(http1_body_decode(&talk->body, &probe_limits, talk->bytes,
                                                   talk->len, &decoded, NULL))) {
        probe_end(p, TARGET_CHECK_INVALID);
        return true;
    }
    size_t room = PROBE_BODY_BYTES - talk->text.len;
    size_t taken = decoded.payload < room ? decoded.payload : room;
    talk->len = 0;
    if (taken > 0 && !err_ok(buf_append(&talk->text, talk->bytes, taken))) {
        probe_end(p, TARGET_CHECK_INVALID);
        return true;
    }
    if (probe_has_text(talk, wanted)) {
        probe_end(p, TARGET_CHECK_PASSED);
        return true;
    }
    if (http1_body_is_done(&talk->body) || talk->text.len == PROBE_BODY_BYTES) {
        probe_end(p, TARGET_CHECK_BODY);
        return true;
    }
    return false;
}

/* Drops an interim answer. True when the check has ended. */
static bool probe_skip_interim(struct probe *p)
{
    struct probe_talk *talk = p->talk;
    size_t used = talk->response.head.head_bytes;
    if (++talk->interim_count > PROBE_INTERIM_MAX) {
        probe_end(p, TARGET_CHECK_INVALID);
        return true;
    }
    talk->len -= used;
    memmove(talk->bytes, talk->bytes + used, talk->len);
    http1_head_reset(&talk->parser);
    return false;
}

/* True when the check has ended or more bytes are needed; false: look at what follows. */
static bool probe_on_head(struct probe *p)
{
    struct probe_talk *talk = p->talk;
    const struct upstream_check_options *check = p->options.check;
    struct http_response *r = &talk->response;
    r->head.fields = talk->fields;
    r->head.field_max = PROBE_FIELDS_MAX;
    err outcome = http1_parse_response(&talk->parser, &probe_limits, HTTP_GET,
                                       span_of(talk->bytes, talk->len), r, NULL);
    if (err_is(outcome, ERR_AGAIN))
        return true;
    if (!err_ok(outcome)) {
        probe_end(p, TARGET_CHECK_INVALID);
        return true;
    }
    if (r->status < 200 && r->status != 101)
        return probe_skip_interim(p);
    talk->has_head = true;
    if (r->status < check->status_min || r->status > check->status_max) {
        probe_end(p, TARGET_CHECK_STATUS);
        return true;
    }
    if (check->body_contains.len == 0) {
        probe_end(p, TARGET_CHECK_PASSED);
        return true;
    }
    http1_body_init(&talk->body, r->head.body, r->head.content_length);
    talk->len -= r->head.head_bytes;
    memmove(talk->bytes, talk->bytes + r->head.head_bytes, talk->len);
    return false;
}

/* True when the check has ended or more bytes are needed. */
static bool probe_on_bytes(struct probe *p)
{
    while (!p->talk->has_head)
        if (probe_on_head(p))
            return true;
    return probe_on_body(p);
}

/* The end of the connection is the end of a body that has no other. */
static void probe_on_closed(struct probe *p, err outcome)
{
    struct probe_talk *talk = p->talk;
    bool is_whole = err_is(outcome, ERR_CLOSED) && talk->has_head &&
                    talk->response.head.body == HTTP_BODY_UNTIL_CLOSE;
    probe_end(p, is_whole ? TARGET_CHECK_BODY : TARGET_CHECK_CLOSED);
}

static void probe_read(struct probe *p)
{
    struct probe_talk *talk = p->talk;
    while (p->is_running) {
        size_t got = 0;
        err outcome = channel_read(&p->channel, talk->bytes + talk->len,
                                   sizeof talk->bytes - talk->len, &got);
        if (err_is(outcome, ERR_AGAIN))
            return;
        if (!err_ok(outcome)) {
            probe_on_closed(p, outcome);
            return;
        }
        talk->len += got;
        (void)probe_on_bytes(p);
        if (p->talk != talk)
            return;
    }
}

/* ---- the request ---- */

static void probe_on_talk(struct channel *c, unsigned events)
{
    struct probe *p = container_of(c, struct probe, channel);
    struct probe_talk *talk = p->talk;
    while (talk->sent < talk->request.len) {
        struct iovec part = {.iov_base = talk->request.at + talk->sent,
                             .iov_len = talk->request.len - talk->sent};
        size_t written = 0;
        err outcome = channel_write(c, &part, 1, &written);
        if (err_is(outcome, ERR_AGAIN)) {
            channel_want(c, SOCK_WRITE);
            return;
        }
        if (!err_ok(outcome)) {
            probe_end(p, TARGET_CHECK_CLOSED);
            return;
        }
        talk->sent += written;
    }
    if (!talk->is_sent) {
        talk->is_sent = true;
        channel_want(c, SOCK_READ);
    }
    if (events & SOCK_READ)
        probe_read(p);
}

static err probe_write_request(struct probe_talk *talk, const struct probe_options *o)
{
    struct span host = o->check->host;
    if (host.len == 0)
        host = span_starts(o->address_text, SPAN("unix:")) ? SPAN("localhost") : o->address_text;
    buf_init(&talk->request, PROBE_REQUEST_BYTES);
    TRY(buf_add(&talk->request, SPAN("GET ")));
    TRY(buf_add(&talk->request, o->check->path));
    TRY(buf_add(&talk->request, SPAN(" HTTP/1.1\r\nhost: ")));
    TRY(buf_add(&talk->request, host));
    return buf_add(&talk->request, SPAN("\r\nuser-agent: plimsoll/" PLIMSOLL_VERSION
                                        " health\r\naccept: */*\r\nconnection: close\r\n\r\n"));
}

/* The connection is there: ask, or be content. */
static void probe_ask(struct probe *p)
{
    if (p->options.check->kind == UPSTREAM_CHECK_TCP) {
        probe_end(p, TARGET_CHECK_PASSED);
        return;
    }
    struct probe_talk *talk = MEM_NEW(struct probe_talk);
    p->talk = talk;
    buf_init(&talk->text, PROBE_BODY_BYTES);
    if (!err_ok(probe_write_request(talk, &p->options))) {
        probe_end(p, TARGET_CHECK_INVALID);
        return;
    }
    p->channel.on_event = probe_on_talk;
    probe_on_talk(&p->channel, SOCK_WRITE);
}

/* ---- the connection ---- */

/* Who sends data before it was asked breaks the protocol. */
static void probe_on_handshake(struct channel *c, unsigned events)
{
    struct probe *p = container_of(c, struct probe, channel);
    char byte;
    size_t got = 0;
    (void)events;
    err outcome = channel_read(c, &byte, 1, &got);
    if (err_ok(outcome))
        probe_end(p, TARGET_CHECK_INVALID);
    else if (!err_is(outcome, ERR_AGAIN))
        probe_end(p, TARGET_CHECK_TLS);
    else if (channel_is_established(c))
        probe_ask(p);
}

static void probe_on_connected(void *owner, unsigned events)
{
    struct probe *p = owner;
    struct sock *sock = p->connecting;
    struct tls_session *tls = NULL;
    (void)events;
    if (!err_ok(sock_connect_result(sock))) {
        probe_end(p, TARGET_CHECK_REFUSED);
        return;
    }
    struct tls_session_options options = {.context = p->options.tls,
                                          .server_name = p->options.server_name};
    if (p->options.tls != NULL && !err_ok(tls_session_new(&options, &tls))) {
        probe_end(p, TARGET_CHECK_TLS);
        return;
    }
    p->connecting = NULL;
    channel_init(&p->channel, p->options.loop, sock, tls, probe_on_handshake);
    if (tls == NULL)
        probe_ask(p);
    else
        channel_want(&p->channel, SOCK_READ);
}

void probe_start(struct probe *p, const struct probe_options *options,
                 void (*done)(struct probe *p, const struct probe_outcome *outcome))
{
    must(!p->is_running && options->check->kind != UPSTREAM_CHECK_NONE);
    uint64_t now_ms = loop_now_ms(options->loop);
    *p =
        (struct probe){.options = *options, .done = done, .is_running = true, .started_ms = now_ms};
    timer_init(&p->timer, probe_on_timer);
    err outcome =
        sock_connect(options->loop, options->address, probe_on_connected, p, &p->connecting);
    p->has_failed_at_once = !err_ok(outcome);
    timer_set(options->loop, &p->timer,
              p->has_failed_at_once ? now_ms : now_ms + options->check->timeout_ms);
}
