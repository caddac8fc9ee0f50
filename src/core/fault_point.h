/* fault_point.h: places where a test can make an outside call fail.
 *
 * Every fallible call to the outside (allocation of an outsider's size, disk, socket) asks
 * `if (fault_point("store.commit"))` first. Unarmed, that is one relaxed load. The torture test
 * arms N = 1, 2, 3 ... until a run succeeds, so that every failing path is walked.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>

extern atomic_bool fault_point_is_armed;

bool fault_point_hit(const char *name);

/* Whether the call that follows shall be treated as failed. Any thread. */
static inline bool fault_point(const char *name)
{
    return __builtin_expect(atomic_load_explicit(&fault_point_is_armed, memory_order_relaxed), 0) &&
           fault_point_hit(name);
}

/* Fails the nth hit (from 1) of points whose name starts with `prefix` ("" = all); with
 * `is_persistent` every later hit as well. Replaces what was armed before. */
void fault_point_arm(const char *prefix, unsigned nth, bool is_persistent);
void fault_point_disarm(void);
/* How many hits failed since the last arm: 0 tells the torture loop that it is done. */
unsigned fault_point_fired(void);
