/* prober.h: asks every target again and again whether it is well.
 *
 * The one hard thing is a reload: what is probed is replaced while checks are under way. A target
 * that stays, with the same check, keeps its results, its place in time and a check that runs;
 * one that nobody checks any more counts as never checked.
 *
 * One prober a process, on the control loop; all of it that loop's own thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/metric.h"
#include "core/random.h"
#include "core/sock_address.h"
#include "egress/upstream.h"
#include "wire/tls_context.h"

struct loop;
struct prober;

extern const struct metric_desc prober_metrics[];

struct prober_options {
    struct loop *loop;               /* borrowed */
    struct random *random;           /* borrowed; of the jitter */
    struct metric_registry *metrics; /* borrowed; prober_metrics are registered here */
};

/* One target to probe, by its upstream's check. */
struct prober_entry {
    struct upstream *upstream;          /* a reference is taken */
    unsigned index;                     /* of the target in it */
    const struct sock_address *address; /* copied */
    struct tls_context *tls;            /* a reference is taken; NULL: plain */
    struct span server_name;            /* with tls; copied */
};

struct prober *prober_new(const struct prober_options *options);
void prober_free(struct prober *p); /* accepts NULL; ends what runs */

/* Probes these from now on and nothing else; new ones at once. Entries whose upstream has no
 * check are passed over. */
void prober_use(struct prober *p, const struct prober_entry *entries, unsigned count);
