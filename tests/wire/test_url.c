/* test_url.c: canonical paths, queries, hosts, addresses.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/url.h"

#include "cmocka_all.h"
#include "core/random.h"

struct path_row {
    struct span path;
    struct span canonical; /* at == NULL: refused */
};

#define SAME(path)                                                                                 \
    {                                                                                              \
        SPAN_INIT(path), SPAN_INIT(path)                                                           \
    }
#define BECOMES(a, b)                                                                              \
    {                                                                                              \
        SPAN_INIT(a), SPAN_INIT(b)                                                                 \
    }
#define REFUSED(path)                                                                              \
    {                                                                                              \
        SPAN_INIT(path),                                                                           \
        {                                                                                          \
            NULL, 0                                                                                \
        }                                                                                          \
    }

static const struct path_row paths[] = {
    SAME("/"),
    SAME("/a"),
    SAME("/a/"),
    SAME("/a/b.c/~d/e-f_g;h=1,2@x:y!$&'()*+="),
    SAME("/..."),
    SAME("/..a/.b/c./d.."),
    SAME("/.well-known/acme"),
    SAME("/caf%C3%A9"),
    SAME("/%25"),
    SAME("/100%25"),
    SAME("/%25zz"),
    SAME("/%2520"), /* a space, encoded by two layers in good faith */
    SAME("/%25c3%25a9"),
    SAME("/a%20b"),
    SAME("/a%3Fb%23c"),
    SAME("/%22%3C%3E"),
    SAME("/.%C3%A9"),
    SAME("/...;x"),
    SAME("/%E0%A0%80"),
    SAME("/%F0%90%80%80"),
    SAME("/%E9"),
    BECOMES("/%61", "/a"),
    BECOMES("/%7euser", "/~user"),
    BECOMES("/caf%c3%a9", "/caf%C3%A9"),
    BECOMES("/%2D%2e%5f%7E", "/-._~"),
    BECOMES("/a//b", "/a/b"),
    BECOMES("//", "/"),
    BECOMES("///a///", "/a/"),
    BECOMES("/.", "/"),
    BECOMES("/./", "/"),
    BECOMES("/a/.", "/a/"),
    BECOMES("/a/./b", "/a/b"),
    BECOMES("/a/..", "/"),
    BECOMES("/a/../", "/"),
    BECOMES("/a/b/..", "/a/"),
    BECOMES("/a/b/../", "/a/"),
    BECOMES("/a/b/../../c", "/c"),
    BECOMES("/a/b/../c/./d//e/..", "/a/c/d/"),
    BECOMES("/a//../b", "/b"),
    BECOMES("/a/%2e%2e/b", "/b"),
    BECOMES("/a/.%2E/b", "/b"),
    BECOMES("/a/%2e/b", "/a/b"),
    BECOMES("/%2e%2e%2e", "/..."),
    BECOMES("/abc/def/../%67", "/abc/g"),
    REFUSED(""),
    REFUSED("a"),
    REFUSED("*"),
    REFUSED("/.."),
    REFUSED("/../"),
    REFUSED("//.."),
    REFUSED("/./.."),
    REFUSED("/a/../.."),
    REFUSED("/%2e%2e"),
    REFUSED("/a%2fb"),
    REFUSED("/a%2Fb"),
    REFUSED("/%5c"),
    REFUSED("/%5C"),
    REFUSED("/a\\b"),
    REFUSED("/%00"),
    REFUSED("/\0"),
    REFUSED("/%0a"),
    REFUSED("/%1F"),
    REFUSED("/%7f"),
    REFUSED("/%"),
    REFUSED("/%4"),
    REFUSED("/%4/"),
    REFUSED("/%zz"),
    REFUSED("/%%41"),
    REFUSED("/%u0041"),
    REFUSED("/a#b"),
    REFUSED("/a?b"),
    REFUSED("/a b"),
    REFUSED("/\t"),
    REFUSED("/\x7f"),
    REFUSED("/\xc3\xa9"),
    REFUSED("/[a]"),
    REFUSED("/{a}"),
    REFUSED("/a|b"),
    REFUSED("/a^b"),
    REFUSED("/a`b"),
    REFUSED("/\"a\""),
    REFUSED("/<a>"),
    REFUSED("/%252e"),
    REFUSED("/%2561dmin"), /* no layer encodes letters, so this hides one */
    REFUSED("/%252E"),
    REFUSED("/%252f"),
    REFUSED("/%255c"),
    REFUSED("/%2500"),
    REFUSED("/%250d"),
    REFUSED("/%257f"),
    REFUSED("/%2525"),
    REFUSED("/%25252f"),
    REFUSED("/%25%32%66"),
    REFUSED("/%25%32f"),
    REFUSED("/%252%66"),
    REFUSED("/%c0%af"),
    REFUSED("/%C1%9c"),
    REFUSED("/%e0%80%af"),
    REFUSED("/%E0%9F%BF"),
    REFUSED("/%f0%80%80%af"),
    REFUSED("/%F0%8F%BF%BF"),
    REFUSED("/a/..;/b"),
    REFUSED("/a/..;x=y/b"),
    REFUSED("/a/..%3b/b"),
    REFUSED("/a/..%3B"),
    REFUSED("/a/..%253b/b"),
    REFUSED("/a/.;/b"),
    REFUSED("/a/%2e%2e;/b"),
    REFUSED("/a/%2e;x"),
};

#define ARENA_MAX (1 << 20)

static void test_paths_are_canonical_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct arena arena;
        struct span out = {0};
        struct fault why = {0};
        arena_init(&arena, NULL, ARENA_MAX);
        err outcome = url_canonical_path(&arena, paths[i].path, &out, &why);
        if (paths[i].canonical.at == NULL)
            assert_true(err_is(outcome, ERR_BAD_REQUEST) && why.text[0] != '\0');
        else if (!err_ok(outcome) || !span_eq(out, paths[i].canonical))
            fail_msg("%.*s: got %.*s %s", SPAN_ARGS(paths[i].path), SPAN_ARGS(out), why.text);
        bool is_same = paths[i].canonical.at != NULL && span_eq(paths[i].path, paths[i].canonical);
        if (is_same && (arena.used_bytes > 0 || out.at != paths[i].path.at))
            fail_msg("%.*s is canonical and was copied", SPAN_ARGS(paths[i].path));
        arena_done(&arena);
    }
    print_message("%zu paths\n", COUNT_OF(paths));
}

/* Pieces that meet in bad ways, so that random paths reach the rules. */
static const struct span pieces[] = {
    SPAN_INIT("/"),   SPAN_INIT("/"),   SPAN_INIT("."),   SPAN_INIT(".."),  SPAN_INIT("a"),
    SPAN_INIT("%2e"), SPAN_INIT("%2E"), SPAN_INIT("%25"), SPAN_INIT("%32"), SPAN_INIT("%65"),
    SPAN_INIT("2"),   SPAN_INIT("e"),   SPAN_INIT("f"),   SPAN_INIT("%66"), SPAN_INIT(";"),
    SPAN_INIT("%3b"), SPAN_INIT("%C3"), SPAN_INIT("%a9"), SPAN_INIT("%c0"), SPAN_INIT("%E0"),
    SPAN_INIT("%80"), SPAN_INIT("%41"), SPAN_INIT("5"),   SPAN_INIT("%35"), SPAN_INIT("%2f"),
    SPAN_INIT("b/"),  SPAN_INIT("%30"), SPAN_INIT("0"),   SPAN_INIT("%7E"), SPAN_INIT("c"),
};

static struct span random_path(struct random *r, char *out, size_t size)
{
    size_t len = 1;
    out[0] = '/';
    for (uint64_t count = random_below(r, 12); count > 0; count--) {
        struct span piece = pieces[random_below(r, COUNT_OF(pieces))];
        must(len + piece.len <= size);
        memcpy(out + len, piece.at, piece.len);
        len += piece.len;
    }
    return span_of(out, len);
}

/* Also: a canonical path has no dot segment, no double slash and nothing that decodes to a
 * separator, whatever it was made from. */
static void check_is_safe(struct span path)
{
    for (size_t i = 0; i < path.len; i++) {
        struct span rest = span_skip(path, i);
        assert_false(span_starts(rest, SPAN("//")));
        assert_false(span_starts(rest, SPAN("/./")) || span_eq(rest, SPAN("/.")));
        assert_false(span_starts(rest, SPAN("/../")) || span_eq(rest, SPAN("/..")));
        assert_false(span_starts(rest, SPAN("%2F")) || span_starts(rest, SPAN("%5C")));
        assert_false(span_starts(rest, SPAN("%2E")) || span_starts(rest, SPAN("%2525")));
    }
}

static void test_canonical_form_is_a_fixed_point(void **state)
{
    (void)state;
    struct random r;
    struct arena_pool pool;
    struct arena arena;
    unsigned accepted = 0;
    random_init_seeded(&r, 20260101);
    arena_pool_init(&pool, 4);
    arena_init(&arena, &pool, ARENA_MAX);
    for (unsigned round = 0; round < 200000; round++) {
        char text[64];
        struct span path = random_path(&r, text, sizeof text), once, twice;
        if (err_ok(url_canonical_path(&arena, path, &once, NULL))) {
            accepted++;
            check_is_safe(once);
            size_t used = arena.used_bytes;
            if (!err_ok(url_canonical_path(&arena, once, &twice, NULL)) || twice.at != once.at ||
                twice.len != once.len || arena.used_bytes != used)
                fail_msg("%.*s becomes %.*s, which is not canonical", SPAN_ARGS(path),
                         SPAN_ARGS(once));
        }
        arena_reset(&arena);
    }
    print_message("%u of 200000 random paths accepted\n", accepted);
    assert_true(accepted > 10000);
    arena_done(&arena);
    arena_pool_done(&pool);
}

static void test_path_of_no_memory_is_an_error(void **state)
{
    (void)state;
    struct arena arena;
    struct span out;
    arena_init(&arena, NULL, 16);
    assert_int_equal(url_canonical_path(&arena, SPAN("//a"), &out, NULL).code, ERR_TOO_LARGE);
    arena_done(&arena);
}

static void test_queries_are_visible_ascii(void **state)
{
    (void)state;
    for (unsigned b = 0; b < 256; b++) {
        char text[3] = {'a', (char)b, 'c'};
        bool is_valid = b > 0x20 && b < 0x7f && b != '#';
        assert_int_equal(err_ok(url_check_query(span_of(text, 3))), is_valid);
    }
    assert_true(err_ok(url_check_query(SPAN(""))));
}

struct authority_row {
    const char *text;
    const char *host; /* NULL: refused */
    uint32_t port;
};

static void test_authorities_are_split_as_the_table_says(void **state)
{
    (void)state;
    static const struct authority_row rows[] = {
        {"a", "a", 0},
        {"a.example", "a.example", 0},
        {"A-1_b.example.", "A-1_b.example.", 0},
        {"a:1", "a", 1},
        {"a:65535", "a", 65535},
        {"127.0.0.1:80", "127.0.0.1", 80},
        {"[::1]", "[::1]", 0},
        {"[::1]:8080", "[::1]", 8080},
        {"[2001:db8::ffff:192.0.2.1]", "[2001:db8::ffff:192.0.2.1]", 0},
        {"", NULL, 0},
        {":80", NULL, 0},
        {"a:", NULL, 0},
        {"a:0", NULL, 0},
        {"a:01", NULL, 0},
        {"a:65536", NULL, 0},
        {"a:99999", NULL, 0},
        {"a:100000", NULL, 0},
        {"a:8 0", NULL, 0},
        {"a:-1", NULL, 0},
        {"a:1:2", NULL, 0},
        {"u@a", NULL, 0},
        {"a b", NULL, 0},
        {"a/b", NULL, 0},
        {"a%41", NULL, 0},
        {"a,b", NULL, 0},
        {"a~b", NULL, 0},
        {".a", NULL, 0},
        {"a..b", NULL, 0},
        {"a..", NULL, 0},
        {".", NULL, 0},
        {"::1", NULL, 0},
        {"[::1", NULL, 0},
        {"[::1]80", NULL, 0},
        {"[]", NULL, 0},
        {"[127.0.0.1]", NULL, 0},
        {"[::1%25lo]", NULL, 0},
        {"[::1%lo]", NULL, 0},
        {"[v1.a]", NULL, 0},
        {"[1:2:3:4:5:6:7:8:9]", NULL, 0},
        {"[11111111111111111111111111111111111111111111111111111111]", NULL, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span host = {0};
        uint32_t port = 77;
        err outcome = url_split_authority(span_from(rows[i].text), &host, &port);
        bool is_right =
            rows[i].host == NULL
                ? err_is(outcome, ERR_BAD_REQUEST) && port == 77
                : err_ok(outcome) && span_eq(host, span_from(rows[i].host)) && port == rows[i].port;
        if (!is_right)
            fail_msg("%s", rows[i].text);
    }
    struct span host;
    uint32_t port;
    assert_false(err_ok(url_split_authority(SPAN("[::1\0]"), &host, &port)));
    assert_false(err_ok(url_split_authority(SPAN("a\0b"), &host, &port)));
}

static void test_addresses_are_host_and_port_or_unix(void **state)
{
    (void)state;
    struct url_address a = {0};
    assert_true(err_ok(url_parse_address(SPAN("127.0.0.1:3000"), &a)));
    assert_true(span_eq(a.host, SPAN("127.0.0.1")) && a.port == 3000 && !a.is_unix);
    assert_true(err_ok(url_parse_address(SPAN("[::1]:3000"), &a)));
    assert_true(span_eq(a.host, SPAN("::1")) && a.port == 3000 && !a.is_unix);
    assert_true(err_ok(url_parse_address(SPAN("unix:/run/x.sock"), &a)));
    assert_true(span_eq(a.host, SPAN("/run/x.sock")) && a.port == 0 && a.is_unix);
    static const struct span refused[] = {
        SPAN_INIT(""),       SPAN_INIT("a"),      SPAN_INIT("a:"),         SPAN_INIT(":80"),
        SPAN_INIT("[::1]"),  SPAN_INIT("a:0"),    SPAN_INIT("a:70000"),    SPAN_INIT("unix:"),
        SPAN_INIT("unix:x"), SPAN_INIT("unix:/"), SPAN_INIT("http://a:1"),
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        if (!err_is(url_parse_address(refused[i], &a), ERR_INVALID))
            fail_msg("%.*s", SPAN_ARGS(refused[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_are_canonical_as_the_table_says),
        cmocka_unit_test(test_canonical_form_is_a_fixed_point),
        cmocka_unit_test(test_path_of_no_memory_is_an_error),
        cmocka_unit_test(test_queries_are_visible_ascii),
        cmocka_unit_test(test_authorities_are_split_as_the_table_says),
        cmocka_unit_test(test_addresses_are_host_and_port_or_unix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
