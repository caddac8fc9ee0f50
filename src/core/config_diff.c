/* config_diff.c: which RESTART keys a reload cannot change.
 *
 * The one hard thing: entries come and go. Entries of a TABLE are the same when their names are,
 * those of lists when their places are; an entry that only one side has counts as a difference
 * only where the list itself is RESTART. Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/config_priv.h"

struct config_diff_walk {
    struct config_report *report;
    unsigned found;
};

static void config_diff_add(struct config_diff_walk *w, const struct config_node *node)
{
    (void)config_fault(node, w->report, "takes effect after a restart");
    w->found++;
}

static const struct config_node *config_diff_counterpart(const struct config_node *in,
                                                         const struct config_node *child)
{
    if (in->type == CONFIG_TABLE || in->type == CONFIG_STRINGS)
        return config_find(in, child->name);
    return child->index < in->count ? in->children[child->index] : NULL;
}

static bool config_diff_is_same(const struct config_node *a, const struct config_node *b);

/* The children of a group in the order of its keys, those of the rest by their counterparts. */
static bool config_diff_has_same_children(const struct config_node *a, const struct config_node *b)
{
    if (a->count != b->count)
        return false;
    for (unsigned i = 0; i < b->count; i++) {
        const struct config_node *other =
            b->type == CONFIG_GROUP ? a->children[i] : config_diff_counterpart(a, b->children[i]);
        if (other == NULL || !config_diff_is_same(other, b->children[i]))
            return false;
    }
    return true;
}

static bool config_diff_is_same(const struct config_node *a, const struct config_node *b)
{
    bool is_unlike = a->is_off != b->is_off || a->number != b->number ||
                     a->window_ms != b->window_ms || (a->text.at == NULL) != (b->text.at == NULL) ||
                     (a->text.at != NULL && !span_eq(a->text, b->text)) ||
                     (a->secret.at == NULL) != (b->secret.at == NULL);
    if (is_unlike)
        return false;
    if (a->secret.at != NULL &&
        !secret_equals(&a->secret, span_of((const char *)b->secret.at, b->secret.len)))
        return false;
    return config_diff_has_same_children(a, b);
}

static void config_diff_children(struct config_diff_walk *w, const struct config_node *before,
                                 const struct config_node *after)
{
    for (unsigned i = 0; i < after->count; i++) {
        const struct config_node *child = after->children[i];
        const struct config_node *other = NULL;
        if (after->type != CONFIG_GROUP)
            other = config_diff_counterpart(before, child);
        else if (i < before->count)
            other = before->children[i];
        if (other == NULL)
            continue;
        bool is_row = after->type == CONFIG_GROUP;
        if (!is_row || child->key->mode == CONFIG_LIVE)
            config_diff_children(w, other, child);
        else if (!config_diff_is_same(other, child))
            config_diff_add(w, child);
    }
}

unsigned config_diff(const struct config *before, const struct config *after,
                     struct config_report *report)
{
    struct config_diff_walk walk = {.report = report};
    config_diff_children(&walk, before->root, after->root);
    return walk.found;
}
