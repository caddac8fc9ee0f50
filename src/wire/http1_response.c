/* http1_response.c: the status line, and the rules about a whole response.
 *
 * The one hard thing is when a response has no body whatever its fields say (RFC 9112 section
 * 6.3): taking one that is not there, or leaving one that is, gives the next client somebody
 * else's bytes.
 *
 * Pure; objects belong to the caller.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1_priv.h"
#include "wire/http_priv.h"

/* What nearly every response begins with, at the price of a word. */
static inline bool http1_response_is_usual(const struct http1_input *in, const char *at)
{
    return in->word_end - at >= 8 && http_load_8(at) == http_load_8("HTTP/1.1") && at[8] == ' ' &&
           at[9] >= '1' && at[9] <= '5' && http_chars_is_digit(at[10]) &&
           http_chars_is_digit(at[11]) && at[12] == ' ';
}

/* "HTTP/1.1 200 " at `at`, byte for byte: the line may end anywhere. The space behind the status
 * is required, the reason is not (RFC 9112 section 4). */
static bool http1_response_has_form(const char *at)
{
    static const char form[] = "HTTP/1.d sdd ";
    for (unsigned i = 0; i < sizeof form - 1; i++) {
        bool is_placeholder = form[i] == 'd' || form[i] == 's';
        if (is_placeholder ? !http_chars_is_digit(at[i]) : at[i] != form[i])
            return false;
        if (form[i] == 's' && (at[i] < '1' || at[i] > '5'))
            return false;
    }
    return true;
}

err http1_response_line(const struct http1_input *in, struct http_response *out, const char **at,
                        struct fault *why)
{
    const char *line = *at;
    must(line < in->lines_end);
    if (!http1_response_is_usual(in, line) && !http1_response_has_form(line))
        return fault_set(why, ERR_BAD_REQUEST, "the response has no valid status line");
    out->head.version_minor = line[7] == '0' ? 0 : 1;
    out->status = (unsigned)(line[9] - '0') * 100 + (unsigned)(line[10] - '0') * 10 +
                  (unsigned)(line[11] - '0');
    const char *reason = line + 13;
    const char *stop = http_chars_skip(reason, HTTP_CHARS_VALUE);
    if (stop[0] != '\r' || stop[1] != '\n')
        return fault_set(why, ERR_BAD_REQUEST, "the status line has a control byte");
    out->reason = span_of(reason, (size_t)(stop - reason));
    *at = stop + 2;
    return OK;
}

/* 1xx and 204 end at the empty line. RFC 9110 section 8.6 forbids them Content-Length; a zero does
 * no harm and is common, so it is dropped. */
static err http1_response_check_empty(struct http_response *r, struct fault *why)
{
    struct http_head *head = &r->head;
    if (head->body == HTTP_BODY_CHUNKED || head->content_length > 0)
        return fault_set(why, ERR_BAD_REQUEST, "a response with status %u has a body", r->status);
    if (head->body == HTTP_BODY_LENGTH)
        head->fields[head->first[HTTP_FIELD_CONTENT_LENGTH] - 1].is_dropped = true;
    head->body = HTTP_BODY_NONE;
    if (r->status == 101 && !head->is_upgrade)
        return fault_set(why, ERR_BAD_REQUEST, "status 101 without Upgrade and its option");
    return OK;
}

err http1_response_check(struct http_response *r, enum http_method request_method,
                         struct fault *why)
{
    struct http_head *head = &r->head;
    TRY(http1_read_framing(head, why));
    head->is_upgrade = head->is_upgrade && r->status == 101;
    if (r->status < 200 || r->status == 204)
        return http1_response_check_empty(r, why);
    bool is_tunnel = request_method == HTTP_CONNECT && r->status < 300;
    if (request_method == HTTP_HEAD || r->status == 304 || is_tunnel) {
        head->body = HTTP_BODY_NONE;
    } else if (head->body == HTTP_BODY_NONE) {
        head->body = HTTP_BODY_UNTIL_CLOSE;
        head->is_keep_alive = false;
    }
    return OK;
}
