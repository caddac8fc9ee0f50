/* url.c: the canonical path, the query check, and host:port.
 *
 * The one hard thing is agreement: the quick test (url_is_canonical) says yes only to what the
 * rewriter would return unchanged, and the rewriter's output passes the quick test, so the form is
 * a fixed point. Overlong UTF-8 of '/' and '.' and parameters on dot segments ("/..;x/") are
 * refused too, because some decoders and servlet containers see through them.
 *
 * Pure; any thread. Results borrow from the input or live in the caller's arena.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/url.h"

#include <arpa/inet.h>

#include "wire/http_chars.h"

static const char url_hex[] = "0123456789ABCDEF";

static bool url_is_escape(const char *at, const char *end)
{
    return end - at >= 3 && at[0] == '%' && http_chars_is(at[1], HTTP_CHARS_HEX) &&
           http_chars_is(at[2], HTTP_CHARS_HEX);
}

/* The byte of a valid escape. */
static unsigned url_decode(const char *at)
{
    return http_chars_hex(at[1]) << 4 | http_chars_hex(at[2]);
}

static bool url_is_control(unsigned byte)
{
    return byte < 0x20 || byte == 0x7f;
}

/* Encoded '/' or '\\' is a separator for one reader and a letter for the next. */
static bool url_is_separator(unsigned byte)
{
    return byte == '/' || byte == '\\';
}

/* Whether `byte`, followed by the bytes at `next`, begins a UTF-8 form that is longer than the
 * character needs (RFC 3629 section 3). */
static bool url_is_overlong(unsigned byte, const char *next, const char *end)
{
    if (byte == 0xc0 || byte == 0xc1)
        return true;
    if ((byte != 0xe0 && byte != 0xf0) || !url_is_escape(next, end))
        return false;
    unsigned second = url_decode(next);
    return second >= 0x80 && second < (byte == 0xe0 ? 0xa0u : 0x90u);
}

/* The rule that the escape at `at` breaks, or NULL. */
static const char *url_escape_fault(const char *at, const char *end)
{
    if (!url_is_escape(at, end))
        return "the path has a malformed percent escape";
    unsigned byte = url_decode(at);
    if (url_is_control(byte))
        return "the path has an encoded control byte";
    if (url_is_separator(byte))
        return "the path has an encoded slash or backslash";
    if (url_is_overlong(byte, at + 3, end))
        return "the path has overlong UTF-8";
    if (byte != '%' || end - at < 5 || !http_chars_is(at[3], HTTP_CHARS_HEX) ||
        !http_chars_is(at[4], HTTP_CHARS_HEX))
        return NULL;
    unsigned twice = url_decode(at + 2);
    if (url_is_control(twice) || url_is_separator(twice) || twice == '%' || twice == ';' ||
        http_chars_is((char)twice, HTTP_CHARS_UNRESERVED))
        return "the path is encoded twice";
    return NULL;
}

/* An escape that stays: upper case, and not of an unreserved character. */
static bool url_escape_is_canonical(const char *at, const char *end)
{
    return url_escape_fault(at, end) == NULL && at[1] < 'a' && at[2] < 'a' &&
           !http_chars_is((char)url_decode(at), HTTP_CHARS_UNRESERVED);
}

/* Whether the segment at `at`, with its escapes in canonical form, is "." or "..", bare or with a
 * parameter ("..;x", "..%3Bx"). */
static bool url_is_dotted(const char *at, const char *end)
{
    const char *rest = at;
    while (rest < end && *rest == '.')
        rest++;
    if (rest == at || rest - at > 2)
        return false;
    return rest == end || *rest == '/' || *rest == ';' ||
           span_starts(span_of(rest, (size_t)(end - rest)), SPAN("%3B"));
}

/* Yes exactly for what url_rewrite returns unchanged. */
static bool url_is_canonical(struct span path)
{
    const char *at = path.at, *end = path.at + path.len;
    while (at < end) {
        if (*at == '/') {
            at++;
            if (at < end && (*at == '/' || url_is_dotted(at, end)))
                return false;
        } else if (http_chars_is(*at, HTTP_CHARS_PATH)) {
            at++;
        } else if (*at == '%' && url_escape_is_canonical(at, end)) {
            at += 3;
        } else {
            return false;
        }
    }
    return true;
}

/* Copies one segment up to the next '/' with its escapes in canonical form. */
static err url_copy_segment(const char **from, const char *end, char **to, struct fault *why)
{
    const char *at = *from;
    char *out = *to;
    while (at < end && *at != '/') {
        if (http_chars_is(*at, HTTP_CHARS_PATH)) {
            *out++ = *at++;
            continue;
        }
        if (*at == '\\')
            return fault_set(why, ERR_BAD_REQUEST, "the path has a backslash");
        if (*at != '%')
            return fault_set(why, ERR_BAD_REQUEST,
                             "the path has a byte that must be percent-encoded");
        const char *broken = url_escape_fault(at, end);
        if (broken != NULL)
            return fault_set(why, ERR_BAD_REQUEST, "%s", broken);
        unsigned byte = url_decode(at);
        if (http_chars_is((char)byte, HTTP_CHARS_UNRESERVED)) {
            *out++ = (char)byte;
        } else {
            *out++ = '%';
            *out++ = url_hex[byte >> 4];
            *out++ = url_hex[byte & 15];
        }
        at += 3;
    }
    *from = at;
    *to = out;
    return OK;
}

/* Decoding can itself spell an escape ("%25%32%66" becomes "%252f"), so what came out is judged
 * again. */
static err url_check_segment(struct span segment, struct fault *why)
{
    const char *end = segment.at + segment.len;
    for (const char *at = segment.at; at < end; at++) {
        const char *broken = *at == '%' ? url_escape_fault(at, end) : NULL;
        if (broken != NULL)
            return fault_set(why, ERR_BAD_REQUEST, "%s", broken);
    }
    return OK;
}

/* `out` has room for path.len bytes. Invariant: *out_len > 0 and out[*out_len - 1] == '/' whenever
 * a segment begins. */
static err url_rewrite(struct span path, char *out, size_t *out_len, struct fault *why)
{
    const char *at = path.at, *end = path.at + path.len;
    char *to = out;
    while (at < end) {
        if (*at == '/') {
            at++;
            if (to == out || to[-1] != '/')
                *to++ = '/';
            continue;
        }
        char *start = to;
        TRY(url_copy_segment(&at, end, &to, why));
        struct span segment = span_of(start, (size_t)(to - start));
        TRY(url_check_segment(segment, why));
        if (!url_is_dotted(start, to))
            continue;
        bool is_parent = span_eq(segment, SPAN(".."));
        if (!is_parent && segment.len > 1)
            return fault_set(why, ERR_BAD_REQUEST, "the path has a dot segment with a parameter");
        to = start;
        if (!is_parent)
            continue;
        if (to == out + 1)
            return fault_set(why, ERR_BAD_REQUEST, "the path climbs above the root");
        do {
            to--;
        } while (to[-1] != '/');
    }
    *out_len = (size_t)(to - out);
    return OK;
}

err url_canonical_path(struct arena *arena, struct span path, struct span *out, struct fault *why)
{
    if (path.len == 0 || path.at[0] != '/')
        return fault_set(why, ERR_BAD_REQUEST, "the path does not start with a slash");
    if (url_is_canonical(path)) {
        *out = path;
        return OK;
    }
    void *room = NULL;
    size_t length = 0;
    TRY(arena_try_alloc(arena, path.len, &room));
    TRY(url_rewrite(path, room, &length, why));
    *out = length == path.len && memcmp(room, path.at, length) == 0 ? path : span_of(room, length);
    return OK;
}

err url_check_query(struct span query)
{
    const char *end = query.at + query.len;
    return http_chars_skip_until(query.at, end, HTTP_CHARS_TARGET) == end ? OK : FAIL(BAD_REQUEST);
}

/* No empty label: "a..b" and ".a" are read differently; "a." is the absolute form of a name. */
static size_t url_name_length(struct span text)
{
    const char *label = text.at, *end = text.at + text.len;
    for (;;) {
        const char *stop = http_chars_skip_until(label, end, HTTP_CHARS_LABEL);
        if (stop == end || *stop != '.')
            return (size_t)(stop - text.at);
        if (stop == label)
            return 0;
        label = stop + 1;
    }
}

/* The length of "[...]", 0 when it is not an IPv6 address; zones are refused. Not inlined: its
 * buffer would cost each host a stack check. */
static __attribute__((noinline)) size_t url_ip6_length(struct span text)
{
    char literal[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t close = span_find(text, ']');
    if (close == text.len || close - 1 >= sizeof literal || memchr(text.at, '\0', close) != NULL)
        return 0;
    memcpy(literal, text.at + 1, close - 1);
    literal[close - 1] = '\0';
    return inet_pton(AF_INET6, literal, &address) == 1 ? close + 1 : 0;
}

static bool url_read_port(struct span digits, uint32_t *out)
{
    uint32_t port = 0;
    if (digits.len - 1 > 4 || digits.at[0] == '0')
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        unsigned digit = (unsigned char)digits.at[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        port = port * 10 + digit;
    }
    *out = port;
    return port <= 65535;
}

err url_split_authority(struct span authority, struct span *out_host, uint32_t *out_port)
{
    uint32_t port = 0;
    bool is_ip6 = authority.len > 0 && authority.at[0] == '[';
    size_t length = is_ip6 ? url_ip6_length(authority) : url_name_length(authority);
    if (length == 0)
        return FAIL(BAD_REQUEST);
    if (length < authority.len &&
        (authority.at[length] != ':' || !url_read_port(span_skip(authority, length + 1), &port)))
        return FAIL(BAD_REQUEST);
    *out_host = span_of(authority.at, length);
    *out_port = port;
    return OK;
}

err url_parse_address(struct span text, struct url_address *out)
{
    struct span unix_prefix = SPAN("unix:");
    if (span_starts(text, unix_prefix)) {
        struct span path = span_skip(text, unix_prefix.len);
        if (path.len < 2 || path.at[0] != '/' || memchr(path.at, '\0', path.len) != NULL)
            return FAIL(INVALID);
        *out = (struct url_address){.host = path, .is_unix = true};
        return OK;
    }
    struct url_address found = {0};
    if (!err_ok(url_split_authority(text, &found.host, &found.port)) || found.port == 0)
        return FAIL(INVALID);
    if (found.host.at[0] == '[')
        found.host = span_of(found.host.at + 1, found.host.len - 2);
    *out = found;
    return OK;
}
