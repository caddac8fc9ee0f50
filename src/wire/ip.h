/* ip.h: one form for the addresses of clients, targets and networks.
 *
 * Every address is 16 bytes; IPv4 lives in ::ffff:0:0/96 (RFC 4291 section 2.5.5.2), so that one
 * key type and one comparison serve both families. Text is read strictly, because a second reader
 * of "010.0.0.1" or "1.1" would see another host.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include "core/span.h"

struct ip_address {
    unsigned char bytes[16];
};

/* A block of addresses. `bits` counts in the 128-bit space: 10.0.0.0/8 has 104. */
struct ip_network {
    struct ip_address base; /* bits behind the prefix are zero */
    uint8_t bits;
};

static inline bool ip_eq(const struct ip_address *a, const struct ip_address *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool ip_is_v4(const struct ip_address *ip);
bool ip_is_loopback(const struct ip_address *ip); /* 127.0.0.0/8, ::1 */

/* Dotted quad without leading zeros, or RFC 4291 section 2.2 text; no brackets, zone or port.
 * ERR_INVALID. */
err ip_parse(struct span text, struct ip_address *out);

#define IP_TEXT_MAX 46
/* RFC 5952 text, IPv4 as dotted quad, NUL-terminated; returns the length. */
size_t ip_format(const struct ip_address *ip, char out[IP_TEXT_MAX]);

/* AF_INET and AF_INET6; any other family is ERR_INVALID. out_port may be NULL. */
err ip_from_sockaddr(const struct sockaddr *from, struct ip_address *out, uint16_t *out_port);
/* AF_INET for IPv4 and AF_INET6 otherwise; returns the length to pass on. */
socklen_t ip_to_sockaddr(const struct ip_address *ip, uint16_t port, struct sockaddr_storage *out);

/* "10.0.0.0/8", "2001:db8::/32", or one address. Bits set behind the prefix are an error, since
 * the writer meant something else. ERR_INVALID; *why (may be NULL) tells a person. */
err ip_network_parse(struct span text, struct ip_network *out, struct fault *why);
bool ip_network_has(const struct ip_network *network, const struct ip_address *ip);

/* The key under which one customer counts: an IPv6 address without its last 64 bits, because a
 * single host is given a whole /64; an IPv4 address as it is. */
struct ip_address ip_prefix64(const struct ip_address *ip);
