/* fault_point.c: counts hits and fails the chosen one.
 *
 * The one hard thing: hits come from any thread, so the countdown is one atomic. Arming is for
 * tests, between runs, by one thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/fault_point.h"

#include <string.h>

#include "core/must.h"

atomic_bool fault_point_is_armed;

static struct {
    char prefix[64];
    unsigned nth;
    bool is_persistent;
    atomic_uint hits;
    atomic_uint fired;
} fault_point_plan;

bool fault_point_hit(const char *name)
{
    if (strncmp(name, fault_point_plan.prefix, strlen(fault_point_plan.prefix)) != 0)
        return false;
    unsigned hit = atomic_fetch_add(&fault_point_plan.hits, 1) + 1;
    bool fails =
        fault_point_plan.is_persistent ? hit >= fault_point_plan.nth : hit == fault_point_plan.nth;
    if (fails)
        atomic_fetch_add(&fault_point_plan.fired, 1);
    return fails;
}

void fault_point_arm(const char *prefix, unsigned nth, bool is_persistent)
{
    size_t length = strlen(prefix);
    must(nth >= 1 && length < sizeof fault_point_plan.prefix);
    memcpy(fault_point_plan.prefix, prefix, length + 1);
    fault_point_plan.nth = nth;
    fault_point_plan.is_persistent = is_persistent;
    atomic_store(&fault_point_plan.hits, 0);
    atomic_store(&fault_point_plan.fired, 0);
    atomic_store(&fault_point_is_armed, true);
}

void fault_point_disarm(void)
{
    atomic_store(&fault_point_is_armed, false);
}

unsigned fault_point_fired(void)
{
    return atomic_load(&fault_point_plan.fired);
}
