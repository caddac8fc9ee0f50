/* test_hex.c: every byte has its two digits.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdio.h>

#include "core/hex.h"

static void test_every_byte_is_written_as_printf_writes_it(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        unsigned char bytes[2] = {(unsigned char)i, (unsigned char)(255 - i)};
        char out[5] = "....", expected[5];
        assert_ptr_equal(hex_write(out, bytes, 2), out + 4);
        (void)snprintf(expected, sizeof expected, "%02x%02x", i, 255 - i);
        assert_string_equal(out, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_is_written_as_printf_writes_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
