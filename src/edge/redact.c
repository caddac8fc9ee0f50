/* redact.c: names of parameters that hold secrets.
 *
 * The one hard thing is to miss none without hiding what is useful: long words count anywhere in a
 * name (access_token, X-Amz-Signature), short ones only as the whole of it (key, but not monkey).
 * A name with escapes is judged as it stands: who disguises it hides nothing of others.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/redact.h"

static const struct span redact_parts[] = {
    SPAN_INIT("token"),   SPAN_INIT("secret"),  SPAN_INIT("passw"),     SPAN_INIT("signature"),
    SPAN_INIT("api_key"), SPAN_INIT("api-key"), SPAN_INIT("apikey"),    SPAN_INIT("credential"),
    SPAN_INIT("session"), SPAN_INIT("samlres"), SPAN_INIT("assertion"),
};

static const struct span redact_words[] = {
    SPAN_INIT("key"), SPAN_INIT("code"), SPAN_INIT("sig"), SPAN_INIT("auth"), SPAN_INIT("jwt"),
    SPAN_INIT("pwd"), SPAN_INIT("otp"),  SPAN_INIT("pin"), SPAN_INIT("sid"),
};

static bool redact_has(struct span name, struct span part)
{
    for (size_t at = 0; at + part.len <= name.len; at++)
        if (span_eq_nocase(span_of(name.at + at, part.len), part))
            return true;
    return false;
}

static bool redact_is_secret(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(redact_words); i++)
        if (span_eq_nocase(name, redact_words[i]))
            return true;
    for (size_t i = 0; i < COUNT_OF(redact_parts); i++)
        if (redact_has(name, redact_parts[i]))
            return true;
    return false;
}

/* The next "name=value"; value.at is NULL without '='. */
static bool redact_next(struct span *rest, struct span *name, struct span *value)
{
    if (rest->at == NULL)
        return false;
    *value = span_cut(rest, '&');
    *name = span_cut(value, '=');
    return true;
}

static bool redact_is_hidden(struct span name, struct span value)
{
    return value.len > 0 && redact_is_secret(name);
}

bool redact_query(struct span query, struct put *out)
{
    struct span rest = query, name, value;
    bool is_any = false;
    while (!is_any && redact_next(&rest, &name, &value))
        is_any = redact_is_hidden(name, value);
    if (!is_any)
        return false;
    struct span separator = SPAN("");
    for (rest = query; redact_next(&rest, &name, &value); separator = SPAN("&")) {
        put_span(out, separator);
        put_span(out, name);
        put_span(out, value.at == NULL ? SPAN("") : SPAN("="));
        put_span(out, redact_is_hidden(name, value) ? SPAN("REDACTED") : value);
    }
    return true;
}
