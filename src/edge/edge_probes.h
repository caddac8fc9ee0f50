/* edge_probes.h: which targets of a snapshot are checked.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "edge/settings.h"
#include "egress/prober.h"

/* Lets the prober check all targets of the snapshot, and no others. Control thread. */
void edge_probes_use(struct prober *p, const struct settings *s);
