/* list.h: the intrusive doubly linked list.
 *
 * The node lives inside the object, so linking never allocates and an object can take itself out.
 * A node that is in no list points at itself. Owner of the objects is whoever made them.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdbool.h>

#include "core/must.h"

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

/* Also for nodes: whether the node stands in a list. A zeroed node counts as unlinked. */
static inline bool list_is_linked(const struct list *node)
{
    return node->next != NULL && node->next != node;
}

static inline void list_push_back(struct list *l, struct list *node)
{
    node->prev = l->prev;
    node->next = l;
    l->prev->next = node;
    l->prev = node;
}

static inline void list_push_front(struct list *l, struct list *node)
{
    list_push_back(l->next, node);
}

/* Unlinks a node; one that is in no list stays so. */
static inline void list_remove(struct list *node)
{
    if (node->next == NULL)
        return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* First node, unlinked, or NULL. */
static inline struct list *list_pop_front(struct list *l)
{
    struct list *node = l->next;
    if (node == l)
        return NULL;
    list_remove(node);
    return node;
}

/* Moves all nodes of `from` to the end of `to`. */
static inline void list_take_all(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_each(node, l) for (struct list *node = (l)->next; node != (l); node = node->next)

/* The current node may be removed in the body. */
#define list_each_safe(node, following, l)                                                         \
    for (struct list *node = (l)->next, *following = node->next; node != (l);                      \
         node = following, following = node->next)
