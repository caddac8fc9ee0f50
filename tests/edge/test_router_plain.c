/* test_router_plain.c: the tree against a plain reading of its rules.
 *
 * The plain reading tries every rule and takes the most specific of those that match, with no code
 * in common with the router. Rules and requests are random, out of few words, so that they meet.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "router_text.h"

#include <stdio.h>

#include "core/arena.h"
#include "core/random.h"

static bool naive_host(struct span rule, struct span host)
{
    if (rule.len == 0)
        return true;
    if (span_ends(host, SPAN(".")))
        host.len--;
    if (!span_starts(rule, SPAN("*.")))
        return span_eq_nocase(rule, host);
    struct span suffix = span_skip(rule, 1);
    return host.len > suffix.len && host.at[0] != '.' &&
           span_eq_nocase(span_skip(host, host.len - suffix.len), suffix);
}

/* Whether path matches; the form of each segment of the rule goes to form: 'l'iteral,
 * 'p'arameter, and at the end '$' for closed or '.' for open. */
static bool naive_path(struct span rule, struct span path, char form[64])
{
    size_t n = 0;
    if (rule.len == 0) {
        form[0] = '\0';
        return true;
    }
    if (path.len == 0 || path.at[0] != '/')
        return false;
    struct span rule_rest = span_skip(rule, 1);
    struct span path_rest = span_skip(path, 1);
    for (;;) {
        struct span want = span_cut(&rule_rest, '/');
        if (rule_rest.at == NULL &&
            (want.len == 0 || span_ends(want, SPAN("*}")) || span_eq(want, SPAN("*")))) {
            memcpy(&form[n], ".", 2);
            return path_rest.at != NULL;
        }
        if (path_rest.at == NULL)
            return false;
        struct span have = span_cut(&path_rest, '/');
        if (span_eq(want, SPAN("{$}")))
            want = SPAN("");
        bool is_param = span_starts(want, SPAN("{"));
        if (is_param ? have.len == 0 : !span_eq(want, have))
            return false;
        form[n++] = is_param ? 'p' : 'l';
        if (rule_rest.at == NULL) {
            memcpy(&form[n], "$", 2);
            return path_rest.at == NULL;
        }
    }
}

static bool naive_conditions(const struct router_rule *rule, const struct fields *f)
{
    for (unsigned c = 0; c < rule->condition_count; c++) {
        bool holds = false;
        for (unsigned i = 0; i < f->head.field_count; i++)
            holds = holds || (span_eq_nocase(f->list[i].name, rule->conditions[c].name) &&
                              (rule->conditions[c].is_presence ||
                               span_eq(f->list[i].value, rule->conditions[c].value)));
        if (!holds)
            return false;
    }
    return true;
}

/* Above 0 when a is the more specific form. */
static int naive_compare_forms(const char *a, const char *b)
{
    char end_a = a[0] == '\0' ? '\0' : a[strlen(a) - 1];
    char end_b = b[0] == '\0' ? '\0' : b[strlen(b) - 1];
    if (end_a != end_b) /* '$' closed, '.' open, NUL any */
        return end_a == '$' || end_b == '\0' ? 1 : -1;
    for (size_t i = 0; a[i] != '\0' || b[i] != '\0'; i++) {
        if (a[i] == b[i])
            continue;
        if (a[i] == 'l' || (a[i] == 'p' && b[i] != 'l'))
            return 1;
        return -1;
    }
    return 0;
}

static int naive_host_rank(struct span host)
{
    if (host.len == 0)
        return 0;
    return span_starts(host, SPAN("*.")) ? (int)host.len : 1000;
}

static bool naive_is_better(const struct router_rule *a, const char *form_a,
                            const struct router_rule *b, const char *form_b)
{
    if (naive_host_rank(a->host) != naive_host_rank(b->host))
        return naive_host_rank(a->host) > naive_host_rank(b->host);
    int forms = naive_compare_forms(form_a, form_b);
    if (forms != 0)
        return forms > 0;
    if (a->condition_count != b->condition_count)
        return a->condition_count > b->condition_count;
    return a->methods != 0 && b->methods == 0;
}

static int naive_find(const struct rule_set *set, const struct router_query *q,
                      const struct fields *f, unsigned *allowed)
{
    int best = -1;
    char best_form[64] = "";
    *allowed = 0;
    for (unsigned i = 0; i < set->count; i++) {
        const struct router_rule *rule = &set->rules[i];
        char form[64];
        if (!naive_host(rule->host, q->host) || !naive_path(rule->path, q->path, form) ||
            !naive_conditions(rule, f))
            continue;
        unsigned methods = rule->methods;
        if ((methods & 1u << HTTP_GET) != 0)
            methods |= 1u << HTTP_HEAD;
        if (methods != 0 && (methods & 1u << q->method) == 0) {
            *allowed |= methods;
            continue;
        }
        if (best >= 0 && !naive_is_better(rule, form, &set->rules[best], best_form))
            continue;
        best = (int)i;
        memcpy(best_form, form, sizeof(form));
    }
    if (best >= 0)
        *allowed = 0;
    return best;
}

static const char *pick(struct random *rng, const char *const *list, size_t count)
{
    return list[random_below(rng, count)];
}
#define PICK(rng, list) pick((rng), (list), COUNT_OF(list))

/* A random path out of few segments, so that collisions are common. */
static const char *random_path(struct random *rng, struct arena *arena, bool is_rule)
{
    static const char *const plain[] = {"a", "b", "ab", "c"};
    static const char *const rule_segments[] = {"a", "b", "ab", "{p}", "{q}", "{r}"};
    static const char *const rule_ends[] = {"a", "b", "{s}", "{t}", "", "{$}", "{u*}", "*"};
    static const char *const path_ends[] = {"a", "b", "ab", "", "", "c"};
    if (random_below(rng, 12) == 0)
        return is_rule || random_below(rng, 2) == 0 ? "" : "*";
    char text[64] = "";
    size_t len = 0;
    unsigned segments = (unsigned)random_below(rng, 4);
    for (unsigned i = 0; i < segments; i++) {
        const char *segment = is_rule ? PICK(rng, rule_segments) : PICK(rng, plain);
        len += (size_t)snprintf(&text[len], sizeof(text) - len, "/%s", segment);
    }
    const char *end = is_rule ? PICK(rng, rule_ends) : PICK(rng, path_ends);
    len += (size_t)snprintf(&text[len], sizeof(text) - len, "/%s", end);
    char *copy = arena_alloc(arena, len + 1);
    memcpy(copy, text, len + 1);
    return copy;
}

static struct text_rule random_rule(struct random *rng, struct arena *arena)
{
    static const char *const hosts[] = {"", "", "x.a.b", "a.b", "b", "*.b", "*.a.b", "X.A.B"};
    static const char *const methods[] = {"", "", "", "GET", "POST", "PUT,GET", "HEAD", "FROB"};
    static const char *const conditions[] = {"x-a=1", "x-a=2", "X-A", "x-b", "accept=1", "accept"};
    struct text_rule rule = {
        PICK(rng, hosts), random_path(rng, arena, /* is_rule= */ true), PICK(rng, methods), {NULL}};
    if (random_below(rng, 3) == 0)
        rule.conditions[0] = PICK(rng, conditions);
    if (rule.conditions[0] != NULL && random_below(rng, 2) == 0)
        rule.conditions[1] = PICK(rng, conditions);
    return rule;
}

static void random_fields(struct random *rng, struct fields *f)
{
    static const struct span names[] = {SPAN_INIT("x-a"), SPAN_INIT("X-B"), SPAN_INIT("Accept"),
                                        SPAN_INIT("host")};
    static const struct span values[] = {SPAN_INIT("1"), SPAN_INIT("2"), SPAN_INIT("")};
    *f = (struct fields){0};
    for (uint64_t left = random_below(rng, 4); left > 0; left--)
        router_text_field(f, names[random_below(rng, COUNT_OF(names))],
                          values[random_below(rng, COUNT_OF(values))]);
}

/* Takes random rules one by one; those that the router refuses are kept aside in `refused`. */
static struct router *random_router(struct random *rng, struct arena *arena, struct rule_set *set,
                                    struct rule_set *with_refused)
{
    struct router *r = NULL;
    unsigned wanted = 1 + (unsigned)random_below(rng, ROUTER_TEXT_RULES_MAX);
    for (unsigned i = 0; i < wanted; i++) {
        struct text_rule text = random_rule(rng, arena);
        router_text_add(set, &text);
        router_text_add(with_refused, &text);
        struct router *next = NULL;
        struct fault why = {0};
        if (err_ok(router_new(set->rules, set->count, &next, &why))) {
            router_free(r);
            r = next;
            continue;
        }
        set->count--;
        if (strstr(why.text, "can never match") == NULL)
            with_refused->count--;
    }
    return r;
}

static void assert_same_as_naive(const struct router *r, const struct rule_set *set,
                                 const struct rule_set *with_refused, struct random *rng,
                                 struct arena *arena)
{
    static const char *const hosts[] = {"",  "x.a.b", "a.b", "b",   "y.a.b", "z.y.a.b",
                                        "c", "B.",    "ab",  "c.b", ".b",    "A.b"};
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "FROB", "DELETE"};
    struct fields f;
    random_fields(rng, &f);
    struct router_query query = {.host = span_from(PICK(rng, hosts)),
                                 .path = span_from(random_path(rng, arena, /* is_rule= */ false)),
                                 .method = http_method_of(span_from(PICK(rng, methods))),
                                 .head = &f.head};
    struct router_match got;
    router_find(r, &query, &got);
    unsigned allowed = 0;
    int expected = naive_find(set, &query, &f, &allowed);
    if (got.rule != expected || got.allowed_methods != allowed ||
        got.is_path_known != (allowed != 0))
        fail_msg("%.*s%.*s method %d: rule %d in place of %d, allowed %x in place of %x",
                 SPAN_ARGS(query.host), SPAN_ARGS(query.path), (int)query.method, got.rule,
                 expected, got.allowed_methods, allowed);
    /* What the router refused would never have been chosen. */
    int whole = naive_find(with_refused, &query, &f, &allowed);
    bool is_same = whole == expected;
    if (whole >= 0 && expected >= 0)
        is_same = span_eq(with_refused->rules[whole].path, set->rules[expected].path) &&
                  with_refused->rules[whole].methods == set->rules[expected].methods;
    assert_true(is_same);
}

static void test_router_agrees_with_the_plain_reading_of_its_rules(void **state)
{
    (void)state;
    unsigned found = 0;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        struct random rng;
        random_init_seeded(&rng, seed);
        struct arena arena;
        arena_init(&arena, NULL, 1 << 24);
        struct rule_set set = {0};
        struct rule_set with_refused = {0};
        struct router *r = random_router(&rng, &arena, &set, &with_refused);
        for (unsigned i = 0; r != NULL && i < 60; i++)
            assert_same_as_naive(r, &set, &with_refused, &rng, &arena);
        found += r != NULL;
        router_free(r);
        arena_done(&arena);
    }
    assert_true(found > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_router_agrees_with_the_plain_reading_of_its_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
