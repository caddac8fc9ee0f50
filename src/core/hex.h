/* hex.h: bytes as lower-case hexadecimal digits.
 *
 * Pure; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stddef.h>

/* Writes 2 * size digits, no NUL; returns what follows them. */
char *hex_write(char *out, const unsigned char *bytes, size_t size);
