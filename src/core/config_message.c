/* config_message.c: what the loader tells a person.
 *
 * The one hard thing: a message must say where, what was found and what is allowed, and never show
 * a secret. So values are quoted as they stand in the file, never as ${NAME} made them, and those
 * of secrets not at all. One thread, that of the load.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "core/config_loader.h"
#include "core/config_scalar.h"
#include "core/config_table.h"

#define CONFIG_MESSAGE_QUOTE_BYTES 72 /* with quotes and dots */

/* Appends text for a message: cut, and without bytes that would act on a terminal. */
static void config_message_clean(struct span text, char out[CONFIG_MESSAGE_QUOTE_BYTES])
{
    const size_t room = CONFIG_MESSAGE_QUOTE_BYTES - 8;
    size_t at = 0;
    while (text.len > 0) {
        unsigned char c = (unsigned char)text.at[0];
        size_t length = span_utf8_length(text);
        if (length == 0 || length > room - at)
            break;
        if (c < 0x20 || c == 0x7f)
            out[at] = '?';
        else
            memcpy(out + at, text.at, length);
        at += length;
        text = span_skip(text, length);
    }
    memcpy(out + at, text.len > 0 ? "..." : "", text.len > 0 ? 4 : 1);
}

static void config_message_put(struct config_loader *l, const struct config_place *place,
                               const char *path, const char *text)
{
    config_report_add(l->report, place, "%s%s%s", path, path[0] == '\0' ? "" : ": ", text);
    l->is_failed = true;
}

void config_message_add(struct config_loader *l, const struct config_node *node, const char *format,
                        ...)
{
    char path[CONFIG_PATH_TEXT_BYTES];
    char text[sizeof l->report->faults[0].text];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const struct config_place place = {l->c->path, node->line, node->column};
    config_message_put(l, &place, config_node_path(node, path), text);
}

void config_message_add_at_name(struct config_loader *l, const struct config_node *group,
                                const struct config_yaml_node *entry, const char *format, ...)
{
    char path[CONFIG_PATH_TEXT_BYTES + CONFIG_MESSAGE_QUOTE_BYTES];
    char name[CONFIG_MESSAGE_QUOTE_BYTES];
    char text[sizeof l->report->faults[0].text];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    config_node_path(group, path);
    size_t used = strlen(path);
    config_message_clean(entry->name, name);
    const char *quote = config_table_is_name(entry->name) ? "" : "\"";
    (void)snprintf(path + used, sizeof path - used, "%s%s%s%s", used == 0 ? "" : ".", quote, name,
                   quote);
    const struct config_place place = {l->c->path, entry->name_line, entry->name_column};
    config_message_put(l, &place, path, text);
}

/* "a, b, c", cut to fit. */
static void config_message_join(struct buf *out, const char *name)
{
    /* Past the buffer's end the list is simply shorter. */
    (void)buf_printf(out, "%s%s", out->len == 0 ? "" : ", ", name);
}

/* What is allowed for a node, for the end of a message. Never larger than `out` may be. */
static void config_message_expect(const struct config_node *node, struct buf *out)
{
    char range[CONFIG_TABLE_RANGE_BYTES] = "";
    bool is_row = node->key != NULL && node->type == node->key->type;
    if (node->key != NULL && node->type == CONFIG_CHOICE) {
        for (const char *const *choice = node->key->choices; *choice != NULL; choice++)
            config_message_join(out, *choice);
    } else {
        if (is_row)
            config_table_range(node->key, range);
        (void)buf_printf(out, "%s%s%s", config_scalar_form(node->type),
                         range[0] == '\0' ? "" : ", ", range);
    }
    if (is_row && node->key->is_optional)
        (void)buf_printf(out, ", or off");
}

#define CONFIG_MESSAGE_EXPECT_BYTES 320

void config_message_mismatch(struct config_loader *l, const struct config_node *node,
                             const char *found)
{
    struct buf expected CLEANUP(buf_done);
    buf_init(&expected, CONFIG_MESSAGE_EXPECT_BYTES);
    config_message_expect(node, &expected);
    config_message_add(l, node, "found %s; expected %s%.*s", found,
                       node->type == CONFIG_CHOICE ? "one of " : "",
                       SPAN_ARGS(buf_span(&expected)));
}

void config_message_mismatch_text(struct config_loader *l, const struct config_node *node,
                                  struct span written)
{
    char text[CONFIG_MESSAGE_QUOTE_BYTES];
    char quoted[CONFIG_MESSAGE_QUOTE_BYTES + 2];
    const char *near = NULL;
    if (node->type == CONFIG_SECRET) {
        config_message_mismatch(l, node, "a secret that is not allowed");
        return;
    }
    config_message_clean(written, text);
    if (node->type == CONFIG_CHOICE)
        near = config_table_near_choice(node->key->choices, written);
    if (near != NULL) {
        config_message_add(l, node, "found \"%s\"; did you mean \"%s\"?", text, near);
        return;
    }
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", text);
    config_message_mismatch(l, node, quoted);
}

void config_message_missing(struct config_loader *l, const struct config_node *node)
{
    struct buf expected CLEANUP(buf_done);
    buf_init(&expected, CONFIG_MESSAGE_EXPECT_BYTES);
    config_message_expect(node, &expected);
    config_message_add(l, node, "is missing; expected %s%.*s",
                       node->type == CONFIG_CHOICE ? "one of " : "",
                       SPAN_ARGS(buf_span(&expected)));
}

void config_message_unknown(struct config_loader *l, const struct config_node *group,
                            const struct config_yaml_node *entry)
{
    const char *near = config_table_near_key(group->keys, entry->name);
    if (near != NULL) {
        config_message_add_at_name(l, group, entry, "unknown key; did you mean \"%s\"?", near);
        return;
    }
    struct buf known CLEANUP(buf_done);
    buf_init(&known, CONFIG_MESSAGE_EXPECT_BYTES);
    for (unsigned i = 0; i < group->count; i++)
        config_message_join(&known, group->keys[i].name);
    config_message_add_at_name(l, group, entry, "unknown key; expected one of %.*s",
                               SPAN_ARGS(buf_span(&known)));
}
