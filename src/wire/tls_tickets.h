/* tls_tickets.h: the keys that seal session tickets (RFC 5077, RFC 8446 section 4.6.1).
 *
 * One store per process, shared by all loops and by every context, so that a reload does not end
 * resumption. Keys rotate by the clock; two older ones still open tickets, which are then issued
 * again. The hard thing: a key is read on every resumption by any loop while one of them rotates,
 * without a lock.
 *
 * Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/clock.h"
#include "core/err.h"

#define TLS_TICKETS_ROTATE_MS (12ull * 3600 * 1000)
#define TLS_TICKETS_KEYS      3 /* the current one and two older ones */

struct tls_tickets;

/* The clock is borrowed and outlives the store. The key page is kept out of core dumps, and out of
 * swap where the memory lock limit allows. ERR_NO_MEMORY, ERR_TLS. */
err tls_tickets_new(const struct clock *clock, struct tls_tickets **out);
struct tls_tickets *tls_tickets_ref(struct tls_tickets *t);
void tls_tickets_unref(struct tls_tickets *t); /* accepts NULL; the last one wipes the keys */

/* Makes a new current key when the old one is TLS_TICKETS_ROTATE_MS old, and wipes keys that are
 * past use. Each handshake does this by itself; a timer keeps an idle server's keys from ageing in
 * memory. Returns how many keys the store has made since it began. */
uint64_t tls_tickets_rotate(struct tls_tickets *t);
/* Whether the page is locked into memory, for readiness checks. */
bool tls_tickets_is_locked(const struct tls_tickets *t);
