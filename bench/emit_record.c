/* emit_record.c: one access log record of 25 fields and about 500 bytes, into a batch.
 *
 * `bench_emit_record N` formats N of them. The one hard thing: nothing may be constant, or the
 * compiler formats at build time; so the values come from memory that it cannot see through.
 * One thread, and the log's writer into /dev/null.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/log.h"

#define EMIT_RECORD_MAX_BYTES 4096

static struct {
    struct span time, request_id, trace_id, span_id, method, scheme, host, path, route, upstream,
        target, client, user_agent, breaker;
    uint64_t status, bytes_in, bytes_out, tries, port;
    uint64_t total_ns, queue_ns, connect_ns, first_byte_ns, upstream_ns;
    bool is_reused;
} emit_record_of = {
    .time = SPAN_INIT("2026-11-21T10:00:00.123Z"),
    .request_id = SPAN_INIT("01jd6q2v8r5k3n7x9w4t1c0b2a"),
    .trace_id = SPAN_INIT("4bf92f3577b34da6a3ce929d0e0e4736"),
    .span_id = SPAN_INIT("00f067aa0ba902b7"),
    .method = SPAN_INIT("GET"),
    .scheme = SPAN_INIT("https"),
    .host = SPAN_INIT("shop.example.com"),
    .path = SPAN_INIT("/api/products/18427/reviews?page=2&sort=newest"),
    .route = SPAN_INIT("/api/"),
    .upstream = SPAN_INIT("shop"),
    .target = SPAN_INIT("127.0.0.1:3001"),
    .client = SPAN_INIT("203.0.113.77"),
    .user_agent = SPAN_INIT("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0"),
    .breaker = SPAN_INIT("closed"),
    .status = 200,
    .bytes_in = 612,
    .bytes_out = 18211,
    .tries = 1,
    .port = 51234,
    .total_ns = 4182733,
    .queue_ns = 12402,
    .connect_ns = 0,
    .first_byte_ns = 3901212,
    .upstream_ns = 4011020,
    .is_reused = true,
};

static void emit_record_write(struct log_batch *batch)
{
    char *at = log_batch_reserve(batch, EMIT_RECORD_MAX_BYTES);
    if (at == NULL)
        return;
    struct record r;
    record_begin(&r, at, EMIT_RECORD_MAX_BYTES, emit_record_of.time);
    record_plain(&r, RECORD_KEY("request_id"), emit_record_of.request_id);
    record_plain(&r, RECORD_KEY("trace_id"), emit_record_of.trace_id);
    record_plain(&r, RECORD_KEY("span_id"), emit_record_of.span_id);
    record_str(&r, RECORD_KEY("method"), emit_record_of.method);
    record_plain(&r, RECORD_KEY("scheme"), emit_record_of.scheme);
    record_str(&r, RECORD_KEY("host"), emit_record_of.host);
    record_str(&r, RECORD_KEY("path"), emit_record_of.path);
    record_str(&r, RECORD_KEY("route"), emit_record_of.route);
    record_u64(&r, RECORD_KEY("status"), emit_record_of.status);
    record_plain(&r, RECORD_KEY("client"), emit_record_of.client);
    record_u64(&r, RECORD_KEY("port"), emit_record_of.port);
    record_str(&r, RECORD_KEY("user_agent"), emit_record_of.user_agent);
    record_u64(&r, RECORD_KEY("bytes_in"), emit_record_of.bytes_in);
    record_u64(&r, RECORD_KEY("bytes_out"), emit_record_of.bytes_out);
    record_str(&r, RECORD_KEY("upstream"), emit_record_of.upstream);
    record_plain(&r, RECORD_KEY("target"), emit_record_of.target);
    record_u64(&r, RECORD_KEY("tries"), emit_record_of.tries);
    record_plain(&r, RECORD_KEY("breaker"), emit_record_of.breaker);
    record_bool(&r, RECORD_KEY("reused"), emit_record_of.is_reused);
    record_ms(&r, RECORD_KEY("queue_ms"), emit_record_of.queue_ns);
    record_ms(&r, RECORD_KEY("connect_ms"), emit_record_of.connect_ns);
    record_ms(&r, RECORD_KEY("first_byte_ms"), emit_record_of.first_byte_ns);
    record_ms(&r, RECORD_KEY("upstream_ms"), emit_record_of.upstream_ns);
    record_ms(&r, RECORD_KEY("total_ms"), emit_record_of.total_ns);
    log_batch_commit(batch, record_end(&r));
}

int main(int argc, char **argv)
{
    uint64_t count;
    if (argc != 2 || !err_ok(span_parse_u64(span_from(argv[1]), UINT64_MAX, &count)))
        return 2;
    int fd = open("/dev/null", O_WRONLY);
    struct log_options options = {.fd = fd, .blocks_max = 1000};
    if (fd < 0 || !err_ok(log_start(&options, NULL)))
        return 1;
    struct log_batch batch;
    log_batch_init(&batch);
    for (uint64_t i = 0; i < count; i++) {
        __asm__ volatile("" ::"r"(&emit_record_of) : "memory");
        emit_record_write(&batch);
    }
    log_batch_done(&batch);
    log_stop();
    struct log_stats stats;
    log_stats(&stats);
    (void)fprintf(stderr, "%llu records of %llu bytes, %llu dropped\n",
                  (unsigned long long)stats.stream[LOG_ACCESS].records,
                  (unsigned long long)(count == 0 ? 0 : stats.stream[LOG_ACCESS].bytes / count),
                  (unsigned long long)stats.stream[LOG_ACCESS].dropped_behind);
    return close(fd) == 0 ? 0 : 1;
}
