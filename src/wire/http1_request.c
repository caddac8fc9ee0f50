/* http1_request.c: the request line, and the rules about a whole request.
 *
 * The one hard thing is the host: the target and the Host field may both name it, and whoever
 * routes by one while the next hop routes by the other opens a way around the rules. So there is
 * exactly one Host, it is valid, and it agrees with the target (RFC 9112 section 3.2, stricter
 * than the RFC, which lets a proxy overwrite it).
 *
 * Pure; objects belong to the caller.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1_priv.h"
#include "wire/url.h"

#define HTTP1_VERSION_BYTES 10 /* with CRLF */

static enum http_method http1_request_method(struct span token)
{
    return span_eq(token, SPAN("GET")) ? HTTP_GET : http_method_of(token);
}

/* The version and CRLF at `at`, byte for byte: an LF may come anywhere. */
static err http1_request_version(const char *at, unsigned *out_minor, struct fault *why)
{
    static const char form[] = "HTTP/d.d\r\n";
    for (unsigned i = 0; i < sizeof form - 1; i++)
        if (form[i] == 'd' ? !http_chars_is_digit(at[i]) : at[i] != form[i])
            return fault_set(why, ERR_BAD_REQUEST, "the request line does not end with a version");
    if (at[5] != '1')
        return fault_set(why, ERR_VERSION, "the version is not HTTP/1");
    *out_minor = at[7] == '0' ? 0 : 1;
    return OK;
}

err http1_request_line(const struct http1_input *in, struct http_request *out, const char **at,
                       struct fault *why)
{
    const char *method = *at;
    const char *stop = http_chars_skip(method, HTTP_CHARS_TOKEN);
    if (http_chars_reread(stop) != ' ' || stop == method)
        return fault_set(why, ERR_BAD_REQUEST, "the method is not a token and a space");
    out->method_text = span_of(method, (size_t)(stop - method));
    if (out->method_text.len > HTTP1_METHOD_BYTES)
        return fault_set(why, ERR_NOT_IMPLEMENTED, "the method is longer than any known one");
    out->method = http1_request_method(out->method_text);

    const char *target = stop + 1;
    stop = http_chars_skip(target, HTTP_CHARS_BEFORE_QUERY);
    const char *query = http_chars_reread(stop) == '?' ? stop : NULL;
    stop = query == NULL ? stop : http_chars_skip(query, HTTP_CHARS_TARGET);
    if (http_chars_reread(stop) != ' ' || stop == target)
        return fault_set(why, ERR_BAD_REQUEST, "the request target has an invalid character");
    out->target = span_of(target, (size_t)(stop - target));
    if (out->target.len > in->limits->target_bytes)
        return fault_set(why, ERR_URI_TOO_LONG, "the request target is longer than %zu bytes",
                         in->limits->target_bytes);
    out->query = query == NULL ? (struct span){0} : span_of(query + 1, (size_t)(stop - query - 1));
    out->raw_path = span_of(target, (size_t)((query == NULL ? stop : query) - target));
    /* The word that ends with the CRLF of this line can be read, and with it the line. */
    bool is_common =
        stop + 3 <= in->word_end && memcmp(stop + 1, "HTTP/1.1\r\n", HTTP1_VERSION_BYTES) == 0;
    out->head.version_minor = 1;
    if (!is_common)
        TRY(http1_request_version(stop + 1, &out->head.version_minor, why));
    *at = stop + 1 + HTTP1_VERSION_BYTES;
    return OK;
}

static unsigned http1_request_scheme(struct span target)
{
    if (target.len > 7 && span_eq_nocase(span_of(target.at, 7), SPAN("http://")))
        return 7;
    if (target.len > 8 && span_eq_nocase(span_of(target.at, 8), SPAN("https://")))
        return 8;
    return 0;
}

/* "http://host:port/path": *out_authority is what stands between. On entry raw_path is all that
 * stands before the query. */
static err http1_request_split_absolute(struct http_request *r, struct span *out_authority,
                                        struct fault *why)
{
    unsigned scheme = http1_request_scheme(r->raw_path);
    if (scheme == 0)
        return fault_set(why, ERR_BAD_REQUEST, "the request target has no known form");
    struct span rest = span_skip(r->raw_path, scheme);
    size_t length = span_find(rest, '/');
    *out_authority = span_of(rest.at, length);
    r->raw_path = length == rest.len ? SPAN("/") : span_skip(rest, length);
    r->target_form = HTTP_TARGET_ABSOLUTE;
    /* RFC 9112 section 3.2.4: OPTIONS for a whole server, by way of a proxy. */
    if (r->method == HTTP_OPTIONS && length == rest.len && r->query.at == NULL) {
        r->target_form = HTTP_TARGET_ASTERISK;
        r->raw_path = SPAN("*");
    }
    return OK;
}

/* Which of the four forms of RFC 9112 section 3.2, and its parts. */
static err http1_request_split_target(struct http_request *r, struct span *out_authority,
                                      struct fault *why)
{
    *out_authority = (struct span){0};
    if (r->method == HTTP_CONNECT) {
        r->target_form = HTTP_TARGET_AUTHORITY;
        r->raw_path = SPAN("");
        r->query = (struct span){0};
        *out_authority = r->target;
        return OK;
    }
    if (r->target.at[0] == '/') {
        r->target_form = HTTP_TARGET_ORIGIN;
        return OK;
    }
    if (!span_eq(r->target, SPAN("*")))
        return http1_request_split_absolute(r, out_authority, why);
    if (r->method != HTTP_OPTIONS)
        return fault_set(why, ERR_BAD_REQUEST, "the target '*' is for OPTIONS only");
    r->target_form = HTTP_TARGET_ASTERISK;
    return OK;
}

/* A port that is left out is the scheme's; CONNECT has no scheme. */
static uint32_t http1_request_port(const struct http_request *r, uint32_t port)
{
    if (port != 0 || r->target_form == HTTP_TARGET_AUTHORITY)
        return port;
    return http1_request_scheme(r->target) == 8 ? 443 : 80;
}

static err http1_request_read_host(struct http_request *r, struct span authority, struct fault *why)
{
    const struct http_field *field = http_head_find(&r->head, HTTP_FIELD_HOST);
    r->host = (struct span){0};
    r->port = 0;
    if (field != NULL && !err_ok(url_split_authority(field->value, &r->host, &r->port)))
        return fault_set(why, ERR_BAD_REQUEST, "Host is not a valid host");
    if (field == NULL && r->head.version_minor > 0)
        return fault_set(why, ERR_BAD_REQUEST, "Host is missing");
    if (authority.at == NULL)
        return OK;
    struct span host;
    uint32_t port = 0;
    if (!err_ok(url_split_authority(authority, &host, &port)))
        return fault_set(why, ERR_BAD_REQUEST, "the request target has no valid host");
    if (r->method == HTTP_CONNECT && port == 0)
        return fault_set(why, ERR_BAD_REQUEST, "the target of CONNECT has no port");
    if (field != NULL && (!span_eq_nocase(host, r->host) ||
                          http1_request_port(r, port) != http1_request_port(r, r->port)))
        return fault_set(why, ERR_BAD_REQUEST, "Host disagrees with the request target");
    r->host = host;
    r->port = port;
    return OK;
}

/* RFC 9110 section 10.1.1. HTTP/1.0 clients cannot be sent a 100, and without a body there is
 * nothing to wait for. */
static err http1_request_read_expect(struct http_request *r, struct fault *why)
{
    const struct http_field *expect = http_head_find(&r->head, HTTP_FIELD_EXPECT);
    r->expects_continue = false;
    if (expect == NULL)
        return OK;
    if (!span_eq_nocase(expect->value, SPAN("100-continue")))
        return fault_set(why, ERR_EXPECTATION_FAILED, "only 100-continue can be expected");
    r->expects_continue = r->head.version_minor > 0 && r->head.body != HTTP_BODY_NONE;
    return OK;
}

err http1_request_check(struct http_request *r, struct fault *why)
{
    struct span authority;
    TRY(http1_request_split_target(r, &authority, why));
    TRY(http1_request_read_host(r, authority, why));
    TRY(http1_read_framing(&r->head, why));
    bool has_body = r->head.body == HTTP_BODY_CHUNKED ||
                    (r->head.body == HTTP_BODY_LENGTH && r->head.content_length > 0);
    if (r->head.is_upgrade)
        r->head.is_upgrade =
            r->method == HTTP_GET && span_eq_nocase(r->head.upgrade, SPAN("websocket"));
    if (has_body && (r->head.is_upgrade || r->method == HTTP_CONNECT))
        return fault_set(why, ERR_BAD_REQUEST, "a request for a tunnel has a body");
    return http1_request_read_expect(r, why);
}
