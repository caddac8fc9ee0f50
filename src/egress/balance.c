/* balance.c: two ways to choose, one rule for who can be chosen.
 *
 * The one hard thing is what to do when the good choices are gone. Candidates come in classes,
 * and the first class that has any decides: up and untried, up, ejected and untried, ejected.
 * Down, draining and pausing targets are in no class. Weights of the round robin move only among
 * the candidates, so that a target that comes back is not flooded with what it missed.
 *
 * A struct balance belongs to one loop; the set may be shared.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "egress/balance.h"

#include "core/mem.h"

enum balance_class {
    BALANCE_UP_UNTRIED,
    BALANCE_UP,
    BALANCE_EJECTED_UNTRIED,
    BALANCE_EJECTED,
    BALANCE_CLASS_COUNT
};

/* Indexes of the members of one class. */
struct balance_candidates {
    uint16_t index[BALANCE_MEMBERS_MAX];
    unsigned count;
    uint64_t weight;
};

void balance_init(struct balance *b, const struct balance_set *set)
{
    must(set->member_count > 0 && set->member_count <= BALANCE_MEMBERS_MAX);
    b->current = mem_alloc(size_mul(set->member_count, sizeof *b->current));
    b->member_count = set->member_count;
}

void balance_done(struct balance *b)
{
    mem_free(b->current);
    *b = (struct balance){0};
}

static bool balance_was_tried(const struct balance_tried *tried, unsigned index)
{
    for (unsigned i = 0; i < tried->count; i++) {
        if (tried->index[i] == index)
            return true;
    }
    return false;
}

static void balance_collect(const struct balance_set *set, const struct balance_tried *tried,
                            enum balance_class class, uint64_t now_ms,
                            struct balance_candidates *out)
{
    bool is_untried = class == BALANCE_UP_UNTRIED || class == BALANCE_EJECTED_UNTRIED;
    bool is_up = class == BALANCE_UP_UNTRIED || class == BALANCE_UP;
    enum target_state wanted = is_up ? TARGET_UP : TARGET_EJECTED;
    out->count = 0;
    out->weight = 0;
    for (unsigned i = 0; i < set->member_count; i++) {
        if (target_state(set->members[i].target, now_ms) != wanted ||
            (is_untried && balance_was_tried(tried, i)))
            continue;
        out->index[out->count++] = (uint16_t)i;
        out->weight += set->members[i].weight;
    }
}

/* Each candidate gains its weight, the highest is chosen and pays for all. */
static unsigned balance_round_robin(struct balance *b, const struct balance_set *set,
                                    const struct balance_candidates *candidates)
{
    unsigned best = candidates->index[0];
    for (unsigned i = 0; i < candidates->count; i++) {
        unsigned index = candidates->index[i];
        b->current[index] += (int32_t)set->members[index].weight;
        if (b->current[index] > b->current[best])
            best = index;
    }
    b->current[best] -= (int32_t)candidates->weight;
    return best;
}

/* One candidate by weight, leaving out `except` (or UINT_MAX). */
static unsigned balance_draw(const struct balance_set *set,
                             const struct balance_candidates *candidates, unsigned except,
                             struct random *random)
{
    uint64_t weight = candidates->weight;
    if (except != UINT32_MAX)
        weight -= set->members[except].weight;
    uint64_t left = random_below(random, weight);
    for (unsigned i = 0; i < candidates->count; i++) {
        unsigned index = candidates->index[i];
        if (index == except)
            continue;
        if (left < set->members[index].weight)
            return index;
        left -= set->members[index].weight;
    }
    must_fail("the weights of the candidates add up", __FILE__, __LINE__);
}

static unsigned balance_least_requests(const struct balance_set *set,
                                       const struct balance_candidates *candidates,
                                       struct random *random)
{
    unsigned a = balance_draw(set, candidates, UINT32_MAX, random);
    if (candidates->count == 1)
        return a;
    unsigned b = balance_draw(set, candidates, a, random);
    const struct balance_member *first = &set->members[a], *second = &set->members[b];
    uint64_t first_load = atomic_load_explicit(&first->target->in_flight, memory_order_relaxed);
    uint64_t second_load = atomic_load_explicit(&second->target->in_flight, memory_order_relaxed);
    return first_load * second->weight <= second_load * first->weight ? a : b;
}

err balance_next(struct balance *b, const struct balance_set *set, struct balance_tried *tried,
                 uint64_t now_ms, struct random *random, struct balance_pick *out)
{
    must(b->member_count == set->member_count);
    struct balance_candidates candidates NOT_CLEARED;
    unsigned class = BALANCE_UP_UNTRIED;
    do {
        balance_collect(set, tried, (enum balance_class) class, now_ms, &candidates);
    } while (candidates.count == 0 && ++class < BALANCE_CLASS_COUNT);
    if (candidates.count == 0)
        return FAIL(NO_UPSTREAM);
    unsigned index = 0;
    switch (set->kind) {
    case BALANCE_ROUND_ROBIN:
        index = balance_round_robin(b, set, &candidates);
        break;
    case BALANCE_LEAST_REQUESTS:
        index = balance_least_requests(set, &candidates, random);
        break;
    }
    if (tried->count < BALANCE_TRIED_MAX && !balance_was_tried(tried, index))
        tried->index[tried->count++] = (uint16_t)index;
    *out = (struct balance_pick){.index = index,
                                 .target = set->members[index].target,
                                 .is_repeat = class == BALANCE_UP || class == BALANCE_EJECTED,
                                 .is_panic = class >= BALANCE_EJECTED_UNTRIED};
    return OK;
}

bool balance_has_untried(const struct balance_set *set, const struct balance_tried *tried,
                         uint64_t now_ms)
{
    for (unsigned i = 0; i < set->member_count; i++) {
        if (target_is_available(set->members[i].target, now_ms) && !balance_was_tried(tried, i))
            return true;
    }
    return false;
}

uint64_t balance_retry_after_ms(const struct balance_set *set, uint64_t now_ms)
{
    uint64_t first_ms = UINT64_MAX;
    for (unsigned i = 0; i < set->member_count; i++) {
        const struct target *t = set->members[i].target;
        if (target_state(t, now_ms) != TARGET_PAUSED)
            continue;
        uint64_t until_ms = atomic_load_explicit(&t->paused_until_ms, memory_order_relaxed);
        first_ms = until_ms < first_ms ? until_ms : first_ms;
    }
    return first_ms == UINT64_MAX || first_ms <= now_ms ? 0 : first_ms - now_ms;
}
