/* config_priv.h: the loaded configuration from inside, for the files config*.c alone.
 *
 * The one hard thing: a node stands for every key of every group, written or not, so that an
 * accessor never has to know defaults and an error can always name a place and a path. All nodes
 * and texts live in the configuration's arena; secrets live outside it, to be wiped.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdatomic.h>

#include "core/arena.h"
#include "core/config.h"

struct config_node {
    const struct config_key *key; /* the row, for an item or entry that of its list; root: NULL */
    const struct config_node *parent;
    const struct config *config; /* of the root only */
    enum config_type type;       /* of this node: for an item or entry not that of the row */
    unsigned line;
    unsigned column;
    unsigned name_line; /* of the key in the file, 0 when it is not written */
    unsigned index;     /* among the parent's children */
    bool is_set;
    bool is_off;
    struct span name;              /* of an entry of TABLE or STRINGS */
    const struct config_key *keys; /* of a group; the children stand in this order */
    struct config_node **children;
    unsigned count;
    struct span text;     /* of every scalar but a secret */
    int64_t number;       /* as config_int gives it; of a RATE its count; of a BOOL 0 or 1 */
    uint64_t window_ms;   /* of a RATE */
    struct secret secret; /* owned; wiped by the last unref */
    struct config_node *next_secret;
};

struct config {
    uint32_t magic;
    atomic_uint refs;
    struct arena arena;
    const char *path;              /* in the arena */
    const struct config_key *keys; /* of all tables together, in the arena */
    struct config_node *root;
    struct config_node *secrets; /* through next_secret */
};

#define CONFIG_MAGIC           0xc0f16501u
#define CONFIG_PATH_TEXT_BYTES 256

/* "routes[2].limits[0].rate", cut to fit; empty for the root. Returns `out`. */
char *config_node_path(const struct config_node *node, char out[CONFIG_PATH_TEXT_BYTES]);
const struct config *config_of(const struct config_node *node);
void config_free(struct config *c);

struct config_place {
    const char *file;
    unsigned line;
    unsigned column;
};

/* Keeps the report in file order; the last faults fall off a full one. */
void config_report_add(struct config_report *report, const struct config_place *place,
                       const char *format, ...) PRINTF_LIKE(3, 4);

/* config_load_text without the world around: ${NAME} and file: stand for any text. For the check
 * of the tables. */
err config_load_dry(const struct config_key *const *tables, struct span yaml, struct config **out,
                    struct config_report *report);
