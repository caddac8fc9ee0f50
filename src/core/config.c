/* config.c: reading a loaded configuration, and its end.
 *
 * The one hard thing is none of its own: a configuration does not change after the load, so any
 * thread reads without a lock, and the reference count alone is atomic.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/config.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/config_priv.h"
#include "core/mem.h"

void config_free(struct config *c)
{
    must(c->magic == CONFIG_MAGIC);
    for (struct config_node *node = c->secrets; node != NULL; node = node->next_secret)
        secret_done(&node->secret);
    arena_done(&c->arena);
    c->magic = 0;
    mem_free(c);
}

struct config *config_ref(struct config *c)
{
    must(c->magic == CONFIG_MAGIC);
    unsigned before = atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    must(before > 0 && before < UINT32_MAX);
    return c;
}

void config_unref(struct config *c)
{
    if (c == NULL)
        return;
    must(c->magic == CONFIG_MAGIC);
    unsigned before = atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel);
    must(before > 0);
    if (before == 1)
        config_free(c);
}

const struct config_node *config_root(const struct config *c)
{
    return c->root;
}

const char *config_path(const struct config *c)
{
    return c->path;
}

/* The child for a key, which must stand in the table of the group. */
static const struct config_node *config_slot(const struct config_node *group, const char *key)
{
    must(group != NULL && group->type == CONFIG_GROUP);
    for (unsigned i = 0; i < group->count; i++)
        if (strcmp(group->keys[i].name, key) == 0)
            return group->children[i];
    must_fail(key, "no such configuration key", 0);
}

static bool config_is_number(enum config_type type)
{
    return type == CONFIG_INT || type == CONFIG_SIZE || type == CONFIG_DURATION ||
           type == CONFIG_PERCENT || type == CONFIG_CHOICE;
}

static bool config_is_text(enum config_type type)
{
    return type == CONFIG_STRING || type == CONFIG_ADDRESS || type == CONFIG_FILE ||
           type == CONFIG_CHOICE;
}

bool config_is_set(const struct config_node *group, const char *key)
{
    return config_slot(group, key)->is_set;
}

bool config_is_off(const struct config_node *group, const char *key)
{
    const struct config_node *node = config_slot(group, key);
    must(node->key->is_optional);
    return node->is_off;
}

const struct config_node *config_child(const struct config_node *group, const char *key)
{
    const struct config_node *node = config_slot(group, key);
    bool is_absent = node->type == CONFIG_GROUP && node->key->is_optional && !node->is_set;
    return is_absent ? NULL : node;
}

bool config_bool(const struct config_node *group, const char *key)
{
    const struct config_node *node = config_slot(group, key);
    must(node->type == CONFIG_BOOL);
    return node->number != 0;
}

int64_t config_int(const struct config_node *group, const char *key)
{
    const struct config_node *node = config_slot(group, key);
    must(config_is_number(node->type));
    return node->number;
}

struct span config_span(const struct config_node *group, const char *key)
{
    const struct config_node *node = config_slot(group, key);
    must(config_is_text(node->type));
    return node->text;
}

struct config_rate config_rate(const struct config_node *group, const char *key)
{
    return config_value_rate(config_slot(group, key));
}

const struct secret *config_secret(const struct config_node *group, const char *key)
{
    const struct config_node *node = config_slot(group, key);
    must(node->type == CONFIG_SECRET);
    return node->secret.at == NULL ? NULL : &node->secret;
}

static bool config_is_container(enum config_type type)
{
    return type == CONFIG_LIST || type == CONFIG_GROUPS || type == CONFIG_TABLE ||
           type == CONFIG_STRINGS;
}

unsigned config_count(const struct config_node *node)
{
    must(config_is_container(node->type));
    return node->count;
}

const struct config_node *config_at(const struct config_node *node, unsigned i)
{
    must(config_is_container(node->type) && i < node->count);
    return node->children[i];
}

const struct config_node *config_find(const struct config_node *node, struct span name)
{
    must(node->type == CONFIG_TABLE || node->type == CONFIG_STRINGS);
    for (unsigned i = 0; i < node->count; i++)
        if (span_eq(node->children[i]->name, name))
            return node->children[i];
    return NULL;
}

struct span config_name(const struct config_node *node)
{
    must(node->name.at != NULL);
    return node->name;
}

struct span config_value(const struct config_node *node)
{
    must(node->type < CONFIG_LIST && node->type != CONFIG_SECRET);
    return node->text;
}

int64_t config_value_int(const struct config_node *node)
{
    must(config_is_number(node->type));
    return node->number;
}

struct config_rate config_value_rate(const struct config_node *node)
{
    must(node->type == CONFIG_RATE);
    return (struct config_rate){(uint32_t)node->number, node->window_ms};
}

const struct config *config_of(const struct config_node *node)
{
    while (node->parent != NULL)
        node = node->parent;
    return node->config;
}

/* How the parent's path goes on to this node: ".key", ".name" or "[2]". */
static void config_append_step(const struct config_node *node, char *out, size_t size)
{
    const char *dot = out[0] == '\0' ? "" : ".";
    size_t used = strlen(out);
    char *at = out + used;
    if (node->name.at != NULL)
        (void)snprintf(at, size - used, "%s%.*s", dot, SPAN_ARGS(node->name));
    else if (node->parent->type == CONFIG_GROUP)
        (void)snprintf(at, size - used, "%s%s", dot, node->key->name);
    else
        (void)snprintf(at, size - used, "[%u]", node->index);
}

char *config_node_path(const struct config_node *node, char out[CONFIG_PATH_TEXT_BYTES])
{
    const struct config_node *steps[2 * CONFIG_DEPTH_MAX];
    unsigned count = 0;
    for (; node->parent != NULL; node = node->parent) {
        must(count < COUNT_OF(steps));
        steps[count++] = node;
    }
    out[0] = '\0';
    while (count > 0)
        config_append_step(steps[--count], out, CONFIG_PATH_TEXT_BYTES);
    return out;
}

err config_fault(const struct config_node *node, struct config_report *report, const char *format,
                 ...)
{
    char path[CONFIG_PATH_TEXT_BYTES];
    char text[sizeof report->faults[0].text];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    config_node_path(node, path);
    const struct config_place place = {config_of(node)->path, node->line, node->column};
    config_report_add(report, &place, "%s%s%s", path, path[0] == '\0' ? "" : ": ", text);
    return FAIL(CONFIG);
}
