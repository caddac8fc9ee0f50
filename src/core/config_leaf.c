/* config_leaf.c: one scalar: its variables replaced, read, checked and kept.
 *
 * The one hard thing: a secret must leave no copy behind but the one in its node, so what ${NAME}
 * and file: bring passes through buffers that do not grow and are wiped. One thread, that of the
 * load; reads files.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/config_expand.h"
#include "core/config_file.h"
#include "core/config_loader.h"
#include "core/config_scalar.h"
#include "core/config_table.h"
#include "core/mem.h"

err config_leaf_copy(struct config_loader *l, struct span text, struct span *out)
{
    void *block = NULL;
    TRY(arena_try_alloc(&l->c->arena, size_add(text.len, 1), &block));
    char *copy = block;
    if (text.len > 0)
        memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    *out = span_of(copy, text.len);
    return OK;
}

/* Neither control characters, but tab and line feed in a STRING, nor broken UTF-8, which an
 * environment variable may bring. */
static bool config_leaf_is_clean(enum config_type type, struct span text)
{
    while (text.len > 0) {
        unsigned char c = (unsigned char)text.at[0];
        size_t length = span_utf8_length(text);
        bool is_space = type == CONFIG_STRING && (c == '\t' || c == '\n');
        if (length == 0 || (c < 0x20 && !is_space) || c == 0x7f)
            return false;
        text = span_skip(text, length);
    }
    return true;
}

static err config_leaf_read_choice(const struct config_node *node, struct span text, int64_t *out)
{
    for (int64_t i = 0; node->key->choices[i] != NULL; i++)
        if (span_eq(span_from(node->key->choices[i]), text)) {
            *out = i;
            return OK;
        }
    return FAIL(INVALID);
}

static err config_leaf_read_bool(struct span text, int64_t *out)
{
    bool is_true = span_eq(text, SPAN("true"));
    if (!is_true && !span_eq(text, SPAN("false")))
        return FAIL(INVALID);
    *out = is_true ? 1 : 0;
    return OK;
}

static err config_leaf_read_rate(struct config_node *node, struct span text, int64_t *out)
{
    struct config_rate rate = {0};
    TRY(config_scalar_rate(text, &rate));
    node->window_ms = rate.window_ms;
    *out = rate.count;
    return OK;
}

/* The number that the type's bounds apply to. */
static err config_leaf_read(struct config_node *node, struct span text, int64_t *out)
{
    switch (node->type) {
    case CONFIG_BOOL:
        return config_leaf_read_bool(text, out);
    case CONFIG_INT:
        return config_scalar_int(text, out);
    case CONFIG_SIZE:
        return config_scalar_size(text, out);
    case CONFIG_DURATION:
        return config_scalar_duration(text, out);
    case CONFIG_RATE:
        return config_leaf_read_rate(node, text, out);
    case CONFIG_PERCENT:
        return config_scalar_percent(text, out);
    case CONFIG_CHOICE:
        return config_leaf_read_choice(node, text, out);
    case CONFIG_ADDRESS:
        return config_scalar_address(text, out);
    case CONFIG_STRING:
    case CONFIG_FILE:
    case CONFIG_SECRET:
        *out = (int64_t)text.len;
        return OK;
    case CONFIG_LIST:
    case CONFIG_GROUP:
    case CONFIG_GROUPS:
    case CONFIG_TABLE:
    case CONFIG_STRINGS:
        break;
    }
    must_fail("scalar type", __FILE__, __LINE__);
}

/* A relative path made to start at the folder of the configuration file. */
static err config_leaf_path(struct config_loader *l, struct span text, struct span *out)
{
    if (l->folder.len == 0 || span_starts(text, SPAN("/")))
        return config_leaf_copy(l, text, out);
    struct buf path CLEANUP(buf_done);
    buf_init(&path, size_add(l->folder.len, size_add(text.len, 1)));
    TRY(buf_add(&path, l->folder));
    TRY(buf_add(&path, text));
    return config_leaf_copy(l, buf_span(&path), out);
}

static void config_leaf_keep_secret(struct config_loader *l, struct config_node *node,
                                    struct span bytes)
{
    if (!config_table_admits(node->key, CONFIG_SECRET, (int64_t)bytes.len)) {
        config_message_mismatch(l, node,
                                bytes.len == 0 ? "an empty secret" : "a secret of another length");
        return;
    }
    secret_init(&node->secret, bytes);
    node->next_secret = l->c->secrets;
    l->c->secrets = node;
}

/* The file's bytes without the line end that editors add. */
static err config_leaf_secret_file(struct config_loader *l, struct config_node *node,
                                   struct span name)
{
    struct fault why = {0};
    struct config_file_info info = {0};
    struct span path = {NULL, 0};
    struct buf bytes CLEANUP(buf_wipe);
    buf_init(&bytes, CONFIG_TEXT_BYTES_MAX);
    if (name.len == 0 || memchr(name.at, '\0', name.len) != NULL) {
        config_message_add(l, node, "behind \"file:\" must stand a path");
        return OK;
    }
    TRY(config_leaf_path(l, name, &path));
    if (!err_ok(config_file_read(path.at, &bytes, &info, &why))) {
        config_message_add(l, node, "%s", why.text);
        return OK;
    }
    if (info.is_world_readable) {
        config_message_add(l, node, "others can read %.*s (mode %04o); take that away: chmod o-r",
                           SPAN_ARGS(path), info.mode);
        return OK;
    }
    struct span secret = buf_span(&bytes);
    secret.len -= span_ends(secret, SPAN("\n")) ? 1 : 0;
    secret.len -= span_ends(secret, SPAN("\r")) ? 1 : 0;
    config_leaf_keep_secret(l, node, secret);
    return OK;
}

/* `written` is what stands in the file, `text` the same with its variables replaced. */
static err config_leaf_secret(struct config_loader *l, struct config_node *node,
                              struct span written, struct span text)
{
    bool is_reference = span_starts(text, SPAN("file:"));
    if (is_reference && !l->is_dry)
        return config_leaf_secret_file(l, node, span_skip(text, 5));
    if (l->is_world_readable && !is_reference && !config_expand_is_needed(written)) {
        config_message_add(l, node,
                           "a secret stands in a file that others can read (mode %04o); use "
                           "${NAME} or file:path, or take that away: chmod o-r",
                           l->mode);
        return OK;
    }
    if (!config_leaf_is_clean(CONFIG_STRING, text)) {
        config_message_mismatch(l, node,
                                "a secret with control characters or bytes that are not UTF-8");
        return OK;
    }
    config_leaf_keep_secret(l, node, text);
    return OK;
}

static err config_leaf_value(struct config_loader *l, struct config_node *node, struct span written,
                             struct span text)
{
    int64_t number = 0;
    if (node->type == CONFIG_SECRET)
        return config_leaf_secret(l, node, written, text);
    bool is_allowed = config_leaf_is_clean(node->type, text) &&
                      err_ok(config_leaf_read(node, text, &number)) &&
                      (number == -1 && node->type == CONFIG_ADDRESS
                           ? true
                           : config_table_admits(node->key, node->type, number));
    if (!is_allowed) {
        config_message_mismatch_text(l, node, written);
        return OK;
    }
    node->number = number;
    if (node->type == CONFIG_FILE)
        return config_leaf_path(l, text, &node->text);
    return config_leaf_copy(l, text, &node->text);
}

err config_leaf_load(struct config_loader *l, struct config_node *node, struct span written)
{
    struct fault why = {0};
    struct buf text CLEANUP(buf_wipe);
    buf_init(&text, CONFIG_TEXT_BYTES_MAX);
    if (written.len > CONFIG_TEXT_BYTES_MAX) {
        config_message_add(l, node, "found %zu bytes; expected at most %d", written.len,
                           CONFIG_TEXT_BYTES_MAX);
        return OK;
    }
    if (!config_expand_is_needed(written) || l->is_dry)
        return config_leaf_value(l, node, written, written);
    /* All at once, so that growing leaves no copies of a secret behind. */
    TRY(buf_reserve(&text, CONFIG_TEXT_BYTES_MAX));
    err outcome = config_expand(written, &text, &why);
    if (err_is(outcome, ERR_TOO_LARGE))
        (void)fault_set(&why, ERR_TOO_LARGE,
                        "found more than %d bytes after its variables were "
                        "replaced",
                        CONFIG_TEXT_BYTES_MAX);
    if (!err_ok(outcome)) {
        config_message_add(l, node, "%s", why.text);
        return OK;
    }
    return config_leaf_value(l, node, written, buf_span(&text));
}
