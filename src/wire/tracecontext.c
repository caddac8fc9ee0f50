/* tracecontext.c: strict reading of traceparent and tracestate.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/tracecontext.h"

#include "core/hex.h"

#define TRACECONTEXT_VERSION_INVALID 0xff

static bool tracecontext_is_zero(const unsigned char *bytes, size_t len)
{
    unsigned char any = 0;
    for (size_t i = 0; i < len; i++)
        any |= bytes[i];
    return any == 0;
}

/* Lower-case hex only: upper case is invalid (section 3.2.2). */
static err tracecontext_hex(const char *at, unsigned char *out, size_t count)
{
    for (size_t i = 0; i < 2 * count; i++) {
        char c = at[i];
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a' + 10);
        else
            return FAIL(INVALID);
        out[i / 2] = (unsigned char)(i % 2 == 0 ? digit << 4 : out[i / 2] | digit);
    }
    return OK;
}

err tracecontext_parse(struct span traceparent, struct tracecontext *out)
{
    struct tracecontext t;
    unsigned char version;
    if (traceparent.len < TRACECONTEXT_TEXT_BYTES)
        return FAIL(INVALID);
    const char *at = traceparent.at;
    if (at[2] != '-' || at[35] != '-' || at[52] != '-')
        return FAIL(INVALID);
    TRY(tracecontext_hex(at, &version, 1));
    TRY(tracecontext_hex(at + 3, t.trace_id, sizeof t.trace_id));
    TRY(tracecontext_hex(at + 36, t.span_id, sizeof t.span_id));
    TRY(tracecontext_hex(at + 53, &t.flags, 1));
    if (version == TRACECONTEXT_VERSION_INVALID)
        return FAIL(INVALID);
    /* A later version may go on, but only behind a further dash. */
    if (traceparent.len > TRACECONTEXT_TEXT_BYTES &&
        (version == 0 || at[TRACECONTEXT_TEXT_BYTES] != '-'))
        return FAIL(INVALID);
    if (tracecontext_is_zero(t.trace_id, sizeof t.trace_id) ||
        tracecontext_is_zero(t.span_id, sizeof t.span_id))
        return FAIL(INVALID);
    t.flags &= TRACECONTEXT_SAMPLED;
    *out = t;
    return OK;
}

void tracecontext_format(const struct tracecontext *t, char out[TRACECONTEXT_TEXT_BYTES])
{
    char *at = out;
    *at++ = '0';
    *at++ = '0';
    *at++ = '-';
    at = hex_write(at, t->trace_id, sizeof t->trace_id);
    *at++ = '-';
    at = hex_write(at, t->span_id, sizeof t->span_id);
    *at++ = '-';
    at = hex_write(at, &t->flags, 1);
    must(at == out + TRACECONTEXT_TEXT_BYTES);
}

/* All zero is no id (section 3.2.2.3). */
static void tracecontext_draw(struct random *random, unsigned char *out, size_t len)
{
    do {
        for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
            uint64_t word = random_name_word(random);
            memcpy(out + i, &word, sizeof word);
        }
    } while (tracecontext_is_zero(out, len));
}

void tracecontext_child(const struct tracecontext *parent, struct random *random,
                        struct tracecontext *out)
{
    struct tracecontext child = *parent;
    tracecontext_draw(random, child.span_id, sizeof child.span_id);
    *out = child;
}

void tracecontext_begin(struct random *random, bool is_sampled, struct tracecontext *out)
{
    tracecontext_draw(random, out->trace_id, sizeof out->trace_id);
    tracecontext_draw(random, out->span_id, sizeof out->span_id);
    out->flags = is_sampled ? TRACECONTEXT_SAMPLED : 0;
}

static bool tracecontext_is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool tracecontext_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The characters behind the first of a key (section 3.3.1.3.1). */
static bool tracecontext_is_key_rest(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!tracecontext_is_lower(c) && !tracecontext_is_digit(c) && c != '_' && c != '-' &&
            c != '*' && c != '/')
            return false;
    }
    return true;
}

static bool tracecontext_is_key(struct span key)
{
    struct span system = key;
    struct span tenant = span_cut(&system, '@');
    if (tenant.len == 0 || !tracecontext_is_key_rest(tenant))
        return false;
    if (system.at == NULL)
        return tenant.len <= 256 && tracecontext_is_lower(tenant.at[0]);
    if (!tracecontext_is_lower(tenant.at[0]) && !tracecontext_is_digit(tenant.at[0]))
        return false;
    return tenant.len <= 241 && system.len >= 1 && system.len <= 14 &&
           tracecontext_is_lower(system.at[0]) && tracecontext_is_key_rest(system);
}

static bool tracecontext_is_value(struct span value)
{
    if (value.len == 0 || value.len > 256)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        if (c < 0x20 || c > 0x7e || c == ',' || c == '=')
            return false;
    }
    return value.at[value.len - 1] != ' ';
}

err tracecontext_state_add(struct tracecontext_state *state, struct span value)
{
    struct span rest = value;
    state->bytes += value.len;
    if (state->bytes > TRACECONTEXT_STATE_BYTES_MAX)
        return FAIL(TOO_LARGE);
    while (rest.at != NULL) {
        struct span member = span_trim(span_cut(&rest, ','));
        if (member.len == 0)
            continue;
        struct span text = member;
        struct span key = span_cut(&text, '=');
        if (text.at == NULL || !tracecontext_is_key(key) || !tracecontext_is_value(text))
            return FAIL(INVALID);
        if (++state->members > TRACECONTEXT_STATE_MEMBERS_MAX)
            return FAIL(TOO_LARGE);
    }
    return OK;
}
