/* overall.c: judges by the checks that the parts bring.
 *
 *   draining   the process was told to end
 *   down       a check of the process or of its service fails
 *   degraded   one of these warns, or a check of the machine fails
 *   ok         otherwise; a warning about the machine is a finding, and no more
 *
 * Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operate/overall.h"

#include "core/check.h"

struct overall_page {
    struct check_sink sink; /* first */
    struct json *json;
    const struct check *check;
    enum overall state;
};

const char *overall_text(enum overall state)
{
    static const char *const texts[] = {
#define X(name, text) [OVERALL_##name] = text,
        OVERALL_TABLE(X)
#undef X
    };
    return texts[state];
}

static enum overall overall_of(const struct check *check, enum check_status status)
{
    bool is_machine = check->level == CHECK_SYSTEM;
    switch (status) {
    case CHECK_PASS:
        return OVERALL_OK;
    case CHECK_WARN:
        return is_machine ? OVERALL_OK : OVERALL_DEGRADED;
    case CHECK_FAIL:
        return is_machine ? OVERALL_DEGRADED : OVERALL_DOWN;
    }
    must(false);
    return OVERALL_DOWN;
}

static void overall_add(struct check_sink *sink, const struct check_result *result)
{
    struct overall_page *page = container_of(sink, struct overall_page, sink);
    struct json *j = page->json;
    enum overall state = overall_of(page->check, result->status);
    if (result->status == CHECK_PASS)
        return;
    if (state > page->state)
        page->state = state;
    json_object(j);
    json_key(j, "check");
    json_text(j, page->check->name);
    json_key(j, "component");
    json_string(j, result->component_id);
    json_key(j, "status");
    json_text(j, result->status == CHECK_WARN ? "warn" : "fail");
    json_key(j, "text");
    json_text(j, result->output == NULL ? page->check->help : result->output);
    json_object_end(j);
}

void overall_write(struct json *j, const struct node *n)
{
    struct overall_page page = {.sink = {overall_add}, .json = j, .state = OVERALL_OK};
    json_object(j);
    json_key(j, "findings");
    json_array(j);
    for (size_t i = 0; n->parts[i] != NULL; i++) {
        page.check = n->parts[i]->checks;
        for (; page.check != NULL && page.check->name != NULL; page.check++)
            page.check->run(n, &page.sink);
    }
    json_array_end(j);
    json_key(j, "state");
    json_text(j, overall_text(n->is_draining ? OVERALL_DRAINING : page.state));
    json_object_end(j);
}
