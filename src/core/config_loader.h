/* config_loader.h: what the files of the loader share: its state, memory and messages.
 *
 * For config_load.c, config_leaf.c and config_message.c alone. Lives on the stack of one load.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/config_priv.h"
#include "core/config_yaml.h"

struct config_loader {
    struct config *c;
    struct config_report *report;
    struct span folder;     /* where relative paths start; empty: they stay as they are */
    bool is_world_readable; /* the file; `mode` are its permission bits */
    unsigned mode;
    bool is_dry;
    bool is_failed;
};

/* A fault at the node's place, its path in front. */
void config_message_add(struct config_loader *l, const struct config_node *node, const char *format,
                        ...) PRINTF_LIKE(3, 4);
/* A fault at the name of an entry of the file, the path of group and name in front. */
void config_message_add_at_name(struct config_loader *l, const struct config_node *group,
                                const struct config_yaml_node *entry, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* "found X; expected Y", where X says what kind of thing was found. */
void config_message_mismatch(struct config_loader *l, const struct config_node *node,
                             const char *found);
/* The same with the text of a scalar, which is not shown when the node is a secret. */
void config_message_mismatch_text(struct config_loader *l, const struct config_node *node,
                                  struct span written);
void config_message_missing(struct config_loader *l, const struct config_node *node);
void config_message_unknown(struct config_loader *l, const struct config_node *group,
                            const struct config_yaml_node *entry);

/* Fills a scalar node from the text as it stands in the file or in the row's fallback. A value
 * that is not allowed is a fault in the report, not an error. ERR_NO_MEMORY, ERR_TOO_LARGE. */
err config_leaf_load(struct config_loader *l, struct config_node *node, struct span written);
/* A copy in the configuration's arena with a NUL behind it. */
err config_leaf_copy(struct config_loader *l, struct span text, struct span *out);
