/* fuzz_router.c: any rules, any request.
 *
 * Lines "host path" are rules, the last line is the request. Whatever they say, the router either
 * refuses the rules or answers, and the values of parameters lie within the path.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/router.h"

#define FUZZ_ROUTER_RULES_MAX 16

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void fuzz_router_ask(const struct router *r, unsigned count, struct span request)
{
    struct router_query query = {.host = span_cut(&request, ' '), .path = request};
    struct router_match match;
    router_find(r, &query, &match);
    must(match.rule >= -1 && match.rule < (int)count);
    must(!match.is_path_known); /* no rule names a method */
    must(match.param_count <= ROUTE_PARAM_MAX);
    for (unsigned i = 0; i < match.param_count; i++) {
        struct span value = match.params[i].value;
        must(value.at >= query.path.at && value.at + value.len <= query.path.at + query.path.len);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct router_rule rules[FUZZ_ROUTER_RULES_MAX] = {0};
    unsigned count = 0;
    struct span rest = span_of((const char *)data, size);
    struct span line = span_cut(&rest, '\n');
    for (; rest.at != NULL && count < FUZZ_ROUTER_RULES_MAX; line = span_cut(&rest, '\n')) {
        rules[count].host = span_cut(&line, ' ');
        rules[count].path = line;
        count++;
    }
    struct router *r = NULL;
    struct fault why = {0};
    if (!err_ok(router_new(rules, count, &r, &why))) {
        must(why.text[0] != '\0');
        return 0;
    }
    fuzz_router_ask(r, count, line);
    router_free(r);
    return 0;
}
