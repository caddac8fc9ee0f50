/* promtext.c: families, samples, labels, and the choice between the two dialects.
 *
 * The one hard thing: numbers are exact. Stored nanoseconds become decimal seconds by integer
 * arithmetic, so a boundary of 5 ms is le="0.005" on every machine and never 0.0050000000001;
 * whole boundaries are written "1.0" in both dialects, so that a series keeps its labels when a
 * scraper changes dialect.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/promtext.h"

#include <math.h>
#include <stdio.h>

#include "core/json.h"

#define PROMTEXT_NS_PER_S 1000000000u

/* Negotiation --------------------------------------------------------------------------------- */

/* A media range's rank for one media type: how exactly it names it, and its weight. */
struct promtext_weight {
    unsigned exactness; /* 0 = not named */
    unsigned thousandths;
};

/* "0.75" -> 750. What is not a weight by RFC 9110 section 12.4.2 counts as 0: not wanted. */
static unsigned promtext_thousandths(struct span s)
{
    if (s.len == 0 || s.len > 5 || (s.at[0] != '0' && s.at[0] != '1'))
        return 0;
    unsigned value = s.at[0] == '1' ? 1000 : 0;
    if (s.len > 1 && s.at[1] != '.')
        return 0;
    unsigned place = 100;
    for (size_t i = 2; i < s.len; i++, place /= 10) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return 0;
        value += (unsigned)(s.at[i] - '0') * place;
    }
    return value > 1000 ? 0 : value;
}

static struct span promtext_unquote(struct span s)
{
    bool is_quoted = s.len >= 2 && s.at[0] == '"' && s.at[s.len - 1] == '"';
    return is_quoted ? span_of(s.at + 1, s.len - 2) : s;
}

/* Reads the parameters of a media range; false when a version is asked that we do not write. */
static bool promtext_parameters(struct span parameters, struct span our_version, unsigned *weight)
{
    *weight = 1000;
    while (parameters.at != NULL) {
        struct span value = span_trim(span_cut(&parameters, ';'));
        struct span name = span_trim(span_cut(&value, '='));
        value = promtext_unquote(span_trim(value));
        if (span_eq_nocase(name, SPAN("q")))
            *weight = promtext_thousandths(value);
        if (span_eq_nocase(name, SPAN("version")) && !span_eq(value, our_version))
            return false;
    }
    return true;
}

static void promtext_consider(struct promtext_weight *best, unsigned exactness, unsigned weight)
{
    if (exactness > best->exactness || (exactness == best->exactness && weight > best->thousandths))
        *best = (struct promtext_weight){exactness, weight};
}

enum promtext_format promtext_negotiate(struct span accept)
{
    struct promtext_weight open = {0}, text = {0};
    while (accept.at != NULL) {
        struct span range = span_cut(&accept, ',');
        struct span type = span_trim(span_cut(&range, ';'));
        unsigned weight;
        if (span_eq_nocase(type, SPAN("application/openmetrics-text"))) {
            if (promtext_parameters(range, SPAN("1.0.0"), &weight))
                promtext_consider(&open, 3, weight);
            continue;
        }
        unsigned exactness = span_eq_nocase(type, SPAN("text/plain")) ? 3
                             : span_eq_nocase(type, SPAN("text/*"))   ? 2
                             : span_eq(type, SPAN("*/*"))             ? 1
                                                                      : 0;
        if (exactness > 0 && promtext_parameters(range, SPAN("0.0.4"), &weight))
            promtext_consider(&text, exactness, weight);
    }
    bool is_open = open.thousandths > 0 && open.thousandths >= text.thousandths;
    return is_open ? PROMTEXT_OPENMETRICS : PROMTEXT_TEXT;
}

struct span promtext_content_type(enum promtext_format format)
{
    switch (format) {
    case PROMTEXT_TEXT:
        return SPAN("text/plain; version=0.0.4; charset=utf-8");
    case PROMTEXT_OPENMETRICS:
        return SPAN("application/openmetrics-text; version=1.0.0; charset=utf-8");
    }
    must(false);
    return SPAN("");
}

/* Numbers ------------------------------------------------------------------------------------- */

static err promtext_real(struct buf *out, double value)
{
    if (isnan(value))
        return buf_add(out, SPAN("NaN"));
    if (isinf(value))
        return buf_add(out, value > 0 ? SPAN("+Inf") : SPAN("-Inf"));
    struct json number;
    json_begin(&number, out);
    json_double(&number, value);
    return json_end(&number);
}

/* Nanoseconds as seconds, without zeros at the end: 1500000000 -> 1.5. */
static err promtext_seconds(struct buf *out, uint64_t ns)
{
    TRY(buf_add_u64(out, ns / PROMTEXT_NS_PER_S));
    unsigned rest = (unsigned)(ns % PROMTEXT_NS_PER_S);
    if (rest == 0)
        return OK;
    char digits[10];
    int length = snprintf(digits, sizeof digits, "%09u", rest);
    must(length == 9);
    while (digits[length - 1] == '0')
        length--;
    TRY(buf_add_char(out, '.'));
    return buf_append(out, digits, (size_t)length);
}

static bool promtext_in_seconds(const struct metric_desc *desc)
{
    return desc->unit != NULL && strcmp(desc->unit, "seconds") == 0;
}

static err promtext_stored(struct buf *out, const struct metric_desc *desc, uint64_t value)
{
    return promtext_in_seconds(desc) ? promtext_seconds(out, value) : buf_add_u64(out, value);
}

static err promtext_value(struct buf *out, const struct metric_desc *desc,
                          const struct metric_sample *sample)
{
    if (sample->is_real)
        return promtext_real(out, sample->real);
    bool is_negative = desc->type == METRIC_GAUGE && (int64_t)sample->stored < 0;
    if (is_negative)
        TRY(buf_add_char(out, '-'));
    return promtext_stored(out, desc, is_negative ? -sample->stored : sample->stored);
}

static err promtext_bound(struct buf *out, const struct metric_desc *desc, uint64_t bound)
{
    TRY(promtext_stored(out, desc, bound));
    bool is_whole = !promtext_in_seconds(desc) || bound % PROMTEXT_NS_PER_S == 0;
    return is_whole ? buf_add(out, SPAN(".0")) : OK;
}

/* Text ---------------------------------------------------------------------------------------- */

static err promtext_escape(struct buf *out, struct span text, bool with_quotes)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '\n')
            TRY(buf_add(out, SPAN("\\n")));
        else if (c == '\\')
            TRY(buf_add(out, SPAN("\\\\")));
        else if (c == '"' && with_quotes)
            TRY(buf_add(out, SPAN("\\\"")));
        else
            TRY(buf_add_char(out, c));
    }
    return OK;
}

/* "{a="x",b="y"" without the closing brace, or nothing; *is_open tells. */
static err promtext_labels(struct buf *out, const struct metric_desc *desc,
                           const struct metric_sample *sample, bool *is_open)
{
    *is_open = false;
    for (unsigned i = 0; desc->labels != NULL && desc->labels[i] != NULL; i++) {
        TRY(buf_add_char(out, *is_open ? ',' : '{'));
        TRY(buf_add(out, span_from(desc->labels[i])));
        TRY(buf_add(out, SPAN("=\"")));
        TRY(promtext_escape(out, sample->labels[i], /* with_quotes= */ true));
        TRY(buf_add_char(out, '"'));
        *is_open = true;
    }
    return OK;
}

static err promtext_series(struct buf *out, const struct metric_desc *desc,
                           const struct metric_sample *sample, struct span suffix)
{
    bool is_open;
    TRY(buf_add(out, span_from(desc->name)));
    TRY(buf_add(out, suffix));
    TRY(promtext_labels(out, desc, sample, &is_open));
    return buf_add(out, is_open ? SPAN("} ") : SPAN(" "));
}

/* Histograms ---------------------------------------------------------------------------------- */

static err promtext_exemplar(struct buf *out, const struct metric_desc *desc,
                             const struct metric_exemplar *example)
{
    TRY(buf_add(out, SPAN(" # {trace_id=\"")));
    TRY(buf_append(out, example->trace_id, sizeof example->trace_id));
    TRY(buf_add(out, SPAN("\"} ")));
    TRY(promtext_stored(out, desc, example->value));
    TRY(buf_add_char(out, ' '));
    uint64_t wall_ms = example->wall_ns / 1000000u;
    return buf_printf(out, "%llu.%03u", (unsigned long long)(wall_ms / 1000),
                      (unsigned)(wall_ms % 1000));
}

static err promtext_histogram(struct buf *out, const struct metric_desc *desc,
                              const struct metric_sample *sample, enum promtext_format format)
{
    const struct metric_distribution *d = sample->distribution;
    uint64_t below = 0;
    for (unsigned i = 0; i <= d->bounds; i++) {
        bool is_open;
        below += d->count[i];
        TRY(buf_add(out, span_from(desc->name)));
        TRY(buf_add(out, SPAN("_bucket")));
        TRY(promtext_labels(out, desc, sample, &is_open));
        TRY(buf_add(out, is_open ? SPAN(",le=\"") : SPAN("{le=\"")));
        if (i < d->bounds)
            TRY(promtext_bound(out, desc, d->bound[i]));
        else
            TRY(buf_add(out, SPAN("+Inf")));
        TRY(buf_add(out, SPAN("\"} ")));
        TRY(buf_add_u64(out, below));
        if (format == PROMTEXT_OPENMETRICS && d->exemplar[i] != NULL)
            TRY(promtext_exemplar(out, desc, d->exemplar[i]));
        TRY(buf_add_char(out, '\n'));
    }
    TRY(promtext_series(out, desc, sample, SPAN("_sum")));
    TRY(promtext_stored(out, desc, d->sum));
    TRY(buf_add_char(out, '\n'));
    TRY(promtext_series(out, desc, sample, SPAN("_count")));
    TRY(buf_add_u64(out, d->total));
    return buf_add_char(out, '\n');
}

/* Families ------------------------------------------------------------------------------------ */

static struct span promtext_type(enum metric_type type)
{
    switch (type) {
    case METRIC_COUNTER:
        return SPAN(" counter\n");
    case METRIC_GAUGE:
        return SPAN(" gauge\n");
    case METRIC_HISTOGRAM:
        return SPAN(" histogram\n");
    }
    must(false);
    return SPAN("");
}

static err promtext_head(struct buf *out, const struct metric_desc *desc,
                         enum promtext_format format)
{
    bool is_openmetrics = format == PROMTEXT_OPENMETRICS;
    struct span name = span_from(desc->name);
    if (is_openmetrics && desc->type == METRIC_COUNTER)
        name.len -= SPAN("_total").len;
    TRY(buf_add(out, SPAN("# HELP ")));
    TRY(buf_add(out, name));
    TRY(buf_add_char(out, ' '));
    TRY(promtext_escape(out, span_from(desc->help), /* with_quotes= */ is_openmetrics));
    TRY(buf_add(out, SPAN("\n# TYPE ")));
    TRY(buf_add(out, name));
    TRY(buf_add(out, promtext_type(desc->type)));
    if (!is_openmetrics || desc->unit == NULL)
        return OK;
    TRY(buf_add(out, SPAN("# UNIT ")));
    TRY(buf_add(out, name));
    TRY(buf_add_char(out, ' '));
    TRY(buf_add(out, span_from(desc->unit)));
    return buf_add_char(out, '\n');
}

static err promtext_family(struct buf *out, const struct metric_family *family,
                           enum promtext_format format)
{
    const struct metric_desc *desc = family->desc;
    if (family->count == 0)
        return OK;
    TRY(promtext_head(out, desc, format));
    for (size_t i = 0; i < family->count; i++) {
        const struct metric_sample *sample = &family->samples[i];
        if (desc->type == METRIC_HISTOGRAM) {
            TRY(promtext_histogram(out, desc, sample, format));
            continue;
        }
        TRY(promtext_series(out, desc, sample, SPAN("")));
        TRY(promtext_value(out, desc, sample));
        TRY(buf_add_char(out, '\n'));
    }
    return OK;
}

err promtext_render(const struct metric_snapshot *snapshot, enum promtext_format format,
                    struct buf *out)
{
    for (size_t i = 0; i < snapshot->count; i++)
        TRY(promtext_family(out, &snapshot->families[i], format));
    return format == PROMTEXT_OPENMETRICS ? buf_add(out, SPAN("# EOF\n")) : OK;
}
