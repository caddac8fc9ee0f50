/* ip.c: reading and writing addresses without the resolver.
 *
 * The one hard thing is the "::" of IPv6: groups are collected into two runs, before and behind
 * it, and joined at the end. Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/ip.h"

#include <stdio.h>

static const unsigned char ip_v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool ip_is_v4(const struct ip_address *ip)
{
    return memcmp(ip->bytes, ip_v4_prefix, sizeof ip_v4_prefix) == 0;
}

bool ip_is_loopback(const struct ip_address *ip)
{
    static const struct ip_address loopback6 = {{[15] = 1}};
    return ip_is_v4(ip) ? ip->bytes[12] == 127 : ip_eq(ip, &loopback6);
}

static err ip_parse_quad(struct span text, unsigned char out[4])
{
    unsigned char quad[4];
    for (int i = 0; i < 4; i++) {
        uint64_t value;
        if (text.at == NULL)
            return FAIL(INVALID);
        struct span part = i == 3 ? text : span_cut(&text, '.');
        /* "010" is 8 to inet_aton and 10 to others. */
        if (part.len > 3 || (part.len > 1 && part.at[0] == '0'))
            return FAIL(INVALID);
        TRY(span_parse_u64(part, 255, &value));
        quad[i] = (unsigned char)value;
    }
    memcpy(out, quad, sizeof quad);
    return OK;
}

static err ip_parse_group(struct span text, unsigned char out[2])
{
    unsigned value = 0;
    if (text.len == 0 || text.len > 4)
        return FAIL(INVALID);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        char lower = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            value = value << 4 | (unsigned)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value << 4 | (unsigned)(lower - 'a' + 10);
        else
            return FAIL(INVALID);
    }
    out[0] = (unsigned char)(value >> 8);
    out[1] = (unsigned char)value;
    return OK;
}

/* A run of groups without "::"; the last may be a dotted quad where allowed. */
static err ip_parse_run(struct span text, bool may_end_in_quad, unsigned char out[16],
                        size_t *out_len)
{
    size_t len = 0;
    while (text.at != NULL) {
        struct span group = span_cut(&text, ':');
        if (text.at == NULL && may_end_in_quad && span_find(group, '.') < group.len) {
            if (len > 12)
                return FAIL(INVALID);
            TRY(ip_parse_quad(group, out + len));
            len += 4;
            break;
        }
        if (len > 14)
            return FAIL(INVALID);
        TRY(ip_parse_group(group, out + len));
        len += 2;
    }
    *out_len = len;
    return OK;
}

static size_t ip_find_gap(struct span text)
{
    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.at[i] == ':' && text.at[i + 1] == ':')
            return i;
    return text.len;
}

static err ip_parse_v6(struct span text, struct ip_address *out)
{
    unsigned char head[16];
    unsigned char tail[16];
    size_t head_len = 0;
    size_t tail_len = 0;
    size_t gap = ip_find_gap(text);
    bool has_gap = gap < text.len;
    struct span before = span_of(text.at, gap);
    if (before.len > 0 || !has_gap)
        TRY(ip_parse_run(before, !has_gap, head, &head_len));
    if (has_gap && gap + 2 < text.len)
        TRY(ip_parse_run(span_skip(text, gap + 2), true, tail, &tail_len));
    /* "::" stands for at least one group. */
    if (has_gap ? head_len + tail_len > 14 : head_len != 16)
        return FAIL(INVALID);
    struct ip_address ip = {{0}};
    memcpy(ip.bytes, head, head_len);
    memcpy(ip.bytes + 16 - tail_len, tail, tail_len);
    *out = ip;
    return OK;
}

err ip_parse(struct span text, struct ip_address *out)
{
    if (text.len == 0 || text.len >= IP_TEXT_MAX)
        return FAIL(INVALID);
    if (span_find(text, ':') < text.len)
        return ip_parse_v6(text, out);
    struct ip_address ip;
    memcpy(ip.bytes, ip_v4_prefix, sizeof ip_v4_prefix);
    TRY(ip_parse_quad(text, ip.bytes + 12));
    *out = ip;
    return OK;
}

static char *ip_put_u8(char *at, unsigned value)
{
    if (value >= 100)
        *at++ = (char)('0' + value / 100);
    if (value >= 10)
        *at++ = (char)('0' + value / 10 % 10);
    *at++ = (char)('0' + value % 10);
    return at;
}

static char *ip_put_group(char *at, unsigned value)
{
    bool has_begun = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
        unsigned digit = value >> shift & 15;
        has_begun = has_begun || digit != 0 || shift == 0;
        if (has_begun)
            *at++ = "0123456789abcdef"[digit];
    }
    return at;
}

static char *ip_put_v4(char *at, const unsigned char quad[4])
{
    for (int i = 0; i < 4; i++) {
        at = ip_put_u8(at, quad[i]);
        *at++ = '.';
    }
    return at - 1;
}

/* RFC 5952 section 4.2: the longest run of at least two zero groups, the first of equals. */
static void ip_longest_zeros(const unsigned groups[8], int *out_start, int *out_end)
{
    *out_start = *out_end = 8;
    int best = 1;
    for (int i = 0; i < 8; i++) {
        int end = i;
        while (end < 8 && groups[end] == 0)
            end++;
        if (end - i > best) {
            best = end - i;
            *out_start = i;
            *out_end = end;
        }
        i = end > i ? end : i;
    }
}

static char *ip_put_v6(char *at, const unsigned char bytes[16])
{
    unsigned groups[8];
    for (int i = 0; i < 8; i++)
        groups[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
    int start;
    int end;
    ip_longest_zeros(groups, &start, &end);
    for (int i = 0; i < 8; i++) {
        if (i == start) {
            *at++ = ':';
            *at++ = ':';
            i = end - 1;
            continue;
        }
        if (i > 0 && i != end)
            *at++ = ':';
        at = ip_put_group(at, groups[i]);
    }
    return at;
}

size_t ip_format(const struct ip_address *ip, char out[IP_TEXT_MAX])
{
    char *end = ip_is_v4(ip) ? ip_put_v4(out, ip->bytes + 12) : ip_put_v6(out, ip->bytes);
    *end = '\0';
    return (size_t)(end - out);
}

err ip_from_sockaddr(const struct sockaddr *from, struct ip_address *out, uint16_t *out_port)
{
    uint16_t port;
    if (from->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, from, sizeof v4);
        memcpy(out->bytes, ip_v4_prefix, sizeof ip_v4_prefix);
        memcpy(out->bytes + 12, &v4.sin_addr, 4);
        port = ntohs(v4.sin_port);
    } else if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, from, sizeof v6);
        memcpy(out->bytes, &v6.sin6_addr, 16);
        port = ntohs(v6.sin6_port);
    } else {
        return FAIL(INVALID);
    }
    if (out_port != NULL)
        *out_port = port;
    return OK;
}

socklen_t ip_to_sockaddr(const struct ip_address *ip, uint16_t port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (ip_is_v4(ip)) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&v4.sin_addr, ip->bytes + 12, 4);
        memcpy(out, &v4, sizeof v4);
        return sizeof v4;
    }
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(&v6.sin6_addr, ip->bytes, 16);
    memcpy(out, &v6, sizeof v6);
    return sizeof v6;
}

/* The address with the bits behind the prefix cleared. */
static struct ip_address ip_masked(const struct ip_address *ip, unsigned bits)
{
    struct ip_address masked = *ip;
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = bits <= i * 8 ? 0 : (bits - i * 8 >= 8 ? 8 : bits - i * 8);
        masked.bytes[i] = (unsigned char)(masked.bytes[i] & (0xff00u >> keep));
    }
    return masked;
}

err ip_network_parse(struct span text, struct ip_network *out, struct fault *why)
{
    struct span rest = text;
    struct span address = span_cut(&rest, '/');
    struct ip_network network = {.bits = 128};
    if (!err_ok(ip_parse(address, &network.base)))
        return fault_set(why, ERR_INVALID, "\"%.*s\" is not an IP address or network",
                         SPAN_ARGS(text));
    if (rest.at != NULL) {
        uint64_t bits;
        unsigned width =
            ip_is_v4(&network.base) && span_find(address, ':') == address.len ? 32 : 128;
        if (rest.len > 3 || (rest.len > 1 && rest.at[0] == '0') ||
            !err_ok(span_parse_u64(rest, width, &bits)))
            return fault_set(why, ERR_INVALID, "\"%.*s\": the prefix length is a number up to %u",
                             SPAN_ARGS(text), width);
        network.bits = (uint8_t)(128 - width + bits);
    }
    struct ip_address masked = ip_masked(&network.base, network.bits);
    if (!ip_eq(&masked, &network.base)) {
        char base[IP_TEXT_MAX];
        (void)ip_format(&masked, base);
        return fault_set(why, ERR_INVALID,
                         "\"%.*s\" has bits behind its prefix; the network is %s/%.*s",
                         SPAN_ARGS(text), base, SPAN_ARGS(rest));
    }
    *out = network;
    return OK;
}

bool ip_network_has(const struct ip_network *network, const struct ip_address *ip)
{
    unsigned whole = network->bits / 8u;
    unsigned left = network->bits % 8u;
    if (memcmp(network->base.bytes, ip->bytes, whole) != 0)
        return false;
    return left == 0 ||
           ((network->base.bytes[whole] ^ ip->bytes[whole]) & (0xff00u >> left) & 0xff) == 0;
}

struct ip_address ip_prefix64(const struct ip_address *ip)
{
    return ip_is_v4(ip) ? *ip : ip_masked(ip, 64);
}
