/* sock_address.h: where a stream socket listens or connects: IPv4, IPv6 or a Unix path.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/span.h"

struct sock_address {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    };
    socklen_t len;
};

/* "127.0.0.1:80", "[::1]:80", "unix:/path"; no name resolution. ERR_INVALID. Any thread. */
err sock_address_parse(struct span text, struct sock_address *out);

/* The same and "name:port" by the system's resolver, first result. Blocks, so never on a loop.
 * ERR_INVALID, ERR_IO with *why. */
err sock_address_resolve(struct span text, struct sock_address *out, struct fault *why);

/* The inverse of sock_address_parse, NUL-terminated. */
#define SOCK_ADDRESS_TEXT_BYTES 120
void sock_address_format(const struct sock_address *address, char out[SOCK_ADDRESS_TEXT_BYTES]);

bool sock_address_equal(const struct sock_address *a, const struct sock_address *b);

/* 0 for a Unix path. */
uint16_t sock_address_port(const struct sock_address *address);
