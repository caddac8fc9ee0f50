/* ratelimit.c: writes the two lists.
 *
 * The one hard thing: a policy's name is an RFC 9651 String, which knows only printable ASCII,
 * with quote and backslash escaped. Other bytes of a configured name become '_'. Pure.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/ratelimit.h"

/* Windows that have a word. Others are named by their length in seconds. */
static const struct {
    uint64_t window_ms;
    const char *text;
} ratelimit_words[] = {
    {1000, "second"}, {60000, "minute"}, {3600000, "hour"}, {86400000, "day"}, {604800000, "week"}};

static err ratelimit_add_suffix(struct buf *out, uint64_t window_ms)
{
    for (size_t i = 0; i < COUNT_OF(ratelimit_words); i++) {
        if (ratelimit_words[i].window_ms == window_ms)
            return buf_printf(out, "-%s", ratelimit_words[i].text);
    }
    if (window_ms % 1000 != 0)
        return buf_printf(out, "-%llums", (unsigned long long)window_ms);
    return buf_printf(out, "-%llus", (unsigned long long)(window_ms / 1000));
}

static err ratelimit_add_text(struct buf *out, const struct ratelimit_item *item, bool is_escaped)
{
    for (size_t i = 0; i < item->name.len; i++) {
        char c = item->name.at[i];
        bool is_printable = c >= 0x20 && c < 0x7f;
        if (is_escaped && (c == '"' || c == '\\'))
            TRY(buf_add_char(out, '\\'));
        TRY(buf_add_char(out, is_printable ? c : '_'));
    }
    return item->has_suffix ? ratelimit_add_suffix(out, item->window_ms) : OK;
}

err ratelimit_add_name(struct buf *out, const struct ratelimit_item *item)
{
    return ratelimit_add_text(out, item, /* is_escaped= */ false);
}

static err ratelimit_add_member(struct buf *out, const struct ratelimit_item *item, bool is_first)
{
    if (!is_first)
        TRY(buf_add(out, SPAN(", ")));
    TRY(buf_add_char(out, '"'));
    TRY(ratelimit_add_text(out, item, /* is_escaped= */ true));
    return buf_add_char(out, '"');
}

static err ratelimit_add_parameter(struct buf *out, struct span key, uint64_t value)
{
    TRY(buf_add(out, key));
    return buf_add_u64(out, value);
}

err ratelimit_add_policy(struct buf *out, const struct ratelimit_item *items, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        TRY(ratelimit_add_member(out, &items[i], i == 0));
        TRY(ratelimit_add_parameter(out, SPAN(";q="), items[i].quota));
        TRY(ratelimit_add_parameter(out, SPAN(";w="), ratelimit_seconds(items[i].window_ms)));
    }
    return OK;
}

err ratelimit_add_prefix(struct buf *out, const struct ratelimit_item *item)
{
    TRY(ratelimit_add_member(out, item, /* is_first= */ true));
    return buf_add(out, SPAN(";r="));
}

void ratelimit_put_state(struct put *out, uint64_t remaining, uint64_t reset_ms)
{
    put_u64(out, remaining);
    put_span(out, SPAN(";t="));
    put_u64(out, ratelimit_seconds(reset_ms));
}
