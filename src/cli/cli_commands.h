/* cli_commands.h: the commands' functions, and their texts, for the table in cli.c.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/command.h"

#define CLI_SERVE_USAGE                                                                            \
    "--config FILE | --upstream ADDRESS [--upstream ADDRESS ...] [--listen ADDRESS]\n"             \
    "                      [--admin ADDRESS] [--log FOLDER] [--user NAME]"
#define CLI_SERVE_HELP                                                                             \
    "With --upstream no file is needed: all default protections are on.\n\n"                       \
    "  --upstream ADDR  the application, host:port; several share the load\n"                      \
    "  --listen ADDR    where clients connect (default 0.0.0.0:8080)\n"                            \
    "  --admin ADDR     health, metrics and status page (default 127.0.0.1:9900)\n"                \
    "  --log FOLDER     write logs there, one file a day (default: standard output)\n"             \
    "  --user NAME      the user to become when started as root\n"                                 \
    "  --config FILE    everything by a file instead; see docs/configuration.md\n\n"               \
    "HUP loads the file again; TERM and INT finish running requests and end."
int cli_serve_run(const struct part *const *parts, int argc, char **argv);

#define CLI_CHECK_USAGE "[--config FILE]"
#define CLI_CHECK_HELP                                                                             \
    "Prints every error with file, line and column, and what is allowed.\n"                        \
    "Certificates and files that the configuration names are read as well.\n\n"                    \
    "  --config FILE    default plimsoll.yaml\n\n"                                                 \
    "Exit status 0: no error; 1: errors."
int cli_check_run(const struct part *const *parts, int argc, char **argv);

#define CLI_CONTROL_USAGE "[--config FILE | --socket PATH]"
#define CLI_CONTROL_HELP                                                                           \
    "  --socket PATH    the control socket (default: that of the configuration)\n"                 \
    "  --config FILE    the configuration of the process (default plimsoll.yaml)"
int cli_control_reload(const struct part *const *parts, int argc, char **argv);
int cli_control_status(const struct part *const *parts, int argc, char **argv);
int cli_control_target(const struct part *const *parts, int argc, char **argv);
int cli_control_breaker(const struct part *const *parts, int argc, char **argv);

#define CLI_DOCS_USAGE "[--output FOLDER]"
#define CLI_DOCS_HELP                                                                              \
    "Writes configuration.md, plimsoll.schema.json and metrics.md.\n\n"                            \
    "  --output FOLDER  default docs"
int cli_docs_run(const struct part *const *parts, int argc, char **argv);
