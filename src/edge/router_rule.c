/* router_rule.c: reading the small languages of hosts, paths and conditions.
 *
 * The one hard thing: a rule that could never match is an error at start and not a hole found
 * later. Paths are matched in their canonical form (url.h), so a rule must be written in it.
 *
 * The thread that builds the router.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/router_rule.h"

#include <stdlib.h>

#include "core/mem.h"
#include "wire/url.h"

#define ROUTER_RULE_HOST_BYTES_MAX 253 /* RFC 1035 section 2.3.4, as text */

static bool router_rule_is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static struct span router_rule_lower(struct arena *arena, struct span s)
{
    char *copy = arena_alloc(arena, s.len);
    for (size_t i = 0; i < s.len; i++)
        copy[i] = (char)(s.at[i] >= 'A' && s.at[i] <= 'Z' ? s.at[i] | 0x20 : s.at[i]);
    return span_of(copy, s.len);
}

/* An address in brackets is compared as text, in the form that the client sends. */
static bool router_rule_is_ip_literal(struct span host)
{
    if (host.len < 4 || host.at[0] != '[' || host.at[host.len - 1] != ']')
        return false;
    for (size_t i = 1; i + 1 < host.len; i++) {
        char c = host.at[i];
        if (!router_rule_is_alnum(c) && c != ':' && c != '.')
            return false;
    }
    return true;
}

static bool router_rule_is_name(struct span host)
{
    if (host.len == 0 || host.len > ROUTER_RULE_HOST_BYTES_MAX)
        return false;
    char before = '.';
    for (size_t i = 0; i < host.len; i++) {
        char c = host.at[i];
        bool is_label_byte = router_rule_is_alnum(c) || c == '-' || c == '_';
        if (!is_label_byte && (c != '.' || before == '.'))
            return false;
        before = c;
    }
    return before != '.';
}

static err router_rule_read_host(struct arena *arena, struct span host,
                                 struct router_rule_parts *out, struct fault *why)
{
    if (host.len == 0)
        return OK;
    bool is_wildcard = span_starts(host, SPAN("*."));
    struct span name = is_wildcard ? span_skip(host, 2) : host;
    bool is_literal = !is_wildcard && router_rule_is_ip_literal(name);
    if (!is_literal && !router_rule_is_name(name))
        return fault_set(why, ERR_INVALID,
                         "host \"%.*s\": a name such as shop.example, *.shop.example or "
                         "[2001:db8::1] is needed, without a port",
                         SPAN_ARGS(host));
    out->host_kind = is_wildcard ? ROUTER_RULE_HOST_WILDCARD : ROUTER_RULE_HOST_EXACT;
    out->host = router_rule_lower(arena, name);
    return OK;
}

/* While one path is read. */
struct router_rule_reader {
    struct arena *arena;
    struct span path; /* whole, for messages */
    struct router_rule_parts *out;
    struct router_rule_param params[ROUTE_PARAM_MAX];
    unsigned param_count;
    struct fault *why;
};

static err router_rule_refuse(const struct router_rule_reader *r, const char *reason)
{
    return fault_set(r->why, ERR_INVALID, "path \"%.*s\": %s", SPAN_ARGS(r->path), reason);
}

static err router_rule_add_param(struct router_rule_reader *r, struct span name, bool is_rest)
{
    if (r->param_count == ROUTE_PARAM_MAX)
        return router_rule_refuse(r, "more than 8 parameters");
    for (unsigned i = 0; i < r->param_count; i++)
        if (span_eq(r->params[i].name, name))
            return router_rule_refuse(r, "two parameters of one name");
    r->params[r->param_count++] = (struct router_rule_param){
        .name = arena_copy(r->arena, name), .segment = r->out->segment_count, .is_rest = is_rest};
    return OK;
}

static bool router_rule_is_param_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!router_rule_is_alnum(name.at[i]) && name.at[i] != '_')
            return false;
    return name.len > 0;
}

/* Whether url_canonical_path could ever give this segment. */
static err router_rule_check_literal(const struct router_rule_reader *r, struct span segment)
{
    for (size_t i = 0; i < segment.len; i++)
        if (memchr("{}*", segment.at[i], 3) != NULL)
            return router_rule_refuse(
                r, "braces and * stand for a whole segment: {name}, {name*}, {$} or *");
    struct span path = arena_printf(r->arena, "/%.*s", SPAN_ARGS(segment));
    struct span canonical;
    struct fault reason = {0};
    if (!err_ok(url_canonical_path(r->arena, path, &canonical, &reason)))
        return router_rule_refuse(r, reason.text);
    if (!span_eq(canonical, path))
        return fault_set(r->why, ERR_INVALID,
                         "path \"%.*s\": never arrives in this form, but with \"%.*s\"",
                         SPAN_ARGS(r->path), SPAN_ARGS(canonical));
    return OK;
}

static err router_rule_add_segment(struct router_rule_reader *r, struct span segment)
{
    struct router_rule_parts *out = r->out;
    if (out->segment_count == ROUTER_SEGMENTS_MAX)
        return router_rule_refuse(r, "more than 32 segments");
    bool is_braced = segment.len >= 2 && segment.at[0] == '{' && span_ends(segment, SPAN("}"));
    if (is_braced) {
        struct span name = span_of(segment.at + 1, segment.len - 2);
        if (span_ends(name, SPAN("*")) || span_eq(name, SPAN("$")))
            return router_rule_refuse(r, "{name*} and {$} stand only at the end");
        if (!router_rule_is_param_name(name))
            return router_rule_refuse(r, "a parameter's name has letters, digits and _");
        TRY(router_rule_add_param(r, name, /* is_rest= */ false));
        out->segments[out->segment_count++] = (struct span){NULL, 0};
        return OK;
    }
    if (segment.len == 0)
        return router_rule_refuse(r, "an empty segment never arrives here");
    TRY(router_rule_check_literal(r, segment));
    out->segments[out->segment_count++] = arena_copy(r->arena, segment);
    return OK;
}

/* The last segment says how the path ends. */
static err router_rule_end_path(struct router_rule_reader *r, struct span last)
{
    struct router_rule_parts *out = r->out;
    bool is_star = span_eq(last, SPAN("*"));
    bool is_braced_rest = last.len >= 3 && last.at[0] == '{' && span_ends(last, SPAN("*}"));
    if (is_star || is_braced_rest) {
        struct span name = is_star ? last : span_of(last.at + 1, last.len - 3);
        if (!is_star && !router_rule_is_param_name(name))
            return router_rule_refuse(r, "a parameter's name has letters, digits and _");
        out->path_kind = ROUTER_RULE_PATH_OPEN;
        return router_rule_add_param(r, name, /* is_rest= */ true);
    }
    if (last.len == 0) {
        out->path_kind = ROUTER_RULE_PATH_OPEN;
        return OK;
    }
    out->path_kind = ROUTER_RULE_PATH_CLOSED;
    if (!span_eq(last, SPAN("{$}")))
        return router_rule_add_segment(r, last);
    if (out->segment_count == ROUTER_SEGMENTS_MAX)
        return router_rule_refuse(r, "more than 32 segments");
    out->segments[out->segment_count++] = SPAN("");
    return OK;
}

static err router_rule_read_path(struct router_rule_reader *r)
{
    if (r->path.len == 0)
        return OK;
    if (r->path.at[0] != '/')
        return router_rule_refuse(r, "a path starts with /");
    struct span rest = span_skip(r->path, 1);
    for (;;) {
        struct span segment = span_cut(&rest, '/');
        if (rest.at == NULL)
            return router_rule_end_path(r, segment);
        TRY(router_rule_add_segment(r, segment));
    }
}

static int router_rule_compare_checks(const struct router_rule_check *a,
                                      const struct router_rule_check *b)
{
    int order = span_compare(a->name, b->name);
    if (order != 0)
        return order;
    if (a->is_presence != b->is_presence)
        return a->is_presence ? -1 : 1;
    return span_compare(a->value, b->value);
}

static int router_rule_sort_checks(const void *a, const void *b)
{
    return router_rule_compare_checks(a, b);
}

static err router_rule_read_condition(struct arena *arena, const struct router_condition *c,
                                      struct router_rule_check *out, struct fault *why)
{
    if (!http_is_token(c->name))
        return fault_set(why, ERR_INVALID, "header \"%.*s\": not a field name", SPAN_ARGS(c->name));
    if (!span_eq(span_trim(c->value), c->value))
        return fault_set(why, ERR_INVALID, "header %.*s: a value has no outer white space",
                         SPAN_ARGS(c->name));
    *out =
        (struct router_rule_check){.name = router_rule_lower(arena, c->name),
                                   .value = c->is_presence ? SPAN("") : arena_copy(arena, c->value),
                                   .field = http_field_id_of(c->name),
                                   .is_presence = c->is_presence};
    return OK;
}

static err router_rule_read_conditions(struct arena *arena, const struct router_rule *rule,
                                       struct router_rule_entry *entry, struct fault *why)
{
    if (rule->condition_count == 0)
        return OK;
    if (rule->condition_count > ROUTER_CONDITIONS_MAX)
        return fault_set(why, ERR_INVALID, "more than 8 header conditions");
    struct router_rule_check *checks =
        arena_alloc(arena, size_mul(rule->condition_count, sizeof(*checks)));
    for (unsigned i = 0; i < rule->condition_count; i++)
        TRY(router_rule_read_condition(arena, &rule->conditions[i], &checks[i], why));
    qsort(checks, rule->condition_count, sizeof(*checks), router_rule_sort_checks);
    for (unsigned i = 1; i < rule->condition_count; i++)
        if (router_rule_compare_checks(&checks[i - 1], &checks[i]) == 0)
            return fault_set(why, ERR_INVALID, "header %.*s: the same condition twice",
                             SPAN_ARGS(checks[i].name));
    entry->checks = checks;
    entry->check_count = rule->condition_count;
    return OK;
}

err router_rule_take_apart(struct arena *arena, const struct router_rule *rule,
                           struct router_rule_parts *out, struct fault *why)
{
    struct router_rule_parts parts = {.entry = ARENA_NEW(arena, struct router_rule_entry)};
    if (rule->methods >= 1u << HTTP_METHOD_COUNT)
        return fault_set(why, ERR_INVALID, "unknown method bits 0x%x", rule->methods);
    unsigned methods = rule->methods;
    if ((methods & 1u << HTTP_GET) != 0)
        methods |= 1u << HTTP_HEAD;
    parts.entry->methods = methods == 0 ? ~0u : methods;

    TRY(router_rule_read_host(arena, rule->host, &parts, why));
    struct router_rule_reader reader = {
        .arena = arena, .path = rule->path, .out = &parts, .why = why};
    TRY(router_rule_read_path(&reader));
    TRY(router_rule_read_conditions(arena, rule, parts.entry, why));

    size_t bytes = size_mul(reader.param_count, sizeof(reader.params[0]));
    struct router_rule_param *params = arena_alloc(arena, bytes);
    memcpy(params, reader.params, bytes);
    parts.entry->params = params;
    parts.entry->param_count = reader.param_count;
    *out = parts;
    return OK;
}

bool router_rule_same_checks(const struct router_rule_entry *a, const struct router_rule_entry *b)
{
    if (a->check_count != b->check_count)
        return false;
    for (unsigned i = 0; i < a->check_count; i++)
        if (router_rule_compare_checks(&a->checks[i], &b->checks[i]) != 0)
            return false;
    return true;
}

static bool router_rule_holds_one(const struct router_rule_check *check,
                                  const struct http_head *head)
{
    unsigned i = 0;
    if (check->field != HTTP_FIELD_OTHER) {
        if (head->first[check->field] == 0)
            return false;
        i = head->first[check->field] - 1u;
    }
    for (; i < head->field_count; i++) {
        const struct http_field *f = &head->fields[i];
        if (f->id != check->field ||
            (check->field == HTTP_FIELD_OTHER && !span_eq_nocase(f->name, check->name)))
            continue;
        if (check->is_presence || span_eq(f->value, check->value))
            return true;
    }
    return false;
}

bool router_rule_holds(const struct router_rule_entry *e, const struct http_head *head)
{
    if (e->check_count == 0)
        return true;
    if (head == NULL)
        return false;
    for (unsigned i = 0; i < e->check_count; i++)
        if (!router_rule_holds_one(&e->checks[i], head))
            return false;
    return true;
}
