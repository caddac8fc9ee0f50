/* config_sample.h: a table with every type, for the tests of the configuration.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/config.h"

static const char *const sample_methods[] = {"GET", "POST", "DELETE", NULL};
static const char *const sample_pers[] = {"ip", "route", "global", NULL};

static const struct config_key sample_tls_keys[] = {
    {.name = "certificate", .type = CONFIG_FILE, .is_required = true, .help = "The chain."},
    {.name = "key", .type = CONFIG_FILE, .is_required = true, .help = "The private key."},
    {0},
};
static const struct config_key sample_listen_keys[] = {
    {.name = "address",
     .type = CONFIG_ADDRESS,
     .mode = CONFIG_RESTART,
     .is_required = true,
     .max = 65535,
     .help = "Where to listen; port 0 takes a free one."},
    {.name = "backlog",
     .type = CONFIG_INT,
     .min = 1,
     .max = 4096,
     .fallback = "511",
     .mode = CONFIG_RESTART,
     .help = "Connections that may wait."},
    {.name = "tls",
     .type = CONFIG_GROUP,
     .is_optional = true,
     .keys = sample_tls_keys,
     .help = "Speak TLS."},
    {0},
};
static const struct config_key sample_health_keys[] = {
    {.name = "path",
     .type = CONFIG_STRING,
     .min = 1,
     .max = 64,
     .fallback = "/healthz",
     .help = "What to ask for."},
    {.name = "interval",
     .type = CONFIG_DURATION,
     .min = 100,
     .max = 3600000,
     .fallback = "2s",
     .help = "How often."},
    {.name = "jitter",
     .type = CONFIG_PERCENT,
     .max = 5000,
     .fallback = "10%",
     .help = "How much earlier or later."},
    {0},
};
static const struct config_key sample_upstream_keys[] = {
    {.name = "targets",
     .type = CONFIG_LIST,
     .item = CONFIG_ADDRESS,
     .min = 1,
     .max = 3,
     .is_required = true,
     .help = "Where the application runs.",
     .example = "[127.0.0.1:3000]"},
    {.name = "health", .type = CONFIG_GROUP, .keys = sample_health_keys, .help = "Active checks."},
    {0},
};
static const struct config_key sample_limit_keys[] = {
    {.name = "per",
     .type = CONFIG_CHOICE,
     .choices = sample_pers,
     .fallback = "ip",
     .help = "What is counted."},
    {.name = "rate",
     .type = CONFIG_RATE,
     .min = 1,
     .max = 10000,
     .is_required = true,
     .help = "How many.",
     .example = "100/min"},
    {0},
};
static const struct config_key sample_match_keys[] = {
    {.name = "path", .type = CONFIG_STRING, .fallback = "/", .help = "The path."},
    {.name = "methods",
     .type = CONFIG_LIST,
     .item = CONFIG_CHOICE,
     .choices = sample_methods,
     .fallback = "[GET, POST]",
     .help = "The methods."},
    {0},
};
static const struct config_key sample_route_keys[] = {
    {.name = "match", .type = CONFIG_GROUP, .keys = sample_match_keys, .help = "Which requests."},
    {.name = "limits",
     .type = CONFIG_GROUPS,
     .max = 2,
     .keys = sample_limit_keys,
     .help = "How many of them.",
     .example = "[{per: ip, rate: 100/min}]"},
    {.name = "headers",
     .type = CONFIG_STRINGS,
     .max = 3,
     .help = "Set or taken away.",
     .example = "x-frame-options: DENY\nserver: false"},
    {.name = "to", .type = CONFIG_STRING, .is_optional = true, .help = "The upstream."},
    {0},
};
static const struct config_key sample_edge[] = {
    {.name = "listen", .type = CONFIG_GROUPS, .keys = sample_listen_keys, .help = "Listeners."},
    {.name = "routes", .type = CONFIG_GROUPS, .keys = sample_route_keys, .help = "Routes."},
    {.name = "body_max",
     .type = CONFIG_SIZE,
     .min = 1024,
     .max = 1048576,
     .fallback = "16kb",
     .is_optional = true,
     .help = "The largest body."},
    {.name = "is_strict", .type = CONFIG_BOOL, .fallback = "true", .help = "Refuse more."},
    {.name = "admin_token", .type = CONFIG_SECRET, .min = 8, .max = 16, .help = "Who may."},
    {0},
};
static const struct config_key sample_egress[] = {
    {.name = "upstreams", .type = CONFIG_TABLE, .keys = sample_upstream_keys, .help = "Upstreams."},
    {.name = "workers",
     .type = CONFIG_INT,
     .min = -2,
     .max = 64,
     .fallback = "4",
     .mode = CONFIG_RESTART,
     .help = "Threads."},
    {.name = "state",
     .type = CONFIG_FILE,
     .fallback = "var/state.db",
     .mode = CONFIG_RESTART,
     .help = "Where state is kept."},
    {0},
};
static const struct config_key *const sample_tables[] = {sample_edge, sample_egress, NULL};
