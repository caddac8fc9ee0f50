/* route.c: what handlers ask of their call.
 *
 * Pure; the thread that runs the handler.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/route.h"

struct span route_param(const struct call *c, const char *name)
{
    struct span wanted = span_from(name);
    for (unsigned i = 0; i < c->param_count; i++)
        if (span_eq(c->params[i].name, wanted))
            return c->params[i].value;
    must_fail("path parameter is not in the pattern", __FILE__, __LINE__);
}

static int route_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A malformed escape stays as it is: the value is data, not a path. */
static struct span route_decode(struct arena *arena, struct span s)
{
    char *out = arena_alloc(arena, s.len);
    size_t len = 0;
    for (size_t i = 0; i < s.len; i++) {
        bool is_escape = s.at[i] == '%' && i + 2 < s.len && route_hex(s.at[i + 1]) >= 0 &&
                         route_hex(s.at[i + 2]) >= 0;
        if (is_escape) {
            out[len++] = (char)(route_hex(s.at[i + 1]) * 16 + route_hex(s.at[i + 2]));
            i += 2;
        } else {
            out[len++] = s.at[i] == '+' ? ' ' : s.at[i];
        }
    }
    return span_of(out, len);
}

bool route_query(const struct call *c, const char *name, struct span *out)
{
    struct span wanted = span_from(name);
    struct span rest = c->request->query;
    while (rest.at != NULL) {
        struct span value = span_cut(&rest, '&');
        struct span key = span_cut(&value, '=');
        if (span_eq(key, wanted)) {
            *out = route_decode(c->arena, value.at == NULL ? SPAN("") : value);
            return true;
        }
    }
    return false;
}
