/* router_text.h: rules and heads written as text, for the tests of the router.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "edge/router.h"

#define ROUTER_TEXT_RULES_MAX  24
#define ROUTER_TEXT_FIELDS_MAX 8

/* The head of a request, as the parser would fill it. */
struct fields {
    struct http_head head;
    struct http_field list[ROUTER_TEXT_FIELDS_MAX];
};

static inline void router_text_field(struct fields *f, struct span name, struct span value)
{
    f->head.fields = f->list;
    unsigned i = f->head.field_count++;
    f->list[i] = (struct http_field){.name = name, .value = value};
    f->list[i].id = (uint16_t)http_field_id_of(name);
    if (f->list[i].id != HTTP_FIELD_OTHER && f->head.first[f->list[i].id] == 0)
        f->head.first[f->list[i].id] = (uint16_t)(i + 1);
}

/* "GET,POST" as bits; "" is 0. */
static inline unsigned router_text_methods(const char *text)
{
    struct span rest = span_from(text);
    unsigned methods = 0;
    while (rest.at != NULL && rest.len > 0)
        methods |= 1u << http_method_of(span_cut(&rest, ','));
    return methods;
}

/* Rules as text: host, path, methods, up to two conditions "name=value" or "name". */
struct text_rule {
    const char *host;
    const char *path;
    const char *methods;
    const char *conditions[2];
};

struct rule_set {
    struct router_rule rules[ROUTER_TEXT_RULES_MAX];
    struct router_condition conditions[ROUTER_TEXT_RULES_MAX][2];
    unsigned count;
};

static inline void router_text_add(struct rule_set *set, const struct text_rule *text)
{
    struct router_condition *conditions = set->conditions[set->count];
    struct router_rule *rule = &set->rules[set->count++];
    *rule = (struct router_rule){
        .host = span_from(text->host),
        .path = span_from(text->path),
        .methods = router_text_methods(text->methods == NULL ? "" : text->methods),
        .conditions = conditions};
    for (unsigned i = 0; i < 2 && text->conditions[i] != NULL; i++) {
        struct span rest = span_from(text->conditions[i]);
        struct span name = span_cut(&rest, '=');
        conditions[i] =
            (struct router_condition){.name = name, .value = rest, .is_presence = rest.at == NULL};
        rule->condition_count++;
    }
}
