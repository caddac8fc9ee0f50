/* config_yaml.c: libfyaml's events made into a tree.
 *
 * The one hard thing: text that is hostile or broken must end in a position, not in deep
 * recursion, an explosion of aliases or a silently shortened value. So the tree is built here from
 * events with an explicit stack, aliases stay references whose weight is counted, and the bytes
 * are checked first, because libfyaml drops a scalar that is not UTF-8 without a word. Owned by
 * the caller; one thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/config_yaml.h"

#include <libfyaml.h>

#include "core/config_priv.h"
#include "core/mem.h"

#define CONFIG_YAML_ARENA_BYTES (64u << 20)

struct config_yaml_anchor {
    struct config_yaml_anchor *older;
    struct span name;
    const struct config_yaml_node *node;
};

struct config_yaml_level {
    struct config_yaml_node *node;
    struct span anchor;
    struct span name; /* of the entry whose value comes next; at == NULL: a name comes next */
    unsigned name_line;
    unsigned name_column;
};

struct config_yaml_builder {
    struct config_yaml *tree;
    struct config_report *report;
    const char *file;
    struct config_yaml_level levels[CONFIG_DEPTH_MAX];
    unsigned depth;
    unsigned aliases;
    unsigned documents;
    struct config_yaml_anchor *anchors;
    unsigned line; /* of the last token that had a position */
    unsigned column;
};

static err config_yaml_fail(struct config_yaml_builder *b, const char *what)
{
    const struct config_place place = {b->file, b->line, b->column};
    config_report_add(b->report, &place, "%s", what);
    return FAIL(CONFIG);
}

/* What is wrong with a character, or NULL. Tabs and directives are YAML, but nobody needs them
 * here, and libfyaml 0.7.12 breaks its own lists at a tab behind a "?" and can hang in a directive.
 */
static const char *config_yaml_flaw(struct span text, bool is_line_start)
{
    unsigned char c = (unsigned char)text.at[0];
    if (span_utf8_length(text) == 0)
        return "the file is not valid UTF-8 here";
    if (c == '\t')
        return "a tab stands here; write spaces, or \\t in double quotes";
    if ((c < 0x20 && c != '\n' && c != '\r') || c == 0x7f)
        return "a control character stands here";
    if (c == '%' && is_line_start)
        return "directives (%...) have no meaning here";
    return NULL;
}

/* RFC 3629, and none of the control bytes that YAML forbids (YAML 1.2 section 5.1). */
static err config_yaml_check_bytes(struct config_yaml_builder *b, struct span text)
{
    b->line = 1;
    b->column = 1;
    if (span_starts(text, SPAN("\xef\xbb\xbf")))
        text = span_skip(text, 3);
    while (text.len > 0) {
        unsigned char c = (unsigned char)text.at[0];
        const char *flaw = config_yaml_flaw(text, b->column == 1);
        if (flaw != NULL)
            return config_yaml_fail(b, flaw);
        bool is_line_end = c == '\n' || (c == '\r' && (text.len == 1 || text.at[1] != '\n'));
        b->line += is_line_end ? 1 : 0;
        b->column = is_line_end ? 1 : b->column + 1;
        text = span_skip(text, span_utf8_length(text));
    }
    return OK;
}

static err config_yaml_copy(struct config_yaml_builder *b, struct fy_token *token, char **out,
                            size_t *out_len)
{
    size_t len = 0;
    const char *text = token == NULL ? "" : fy_token_get_text(token, &len);
    if (text == NULL)
        return FAIL(NO_MEMORY);
    void *copy = NULL;
    TRY(arena_try_alloc(&b->tree->arena, len + 1, &copy));
    memcpy(copy, text, len);
    *out = copy;
    (*out)[len] = '\0';
    *out_len = len;
    return OK;
}

static err config_yaml_copy_span(struct config_yaml_builder *b, struct fy_token *token,
                                 struct span *out)
{
    char *text = NULL;
    size_t len = 0;
    TRY(config_yaml_copy(b, token, &text, &len));
    *out = span_of(text, len);
    return OK;
}

static err config_yaml_new(struct config_yaml_builder *b, enum config_yaml_kind kind,
                           struct config_yaml_node **out)
{
    void *block = NULL;
    TRY(arena_try_alloc(&b->tree->arena, sizeof **out, &block));
    struct config_yaml_node *node = memset(block, 0, sizeof *node);
    node->kind = kind;
    node->line = b->line;
    node->column = b->column;
    node->nodes = 1;
    node->older = b->tree->newest;
    b->tree->newest = node;
    *out = node;
    return OK;
}

/* The open containers count what is in them, so that a too large document is refused before it
 * is built, and an anchor knows its weight when an alias names it. */
static err config_yaml_add_weight(struct config_yaml_builder *b, unsigned nodes, unsigned height)
{
    for (unsigned i = 0; i < b->depth; i++) {
        struct config_yaml_node *open = b->levels[i].node;
        if (nodes > CONFIG_NODES_MAX - open->nodes)
            return config_yaml_fail(b, "the file has too many values");
        open->nodes += nodes;
        unsigned below = b->depth - i + height;
        if (i == 0 && below > CONFIG_DEPTH_MAX)
            return config_yaml_fail(b, "lists and groups stand too deep in one another");
        if (open->height < below)
            open->height = below;
    }
    return OK;
}

/* Puts a finished or just opened node where the event stands. */
static err config_yaml_place(struct config_yaml_builder *b, struct config_yaml_node *node)
{
    if (b->depth == 0) {
        b->tree->root = node;
        return OK;
    }
    struct config_yaml_level *level = &b->levels[b->depth - 1];
    struct config_yaml_node *parent = level->node;
    if (parent->kind == CONFIG_YAML_MAPPING) {
        must(level->name.at != NULL);
        node->name = level->name;
        node->name_line = level->name_line;
        node->name_column = level->name_column;
        level->name = (struct span){NULL, 0};
    }
    if (parent->last == NULL)
        parent->first = node;
    else
        parent->last->next = node;
    parent->last = node;
    parent->count++;
    const struct config_yaml_node *shown = node->target == NULL ? node : node->target;
    return config_yaml_add_weight(b, shown->nodes, shown->height);
}

static err config_yaml_set_anchor(struct config_yaml_builder *b, struct span name,
                                  const struct config_yaml_node *node)
{
    if (name.at == NULL)
        return OK;
    void *block = NULL;
    TRY(arena_try_alloc(&b->tree->arena, sizeof(struct config_yaml_anchor), &block));
    struct config_yaml_anchor *anchor = block;
    *anchor = (struct config_yaml_anchor){b->anchors, name, node};
    b->anchors = anchor;
    return OK;
}

static bool config_yaml_wants_name(const struct config_yaml_builder *b)
{
    if (b->depth == 0)
        return false;
    const struct config_yaml_level *level = &b->levels[b->depth - 1];
    return level->node->kind == CONFIG_YAML_MAPPING && level->name.at == NULL;
}

static err config_yaml_take_name(struct config_yaml_builder *b, struct fy_event *event)
{
    if (event->type != FYET_SCALAR)
        return config_yaml_fail(b, "a key must be a plain text");
    struct config_yaml_level *level = &b->levels[b->depth - 1];
    level->name_line = b->line;
    level->name_column = b->column;
    return config_yaml_copy_span(b, event->scalar.value, &level->name);
}

static err config_yaml_take_scalar(struct config_yaml_builder *b, struct fy_event *event,
                                   struct span anchor)
{
    struct config_yaml_node *node = NULL;
    TRY(config_yaml_new(b, CONFIG_YAML_SCALAR, &node));
    TRY(config_yaml_copy(b, event->scalar.value, &node->text, &node->text_len));
    node->is_plain =
        event->scalar.value == NULL || fy_token_scalar_style(event->scalar.value) == FYSS_PLAIN;
    TRY(config_yaml_place(b, node));
    return config_yaml_set_anchor(b, anchor, node);
}

static err config_yaml_take_alias(struct config_yaml_builder *b, struct fy_event *event)
{
    if (++b->aliases > CONFIG_ALIASES_MAX)
        return config_yaml_fail(b, "the file has too many aliases");
    struct span name = {NULL, 0};
    TRY(config_yaml_copy_span(b, event->alias.anchor, &name));
    const struct config_yaml_anchor *anchor = b->anchors;
    while (anchor != NULL && !span_eq(anchor->name, name))
        anchor = anchor->older;
    if (anchor == NULL)
        return config_yaml_fail(b, "no complete value with this anchor stands before the alias");
    struct config_yaml_node *node = NULL;
    TRY(config_yaml_new(b, CONFIG_YAML_ALIAS, &node));
    node->target = anchor->node;
    return config_yaml_place(b, node);
}

static err config_yaml_open(struct config_yaml_builder *b, enum config_yaml_kind kind,
                            struct span anchor)
{
    struct config_yaml_node *node = NULL;
    if (b->depth == CONFIG_DEPTH_MAX)
        return config_yaml_fail(b, "lists and groups stand too deep in one another");
    TRY(config_yaml_new(b, kind, &node));
    TRY(config_yaml_place(b, node));
    b->levels[b->depth++] = (struct config_yaml_level){.node = node, .anchor = anchor};
    return OK;
}

static err config_yaml_close(struct config_yaml_builder *b)
{
    must(b->depth > 0);
    const struct config_yaml_level *level = &b->levels[--b->depth];
    return config_yaml_set_anchor(b, level->anchor, level->node);
}

/* A value of the document: a scalar, an alias, or the start of a list or mapping. */
static err config_yaml_take_value(struct config_yaml_builder *b, struct fy_event *event)
{
    if (b->tree->root != NULL && b->depth == 0)
        return config_yaml_fail(b, "the file must hold one document");
    if (config_yaml_wants_name(b))
        return config_yaml_take_name(b, event);
    struct span anchor = {NULL, 0};
    struct fy_token *anchor_token = fy_event_get_anchor_token(event);
    if (event->type == FYET_ALIAS)
        return config_yaml_take_alias(b, event);
    if (anchor_token != NULL)
        TRY(config_yaml_copy_span(b, anchor_token, &anchor));
    if (fy_event_get_tag_token(event) != NULL)
        return config_yaml_fail(b, "tags (!...) have no meaning here");
    if (event->type == FYET_SCALAR)
        return config_yaml_take_scalar(b, event, anchor);
    return config_yaml_open(
        b, event->type == FYET_MAPPING_START ? CONFIG_YAML_MAPPING : CONFIG_YAML_LIST, anchor);
}

/* Events without a token stand where the last one stood. */
static void config_yaml_locate(struct config_yaml_builder *b, struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);
    if (mark == NULL)
        return;
    b->line = (unsigned)mark->line + 1;
    b->column = (unsigned)mark->column + 1;
    enum fy_scalar_style style =
        event->type == FYET_SCALAR ? fy_token_scalar_style(event->scalar.value) : FYSS_PLAIN;
    /* The token of a quoted scalar starts behind its quote, that of an alias behind its star. */
    bool is_behind =
        event->type == FYET_ALIAS || style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
    if (is_behind && b->column > 1)
        b->column--;
}

static err config_yaml_take(struct config_yaml_builder *b, struct fy_event *event)
{
    config_yaml_locate(b, event);
    switch (event->type) {
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_END:
        return OK;
    case FYET_DOCUMENT_START:
        if (++b->documents > 1)
            return config_yaml_fail(b, "the file must hold one document");
        return OK;
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        return config_yaml_close(b);
    case FYET_MAPPING_START:
    case FYET_SEQUENCE_START:
    case FYET_SCALAR:
    case FYET_ALIAS:
        return config_yaml_take_value(b, event);
    }
    must_fail("event type", __FILE__, __LINE__);
}

/* libfyaml's own findings: messages about syntax, never with the text of values. */
static err config_yaml_syntax(struct config_yaml_builder *b, struct fy_diag *diag)
{
    void *cursor = NULL;
    const struct fy_diag_error *error = fy_diag_errors_iterate(diag, &cursor);
    if (error == NULL)
        return config_yaml_fail(b, "not valid YAML");
    const struct config_place place = {b->file, error->line > 0 ? (unsigned)error->line : 1,
                                       error->column > 0 ? (unsigned)error->column : 1};
    config_report_add(b->report, &place, "not valid YAML: %s", error->msg);
    return FAIL(CONFIG);
}

static err config_yaml_run(struct config_yaml_builder *b, struct fy_parser *parser,
                           struct fy_diag *diag)
{
    for (bool is_end = false; !is_end;) {
        struct fy_event *event = fy_parser_parse(parser);
        if (event == NULL)
            return config_yaml_syntax(b, diag);
        is_end = event->type == FYET_STREAM_END;
        err outcome = config_yaml_take(b, event);
        fy_parser_event_free(parser, event);
        TRY(outcome);
    }
    return fy_parser_get_stream_error(parser) ? config_yaml_syntax(b, diag) : OK;
}

err config_yaml_parse(struct span text, const char *file, struct config_yaml *out,
                      struct config_report *report)
{
    struct config_yaml_builder b = {.tree = out, .report = report, .file = file};
    *out = (struct config_yaml){0};
    arena_init(&out->arena, NULL, CONFIG_YAML_ARENA_BYTES);
    TRY(config_yaml_check_bytes(&b, text));
    b.line = 1;
    b.column = 1;
    struct fy_diag_cfg diag_options;
    fy_diag_cfg_default(&diag_options);
    diag_options.fp = NULL;
    diag_options.colorize = false;
    struct fy_diag *diag = fy_diag_create(&diag_options);
    if (diag == NULL)
        return FAIL(NO_MEMORY);
    fy_diag_set_collect_errors(diag, true);
    const struct fy_parse_cfg options = {
        .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE,
        .diag = diag,
    };
    err outcome = FAIL(NO_MEMORY);
    struct fy_parser *parser = fy_parser_create(&options);
    if (parser != NULL && fy_parser_set_string(parser, text.len == 0 ? "" : text.at, text.len) == 0)
        outcome = config_yaml_run(&b, parser, diag);
    fy_parser_destroy(parser);
    fy_diag_reset_error(diag); /* frees the errors that it collected; the last unref does not */
    fy_diag_unref(diag);
    return outcome;
}

void config_yaml_done(struct config_yaml *y)
{
    for (const struct config_yaml_node *node = y->newest; node != NULL; node = node->older)
        if (node->text != NULL)
            mem_wipe(node->text, node->text_len);
    arena_done(&y->arena);
    *y = (struct config_yaml){0};
}
