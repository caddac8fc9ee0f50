/* sock_address.c: text to socket address and back.
 *
 * The one hard thing: literals must never reach the resolver, which would accept forms such as
 * "127.1" that other readers of the same configuration take for a name. Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/sock_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

#define SOCK_ADDRESS_HOST_BYTES 254

struct sock_address_parts {
    char host[SOCK_ADDRESS_HOST_BYTES];
    uint16_t port;
    bool is_bracketed;
};

static err sock_address_split(struct span text, struct sock_address_parts *out)
{
    struct span host, port;
    if (text.len > 0 && text.at[0] == '[') {
        size_t end = span_find(text, ']');
        if (end == text.len || end + 1 >= text.len || text.at[end + 1] != ':')
            return FAIL(INVALID);
        host = span_of(text.at + 1, end - 1);
        port = span_skip(text, end + 2);
        out->is_bracketed = true;
    } else {
        size_t colon = span_find(text, ':');
        if (colon == text.len)
            return FAIL(INVALID);
        host = span_of(text.at, colon);
        port = span_skip(text, colon + 1);
        out->is_bracketed = false;
    }
    uint64_t number = 0;
    TRY(span_parse_u64(port, 65535, &number));
    if (host.len == 0 || host.len >= sizeof out->host || span_find(host, '\0') != host.len)
        return FAIL(INVALID);
    memcpy(out->host, host.at, host.len);
    out->host[host.len] = '\0';
    out->port = (uint16_t)number;
    return OK;
}

static err sock_address_unix(struct span path, struct sock_address *out)
{
    struct sock_address address = {.un = {.sun_family = AF_UNIX}};
    if (path.len == 0 || path.len >= sizeof address.un.sun_path)
        return FAIL(INVALID);
    memcpy(address.un.sun_path, path.at, path.len);
    address.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    *out = address;
    return OK;
}

static err sock_address_literal(const struct sock_address_parts *parts, struct sock_address *out)
{
    struct sock_address address = {0};
    if (parts->is_bracketed) {
        if (inet_pton(AF_INET6, parts->host, &address.in6.sin6_addr) != 1)
            return FAIL(INVALID);
        address.in6.sin6_family = AF_INET6;
        address.in6.sin6_port = htons(parts->port);
        address.len = sizeof address.in6;
    } else {
        if (inet_pton(AF_INET, parts->host, &address.in.sin_addr) != 1)
            return FAIL(INVALID);
        address.in.sin_family = AF_INET;
        address.in.sin_port = htons(parts->port);
        address.len = sizeof address.in;
    }
    *out = address;
    return OK;
}

err sock_address_parse(struct span text, struct sock_address *out)
{
    struct sock_address_parts parts;
    if (span_starts(text, SPAN("unix:")))
        return sock_address_unix(span_skip(text, 5), out);
    TRY(sock_address_split(text, &parts));
    return sock_address_literal(&parts, out);
}

/* Digits and dots only: meant as IPv4, so a malformed one is an error and not a name. */
static bool sock_address_looks_numeric(const char *host)
{
    return strspn(host, "0123456789.") == strlen(host);
}

err sock_address_resolve(struct span text, struct sock_address *out, struct fault *why)
{
    struct sock_address_parts parts;
    if (err_ok(sock_address_parse(text, out)))
        return OK;
    if (!err_ok(sock_address_split(text, &parts)) || parts.is_bracketed ||
        sock_address_looks_numeric(parts.host))
        return fault_set(why, ERR_INVALID,
                         "\"%.*s\" is not an address: host:port, [ipv6]:port or unix:/path",
                         SPAN_ARGS(text));
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int status = getaddrinfo(parts.host, NULL, &hints, &found);
    if (status != 0)
        return fault_set(why, ERR_IO, "resolve %s: %s", parts.host, gai_strerror(status));
    struct sock_address address = {.len = found->ai_addrlen};
    memcpy(&address.any, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (address.any.sa_family == AF_INET6)
        address.in6.sin6_port = htons(parts.port);
    else
        address.in.sin_port = htons(parts.port);
    *out = address;
    return OK;
}

void sock_address_format(const struct sock_address *address, char out[SOCK_ADDRESS_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "?";
    const size_t size = SOCK_ADDRESS_TEXT_BYTES;
    if (address->any.sa_family == AF_UNIX) {
        (void)snprintf(out, size, "unix:%.108s", address->un.sun_path);
    } else if (address->any.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &address->in6.sin6_addr, host, sizeof host);
        (void)snprintf(out, size, "[%s]:%u", host, ntohs(address->in6.sin6_port));
    } else {
        (void)inet_ntop(AF_INET, &address->in.sin_addr, host, sizeof host);
        (void)snprintf(out, size, "%s:%u", host, ntohs(address->in.sin_port));
    }
}

bool sock_address_equal(const struct sock_address *a, const struct sock_address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_UNIX)
        return strcmp(a->un.sun_path, b->un.sun_path) == 0;
    if (a->any.sa_family == AF_INET6)
        return a->in6.sin6_port == b->in6.sin6_port &&
               memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr) == 0;
    return a->in.sin_port == b->in.sin_port && a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

uint16_t sock_address_port(const struct sock_address *address)
{
    if (address->any.sa_family == AF_INET6)
        return ntohs(address->in6.sin6_port);
    return address->any.sa_family == AF_INET ? ntohs(address->in.sin_port) : 0;
}
