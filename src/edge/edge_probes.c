/* edge_probes.c: the targets of a snapshot, as the prober wants them.
 *
 * Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/edge_probes.h"

#include "core/mem.h"

void edge_probes_use(struct prober *p, const struct settings *s)
{
    unsigned count = 0, at = 0;
    for (unsigned i = 0; i < s->upstream_count; i++)
        count += s->upstreams[i].upstream->set.member_count;
    struct prober_entry *entries = mem_alloc(size_mul(count, sizeof *entries));
    for (unsigned i = 0; i < s->upstream_count; i++) {
        const struct settings_upstream *up = &s->upstreams[i];
        for (unsigned k = 0; k < up->upstream->set.member_count; k++)
            entries[at++] = (struct prober_entry){.upstream = up->upstream,
                                                  .index = k,
                                                  .address = &up->addresses[k],
                                                  .tls = up->tls,
                                                  .server_name = up->server_names[k]};
    }
    prober_use(p, entries, count);
    mem_free(entries);
}
