/* cli_docs.c: `plimsoll docs`: the reference documents, from the tables that the program runs by.
 *
 * Main thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/cli_commands.h"
#include "cli/cli_options.h"
#include "core/config_docs.h"
#include "core/log_metrics.h"
#include "core/metric_reference.h"
#include "core/part.h"

#define CLI_DOCS_BYTES_MAX (8 * 1024 * 1024)

static err cli_docs_metrics(const struct part *const *parts, struct buf *out)
{
    static const struct metric_desc *const log_tables[] = {log_metrics_table, NULL};
    TRY(buf_add(out, SPAN("# Metrics\n\nGenerated from the tables of the program by `plimsoll "
                          "docs`.\n\n")));
    for (unsigned i = 0; parts[i] != NULL; i++)
        if (parts[i]->metrics != NULL)
            TRY(metric_reference_write(out, span_from(parts[i]->name), parts[i]->metrics));
    TRY(metric_reference_write(out, SPAN("log"), log_tables));
    while (out->len > 1 && out->at[out->len - 2] == '\n')
        out->len--;
    return OK;
}

static bool cli_docs_save(const char *folder, const char *name, const struct buf *text)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    bool is_written = file != NULL && fwrite(text->at, 1, text->len, file) == text->len;
    if (file != NULL && fclose(file) != 0)
        is_written = false;
    if (is_written)
        (void)printf("%s\n", path);
    else
        perror(path);
    return is_written;
}

int cli_docs_run(const struct part *const *parts, int argc, char **argv)
{
    const char *folder = "docs";
    struct cli_options_flag known[] = {{"--output", &folder, 1, 0}, {0}};
    const struct config_key *tables[PART_TABLES_MAX];
    int words = 0;
    if (!cli_options_read(argc, argv, known, &words))
        return 2;
    if (words > 0)
        return cli_options_wrong_usage("docs");
    (void)part_config_tables(parts, tables, PART_TABLES_MAX);
    struct buf reference, schema, metrics;
    buf_init(&reference, CLI_DOCS_BYTES_MAX);
    buf_init(&schema, CLI_DOCS_BYTES_MAX);
    buf_init(&metrics, CLI_DOCS_BYTES_MAX);
    bool is_done = err_ok(config_docs_reference(tables, &reference)) &&
                   err_ok(config_docs_schema(tables, &schema)) &&
                   err_ok(cli_docs_metrics(parts, &metrics)) &&
                   cli_docs_save(folder, "configuration.md", &reference) &&
                   cli_docs_save(folder, "plimsoll.schema.json", &schema) &&
                   cli_docs_save(folder, "metrics.md", &metrics);
    buf_done(&reference);
    buf_done(&schema);
    buf_done(&metrics);
    return is_done ? 0 : 1;
}
