/* config_yaml.h: YAML text as a tree with positions, within limits.
 *
 * For the loader alone. Owned by the caller; one thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/arena.h"
#include "core/config.h"

enum config_yaml_kind {
    CONFIG_YAML_SCALAR,
    CONFIG_YAML_LIST,
    CONFIG_YAML_MAPPING,
    CONFIG_YAML_ALIAS
};

struct config_yaml_node {
    enum config_yaml_kind kind;
    bool is_plain; /* a scalar without quotes */
    unsigned line;
    unsigned column;
    char *text; /* of a scalar, NUL behind it; wiped by config_yaml_done */
    size_t text_len;
    struct span name; /* of an entry of a mapping; {NULL, 0} in a list */
    unsigned name_line;
    unsigned name_column;
    const struct config_yaml_node *target; /* of an alias; never an alias itself */
    struct config_yaml_node *first;        /* children of a list or mapping */
    struct config_yaml_node *last;
    struct config_yaml_node *next; /* sibling */
    unsigned count;
    unsigned nodes;                 /* with all below, each use of an alias counted anew */
    unsigned height;                /* 0: a scalar */
    struct config_yaml_node *older; /* all nodes of the tree */
};

struct config_yaml {
    struct arena arena;
    struct config_yaml_node *root; /* NULL: the text is empty */
    struct config_yaml_node *newest;
};

/* Fills *out, which config_yaml_done must free in every case. ERR_CONFIG with faults in *report
 * under the name `file`; ERR_NO_MEMORY. */
err config_yaml_parse(struct span text, const char *file, struct config_yaml *out,
                      struct config_report *report);
void config_yaml_done(struct config_yaml *y);

static inline struct span config_yaml_text(const struct config_yaml_node *node)
{
    return span_of(node->text, node->text_len);
}
