/* http1_parse.c: what parsing one request head costs.
 *
 * Instructions, which do not depend on the machine's mood:
 *   valgrind --tool=callgrind --toggle-collect=http1_parse_request bench_http1_parse browser 1000
 * and divide the total by 1000. Without valgrind it prints nanoseconds for each head.
 *
 * One thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "core/clock.h"
#include "wire/http1.h"

#define FIELD_MAX 100

struct sample {
    const char *name;
    struct span head;
};

static const struct sample samples[] = {
    {"small", SPAN_INIT("GET /api/items/42 HTTP/1.1\r\n"
                        "Host: localhost:8080\r\n"
                        "User-Agent: wrk\r\n"
                        "Accept: */*\r\n"
                        "Connection: keep-alive\r\n\r\n")},
    {"browser",
     SPAN_INIT("GET /products/42?utm_source=mail&ref=spring HTTP/1.1\r\n"
               "Host: shop.example.com\r\n"
               "Connection: keep-alive\r\n"
               "sec-ch-ua: \"Chromium\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\n"
               "sec-ch-ua-mobile: ?0\r\n"
               "sec-ch-ua-platform: \"Linux\"\r\n"
               "Upgrade-Insecure-Requests: 1\r\n"
               "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
               "Chrome/124.0.0.0 Safari/537.36\r\n"
               "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
               "Sec-Fetch-Site: same-origin\r\n"
               "Sec-Fetch-Mode: navigate\r\n"
               "Sec-Fetch-User: ?1\r\n"
               "Sec-Fetch-Dest: document\r\n"
               "Accept-Encoding: gzip, deflate, br\r\n"
               "Accept-Language: en-GB,en;q=0.9\r\n"
               "Cookie: sid=4f1b0c2a9d; theme=dark; cart=17\r\n\r\n")},
};

static const struct http1_limits limits = {
    .target_bytes = 8192,
    .head_bytes = 32768,
    .field_count = FIELD_MAX,
    .trailer_bytes = 8192,
    .chunk_line_bytes = 256,
};

static int run(const struct sample *sample, uint64_t count)
{
    struct http_field fields[FIELD_MAX];
    struct http_request request = {.head = {.fields = fields, .field_max = FIELD_MAX}};
    uint64_t start_ns = clock_mono_ns(&clock_system);
    for (uint64_t i = 0; i < count; i++) {
        struct http1_head_parser parser = {0};
        if (!err_ok(http1_parse_request(&parser, &limits, sample->head, &request,
                                        /* why= */ NULL)))
            return 1;
    }
    uint64_t spent_ns = clock_mono_ns(&clock_system) - start_ns;
    printf("%s: %zu bytes, %u fields, %.1f ns\n", sample->name, sample->head.len,
           request.head.field_count, (double)spent_ns / (double)count);
    return 0;
}

int main(int argc, char **argv)
{
    struct span wanted = span_from(argc > 1 ? argv[1] : NULL);
    uint64_t count = 1000000;
    if (argc > 2 && !err_ok(span_parse_u64(span_from(argv[2]), UINT64_MAX, &count)))
        return 2;
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        if (wanted.len > 0 && !span_eq(wanted, span_from(samples[i].name)))
            continue;
        if (run(&samples[i], count) != 0)
            return 1;
    }
    return 0;
}
