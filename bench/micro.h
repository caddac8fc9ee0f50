/* micro.h: the command line that all small measurements share.
 *
 *     bench_NAME             prints the names of its operations, one a line
 *     bench_NAME OPERATION N does the operation N times
 *
 * scripts/bench takes the difference of two N, so what an operation prepares once does not count.
 * An operation shall use its result (micro_keep), or the compiler removes what is measured.
 * One thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdio.h>

#include "core/span.h"

struct micro_case {
    const char *name;
    void (*run)(uint64_t count);
};

/* Makes the compiler believe that somebody reads what is there. */
static inline void micro_keep(const void *result)
{
    __asm__ volatile("" : : "r"(result) : "memory");
}

static inline int micro_main(int argc, char **argv, const struct micro_case *cases,
                             size_t case_count)
{
    uint64_t count = 0;
    for (size_t i = 0; i < case_count; i++) {
        if (argc == 1)
            (void)printf("%s\n", cases[i].name);
        if (argc != 3 || !span_eq(span_from(argv[1]), span_from(cases[i].name)))
            continue;
        if (!err_ok(span_parse_u64(span_from(argv[2]), UINT64_MAX, &count)))
            break;
        cases[i].run(count);
        return 0;
    }
    if (argc == 1)
        return 0;
    (void)fprintf(stderr, "Usage: %s [OPERATION N]\n", argv[0]);
    return 2;
}
