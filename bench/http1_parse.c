/* http1_parse.c: what parsing one request head costs.
 *
 * One thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "micro.h"
#include "wire/http1.h"

#define FIELD_MAX 100

static const struct span http1_parse_small = SPAN_INIT("GET /api/items/42 HTTP/1.1\r\n"
                                                       "Host: localhost:8080\r\n"
                                                       "User-Agent: wrk\r\n"
                                                       "Accept: */*\r\n"
                                                       "Connection: keep-alive\r\n\r\n");
static const struct span http1_parse_browser =
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
              "Cookie: sid=4f1b0c2a9d; theme=dark; cart=17\r\n\r\n");

static const struct http1_limits limits = {
    .target_bytes = 8192,
    .head_bytes = 32768,
    .field_count = FIELD_MAX,
    .trailer_bytes = 8192,
    .chunk_line_bytes = 256,
};

static void http1_parse_head(struct span head, uint64_t count)
{
    struct http_field fields[FIELD_MAX];
    struct http_request request = {.head = {.fields = fields, .field_max = FIELD_MAX}};
    for (uint64_t i = 0; i < count; i++) {
        struct http1_head_parser parser = {0};
        err outcome = http1_parse_request(&parser, &limits, head, &request, /* why= */ NULL);
        must(err_ok(outcome));
        micro_keep(&request);
    }
}

static void http1_parse_run_small(uint64_t count)
{
    http1_parse_head(http1_parse_small, count);
}

static void http1_parse_run_browser(uint64_t count)
{
    http1_parse_head(http1_parse_browser, count);
}

static const struct micro_case cases[] = {
    {"small", http1_parse_run_small},
    {"browser", http1_parse_run_browser},
};

int main(int argc, char **argv)
{
    return micro_main(argc, argv, cases, COUNT_OF(cases));
}
