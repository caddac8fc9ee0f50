/* router.c: a tree of path segments for each host.
 *
 * The one hard thing: the order of precedence must come out of the walk itself, because sorting
 * candidates would cost more than finding them. A walk tries the literal child before the
 * parameter, so the first closed rule it meets is the best closed one; and it looks at a node's
 * open rules on the way back, so the first open one is the best open one, which stands if no
 * closed rule is met. Each node is visited at most once, so a walk is bounded by the tree.
 *
 * Built on one thread; then immutable and read by any.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/router.h"

#include <endian.h>

#include "core/mem.h"
#include "edge/router_rule.h"

#define ROUTER_HOST_BYTES_MAX 255

/* Up to this many children are looked through in a row. */
#define ROUTER_SCAN_MAX 16

struct router_node;

/* Sorted by head, then bytes. The head decides nearly always, and is one comparison. */
struct router_edge {
    uint64_t head; /* of the key: its first 8 bytes, the first one lowest */
    struct span key;
    struct router_node *to;
};

struct router_edges {
    struct router_edge *at;
    unsigned count;
    unsigned cap;
};

struct router_node {
    struct router_edges literals;
    struct router_node *param;
    struct router_rule_entry *closed; /* the path ends here */
    struct router_rule_entry *open;   /* more segments follow, maybe one empty one */
};

/* What one host, wildcard or the absence of both leads to. */
struct router_site {
    struct router_node root; /* first: edges of hosts lead to it */
    bool has_tree;           /* whether there are other rules than those for any path */
    struct router_rule_entry *any;
};

struct router {
    struct router_edges hosts;
    struct router_edges wildcards; /* without "*." */
    struct router_site any_host;
    struct arena arena; /* owns all that the others point to */
};

/* Bytes of any place as a number, the first one lowest. */
static inline uint64_t router_load(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return le64toh(word);
}

static uint64_t router_head(struct span key)
{
    uint64_t head = 0;
    for (size_t i = 0; i < key.len && i < sizeof(head); i++)
        head |= (uint64_t)(unsigned char)key.at[i] << 8 * i;
    return head;
}

static inline bool router_is_key(const struct router_edge *edge, uint64_t head, struct span key)
{
    return edge->head == head && edge->key.len == key.len &&
           (key.len <= sizeof(head) || memcmp(edge->key.at, key.at, key.len) == 0);
}

static int router_compare(const struct router_edge *edge, uint64_t head, struct span key)
{
    if (edge->head != head)
        return edge->head < head ? -1 : 1;
    return span_compare(edge->key, key);
}

/* The first edge that does not come before `key`. */
static unsigned router_lower_bound(const struct router_edges *edges, uint64_t head, struct span key)
{
    unsigned low = 0;
    unsigned high = edges->count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (router_compare(&edges->at[middle], head, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline struct router_node *router_follow(const struct router_edges *edges, uint64_t head,
                                                struct span key)
{
    unsigned i = 0;
    unsigned end = edges->count;
    if (edges->count > ROUTER_SCAN_MAX) {
        i = router_lower_bound(edges, head, key);
        end = i < edges->count ? i + 1 : i;
    }
    for (; i < end; i++)
        if (router_is_key(&edges->at[i], head, key))
            return edges->at[i].to;
    return NULL;
}

static void router_add_edge(struct arena *arena, struct router_edges *edges, struct span key,
                            struct router_node *to)
{
    struct router_edge new = {router_head(key), key, to};
    if (edges->count == edges->cap) {
        unsigned cap = edges->cap == 0 ? 4 : edges->cap * 2;
        struct router_edge *grown = arena_alloc(arena, size_mul(cap, sizeof(*grown)));
        if (edges->count > 0)
            memcpy(grown, edges->at, size_mul(edges->count, sizeof(*grown)));
        edges->at = grown;
        edges->cap = cap;
    }
    unsigned i = router_lower_bound(edges, new.head, key);
    memmove(&edges->at[i + 1], &edges->at[i], size_mul(edges->count - i, sizeof(new)));
    edges->at[i] = new;
    edges->count++;
}

static struct router_site *router_site_for(struct router *r, const struct router_rule_parts *parts)
{
    if (parts->host_kind == ROUTER_RULE_HOST_ANY)
        return &r->any_host;
    bool is_exact = parts->host_kind == ROUTER_RULE_HOST_EXACT;
    struct router_edges *edges = is_exact ? &r->hosts : &r->wildcards;
    struct router_node *root = router_follow(edges, router_head(parts->host), parts->host);
    if (root != NULL)
        return container_of(root, struct router_site, root);
    struct router_site *site = ARENA_NEW(&r->arena, struct router_site);
    router_add_edge(&r->arena, edges, parts->host, &site->root);
    return site;
}

static struct router_node *router_node_for(struct router *r, struct router_node *node,
                                           const struct router_rule_parts *parts)
{
    for (unsigned i = 0; i < parts->segment_count; i++) {
        struct span segment = parts->segments[i];
        bool is_param = segment.at == NULL;
        struct router_node *next =
            is_param ? node->param : router_follow(&node->literals, router_head(segment), segment);
        if (next == NULL) {
            next = ARENA_NEW(&r->arena, struct router_node);
            if (is_param)
                node->param = next;
            else
                router_add_edge(&r->arena, &node->literals, segment, next);
        }
        node = next;
    }
    return node;
}

static struct router_rule_entry **router_list_for(struct router *r,
                                                  const struct router_rule_parts *parts)
{
    struct router_site *site = router_site_for(r, parts);
    if (parts->path_kind == ROUTER_RULE_PATH_ANY)
        return &site->any;
    site->has_tree = true;
    struct router_node *node = router_node_for(r, &site->root, parts);
    return parts->path_kind == ROUTER_RULE_PATH_OPEN ? &node->open : &node->closed;
}

/* Whether `a` stays before the newcomer `b` of the same host and path. */
static bool router_is_before(const struct router_rule_entry *a, const struct router_rule_entry *b)
{
    if (a->check_count != b->check_count)
        return a->check_count > b->check_count;
    return !router_rule_is_any_method(a) || router_rule_is_any_method(b);
}

static err router_insert(struct router_rule_entry **list, struct router_rule_entry *new,
                         struct fault *why)
{
    unsigned untaken = new->methods;
    const struct router_rule_entry *taker = NULL;
    struct router_rule_entry **at = list;
    for (; *at != NULL && router_is_before(*at, new); at = &(*at)->next) {
        const struct router_rule_entry *e = *at;
        if (!router_rule_same_checks(e, new) || (e->methods & untaken) == 0)
            continue;
        untaken &= ~e->methods;
        taker = taker == NULL ? e : taker;
    }
    if (untaken == 0) {
        must(taker != NULL);
        return fault_set(why, ERR_INVALID,
                         "can never match: rule %u stands earlier with the same host, path, "
                         "headers and methods",
                         taker->rule);
    }
    new->next = *at;
    *at = new;
    return OK;
}

static err router_add(struct router *r, const struct router_rule *rule, unsigned index,
                      struct fault *why)
{
    struct router_rule_parts parts;
    TRY(router_rule_take_apart(&r->arena, rule, &parts, why));
    parts.entry->rule = index;
    return router_insert(router_list_for(r, &parts), parts.entry, why);
}

err router_new(const struct router_rule *rules, unsigned count, struct router **out,
               struct fault *why)
{
    struct router *r = MEM_NEW(struct router);
    arena_init(&r->arena, /* pool= */ NULL, SIZE_MAX);
    for (unsigned i = 0; i < count; i++) {
        struct fault reason = {0};
        err added = router_add(r, &rules[i], i, &reason);
        if (!err_ok(added)) {
            router_free(r);
            return fault_set(why, added.code, "rule %u: %s", i, reason.text);
        }
    }
    *out = r;
    return OK;
}

void router_free(struct router *r)
{
    if (r == NULL)
        return;
    arena_done(&r->arena);
    mem_free(r);
}

/* One search. Segments are found as the walk reaches them. */
struct router_search {
    const struct router_query *query;
    const char *path_end;
    unsigned method_bit;
    unsigned allowed_methods;             /* of rules that only the method kept from matching */
    const struct router_rule_entry *open; /* the best open one so far */
    const struct router_node *nodes[ROUTER_SEGMENTS_MAX + 1]; /* of the walk, by depth */
    const char *starts[ROUTER_SEGMENTS_MAX + 1];
    const char *ends[ROUTER_SEGMENTS_MAX + 1];
};

/* The first of the list whose method and conditions fit, or NULL. */
static inline const struct router_rule_entry *router_accept(struct router_search *s,
                                                            const struct router_rule_entry *list)
{
    for (const struct router_rule_entry *e = list; e != NULL; e = e->next) {
        if (e->check_count > 0 && !router_rule_holds(e, s->query->head))
            continue;
        if ((e->methods & s->method_bit) != 0)
            return e;
        s->allowed_methods |= e->methods;
    }
    return NULL;
}

#define ROUTER_BYTES(byte) (UINT64_MAX / 255 * (byte))

/* The segment that starts at `at`, and its head. The first slash of eight bytes is found at once:
 * x has a zero byte there, and the lowest bit of `zero` marks the first zero byte exactly. */
static inline struct span router_segment(const struct router_search *s, const char *at,
                                         uint64_t *head)
{
    size_t left = (size_t)(s->path_end - at);
    if (left < sizeof(*head)) {
        uint64_t word = 0;
        size_t len = 0;
        for (; len < left && at[len] != '/'; len++)
            word |= (uint64_t)(unsigned char)at[len] << 8 * len;
        *head = word;
        return span_of(at, len);
    }
    uint64_t word = router_load(at);
    uint64_t x = word ^ ROUTER_BYTES('/');
    uint64_t zero = (x - ROUTER_BYTES(0x01)) & ~x & ROUTER_BYTES(0x80);
    if (zero != 0) {
        unsigned len = (unsigned)__builtin_ctzll(zero) / 8;
        *head = word & ((UINT64_C(1) << 8 * len) - 1);
        return span_of(at, len);
    }
    *head = word;
    const char *slash = memchr(at + sizeof(word), '/', left - sizeof(word));
    return span_of(at, slash == NULL ? left : (size_t)(slash - at));
}

/* The best closed rule at or below `node`; open ones go to s->open. `at` is the start of segment
 * `depth`, or NULL when the path has ended. Recurses only where a literal and a parameter both
 * lead on; depth is bounded by the tree, not by the path. */
static const struct router_rule_entry *
router_walk(struct router_search *s, const struct router_node *node, unsigned depth, const char *at)
{
    const struct router_rule_entry *found = NULL;
    unsigned top = depth;
    while (node != NULL) {
        if (at == NULL) {
            found = router_accept(s, node->closed);
            break;
        }
        must(depth <= ROUTER_SEGMENTS_MAX);
        s->nodes[depth] = node;
        s->starts[depth] = at;
        depth++;
        if (node->literals.count == 0 && node->param == NULL)
            break;
        uint64_t head;
        struct span segment = router_segment(s, at, &head);
        s->ends[depth - 1] = at + segment.len;
        at = at + segment.len == s->path_end ? NULL : at + segment.len + 1;
        const struct router_node *literal = router_follow(&node->literals, head, segment);
        const struct router_node *param = segment.len > 0 ? node->param : NULL;
        if (literal != NULL && param != NULL) {
            found = router_walk(s, literal, depth, at);
            if (found == NULL)
                found = router_walk(s, param, depth, at);
            break;
        }
        node = literal != NULL ? literal : param;
    }
    while (found == NULL && s->open == NULL && depth > top) {
        depth--;
        s->open = router_accept(s, s->nodes[depth]->open);
    }
    return found;
}

static const struct router_rule_entry *router_search_site(struct router_search *s,
                                                          const struct router_site *site)
{
    struct span path = s->query->path;
    if (site->has_tree && path.len > 0 && path.at[0] == '/') {
        const struct router_rule_entry *closed = router_walk(s, &site->root, 0, path.at + 1);
        if (closed != NULL)
            return closed;
        if (s->open != NULL)
            return s->open;
    }
    return router_accept(s, site->any);
}

static const struct router_rule_entry *router_search_hosts(struct router_search *s,
                                                           const struct router *r)
{
    struct span host = s->query->host;
    if (span_ends(host, SPAN(".")))
        host.len--;
    if (host.len == 0 || host.len > ROUTER_HOST_BYTES_MAX)
        return NULL;
    char lower[ROUTER_HOST_BYTES_MAX] __attribute__((uninitialized));
    for (size_t i = 0; i < host.len; i++)
        lower[i] = (char)(host.at[i] >= 'A' && host.at[i] <= 'Z' ? host.at[i] | 0x20 : host.at[i]);
    host.at = lower;

    const struct router_node *root = router_follow(&r->hosts, router_head(host), host);
    const struct router_rule_entry *found = NULL;
    if (root != NULL)
        found = router_search_site(s, container_of(root, struct router_site, root));
    if (r->wildcards.count == 0 || found != NULL || host.at[0] == '.')
        return found;
    struct span suffix = host;
    (void)span_cut(&suffix, '.'); /* the first label is what the wildcard stands for */
    while (suffix.at != NULL && found == NULL) {
        root = router_follow(&r->wildcards, router_head(suffix), suffix);
        if (root != NULL)
            found = router_search_site(s, container_of(root, struct router_site, root));
        (void)span_cut(&suffix, '.');
    }
    return found;
}

static void router_take_params(const struct router_search *s, const struct router_rule_entry *e,
                               struct router_match *out)
{
    out->param_count = e->param_count;
    for (unsigned i = 0; i < e->param_count; i++) {
        const struct router_rule_param *p = &e->params[i];
        const char *start = s->starts[p->segment];
        const char *end = p->is_rest ? s->path_end : s->ends[p->segment];
        out->params[i] = (struct route_param){p->name, span_of(start, (size_t)(end - start))};
    }
}

void router_find(const struct router *r, const struct router_query *query, struct router_match *out)
{
    /* Uninitialised on purpose: half a kilobyte that the walk writes before it reads. */
    struct router_search s __attribute__((uninitialized));
    s.query = query;
    s.path_end = query->path.at + query->path.len;
    s.method_bit = 1u << query->method;
    s.allowed_methods = 0;
    s.open = NULL;

    const struct router_rule_entry *found = NULL;
    if (r->hosts.count > 0 || r->wildcards.count > 0)
        found = router_search_hosts(&s, r);
    if (found == NULL)
        found = router_search_site(&s, &r->any_host);
    out->rule = found == NULL ? -1 : (int)found->rule;
    out->is_path_known = found == NULL && s.allowed_methods != 0;
    out->allowed_methods = found == NULL ? s.allowed_methods : 0;
    out->param_count = 0;
    if (found != NULL && found->param_count > 0)
        router_take_params(&s, found, out);
}

err router_write_allow(unsigned methods, struct buf *out)
{
    bool is_first = true;
    for (unsigned m = 0; m < HTTP_METHOD_OTHER; m++) {
        if ((methods & 1u << m) == 0)
            continue;
        if (!is_first)
            TRY(buf_add(out, SPAN(", ")));
        TRY(buf_add(out, span_from(http_method_name((enum http_method)m))));
        is_first = false;
    }
    return OK;
}
