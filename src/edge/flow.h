/* flow.h: bytes that are on their way out of one side of an exchange.
 *
 * A few borrowed pieces, sent in order with as few calls as the socket allows. The one hard
 * thing: nothing is copied, so whoever adds a piece keeps its bytes in place until
 * flow_is_empty. That is also the back-pressure: a side reads on only when its flow is empty.
 *
 * Loop's own thread; belongs to its exchange or connection.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/span.h"
#include "egress/channel.h"

#define FLOW_PARTS_MAX 6

struct flow {
    struct iovec parts[FLOW_PARTS_MAX];
    unsigned first; /* not sent yet: [first, count) */
    unsigned count;
    uint64_t sent_bytes; /* since flow_reset */
};

void flow_reset(struct flow *f);

static inline bool flow_is_empty(const struct flow *f)
{
    return f->first == f->count;
}

/* An empty piece is not added. At most FLOW_PARTS_MAX between two moments of being empty. */
void flow_add(struct flow *f, struct span piece);

/* Copies small pieces behind the first one, which starts at `room` and has `cap` bytes there, so
 * that all leave as one. Nothing happens when they are more than `copy_max` together, when they
 * do not fit, or when the first piece is another. */
void flow_join(struct flow *f, char *room, size_t cap, size_t copy_max);

/* Sends what can be sent: OK when all is gone, ERR_AGAIN when some is left, else the channel's
 * error. */
err flow_send(struct flow *f, struct channel *c);
