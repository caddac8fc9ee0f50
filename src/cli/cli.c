/* cli.c: finds the command in the parts' tables, and says what there is.
 *
 * Main thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli_commands.h"
#include "cli/cli_options.h"

static const struct command *cli_find(const struct part *const *parts, const char *name)
{
    for (unsigned i = 0; parts[i] != NULL; i++) {
        const struct command *c = parts[i]->commands;
        for (; c != NULL && c->name != NULL; c++)
            if (strcmp(c->name, name) == 0)
                return c;
    }
    return NULL;
}

static void cli_list(const struct part *const *parts, FILE *to)
{
    (void)fprintf(to, "Plimsoll stands in front of a web application and gives it what production\n"
                      "asks for.\n\n"
                      "  plimsoll serve --upstream 127.0.0.1:3000     in front of one application\n"
                      "  plimsoll serve --config plimsoll.yaml        by a configuration file\n\n"
                      "Commands:\n");
    for (unsigned i = 0; parts[i] != NULL; i++) {
        const struct command *c = parts[i]->commands;
        for (; c != NULL && c->name != NULL; c++)
            (void)fprintf(to, "  %-10s %s\n", c->name, c->summary);
    }
    (void)fprintf(to, "\n`plimsoll help COMMAND` tells more about each.\n");
}

static int cli_unknown(const char *name)
{
    (void)fprintf(stderr, "plimsoll: there is no command \"%s\"; see `plimsoll help`\n", name);
    return 2;
}

static int cli_help(const struct part *const *parts, int argc, char **argv)
{
    if (argc < 2) {
        cli_list(parts, stdout);
        return 0;
    }
    if (argc > 2)
        return cli_options_wrong_usage("help");
    const struct command *c = cli_find(parts, argv[1]);
    if (c == NULL)
        return cli_unknown(argv[1]);
    (void)printf("%s\n\nUsage: plimsoll %s %s\n\n%s\n", c->summary, c->name, c->usage, c->help);
    return 0;
}

static int cli_version(const struct part *const *parts, int argc, char **argv)
{
    (void)parts;
    (void)argv;
    if (argc > 1)
        return cli_options_wrong_usage("version");
    (void)printf("plimsoll %s\n", PLIMSOLL_VERSION);
    return 0;
}

static const struct command cli_commands[] = {
    {"serve", CLI_SERVE_USAGE, "Serve traffic in front of an application.", CLI_SERVE_HELP,
     cli_serve_run},
    {"check", CLI_CHECK_USAGE, "Look for errors in a configuration file.", CLI_CHECK_HELP,
     cli_check_run},
    {"reload", CLI_CONTROL_USAGE, "Make the running process load its configuration again.",
     "On errors nothing changes; they are printed with file, line and column.\n"
     "Changes of keys that need a restart are reported.\n\n" CLI_CONTROL_HELP,
     cli_control_reload},
    {"status", "[--json] " CLI_CONTROL_USAGE, "Show traffic, upstreams, targets and breakers.",
     "  --json           as JSON\n" CLI_CONTROL_HELP, cli_control_status},
    {"target", "drain|undrain UPSTREAM ADDRESS " CLI_CONTROL_USAGE,
     "Take a target out, or let it serve again.",
     "drain sends no new requests to the target; running ones end normally.\n"
     "It holds until undrain, also over reloads.\n\n" CLI_CONTROL_HELP,
     cli_control_target},
    {"breaker", "open|close|auto UPSTREAM " CLI_CONTROL_USAGE,
     "Hold a circuit breaker open or closed, or let it decide again.",
     "open refuses every request to the upstream; close lets every request through;\n"
     "auto gives the decision back.\n\n" CLI_CONTROL_HELP,
     cli_control_breaker},
    {"docs", CLI_DOCS_USAGE, "Write the reference documents from the tables of the program.",
     CLI_DOCS_HELP, cli_docs_run},
    {"help", "[COMMAND]", "Tell about the commands.", "Without COMMAND: the list of all.",
     cli_help},
    {"version", "", "Print the version.", "", cli_version},
    {0}};

const struct part cli_part = {.name = "cli", .commands = cli_commands};

int cli_main(const struct part *const *parts, int argc, char **argv)
{
    if (argc < 2) {
        cli_list(parts, stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return cli_help(parts, 1, argv);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return cli_version(parts, 0, NULL);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return cli_help(parts, 2, argv);
    }
    const struct command *c = cli_find(parts, argv[1]);
    if (c == NULL)
        return cli_unknown(argv[1]);
    return c->run(parts, argc - 1, argv + 1);
}
