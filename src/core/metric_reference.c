/* metric_reference.c: tables of metrics as Markdown.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/metric_reference.h"

static const char *metric_reference_type(enum metric_type type)
{
    switch (type) {
    case METRIC_COUNTER:
        return "counter";
    case METRIC_GAUGE:
        return "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    }
    must(false);
    return NULL;
}

/* A bar would end the cell of the table. */
static err metric_reference_text(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '|')
            TRY(buf_add_char(out, '\\'));
        TRY(buf_add_char(out, text.at[i]));
    }
    return OK;
}

static err metric_reference_row(struct buf *out, const struct metric_desc *desc)
{
    TRY(buf_printf(out, "| `%s` | %s | %s | ", desc->name, metric_reference_type(desc->type),
                   desc->unit == NULL ? "" : desc->unit));
    for (const char *const *label = desc->labels; label != NULL && *label != NULL; label++)
        TRY(buf_printf(out, "%s`%s`", label == desc->labels ? "" : ", ", *label));
    TRY(buf_add(out, SPAN(" | ")));
    TRY(metric_reference_text(out, span_from(desc->help)));
    return buf_add(out, SPAN(" |\n"));
}

err metric_reference_write(struct buf *out, struct span heading,
                           const struct metric_desc *const *tables)
{
    TRY(buf_add(out, SPAN("## ")));
    TRY(buf_add(out, heading));
    TRY(buf_add(out,
                SPAN("\n\n| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n")));
    for (; *tables != NULL; tables++)
        for (const struct metric_desc *desc = *tables; desc->name != NULL; desc++)
            TRY(metric_reference_row(out, desc));
    return buf_add_char(out, '\n');
}
