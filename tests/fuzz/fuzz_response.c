/* fuzz_response.c: any bytes as an HTTP/1.1 response of an upstream.
 *
 * The first byte says where the bytes are cut and which request it answers, the rest is the
 * response. The properties are those of fuzz_request.c.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_http1.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void fuzz_check_response(const struct fuzz_message *m)
{
    const struct http_response *r = &m->response;
    must(r->status >= 100 && r->status <= 599);
    fuzz_check_inside(r->reason, span_of(m->bytes, r->head.head_bytes));
    bool is_bodyless =
        m->method == HTTP_HEAD || r->status < 200 || r->status == 204 || r->status == 304;
    must(!is_bodyless || r->head.body == HTTP_BODY_NONE);
    must(r->head.is_upgrade == (r->status == 101));
    must(r->head.body != HTTP_BODY_UNTIL_CLOSE || !r->head.is_keep_alive);
    must(is_bodyless || m->method == HTTP_CONNECT || r->head.body != HTTP_BODY_NONE);
}

static void fuzz_write_again(struct fuzz_message *m)
{
    struct buf out CLEANUP(buf_done) = {0};
    struct fuzz_message again = {.is_response = true, .method = m->method};
    buf_init(&out, 1 << 22);
    must(err_ok(buf_printf(&out, "HTTP/1.%u %u %.*s\r\n", m->response.head.version_minor,
                           m->response.status, SPAN_ARGS(m->response.reason))));
    fuzz_write_fields(&out, &m->response.head);
    fuzz_write_body(&out, m);
    if (out.len - m->payload > fuzz_limits.head_bytes)
        return;
    fuzz_message_init(&again, buf_span(&out));
    fuzz_feed(&again, out.len);
    fuzz_check_again(m, &again);
    must(again.response.status == m->response.status);
    must(span_eq(again.response.reason, m->response.reason));
    fuzz_message_done(&again);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const enum http_method methods[] = {HTTP_GET, HTTP_GET, HTTP_HEAD, HTTP_CONNECT};
    if (size == 0)
        return 0;
    struct fuzz_message whole = {.is_response = true, .method = methods[data[0] % 4]};
    fuzz_all_cuts(&whole, span_of((const char *)data + 1, size - 1), data[0]);
    if (whole.has_head)
        fuzz_check_response(&whole);
    bool is_until_close = whole.has_head && whole.body.kind == HTTP_BODY_UNTIL_CLOSE;
    if (err_ok(whole.outcome) || is_until_close)
        fuzz_write_again(&whole);
    fuzz_message_done(&whole);
    return 0;
}
