/* err.h: the outcome of a fallible function, and the story behind it.
 *
 * `err` is a struct and not an int so that an outcome cannot be mistaken for a length, a flag or
 * an errno, and so that the compiler refuses a call that drops it. Results come back through the
 * last parameter, written only on OK. What a person needs to know (which file, which value, what
 * is allowed) goes into the caller's `struct fault`, never into a global.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdbool.h>

#include "core/err_table.h"
#include "core/must.h"

enum err_code {
#define X(name, status, retryable, text) ERR_##name,
    ERR_TABLE(X)
#undef X
        ERR_CODE_COUNT
};

/* gcc knows must-use types by the C2x attribute, clang 14 by the GNU one. */
#ifdef __clang__
typedef struct __attribute__((warn_unused_result)) err {
    enum err_code code;
} err;
#else
typedef struct [[nodiscard]] err {
    enum err_code code;
} err;
#endif

#define OK         ((err){ERR_NONE})
#define FAIL(name) ((err){ERR_##name})

static inline bool err_is(err outcome, enum err_code code)
{
    return outcome.code == code;
}

static inline bool err_ok(err outcome)
{
    return outcome.code == ERR_NONE;
}

/* Returns the error of the call at once from the calling function. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        err try_ = (call);                                                                         \
        if (__builtin_expect(try_.code != ERR_NONE, 0))                                            \
            return try_;                                                                           \
    } while (0)

/* The row of ERR_TABLE. All return static storage or plain values; any thread. */
const char *err_name(enum err_code code); /* "RATE_LIMITED" */
const char *err_text(enum err_code code);
int err_http_status(enum err_code code);
bool err_is_retryable(enum err_code code);

/* What went wrong, for a person. Zero is a valid empty fault. `file` and the position are set
 * for configuration errors and empty otherwise. */
struct fault {
    enum err_code code;
    char file[256];
    unsigned line;
    unsigned column;
    char text[512];
};

/* Fills `why` (which may be NULL) and returns the error, so that a failing function can end with
 * `return fault_set(why, ERR_IO, "open %s: %s", path, ...)`. */
err fault_set(struct fault *why, enum err_code code, const char *format, ...) PRINTF_LIKE(3, 4);

/* The same with errno's text appended after ": ". Reads errno. */
err fault_errno(struct fault *why, enum err_code code, const char *format, ...) PRINTF_LIKE(3, 4);
