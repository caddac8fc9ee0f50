/* must.c: the end of a process that found a bug in itself.
 *
 * The one hard thing: it runs when memory may be damaged, so it formats into the stack and writes
 * with one write(2). Any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void must_fail(const char *what, const char *file, int line)
{
    char text[512];
    int length = snprintf(text, sizeof text, "plimsoll: bug: %s:%d: must(%s)\n", file, line, what);
    if (length > 0)
        (void)!write(STDERR_FILENO, text,
                     (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
    abort();
}
