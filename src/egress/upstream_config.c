/* upstream_config.c: keys, defaults and ranges of upstreams.
 *
 * The one hard thing: a target is written as an address or as a group with a weight; both forms
 * live under different keys so that the schema can tell them. Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "egress/upstream_config.h"

static const char *const upstream_config_balances[] = {"round_robin", "least_requests", NULL};

static const struct config_key upstream_config_weighted_keys[] = {
    {.name = "address",
     .type = CONFIG_ADDRESS,
     .is_required = true,
     .help = "Where the target listens.",
     .example = "127.0.0.1:3001"},
    {.name = "weight",
     .type = CONFIG_INT,
     .min = 1,
     .max = BALANCE_WEIGHT_MAX,
     .fallback = "1",
     .help = "Its share of requests against the other targets."},
    {0}};

static const struct config_key upstream_config_health_keys[] = {
    {.name = "path",
     .type = CONFIG_STRING,
     .min = 1,
     .max = 1024,
     .help = "Path of an HTTP check; without it the check only connects.",
     .example = "/healthz"},
    {.name = "host",
     .type = CONFIG_STRING,
     .min = 1,
     .max = 255,
     .help = "Host header of the check; by default the target's address."},
    {.name = "status",
     .type = CONFIG_LIST,
     .item = CONFIG_INT,
     .min = 1,
     .max = 2,
     .help = "The status that is healthy, or the lowest and the highest; 200 to 399 by default.",
     .example = "[200, 299]"},
    {.name = "body",
     .type = CONFIG_STRING,
     .min = 1,
     .max = 1024,
     .help = "Text that the first 64 KiB of the body must contain.",
     .example = "ok"},
    {.name = "interval",
     .type = CONFIG_DURATION,
     .min = 100,
     .max = 3600000,
     .fallback = "2s",
     .help = "Time between two checks of a target, give or take 20 %."},
    {.name = "timeout",
     .type = CONFIG_DURATION,
     .min = 10,
     .max = 60000,
     .fallback = "1s",
     .help = "How long one check may take."},
    {.name = "rise",
     .type = CONFIG_INT,
     .min = 1,
     .max = 100,
     .fallback = "2",
     .help = "Good checks in a row that bring a target up."},
    {.name = "fall",
     .type = CONFIG_INT,
     .min = 1,
     .max = 100,
     .fallback = "3",
     .help = "Bad checks in a row that take a target down."},
    {0}};

static const struct config_key upstream_config_breaker_keys[] = {
    {.name = "window",
     .type = CONFIG_DURATION,
     .min = 1000,
     .max = 300000,
     .fallback = "30s",
     .help = "Over which the rates are taken."},
    {.name = "volume",
     .type = CONFIG_INT,
     .min = 1,
     .max = 1000000,
     .fallback = "20",
     .help = "Below so many calls in the window it never opens."},
    {.name = "failure_rate",
     .type = CONFIG_PERCENT,
     .fallback = "50%",
     .help = "Opens when this share of calls failed; 0 % for never."},
    {.name = "slow_rate",
     .type = CONFIG_PERCENT,
     .fallback = "80%",
     .help = "Opens when this share of calls was slow; 0 % for never."},
    {.name = "slow_call",
     .type = CONFIG_DURATION,
     .min = 1,
     .max = 600000,
     .fallback = "10s",
     .help = "A call of this length or more is slow."},
    {.name = "open",
     .type = CONFIG_DURATION,
     .min = 100,
     .max = 600000,
     .fallback = "30s",
     .help = "How long it stays open at first; doubles with each failed probing."},
    {.name = "open_max",
     .type = CONFIG_DURATION,
     .min = 100,
     .max = 3600000,
     .fallback = "5m",
     .help = "The longest time open."},
    {.name = "probes",
     .type = CONFIG_INT,
     .min = 1,
     .max = BREAKER_PROBE_MAX,
     .fallback = "3",
     .help = "Calls that are let through to see whether the upstream has recovered."},
    {0}};

static const struct config_key upstream_config_retry_keys[] = {
    {.name = "tries",
     .type = CONFIG_INT,
     .min = 1,
     .max = RETRY_TRIES_MAX,
     .fallback = "3",
     .help = "Tries of one request, the first included; 1 for no retries."},
    {.name = "base",
     .type = CONFIG_DURATION,
     .min = 1,
     .max = 10000,
     .fallback = "25ms",
     .help = "The wait before the n-th retry is random up to base doubled n-1 times."},
    {.name = "cap",
     .type = CONFIG_DURATION,
     .min = 1,
     .max = 60000,
     .fallback = "1s",
     .help = "The longest such wait."},
    {.name = "statuses",
     .type = CONFIG_LIST,
     .item = CONFIG_INT,
     .min = 1,
     .max = RETRY_STATUS_MAX,
     .help = "Response statuses that are retried; 502, 503 and 504 by default.",
     .example = "[502, 503, 504]"},
    {.name = "budget",
     .type = CONFIG_PERCENT,
     .fallback = "20%",
     .help = "Retries may be this share of requests of the last ten seconds ..."},
    {.name = "reserve",
     .type = CONFIG_INT,
     .min = 0,
     .max = 100000,
     .fallback = "10",
     .help = "... and so many more a second."},
    {0}};

static const struct config_key upstream_config_outlier_keys[] = {
    {.name = "failures",
     .type = CONFIG_INT,
     .min = 0,
     .max = 1000,
     .fallback = "5",
     .help = "Failures in a row that eject a target; 0 for never."},
    {.name = "eject",
     .type = CONFIG_DURATION,
     .min = 100,
     .max = 3600000,
     .fallback = "30s",
     .help = "How long it is out, times the number of its recent ejections."},
    {.name = "eject_max",
     .type = CONFIG_DURATION,
     .min = 100,
     .max = 86400000,
     .fallback = "5m",
     .help = "The longest time out."},
    {.name = "ejected_max",
     .type = CONFIG_PERCENT,
     .fallback = "50%",
     .help = "The largest share of the targets that may be out at one time."},
    {0}};

static const struct config_key upstream_config_tls_keys[] = {
    {.name = "verify",
     .type = CONFIG_BOOL,
     .fallback = "true",
     .help = "Whether the target's certificate is checked."},
    {.name = "ca",
     .type = CONFIG_FILE,
     .help = "PEM file of trusted issuers; the system's by default."},
    {.name = "server_name",
     .type = CONFIG_STRING,
     .min = 1,
     .max = 253,
     .help = "The name to ask for and to verify; by default the host of the target."},
    {0}};

const struct config_key upstream_config_keys[] = {
    {.name = "targets",
     .type = CONFIG_LIST,
     .item = CONFIG_ADDRESS,
     .min = 1,
     .max = UPSTREAM_TARGETS_MAX,
     .help = "Addresses of equal weight.",
     .example = "[127.0.0.1:3001, 127.0.0.1:3002]"},
    {.name = "weighted",
     .type = CONFIG_GROUPS,
     .min = 1,
     .max = UPSTREAM_TARGETS_MAX,
     .keys = upstream_config_weighted_keys,
     .help = "Targets with weights, in place of targets."},
    {.name = "balance",
     .type = CONFIG_CHOICE,
     .choices = upstream_config_balances,
     .fallback = "round_robin",
     .help = "Smooth weighted round robin, or the less busy of two random targets."},
    {.name = "health",
     .type = CONFIG_GROUP,
     .is_optional = true,
     .keys = upstream_config_health_keys,
     .help = "Active health checks; none without this group."},
    {.name = "breaker",
     .type = CONFIG_GROUP,
     .keys = upstream_config_breaker_keys,
     .help = "The circuit breaker."},
    {.name = "breaker_on",
     .type = CONFIG_BOOL,
     .fallback = "true",
     .help = "Whether there is a circuit breaker."},
    {.name = "retry",
     .type = CONFIG_GROUP,
     .keys = upstream_config_retry_keys,
     .help = "Retries of requests that may be repeated (RFC 9110 section 9.2.2)."},
    {.name = "outlier",
     .type = CONFIG_GROUP,
     .keys = upstream_config_outlier_keys,
     .help = "Ejection of targets whose requests keep failing."},
    {.name = "tls",
     .type = CONFIG_GROUP,
     .is_optional = true,
     .keys = upstream_config_tls_keys,
     .help = "Speak TLS to the targets."},
    {.name = "connect_timeout",
     .type = CONFIG_DURATION,
     .min = 10,
     .max = 60000,
     .fallback = "1s",
     .help = "How long a connection may take to open, TLS included."},
    {.name = "try_timeout",
     .type = CONFIG_DURATION,
     .min = 10,
     .max = 3600000,
     .help = "How long one try may wait for the response head; without it the whole timeout."},
    {.name = "timeout",
     .type = CONFIG_DURATION,
     .min = 10,
     .max = 3600000,
     .fallback = "30s",
     .help = "From the whole request to the response head, over all tries and waits."},
    {.name = "pause_max",
     .type = CONFIG_DURATION,
     .min = 0,
     .max = 3600000,
     .fallback = "1m",
     .help = "The longest pause that a target may ask for by Retry-After."},
    {.name = "idle_connections",
     .type = CONFIG_INT,
     .min = 0,
     .max = 10000,
     .fallback = "256",
     .help = "Idle connections kept to each target by each loop."},
    {.name = "idle_timeout",
     .type = CONFIG_DURATION,
     .min = 100,
     .max = 3600000,
     .fallback = "60s",
     .help = "How long they are kept; less when the target announces its own timeout."},
    {0}};

static uint32_t upstream_config_percent(const struct config_node *group, const char *key)
{
    return (uint32_t)(config_int(group, key) / 100);
}

static uint32_t upstream_config_u32(const struct config_node *group, const char *key)
{
    return (uint32_t)config_int(group, key);
}

static void upstream_config_targets(const struct config_node *node,
                                    struct upstream_target_options *targets,
                                    struct upstream_options *options, struct config_report *report)
{
    const struct config_node *plain = config_child(node, "targets");
    const struct config_node *weighted = config_child(node, "weighted");
    unsigned count = 0;
    if (config_is_set(node, "targets") == config_is_set(node, "weighted")) {
        (void)config_fault(node, report, "either targets or weighted is needed");
        return;
    }
    for (unsigned i = 0; i < config_count(plain) && count < UPSTREAM_TARGETS_MAX; i++)
        targets[count++] = (struct upstream_target_options){config_value(config_at(plain, i)), 1};
    for (unsigned i = 0; i < config_count(weighted) && count < UPSTREAM_TARGETS_MAX; i++) {
        const struct config_node *one = config_at(weighted, i);
        targets[count++] = (struct upstream_target_options){config_span(one, "address"),
                                                            upstream_config_u32(one, "weight")};
    }
    options->targets = targets;
    options->target_count = count;
}

static void upstream_config_check(const struct config_node *node,
                                  struct upstream_check_options *check,
                                  struct config_report *report)
{
    if (node == NULL)
        return;
    const struct config_node *status = config_child(node, "status");
    check->kind = config_is_set(node, "path") ? UPSTREAM_CHECK_HTTP : UPSTREAM_CHECK_TCP;
    if (config_is_set(node, "path"))
        check->path = config_span(node, "path");
    check->host = config_span(node, "host");
    check->body_contains = config_span(node, "body");
    unsigned count = config_count(status);
    if (count > 0) {
        check->status_min = (unsigned)config_value_int(config_at(status, 0));
        check->status_max = (unsigned)config_value_int(config_at(status, count - 1));
    }
    if (check->status_min < 100 || check->status_max > 599 || check->status_min > check->status_max)
        (void)config_fault(status, report, "a status, or two in order, from 100 to 599");
    if (check->kind == UPSTREAM_CHECK_HTTP && (check->path.len == 0 || check->path.at[0] != '/'))
        (void)config_fault(config_child(node, "path"), report, "a path begins with '/'");
    check->interval_ms = upstream_config_u32(node, "interval");
    check->timeout_ms = upstream_config_u32(node, "timeout");
    check->rise = upstream_config_u32(node, "rise");
    check->fall = upstream_config_u32(node, "fall");
}

static void upstream_config_breaker(const struct config_node *node, struct breaker_options *b)
{
    b->window_ms = upstream_config_u32(node, "window");
    b->volume_min = upstream_config_u32(node, "volume");
    b->failure_rate_percent = upstream_config_percent(node, "failure_rate");
    b->slow_rate_percent = upstream_config_percent(node, "slow_rate");
    b->slow_call_ms = upstream_config_u32(node, "slow_call");
    b->open_ms = upstream_config_u32(node, "open");
    b->open_max_ms = upstream_config_u32(node, "open_max");
    b->probe_count = upstream_config_u32(node, "probes");
}

static void upstream_config_retry(const struct config_node *node, struct upstream_options *options,
                                  struct config_report *report)
{
    const struct config_node *statuses = config_child(node, "statuses");
    options->retry.tries_max = upstream_config_u32(node, "tries");
    options->retry.base_ms = upstream_config_u32(node, "base");
    options->retry.cap_ms = upstream_config_u32(node, "cap");
    unsigned count = config_count(statuses);
    for (unsigned i = 0; i < RETRY_STATUS_MAX && count > 0; i++)
        options->retry.statuses[i] =
            i < count ? (uint16_t)config_value_int(config_at(statuses, i)) : 0;
    options->retry_budget.percent = upstream_config_percent(node, "budget");
    options->retry_budget.reserve_per_s = upstream_config_u32(node, "reserve");
    struct fault why = {0};
    if (!err_ok(retry_policy_validate(&options->retry, &why)))
        (void)config_fault(node, report, "%s", why.text);
}

static void upstream_config_links(const struct config_node *node,
                                  struct upstream_config_links *links)
{
    const struct config_node *tls = config_child(node, "tls");
    *links =
        (struct upstream_config_links){.idle_timeout_ms = upstream_config_u32(node, "idle_timeout"),
                                       .idle_max = upstream_config_u32(node, "idle_connections")};
    if (tls == NULL)
        return;
    links->has_tls = true;
    links->is_verified = config_bool(tls, "verify");
    links->ca_path = config_span(tls, "ca");
    links->server_name = config_span(tls, "server_name");
}

void upstream_config_read(const struct config_node *node, struct upstream_target_options *targets,
                          struct upstream_options *options, struct upstream_config_links *links,
                          struct config_report *report)
{
    const struct config_node *outlier = config_child(node, "outlier");
    *options = UPSTREAM_OPTIONS_DEFAULT;
    options->name = config_name(node);
    upstream_config_targets(node, targets, options, report);
    options->balance = (enum balance_kind)config_int(node, "balance");
    upstream_config_check(config_child(node, "health"), &options->check, report);
    options->has_breaker = config_bool(node, "breaker_on");
    upstream_config_breaker(config_child(node, "breaker"), &options->breaker);
    upstream_config_retry(config_child(node, "retry"), options, report);
    options->outlier = (struct target_outlier_options){
        .failures_in_a_row = upstream_config_u32(outlier, "failures"),
        .eject_ms = upstream_config_u32(outlier, "eject"),
        .eject_max_ms = upstream_config_u32(outlier, "eject_max"),
        .ejected_max_percent = upstream_config_percent(outlier, "ejected_max")};
    options->connect_timeout_ms = upstream_config_u32(node, "connect_timeout");
    options->try_timeout_ms = upstream_config_u32(node, "try_timeout");
    options->request_timeout_ms = upstream_config_u32(node, "timeout");
    options->pause_max_ms = upstream_config_u32(node, "pause_max");
    upstream_config_links(node, links);
}
