/* config_load.c: the file's tree laid over the tables.
 *
 * The one hard thing: it must find every error of a file and still never build on a wrong value.
 * So binding goes on after a fault with the node left at zero, and at the end the configuration is
 * thrown away if there was any. The loader lives on the stack of one load; one thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/config_file.h"
#include "core/config_loader.h"
#include "core/config_scalar.h"
#include "core/config_table.h"
#include "core/map.h"
#include "core/mem.h"

#define CONFIG_ARENA_BYTES (256u << 20)

static err config_load_alloc(struct config_loader *l, size_t size, void **out)
{
    TRY(arena_try_alloc(&l->c->arena, size, out));
    memset(*out, 0, size);
    return OK;
}

static err config_load_new(struct config_loader *l, const struct config_node *parent,
                           const struct config_key *key, enum config_type type,
                           struct config_node **out)
{
    void *block = NULL;
    TRY(config_load_alloc(l, sizeof **out, &block));
    struct config_node *node = block;
    node->key = key;
    node->parent = parent;
    node->type = type;
    node->line = parent->line;
    node->column = parent->column;
    *out = node;
    return OK;
}

/* A scalar's place is its value, where the error is; a container's is its name. */
static void config_load_locate(struct config_node *node, const struct config_yaml_node *y,
                               const struct config_yaml_node *shown)
{
    bool is_at_name = y->name.at != NULL && shown->kind != CONFIG_YAML_SCALAR;
    node->line = is_at_name ? y->name_line : shown->line;
    node->column = is_at_name ? y->name_column : shown->column;
}

static const struct config_yaml_node *config_load_target(const struct config_yaml_node *y)
{
    return y->target == NULL ? y : y->target;
}

static bool config_load_is_plain(const struct config_yaml_node *y, struct span word)
{
    return y->kind == CONFIG_YAML_SCALAR && y->is_plain && span_eq(config_yaml_text(y), word);
}

static bool config_load_is_null(const struct config_yaml_node *y)
{
    return config_load_is_plain(y, SPAN("")) || config_load_is_plain(y, SPAN("~")) ||
           config_load_is_plain(y, SPAN("null"));
}

static bool config_load_is_off(const struct config_yaml_node *y)
{
    return config_load_is_null(y) || config_load_is_plain(y, SPAN("false")) ||
           config_load_is_plain(y, SPAN("off"));
}

static err config_load_group(struct config_loader *l, struct config_node *node,
                             const struct config_key *keys, const struct config_yaml_node *y);

static err config_load_children(struct config_loader *l, struct config_node *node, size_t count)
{
    void *block = NULL;
    TRY(config_load_alloc(l, size_mul(count, sizeof *node->children), &block));
    node->children = block;
    return OK;
}

static void config_load_add_child(struct config_node *node, struct config_node *child)
{
    child->index = node->count;
    node->children[node->count++] = child;
}

static void config_load_check_count(struct config_loader *l, const struct config_node *node)
{
    char expected[CONFIG_TABLE_RANGE_BYTES];
    if (config_table_admits(node->key, node->type, node->count))
        return;
    config_table_range(node->key, expected);
    config_message_add(l, node, "found %u entries; expected %s, %s", node->count,
                       config_scalar_form(node->type), expected);
}

static const char *config_load_kind_name(const struct config_yaml_node *y)
{
    if (config_load_is_null(y))
        return "nothing";
    switch (y->kind) {
    case CONFIG_YAML_SCALAR:
        return "a single value";
    case CONFIG_YAML_LIST:
        return "a list";
    case CONFIG_YAML_MAPPING:
        return "a group of keys";
    case CONFIG_YAML_ALIAS:
        break;
    }
    must_fail("kind of value", __FILE__, __LINE__);
}

static err config_load_item(struct config_loader *l, struct config_node *node,
                            const struct config_yaml_node *y)
{
    const struct config_yaml_node *shown = config_load_target(y);
    bool is_group = node->type == CONFIG_GROUPS;
    struct config_node *item = NULL;
    TRY(config_load_new(l, node, node->key, is_group ? CONFIG_GROUP : node->key->item, &item));
    config_load_locate(item, y, shown);
    config_load_add_child(node, item);
    item->is_set = true;
    if (is_group && shown->kind == CONFIG_YAML_MAPPING)
        return config_load_group(l, item, node->key->keys, shown);
    if (!is_group && shown->kind == CONFIG_YAML_SCALAR && !config_load_is_null(shown))
        return config_leaf_load(l, item, config_yaml_text(shown));
    config_message_mismatch(l, item, config_load_kind_name(shown));
    return OK;
}

static err config_load_list(struct config_loader *l, struct config_node *node,
                            const struct config_yaml_node *y)
{
    TRY(config_load_children(l, node, y->count));
    for (const struct config_yaml_node *child = y->first; child != NULL; child = child->next)
        TRY(config_load_item(l, node, child));
    config_load_check_count(l, node);
    return OK;
}

/* Whether the entry's name can stand here; one that cannot is a fault at the name. */
static bool config_load_takes_name(struct config_loader *l, const struct config_node *node,
                                   const struct config_yaml_node *y, struct map *names)
{
    if (!config_table_is_name(y->name)) {
        config_message_add_at_name(l, node, y,
                                   "not a name; expected 1 to %d letters, digits, \".\", \"_\" "
                                   "or \"-\"",
                                   CONFIG_NAME_BYTES_MAX);
        return false;
    }
    const struct config_yaml_node *first = map_get(names, y->name);
    if (first != NULL) {
        config_message_add_at_name(l, node, y, "stands here again; first at line %u",
                                   first->name_line);
        return false;
    }
    /* The map's values are not const; this one is only read. */
    (void)map_put(names, y->name, (void *)(uintptr_t)y);
    return true;
}

static err config_load_entry(struct config_loader *l, struct config_node *node,
                             const struct config_yaml_node *y)
{
    const struct config_yaml_node *shown = config_load_target(y);
    bool is_group = node->type == CONFIG_TABLE;
    struct config_node *entry = NULL;
    TRY(config_load_new(l, node, node->key, is_group ? CONFIG_GROUP : CONFIG_STRING, &entry));
    TRY(config_leaf_copy(l, y->name, &entry->name));
    config_load_locate(entry, y, shown);
    config_load_add_child(node, entry);
    entry->is_set = true;
    bool is_null = config_load_is_null(shown);
    if (is_group && (is_null || shown->kind == CONFIG_YAML_MAPPING))
        return config_load_group(l, entry, node->key->keys, is_null ? NULL : shown);
    if (!is_group && (is_null || config_load_is_plain(shown, SPAN("false")))) {
        entry->is_off = true;
        return OK;
    }
    if (!is_group && shown->kind == CONFIG_YAML_SCALAR)
        return config_leaf_load(l, entry, config_yaml_text(shown));
    config_message_mismatch(l, entry, config_load_kind_name(shown));
    return OK;
}

static err config_load_named(struct config_loader *l, struct config_node *node,
                             const struct config_yaml_node *y)
{
    struct map names CLEANUP(map_done);
    map_init(&names);
    TRY(config_load_children(l, node, y->count));
    for (const struct config_yaml_node *child = y->first; child != NULL; child = child->next)
        if (config_load_takes_name(l, node, child, &names))
            TRY(config_load_entry(l, node, child));
    config_load_check_count(l, node);
    return OK;
}

/* The fallback of a LIST: "[a, b]" with plain items. */
static err config_load_list_fallback(struct config_loader *l, struct config_node *node,
                                     struct span text)
{
    must(span_starts(text, SPAN("[")) && span_ends(text, SPAN("]")));
    struct span rest = span_trim(span_of(text.at + 1, text.len - 2));
    TRY(config_load_children(l, node, text.len));
    while (rest.len > 0) {
        struct config_node *item = NULL;
        TRY(config_load_new(l, node, node->key, node->key->item, &item));
        config_load_add_child(node, item);
        TRY(config_leaf_load(l, item, span_trim(span_cut(&rest, ','))));
    }
    return OK;
}

/* A key that is not in the file, or is off there. */
static err config_load_absent(struct config_loader *l, struct config_node *node)
{
    const struct config_key *key = node->key;
    if (key->is_required) {
        config_message_missing(l, node);
        return OK;
    }
    if (key->type == CONFIG_GROUP && !key->is_optional)
        return config_load_group(l, node, key->keys, NULL);
    if (key->fallback == NULL || node->is_off)
        return OK;
    if (key->type == CONFIG_LIST)
        return config_load_list_fallback(l, node, span_from(key->fallback));
    return config_leaf_load(l, node, span_from(key->fallback));
}

/* What the YAML must be for each type, and how it is bound. */
static err config_load_present(struct config_loader *l, struct config_node *node,
                               const struct config_yaml_node *shown)
{
    static const struct config_yaml_node nothing = {.kind = CONFIG_YAML_MAPPING};
    bool is_mapping_type =
        node->type == CONFIG_GROUP || node->type == CONFIG_TABLE || node->type == CONFIG_STRINGS;
    bool is_list_type = node->type == CONFIG_LIST || node->type == CONFIG_GROUPS;
    bool is_null = config_load_is_null(shown);
    enum config_yaml_kind wanted = is_mapping_type ? CONFIG_YAML_MAPPING
                                   : is_list_type  ? CONFIG_YAML_LIST
                                                   : CONFIG_YAML_SCALAR;
    bool is_container = wanted != CONFIG_YAML_SCALAR;
    if (is_null ? !is_container : shown->kind != wanted) {
        config_message_mismatch(l, node, config_load_kind_name(shown));
        return OK;
    }
    if (!is_container)
        return config_leaf_load(l, node, config_yaml_text(shown));
    /* A container with nothing behind its name is an empty one. */
    const struct config_yaml_node *content = is_null ? &nothing : shown;
    if (node->type == CONFIG_GROUP)
        return config_load_group(l, node, node->key->keys, content);
    return is_list_type ? config_load_list(l, node, content) : config_load_named(l, node, content);
}

/* The node of one key of a group; y == NULL: the file does not have it. */
static err config_load_key(struct config_loader *l, struct config_node *group,
                           const struct config_key *key, const struct config_yaml_node *y)
{
    struct config_node *node = NULL;
    TRY(config_load_new(l, group, key, key->type, &node));
    group->children[key - group->keys] = node;
    if (y == NULL)
        return config_load_absent(l, node);
    const struct config_yaml_node *shown = config_load_target(y);
    config_load_locate(node, y, shown);
    node->name_line = y->name_line;
    if (key->is_optional && config_load_is_off(shown)) {
        node->is_off = true;
        return config_load_absent(l, node);
    }
    node->is_set = true;
    return config_load_present(l, node, shown);
}

static err config_load_group(struct config_loader *l, struct config_node *node,
                             const struct config_key *keys, const struct config_yaml_node *y)
{
    node->keys = keys;
    node->count = config_table_count(keys);
    TRY(config_load_children(l, node, node->count));
    const struct config_yaml_node *child = y == NULL ? NULL : y->first;
    for (; child != NULL; child = child->next) {
        unsigned i = config_table_index(keys, child->name);
        if (i == node->count)
            config_message_unknown(l, node, child);
        else if (node->children[i] != NULL)
            config_message_add_at_name(l, node, child, "stands here again; first at line %u",
                                       node->children[i]->name_line);
        else
            TRY(config_load_key(l, node, &keys[i], child));
    }
    for (unsigned i = 0; i < node->count; i++)
        if (node->children[i] == NULL)
            TRY(config_load_key(l, node, &keys[i], NULL));
    return OK;
}

/* The rows of all tables as one, so that the root is a group like any other. */
static err config_load_join(struct config_loader *l, const struct config_key *const *tables)
{
    size_t count = 0;
    void *block = NULL;
    for (unsigned i = 0; tables[i] != NULL; i++)
        count += config_table_count(tables[i]);
    TRY(config_load_alloc(l, size_mul(count + 1, sizeof(struct config_key)), &block));
    struct config_key *joined = block;
    size_t at = 0;
    for (unsigned i = 0; tables[i] != NULL; i++)
        for (const struct config_key *row = tables[i]; row->name != NULL; row++) {
            must(config_table_index(joined, span_from(row->name)) == at);
            joined[at++] = *row;
        }
    l->c->keys = joined;
    return OK;
}

static err config_load_bind(struct config_loader *l, const struct config_yaml_node *y)
{
    void *block = NULL;
    TRY(config_load_alloc(l, sizeof *l->c->root, &block));
    struct config_node *root = block;
    root->config = l->c;
    root->type = CONFIG_GROUP;
    root->line = 1;
    root->column = 1;
    root->is_set = true;
    l->c->root = root;
    if (y == NULL || config_load_is_null(y))
        return config_load_group(l, root, l->c->keys, NULL);
    if (y->kind == CONFIG_YAML_MAPPING)
        return config_load_group(l, root, l->c->keys, y);
    root->line = y->line;
    root->column = y->column;
    config_message_mismatch(l, root, config_load_kind_name(y));
    return OK;
}

static err config_load_build(struct config_loader *l, const struct config_key *const *tables,
                             struct span yaml, const char *name)
{
    struct config_yaml tree CLEANUP(config_yaml_done) = {0};
    struct span path = {NULL, 0};
    TRY(config_leaf_copy(l, span_from(name), &path));
    l->c->path = path.at;
    TRY(config_load_join(l, tables));
    TRY(config_yaml_parse(yaml, name, &tree, l->report));
    TRY(config_load_bind(l, tree.root));
    return l->is_failed ? FAIL(CONFIG) : OK;
}

static err config_load_run(struct config_loader *l, const struct config_key *const *tables,
                           struct span yaml, const char *name, struct config **out)
{
    const struct config_place top = {name, 0, 0};
    if (yaml.len > CONFIG_FILE_BYTES_MAX) {
        config_report_add(l->report, &top, "the file has %zu bytes; allowed are %d", yaml.len,
                          CONFIG_FILE_BYTES_MAX);
        return FAIL(CONFIG);
    }
    l->c = MEM_NEW(struct config);
    l->c->magic = CONFIG_MAGIC;
    atomic_init(&l->c->refs, 1);
    arena_init(&l->c->arena, NULL, CONFIG_ARENA_BYTES);
    err outcome = config_load_build(l, tables, yaml, name);
    if (err_ok(outcome)) {
        *out = l->c;
        return OK;
    }
    config_free(l->c);
    if (err_is(outcome, ERR_CONFIG))
        return outcome;
    config_report_add(l->report, &top, "the configuration takes more memory than there is");
    return FAIL(NO_MEMORY);
}

err config_load_text(const struct config_key *const *tables, struct span yaml, const char *name,
                     struct config **out, struct config_report *report)
{
    struct config_loader l = {.report = report};
    return config_load_run(&l, tables, yaml, name, out);
}

err config_load_dry(const struct config_key *const *tables, struct span yaml, struct config **out,
                    struct config_report *report)
{
    struct config_loader l = {.report = report, .is_dry = true};
    return config_load_run(&l, tables, yaml, "table", out);
}

err config_load_file(const struct config_key *const *tables, const char *path, struct config **out,
                     struct config_report *report)
{
    struct fault why = {0};
    struct config_file_info info = {0};
    struct buf text CLEANUP(buf_wipe);
    buf_init(&text, CONFIG_FILE_BYTES_MAX);
    err outcome = config_file_read(path, &text, &info, &why);
    if (!err_ok(outcome)) {
        const struct config_place top = {path, 0, 0};
        config_report_add(report, &top, "%s", why.text);
        return err_is(outcome, ERR_TOO_LARGE) ? FAIL(CONFIG) : outcome;
    }
    struct config_loader l = {.report = report,
                              .folder = config_file_folder(path),
                              .is_world_readable = info.is_world_readable,
                              .mode = info.mode};
    return config_load_run(&l, tables, buf_span(&text), path, out);
}
