/* cli_control.c: reload, status, target and breaker: what the control socket can do.
 *
 * Main thread of the command line.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli_client.h"
#include "cli/cli_commands.h"
#include "cli/cli_options.h"

#define CLI_CONTROL_PATH_MAX 4096

struct cli_control {
    struct cli_client_where where;
    bool is_json;
    int words;
};

static bool cli_control_options(int argc, char **argv, struct cli_control *out)
{
    struct cli_options_flag known[] = {{"--socket", &out->where.socket_path, 1, 0},
                                       {"--config", &out->where.config_path, 1, 0},
                                       {"--json", NULL, 0, 0},
                                       {0}};
    if (!cli_options_read(argc, argv, known, &out->words))
        return false;
    out->is_json = known[2].count > 0;
    return true;
}

/* The answer as a JSON tree; NULL after telling what went wrong. */
static json_t *cli_control_call(const struct part *const *parts, const struct cli_control *control,
                                const char *method, const char *path, unsigned *out_status)
{
    struct cli_client_answer answer = {0};
    struct fault why = {0};
    json_error_t where;
    err outcome = cli_client_call(parts, &control->where, method, path, &answer, &why);
    json_t *tree = NULL;
    if (!err_ok(outcome)) {
        (void)fprintf(stderr, "plimsoll: %s\n", why.text);
    } else {
        tree = json_loadb(answer.body.at, answer.body.len, JSON_REJECT_DUPLICATES, &where);
        if (tree == NULL)
            (void)fprintf(stderr, "plimsoll: the answer is not JSON: %s\n", where.text);
    }
    *out_status = answer.status;
    buf_done(&answer.body);
    return tree;
}

static const char *cli_control_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static long long cli_control_number(const json_t *object, const char *key)
{
    return (long long)json_number_value(json_object_get(object, key));
}

/* What a problem document says, on stderr. */
static int cli_control_refused(const json_t *tree)
{
    const char *detail = cli_control_text(tree, "detail");
    (void)fprintf(stderr, "plimsoll: %s\n",
                  detail[0] != '\0' ? detail : cli_control_text(tree, "title"));
    return 1;
}

static void cli_control_print_errors(const json_t *tree)
{
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(tree, "errors"), i, e)(void) fprintf(
        stderr, "%s:%lld:%lld: %s\n", cli_control_text(e, "file"), cli_control_number(e, "line"),
        cli_control_number(e, "column"), cli_control_text(e, "text"));
}

int cli_control_reload(const struct part *const *parts, int argc, char **argv)
{
    struct cli_control control = {0};
    unsigned status = 0;
    if (!cli_control_options(argc, argv, &control))
        return 2;
    if (control.words != 0)
        return cli_options_wrong_usage("reload");
    json_t *tree = cli_control_call(parts, &control, "POST", "/api/admin/reload", &status);
    if (tree == NULL)
        return 1;
    int result = 0;
    if (json_is_true(json_object_get(tree, "reloaded"))) {
        long long waiting = cli_control_number(tree, "restart_keys");
        (void)printf("reloaded\n");
        if (waiting > 0)
            (void)printf("%lld changed key(s) wait for a restart; the log names them\n", waiting);
    } else if (json_object_get(tree, "errors") != NULL) {
        cli_control_print_errors(tree);
        (void)fprintf(stderr, "plimsoll: not reloaded, nothing has changed\n");
        result = 1;
    } else {
        result = cli_control_refused(tree);
    }
    json_decref(tree);
    return result;
}

/* ---- status ---- */

static const char *cli_control_colour(const char *state)
{
    if (isatty(STDOUT_FILENO) == 0)
        return "";
    bool is_good = strcmp(state, "up") == 0 || strcmp(state, "closed") == 0;
    bool is_bad = strcmp(state, "down") == 0 || strcmp(state, "open") == 0 ||
                  strcmp(state, "forced-open") == 0;
    return is_good ? "\033[32m" : is_bad ? "\033[31m" : "\033[33m";
}

static const char *cli_control_plain(void)
{
    return isatty(STDOUT_FILENO) == 0 ? "" : "\033[0m";
}

static void cli_control_print_target(const json_t *t)
{
    const char *state = cli_control_text(t, "state");
    const char *reason = cli_control_text(t, "reason");
    (void)printf("    %-24s %s%-9s%s in flight %-4lld %8.3f ms  tries %lld  failures %lld",
                 cli_control_text(t, "address"), cli_control_colour(state), state,
                 cli_control_plain(), cli_control_number(t, "in_flight"),
                 json_number_value(json_object_get(t, "latency_ms")),
                 cli_control_number(t, "tries"), cli_control_number(t, "failures"));
    (void)printf(reason[0] == '\0' ? "\n" : "  (%s)\n", reason);
}

static void cli_control_print_upstream(const json_t *u)
{
    const json_t *breaker = json_object_get(u, "breaker");
    const char *state = json_is_object(breaker) ? cli_control_text(breaker, "state") : "none";
    size_t i;
    json_t *t;
    (void)printf("  %-26s breaker %s%s%s", cli_control_text(u, "name"), cli_control_colour(state),
                 state, cli_control_plain());
    if (json_is_object(breaker))
        (void)printf("  failures %lld %% of %lld",
                     cli_control_number(breaker, "failure_rate_percent"),
                     cli_control_number(breaker, "volume"));
    (void)printf("  retries left %lld\n", cli_control_number(u, "retries_left"));
    json_array_foreach(json_object_get(u, "targets"), i, t) cli_control_print_target(t);
}

static void cli_control_print_status(const json_t *tree)
{
    const json_t *traffic = json_object_get(tree, "traffic");
    const json_t *latency = json_object_get(tree, "latency");
    size_t i;
    json_t *one;
    (void)printf("plimsoll %s, pid %lld, up %lld s%s\n", cli_control_text(tree, "version"),
                 cli_control_number(tree, "pid"), cli_control_number(tree, "uptime_ms") / 1000,
                 json_is_true(json_object_get(tree, "draining")) ? ", draining" : "");
    json_array_foreach(json_object_get(tree, "listeners"), i, one)(void)
        printf("listens   %s%s\n", cli_control_text(one, "address"),
               json_is_true(json_object_get(one, "tls")) ? " (TLS)" : "");
    (void)printf("now       %lld connections, %lld requests, %lld WebSockets\n",
                 cli_control_number(traffic, "connections"),
                 cli_control_number(traffic, "requests_running"),
                 cli_control_number(traffic, "tunnels"));
    (void)printf("requests  %lld  p50 %.3f ms  p90 %.3f ms  p99 %.3f ms\n",
                 cli_control_number(latency, "requests"),
                 json_number_value(json_object_get(latency, "p50_ms")),
                 json_number_value(json_object_get(latency, "p90_ms")),
                 json_number_value(json_object_get(latency, "p99_ms")));
    (void)printf("upstreams\n");
    json_array_foreach(json_object_get(tree, "upstreams"), i, one) cli_control_print_upstream(one);
}

int cli_control_status(const struct part *const *parts, int argc, char **argv)
{
    struct cli_control control = {0};
    unsigned status = 0;
    if (!cli_control_options(argc, argv, &control))
        return 2;
    if (control.words != 0)
        return cli_options_wrong_usage("status");
    json_t *tree = cli_control_call(parts, &control, "GET", "/api/admin/status", &status);
    if (tree == NULL)
        return 1;
    int result = 0;
    if (status != 200) {
        result = cli_control_refused(tree);
    } else if (control.is_json) {
        (void)json_dumpf(tree, stdout, JSON_INDENT(2));
        (void)printf("\n");
    } else {
        cli_control_print_status(tree);
    }
    json_decref(tree);
    return result;
}

/* ---- target and breaker ---- */

/* POSTs to where `write` says, and prints the new state of what the last word names. */
static int cli_control_order(const struct part *const *parts, const struct cli_control *control,
                             err (*write)(struct buf *out, char **argv), char **argv)
{
    struct buf path CLEANUP(buf_done);
    const char *text = NULL;
    unsigned status = 0;
    buf_init(&path, CLI_CONTROL_PATH_MAX);
    if (!err_ok(write(&path, argv)) || !err_ok(buf_text(&path, &text))) {
        (void)fprintf(stderr, "plimsoll: %s is too long for a name\n", argv[control->words]);
        return 1;
    }
    json_t *tree = cli_control_call(parts, control, "POST", text, &status);
    if (tree == NULL)
        return 1;
    int result = 0;
    if (status != 200)
        result = cli_control_refused(tree);
    else
        (void)printf("%s: %s\n", argv[control->words], cli_control_text(tree, "state"));
    json_decref(tree);
    return result;
}

static bool cli_control_is_one_of(const char *word, const char *const *allowed)
{
    for (; *allowed != NULL; allowed++)
        if (strcmp(word, *allowed) == 0)
            return true;
    return false;
}

/* A segment of a path or a value of a query: all but the unreserved of RFC 3986 is escaped. */
static err cli_control_escape(struct buf *out, const char *word)
{
    for (; *word != '\0'; word++) {
        bool is_plain = (*word >= 'a' && *word <= 'z') || (*word >= 'A' && *word <= 'Z') ||
                        (*word >= '0' && *word <= '9') || strchr("-._~", *word) != NULL;
        if (is_plain)
            TRY(buf_add_char(out, *word));
        else
            TRY(buf_printf(out, "%%%02X", (unsigned)(unsigned char)*word));
    }
    return OK;
}

static err cli_control_target_path(struct buf *out, char **argv)
{
    TRY(buf_add(out, SPAN("/api/admin/targets/")));
    TRY(cli_control_escape(out, argv[2]));
    TRY(buf_printf(out, "/%s?target=", argv[1]));
    return cli_control_escape(out, argv[3]);
}

static err cli_control_breaker_path(struct buf *out, char **argv)
{
    TRY(buf_add(out, SPAN("/api/admin/breakers/")));
    TRY(cli_control_escape(out, argv[2]));
    return buf_printf(out, "/%s", argv[1]);
}

int cli_control_target(const struct part *const *parts, int argc, char **argv)
{
    static const char *const verbs[] = {"drain", "undrain", NULL};
    struct cli_control control = {0};
    if (!cli_control_options(argc, argv, &control))
        return 2;
    if (control.words != 3 || !cli_control_is_one_of(argv[1], verbs))
        return cli_options_wrong_usage("target");
    return cli_control_order(parts, &control, cli_control_target_path, argv);
}

int cli_control_breaker(const struct part *const *parts, int argc, char **argv)
{
    static const char *const verbs[] = {"open", "close", "auto", NULL};
    struct cli_control control = {0};
    if (!cli_control_options(argc, argv, &control))
        return 2;
    if (control.words != 2 || !cli_control_is_one_of(argv[1], verbs))
        return cli_options_wrong_usage("breaker");
    return cli_control_order(parts, &control, cli_control_breaker_path, argv);
}
