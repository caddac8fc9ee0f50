/* protections.c: the headers' defaults, and their rendering.
 *
 * The one hard thing: what an application sends itself stays or goes header by header, yet the
 * usual response must cost one copy. So all lines are rendered in one run, TLS-only ones first: a
 * TLS client gets all of it, a plain client its tail. Only when the application sends a header
 * that may win are lines copied one by one.
 *
 * Built on any thread; then immutable and read by any.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/protections.h"

#include "core/mem.h"

/* Why these defaults:
 *
 * Strict-Transport-Security: a year, for this host alone. includeSubDomains would cut off
 *   subdomains that are served elsewhere without TLS, and a browser cannot be told otherwise
 *   until the time is over.
 * Content-Security-Policy: what nearly no page does on purpose: plugins, and a <base> that leads
 *   all relative links elsewhere. Scripts and styles are the application's to list. It has no
 *   frame-ancestors, because browsers that see it ignore X-Frame-Options, and so it would undo
 *   an application's stricter DENY.
 * Permissions-Policy: devices that few pages use are off; camera, microphone and location stay
 *   with the site's own pages and do not pass to frames of others.
 * Cross-Origin-Opener-Policy: pages of others that open ours lose their handle on it; our own
 *   sign-in and payment popups go on working, which same-origin would break.
 * Cross-Origin-Resource-Policy: other sites cannot embed what is served here; subdomains of the
 *   site can, which same-origin would break. Public assets need cross-origin.
 *
 * X-Content-Type-Options has one value, so ours can replace the application's without harm. */
const struct protections_row protections_table[PROTECTIONS_ROW_COUNT] = {
    [PROTECTIONS_CSP] =
        {
            .name = "Content-Security-Policy",
            .key = "content_security_policy",
            .fallback = "base-uri 'self'; object-src 'none'",
            .field = HTTP_FIELD_CONTENT_SECURITY_POLICY,
            .does_app_win = true,
            .help = "What a page may load and run.",
        },
    [PROTECTIONS_HSTS] =
        {
            .name = "Strict-Transport-Security",
            .key = "strict_transport_security",
            .fallback = "max-age=31536000",
            .field = HTTP_FIELD_STRICT_TRANSPORT_SECURITY,
            .does_app_win = true,
            .is_tls_only = true,
            .help = "Browsers use only https for this host for so many seconds; sent on TLS only.",
        },
    [PROTECTIONS_FRAME] =
        {
            .name = "X-Frame-Options",
            .key = "x_frame_options",
            .fallback = "SAMEORIGIN",
            .field = HTTP_FIELD_X_FRAME_OPTIONS,
            .does_app_win = true,
            .help = "Who may show a page in a frame: SAMEORIGIN or DENY.",
        },
    [PROTECTIONS_NOSNIFF] =
        {
            .name = "X-Content-Type-Options",
            .key = "x_content_type_options",
            .fallback = "nosniff",
            .field = HTTP_FIELD_X_CONTENT_TYPE_OPTIONS,
            .help = "Browsers trust the content type and do not guess another.",
        },
    [PROTECTIONS_REFERRER] =
        {
            .name = "Referrer-Policy",
            .key = "referrer_policy",
            .fallback = "strict-origin-when-cross-origin",
            .field = HTTP_FIELD_REFERRER_POLICY,
            .does_app_win = true,
            .help = "How much of a page's address other sites learn from a link.",
        },
    [PROTECTIONS_PERMISSIONS] =
        {
            .name = "Permissions-Policy",
            .key = "permissions_policy",
            .fallback = "camera=(self), geolocation=(self), hid=(), magnetometer=(), "
                        "microphone=(self), midi=(), serial=(), usb=()",
            .field = HTTP_FIELD_PERMISSIONS_POLICY,
            .does_app_win = true,
            .help = "Which devices a page and the frames in it may use.",
        },
    [PROTECTIONS_OPENER] =
        {
            .name = "Cross-Origin-Opener-Policy",
            .key = "cross_origin_opener_policy",
            .fallback = "same-origin-allow-popups",
            .field = HTTP_FIELD_CROSS_ORIGIN_OPENER_POLICY,
            .does_app_win = true,
            .help = "Whether windows of other origins keep a handle on a page.",
        },
    [PROTECTIONS_RESOURCE] =
        {
            .name = "Cross-Origin-Resource-Policy",
            .key = "cross_origin_resource_policy",
            .fallback = "same-site",
            .field = HTTP_FIELD_CROSS_ORIGIN_RESOURCE_POLICY,
            .does_app_win = true,
            .help = "Which sites may embed a response: same-origin, same-site or cross-origin.",
        },
    [PROTECTIONS_HEADER_COUNT + PROTECTIONS_REMOVE_SERVER] =
        {
            .name = "Server",
            .key = "server",
            .fallback = "remove",
            .field = HTTP_FIELD_SERVER,
            .help = "Whether the application's Server header is removed.",
        },
    [PROTECTIONS_HEADER_COUNT + PROTECTIONS_REMOVE_POWERED_BY] =
        {
            .name = "X-Powered-By",
            .key = "x_powered_by",
            .fallback = "remove",
            .field = HTTP_FIELD_X_POWERED_BY,
            .help = "Whether the application's X-Powered-By header is removed.",
        },
};

struct protections_line {
    struct span text; /* with CRLF, in the tail of the object */
    enum http_field_id field;
    bool does_app_win;
    bool is_tls_only;
};

struct protections {
    struct span all;
    struct span plain; /* the tail of `all` that has no TLS-only lines */
    struct protections_line lines[PROTECTIONS_HEADER_COUNT];
    unsigned line_count;
    uint16_t watched[PROTECTIONS_HEADER_COUNT]; /* fields of lines that the application may win */
    unsigned watched_count;
    bool drops[HTTP_FIELD_COUNT];
    char text[];
};

static err protections_refuse(enum protections_header header, struct span value, const char *reason,
                              struct fault *why)
{
    int shown = value.len > 80 ? 80 : (int)value.len;
    return fault_set(why, ERR_INVALID, "%s \"%.*s\": %s", protections_table[header].name, shown,
                     value.at, reason);
}

static bool protections_is_word(struct span word, const char *const *words)
{
    for (; *words != NULL; words++)
        if (span_eq_nocase(word, span_from(*words)))
            return true;
    return false;
}

/* RFC 6797 section 6.1, with the two directives that browsers know besides max-age. */
static const char *protections_hsts_fault(struct span value)
{
    static const char *const others[] = {"includeSubDomains", "preload", NULL};
    unsigned ages = 0;
    while (value.at != NULL) {
        struct span argument = span_cut(&value, ';');
        struct span name = span_trim(span_cut(&argument, '='));
        if (span_eq_nocase(name, SPAN("max-age"))) {
            uint64_t seconds;
            ages++;
            if (!err_ok(span_parse_u64(span_trim(argument), UINT32_MAX, &seconds)))
                return "max-age needs a number of seconds";
        } else if (argument.at != NULL || !protections_is_word(name, others)) {
            return "only max-age=SECONDS, includeSubDomains and preload are known";
        }
    }
    return ages == 1 ? NULL : "one max-age=SECONDS is needed";
}

/* A browser takes the last policy of the list that it knows, so several may stand there. */
static const char *protections_referrer_fault(struct span value)
{
    static const char *const policies[] = {"no-referrer",
                                           "no-referrer-when-downgrade",
                                           "origin",
                                           "origin-when-cross-origin",
                                           "same-origin",
                                           "strict-origin",
                                           "strict-origin-when-cross-origin",
                                           "unsafe-url",
                                           NULL};
    struct span policy;
    unsigned count = 0;
    for (; http_list_next(&value, &policy); count++)
        if (!protections_is_word(policy, policies))
            return "not a known policy";
    return count > 0 ? NULL : "not a known policy";
}

static const char *protections_value_fault(enum protections_header header, struct span value)
{
    static const char *const frames[] = {"DENY", "SAMEORIGIN", NULL};
    static const char *const sniffs[] = {"nosniff", NULL};
    static const char *const openers[] = {"unsafe-none", "same-origin", "same-origin-allow-popups",
                                          "noopener-allow-popups", NULL};
    static const char *const resources[] = {"same-origin", "same-site", "cross-origin", NULL};
    switch (header) {
    case PROTECTIONS_HSTS:
        return protections_hsts_fault(value);
    case PROTECTIONS_FRAME:
        return protections_is_word(value, frames) ? NULL : "DENY or SAMEORIGIN is needed";
    case PROTECTIONS_NOSNIFF:
        return protections_is_word(value, sniffs) ? NULL : "nosniff is the only value";
    case PROTECTIONS_REFERRER:
        return protections_referrer_fault(value);
    case PROTECTIONS_OPENER:
        /* A reporting endpoint may follow the word. */
        return protections_is_word(span_trim(span_cut(&value, ';')), openers)
                   ? NULL
                   : "unsafe-none, same-origin, same-origin-allow-popups or noopener-allow-popups "
                     "is needed";
    case PROTECTIONS_RESOURCE:
        return protections_is_word(value, resources)
                   ? NULL
                   : "same-origin, same-site or cross-origin is needed";
    case PROTECTIONS_CSP:
    case PROTECTIONS_PERMISSIONS:
    case PROTECTIONS_HEADER_COUNT:
        return NULL;
    }
    return NULL;
}

err protections_check(enum protections_header header, struct span value, struct fault *why)
{
    must(header < PROTECTIONS_HEADER_COUNT);
    if (value.len == 0)
        return protections_refuse(header, value, "a value is needed, or off", why);
    if (value.len > PROTECTIONS_VALUE_BYTES_MAX)
        return protections_refuse(header, value, "longer than 4096 bytes", why);
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] < 0x20 || value.at[i] > 0x7e)
            return protections_refuse(header, SPAN("..."),
                                      "has a control byte, a line break or a byte outside ASCII",
                                      why);
    if (span_trim(value).len != value.len)
        return protections_refuse(header, value, "has outer white space", why);
    const char *reason = protections_value_fault(header, value);
    return reason == NULL ? OK : protections_refuse(header, value, reason, why);
}

void protections_defaults(struct protections_options *out)
{
    *out = (struct protections_options){0};
    for (unsigned i = 0; i < PROTECTIONS_HEADER_COUNT; i++)
        out->headers[i] =
            (struct protections_option){.value = span_from(protections_table[i].fallback),
                                        .is_on = true,
                                        .does_app_win = protections_table[i].does_app_win};
    for (unsigned i = 0; i < PROTECTIONS_REMOVE_COUNT; i++)
        out->removes[i] = true;
}

void protections_set(struct protections_option *option, struct span value)
{
    *option = (struct protections_option){.value = value, .is_on = true};
}

static enum http_field_id protections_field(const struct protections_options *options,
                                            enum protections_header header)
{
    bool is_report = header == PROTECTIONS_CSP && options->is_csp_report_only;
    return is_report ? HTTP_FIELD_CSP_REPORT_ONLY : protections_table[header].field;
}

static char *protections_append(char *at, struct span s)
{
    memcpy(at, s.at, s.len);
    return at + s.len;
}

static char *protections_render(struct protections *p, const struct protections_options *options,
                                enum protections_header header, char *at)
{
    const struct protections_option *option = &options->headers[header];
    enum http_field_id field = protections_field(options, header);
    char *start = at;
    at = protections_append(at, http_field_name(field));
    at = protections_append(at, SPAN(": "));
    at = protections_append(at, option->value);
    at = protections_append(at, SPAN("\r\n"));
    p->lines[p->line_count++] =
        (struct protections_line){.text = span_of(start, (size_t)(at - start)),
                                  .field = field,
                                  .does_app_win = option->does_app_win,
                                  .is_tls_only = protections_table[header].is_tls_only};
    if (option->does_app_win)
        p->watched[p->watched_count++] = (uint16_t)field;
    else
        p->drops[field] = true;
    return at;
}

static char *protections_render_all(struct protections *p,
                                    const struct protections_options *options, bool is_tls_only,
                                    char *at)
{
    for (unsigned i = 0; i < PROTECTIONS_HEADER_COUNT; i++)
        if (options->headers[i].is_on && protections_table[i].is_tls_only == is_tls_only)
            at = protections_render(p, options, (enum protections_header)i, at);
    return at;
}

err protections_new(const struct protections_options *options, struct protections **out,
                    struct fault *why)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < PROTECTIONS_HEADER_COUNT; i++) {
        const struct protections_option *option = &options->headers[i];
        if (!option->is_on)
            continue;
        TRY(protections_check((enum protections_header)i, option->value, why));
        enum http_field_id field = protections_field(options, (enum protections_header)i);
        size_t framing_bytes = sizeof(": \r\n") - 1;
        bytes += http_field_name(field).len + option->value.len + framing_bytes;
    }
    struct protections *p = mem_alloc(size_add(sizeof(*p), bytes));
    char *plain = protections_render_all(p, options, /* is_tls_only= */ true, p->text);
    char *end = protections_render_all(p, options, /* is_tls_only= */ false, plain);
    must((size_t)(end - p->text) == bytes);
    p->all = span_of(p->text, bytes);
    p->plain = span_of(plain, (size_t)(end - plain));
    for (unsigned i = 0; i < PROTECTIONS_REMOVE_COUNT; i++)
        if (options->removes[i])
            p->drops[protections_table[PROTECTIONS_HEADER_COUNT + i].field] = true;
    *out = p;
    return OK;
}

void protections_free(struct protections *p)
{
    mem_free(p);
}

size_t protections_bytes_max(const struct protections *p)
{
    return p->all.len;
}

/* A field that Connection names never reaches the client, so it does not count. */
static bool protections_has(const struct http_head *head, enum http_field_id field)
{
    const struct http_field *found = http_head_find(head, field);
    return found != NULL && !found->is_dropped;
}

static bool protections_may_lose(const struct protections *p, const struct http_head *upstream)
{
    for (unsigned i = 0; i < p->watched_count; i++)
        if (upstream->first[p->watched[i]] != 0)
            return true;
    return false;
}

size_t protections_write(const struct protections *p, bool is_tls, const struct http_head *upstream,
                         char *out, size_t cap)
{
    must(cap >= p->all.len);
    if (upstream == NULL || !protections_may_lose(p, upstream)) {
        struct span block = is_tls ? p->all : p->plain;
        memcpy(out, block.at, block.len);
        return block.len;
    }
    char *at = out;
    for (unsigned i = 0; i < p->line_count; i++) {
        const struct protections_line *line = &p->lines[i];
        bool is_won = line->does_app_win && protections_has(upstream, line->field);
        if (!is_won && (is_tls || !line->is_tls_only))
            at = protections_append(at, line->text);
    }
    return (size_t)(at - out);
}

bool protections_drops(const struct protections *p, enum http_field_id field)
{
    return p->drops[field];
}
