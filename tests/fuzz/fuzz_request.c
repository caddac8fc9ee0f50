/* fuzz_request.c: any bytes as an HTTP/1.1 request.
 *
 * The first byte says where the bytes are cut, the rest is the request. However it is cut, the
 * outcome is the same; what is accepted, written again from its parts, reads the same.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/arena.h"
#include "fuzz_http1.h"
#include "wire/url.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void fuzz_check_request(const struct fuzz_message *m)
{
    const struct http_request *r = &m->request;
    struct span head = span_of(m->bytes, r->head.head_bytes);
    fuzz_check_inside(r->method_text, head);
    fuzz_check_inside(r->target, head);
    must(http_is_token(r->method_text) && r->target.len > 0);
    must(r->target.len <= fuzz_limits.target_bytes);
    must(r->query.at == NULL || err_ok(url_check_query(r->query)));
    must(r->head.body != HTTP_BODY_UNTIL_CLOSE && r->port <= 65535);
    must(r->host.at != NULL || r->head.version_minor == 0);
    if (r->host.at != NULL)
        fuzz_check_inside(r->host, head);
    must(!r->head.is_upgrade || (r->method == HTTP_GET && r->head.version_minor == 1));
    switch (r->target_form) {
    case HTTP_TARGET_ORIGIN:
        must(r->raw_path.at == r->target.at && r->raw_path.at[0] == '/');
        break;
    case HTTP_TARGET_ABSOLUTE:
        must(r->raw_path.at[0] == '/' && r->host.len > 0);
        break;
    case HTTP_TARGET_AUTHORITY:
        must(r->method == HTTP_CONNECT && r->port > 0 && r->raw_path.len == 0);
        break;
    case HTTP_TARGET_ASTERISK:
        must(r->method == HTTP_OPTIONS && span_eq(r->raw_path, SPAN("*")));
        break;
    }
}

static void fuzz_write_again(struct fuzz_message *m)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct fuzz_message again = {0};
    buf_init(&out, 1 << 22);
    must(err_ok(buf_printf(&out, "%.*s %.*s HTTP/1.%u\r\n", SPAN_ARGS(m->request.method_text),
                           SPAN_ARGS(m->request.target), m->request.head.version_minor)));
    fuzz_write_fields(&out, &m->request.head);
    fuzz_write_body(&out, m);
    /* ": " may have become longer than the limit allows. */
    if (out.len - m->payload > fuzz_limits.head_bytes)
        return;
    fuzz_message_init(&again, buf_span(&out));
    fuzz_feed(&again, out.len);
    fuzz_check_again(m, &again);
    must(again.request.method == m->request.method && again.request.port == m->request.port);
    must(span_eq(again.request.host, m->request.host));
    must(span_eq(again.request.raw_path, m->request.raw_path));
    must(span_eq(again.request.query, m->request.query));
    must(again.request.target_form == m->request.target_form);
    fuzz_message_done(&again);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size == 0)
        return 0;
    struct fuzz_message whole = {0};
    fuzz_all_cuts(&whole, span_of((const char *)data + 1, size - 1), data[0]);
    if (whole.has_head)
        fuzz_check_request(&whole);
    if (err_ok(whole.outcome))
        fuzz_write_again(&whole);
    fuzz_message_done(&whole);
    return 0;
}
