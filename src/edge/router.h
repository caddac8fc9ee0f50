/* router.h: which rule answers a request.
 *
 * Of all rules that match a request, the most specific one wins; the order of the file decides
 * only between rules that are equally specific. In this order:
 *
 *   1. host    exact > wildcard, the longer one first > any
 *   2. path    closed (ends where the rule ends) > open (prefix, rest) > any; among closed and
 *              among open ones segment by segment from the left: literal > parameter, and the
 *              longer rule first. So exact > pattern > longest prefix > any.
 *   3. headers more conditions > fewer
 *   4. method  rules that name methods > rules for any
 *   5. order   the earlier rule
 *
 * A rule that matches host and path but not the method or the conditions is passed over, and the
 * next one in this order is tried, down to the rules for any host.
 *
 * A router is immutable and owns copies of all rule strings. router_find: any thread, no lock, no
 * allocation.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/buf.h"
#include "wire/http.h"
#include "wire/route.h"

#define ROUTER_SEGMENTS_MAX   32 /* of a rule's path */
#define ROUTER_CONDITIONS_MAX 8  /* of one rule */

/* Holds when one field line of this name has exactly this value (bytewise), or with is_presence
 * when there is a line at all. Names match in any case. */
struct router_condition {
    struct span name;
    struct span value;
    bool is_presence;
};

struct router_rule {
    /* Without port. "": any. "shop.example": exactly this. "*.shop.example": one label or more in
     * front of it (a.shop.example, a.b.shop.example), not shop.example itself. "[2001:db8::1]".
     * Any case; a final dot of the request's host is ignored. */
    struct span host;
    /* Canonical as of url.h, starting with '/'.
     *  ""                   any
     *  "/cart"              exactly this
     *  "/api/"              a final '/' makes a prefix: /api/ and everything below it, not /api
     *  "/shop/{$}"          exactly /shop/; "/{$}" is the root alone
     *  "/users/{id}/orders" a parameter is one whole segment that is not empty
     *  "/files/{rest*}"     the rest, slashes included, maybe empty; not /files
     *  a final segment of one asterisk is the same, with "*" for the name */
    struct span path;
    unsigned methods; /* 1u << enum http_method, or 0 for any; GET includes HEAD */
    const struct router_condition *conditions; /* all must hold */
    unsigned condition_count;
};

struct router;

struct router_match {
    int rule; /* index into the rules; -1: none */
    /* With rule -1: some rule would match but for its method, so the answer is 405 with what
     * allowed_methods (never 0 then) says. Otherwise false and 0. */
    bool is_path_known;
    unsigned allowed_methods;
    unsigned param_count;
    /* In the order of the pattern; only param_count entries are written. Names are borrowed from
     * the router, values from the path that was given (as it was written: not decoded). */
    struct route_param params[ROUTE_PARAM_MAX];
};

/* The rules stay the caller's. ERR_INVALID with the index of the rule and the reason in *why (may
 * be NULL): malformed host, path or condition, too many parameters, or a rule that can never
 * match because earlier ones take all that it matches. */
err router_new(const struct router_rule *rules, unsigned count, struct router **out,
               struct fault *why);
void router_free(struct router *r); /* accepts NULL */

/* What a request is matched by. */
struct router_query {
    struct span host;             /* without port, any case; empty when there is none */
    struct span path;             /* canonical; "" or "*" when the target has none */
    const struct http_head *head; /* for conditions; NULL: no fields */
    enum http_method method;
};

void router_find(const struct router *r, const struct router_query *query,
                 struct router_match *out);

/* The value of an Allow field: "GET, HEAD, POST". ERR_TOO_LARGE, ERR_NO_MEMORY of buf. */
err router_write_allow(unsigned methods, struct buf *out);
