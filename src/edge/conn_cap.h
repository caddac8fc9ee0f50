/* conn_cap.h: how many connections each client address holds, over all loops.
 *
 * The one hard thing: it is shared by all loops without a lock. A cell packs a tag of the address
 * and its count into one word; a cell whose count is 0 may be taken for any address. When no cell
 * is free near an address's home the connection is let in uncounted: the cap protects against one
 * greedy client, and must not itself refuse others.
 *
 * Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "wire/ip.h"

struct conn_cap;

/* Room for about `addresses` at a time. */
struct conn_cap *conn_cap_new(unsigned addresses);
void conn_cap_free(struct conn_cap *cap); /* accepts NULL */

/* Where a connection was counted. Zero: nowhere. */
struct conn_cap_place {
    uint32_t cell; /* index + 1 */
};

/* Counts one more connection of this address (IPv6 by /64). ERR_OVERLOADED when it holds `max`
 * already. */
err conn_cap_enter(struct conn_cap *cap, const struct ip_address *ip, unsigned max,
                   struct conn_cap_place *out);
void conn_cap_leave(struct conn_cap *cap, struct conn_cap_place *place);
