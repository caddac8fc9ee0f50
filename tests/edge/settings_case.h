/* settings_case.h: configurations that must be refused, and the words that must say why.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "loopback_case.h"

struct settings_case {
    const char *yaml;
    const char *words; /* of one of the faults, with its position in front */
};

static inline void settings_case_check(const struct settings_case *one)
{
    static struct config_report report;
    const char *text = "";
    struct buf out;
    report = (struct config_report){0};
    buf_init(&out, 262144);
    struct settings *made = loopback_settings(&lb, one->yaml, &report);
    assert_true(err_ok(config_report_write(&report, &out)));
    assert_true(err_ok(buf_text(&out, &text)));
    if (made != NULL)
        fail_msg("this was accepted:\n%s", one->yaml);
    if (strstr(text, one->words) == NULL)
        fail_msg("no \"%s\" in:\n%sfor:\n%s", one->words, text, one->yaml);
    buf_done(&out);
}

/* Each is refused with its words; what runs does not change. */
static inline void settings_case_check_all(const struct settings_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        settings_case_check(&cases[i]);
}

/* A text with a run of `count` bytes in place of '@'. */
static inline const char *settings_case_long(const char *yaml, size_t count)
{
    static char text[131072];
    const char *mark = strchr(yaml, '@');
    assert_non_null(mark);
    size_t before = (size_t)(mark - yaml);
    assert_true(strlen(yaml) + count < sizeof text);
    memcpy(text, yaml, before);
    memset(text + before, 'x', count);
    memcpy(text + before + count, mark + 1, strlen(mark + 1) + 1);
    return text;
}
