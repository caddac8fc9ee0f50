/* config_docs.c: the reference page of the configuration.
 *
 * The one hard thing: links between sections must lead somewhere, so an anchor is made from a
 * heading as the usual renderers make it. Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/config_docs.h"

#include <stdio.h>

#include "core/config_scalar.h"
#include "core/config_table.h"

#define CONFIG_DOCS_PATH_BYTES 256

struct config_docs_page {
    struct buf *out;
    bool is_restart; /* inherited from the keys above */
};

static const char config_docs_head[] =
    "# Configuration reference\n"
    "\n"
    "One YAML file holds the configuration, and this page is generated from the tables that\n"
    "validate it. `plimsoll check` reads the file and names each error with its line, column and\n"
    "key; unknown keys and keys that stand twice are errors. Keys that are not written read as\n"
    "their defaults. YAML is taken without tabs, tags and directives.\n"
    "\n"
    "`${NAME}` in a value stands for that environment variable, which must be set; `$${` stands\n"
    "for `${` itself. A reload puts `live` keys into effect at once; `restart` keys keep their\n"
    "value until the next start, and the reload says so. Where the default or the allowed values\n"
    "name `off`, the key can be turned off by `off`, `false` or nothing.\n"
    "\n"
    "| type | how it is written |\n"
    "|---|---|\n";

static err config_docs_types(struct buf *out)
{
    static const struct {
        enum config_type type;
        const char *note;
    } rows[] = {
        {CONFIG_BOOL, ""},
        {CONFIG_INT, "; decimal, without leading zeros"},
        {CONFIG_SIZE, ", in powers of 1024; a number without unit counts bytes"},
        {CONFIG_DURATION, ""},
        {CONFIG_RATE, ""},
        {CONFIG_PERCENT, ", with up to two decimals"},
        {CONFIG_STRING, ""},
        {CONFIG_CHOICE, " of words, given with the key"},
        {CONFIG_ADDRESS, ""},
        {CONFIG_FILE, "; a relative one starts at the folder of the configuration file"},
        {CONFIG_SECRET, "; never shown; a file that others can read is refused"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        TRY(buf_printf(out, "| %s | %s%s |\n", config_scalar_type_name(rows[i].type),
                       config_scalar_form(rows[i].type), rows[i].note));
    return OK;
}

static bool config_docs_has_section(const struct config_key *row)
{
    return row->type == CONFIG_GROUP || row->type == CONFIG_GROUPS || row->type == CONFIG_TABLE;
}

/* The path of a section: "routes[].limits[]", "upstreams.NAME". */
static void config_docs_path(const char *above, const struct config_key *row, char *out,
                             size_t size)
{
    const char *suffix = row->type == CONFIG_GROUPS  ? "[]"
                         : row->type == CONFIG_TABLE ? ".NAME"
                                                     : "";
    (void)snprintf(out, size, "%s%s%s%s", above, above[0] == '\0' ? "" : ".", row->name, suffix);
}

/* Lower case, and of the rest letters, digits, "-" and "_" alone. */
static err config_docs_anchor(struct buf *out, const char *heading)
{
    for (; *heading != '\0'; heading++) {
        char c = *heading;
        bool is_upper = c >= 'A' && c <= 'Z';
        bool is_kept =
            is_upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (is_kept)
            TRY(buf_add_char(out, is_upper ? (char)(c | 0x20) : c));
    }
    return OK;
}

/* Text for a cell of a table, where "|" would end it. */
static err config_docs_cell(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            TRY(buf_add_char(out, '\\'));
        TRY(buf_add_char(out, *text == '\n' ? ' ' : *text));
    }
    return OK;
}

static err config_docs_type(struct buf *out, const struct config_key *row)
{
    if (row->type == CONFIG_LIST)
        return buf_printf(out, "list of %s", config_scalar_type_name(row->item));
    return buf_add(out, span_from(config_scalar_type_name(row->type)));
}

static err config_docs_default(struct buf *out, const struct config_key *row)
{
    if (row->is_required)
        return buf_add(out, SPAN("required"));
    if (row->fallback == NULL && row->is_optional)
        return buf_add(out, SPAN("off"));
    if (row->fallback == NULL && row->type == CONFIG_GROUP)
        return buf_add(out, SPAN("its defaults"));
    if (row->fallback == NULL)
        return buf_add(out, row->type > CONFIG_GROUP || row->type == CONFIG_LIST ? SPAN("empty")
                                                                                 : SPAN("none"));
    TRY(buf_add_char(out, '`'));
    TRY(config_docs_cell(out, row->fallback[0] == '\0' ? "\"\"" : row->fallback));
    return buf_add_char(out, '`');
}

static err config_docs_allowed(struct buf *out, const struct config_key *row)
{
    char range[CONFIG_TABLE_RANGE_BYTES];
    size_t before = out->len;
    config_table_range(row, range);
    for (unsigned i = 0; row->choices != NULL && row->choices[i] != NULL; i++) {
        TRY(buf_add(out, i == 0 ? SPAN("`") : SPAN(", `")));
        TRY(config_docs_cell(out, row->choices[i]));
        TRY(buf_add_char(out, '`'));
    }
    if (range[0] != '\0')
        TRY(buf_printf(out, "%s%s", row->choices == NULL ? "" : "; ", range));
    if (row->is_optional)
        TRY(buf_printf(out, "%soff", out->len == before ? "" : ", or "));
    return OK;
}

static err config_docs_row(struct config_docs_page *page, const char *above,
                           const struct config_key *row)
{
    struct buf *out = page->out;
    char path[CONFIG_DOCS_PATH_BYTES];
    bool is_restart = page->is_restart || row->mode == CONFIG_RESTART;
    config_docs_path(above, row, path, sizeof path);
    if (config_docs_has_section(row)) {
        TRY(buf_printf(out, "| [`%s`](#", row->name));
        TRY(config_docs_anchor(out, path));
        TRY(buf_add(out, SPAN(") | ")));
    } else {
        TRY(buf_printf(out, "| `%s` | ", row->name));
    }
    TRY(config_docs_type(out, row));
    TRY(buf_add(out, SPAN(" | ")));
    TRY(config_docs_default(out, row));
    TRY(buf_add(out, SPAN(" | ")));
    TRY(config_docs_allowed(out, row));
    TRY(buf_printf(out, " | %s | ", is_restart ? "restart" : "live"));
    TRY(config_docs_cell(out, row->help));
    return buf_add(out, SPAN(" |\n"));
}

static err config_docs_rows(struct config_docs_page *page, const char *above,
                            const struct config_key *keys)
{
    TRY(buf_add(page->out, SPAN("\n| key | type | default | allowed | reload | meaning |\n"
                                "|---|---|---|---|---|---|\n")));
    for (; keys->name != NULL; keys++)
        TRY(config_docs_row(page, above, keys));
    return OK;
}

/* The examples of a group's rows, which a table cell has no room for. */
static err config_docs_examples(struct buf *out, const struct config_key *keys)
{
    bool is_open = false;
    for (; keys->name != NULL; keys++) {
        if (keys->example == NULL)
            continue;
        if (!is_open)
            TRY(buf_add(out, SPAN("\n```yaml\n")));
        is_open = true;
        TRY(config_table_write_entry(out, keys->name, keys->example));
    }
    return is_open ? buf_add(out, SPAN("```\n")) : OK;
}

static err config_docs_sections(struct config_docs_page page, const char *above,
                                const struct config_key *keys, unsigned depth);

static err config_docs_section(struct config_docs_page page, const char *above,
                               const struct config_key *row, unsigned depth)
{
    char path[CONFIG_DOCS_PATH_BYTES];
    config_docs_path(above, row, path, sizeof path);
    page.is_restart = page.is_restart || row->mode == CONFIG_RESTART;
    TRY(buf_printf(page.out, "\n%.*s `%s`\n\n%s\n", depth < 4 ? (int)depth + 2 : 6, "######", path,
                   row->help));
    TRY(config_docs_rows(&page, path, row->keys));
    TRY(config_docs_examples(page.out, row->keys));
    return config_docs_sections(page, path, row->keys, depth + 1);
}

static err config_docs_sections(struct config_docs_page page, const char *above,
                                const struct config_key *keys, unsigned depth)
{
    must(depth < CONFIG_DEPTH_MAX);
    for (; keys->name != NULL; keys++)
        if (config_docs_has_section(keys))
            TRY(config_docs_section(page, above, keys, depth));
    return OK;
}

err config_docs_reference(const struct config_key *const *tables, struct buf *out)
{
    struct config_docs_page page = {.out = out};
    TRY(buf_add(out, span_from(config_docs_head)));
    TRY(config_docs_types(out));
    TRY(buf_add(out, SPAN("\n## Top level\n\n| key | type | default | allowed | reload | meaning "
                          "|\n|---|---|---|---|---|---|\n")));
    for (unsigned i = 0; tables[i] != NULL; i++)
        for (const struct config_key *row = tables[i]; row->name != NULL; row++)
            TRY(config_docs_row(&page, "", row));
    for (unsigned i = 0; tables[i] != NULL; i++)
        TRY(config_docs_examples(out, tables[i]));
    for (unsigned i = 0; tables[i] != NULL; i++)
        TRY(config_docs_sections(page, "", tables[i], 0));
    return OK;
}
