/* err.c: lookups in the error table, and the filling of faults.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct err_row {
    const char *name;
    const char *text;
    int http_status;
    bool is_retryable;
};

static const struct err_row err_rows[ERR_CODE_COUNT] = {
#define X(name, status, retryable, text) {#name, text, status, retryable},
    ERR_TABLE(X)
#undef X
};

static const struct err_row *err_row(enum err_code code)
{
    must((unsigned)code < ERR_CODE_COUNT);
    return &err_rows[code];
}

const char *err_name(enum err_code code)
{
    return err_row(code)->name;
}

const char *err_text(enum err_code code)
{
    return err_row(code)->text;
}

int err_http_status(enum err_code code)
{
    return err_row(code)->http_status;
}

bool err_is_retryable(enum err_code code)
{
    return err_row(code)->is_retryable;
}

PRINTF_LIKE(3, 0)
static void err_write(struct fault *why, enum err_code code, const char *format, va_list args)
{
    must(code != ERR_NONE);
    if (why == NULL)
        return;
    why->code = code;
    (void)vsnprintf(why->text, sizeof why->text, format, args);
}

err fault_set(struct fault *why, enum err_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    err_write(why, code, format, args);
    va_end(args);
    return (err){code};
}

err fault_errno(struct fault *why, enum err_code code, const char *format, ...)
{
    int number = errno;
    va_list args;
    va_start(args, format);
    err_write(why, code, format, args);
    va_end(args);
    if (why != NULL) {
        char reason[128];
        size_t used = strlen(why->text);
        (void)snprintf(why->text + used, sizeof why->text - used, ": %s",
                       strerror_r(number, reason, sizeof reason));
    }
    return (err){code};
}
