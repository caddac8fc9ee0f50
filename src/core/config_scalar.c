/* config_scalar.c: reading and writing single values.
 *
 * The one hard thing: a value has one meaning or none. No octal, no bare milliseconds, no silent
 * overflow. Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/config_scalar.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

struct config_scalar_row {
    const char *name;
    const char *form;
    const char *pattern;
};

#define CONFIG_ADDRESS_PATTERN                                                                     \
    "^([A-Za-z0-9._-]+:[0-9]{1,5}|\\[[0-9A-Fa-f:.]+\\]:[0-9]{1,5}|unix:/.+)$"

static const struct config_scalar_row config_scalar_rows[] = {
    [CONFIG_BOOL] = {"bool", "true or false", NULL},
    [CONFIG_INT] = {"int", "a whole number", "^(0|-?[1-9][0-9]*)$"},
    [CONFIG_SIZE] = {"size", "a size such as 512b, 16kb, 1mb or 2gb",
                     "^(0|[1-9][0-9]*)([KkMmGgTt]?[Bb])?$"},
    [CONFIG_DURATION] = {"duration", "a duration such as 250ms, 2s, 5m, 1h or 90d",
                         "^(0|(0|[1-9][0-9]*)(ms|s|m|h|d))$"},
    [CONFIG_RATE] = {"rate", "a rate such as 10/s, 100/min, 20/h or 1000/d",
                     "^[1-9][0-9]*/(s|min|h|d)$"},
    [CONFIG_PERCENT] = {"percent", "a percentage such as 20 or 12.5%",
                        "^(0|[1-9][0-9]*)(\\.[0-9]{1,2})?%?$"},
    [CONFIG_STRING] = {"text", "a text", NULL},
    [CONFIG_CHOICE] = {"choice", "one of a list", NULL},
    [CONFIG_ADDRESS] = {"address", "an address such as 127.0.0.1:8080, [::1]:8080 or unix:/run/x",
                        CONFIG_ADDRESS_PATTERN},
    [CONFIG_FILE] = {"file", "a path", NULL},
    [CONFIG_SECRET] = {"secret", "a secret: text, ${NAME} or file:path", NULL},
    [CONFIG_LIST] = {"list", "a list", NULL},
    [CONFIG_GROUP] = {"group", "a group of keys", NULL},
    [CONFIG_GROUPS] = {"list of groups", "a list of groups of keys", NULL},
    [CONFIG_TABLE] = {"table", "a table of names, each with a group of keys", NULL},
    [CONFIG_STRINGS] = {"table of texts", "a table of names, each with a text", NULL},
};

const char *config_scalar_type_name(enum config_type type)
{
    must((unsigned)type < COUNT_OF(config_scalar_rows));
    return config_scalar_rows[type].name;
}

const char *config_scalar_form(enum config_type type)
{
    must((unsigned)type < COUNT_OF(config_scalar_rows));
    return config_scalar_rows[type].form;
}

const char *config_scalar_pattern(enum config_type type)
{
    must((unsigned)type < COUNT_OF(config_scalar_rows));
    return config_scalar_rows[type].pattern;
}

struct config_scalar_unit {
    const char *name;
    int64_t factor;
};

/* From large to small: the format takes the first that divides. */
static const struct config_scalar_unit config_scalar_sizes[] = {
    {"tb", INT64_C(1) << 40},
    {"gb", INT64_C(1) << 30},
    {"mb", INT64_C(1) << 20},
    {"kb", INT64_C(1) << 10},
    {"b", 1},
    {NULL, 0},
};
static const struct config_scalar_unit config_scalar_durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};
static const struct config_scalar_unit config_scalar_windows[] = {
    {"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {NULL, 0},
};

/* Sizes are written in many cases, 16KB or 16kb; in durations M could be taken for months. */
static const struct config_scalar_unit *
config_scalar_find_unit(const struct config_scalar_unit *units, struct span name)
{
    bool is_any_case = units == config_scalar_sizes;
    for (; units->name != NULL; units++) {
        struct span known = span_from(units->name);
        if (is_any_case ? span_eq_nocase(known, name) : span_eq(known, name))
            return units;
    }
    return NULL;
}

static size_t config_scalar_digits(struct span text)
{
    size_t digits = 0;
    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    return digits;
}

/* Digits without a leading zero: 010 means eight to some and ten to others. */
static err config_scalar_decimal(struct span text, int64_t max, int64_t *out)
{
    uint64_t value = 0;
    if (text.len > 1 && text.at[0] == '0')
        return FAIL(INVALID);
    TRY(span_parse_u64(text, (uint64_t)max, &value));
    *out = (int64_t)value;
    return OK;
}

static err config_scalar_with_unit(struct span text, const struct config_scalar_unit *units,
                                   int64_t *out)
{
    size_t digits = config_scalar_digits(text);
    const struct config_scalar_unit *unit = config_scalar_find_unit(units, span_skip(text, digits));
    if (unit == NULL)
        return FAIL(INVALID);
    int64_t count = 0;
    TRY(config_scalar_decimal(span_of(text.at, digits), INT64_MAX / unit->factor, &count));
    *out = count * unit->factor;
    return OK;
}

err config_scalar_int(struct span text, int64_t *out)
{
    if (!span_starts(text, SPAN("-")))
        return config_scalar_decimal(text, INT64_MAX, out);
    int64_t magnitude = 0;
    TRY(config_scalar_decimal(span_skip(text, 1), INT64_MAX, &magnitude));
    if (magnitude == 0)
        return FAIL(INVALID);
    *out = -magnitude;
    return OK;
}

err config_scalar_size(struct span text, int64_t *out_bytes)
{
    if (config_scalar_digits(text) == text.len)
        return config_scalar_decimal(text, INT64_MAX, out_bytes);
    return config_scalar_with_unit(text, config_scalar_sizes, out_bytes);
}

err config_scalar_duration(struct span text, int64_t *out_ms)
{
    if (span_eq(text, SPAN("0"))) {
        *out_ms = 0;
        return OK;
    }
    return config_scalar_with_unit(text, config_scalar_durations, out_ms);
}

err config_scalar_percent(struct span text, int64_t *out_basis_points)
{
    if (span_ends(text, SPAN("%")))
        text.len--;
    struct span fraction = text;
    struct span whole = span_cut(&fraction, '.');
    int64_t percent = 0;
    TRY(config_scalar_decimal(whole, INT64_MAX / 100 - 1, &percent));
    uint64_t hundredths = 0;
    if (fraction.at != NULL) {
        if (fraction.len > 2)
            return FAIL(INVALID);
        TRY(span_parse_u64(fraction, 99, &hundredths));
        hundredths *= fraction.len == 1 ? 10 : 1;
    }
    *out_basis_points = percent * 100 + (int64_t)hundredths;
    return OK;
}

err config_scalar_rate(struct span text, struct config_rate *out)
{
    struct span window = text;
    struct span count_text = span_cut(&window, '/');
    int64_t count = 0;
    TRY(config_scalar_decimal(count_text, UINT32_MAX, &count));
    const struct config_scalar_unit *unit = config_scalar_find_unit(config_scalar_windows, window);
    if (count == 0 || window.at == NULL || unit == NULL)
        return FAIL(INVALID);
    *out = (struct config_rate){(uint32_t)count, (uint64_t)unit->factor};
    return OK;
}

static bool config_scalar_is_ip(int family, struct span text)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char address[sizeof(struct in6_addr)];
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    return inet_pton(family, copy, address) == 1;
}

/* RFC 1123 section 2.1 with "_", which container networks use. A host of digits and dots alone
 * must be an IPv4 address. */
static bool config_scalar_is_host(struct span host)
{
    bool is_numeric = true;
    if (host.len == 0 || host.len > 253)
        return false;
    for (struct span rest = host; rest.at != NULL;) {
        struct span label = span_cut(&rest, '.');
        if (label.len == 0 || label.len > 63)
            return false;
        for (size_t i = 0; i < label.len; i++) {
            char c = label.at[i];
            bool is_digit = c >= '0' && c <= '9';
            bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            if (!is_digit && !is_letter && c != '-' && c != '_')
                return false;
            is_numeric = is_numeric && is_digit;
        }
    }
    return !is_numeric || config_scalar_is_ip(AF_INET, host);
}

err config_scalar_address(struct span text, int64_t *out_port)
{
    if (span_starts(text, SPAN("unix:"))) {
        /* sun_path holds 108 bytes with the NUL (unix(7)). */
        if (!span_starts(text, SPAN("unix:/")) || text.len < 7 || text.len - 5 > 107)
            return FAIL(INVALID);
        *out_port = -1;
        return OK;
    }
    size_t colon = text.len;
    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return FAIL(INVALID);
    int64_t port = 0;
    TRY(config_scalar_decimal(span_skip(text, colon), 65535, &port));
    struct span host = span_of(text.at, colon - 1);
    bool is_bracketed = span_starts(host, SPAN("[")) && span_ends(host, SPAN("]"));
    if (is_bracketed ? !config_scalar_is_ip(AF_INET6, span_of(host.at + 1, host.len - 2))
                     : !config_scalar_is_host(host))
        return FAIL(INVALID);
    *out_port = port;
    return OK;
}

static void config_scalar_format_unit(int64_t value, const struct config_scalar_unit *unit,
                                      char out[CONFIG_SCALAR_TEXT_BYTES])
{
    while (unit->factor != 1 && (value == 0 || value % unit->factor != 0))
        unit++;
    (void)snprintf(out, CONFIG_SCALAR_TEXT_BYTES, "%" PRId64 "%s", value / unit->factor,
                   value == 0 ? "" : unit->name);
}

void config_scalar_format(enum config_type type, int64_t value, char out[CONFIG_SCALAR_TEXT_BYTES])
{
    if (type == CONFIG_SIZE)
        config_scalar_format_unit(value, config_scalar_sizes, out);
    else if (type == CONFIG_DURATION)
        config_scalar_format_unit(value, config_scalar_durations, out);
    else if (type == CONFIG_PERCENT && value % 100 == 0)
        (void)snprintf(out, CONFIG_SCALAR_TEXT_BYTES, "%" PRId64 "%%", value / 100);
    else if (type == CONFIG_PERCENT)
        (void)snprintf(out, CONFIG_SCALAR_TEXT_BYTES, "%" PRId64 ".%02" PRId64 "%%", value / 100,
                       value % 100);
    else
        (void)snprintf(out, CONFIG_SCALAR_TEXT_BYTES, "%" PRId64, value);
}
