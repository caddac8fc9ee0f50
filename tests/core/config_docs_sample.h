/* config_docs_sample.h: a small table with what is hard to write down, for the tests of the docs.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/config.h"

static const char *const docs_modes[] = {"fast", "a|b", NULL};
static const struct config_key docs_inner_keys[] = {
    {.name = "rate",
     .type = CONFIG_RATE,
     .is_required = true,
     .min = 1,
     .max = 100,
     .help = "How many.",
     .example = "100/min"},
    {.name = "modes",
     .type = CONFIG_LIST,
     .item = CONFIG_CHOICE,
     .choices = docs_modes,
     .fallback = "[fast, a|b]",
     .help = "Ways."},
    {0},
};
static const struct config_key docs_outer_keys[] = {
    {.name = "inner", .type = CONFIG_GROUPS, .max = 2, .keys = docs_inner_keys, .help = "Inside."},
    {.name = "share",
     .type = CONFIG_PERCENT,
     .max = 5000,
     .fallback = "12.5%",
     .help = "A \"part\" | of\nit."},
    {0},
};
static const struct config_key docs_first_keys[] = {
    {.name = "outer",
     .type = CONFIG_TABLE,
     .mode = CONFIG_RESTART,
     .keys = docs_outer_keys,
     .help = "Outside.",
     .example = "a: {share: 5}\nb: {}"},
    {0},
};
static const struct config_key docs_second_keys[] = {
    {.name = "size",
     .type = CONFIG_SIZE,
     .min = 1024,
     .max = INT64_MAX,
     .is_optional = true,
     .help = "How large."},
    {0},
};
static const struct config_key *const docs_tables[] = {docs_first_keys, docs_second_keys, NULL};
