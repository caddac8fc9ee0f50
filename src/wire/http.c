/* http.c: names, statuses and lists of HTTP.
 *
 * The one hard thing: a name is looked up for each field of each message, so the table behind it
 * is laid out by the compiler (http_priv.h). Two names in one slot do not compile, and neither does
 * a name without a key.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/http.h"

#include <stdint.h>

#include "core/clock.h"
#include "wire/http_chars.h"
#include "wire/http_priv.h"

#define HTTP_NS_PER_MS 1000000u

/* clang-format off */
/* X(id, length, last byte but one, last byte). */
#define HTTP_FIELD_KEYS(X)                                                                         \
    X(ACCEPT, 6, 'p', 't') X(AGE, 3, 'g', 'e') X(AUTHORIZATION, 13, 'o', 'n')                      \
    X(CACHE_CONTROL, 13, 'o', 'l') X(CONNECTION, 10, 'o', 'n') X(CONTENT_LENGTH, 14, 't', 'h')     \
    X(CONTENT_SECURITY_POLICY, 23, 'c', 'y') X(CONTENT_TYPE, 12, 'p', 'e') X(COOKIE, 6, 'i', 'e')  \
    X(CSP_REPORT_ONLY, 35, 'l', 'y') X(CROSS_ORIGIN_OPENER_POLICY, 26, 'c', 'y')                   \
    X(CROSS_ORIGIN_RESOURCE_POLICY, 28, 'c', 'y') X(DATE, 4, 't', 'e') X(EXPECT, 6, 'c', 't')      \
    X(FORWARDED, 9, 'e', 'd') X(HOST, 4, 's', 't') X(IDEMPOTENCY_KEY, 15, 'e', 'y')                \
    X(KEEP_ALIVE, 10, 'v', 'e') X(LOCATION, 8, 'o', 'n') X(PERMISSIONS_POLICY, 18, 'c', 'y')       \
    X(PROXY_AUTHENTICATE, 18, 't', 'e') X(PROXY_AUTHORIZATION, 19, 'o', 'n')                       \
    X(PROXY_CONNECTION, 16, 'o', 'n') X(RATELIMIT, 9, 'i', 't') X(RATELIMIT_POLICY, 16, 'c', 'y')  \
    X(REFERRER_POLICY, 15, 'c', 'y') X(RETRY_AFTER, 11, 'e', 'r')                                  \
    X(SEC_WEBSOCKET_ACCEPT, 20, 'p', 't') X(SEC_WEBSOCKET_KEY, 17, 'e', 'y')                       \
    X(SEC_WEBSOCKET_VERSION, 21, 'o', 'n') X(SERVER, 6, 'e', 'r')                                  \
    X(STRICT_TRANSPORT_SECURITY, 25, 't', 'y') X(TE, 2, 't', 'e') X(TRACEPARENT, 11, 'n', 't')     \
    X(TRACESTATE, 10, 't', 'e') X(TRAILER, 7, 'e', 'r') X(TRANSFER_ENCODING, 17, 'n', 'g')         \
    X(UPGRADE, 7, 'd', 'e') X(USER_AGENT, 10, 'n', 't') X(VIA, 3, 'i', 'a')                        \
    X(X_CONTENT_TYPE_OPTIONS, 22, 'n', 's') X(X_FORWARDED_FOR, 15, 'o', 'r')                       \
    X(X_FORWARDED_HOST, 16, 's', 't') X(X_FORWARDED_PORT, 16, 'r', 't')                            \
    X(X_FORWARDED_PROTO, 17, 't', 'o') X(X_FRAME_OPTIONS, 15, 'n', 's')                            \
    X(X_POWERED_BY, 12, 'b', 'y') X(X_RATELIMIT_LIMIT, 17, 'i', 't')                               \
    X(X_RATELIMIT_REMAINING, 21, 'n', 'g') X(X_RATELIMIT_RESET, 17, 'e', 't')                      \
    X(X_REAL_IP, 9, 'i', 'p') X(X_REQUEST_ID, 12, 'i', 'd')
/* clang-format on */

enum {
#define X(id, length, last_but_one, last) HTTP_KEYED_##id,
    HTTP_FIELD_KEYS(X)
#undef X
        HTTP_KEYED_COUNT
};
static_assert(HTTP_KEYED_COUNT + 1 == HTTP_FIELD_COUNT, "each field of HTTP_FIELD_TABLE has a key");

const struct http_field_name http_field_names[HTTP_FIELD_COUNT] = {{"", 0},
#define X(id, name, flags) {name, sizeof(name) - 1},
                                                                   HTTP_FIELD_TABLE(X)
#undef X
};

const uint8_t http_field_slots[HTTP_FIELD_SLOTS] = {
#define X(id, length, last_but_one, last)                                                          \
    [HTTP_FIELD_SLOT(length, HTTP_FIELD_TAIL(last_but_one, last))] = HTTP_FIELD_##id,
    HTTP_FIELD_KEYS(X)
#undef X
};

static const uint8_t http_field_flags[HTTP_FIELD_COUNT] = {HTTP_NO_FLAGS,
#define X(id, name, flags) flags,
                                                           HTTP_FIELD_TABLE(X)
#undef X
};

struct http_status_row {
    unsigned status;
    const char *text;
};

static const struct http_status_row http_statuses[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {511, "Network Authentication Required"},
};

static const struct span http_methods[HTTP_METHOD_COUNT] = {
#define X(name) SPAN_INIT(#name),
    HTTP_METHOD_TABLE(X)
#undef X
        SPAN_INIT("_OTHER"),
};

enum http_method http_method_of(struct span token)
{
    for (unsigned i = 0; i < HTTP_METHOD_OTHER; i++)
        if (span_eq(token, http_methods[i]))
            return (enum http_method)i;
    return HTTP_METHOD_OTHER;
}

const char *http_method_name(enum http_method method)
{
    must((unsigned)method < HTTP_METHOD_COUNT);
    return http_methods[method].at;
}

bool http_method_is_safe(enum http_method method)
{
    return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_OPTIONS ||
           method == HTTP_TRACE;
}

bool http_method_is_idempotent(enum http_method method)
{
    return http_method_is_safe(method) || method == HTTP_PUT || method == HTTP_DELETE;
}

const char *http_status_text(unsigned status)
{
    for (size_t i = 0; i < COUNT_OF(http_statuses); i++)
        if (http_statuses[i].status == status)
            return http_statuses[i].text;
    return "Status";
}

bool http_name_matches_long(const char *name, const char *known, size_t length)
{
    for (size_t i = 0; i + 8 < length; i += 8)
        if (!http_matches_8(name + i, known + i))
            return false;
    return http_matches_8(name + length - 8, known + length - 8);
}

bool http_field_is_lookalike(struct span name, const char *known)
{
    for (size_t i = 0; i < name.len; i++)
        if (!http_matches_1(name.at[i] == '_' ? '-' : name.at[i], known[i]))
            return false;
    return true;
}

unsigned http_field_identify(struct span name)
{
    return http_field_find(name);
}

enum http_field_id http_field_id_of(struct span name)
{
    unsigned id = http_field_find(name);
    return id == HTTP_FIELD_COUNT ? HTTP_FIELD_OTHER : (enum http_field_id)id;
}

struct span http_field_name(enum http_field_id id)
{
    must((unsigned)id < HTTP_FIELD_COUNT);
    return span_of(http_field_names[id].text, http_field_names[id].length);
}

bool http_field_is_hop_by_hop(enum http_field_id id)
{
    must((unsigned)id < HTTP_FIELD_COUNT);
    return (http_field_flags[id] & HTTP_HOP_BY_HOP) != 0;
}

bool http_is_token(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!http_chars_is(s.at[i], HTTP_CHARS_TOKEN))
            return false;
    return s.len > 0;
}

bool http_list_next(struct span *rest, struct span *out)
{
    while (rest->at != NULL) {
        struct span member = span_trim(span_cut(rest, ','));
        if (member.len > 0) {
            *out = member;
            return true;
        }
    }
    return false;
}

bool http_list_has(struct span list, struct span member)
{
    struct span each;
    while (http_list_next(&list, &each))
        if (span_eq_nocase(each, member))
            return true;
    return false;
}

static bool http_two_digits(const char *at, unsigned *out)
{
    if (!http_chars_is_digit(at[0]) || !http_chars_is_digit(at[1]))
        return false;
    *out = (unsigned)(at[0] - '0') * 10 + (unsigned)(at[1] - '0');
    return true;
}

/* Days from 1970-01-01 to the first of March of the civil year that begins in March: with the leap
 * day last, month lengths follow one formula. */
static uint64_t http_days_of(unsigned year, unsigned month, unsigned day)
{
    unsigned y = month < 3 ? year - 1 : year;
    unsigned months_from_march = (month + 9) % 12;
    uint64_t days = (uint64_t)y * 365 + y / 4 - y / 100 + y / 400;
    return days + (153 * months_from_march + 2) / 5 + day - 1 - 719468;
}

/* Formats what was read and compares, so weekday, day of month and white space need no code. */
static err http_parse_date(struct span value, uint64_t *out_seconds)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    unsigned day, century, year, hour, minute, second;
    if (value.len != CLOCK_HTTP_BYTES - 1 || !http_two_digits(value.at + 5, &day) ||
        !http_two_digits(value.at + 12, &century) || !http_two_digits(value.at + 14, &year) ||
        !http_two_digits(value.at + 17, &hour) || !http_two_digits(value.at + 20, &minute) ||
        !http_two_digits(value.at + 23, &second))
        return FAIL(INVALID);
    unsigned month = 1;
    while (month <= 12 && memcmp(months + (month - 1) * 3, value.at + 8, 3) != 0)
        month++;
    year += century * 100;
    if (month > 12 || year < 1970 || year > 2499)
        return FAIL(INVALID);
    uint64_t seconds = http_days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    char text[CLOCK_HTTP_BYTES];
    clock_format_http(seconds * 1000 * HTTP_NS_PER_MS, text);
    if (memcmp(text, value.at, value.len) != 0)
        return FAIL(INVALID);
    *out_seconds = seconds;
    return OK;
}

err http_parse_retry_after(struct span value, uint64_t wall_ns, uint64_t *out_ms)
{
    uint64_t seconds = 0;
    if (value.len > 0 && http_chars_is_digit(value.at[0])) {
        TRY(span_parse_u64(value, UINT64_MAX / 1000, &seconds));
        *out_ms = seconds * 1000;
        return OK;
    }
    TRY(http_parse_date(value, &seconds));
    uint64_t then_ms = seconds * 1000, now_ms = wall_ns / HTTP_NS_PER_MS;
    *out_ms = then_ms > now_ms ? then_ms - now_ms : 0;
    return OK;
}
