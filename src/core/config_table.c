/* config_table.c: the rows that describe the keys.
 *
 * The one hard thing: a wrong row is found by no compiler, so config_table_validate loads every
 * fallback and example through the loader itself. Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/config_table.h"

#include <stdio.h>

#include "core/config_priv.h"
#include "core/config_scalar.h"
#include "core/mem.h"

unsigned config_table_count(const struct config_key *keys)
{
    unsigned count = 0;
    while (keys[count].name != NULL)
        count++;
    return count;
}

unsigned config_table_index(const struct config_key *keys, struct span name)
{
    unsigned i = 0;
    while (keys[i].name != NULL && !span_eq(span_from(keys[i].name), name))
        i++;
    return i;
}

bool config_table_is_name(struct span name)
{
    if (name.len == 0 || name.len > CONFIG_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alnum && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

static unsigned config_table_min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

/* How many single-byte edits lead from one to the other (Levenshtein). */
static unsigned config_table_distance(struct span a, struct span b)
{
    unsigned row[CONFIG_NAME_BYTES_MAX + 1];
    must(a.len <= CONFIG_NAME_BYTES_MAX && b.len <= CONFIG_NAME_BYTES_MAX);
    for (unsigned k = 0; k <= b.len; k++)
        row[k] = k;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned k = 1; k <= b.len; k++) {
            unsigned change = diagonal + (a.at[i - 1] == b.at[k - 1] ? 0 : 1);
            diagonal = row[k];
            row[k] = config_table_min3(change, row[k] + 1, row[k - 1] + 1);
        }
    }
    return row[b.len];
}

struct config_table_nearest {
    const char *name;
    unsigned distance;
};

static void config_table_consider(struct config_table_nearest *best, struct span found,
                                  const char *name)
{
    struct span candidate = span_from(name);
    if (found.len == 0 || found.len > CONFIG_NAME_BYTES_MAX ||
        candidate.len > CONFIG_NAME_BYTES_MAX)
        return;
    unsigned distance = config_table_distance(found, candidate);
    bool is_similar = distance <= 1 + candidate.len / 4 && distance < candidate.len;
    if (is_similar && (best->name == NULL || distance < best->distance))
        *best = (struct config_table_nearest){name, distance};
}

const char *config_table_near_key(const struct config_key *keys, struct span found)
{
    struct config_table_nearest best = {NULL, 0};
    for (; keys->name != NULL; keys++)
        config_table_consider(&best, found, keys->name);
    return best.name;
}

const char *config_table_near_choice(const char *const *choices, struct span found)
{
    struct config_table_nearest best = {NULL, 0};
    for (; *choices != NULL; choices++)
        config_table_consider(&best, found, *choices);
    return best.name;
}

struct config_table_bounds {
    int64_t min;
    int64_t max;
    const char *before; /* in words, around the numbers */
    const char *unit;
};

/* The bounds that a type has by nature. */
static struct config_table_bounds config_table_natural(enum config_type type)
{
    switch (type) {
    case CONFIG_INT:
        return (struct config_table_bounds){INT64_MIN, INT64_MAX, "", ""};
    case CONFIG_SIZE:
    case CONFIG_DURATION:
    case CONFIG_BOOL:
    case CONFIG_CHOICE:
        return (struct config_table_bounds){0, INT64_MAX, "", ""};
    case CONFIG_RATE:
        return (struct config_table_bounds){1, UINT32_MAX, "count ", ""};
    case CONFIG_PERCENT:
        return (struct config_table_bounds){0, 10000, "", ""};
    case CONFIG_STRING:
        return (struct config_table_bounds){0, CONFIG_TEXT_BYTES_MAX, "", " bytes"};
    case CONFIG_FILE:
    case CONFIG_SECRET:
        return (struct config_table_bounds){1, CONFIG_TEXT_BYTES_MAX, "", " bytes"};
    case CONFIG_ADDRESS:
        return (struct config_table_bounds){1, 65535, "port ", ""};
    case CONFIG_LIST:
    case CONFIG_GROUPS:
    case CONFIG_TABLE:
    case CONFIG_STRINGS:
        return (struct config_table_bounds){0, CONFIG_NODES_MAX, "", " entries"};
    case CONFIG_GROUP:
        return (struct config_table_bounds){0, 0, "", ""};
    }
    must_fail("config type", __FILE__, __LINE__);
}

static bool config_table_is_bounded(const struct config_key *row)
{
    return row->min != 0 || row->max != 0;
}

bool config_table_admits(const struct config_key *row, enum config_type type, int64_t value)
{
    struct config_table_bounds bounds = config_table_natural(type);
    if (type == row->type && config_table_is_bounded(row)) {
        bounds.min = row->min;
        bounds.max = row->max;
    }
    return value >= bounds.min && value <= bounds.max;
}

void config_table_range(const struct config_key *row, char out[CONFIG_TABLE_RANGE_BYTES])
{
    struct config_table_bounds natural = config_table_natural(row->type);
    char min[CONFIG_SCALAR_TEXT_BYTES];
    char max[CONFIG_SCALAR_TEXT_BYTES];
    out[0] = '\0';
    if (!config_table_is_bounded(row)) {
        if (row->type == CONFIG_PERCENT)
            (void)snprintf(out, CONFIG_TABLE_RANGE_BYTES, "from 0 to 100%%");
        return;
    }
    config_scalar_format(row->type, row->min, min);
    config_scalar_format(row->type, row->max, max);
    const char *unit = natural.unit;
    if (row->min <= natural.min && row->max >= natural.max)
        return;
    if (row->max >= natural.max)
        (void)snprintf(out, CONFIG_TABLE_RANGE_BYTES, "%sat least %s%s", natural.before, min, unit);
    else if (row->min <= natural.min)
        (void)snprintf(out, CONFIG_TABLE_RANGE_BYTES, "%sat most %s%s", natural.before, max, unit);
    else
        (void)snprintf(out, CONFIG_TABLE_RANGE_BYTES, "%sfrom %s to %s%s", natural.before, min, max,
                       unit);
}

static bool config_table_has_keys(enum config_type type)
{
    return type == CONFIG_GROUP || type == CONFIG_GROUPS || type == CONFIG_TABLE;
}

static bool config_table_has_choices(const struct config_key *row)
{
    return row->type == CONFIG_CHOICE || (row->type == CONFIG_LIST && row->item == CONFIG_CHOICE);
}

/* What is wrong with a row by itself, or NULL. */
static const char *config_table_flaw(const struct config_key *row)
{
    bool is_container = row->type > CONFIG_LIST;
    if (!config_table_is_name(span_from(row->name)))
        return "the name has characters that names cannot have";
    if (row->help == NULL || row->help[0] == '\0')
        return "there is no help";
    if (config_table_has_keys(row->type) != (row->keys != NULL))
        return "keys belong to GROUP, GROUPS and TABLE, and to them alone";
    if (config_table_has_choices(row) != (row->choices != NULL))
        return "choices belong to CHOICE, and to it alone";
    if (row->type == CONFIG_LIST && (row->item >= CONFIG_LIST || row->item == CONFIG_SECRET))
        return "the items of a list must be plain scalars";
    if (row->min > row->max)
        return "min is larger than max";
    if (row->is_required && (row->fallback != NULL || row->is_optional))
        return "a required key can have no fallback and cannot be optional";
    if (row->fallback != NULL && (is_container || row->type == CONFIG_SECRET))
        return "the type can have no fallback";
    if (row->fallback != NULL && row->type == CONFIG_LIST &&
        (!span_starts(span_from(row->fallback), SPAN("[")) ||
         !span_ends(span_from(row->fallback), SPAN("]"))))
        return "the fallback of a list must stand between [ and ]";
    if (row->is_optional && row->type == CONFIG_BOOL)
        return "a bool cannot be optional: false is a value of its own";
    return NULL;
}

err config_table_write_entry(struct buf *yaml, const char *name, const char *text)
{
    TRY(buf_printf(yaml, "%s:", name));
    bool is_block = strchr(text, '\n') != NULL || span_starts(span_from(text), SPAN("- "));
    for (struct span rest = span_from(text); rest.at != NULL;) {
        struct span line = span_cut(&rest, '\n');
        TRY(buf_printf(yaml, "%s%.*s", is_block ? "\n  " : " ", SPAN_ARGS(line)));
    }
    return buf_add_char(yaml, '\n');
}

/* Loads YAML against the row alone. */
static err config_table_load(const struct config_key *row, struct span yaml, struct fault *why)
{
    struct config_key keys[2] = {*row, {0}};
    const struct config_key *tables[] = {keys, NULL};
    struct config *loaded = NULL;
    struct config_report *report = MEM_NEW(struct config_report);
    err outcome = config_load_dry(tables, yaml, &loaded, report);
    if (!err_ok(outcome))
        (void)fault_set(why, ERR_INVALID, "%s", report->faults[0].text);
    config_unref(loaded);
    mem_free(report);
    return err_ok(outcome) ? OK : FAIL(INVALID);
}

/* The text as the value of the row. */
static err config_table_try(const struct config_key *row, const char *text, struct fault *why)
{
    struct buf yaml CLEANUP(buf_done);
    buf_init(&yaml, CONFIG_TEXT_BYTES_MAX);
    TRY(config_table_write_entry(&yaml, row->name, text));
    return config_table_load(row, buf_span(&yaml), why);
}

static err config_table_validate_keys(const struct config_key *keys, unsigned depth,
                                      struct fault *why);

static err config_table_validate_row(const struct config_key *row, unsigned depth,
                                     struct fault *why)
{
    struct fault inner = {0};
    const char *flaw = config_table_flaw(row);
    if (flaw != NULL)
        return fault_set(why, ERR_INVALID, "%s: %s", row->name, flaw);
    if (config_table_has_keys(row->type) &&
        !err_ok(config_table_validate_keys(row->keys, depth + 1, &inner)))
        return fault_set(why, ERR_INVALID, "%s.%s", row->name, inner.text);
    /* An empty file reads as the fallback, which need not be YAML. */
    if (row->fallback != NULL && !err_ok(config_table_load(row, SPAN(""), &inner)))
        return fault_set(why, ERR_INVALID, "%s: fallback \"%s\": %s", row->name, row->fallback,
                         inner.text);
    if (row->example != NULL && !err_ok(config_table_try(row, row->example, &inner)))
        return fault_set(why, ERR_INVALID, "%s: example \"%s\": %s", row->name, row->example,
                         inner.text);
    return OK;
}

static err config_table_validate_keys(const struct config_key *keys, unsigned depth,
                                      struct fault *why)
{
    if (depth >= CONFIG_DEPTH_MAX)
        return fault_set(why, ERR_INVALID, "the tables stand too deep in one another");
    for (unsigned i = 0; keys[i].name != NULL; i++) {
        if (config_table_index(keys, span_from(keys[i].name)) != i)
            return fault_set(why, ERR_INVALID, "%s: stands twice", keys[i].name);
        TRY(config_table_validate_row(&keys[i], depth, why));
    }
    return OK;
}

err config_table_validate(const struct config_key *const *tables, struct fault *why)
{
    for (unsigned i = 0; tables[i] != NULL; i++) {
        TRY(config_table_validate_keys(tables[i], 0, why));
        for (const struct config_key *row = tables[i]; row->name != NULL; row++)
            for (unsigned k = 0; k < i; k++)
                if (tables[k][config_table_index(tables[k], span_from(row->name))].name != NULL)
                    return fault_set(why, ERR_INVALID, "%s: stands in two tables", row->name);
    }
    return OK;
}
