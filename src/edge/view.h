/* view.h: one loop's hold on a snapshot, with what that loop keeps beside it.
 *
 * The one hard thing: a request must not touch a shared counter just to pin its snapshot. So each
 * loop holds one reference, and its requests are counted by a plain number of the loop's own.
 *
 * Loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "edge/settings.h"
#include "egress/balance.h"

struct access_route;

struct view {
    struct settings *settings;   /* a reference */
    struct balance *balances;    /* owned; one per upstream */
    struct access_route *routes; /* owned; cached metric cells, one per route and for none */
    unsigned pins;               /* requests, and 1 while it is the loop's current view */
};

struct view *view_new(struct settings *settings);
void view_pin(struct view *v);
void view_unpin(struct view *v); /* the last one frees it */
