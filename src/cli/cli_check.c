/* cli_check.c: `plimsoll check`: a configuration, read as far as possible without serving.
 *
 * Main thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/cli_commands.h"
#include "cli/cli_options.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/mem.h"
#include "core/part.h"

#define CLI_CHECK_DEFAULT "plimsoll.yaml"

static void cli_check_examine(const struct part *const *parts, struct config *config,
                              struct config_report *report)
{
    struct node n = {.parts = parts, .config = config, .clock = &clock_system};
    for (unsigned i = 0; parts[i] != NULL; i++)
        if (parts[i]->examine != NULL)
            parts[i]->examine(&n, config, report);
}

static int cli_check_tell(const char *path, const struct config_report *report)
{
    struct buf text;
    if (report->count == 0) {
        (void)printf("%s: no errors\n", path);
        return 0;
    }
    buf_init(&text, 256 * 1024);
    if (err_ok(config_report_write(report, &text)))
        (void)fwrite(text.at, 1, text.len, stderr);
    buf_done(&text);
    return 1;
}

int cli_check_run(const struct part *const *parts, int argc, char **argv)
{
    const char *path = CLI_CHECK_DEFAULT;
    struct cli_options_flag known[] = {{"--config", &path, 1, 0}, {0}};
    const struct config_key *tables[PART_TABLES_MAX];
    struct config *config = NULL;
    int words = 0;
    if (!cli_options_read(argc, argv, known, &words))
        return 2;
    if (words > 1 || (words == 1 && known[0].count > 0)) {
        (void)fprintf(stderr, "plimsoll check: one file at a time\n");
        return 2;
    }
    if (words == 1)
        path = argv[1];
    struct config_report *report = MEM_NEW(struct config_report);
    (void)part_config_tables(parts, tables, PART_TABLES_MAX);
    if (err_ok(config_load_file(tables, path, &config, report)))
        cli_check_examine(parts, config, report);
    int status = cli_check_tell(path, report);
    config_unref(config);
    mem_free(report);
    return status;
}
