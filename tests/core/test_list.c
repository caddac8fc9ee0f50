/* test_list.c: objects enter, leave and move between lists without an allocation.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/list.h"

struct item {
    int number;
    struct list node;
};

/* The numbers of the list as one decimal: 1, 2, 3 -> 123. Also walks backward. */
static int digits_of(const struct list *l)
{
    int forward = 0;
    int count = 0;
    list_each (node, l) {
        forward = forward * 10 + container_of(node, struct item, node)->number;
        count++;
        assert_ptr_equal(node->next->prev, node);
        assert_ptr_equal(node->prev->next, node);
    }
    for (const struct list *node = l->prev; node != l; node = node->prev)
        count--;
    assert_int_equal(count, 0);
    return forward;
}

static void test_list_keeps_the_order_of_pushes(void **state)
{
    (void)state;
    struct list l;
    struct item a = {1, {0}};
    struct item b = {2, {0}};
    struct item c = {3, {0}};
    list_init(&l);
    assert_true(list_is_empty(&l));
    list_push_back(&l, &b.node);
    list_push_back(&l, &c.node);
    list_push_front(&l, &a.node);
    assert_false(list_is_empty(&l));
    assert_int_equal(digits_of(&l), 123);
}

static void test_list_pop_takes_from_the_front_until_empty(void **state)
{
    (void)state;
    struct list l;
    struct item items[] = {{1, {0}}, {2, {0}}};
    list_init(&l);
    assert_null(list_pop_front(&l));
    list_push_back(&l, &items[0].node);
    list_push_back(&l, &items[1].node);
    assert_ptr_equal(list_pop_front(&l), &items[0].node);
    assert_false(list_is_linked(&items[0].node));
    assert_ptr_equal(list_pop_front(&l), &items[1].node);
    assert_null(list_pop_front(&l));
}

static void test_list_remove_is_harmless_for_what_is_in_no_list(void **state)
{
    (void)state;
    struct list l;
    struct item a = {1, {0}};
    struct item b = {2, {0}};
    list_init(&l);
    assert_false(list_is_linked(&a.node));
    list_remove(&a.node); /* zeroed */
    list_push_back(&l, &a.node);
    list_push_back(&l, &b.node);
    assert_true(list_is_linked(&a.node));
    list_remove(&a.node);
    list_remove(&a.node); /* removed already */
    assert_false(list_is_linked(&a.node));
    assert_int_equal(digits_of(&l), 2);
}

static void test_list_take_all_appends_and_empties_the_other(void **state)
{
    (void)state;
    struct list to;
    struct list from;
    struct item items[] = {{1, {0}}, {2, {0}}, {3, {0}}, {4, {0}}};
    list_init(&to);
    list_init(&from);
    list_take_all(&to, &from);
    assert_true(list_is_empty(&to));
    list_push_back(&from, &items[0].node);
    list_take_all(&to, &from); /* into an empty one */
    list_push_back(&to, &items[1].node);
    list_push_back(&from, &items[2].node);
    list_push_back(&from, &items[3].node);
    list_take_all(&to, &from);
    assert_true(list_is_empty(&from));
    assert_int_equal(digits_of(&to), 1234);
}

static void test_list_each_safe_lets_the_body_remove(void **state)
{
    (void)state;
    struct list l;
    struct item items[] = {{1, {0}}, {2, {0}}, {3, {0}}, {4, {0}}};
    list_init(&l);
    for (size_t i = 0; i < COUNT_OF(items); i++)
        list_push_back(&l, &items[i].node);
    list_each_safe (node, following, &l) {
        if (container_of(node, struct item, node)->number % 2 == 1)
            list_remove(node);
    }
    assert_int_equal(digits_of(&l), 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_keeps_the_order_of_pushes),
        cmocka_unit_test(test_list_pop_takes_from_the_front_until_empty),
        cmocka_unit_test(test_list_remove_is_harmless_for_what_is_in_no_list),
        cmocka_unit_test(test_list_take_all_appends_and_empties_the_other),
        cmocka_unit_test(test_list_each_safe_lets_the_body_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
