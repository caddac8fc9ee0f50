/* fuzz_forwarded.c: any X-Forwarded-For or Forwarded lines; what we write, we read back.
 *
 * The first byte chooses the syntax and the peer; lines are separated by newlines.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_FORWARDED_LINES 8

static void fuzz_forwarded_check(const struct forwarded_trust *trust,
                                 const struct forwarded_chain *chain)
{
    struct forwarded_chain again;
    char room[4096], text[IP_TEXT_MAX];
    struct put out = put_into(room, sizeof room);
    must(chain->hop_count >= 1 && chain->hop_count <= FORWARDED_HOPS_MAX);
    for (unsigned i = 1; i < chain->hop_count; i++)
        must(forwarded_is_trusted(trust, &chain->hops[i]));
    struct span client = span_of(text, ip_format(&chain->hops[0], text));
    struct forwarded_element element = {
        .client = client, .proto = SPAN("https"), .host = chain->host};
    forwarded_put_element(&out, chain, &element);
    must(!out.is_full);
    /* The peer of the next hop is we: give it the last address as one that it trusts. */
    struct span line = span_of(room, (size_t)(out.at - room));
    const struct ip_address *peer = &chain->hops[chain->hop_count - 1];
    forwarded_walk(trust, peer, FORWARDED_RFC7239, &line, 1, &again);
    if (forwarded_is_trusted(trust, peer) && chain->hop_count < FORWARDED_HOPS_MAX) {
        must(!again.is_malformed && again.hop_count == chain->hop_count + 1);
        must(ip_eq(&again.hops[0], &chain->hops[0]));
    }
    out = put_into(room, FORWARDED_FOR_TEXT_MAX);
    forwarded_put_for(&out, chain, client);
    must(!out.is_full);
    line = span_of(room, (size_t)(out.at - room));
    forwarded_walk(trust, peer, FORWARDED_X_FORWARDED_FOR, &line, 1, &again);
    if (forwarded_is_trusted(trust, peer) && chain->hop_count < FORWARDED_HOPS_MAX)
        must(!again.is_malformed && ip_eq(&again.hops[0], &chain->hops[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const peers[] = {"10.0.0.1", "2001:db8::1", "203.0.113.9"};
    struct ip_network networks[2];
    struct span lines[FUZZ_FORWARDED_LINES];
    struct ip_address peer;
    struct forwarded_chain chain;
    size_t count = 0;
    if (size == 0)
        return 0;
    must(err_ok(ip_network_parse(SPAN("10.0.0.0/8"), &networks[0], NULL)));
    must(err_ok(ip_network_parse(SPAN("2001:db8::/32"), &networks[1], NULL)));
    must(err_ok(ip_parse(span_from(peers[data[0] / 2 % COUNT_OF(peers)]), &peer)));
    struct forwarded_trust trust = {networks, COUNT_OF(networks)};
    struct span rest = span_of((const char *)data + 1, size - 1);
    while (rest.at != NULL && count < FUZZ_FORWARDED_LINES)
        lines[count++] = span_cut(&rest, '\n');
    forwarded_walk(&trust, &peer, data[0] % 2 == 0 ? FORWARDED_X_FORWARDED_FOR : FORWARDED_RFC7239,
                   lines, count, &chain);
    fuzz_forwarded_check(&trust, &chain);
    return 0;
}
