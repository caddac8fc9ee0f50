/* cli_options.c: long flags with values, and switches.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_options.h"

#include <stdio.h>
#include <string.h>

static struct cli_options_flag *cli_options_find(struct cli_options_flag *flags, const char *arg,
                                                 size_t len)
{
    for (; flags->name != NULL; flags++)
        if (strlen(flags->name) == len && memcmp(flags->name, arg, len) == 0)
            return flags;
    return NULL;
}

static bool cli_options_complain(const char *command, const char *what, const char *arg)
{
    (void)fprintf(stderr, "plimsoll %s: %s %s; see `plimsoll help %s`\n", command, what, arg,
                  command);
    return false;
}

bool cli_options_read(int argc, char **argv, struct cli_options_flag *flags, int *out_words)
{
    int words = 0;
    for (int i = 1; i < argc; i++) {
        char *arg = argv[i];
        if (arg[0] != '-') {
            argv[++words] = arg;
            continue;
        }
        char *equals = strchr(arg, '=');
        size_t len = equals != NULL ? (size_t)(equals - arg) : strlen(arg);
        struct cli_options_flag *flag = cli_options_find(flags, arg, len);
        if (flag == NULL)
            return cli_options_complain(argv[0], "there is no flag", arg);
        if (flag->value == NULL && equals != NULL)
            return cli_options_complain(argv[0], "no value may stand behind", arg);
        if (flag->value == NULL) {
            flag->count++;
            continue;
        }
        const char *value = equals != NULL ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (value == NULL)
            return cli_options_complain(argv[0], "a value is missing behind", arg);
        if (flag->count == flag->value_max)
            return cli_options_complain(argv[0], "given too often:", arg);
        flag->value[flag->count++] = value;
    }
    *out_words = words;
    return true;
}

int cli_options_wrong_usage(const char *command)
{
    (void)fprintf(stderr, "plimsoll %s: wrong usage; see `plimsoll help %s`\n", command, command);
    return 2;
}
