/* fuzz_problem.c: any Accept, and any text in a page.
 *
 * Text from outside never adds markup: a page has as many '<' with it as without it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/problem.h"

#define FUZZ_PROBLEM_BYTES_MAX 65536

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static size_t fuzz_problem_tags(struct span detail)
{
    struct problem p = {.status = 400, .detail = detail};
    struct buf page;
    buf_init(&page, FUZZ_PROBLEM_BYTES_MAX);
    size_t tags = 0;
    must(err_ok(problem_write_html(&p, &page)));
    for (size_t i = 0; i < page.len; i++)
        tags += page.at[i] == '<';
    buf_done(&page);
    return tags;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct span input = span_of((const char *)data, size);
    if (size == 0 || size > 4096)
        return 0;
    (void)problem_prefers_html(input); /* either answer will do */
    must(fuzz_problem_tags(input) == fuzz_problem_tags(SPAN("x")));

    struct problem p = {.status = 400, .detail = input, .instance = input, .request_id = input};
    struct buf json;
    buf_init(&json, FUZZ_PROBLEM_BYTES_MAX * 4);
    must(err_ok(problem_write_json(&p, &json)));
    for (size_t i = 0; i < json.len; i++)
        must((unsigned char)json.at[i] >= 0x20);
    buf_done(&json);
    return 0;
}
