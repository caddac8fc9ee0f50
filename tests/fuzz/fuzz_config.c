/* fuzz_config.c: any bytes as a configuration: either every value can be read, or there are errors.
 *
 * Also that the rest of the house may rely on it: faults have a place inside the text and say
 * something, two loads of one text do not differ, and what is loaded equals itself.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/config_priv.h"
#include "core/config_sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 loses the text of a quoted scalar when its scan fails. Forgetting to free what
 * it gave us would still be found by the unit tests, which suppress nothing. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

static struct config_report fuzz_report;

/* Walks through the accessors alone, as a part would. */
static size_t fuzz_read(const struct config_node *node);

static size_t fuzz_read_key(const struct config_node *group, const struct config_key *row)
{
    size_t sum = config_is_set(group, row->name) ? 1 : 0;
    switch (row->type) {
    case CONFIG_BOOL:
        return sum + (config_bool(group, row->name) ? 1 : 0);
    case CONFIG_INT:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
    case CONFIG_PERCENT:
        return sum + (size_t)config_int(group, row->name);
    case CONFIG_RATE:
        return sum + config_rate(group, row->name).count;
    case CONFIG_STRING:
    case CONFIG_CHOICE:
    case CONFIG_ADDRESS:
    case CONFIG_FILE: {
        struct span text = config_span(group, row->name);
        must(text.at == NULL || text.at[text.len] == '\0');
        return sum + text.len;
    }
    case CONFIG_SECRET:
        return sum + (config_secret(group, row->name) == NULL ? 0 : 1);
    case CONFIG_LIST:
    case CONFIG_GROUP:
    case CONFIG_GROUPS:
    case CONFIG_TABLE:
    case CONFIG_STRINGS:
        break;
    }
    const struct config_node *child = config_child(group, row->name);
    return sum + (child == NULL ? 0 : fuzz_read(child));
}

static size_t fuzz_read(const struct config_node *node)
{
    size_t sum = 0;
    if (node->type == CONFIG_GROUP) {
        for (unsigned i = 0; i < node->count; i++)
            sum += fuzz_read_key(node, &node->keys[i]);
        return sum;
    }
    for (unsigned i = 0; i < config_count(node); i++) {
        const struct config_node *entry = config_at(node, i);
        if (node->type == CONFIG_TABLE || node->type == CONFIG_STRINGS)
            must(config_find(node, config_name(entry)) == entry);
        if (entry->type == CONFIG_GROUP)
            sum += fuzz_read(entry);
        else
            sum += config_value(entry).len;
    }
    return sum;
}

static void fuzz_check_faults(void)
{
    must(fuzz_report.count > 0);
    for (unsigned i = 0; i < fuzz_report.count; i++) {
        const struct fault *fault = &fuzz_report.faults[i];
        must(fault->code == ERR_CONFIG && fault->text[0] != '\0');
        must(i == 0 || fault->line >= fuzz_report.faults[i - 1].line);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of((const char *)data, size);
    struct config *first = NULL;
    struct config *second = NULL;
    fuzz_report = (struct config_report){0};
    err outcome = config_load_text(sample_tables, text, "fuzz", &first, &fuzz_report);
    if (!err_ok(outcome)) {
        fuzz_check_faults();
        return 0;
    }
    must(fuzz_report.count == 0);
    must(err_ok(config_load_text(sample_tables, text, "fuzz", &second, &fuzz_report)));
    must(fuzz_read(config_root(first)) == fuzz_read(config_root(second)));
    must(config_diff(first, second, &fuzz_report) == 0);
    config_unref(first);
    config_unref(second);
    return 0;
}
