/* forwarded.c: the walk from the peer towards the client, and the values written for the upstream.
 *
 * The one hard thing: RFC 7239 values hold quoted strings in which commas mean nothing, so a line
 * is split from the left and walked from the right. A line with an open quote has no certain
 * borders, and ends the walk. Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/forwarded.h"

/* The last members of one line, in the order of the line. */
struct forwarded_members {
    struct span at[FORWARDED_HOPS_MAX];
    size_t count; /* of all members; at[] is a ring of the last ones */
};

struct forwarded_walk {
    const struct forwarded_trust *trust;
    enum forwarded_syntax syntax;
    struct forwarded_chain *chain; /* hops are in reverse order until the end */
};

bool forwarded_is_trusted(const struct forwarded_trust *trust, const struct ip_address *ip)
{
    for (size_t i = 0; i < trust->count; i++)
        if (ip_network_has(&trust->networks[i], ip))
            return true;
    return false;
}

/* An address with or without a port: 1.2.3.4, 1.2.3.4:80, ::1, [::1], [::1]:80. */
static err forwarded_parse_node(struct span text, bool needs_brackets, struct ip_address *out)
{
    struct span address = text;
    struct span port = {NULL, 0};
    uint64_t number;
    if (text.len > 0 && text.at[0] == '[') {
        struct span rest = span_skip(text, 1);
        address = span_cut(&rest, ']');
        if (rest.at == NULL || span_find(address, ':') == address.len)
            return FAIL(INVALID);
        if (rest.len > 0) {
            if (rest.at[0] != ':')
                return FAIL(INVALID);
            port = span_skip(rest, 1);
        }
    } else if (span_find(text, '.') < text.len && span_find(text, ':') < text.len &&
               span_find(text, '.') < span_find(text, ':')) {
        port = text;
        address = span_cut(&port, ':');
    } else if (needs_brackets && span_find(text, ':') < text.len) {
        return FAIL(INVALID);
    }
    if (port.at != NULL && (port.len > 5 || !err_ok(span_parse_u64(port, 65535, &number))))
        return FAIL(INVALID);
    return ip_parse(address, out);
}

/* Cuts a value at separators outside of quotes; false when a quote stays open. */
static bool forwarded_cut(struct span *rest, char separator, struct span *out)
{
    bool is_quoted = false;
    struct span all = *rest;
    for (size_t i = 0; i < all.len; i++) {
        char c = all.at[i];
        if (c == '"')
            is_quoted = !is_quoted;
        else if (is_quoted && c == '\\')
            i++;
        else if (!is_quoted && c == separator) {
            *out = span_of(all.at, i);
            *rest = span_skip(all, i + 1);
            return true;
        }
    }
    *out = all;
    *rest = span_of(NULL, 0);
    return !is_quoted;
}

/* The content of a quoted string, or a value that has no quotes. Escapes are not undone: nothing
 * that we read needs one. */
static err forwarded_unquote(struct span value, struct span *out)
{
    if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"')
        value = span_of(value.at + 1, value.len - 2);
    else if (value.len == 0)
        return FAIL(INVALID);
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] == '"' || value.at[i] == '\\')
            return FAIL(INVALID);
    *out = value;
    return OK;
}

static bool forwarded_is_host(struct span host)
{
    for (size_t i = 0; i < host.len; i++) {
        char c = host.at[i];
        char lower = (char)(c | 0x20);
        if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') &&
            (c == '\0' || strchr(".-_:[]", c) == NULL))
            return false;
    }
    return host.len > 0;
}

static bool forwarded_is_proto(struct span proto)
{
    return span_eq_nocase(proto, SPAN("http")) || span_eq_nocase(proto, SPAN("https"));
}

struct forwarded_pairs {
    struct span node;
    struct span proto;
    struct span host;
    struct span by;
};

/* Each parameter at most once (RFC 7239 section 4). */
static err forwarded_set_once(struct span *slot, struct span value)
{
    if (slot->at != NULL)
        return FAIL(INVALID);
    *slot = value;
    return OK;
}

static err forwarded_parse_pair(struct span pair, struct forwarded_pairs *out)
{
    struct span value = pair;
    struct span name = span_cut(&value, '=');
    if (name.len == 0 || value.at == NULL)
        return FAIL(INVALID);
    /* Extensions are skipped unread, escapes and all. */
    struct span *slot = span_eq_nocase(name, SPAN("for"))     ? &out->node
                        : span_eq_nocase(name, SPAN("proto")) ? &out->proto
                        : span_eq_nocase(name, SPAN("host"))  ? &out->host
                        : span_eq_nocase(name, SPAN("by"))    ? &out->by
                                                              : NULL;
    if (slot == NULL)
        return OK;
    TRY(forwarded_unquote(value, &value));
    return forwarded_set_once(slot, value);
}

static err forwarded_parse_element(struct span element, struct forwarded_pairs *out)
{
    struct forwarded_pairs pairs = {0};
    struct span rest = element;
    while (rest.at != NULL) {
        struct span pair;
        if (!forwarded_cut(&rest, ';', &pair))
            return FAIL(INVALID);
        if (pair.len > 0)
            TRY(forwarded_parse_pair(pair, &pairs));
    }
    if (pairs.node.at == NULL || (pairs.proto.at != NULL && !forwarded_is_proto(pairs.proto)) ||
        (pairs.host.at != NULL && !forwarded_is_host(pairs.host)))
        return FAIL(INVALID);
    *out = pairs;
    return OK;
}

/* One member further from us. Returns whether the walk goes on. */
static bool forwarded_step(const struct forwarded_walk *walk, struct span member)
{
    struct forwarded_chain *chain = walk->chain;
    struct forwarded_pairs pairs = {.node = member};
    struct ip_address ip;
    bool is_rfc = walk->syntax == FORWARDED_RFC7239;
    if (chain->hop_count == FORWARDED_HOPS_MAX ||
        (is_rfc && !err_ok(forwarded_parse_element(member, &pairs))) ||
        !err_ok(forwarded_parse_node(pairs.node, is_rfc, &ip))) {
        chain->is_malformed = true;
        return false;
    }
    chain->hops[chain->hop_count++] = ip;
    chain->proto = pairs.proto;
    chain->host = pairs.host;
    return forwarded_is_trusted(walk->trust, &ip);
}

static bool forwarded_split(enum forwarded_syntax syntax, struct span value,
                            struct forwarded_members *out)
{
    out->count = 0;
    while (value.at != NULL) {
        struct span member;
        if (syntax == FORWARDED_X_FORWARDED_FOR)
            member = span_cut(&value, ',');
        else if (!forwarded_cut(&value, ',', &member))
            return false;
        out->at[out->count++ % FORWARDED_HOPS_MAX] = span_trim(member);
    }
    return true;
}

/* One line, from its end. Returns whether the walk goes on. */
static bool forwarded_walk_line(const struct forwarded_walk *walk, struct span value)
{
    struct forwarded_members members;
    value = span_trim(value);
    if (value.len == 0)
        return true;
    if (!forwarded_split(walk->syntax, value, &members)) {
        walk->chain->is_malformed = true;
        return false;
    }
    /* The peer is a hop, so the hop limit ends the walk before it passes the ring's oldest. */
    for (size_t i = members.count; i > 0; i--)
        if (!forwarded_step(walk, members.at[(i - 1) % FORWARDED_HOPS_MAX]))
            return false;
    return true;
}

void forwarded_walk(const struct forwarded_trust *trust, const struct ip_address *peer,
                    enum forwarded_syntax syntax, const struct span *values, size_t count,
                    struct forwarded_chain *out)
{
    struct forwarded_walk walk = {.trust = trust, .syntax = syntax, .chain = out};
    out->hops[0] = *peer; /* the others stay as they are: only hop_count of them mean anything */
    out->hop_count = 1;
    out->is_malformed = false;
    out->proto = out->host = (struct span){NULL, 0};
    if (!forwarded_is_trusted(trust, peer))
        return;
    for (size_t i = count; i > 0 && forwarded_walk_line(&walk, values[i - 1]); i--)
        continue;
    for (unsigned left = 0, right = out->hop_count - 1; left < right; left++, right--) {
        struct ip_address swapped = out->hops[left];
        out->hops[left] = out->hops[right];
        out->hops[right] = swapped;
    }
}

void forwarded_put_for(struct put *out, const struct forwarded_chain *chain, struct span client)
{
    put_span(out, client);
    for (unsigned i = 1; i < chain->hop_count; i++) {
        char text[IP_TEXT_MAX];
        put_span(out, SPAN(", "));
        put_span(out, span_of(text, ip_format(&chain->hops[i], text)));
    }
}

/* IPv6 needs brackets, and these need quotes (RFC 7239 section 6). */
static void forwarded_put_node(struct put *out, const struct ip_address *ip, struct span text)
{
    bool is_v4 = ip_is_v4(ip);
    put_span(out, is_v4 ? SPAN("for=") : SPAN("for=\"["));
    put_span(out, text);
    put_span(out, is_v4 ? SPAN("") : SPAN("]\""));
}

void forwarded_put_element(struct put *out, const struct forwarded_chain *chain,
                           const struct forwarded_element *element)
{
    forwarded_put_node(out, &chain->hops[0], element->client);
    for (unsigned i = 1; i < chain->hop_count; i++) {
        char text[IP_TEXT_MAX];
        put_span(out, SPAN(", "));
        forwarded_put_node(out, &chain->hops[i], span_of(text, ip_format(&chain->hops[i], text)));
    }
    if (element->proto.len > 0) {
        put_span(out, SPAN(";proto="));
        put_span(out, element->proto);
    }
    /* A host that would need escapes is left out: readers differ about those. */
    if (forwarded_is_host(element->host)) {
        put_span(out, SPAN(";host=\""));
        put_span(out, element->host);
        put_char(out, '"');
    }
}
