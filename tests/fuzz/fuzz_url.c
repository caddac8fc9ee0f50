/* fuzz_url.c: any bytes as a path, a query, a host and an address.
 *
 * A canonical path is a fixed point, and no reader can find a separator or a dot segment in it
 * that we did not see, even one that decodes it again.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "wire/http_chars.h"
#include "wire/url.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static size_t fuzz_decode(struct span text, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool is_escape = text.at[i] == '%' && text.len - i > 2 &&
                         http_chars_is(text.at[i + 1], HTTP_CHARS_HEX) &&
                         http_chars_is(text.at[i + 2], HTTP_CHARS_HEX);
        out[len++] =
            is_escape ? (char)(http_chars_hex(text.at[i + 1]) * 16 + http_chars_hex(text.at[i + 2]))
                      : text.at[i];
        i += is_escape ? 2 : 0;
    }
    return len;
}

static size_t fuzz_count(struct span text, char wanted)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.at[i] == wanted;
    return count;
}

static void fuzz_check_segments(struct span path)
{
    struct span rest = span_skip(path, 1);
    while (rest.at != NULL) {
        struct span segment = span_cut(&rest, '/');
        must(segment.len > 0 || rest.at == NULL);
        must(!span_eq(segment, SPAN(".")) && !span_eq(segment, SPAN("..")));
        must(!span_starts(segment, SPAN(".;")) && !span_starts(segment, SPAN("..;")));
    }
}

static void fuzz_check_path(struct span path)
{
    char *once = malloc(path.len), *twice = malloc(path.len);
    must(once != NULL && twice != NULL);
    size_t once_len = fuzz_decode(path, once);
    size_t twice_len = fuzz_decode(span_of(once, once_len), twice);
    fuzz_check_segments(path);
    fuzz_check_segments(span_of(once, once_len));
    fuzz_check_segments(span_of(twice, twice_len));
    must(fuzz_count(path, '/') == fuzz_count(span_of(twice, twice_len), '/'));
    must(fuzz_count(span_of(twice, twice_len), '\\') == 0);
    for (size_t i = 0; i < twice_len; i++)
        must((unsigned char)twice[i] >= 0x20 && twice[i] != 0x7f);
    free(once);
    free(twice);
}

static void fuzz_paths(struct span text)
{
    struct arena arena;
    struct span once, twice;
    struct fault why = {0};
    arena_init(&arena, /* pool= */ NULL, 1 << 20);
    err outcome = url_canonical_path(&arena, text, &once, &why);
    if (err_ok(outcome)) {
        size_t used_bytes = arena.used_bytes;
        must(once.len <= text.len && once.at[0] == '/');
        must(err_ok(url_canonical_path(&arena, once, &twice, NULL)));
        must(twice.at == once.at && twice.len == once.len && arena.used_bytes == used_bytes);
        must((once.at == text.at) == span_eq(once, text));
        must(once.at != text.at || used_bytes == 0);
        fuzz_check_path(once);
    } else {
        must(outcome.code == ERR_BAD_REQUEST && why.text[0] != '\0');
    }
    arena_done(&arena);
}

static void fuzz_authority(struct span text)
{
    struct span host;
    uint32_t port = 0;
    struct url_address address;
    if (!err_ok(url_split_authority(text, &host, &port)))
        return;
    must(host.len > 0 && host.at == text.at && host.len <= text.len && port <= 65535);
    must((port != 0) == (host.len < text.len));
    must(memchr(host.at, '@', host.len) == NULL && memchr(host.at, '/', host.len) == NULL);
    bool is_address = err_ok(url_parse_address(text, &address));
    must(is_address == (port != 0) || span_starts(text, SPAN("unix:")));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    /* A copy of its own size, so that reading past the end is seen. */
    char *copy = malloc(size == 0 ? 1 : size);
    must(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    struct span text = span_of(copy, size);
    fuzz_paths(text);
    fuzz_authority(text);
    if (err_ok(url_check_query(text)))
        must(memchr(copy, '#', size) == NULL && memchr(copy, ' ', size) == NULL);
    struct url_address address;
    if (err_ok(url_parse_address(text, &address)))
        must(address.host.len > 0 && address.is_unix == (address.port == 0));
    free(copy);
    return 0;
}
