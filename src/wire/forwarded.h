/* forwarded.h: who the client is behind trusted proxies, and what the upstream is told.
 *
 * X-Forwarded-For and Forwarded (RFC 7239) are written by whoever likes to. Only what a trusted
 * proxy appended counts, so the list is walked from the right, from the peer: the first address
 * that is not trusted is the client. A member that cannot be read ends the walk at the last
 * address that could, and what stands left of the client is never forwarded.
 *
 * Pure; any thread. Results borrow from the header values.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/put.h"
#include "wire/ip.h"

#define FORWARDED_HOPS_MAX 16

enum forwarded_syntax {
    FORWARDED_X_FORWARDED_FOR,
    FORWARDED_RFC7239,
};

struct forwarded_trust {
    const struct ip_network *networks; /* borrowed */
    size_t count;
};

struct forwarded_chain {
    /* hops[0] is the client, hops[hop_count - 1] the peer; the ones between are trusted. */
    struct ip_address hops[FORWARDED_HOPS_MAX];
    unsigned hop_count; /* at least 1 */
    bool is_malformed;  /* the walk ended at a member that could not be read */
    /* RFC 7239 only: what the member that names the client says about its request, or empty.
     * Borrowed. proto is "http" or "https" in any case; host has no escapes. */
    struct span proto;
    struct span host;
};

bool forwarded_is_trusted(const struct forwarded_trust *trust, const struct ip_address *ip);

/* `values` are the field values in the order of their lines. With an untrusted peer they are not
 * looked at. At most FORWARDED_HOPS_MAX hops are walked; the walk then ends as malformed. */
void forwarded_walk(const struct forwarded_trust *trust, const struct ip_address *peer,
                    enum forwarded_syntax syntax, const struct span *values, size_t count,
                    struct forwarded_chain *out);

/* The values for the upstream: client first, peer last. `client` is hops[0] as ip_format writes it,
 * which the caller has anyhow. FORWARDED_FOR_TEXT_MAX bytes always suffice for the first. */
#define FORWARDED_FOR_TEXT_MAX (FORWARDED_HOPS_MAX * (IP_TEXT_MAX + 2))
void forwarded_put_for(struct put *out, const struct forwarded_chain *chain, struct span client);

/* What the last Forwarded member says about the request that the peer sent to us. */
struct forwarded_element {
    struct span client; /* as above */
    struct span proto;  /* "http" or "https"; empty = left out */
    struct span host;   /* the valid Host, with its port; left out when empty or not plain */
};
void forwarded_put_element(struct put *out, const struct forwarded_chain *chain,
                           const struct forwarded_element *element);
