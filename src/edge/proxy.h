/* proxy.h: an exchange that an upstream answers: choosing a target, tries, and what became of them.
 *
 *              link idle            head sent              response head
 *   (begin) ------------> WAITING  <---------- OPENING   WAITING -----------> STREAMING --> DONE
 *      |                     |                   ^           |                    | 101
 *      +---- no idle link ---|-------------------+           | try failed         v
 *                            |                               v                 TUNNEL ----> DONE
 *                            +--------- wait over --- RETRYING ---> (give up) DONE
 *
 * OPENING: a connection is being made. WAITING: the request is on its way or sent, the response
 * head is not here. RETRYING: between two tries; no link is held. STREAMING: the head is decided
 * and the body passes. In DONE no link is held. Transitions: proxy_enter.
 *
 * The one hard thing: until the response head is passed on, every failure may become another
 * try; afterwards none may. Lives in the exchange's arena; loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "edge/exchange.h"

#define PROXY_STATES(X) X(OPENING) X(WAITING) X(RETRYING) X(STREAMING) X(TUNNEL) X(DONE)

enum proxy_state {
#define X(name) PROXY_##name,
    PROXY_STATES(X)
#undef X
        PROXY_STATE_COUNT
};

struct proxy {
    enum proxy_state state;
    bool is_dispatching;    /* proxy_begin is on the stack: a failure is its return value */
    bool is_request_broken; /* the target takes no more of the request; it may still answer */
    bool is_link_reusable;
    bool is_continue_sent;
    bool has_try;       /* target_begin without upstream_finish */
    bool has_permit;    /* breaker_allow without breaker_record */
    bool is_body_ended; /* the last chunk of a chunked answer is queued */
    struct exchange *x;
    const struct settings_upstream *upstream;
    struct link *link; /* owned in OPENING, WAITING, STREAMING, TUNNEL */
    struct balance_tried tried;
    struct balance_pick pick;
    struct breaker_permit permit; /* for the request, with all its tries */
    unsigned tries;
    uint64_t deadline_ms; /* until the response head; spans all tries and waits */
    uint64_t received_ms; /* when the request was received whole; 0 = not yet */
    uint64_t try_started_ns;
    uint64_t try_deadline_ms;
    uint64_t rate_check_ms;         /* next look at the client's body rate; 0 = begins anew */
    enum retry_reason retry_reason; /* why the last failure was final */

    struct flow to_upstream;
    struct block *head; /* rendered request head */
    struct head_framing {
        enum http_body_kind kind;
        uint64_t length;
    } request_framing;
    char request_chunk[HTTP1_CHUNK_LINE_MAX];

    struct http1_head_parser parser;
    struct http_response response; /* its spans live until the body's first read */
    unsigned response_status;
    unsigned interim_count; /* 1xx of this try */
    struct block *in;       /* response bytes */
    size_t in_len;
    struct http1_body body;
    enum http_body_kind client_framing;
    char response_chunk[HTTP1_CHUNK_LINE_MAX];
    uint64_t keep_alive_hint_ms;
    uint64_t retry_after_ms; /* of a 429 or 503 response; 0 = none */
};

/* The dispatch step: WAIT, or DONE when it failed at once. */
enum exchange_verdict proxy_begin(struct exchange *x);
/* A response head was accepted and the respond step may write it. */
bool proxy_has_response(const struct proxy *p);
/* The respond step: NEXT when all was sent, else WAIT. */
enum exchange_verdict proxy_respond(struct proxy *p);

void proxy_on_timer(struct proxy *p);
void proxy_on_client_writable(struct proxy *p);
bool proxy_on_client_readable(struct proxy *p); /* false: does not want input */
void proxy_on_tunnel_event(struct proxy *p);

/* The client is gone: gives the target back without judging it. */
void proxy_abandon(struct proxy *p);
/* Releases blocks; no link is held any more. */
void proxy_done(struct proxy *p);

/* For relay.c and tunnel.c -------------------------------------------------------------------- */

void proxy_enter(struct proxy *p, enum proxy_state state);
/* The current try failed before a response head was passed on: another try, or the answer. */
void proxy_try_failed(struct proxy *p, enum err_code failure, const char *text);
/* The response was passed on whole: reports the try and gives the link back. */
void proxy_finish(struct proxy *p);
/* The client's body cannot be taken: the answer is an error of our own. */
void proxy_refuse_body(struct proxy *p, enum err_code code);
/* A response that was accepted cannot be passed on: 502, not tried again. */
void proxy_fail_response(struct proxy *p, const char *text);
/* The response broke off in the middle: the client must see that it did. */
void proxy_break_off(struct proxy *p);
/* Either end of the tunnel has closed: gives the target back. */
void proxy_end_tunnel(struct proxy *p);
/* Sets the exchange's timer to the next deadline of the state. */
void proxy_set_timer(struct proxy *p);
