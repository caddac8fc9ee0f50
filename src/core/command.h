/* command.h: one command of the command line.
 *
 * A command lives in a file of its own and is a row in its part's table; help is made from it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once

struct part;

struct command {
    const char *name;    /* "serve" */
    const char *usage;   /* behind the name: "--upstream ADDRESS [--listen ADDRESS]" */
    const char *summary; /* one line */
    const char *help;    /* paragraphs and options, for `plimsoll help NAME` */
    /* argv[0] is the command's name. Returns the exit status: 0 done, 1 failed, 2 wrong usage. */
    int (*run)(const struct part *const *parts, int argc, char **argv);
};
