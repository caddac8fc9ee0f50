/* probe.h: one active check of one target: connect, ask, judge.
 *
 * TCP: the connection opens (under TLS: the handshake ends). HTTP: one GET on a connection of its
 * own, judged by status and body. The one hard thing is ending: a check ends once, by whichever
 * comes first of answer, failure and deadline, and its owner may free it when it is told.
 *
 * Embedded in its owner, who calls probe_stop before its memory goes. Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/timer.h"
#include "egress/channel.h"
#include "egress/upstream.h"

/* Bytes of a body that are searched for the text. */
#define PROBE_BODY_BYTES 65536

struct probe_talk;

struct probe_options {
    struct loop *loop;                          /* borrowed until the end */
    const struct upstream_check_options *check; /* borrowed until the end */
    const struct sock_address *address;         /* borrowed for the call */
    struct span address_text; /* the Host when the check names none; until the end */
    struct tls_context *tls;  /* borrowed until the end; NULL: plain */
    struct span server_name;  /* with tls; until the end */
};

struct probe_outcome {
    enum target_check check;
    unsigned status; /* of the answer; 0 without one */
    uint64_t took_ms;
};

struct probe {
    struct probe_options options;
    void (*done)(struct probe *p, const struct probe_outcome *outcome);
    bool is_running;
    struct sock *connecting; /* owned until the channel takes it over */
    struct channel channel;
    struct timer timer;      /* the deadline; or at once, for a connect that failed at once */
    struct probe_talk *talk; /* owned; HTTP only */
    uint64_t started_ms;
    bool has_failed_at_once;
};

/* Begins a check; the probe is zeroed or ended. `done` runs once from the loop, never inside this
 * call, and may start, stop or free the probe. */
void probe_start(struct probe *p, const struct probe_options *options,
                 void (*done)(struct probe *p, const struct probe_outcome *outcome));
void probe_stop(struct probe *p); /* no callback follows; accepts one that is not running */
