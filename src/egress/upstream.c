/* upstream.c: builds upstreams out of plain options and finds again what they share.
 *
 * The one hard thing is lifetime. The registry holds one reference to everything that it knows,
 * each snapshot holds its own; only the registry's thread gives out references to what it knows,
 * so an object with a single reference is one that nobody can come to use any more, and may be
 * swept.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "egress/upstream.h"

#include "core/mem.h"

#define UPSTREAM_MAGIC          0x0b57ea01u
#define UPSTREAM_SHARED_MAGIC   0x0b57ea02u
#define UPSTREAM_REGISTRY_MAGIC 0x0b57ea03u

/* An entry of the registry's maps; the key must live as long as it. */
struct upstream_known {
    struct span key;       /* owned */
    struct target *target; /* one of the two, a reference */
    struct upstream_shared *shared;
};

/* Owned, and a NUL follows it. */
static struct span upstream_copy(struct span s)
{
    char *copy = mem_alloc(size_add(s.len, 1));
    if (s.len > 0)
        memcpy(copy, s.at, s.len);
    return span_of(copy, s.len);
}

static void upstream_free_copy(struct span *s)
{
    /* The cast takes back the const that a span adds to what upstream_copy allocated. */
    mem_free((void *)(uintptr_t)s->at);
    *s = (struct span){0};
}

static void upstream_shared_unref(struct upstream_shared *shared)
{
    if (shared == NULL)
        return;
    must(shared->magic == UPSTREAM_SHARED_MAGIC);
    if (atomic_fetch_sub_explicit(&shared->refs, 1, memory_order_acq_rel) > 1)
        return;
    shared->magic = 0;
    breaker_done(&shared->breaker);
    upstream_free_copy(&shared->name);
    mem_free(shared);
}

static void upstream_known_free(struct upstream_known *known)
{
    target_unref(known->target);
    upstream_shared_unref(known->shared);
    upstream_free_copy(&known->key);
    mem_free(known);
}

void upstream_registry_init(struct upstream_registry *registry, struct breaker_observer *observer,
                            struct random *random)
{
    *registry = (struct upstream_registry){
        .magic = UPSTREAM_REGISTRY_MAGIC, .observer = observer, .random = random};
    map_init(&registry->targets);
    map_init(&registry->shared);
}

static void upstream_registry_empty(struct map *m)
{
    size_t cursor = 0;
    const struct map_slot *slot;
    while ((slot = map_next(m, &cursor)) != NULL)
        upstream_known_free(slot->value);
    map_done(m);
}

void upstream_registry_done(struct upstream_registry *registry)
{
    if (registry->magic == 0)
        return;
    must(registry->magic == UPSTREAM_REGISTRY_MAGIC);
    upstream_registry_empty(&registry->targets);
    upstream_registry_empty(&registry->shared);
    registry->magic = 0;
}

static bool upstream_known_is_idle(const struct upstream_known *known)
{
    const atomic_uint *refs = known->target != NULL ? &known->target->refs : &known->shared->refs;
    return atomic_load_explicit(refs, memory_order_acquire) == 1;
}

static void upstream_sweep_map(struct map *m)
{
    size_t cursor = 0;
    const struct map_slot *slot;
    while ((slot = map_next(m, &cursor)) != NULL) {
        struct upstream_known *known = slot->value;
        if (!upstream_known_is_idle(known))
            continue;
        map_remove(m, known->key);
        upstream_known_free(known);
        cursor = 0; /* removal moves entries */
    }
}

void upstream_registry_sweep(struct upstream_registry *registry)
{
    must(registry->magic == UPSTREAM_REGISTRY_MAGIC);
    upstream_sweep_map(&registry->targets);
    upstream_sweep_map(&registry->shared);
}

static err upstream_check(bool is_right, const struct upstream_options *o, const char *text,
                          struct fault *why)
{
    if (is_right)
        return OK;
    return fault_set(why, ERR_INVALID, "upstream %.*s: %s", SPAN_ARGS(o->name), text);
}

static err upstream_validate_targets(const struct upstream_options *o, struct fault *why)
{
    TRY(upstream_check(o->target_count >= 1 && o->target_count <= UPSTREAM_TARGETS_MAX, o,
                       "it needs 1 to 256 targets", why));
    for (unsigned i = 0; i < o->target_count; i++) {
        const struct upstream_target_options *t = &o->targets[i];
        TRY(upstream_check(t->address.len > 0, o, "a target needs an address", why));
        TRY(upstream_check(t->weight <= BALANCE_WEIGHT_MAX, o, "a weight is at most 1000", why));
        for (unsigned k = 0; k < i; k++)
            TRY(upstream_check(!span_eq(t->address, o->targets[k].address), o,
                               "a target is listed twice", why));
    }
    return OK;
}

/* Goes into a request as it is: no white space, no control bytes. */
static bool upstream_is_visible(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] <= ' ' || s.at[i] > '~')
            return false;
    return true;
}

static err upstream_validate_check(const struct upstream_options *o, struct fault *why)
{
    const struct upstream_check_options *c = &o->check;
    if (c->kind == UPSTREAM_CHECK_NONE)
        return OK;
    TRY(upstream_check(c->interval_ms >= 100 && c->interval_ms <= 3600000, o,
                       "the interval of checks is 100 ms to 1 h", why));
    TRY(upstream_check(c->timeout_ms >= 1 && c->timeout_ms <= 60000, o,
                       "the timeout of a check is 1 ms to 1 min", why));
    TRY(upstream_check(c->jitter_percent <= 90, o, "the jitter of checks is at most 90 %", why));
    TRY(upstream_check(c->rise >= 1 && c->rise <= 100 && c->fall >= 1 && c->fall <= 100, o,
                       "rise and fall are 1 to 100", why));
    if (c->kind == UPSTREAM_CHECK_TCP)
        return OK;
    TRY(upstream_check(c->path.len > 0 && c->path.at[0] == '/', o,
                       "the path of a check begins with /", why));
    TRY(upstream_check(upstream_is_visible(c->path) && upstream_is_visible(c->host), o,
                       "the path and host of a check are visible ASCII without spaces", why));
    return upstream_check(c->status_min >= 100 && c->status_min <= c->status_max &&
                              c->status_max <= 599,
                          o, "the statuses of a check are 100 to 599", why);
}

static err upstream_validate(const struct upstream_options *o, struct fault *why)
{
    TRY(upstream_check(o->name.len > 0, o, "it needs a name", why));
    TRY(upstream_validate_targets(o, why));
    TRY(upstream_validate_check(o, why));
    if (o->has_breaker)
        TRY(breaker_options_validate(&o->breaker, why));
    TRY(retry_policy_validate(&o->retry, why));
    TRY(retry_budget_validate(&o->retry_budget, why));
    TRY(upstream_check(o->outlier.eject_ms >= 1 && o->outlier.eject_ms <= o->outlier.eject_max_ms,
                       o, "the ejection time is at least 1 ms and at most its maximum", why));
    TRY(upstream_check(o->outlier.ejected_max_percent <= 100, o,
                       "at most 100 % of targets can be ejected", why));
    return upstream_check(o->connect_timeout_ms >= 1 && o->request_timeout_ms >= 1, o,
                          "the timeouts are at least 1 ms", why);
}

/* The key of a target: names hold no NUL. */
static struct span upstream_target_key(struct span name, struct span address)
{
    char *key = mem_alloc(size_add(size_add(name.len, address.len), 2));
    memcpy(key, name.at, name.len);
    memcpy(key + name.len + 1, address.at, address.len);
    return span_of(key, name.len + 1 + address.len);
}

static struct target *upstream_registry_target(struct upstream_registry *registry, struct span name,
                                               struct span address)
{
    struct span key = upstream_target_key(name, address);
    struct upstream_known *known = map_get(&registry->targets, key);
    if (known != NULL) {
        upstream_free_copy(&key);
        return target_ref(known->target);
    }
    known = MEM_NEW(struct upstream_known);
    known->key = key;
    known->target = target_new(address);
    map_put(&registry->targets, known->key, known);
    return target_ref(known->target);
}

static bool upstream_shared_fits(const struct upstream_shared *shared,
                                 const struct upstream_options *o)
{
    static_assert(sizeof o->breaker == 10 * sizeof(uint32_t) &&
                      sizeof o->retry_budget == 3 * sizeof(uint32_t),
                  "options without padding can be compared as bytes");
    return shared->has_breaker == o->has_breaker &&
           (!o->has_breaker ||
            memcmp(&shared->breaker.options, &o->breaker, sizeof o->breaker) == 0) &&
           memcmp(&shared->budget.options, &o->retry_budget, sizeof o->retry_budget) == 0;
}

static struct upstream_shared *upstream_shared_new(struct upstream_registry *registry,
                                                   const struct upstream_options *o,
                                                   uint64_t now_ms)
{
    struct upstream_shared *shared = MEM_NEW(struct upstream_shared);
    shared->magic = UPSTREAM_SHARED_MAGIC;
    shared->has_breaker = o->has_breaker;
    atomic_store(&shared->refs, 1);
    shared->name = upstream_copy(o->name);
    if (o->has_breaker)
        breaker_init(&shared->breaker, &o->breaker, registry->observer, registry->random, now_ms);
    shared->breaker.name = shared->name;
    retry_budget_init(&shared->budget, &o->retry_budget);
    return shared;
}

/* What an operator ordered holds for the new breaker as well. */
static void upstream_keep_forced(struct upstream_shared *to, const struct upstream_shared *from,
                                 uint64_t now_ms)
{
    if (!to->has_breaker || !from->has_breaker)
        return;
    struct breaker_view view;
    breaker_look(&from->breaker, now_ms, &view);
    if (view.state == BREAKER_FORCED_OPEN || view.state == BREAKER_FORCED_CLOSED)
        breaker_force(&to->breaker, view.state, now_ms);
}

static struct upstream_shared *upstream_registry_shared(struct upstream_registry *registry,
                                                        const struct upstream_options *o,
                                                        uint64_t now_ms)
{
    struct upstream_known *known = map_get(&registry->shared, o->name);
    if (known == NULL) {
        known = MEM_NEW(struct upstream_known);
        known->key = upstream_copy(o->name);
        known->shared = upstream_shared_new(registry, o, now_ms);
        map_put(&registry->shared, known->key, known);
    } else if (!upstream_shared_fits(known->shared, o)) {
        struct upstream_shared *fresh = upstream_shared_new(registry, o, now_ms);
        upstream_keep_forced(fresh, known->shared, now_ms);
        upstream_shared_unref(known->shared);
        known->shared = fresh;
    }
    atomic_fetch_add_explicit(&known->shared->refs, 1, memory_order_relaxed);
    return known->shared;
}

err upstream_new(struct upstream_registry *registry, const struct upstream_options *options,
                 uint64_t now_ms, struct fault *why, struct upstream **out)
{
    must(registry->magic == UPSTREAM_REGISTRY_MAGIC);
    TRY(upstream_validate(options, why));
    struct upstream *u = MEM_NEW(struct upstream);
    u->magic = UPSTREAM_MAGIC;
    atomic_store(&u->refs, 1);
    u->options = *options;
    u->options.targets = NULL;
    u->options.target_count = 0;
    u->name = u->options.name = upstream_copy(options->name);
    u->options.check.path = upstream_copy(options->check.path);
    u->options.check.host = upstream_copy(options->check.host);
    u->options.check.body_contains = upstream_copy(options->check.body_contains);
    u->members = mem_alloc(size_mul(options->target_count, sizeof *u->members));
    for (unsigned i = 0; i < options->target_count; i++) {
        const struct upstream_target_options *t = &options->targets[i];
        u->members[i].target = upstream_registry_target(registry, options->name, t->address);
        u->members[i].weight = t->weight == 0 ? 1 : t->weight;
    }
    u->set = (struct balance_set){
        .members = u->members, .member_count = options->target_count, .kind = options->balance};
    u->shared = upstream_registry_shared(registry, options, now_ms);
    u->breaker = options->has_breaker ? &u->shared->breaker : NULL;
    u->budget = &u->shared->budget;
    *out = u;
    return OK;
}

struct upstream *upstream_ref(struct upstream *u)
{
    must(u->magic == UPSTREAM_MAGIC);
    atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
    return u;
}

void upstream_unref(struct upstream *u)
{
    if (u == NULL)
        return;
    must(u->magic == UPSTREAM_MAGIC);
    if (atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) > 1)
        return;
    u->magic = 0;
    for (unsigned i = 0; i < u->set.member_count; i++)
        target_unref(u->members[i].target);
    mem_free(u->members);
    upstream_shared_unref(u->shared);
    upstream_free_copy(&u->options.check.path);
    upstream_free_copy(&u->options.check.host);
    upstream_free_copy(&u->options.check.body_contains);
    upstream_free_copy(&u->name);
    mem_free(u);
}

/* Whether one more of the set may be ejected beside those that are. */
static bool upstream_may_eject(const struct upstream *u, uint64_t now_ms)
{
    unsigned ejected = 1;
    for (unsigned i = 0; i < u->set.member_count; i++)
        ejected += atomic_load_explicit(&u->members[i].target->ejected_until_ms,
                                        memory_order_relaxed) > now_ms;
    return ejected * 100 <= u->options.outlier.ejected_max_percent * u->set.member_count;
}

/* One thread decides at a time, so that two cannot both take the last place. Who comes second
 * leaves it: the next failure asks again. */
static bool upstream_eject(struct upstream *u, struct target *t, uint64_t now_ms)
{
    if (!spin_try_lock(&u->shared->ejecting))
        return false;
    bool is_ejected = atomic_load_explicit(&t->ejected_until_ms, memory_order_relaxed) <= now_ms &&
                      upstream_may_eject(u, now_ms);
    if (is_ejected)
        (void)target_eject(t, &u->options.outlier, now_ms);
    spin_unlock(&u->shared->ejecting);
    return is_ejected;
}

bool upstream_finish(struct upstream *u, unsigned index, const struct upstream_result *result,
                     uint64_t now_ms)
{
    must(u->magic == UPSTREAM_MAGIC && index < u->set.member_count);
    struct target *t = u->members[index].target;
    unsigned failures = target_finish(t, result->outcome, result->latency_us);
    if (result->retry_after_ms > 0 && u->options.pause_max_ms > 0) {
        bool is_long = result->retry_after_ms > u->options.pause_max_ms;
        target_pause(t, is_long ? u->options.pause_max_ms : result->retry_after_ms, now_ms);
    }
    unsigned limit = u->options.outlier.failures_in_a_row;
    bool has_failed = result->outcome == TARGET_FAILURE || result->outcome == TARGET_NO_CONNECT;
    return has_failed && limit > 0 && failures >= limit && upstream_eject(u, t, now_ms);
}

struct target *upstream_find_target(const struct upstream *u, struct span address)
{
    for (unsigned i = 0; i < u->set.member_count; i++) {
        if (span_eq(u->members[i].target->address, address))
            return u->members[i].target;
    }
    return NULL;
}
