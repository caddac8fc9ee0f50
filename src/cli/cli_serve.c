/* cli_serve.c: `plimsoll serve`.
 *
 * Flags are turned into the text of a configuration and go the same way as a file, so that they
 * get the same checks. Main thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/cli_commands.h"
#include "cli/cli_options.h"
#include "core/buf.h"
#include "operate/operate.h"

#define CLI_SERVE_UPSTREAMS_MAX 64

struct cli_serve_flags {
    const char *config;
    const char *upstreams[CLI_SERVE_UPSTREAMS_MAX];
    unsigned upstream_count;
    const char *listen;
    const char *admin;
    const char *log;
    const char *user;
};

/* A double-quoted YAML scalar. */
static err cli_serve_quote(struct buf *out, const char *text)
{
    TRY(buf_add_char(out, '"'));
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            TRY(buf_add_char(out, '\\'));
        TRY(buf_add_char(out, *text));
    }
    return buf_add_char(out, '"');
}

static err cli_serve_line(struct buf *out, const char *before, const char *value, const char *after)
{
    TRY(buf_add(out, span_from(before)));
    TRY(cli_serve_quote(out, value));
    return buf_add(out, span_from(after));
}

static err cli_serve_text(const struct cli_serve_flags *flags, struct buf *out)
{
    TRY(cli_serve_line(out, "listen: [{address: ",
                       flags->listen == NULL ? "0.0.0.0:8080" : flags->listen, "}]\n"));
    if (flags->admin != NULL)
        TRY(cli_serve_line(out, "admin: {address: ", flags->admin, "}\n"));
    TRY(buf_add(out, SPAN("upstreams: {app: {targets: [")));
    for (unsigned i = 0; i < flags->upstream_count; i++)
        TRY(cli_serve_line(out, i == 0 ? "" : ", ", flags->upstreams[i], ""));
    TRY(buf_add(out, SPAN("]}}\nroutes: [{name: app, to: app}]\n")));
    if (flags->log != NULL)
        TRY(cli_serve_line(out, "log: {directory: ", flags->log, "}\n"));
    if (flags->user != NULL)
        TRY(cli_serve_line(out, "user: ", flags->user, "\n"));
    return OK;
}

static int cli_serve_by_flags(const struct part *const *parts, const struct cli_serve_flags *flags)
{
    struct buf text;
    buf_init(&text, 64 * 1024);
    int status = 2;
    if (err_ok(cli_serve_text(flags, &text)))
        status = operate_serve(parts, &(struct operate_source){.text = buf_span(&text)});
    else
        (void)fprintf(stderr, "plimsoll serve: the flags are too long\n");
    buf_done(&text);
    return status;
}

int cli_serve_run(const struct part *const *parts, int argc, char **argv)
{
    struct cli_serve_flags flags = {0};
    struct cli_options_flag known[] = {{"--config", &flags.config, 1, 0},
                                       {"--upstream", flags.upstreams, CLI_SERVE_UPSTREAMS_MAX, 0},
                                       {"--listen", &flags.listen, 1, 0},
                                       {"--admin", &flags.admin, 1, 0},
                                       {"--log", &flags.log, 1, 0},
                                       {"--user", &flags.user, 1, 0},
                                       {0}};
    int words = 0;
    if (!cli_options_read(argc, argv, known, &words))
        return 2;
    flags.upstream_count = known[1].count;
    bool is_by_flags = flags.upstream_count > 0;
    bool has_others =
        flags.listen != NULL || flags.admin != NULL || flags.log != NULL || flags.user != NULL;
    if (words > 0 || is_by_flags == (flags.config != NULL) || (has_others && !is_by_flags)) {
        (void)fprintf(stderr, "plimsoll serve: give either --config FILE alone, or --upstream "
                              "ADDRESS with other flags; see `plimsoll help serve`\n");
        return 2;
    }
    if (is_by_flags)
        return cli_serve_by_flags(parts, &flags);
    return operate_serve(parts, &(struct operate_source){.path = flags.config});
}
