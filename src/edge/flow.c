/* flow.c: partial writes of a list of pieces.
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/flow.h"

void flow_reset(struct flow *f)
{
    f->first = 0;
    f->count = 0;
    f->sent_bytes = 0;
}

void flow_add(struct flow *f, struct span piece)
{
    if (piece.len == 0)
        return;
    if (flow_is_empty(f))
        f->first = f->count = 0;
    must(f->count < FLOW_PARTS_MAX);
    memcpy(&f->parts[f->count].iov_base, &piece.at, sizeof piece.at);
    f->parts[f->count].iov_len = piece.len;
    f->count++;
}

void flow_join(struct flow *f, char *room, size_t cap, size_t copy_max)
{
    struct iovec *first = &f->parts[f->first];
    size_t more = 0;
    for (unsigned i = f->first + 1; i < f->count; i++)
        more += f->parts[i].iov_len;
    if (more == 0 || more > copy_max || first->iov_base != room || cap - first->iov_len < more)
        return;
    for (unsigned i = f->first + 1; i < f->count; i++) {
        memcpy(room + first->iov_len, f->parts[i].iov_base, f->parts[i].iov_len);
        first->iov_len += f->parts[i].iov_len;
    }
    f->count = f->first + 1;
}

static void flow_advance(struct flow *f, size_t sent)
{
    f->sent_bytes += sent;
    while (sent > 0) {
        struct iovec *part = &f->parts[f->first];
        must(f->first < f->count);
        if (sent < part->iov_len) {
            part->iov_base = (char *)part->iov_base + sent;
            part->iov_len -= sent;
            return;
        }
        sent -= part->iov_len;
        f->first++;
    }
}

err flow_send(struct flow *f, struct channel *c)
{
    while (!flow_is_empty(f)) {
        size_t sent = 0;
        TRY(channel_write(c, f->parts + f->first, f->count - f->first, &sent));
        flow_advance(f, sent);
    }
    return OK;
}
