/* config.h: one YAML file, read through the tables of the parts.
 *
 * A part describes its keys in `struct config_key` rows; from the rows come validation, defaults,
 * the JSON Schema and the reference page. A loaded configuration is immutable and counted, so a
 * request can pin one while a reload brings the next. Everything that an accessor returns is
 * borrowed from the configuration and stays until its last config_unref. Reading: any thread.
 *
 * Accessors take a key that must stand in the group's table: a misspelt key is our bug and must()
 * finds it. An absent key reads as its fallback.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/buf.h"
#include "core/secret.h"

enum config_type {
    CONFIG_BOOL,     /* true or false */
    CONFIG_INT,      /* a whole number */
    CONFIG_SIZE,     /* bytes: 512b 16kb 1mb 2gb, powers of 1024 */
    CONFIG_DURATION, /* milliseconds: 250ms 2s 5m 1h 90d */
    CONFIG_RATE,     /* 10/s 100/min 20/h 1000/d; min and max bound the count */
    CONFIG_PERCENT,  /* 0 to 100, two decimals, "%" optional; kept in basis points: 12.5 -> 1250 */
    CONFIG_STRING,   /* min and max bound the bytes */
    CONFIG_CHOICE,   /* one of `choices`; config_int gives the index */
    CONFIG_ADDRESS,  /* host:port, [v6]:port, unix:/path; min and max bound the port */
    CONFIG_FILE,     /* a path; a relative one starts at the configuration file's folder */
    CONFIG_SECRET,   /* text, ${NAME} or file:path; min and max bound the bytes */
    CONFIG_LIST,     /* of the scalar type `item`; min and max bound the count */
    CONFIG_GROUP,    /* fixed keys: `keys` */
    CONFIG_GROUPS,   /* list of groups of `keys`; min and max bound the count */
    CONFIG_TABLE,    /* name -> group of `keys`; min and max bound the count */
    CONFIG_STRINGS,  /* name -> text, null or false; min and max bound the count */
};

/* What a change of the key needs. RESTART holds for everything below the key as well. */
enum config_mode { CONFIG_LIVE, CONFIG_RESTART };

/* One row. Arrays of rows end with a row whose name is NULL. Names are [A-Za-z0-9._-]. */
struct config_key {
    const char *name;
    enum config_type type;
    enum config_type item; /* of CONFIG_LIST */
    /* Inclusive, in the unit that the accessor returns. Both 0: only the type's own bounds. */
    int64_t min;
    int64_t max;
    const char *fallback;       /* the default as it would be written in the file; NULL: none */
    const char *const *choices; /* of CONFIG_CHOICE or a list of it; ends with NULL */
    enum config_mode mode;
    bool is_required;
    /* The key can be turned off: `off`, `false` or null in the file reads as absent in spite of a
     * fallback (config_is_off). An optional GROUP that is absent or off is NULL. */
    bool is_optional;
    const struct config_key *keys; /* of GROUP, GROUPS and TABLE */
    const char *help;              /* one sentence */
    const char *example;           /* as written in the file; NULL: none */
};

struct config_rate {
    uint32_t count; /* 0: absent */
    uint64_t window_ms;
};

struct config;
struct config_node;

#define CONFIG_REPORT_MAX 20

/* The errors of one load, in file order. Zero is a valid empty report. About 16 KB: put it into
 * the heap or a static, not beside other large things on a stack. */
struct config_report {
    struct fault faults[CONFIG_REPORT_MAX];
    unsigned count;
    bool has_more; /* there were others behind the last one */
};

#define CONFIG_FILE_BYTES_MAX 1048576 /* of the YAML text */
#define CONFIG_DEPTH_MAX      16      /* of lists and mappings in one another */
#define CONFIG_NODES_MAX      50000   /* of the document, each use of an alias counted anew */
#define CONFIG_ALIASES_MAX    100     /* uses of YAML aliases */
#define CONFIG_NAME_BYTES_MAX 64      /* of a name in a TABLE or STRINGS */
#define CONFIG_TEXT_BYTES_MAX 65536   /* of one value and of a file of a secret */

/* `tables` ends with NULL; each is an array of top-level keys, and no key stands in two of them.
 * On OK *out is the configuration with one reference. Otherwise ERR_CONFIG (ERR_IO when the file
 * cannot be read, ERR_NO_MEMORY) and every error that was found is in *report. A worker or the
 * start of the process: reads files. */
err config_load_file(const struct config_key *const *tables, const char *path, struct config **out,
                     struct config_report *report);
/* The same for text; `name` stands for the file in messages, relative paths stay as they are. */
err config_load_text(const struct config_key *const *tables, struct span yaml, const char *name,
                     struct config **out, struct config_report *report);

/* Any thread. */
struct config *config_ref(struct config *c);
void config_unref(struct config *c); /* accepts NULL; the last one frees and wipes secrets */

const struct config_node *config_root(const struct config *c);
const char *config_path(const struct config *c); /* as given to the load */

/* Written in the file (as something other than off). */
bool config_is_set(const struct config_node *group, const char *key);
/* Turned off in the file; only for keys that are is_optional. */
bool config_is_off(const struct config_node *group, const char *key);
/* The node of a key: a GROUP (NULL only when it is optional and absent), a list or table (maybe
 * empty), or a scalar, which serves as the place for config_fault. */
const struct config_node *config_child(const struct config_node *group, const char *key);

bool config_bool(const struct config_node *group, const char *key); /* absent: false */
/* INT, SIZE in bytes, DURATION in ms, PERCENT in basis points, CHOICE as index. Absent: 0. */
int64_t config_int(const struct config_node *group, const char *key);
/* STRING, ADDRESS, FILE, CHOICE; a NUL stands behind it. Absent without fallback: {NULL, 0}. */
struct span config_span(const struct config_node *group, const char *key);
struct config_rate config_rate(const struct config_node *group, const char *key);
const struct secret *config_secret(const struct config_node *group, const char *key); /* or NULL */

/* Of LIST, GROUPS, TABLE and STRINGS, in file order. */
unsigned config_count(const struct config_node *node);
const struct config_node *config_at(const struct config_node *node, unsigned i);
/* The entry of a TABLE or STRINGS with this name, or NULL. */
const struct config_node *config_find(const struct config_node *node, struct span name);
struct span config_name(const struct config_node *node); /* of an entry of TABLE or STRINGS */
/* Text of a list item, of a STRINGS entry ({NULL, 0}: null, false) or of any scalar but a secret;
 * a NUL stands behind it. */
struct span config_value(const struct config_node *node);
int64_t config_value_int(const struct config_node *node); /* as config_int, of a list item */
struct config_rate config_value_rate(const struct config_node *node);

/* Appends an error at this node's position, its key path in front of the text, and returns
 * ERR_CONFIG. For what a table cannot say, such as a name that must exist elsewhere. */
err config_fault(const struct config_node *node, struct config_report *report, const char *format,
                 ...) PRINTF_LIKE(3, 4);
/* "plimsoll.yaml:3:7: routes[0].to: ..." for each fault, one a line. */
err config_report_write(const struct config_report *report, struct buf *out);

/* Appends one entry for each RESTART key that differs, at its place in `after`, and returns their
 * number (which may be larger than what the report holds). Both of the same tables. */
unsigned config_diff(const struct config *before, const struct config *after,
                     struct config_report *report);
