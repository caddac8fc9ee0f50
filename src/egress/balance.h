/* balance.h: which target gets the next try.
 *
 * ROUND_ROBIN is the smooth weighted one: 5:1:1 gives a a b a c a a, not five in a burst. Its
 * weights move per loop, so loops share nothing. LEAST_REQUESTS takes two targets at random, by
 * weight, and of those the one with fewer requests in flight for its weight; that count is shared.
 *
 * When no target is up: those that are only ejected are used all the same (they failed requests,
 * but refusing every request is no better). Targets that are down by active checks, draining or
 * pausing stay out, and the answer is ERR_NO_UPSTREAM.
 *
 * A struct balance belongs to one loop.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/random.h"
#include "egress/target.h"

enum balance_kind { BALANCE_ROUND_ROBIN, BALANCE_LEAST_REQUESTS };

/* One target as one configuration snapshot has it. */
struct balance_member {
    struct target *target; /* the owner of the array holds a reference */
    uint32_t weight;       /* 1 .. BALANCE_WEIGHT_MAX */
};

#define BALANCE_WEIGHT_MAX  1000u
#define BALANCE_TRIED_MAX   10u
#define BALANCE_MEMBERS_MAX 256u

struct balance_set {
    const struct balance_member *members;
    unsigned member_count;
    enum balance_kind kind;
};

/* Members that this request has already tried; {0} at its start. */
struct balance_tried {
    uint16_t index[BALANCE_TRIED_MAX];
    unsigned count;
};

struct balance {
    int32_t *current; /* owned; one per member */
    unsigned member_count;
};

struct balance_pick {
    unsigned index;
    struct target *target; /* borrowed from the set */
    bool is_repeat;        /* all that are available were tried before */
    bool is_panic;         /* it is ejected: none was up */
};

void balance_init(struct balance *b, const struct balance_set *set);
void balance_done(struct balance *b); /* may run twice */

/* The target for the next try, which is added to `tried`. Untried targets come first.
 * ERR_NO_UPSTREAM: see balance_retry_after_ms. */
err balance_next(struct balance *b, const struct balance_set *set, struct balance_tried *tried,
                 uint64_t now_ms, struct random *random, struct balance_pick *out);

/* Whether a target that was not tried yet is up. */
bool balance_has_untried(const struct balance_set *set, const struct balance_tried *tried,
                         uint64_t now_ms);

/* When none is available: how long until a pause ends; 0 when nothing but a check or an operator
 * will bring a target back. */
uint64_t balance_retry_after_ms(const struct balance_set *set, uint64_t now_ms);
