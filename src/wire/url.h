/* url.h: one canonical path for routing, limits, logs and the upstream.
 *
 * Two readers of one path that disagree are a hole in every rule written about paths. So the path
 * is brought to one form once, that form is used everywhere and is what the upstream receives,
 * and a path whose meaning depends on the reader is refused.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/arena.h"

/* The canonical form of an origin-form path (starting with '/'):
 *  - percent-encoded unreserved characters are decoded (RFC 3986 section 6.2.2.2), other escapes
 *    get upper-case hex;
 *  - dot segments are removed (section 5.2.4), also when written %2e; going above the root is an
 *    error;
 *  - runs of '/' become one;
 *  - refused with ERR_BAD_REQUEST: encoded slash or backslash (%2f, %5c), a literal backslash, NUL
 *    (%00) and encoded control bytes, '#', malformed escapes, bytes outside RFC 3986 pchar and '/',
 *    double encoding (%25 followed by two hex digits that decode to '.', '/', '\\', '%', ';' or a
 *    control byte), overlong UTF-8 (%c0%af), dot segments with a parameter ("/..;x/").
 * When the input is already canonical, *out is the input itself and nothing is allocated; that
 * test is the fast path. Otherwise it lives in `arena`. *why may be NULL. */
err url_canonical_path(struct arena *arena, struct span path, struct span *out, struct fault *why);

/* Query strings are forwarded as received; this refuses control bytes, space, '#', and bytes over
 * 0x7e. */
err url_check_query(struct span query);

/* host[:port] of Host or an authority (RFC 3986 section 3.2.2, RFC 9110 section 7.2): a name of
 * letters, digits, '-', '_' and '.' without empty labels (a last dot is allowed), IPv4, or [IPv6]
 * without zone; no userinfo, no empty host, port 1..65535 without leading zeros. *out_host keeps
 * case and brackets; *out_port = 0 without one. ERR_BAD_REQUEST. */
err url_split_authority(struct span authority, struct span *out_host, uint32_t *out_port);

/* "host:port" or "[v6]:port" or "unix:/path" of configuration; ERR_INVALID. */
struct url_address {
    struct span host; /* without brackets; unix: the path */
    uint32_t port;    /* 0 with unix */
    bool is_unix;
};
err url_parse_address(struct span text, struct url_address *out);
