/* test_hash.c: SipHash-1-3 against the reference implementation's vectors.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/hash.h"

static void test_hash_agrees_with_the_siphash_1_3_vectors(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        uint64_t expected;
    } vectors[] = {
        {0, 0xabac0158050fc4dcu},  {1, 0xc9f49bf37d57ca93u},  {7, 0xd3927d989bb11140u},
        {8, 0x369095118d299a8eu},  {9, 0x25a48eb36c063de4u},  {15, 0xd320d86d2a519956u},
        {16, 0xcc4fdd1a7d908b66u}, {63, 0x9d199062b7bbb3a8u},
    };
    const struct hash_key key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    unsigned char message[64];
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (unsigned char)i;
    for (size_t i = 0; i < COUNT_OF(vectors); i++)
        assert_true(hash_bytes(&key, message, vectors[i].len) == vectors[i].expected);
}

static void test_hash_depends_on_key_bytes_and_length(void **state)
{
    (void)state;
    const struct hash_key a = {1, 2};
    const struct hash_key b = {1, 3};
    assert_true(hash_span(&a, SPAN("x")) == hash_span(&a, SPAN("x")));
    assert_true(hash_span(&a, SPAN("x")) != hash_span(&b, SPAN("x")));
    assert_true(hash_span(&a, SPAN("x")) != hash_span(&a, SPAN("y")));
    assert_true(hash_span(&a, SPAN("\0")) != hash_span(&a, SPAN("\0\0")));
    assert_true(hash_span(&a, SPAN("")) == hash_span(&a, (struct span){NULL, 0}));
}

static void test_hash_does_not_care_for_alignment(void **state)
{
    (void)state;
    const struct hash_key key = {5, 6};
    char text[64] = "";
    uint64_t expected = hash_span(&key, SPAN("eleven byte"));
    for (size_t shift = 0; shift < 8; shift++) {
        memcpy(text + shift, "eleven byte", 11);
        assert_true(hash_bytes(&key, text + shift, 11) == expected);
    }
}

static void test_hash_key_of_the_process_is_drawn_once(void **state)
{
    (void)state;
    const struct hash_key *key = hash_process_key();
    assert_ptr_equal(key, hash_process_key());
    assert_true((key->k0 | key->k1) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_agrees_with_the_siphash_1_3_vectors),
        cmocka_unit_test(test_hash_depends_on_key_bytes_and_length),
        cmocka_unit_test(test_hash_does_not_care_for_alignment),
        cmocka_unit_test(test_hash_key_of_the_process_is_drawn_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
