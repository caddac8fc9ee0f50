/* config_docs_schema.c: the JSON Schema of the configuration, for editors.
 *
 * The one hard thing: a schema must not refuse what the loader takes. Every scalar may be
 * ${NAME}; what YAML reads as a number may be meant as a text; lengths count characters here and
 * bytes there. Where both cannot be had, the schema is the milder one. Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/config_docs.h"

#include "core/config_scalar.h"
#include "core/config_table.h"
#include "core/json.h"

#define CONFIG_DOCS_DESCRIPTION_BYTES 2048

static bool config_docs_schema_is_bounded(const struct config_key *row)
{
    return row->min != 0 || row->max != 0;
}

/* One member with a text value; a list of two types is written as such. */
static void config_docs_schema_types(struct json *j, const char *const *types)
{
    json_key(j, "type");
    if (types[1] == NULL) {
        json_text(j, types[0]);
        return;
    }
    json_array(j);
    for (; *types != NULL; types++)
        json_text(j, *types);
    json_array_end(j);
}

#define CONFIG_DOCS_SCHEMA_TYPES(j, ...)                                                           \
    config_docs_schema_types((j), (const char *const[]){__VA_ARGS__, NULL})

static void config_docs_schema_bounds(struct json *j, const char *min_name, int64_t min,
                                      const char *max_name, int64_t max)
{
    json_key(j, min_name);
    json_i64(j, min);
    if (max == INT64_MAX)
        return;
    json_key(j, max_name);
    json_i64(j, max);
}

static void config_docs_schema_pattern(struct json *j, enum config_type type)
{
    const char *pattern = config_scalar_pattern(type);
    if (pattern == NULL)
        return;
    json_key(j, "pattern");
    json_text(j, pattern);
}

/* The loader counts bytes; a character has one to four of them. */
static void config_docs_schema_text(struct json *j, const struct config_key *row,
                                    enum config_type type)
{
    bool is_bounded = type == row->type && config_docs_schema_is_bounded(row);
    int64_t least = is_bounded ? row->min : type == CONFIG_STRING ? 0 : 1;
    CONFIG_DOCS_SCHEMA_TYPES(j, "string", "number", "boolean");
    if (least > 0) {
        json_key(j, "minLength");
        json_i64(j, (least + 3) / 4);
    }
    if (is_bounded && row->max < CONFIG_TEXT_BYTES_MAX) {
        json_key(j, "maxLength");
        json_i64(j, row->max);
    }
}

static void config_docs_schema_choice(struct json *j, const struct config_key *row)
{
    json_key(j, "enum");
    json_array(j);
    for (const char *const *choice = row->choices; *choice != NULL; choice++)
        json_text(j, *choice);
    json_array_end(j);
}

/* The value of a scalar as it is written, without ${NAME} and off. */
static void config_docs_schema_plain(struct json *j, const struct config_key *row,
                                     enum config_type type)
{
    bool is_bounded = type == row->type && config_docs_schema_is_bounded(row);
    json_object(j);
    if (type == CONFIG_BOOL) {
        CONFIG_DOCS_SCHEMA_TYPES(j, "boolean");
    } else if (type == CONFIG_CHOICE) {
        config_docs_schema_choice(j, row);
    } else if (type == CONFIG_INT) {
        CONFIG_DOCS_SCHEMA_TYPES(j, "integer", "string");
        if (is_bounded)
            config_docs_schema_bounds(j, "minimum", row->min, "maximum", row->max);
    } else if (type == CONFIG_SIZE) {
        CONFIG_DOCS_SCHEMA_TYPES(j, "string", "integer");
        config_docs_schema_bounds(j, "minimum", is_bounded ? row->min : 0, "maximum",
                                  is_bounded ? row->max : INT64_MAX);
    } else if (type == CONFIG_DURATION) {
        CONFIG_DOCS_SCHEMA_TYPES(j, "string", "integer");
        config_docs_schema_bounds(j, "minimum", 0, "maximum", 0); /* 0 alone has no unit */
    } else if (type == CONFIG_PERCENT) {
        CONFIG_DOCS_SCHEMA_TYPES(j, "number", "string");
        json_key(j, "minimum");
        json_double(j, is_bounded ? (double)row->min / 100 : 0);
        json_key(j, "maximum");
        json_double(j, is_bounded ? (double)row->max / 100 : 100);
    } else if (type == CONFIG_RATE || type == CONFIG_ADDRESS) {
        CONFIG_DOCS_SCHEMA_TYPES(j, "string");
    } else {
        config_docs_schema_text(j, row, type);
    }
    config_docs_schema_pattern(j, type);
    json_object_end(j);
}

static void config_docs_schema_any_of(struct json *j, const struct config_key *row,
                                      enum config_type type, bool is_optional)
{
    json_key(j, "anyOf");
    json_array(j);
    config_docs_schema_plain(j, row, type);
    json_object(j);
    json_key(j, "$ref");
    json_text(j, "#/$defs/variable");
    json_object_end(j);
    if (is_optional) {
        json_object(j);
        json_key(j, "$ref");
        json_text(j, "#/$defs/off");
        json_object_end(j);
    }
    json_array_end(j);
}

/* The fallback as its type is written in JSON: 4, true or "2s". */
static void config_docs_schema_scalar(struct json *j, enum config_type type, struct span text)
{
    int64_t number = 0;
    if (type == CONFIG_INT && err_ok(config_scalar_int(text, &number)))
        json_i64(j, number);
    else if (type == CONFIG_BOOL)
        json_bool(j, span_eq(text, SPAN("true")));
    else
        json_string(j, text);
}

static void config_docs_schema_default(struct json *j, const struct config_key *row)
{
    if (row->fallback == NULL)
        return;
    struct span text = span_from(row->fallback);
    json_key(j, "default");
    if (row->type != CONFIG_LIST) {
        config_docs_schema_scalar(j, row->type, text);
        return;
    }
    struct span rest = span_trim(span_of(text.at + 1, text.len - 2));
    json_array(j);
    while (rest.len > 0)
        config_docs_schema_scalar(j, row->item, span_trim(span_cut(&rest, ',')));
    json_array_end(j);
}

static void config_docs_schema_description(struct json *j, const struct config_key *row)
{
    char range[CONFIG_TABLE_RANGE_BYTES];
    struct buf out CLEANUP(buf_done);
    buf_init(&out, CONFIG_DOCS_DESCRIPTION_BYTES);
    config_table_range(row, range);
    const char *form =
        row->type < CONFIG_LIST || range[0] != '\0' ? config_scalar_form(row->type) : "";
    /* What is too long for the buf is left out; the description is then shorter. */
    (void)buf_add(&out, span_from(row->help));
    if (form[0] != '\0')
        (void)buf_printf(&out, " Written as %s%s%s.", form, range[0] == '\0' ? "" : ", ", range);
    if (row->mode == CONFIG_RESTART)
        (void)buf_add(&out, SPAN(" A change takes effect after a restart."));
    json_key(j, "description");
    json_string(j, buf_span(&out));
}

static void config_docs_schema_row(struct json *j, const struct config_key *row, unsigned depth);

/* The members of an object schema: properties, required, additionalProperties. */
static void config_docs_schema_keys(struct json *j, const struct config_key *const *tables,
                                    unsigned depth)
{
    must(depth < CONFIG_DEPTH_MAX);
    unsigned required = 0;
    json_key(j, "properties");
    json_object(j);
    for (unsigned i = 0; tables[i] != NULL; i++)
        for (const struct config_key *row = tables[i]; row->name != NULL; row++) {
            required += row->is_required ? 1 : 0;
            json_key(j, row->name);
            config_docs_schema_row(j, row, depth);
        }
    json_object_end(j);
    if (required > 0) {
        json_key(j, "required");
        json_array(j);
        for (unsigned i = 0; tables[i] != NULL; i++)
            for (const struct config_key *row = tables[i]; row->name != NULL; row++)
                if (row->is_required)
                    json_text(j, row->name);
        json_array_end(j);
    }
    json_key(j, "additionalProperties");
    json_bool(j, false);
}

static void config_docs_schema_group(struct json *j, const struct config_key *row, unsigned depth)
{
    const struct config_key *const tables[] = {row->keys, NULL};
    if (row->type == CONFIG_GROUPS)
        CONFIG_DOCS_SCHEMA_TYPES(j, "object");
    else
        CONFIG_DOCS_SCHEMA_TYPES(j, "object", "null");
    config_docs_schema_keys(j, tables, depth + 1);
}

static void config_docs_schema_list(struct json *j, const struct config_key *row, unsigned depth)
{
    bool is_empty_allowed = !config_docs_schema_is_bounded(row) || row->min == 0;
    if (is_empty_allowed)
        CONFIG_DOCS_SCHEMA_TYPES(j, "array", "null");
    else
        CONFIG_DOCS_SCHEMA_TYPES(j, "array");
    json_key(j, "items");
    json_object(j);
    if (row->type == CONFIG_GROUPS)
        config_docs_schema_group(j, row, depth);
    else
        config_docs_schema_any_of(j, row, row->item, false);
    json_object_end(j);
    if (config_docs_schema_is_bounded(row))
        config_docs_schema_bounds(j, "minItems", row->min, "maxItems", row->max);
}

static void config_docs_schema_named(struct json *j, const struct config_key *row, unsigned depth)
{
    CONFIG_DOCS_SCHEMA_TYPES(j, "object", "null");
    json_key(j, "propertyNames");
    json_object(j);
    json_key(j, "pattern");
    json_text(j, "^[A-Za-z0-9._-]{1,64}$");
    json_object_end(j);
    json_key(j, "additionalProperties");
    json_object(j);
    if (row->type == CONFIG_TABLE)
        config_docs_schema_group(j, row, depth);
    else
        CONFIG_DOCS_SCHEMA_TYPES(j, "string", "number", "boolean", "null");
    json_object_end(j);
    if (config_docs_schema_is_bounded(row))
        config_docs_schema_bounds(j, "minProperties", row->min, "maxProperties", row->max);
}

static void config_docs_schema_container(struct json *j, const struct config_key *row,
                                         unsigned depth)
{
    if (row->type == CONFIG_GROUP)
        config_docs_schema_group(j, row, depth);
    else if (row->type == CONFIG_LIST || row->type == CONFIG_GROUPS)
        config_docs_schema_list(j, row, depth);
    else
        config_docs_schema_named(j, row, depth);
}

static void config_docs_schema_row(struct json *j, const struct config_key *row, unsigned depth)
{
    json_object(j);
    config_docs_schema_description(j, row);
    if (row->type < CONFIG_LIST) {
        config_docs_schema_any_of(j, row, row->type, row->is_optional);
    } else if (row->is_optional) {
        json_key(j, "anyOf");
        json_array(j);
        json_object(j);
        config_docs_schema_container(j, row, depth);
        json_object_end(j);
        json_object(j);
        json_key(j, "$ref");
        json_text(j, "#/$defs/off");
        json_object_end(j);
        json_array_end(j);
    } else {
        config_docs_schema_container(j, row, depth);
    }
    config_docs_schema_default(j, row);
    json_object_end(j);
}

/* ${NAME} in any scalar, and the ways to turn an optional key off. */
static void config_docs_schema_defs(struct json *j)
{
    json_key(j, "$defs");
    json_object(j);
    json_key(j, "variable");
    json_object(j);
    CONFIG_DOCS_SCHEMA_TYPES(j, "string");
    json_key(j, "pattern");
    json_text(j, "\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}");
    json_object_end(j);
    json_key(j, "off");
    json_object(j);
    json_key(j, "enum");
    json_array(j);
    json_text(j, "off");
    json_bool(j, false);
    json_null(j);
    json_array_end(j);
    json_object_end(j);
    json_object_end(j);
}

struct config_docs_indent {
    struct buf *out;
    unsigned depth;
    bool is_in_text;
    bool is_escaped;
};

static err config_docs_schema_break(struct config_docs_indent *w)
{
    TRY(buf_add_char(w->out, '\n'));
    for (unsigned i = 0; i < w->depth; i++)
        TRY(buf_add(w->out, SPAN("  ")));
    return OK;
}

static err config_docs_schema_text_char(struct config_docs_indent *w, char c)
{
    if (c == '"' && !w->is_escaped)
        w->is_in_text = !w->is_in_text;
    w->is_escaped = w->is_in_text && c == '\\' && !w->is_escaped;
    return buf_add_char(w->out, c);
}

/* Compact JSON of our own with each member and item on a line of its own. */
static err config_docs_schema_indent(struct span compact, struct buf *out)
{
    struct config_docs_indent w = {.out = out};
    for (size_t i = 0; i < compact.len; i++) {
        char c = compact.at[i];
        bool is_open = c == '{' || c == '[';
        bool is_close = c == '}' || c == ']';
        if (w.is_in_text || c == '"') {
            TRY(config_docs_schema_text_char(&w, c));
            continue;
        }
        w.depth -= is_close ? 1 : 0;
        bool was_open = i > 0 && (compact.at[i - 1] == '{' || compact.at[i - 1] == '[');
        if (is_close && !was_open)
            TRY(config_docs_schema_break(&w));
        TRY(buf_add_char(out, c));
        if (c == ':')
            TRY(buf_add_char(out, ' '));
        w.depth += is_open ? 1 : 0;
        bool is_empty = is_open && (compact.at[i + 1] == '}' || compact.at[i + 1] == ']');
        if (c == ',' || (is_open && !is_empty))
            TRY(config_docs_schema_break(&w));
    }
    return buf_add_char(out, '\n');
}

err config_docs_schema(const struct config_key *const *tables, struct buf *out)
{
    struct json j;
    struct buf compact CLEANUP(buf_done);
    buf_init(&compact, out->max);
    json_begin(&j, &compact);
    json_object(&j);
    json_key(&j, "$schema");
    json_text(&j, "https://json-schema.org/draft/2020-12/schema");
    json_key(&j, "title");
    json_text(&j, "plimsoll.yaml");
    json_key(&j, "description");
    json_text(&j, "The configuration of Plimsoll.");
    CONFIG_DOCS_SCHEMA_TYPES(&j, "object", "null");
    config_docs_schema_keys(&j, tables, 0);
    config_docs_schema_defs(&j);
    json_object_end(&j);
    TRY(json_end(&j));
    return config_docs_schema_indent(buf_span(&compact), out);
}
