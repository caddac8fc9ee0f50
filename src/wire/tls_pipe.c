/* tls_pipe.c: the BIO between OpenSSL and the bytes of a session.
 *
 * The one hard thing is not to copy: input is read straight from the caller's bytes, and only what
 * is left when the caller wants its buffer back is kept. Buffers are freed when they run empty, so
 * that an idle session holds none. Part of its session; the thread of that.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/tls_priv.h"

static struct tls_pipe *tls_pipe_of(BIO *bio)
{
    struct tls_pipe *pipe = BIO_get_data(bio);
    must(pipe != NULL);
    return pipe;
}

static size_t tls_pipe_take(struct tls_pipe *pipe, char *out, size_t cap)
{
    size_t left = pipe->kept.len - pipe->kept_at;
    if (left > 0) {
        size_t part = left < cap ? left : cap;
        memcpy(out, pipe->kept.at + pipe->kept_at, part);
        pipe->kept_at += part;
        if (part == left) {
            buf_done(&pipe->kept);
            pipe->kept_at = 0;
        }
        return part;
    }
    size_t part = pipe->borrowed.len < cap ? pipe->borrowed.len : cap;
    if (part > 0)
        memcpy(out, pipe->borrowed.at, part);
    pipe->borrowed = span_skip(pipe->borrowed, part);
    return part;
}

static int tls_pipe_on_read(BIO *bio, char *out, size_t cap, size_t *out_got)
{
    size_t got = tls_pipe_take(tls_pipe_of(bio), out, cap);
    BIO_clear_retry_flags(bio);
    *out_got = got;
    if (got > 0)
        return 1;
    BIO_set_retry_read(bio);
    return 0;
}

err tls_pipe_reserve(struct tls_pipe *pipe, size_t more)
{
    if (pipe->out_at > 0 && pipe->out.cap - pipe->out.len < more) {
        buf_consume(&pipe->out, pipe->out_at);
        pipe->out_at = 0;
    }
    return buf_reserve(&pipe->out, more);
}

static int tls_pipe_on_write(BIO *bio, const char *bytes, size_t len, size_t *out_taken)
{
    struct tls_pipe *pipe = tls_pipe_of(bio);
    BIO_clear_retry_flags(bio);
    if (!err_ok(tls_pipe_reserve(pipe, len)) || !err_ok(buf_append(&pipe->out, bytes, len))) {
        pipe->has_failed = true;
        return 0;
    }
    *out_taken = len;
    return 1;
}

static long tls_pipe_on_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *tls_pipe_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "tls_pipe");
    if (method != NULL && BIO_meth_set_read_ex(method, tls_pipe_on_read) == 1 &&
        BIO_meth_set_write_ex(method, tls_pipe_on_write) == 1 &&
        BIO_meth_set_ctrl(method, tls_pipe_on_ctrl) == 1)
        return method;
    BIO_meth_free(method);
    return NULL;
}

BIO *tls_pipe_bio(struct tls_pipe *pipe, const BIO_METHOD *method)
{
    BIO *bio = BIO_new(method);
    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, pipe);
    BIO_set_init(bio, 1);
    return bio;
}

void tls_pipe_init(struct tls_pipe *pipe, size_t kept_max, size_t out_hard_max)
{
    *pipe = (struct tls_pipe){0};
    buf_init(&pipe->kept, kept_max);
    buf_init(&pipe->out, out_hard_max);
}

void tls_pipe_done(struct tls_pipe *pipe)
{
    buf_done(&pipe->kept);
    buf_done(&pipe->out);
}

bool tls_pipe_has_input(const struct tls_pipe *pipe)
{
    return pipe->borrowed.len > 0 || pipe->kept.len > pipe->kept_at;
}

void tls_pipe_drop_input(struct tls_pipe *pipe)
{
    pipe->borrowed = span_of(NULL, 0);
    buf_done(&pipe->kept);
    pipe->kept_at = 0;
}

err tls_pipe_settle(struct tls_pipe *pipe)
{
    if (pipe->borrowed.len == 0)
        return OK;
    if (pipe->kept_at > 0) {
        buf_consume(&pipe->kept, pipe->kept_at);
        pipe->kept_at = 0;
    }
    TRY(buf_add(&pipe->kept, pipe->borrowed));
    pipe->borrowed = span_of(NULL, 0);
    return OK;
}

struct span tls_pipe_output(const struct tls_pipe *pipe)
{
    return span_skip(buf_span(&pipe->out), pipe->out_at);
}

void tls_pipe_output_sent(struct tls_pipe *pipe, size_t count)
{
    must(count <= pipe->out.len - pipe->out_at);
    pipe->out_at += count;
    if (pipe->out_at == pipe->out.len) {
        buf_done(&pipe->out);
        pipe->out_at = 0;
    }
}

void tls_pipe_output_take(struct tls_pipe *pipe, struct buf *out)
{
    size_t max = pipe->out.max;
    if (pipe->out_at > 0)
        buf_consume(&pipe->out, pipe->out_at);
    *out = pipe->out;
    buf_init(&pipe->out, max);
    pipe->out_at = 0;
}
