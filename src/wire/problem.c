/* problem.c: the two forms of a problem, and the choice between them.
 *
 * The one hard thing: the page must look decent and yet run nothing. Its style stands inside it
 * and its policy allows exactly that style by hash, so the text of PROBLEM_STYLE and
 * PROBLEM_STYLE_HASH change together; a test computes the hash.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/problem.h"

#include "core/json.h"
#include "wire/http.h"

/* System colours follow the reader's light or dark setting, with the contrast that they chose. */
#define PROBLEM_STYLE                                                                              \
    ":root{color-scheme:light dark}"                                                               \
    "body{margin:0;font:1.125rem/1.6 system-ui,sans-serif;overflow-wrap:anywhere}"                 \
    "main{max-width:34rem;margin:12vh auto;padding:0 1.5rem}"                                      \
    "h1{font-size:1.75rem;line-height:1.25}"
#define PROBLEM_STYLE_HASH "ft2coL5m7xs4vANFri/PlTeMsiXBONlUNYVN0dY9mg4="

#define PROBLEM_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* What the registry says of its types. Where it says nothing, RFC 9457 section 4.2.1 wants
 * "about:blank" and the status phrase. */
static void problem_set_type(struct problem *p)
{
    if (p->status == 429) {
        p->type = PROBLEM_TYPE_QUOTA_EXCEEDED;
        p->title = SPAN("Request cannot be satisfied as assigned quota has been exceeded");
    } else if (p->status == 503) {
        p->type = PROBLEM_TYPE_REDUCED_CAPACITY;
        p->title = SPAN("Request cannot be satisfied due to temporary server capacity constraints");
    }
}

struct problem problem_of(enum err_code code)
{
    must(code != ERR_NONE);
    struct problem p = {.status = (unsigned)err_http_status(code)};
    /* What failed inside is for the log. */
    p.detail = span_from(err_text(p.status == 500 ? ERR_INTERNAL : code));
    problem_set_type(&p);
    return p;
}

static struct span problem_title(const struct problem *p)
{
    return p->title.len > 0 ? p->title : span_from(http_status_text(p->status));
}

static void problem_write_member(struct json *j, const struct problem_member *m)
{
    json_key(j, m->name);
    switch (m->kind) {
    case PROBLEM_STRING:
        json_string(j, m->text);
        return;
    case PROBLEM_NUMBER:
        json_u64(j, m->number);
        return;
    case PROBLEM_STRINGS:
        json_array(j);
        for (unsigned i = 0; i < m->text_count; i++)
            json_string(j, m->texts[i]);
        json_array_end(j);
        return;
    }
}

static void problem_write_text(struct json *j, const char *key, struct span value)
{
    if (value.len == 0)
        return;
    json_key(j, key);
    json_string(j, value);
}

err problem_write_json(const struct problem *p, struct buf *out)
{
    struct json j;
    json_begin(&j, out);
    json_object(&j);
    problem_write_text(&j, "type", p->type.len > 0 ? p->type : SPAN("about:blank"));
    problem_write_text(&j, "title", problem_title(p));
    json_key(&j, "status");
    json_u64(&j, p->status);
    problem_write_text(&j, "detail", p->detail);
    problem_write_text(&j, "instance", p->instance);
    problem_write_text(&j, "request_id", p->request_id);
    if (p->retry_after_s > 0) {
        json_key(&j, "retry_after");
        json_u64(&j, p->retry_after_s);
    }
    for (unsigned i = 0; i < p->member_count; i++)
        problem_write_member(&j, &p->members[i]);
    json_object_end(&j);
    return json_end(&j);
}

static struct span problem_entity(char c)
{
    switch (c) {
    case '&':
        return SPAN("&amp;");
    case '<':
        return SPAN("&lt;");
    case '>':
        return SPAN("&gt;");
    case '"':
        return SPAN("&quot;");
    case '\'':
        return SPAN("&#39;");
    default:
        return SPAN("");
    }
}

/* Text between tags: entities for what HTML reads, U+FFFD for control bytes and broken UTF-8. */
static err problem_escape(struct buf *out, struct span s)
{
    while (s.len > 0) {
        size_t length = span_utf8_length(s);
        struct span entity = problem_entity(s.at[0]);
        bool is_control = (unsigned char)s.at[0] < 0x20 || s.at[0] == 0x7f;
        if (entity.len > 0)
            TRY(buf_add(out, entity));
        else if (length == 0 || is_control)
            TRY(buf_add(out, SPAN(PROBLEM_REPLACEMENT)));
        else
            TRY(buf_append(out, s.at, length));
        s = span_skip(s, length > 0 ? length : 1);
    }
    return OK;
}

static err problem_paragraph(struct buf *out, struct span open, struct span text, struct span close)
{
    if (text.len == 0)
        return OK;
    TRY(buf_add(out, open));
    TRY(problem_escape(out, text));
    return buf_add(out, close);
}

err problem_write_html(const struct problem *p, struct buf *out)
{
    struct span phrase = span_from(http_status_text(p->status));
    TRY(buf_add(out, SPAN("<!doctype html>\n"
                          "<html lang=\"en\">\n"
                          "<head>\n"
                          "<meta charset=\"utf-8\">\n"
                          "<meta name=\"viewport\" content=\"width=device-width, "
                          "initial-scale=1\">\n"
                          "<meta name=\"robots\" content=\"noindex\">\n")));
    TRY(buf_printf(out, "<title>%u %.*s</title>\n", p->status, SPAN_ARGS(phrase)));
    TRY(buf_add(out, SPAN("<style>" PROBLEM_STYLE "</style>\n"
                          "</head>\n"
                          "<body>\n"
                          "<main>\n")));
    TRY(problem_paragraph(out, SPAN("<h1>"), phrase, SPAN("</h1>\n")));
    if (p->title.len > 0 && !span_eq(p->title, phrase))
        TRY(problem_paragraph(out, SPAN("<p>"), p->title, SPAN("</p>\n")));
    TRY(problem_paragraph(out, SPAN("<p>Reason: "), p->detail, SPAN("</p>\n")));
    if (p->retry_after_s > 0)
        TRY(buf_printf(out, "<p>Try again in %llu second%s.</p>\n",
                       (unsigned long long)p->retry_after_s, p->retry_after_s == 1 ? "" : "s"));
    TRY(buf_printf(out, "<p>Status: %u</p>\n", p->status));
    TRY(problem_paragraph(out, SPAN("<p>Request id: <code>"), p->request_id,
                          SPAN("</code></p>\n")));
    return buf_add(out, SPAN("</main>\n"
                             "</body>\n"
                             "</html>\n"));
}

struct span problem_html_policy(void)
{
    return SPAN("default-src 'none'; style-src 'sha256-" PROBLEM_STYLE_HASH "'; base-uri 'none'; "
                "form-action 'none'; frame-ancestors 'none'");
}

/* Thousandths of a weight: "0.5", "1.000" (RFC 9110 section 12.4.2). */
static err problem_read_weight(struct span s, unsigned *out)
{
    if (s.len == 0 || s.len > 5 || (s.at[0] != '0' && s.at[0] != '1'))
        return FAIL(INVALID);
    if (s.len > 1 && s.at[1] != '.')
        return FAIL(INVALID);
    unsigned weight = (unsigned)(s.at[0] - '0') * 1000;
    unsigned place = 100;
    for (size_t i = 2; i < s.len; i++, place /= 10) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return FAIL(INVALID);
        weight += (unsigned)(s.at[i] - '0') * place;
    }
    if (weight > 1000)
        return FAIL(INVALID);
    *out = weight;
    return OK;
}

/* One member of Accept: "text/html;q=0.8". A range with parameters of its own asks for something
 * more special than what we have, so it counts for nothing. */
struct problem_range {
    struct span type;
    struct span subtype;
    unsigned weight;
    bool is_special;
};

static err problem_read_range(struct span member, struct problem_range *out)
{
    struct span params = member;
    struct span subtype = span_trim(span_cut(&params, ';'));
    struct span type = span_cut(&subtype, '/');
    if (!http_is_token(type) || !http_is_token(subtype))
        return FAIL(INVALID);
    if (span_eq(type, SPAN("*")) && !span_eq(subtype, SPAN("*")))
        return FAIL(INVALID);
    struct problem_range range = {.type = type, .subtype = subtype, .weight = 1000};
    while (params.at != NULL) {
        struct span value = span_cut(&params, ';');
        struct span name = span_trim(span_cut(&value, '='));
        if (!http_is_token(name))
            return FAIL(INVALID);
        if (span_eq_nocase(name, SPAN("q"))) {
            TRY(problem_read_weight(span_trim(value), &range.weight));
            break; /* what follows the weight belongs to no range */
        }
        range.is_special = true;
    }
    *out = range;
    return OK;
}

/* What Accept says of one media type, by the most precise range so far. */
struct problem_rating {
    struct span type;
    struct span subtype;
    unsigned precision; /* 0: nothing yet, 1: all types, 2: all subtypes, 3: itself */
    unsigned weight;
};

static void problem_rate(struct problem_rating *r, const struct problem_range *range)
{
    bool is_any = span_eq(range->type, SPAN("*"));
    bool is_any_subtype = span_eq(range->subtype, SPAN("*"));
    if (!is_any && !span_eq_nocase(range->type, r->type))
        return;
    if (!is_any_subtype && !span_eq_nocase(range->subtype, r->subtype))
        return;
    unsigned precision = is_any ? 1 : (is_any_subtype ? 2 : 3);
    if (precision > r->precision) {
        r->precision = precision;
        r->weight = range->weight;
    }
}

bool problem_prefers_html(struct span accept)
{
    struct problem_rating ratings[] = {
        {.type = SPAN("text"), .subtype = SPAN("html")},
        {.type = SPAN("application"), .subtype = SPAN("problem+json")},
        {.type = SPAN("application"), .subtype = SPAN("json")},
    };
    struct span member;
    while (http_list_next(&accept, &member)) {
        struct problem_range range;
        if (!err_ok(problem_read_range(member, &range)))
            return false;
        for (size_t i = 0; i < COUNT_OF(ratings) && !range.is_special; i++)
            problem_rate(&ratings[i], &range);
    }
    return ratings[0].weight > ratings[1].weight && ratings[0].weight > ratings[2].weight;
}
