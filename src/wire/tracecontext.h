/* tracecontext.h: W3C Trace Context, level 1 (https://www.w3.org/TR/trace-context-1/).
 *
 * Reads what a caller sent, makes the child that goes to the upstream, writes it. A traceparent
 * that breaks a rule is ignored as a whole, and its tracestate with it.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/random.h"
#include "core/span.h"

#define TRACECONTEXT_SAMPLED 0x01u

struct tracecontext {
    unsigned char trace_id[16]; /* never all zero */
    unsigned char span_id[8];   /* never all zero; the parent's id when it was parsed */
    uint8_t flags;              /* defined bits only: TRACECONTEXT_SAMPLED */
};

/* Exactly one field value, without surrounding white space. Versions from 01 to fe are read by
 * their first four fields (section 3.2.4). ERR_INVALID. */
err tracecontext_parse(struct span traceparent, struct tracecontext *out);

#define TRACECONTEXT_TEXT_BYTES 55
/* Version 00, no NUL. */
void tracecontext_format(const struct tracecontext *t, char out[TRACECONTEXT_TEXT_BYTES]);

/* The same trace and flags, a new span id. `out` may be `parent`. */
void tracecontext_child(const struct tracecontext *parent, struct random *random,
                        struct tracecontext *out);
/* A new trace. */
void tracecontext_begin(struct random *random, bool is_sampled, struct tracecontext *out);

#define TRACECONTEXT_STATE_MEMBERS_MAX 32
#define TRACECONTEXT_STATE_BYTES_MAX   4096 /* the standard asks for at least 512 */

/* Counts over the tracestate lines of one message. Zero it before the first. */
struct tracecontext_state {
    unsigned members;
    size_t bytes;
};

/* Checks one tracestate line (section 3.3); the lines are forwarded as received when all pass.
 * ERR_INVALID (grammar) or ERR_TOO_LARGE: drop every tracestate line, keep the traceparent. */
err tracecontext_state_add(struct tracecontext_state *state, struct span value);
