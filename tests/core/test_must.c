/* test_must.c: a broken invariant ends the process, loudly; a kept one costs nothing.
 *
 * What must abort runs in a child process, whose end and words are looked at.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/mem.h"
#include "core/must.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THING_MAGIC 0x7ebb17u

struct thing {
    uint32_t magic;
    int value;
};

static void break_must(void)
{
    int answer = 41;
    must(answer == 42);
}

static void break_stale_object(void)
{
    struct thing thing = {.magic = 0};
    (void)OBJ(thing, THING_MAGIC, &thing);
}

static void break_null_object(void)
{
    (void)OBJ(thing, THING_MAGIC, NULL);
}

static void break_size_add(void)
{
    (void)size_add(SIZE_MAX, 1);
}

static void break_size_mul(void)
{
    (void)size_mul(SIZE_MAX / 2, 3);
}

/* Runs `broken` in a child: asserts that it aborts, and returns what it wrote to stderr. */
static void assert_aborts(void (*broken)(void), const char *expected)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL); /* cmocka's own handler would run the parent's code */
        (void)dup2(ends[1], STDERR_FILENO);
        broken();
        _exit(0);
    }
    (void)close(ends[1]);
    char text[2048];
    size_t len = 0;
    ssize_t got;
    while ((got = read(ends[0], text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    (void)close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, expected));
}

static void test_must_aborts_with_place_and_condition(void **state)
{
    (void)state;
    assert_aborts(break_must, "plimsoll: bug: ");
    assert_aborts(break_must, "test_must.c");
    assert_aborts(break_must, "must(answer == 42)");
}

static void test_obj_refuses_stale_and_null_pointers(void **state)
{
    (void)state;
    assert_aborts(break_stale_object, "magic");
    assert_aborts(break_null_object, "obj_ != NULL");
}

static void test_obj_returns_the_object(void **state)
{
    (void)state;
    struct thing thing = {.magic = THING_MAGIC, .value = 7};
    assert_int_equal(OBJ(thing, THING_MAGIC, (void *)&thing)->value, 7);
}

static void test_size_arithmetic_aborts_on_overflow_only(void **state)
{
    (void)state;
    assert_int_equal(size_add(SIZE_MAX - 1, 1), SIZE_MAX);
    assert_int_equal(size_mul(SIZE_MAX / 2, 2), SIZE_MAX - 1);
    assert_aborts(break_size_add, "__builtin_add_overflow");
    assert_aborts(break_size_mul, "__builtin_mul_overflow");
}

static void test_container_of_finds_the_struct(void **state)
{
    (void)state;
    struct thing thing = {.value = 3};
    int *value = &thing.value;
    assert_ptr_equal(container_of(value, struct thing, value), &thing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_must_aborts_with_place_and_condition),
        cmocka_unit_test(test_obj_refuses_stale_and_null_pointers),
        cmocka_unit_test(test_obj_returns_the_object),
        cmocka_unit_test(test_size_arithmetic_aborts_on_overflow_only),
        cmocka_unit_test(test_container_of_finds_the_struct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
