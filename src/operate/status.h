/* status.h: the state of the running process as JSON, for the status page and the command line.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/buf.h"
#include "core/part.h"
#include "egress/upstream.h"

struct recent;

/* Errors are those of the buffer. Control thread. */
err status_write(const struct node *n, struct recent *recent, uint64_t wall_ns, struct buf *out);
err status_write_target(const struct target *t, uint64_t now_ms, struct buf *out);
err status_write_breaker(const struct breaker *b, uint64_t now_ms, struct buf *out);
