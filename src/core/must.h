/* must.h: checks that stay on in release.
 *
 * must(cond) states what is true unless this program has a bug. It is never for input: what comes
 * from outside gets an err. A failed must() prints where and what, then aborts, because going on
 * with a broken invariant loses or leaks somebody's data.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

_Noreturn void must_fail(const char *what, const char *file, int line);

#define must(cond) (__builtin_expect(!(cond), 0) ? must_fail(#cond, __FILE__, __LINE__) : (void)0)

/* The struct that holds this member. */
#define container_of(ptr, type, member) ((type *)((uintptr_t)(ptr)-offsetof(type, member)))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Runs fn(&variable) when the variable's scope ends. fn must accept a zeroed object. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* For a large local of the hot path that is written before it is read: the build clears every other
 * local (-ftrivial-auto-var-init), which would cost more than the work that it is for. */
#define NOT_CLEARED __attribute__((uninitialized))

#define PRINTF_LIKE(format_index, first_arg)                                                       \
    __attribute__((format(printf, format_index, first_arg)))

/* The checked cast for callbacks that carry `void *`: every long-lived struct starts with
 * `uint32_t magic`, set by its init and zeroed by its done, so a stale pointer fails here. */
#define OBJ(type, expected_magic, ptr)                                                             \
    ({                                                                                             \
        struct type *obj_ = (ptr);                                                                 \
        must(obj_ != NULL && obj_->magic == (expected_magic));                                     \
        obj_;                                                                                      \
    })
