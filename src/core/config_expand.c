/* config_expand.c: environment variables inside values.
 *
 * The one hard thing: what a variable holds may be a secret, so no message shows it; faults name
 * the variable alone. Reads the environment: any thread while nobody changes it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/config_expand.h"

#include <unistd.h>

#define CONFIG_EXPAND_NAME_MAX 128

bool config_expand_is_needed(struct span text)
{
    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.at[i] == '$' && text.at[i + 1] == '{')
            return true;
    return false;
}

static bool config_expand_is_name(struct span name)
{
    if (name.len == 0 || name.len > CONFIG_EXPAND_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!is_letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return true;
}

/* {NULL, 0} when it is not set. */
static struct span config_expand_variable(struct span name)
{
    for (char *const *entry = environ; *entry != NULL; entry++) {
        struct span value = span_from(*entry);
        if (span_eq(span_cut(&value, '='), name))
            return value;
    }
    return (struct span){NULL, 0};
}

/* The text behind "${". Moves *rest behind the "}". */
static err config_expand_one(struct span *rest, struct buf *out, struct fault *why)
{
    size_t end = span_find(*rest, '}');
    if (end == rest->len)
        return fault_set(why, ERR_INVALID, "a \"${\" has no \"}\"; write $${ for the text itself");
    struct span name = span_of(rest->at, end);
    if (!config_expand_is_name(name))
        return fault_set(why, ERR_INVALID,
                         "between ${ and } must stand the name of an environment variable; "
                         "write $${ for the text itself");
    struct span value = config_expand_variable(name);
    if (value.at == NULL)
        return fault_set(why, ERR_INVALID, "the environment variable %.*s is not set",
                         SPAN_ARGS(name));
    *rest = span_skip(*rest, end + 1);
    return buf_add(out, value);
}

err config_expand(struct span text, struct buf *out, struct fault *why)
{
    while (text.len > 0) {
        if (span_starts(text, SPAN("$${"))) {
            TRY(buf_add(out, SPAN("${")));
            text = span_skip(text, 3);
        } else if (span_starts(text, SPAN("${"))) {
            text = span_skip(text, 2);
            TRY(config_expand_one(&text, out, why));
        } else {
            TRY(buf_add_char(out, text.at[0]));
            text = span_skip(text, 1);
        }
    }
    return OK;
}
