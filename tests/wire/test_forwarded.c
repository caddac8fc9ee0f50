/* test_forwarded.c: who counts as the client, as a table; and what the upstream is told.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include "core/buf.h"
#include "wire/forwarded.h"

struct forwarded_case {
    const char *peer;
    const char *lines[3];
    const char *chain; /* client first */
    bool is_malformed;
};

static struct ip_network forwarded_networks[3];
static const struct forwarded_trust forwarded_proxies = {forwarded_networks, 3};

static int forwarded_setup(void **state)
{
    (void)state;
    static const char *const texts[] = {"10.0.0.0/8", "192.0.2.1", "2001:db8:1::/48"};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (!err_ok(ip_network_parse(span_from(texts[i]), &forwarded_networks[i], NULL)))
            return -1;
    return 0;
}

static void forwarded_run(enum forwarded_syntax syntax, const struct forwarded_case *c,
                          struct forwarded_chain *out)
{
    struct span lines[3];
    size_t count = 0;
    struct ip_address peer;
    assert_true(err_ok(ip_parse(span_from(c->peer), &peer)));
    while (count < 3 && c->lines[count] != NULL) {
        lines[count] = span_from(c->lines[count]);
        count++;
    }
    forwarded_walk(&forwarded_proxies, &peer, syntax, lines, count, out);
    char room[FORWARDED_FOR_TEXT_MAX], client[IP_TEXT_MAX];
    struct put w = put_into(room, sizeof room);
    forwarded_put_for(&w, out, span_of(client, ip_format(&out->hops[0], client)));
    assert_false(w.is_full);
    struct span text = span_of(room, (size_t)(w.at - room));
    if (!span_eq(text, span_from(c->chain)) || out->is_malformed != c->is_malformed)
        fail_msg("\"%s\": %.*s%s", c->lines[0], SPAN_ARGS(text),
                 out->is_malformed ? " (malformed)" : "");
}

static void test_forwarded_rightmost_untrusted_hop_is_the_client(void **state)
{
    (void)state;
    static const struct forwarded_case cases[] = {
        {"203.0.113.5", {NULL}, "203.0.113.5", false},
        {"203.0.113.5", {"1.1.1.1"}, "203.0.113.5", false},
        {"10.0.0.1", {NULL}, "10.0.0.1", false},
        {"10.0.0.1", {"203.0.113.9"}, "203.0.113.9, 10.0.0.1", false},
        {"10.0.0.1", {"1.1.1.1, 203.0.113.9"}, "203.0.113.9, 10.0.0.1", false},
        {"10.0.0.1", {"1.1.1.1, 203.0.113.9,10.0.0.2"}, "203.0.113.9, 10.0.0.2, 10.0.0.1", false},
        {"10.0.0.1", {"10.0.0.3, 10.0.0.2"}, "10.0.0.3, 10.0.0.2, 10.0.0.1", false},
        {"10.0.0.1",
         {"1.1.1.1", "203.0.113.9", "10.0.0.2"},
         "203.0.113.9, 10.0.0.2, 10.0.0.1",
         false},
        {"10.0.0.1", {"203.0.113.9", "", " \t"}, "203.0.113.9, 10.0.0.1", false},
        {"10.0.0.1", {"203.0.113.9:4711"}, "203.0.113.9, 10.0.0.1", false},
        {"10.0.0.1", {"[2001:db8::7]:4711"}, "2001:db8::7, 10.0.0.1", false},
        {"10.0.0.1", {"2001:db8::7,2001:db8:1::1"}, "2001:db8::7, 2001:db8:1::1, 10.0.0.1", false},
        {"192.0.2.1", {"::ffff:203.0.113.9"}, "203.0.113.9, 192.0.2.1", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct forwarded_chain chain;
        forwarded_run(FORWARDED_X_FORWARDED_FOR, &cases[i], &chain);
    }
}

static void test_forwarded_malformed_member_ends_the_walk(void **state)
{
    (void)state;
    static const struct forwarded_case cases[] = {
        {"10.0.0.1", {"unknown"}, "10.0.0.1", true},
        {"10.0.0.1", {"203.0.113.9, "}, "10.0.0.1", true},
        {"10.0.0.1", {"203.0.113.9, nonsense, 10.0.0.2"}, "10.0.0.2, 10.0.0.1", true},
        {"10.0.0.1", {"203.0.113.9,,10.0.0.2"}, "10.0.0.2, 10.0.0.1", true},
        {"10.0.0.1", {"1.1.1.1", "1.2.3.4.5"}, "10.0.0.1", true},
        {"10.0.0.1", {"\"203.0.113.9\""}, "10.0.0.1", true},
        {"10.0.0.1", {"203.0.113.9:"}, "10.0.0.1", true},
        {"10.0.0.1", {"203.0.113.9:65536"}, "10.0.0.1", true},
        {"10.0.0.1", {"203.0.113.9:x"}, "10.0.0.1", true},
        {"10.0.0.1", {"[203.0.113.9]"}, "10.0.0.1", true},
        {"10.0.0.1", {"[2001:db8::7"}, "10.0.0.1", true},
        {"10.0.0.1", {"[2001:db8::7]4711"}, "10.0.0.1", true},
        {"10.0.0.1", {"203.0.113.09"}, "10.0.0.1", true},
        {"10.0.0.1", {"10.0.0.2 203.0.113.9"}, "10.0.0.1", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct forwarded_chain chain;
        forwarded_run(FORWARDED_X_FORWARDED_FOR, &cases[i], &chain);
    }
}

static void test_forwarded_rfc7239_elements_are_read(void **state)
{
    (void)state;
    static const struct forwarded_case cases[] = {
        {"10.0.0.1", {"for=203.0.113.9"}, "203.0.113.9, 10.0.0.1", false},
        {"10.0.0.1", {"For=\"203.0.113.9:47\""}, "203.0.113.9, 10.0.0.1", false},
        {"10.0.0.1", {"for=\"[2001:db8::7]\";proto=https"}, "2001:db8::7, 10.0.0.1", false},
        {"10.0.0.1",
         {"by=_x;FOR=203.0.113.9;;ext=\"a,\\\"b;c\", for=10.0.0.2"},
         "203.0.113.9, 10.0.0.2, 10.0.0.1",
         false},
        {"10.0.0.1",
         {"for=1.1.1.1", "for=203.0.113.9,for=10.0.0.2"},
         "203.0.113.9, 10.0.0.2, 10.0.0.1",
         false},
        {"203.0.113.5", {"for=1.1.1.1"}, "203.0.113.5", false},
        {"10.0.0.1", {"for=unknown"}, "10.0.0.1", true},
        {"10.0.0.1", {"for=_hidden, for=10.0.0.2"}, "10.0.0.2, 10.0.0.1", true},
        {"10.0.0.1", {"for=\"2001:db8::7\""}, "10.0.0.1", true},
        {"10.0.0.1", {"for=203.0.113.9;for=203.0.113.8"}, "10.0.0.1", true},
        {"10.0.0.1", {"proto=https"}, "10.0.0.1", true},
        {"10.0.0.1", {"for=203.0.113.9;proto=ftp"}, "10.0.0.1", true},
        {"10.0.0.1", {"for=203.0.113.9;host=\"a\\b\""}, "10.0.0.1", true},
        {"10.0.0.1", {"for=203.0.113.9;host=\"a b\""}, "10.0.0.1", true},
        {"10.0.0.1", {"for=\", for=203.0.113.9"}, "10.0.0.1", true},
        {"10.0.0.1", {"for=203.0.113.9\""}, "10.0.0.1", true},
        {"10.0.0.1", {"for=20\"3.0.113\".9"}, "10.0.0.1", true},
        {"10.0.0.1", {"for="}, "10.0.0.1", true},
        {"10.0.0.1", {"=203.0.113.9"}, "10.0.0.1", true},
        {"10.0.0.1", {"for =203.0.113.9"}, "10.0.0.1", true},
        {"10.0.0.1", {"203.0.113.9"}, "10.0.0.1", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct forwarded_chain chain;
        forwarded_run(FORWARDED_RFC7239, &cases[i], &chain);
    }
}

static void test_forwarded_proto_and_host_come_from_the_member_of_the_client(void **state)
{
    (void)state;
    struct forwarded_chain chain;
    const struct forwarded_case c = {"10.0.0.1",
                                     {"for=1.1.1.1;proto=http;host=evil.example",
                                      "for=203.0.113.9;proto=https;host=\"shop.example:8443\"",
                                      "for=10.0.0.2;proto=http;host=inner"},
                                     "203.0.113.9, 10.0.0.2, 10.0.0.1",
                                     false};
    forwarded_run(FORWARDED_RFC7239, &c, &chain);
    assert_true(span_eq(chain.proto, SPAN("https")));
    assert_true(span_eq(chain.host, SPAN("shop.example:8443")));
}

static void test_forwarded_walk_ends_at_the_hop_limit(void **state)
{
    (void)state;
    for (unsigned members = FORWARDED_HOPS_MAX - 2; members < FORWARDED_HOPS_MAX + 20; members++) {
        struct buf line CLEANUP(buf_done);
        struct ip_address peer;
        struct forwarded_chain chain;
        buf_init(&line, 4096);
        for (unsigned i = 0; i < members; i++)
            assert_true(err_ok(buf_printf(&line, "%s10.1.0.%u", i == 0 ? "" : ", ", i)));
        assert_true(err_ok(ip_parse(SPAN("10.0.0.1"), &peer)));
        struct span value = buf_span(&line);
        forwarded_walk(&forwarded_proxies, &peer, FORWARDED_X_FORWARDED_FOR, &value, 1, &chain);
        bool is_over = members > FORWARDED_HOPS_MAX - 1;
        assert_int_equal(chain.hop_count, is_over ? FORWARDED_HOPS_MAX : members + 1);
        assert_int_equal(chain.is_malformed, is_over);
        unsigned first = is_over ? members - (FORWARDED_HOPS_MAX - 1) : 0;
        assert_int_equal(chain.hops[0].bytes[15], first);
    }
}

static struct span test_element(char room[1024], const struct forwarded_chain *chain,
                                struct forwarded_element element)
{
    char client[IP_TEXT_MAX];
    element.client = span_of(client, ip_format(&chain->hops[0], client));
    struct put w = put_into(room, 1024);
    forwarded_put_element(&w, chain, &element);
    assert_false(w.is_full);
    return span_of(room, (size_t)(w.at - room));
}

static void test_forwarded_is_rebuilt_from_verified_hops_only(void **state)
{
    (void)state;
    struct forwarded_chain chain;
    const struct forwarded_case c = {
        "10.0.0.1", {"1.1.1.1, 2001:db8::7"}, "2001:db8::7, 10.0.0.1", false};
    forwarded_run(FORWARDED_X_FORWARDED_FOR, &c, &chain);
    struct forwarded_element element = {.proto = SPAN("https"), .host = SPAN("a.example:8443")};
    char room[1024];
    struct span line = test_element(room, &chain, element);
    assert_true(span_eq(line, SPAN("for=\"[2001:db8::7]\", for=10.0.0.1;proto=https;"
                                   "host=\"a.example:8443\"")));
    /* What we write, we read. */
    struct forwarded_chain again;
    forwarded_walk(&forwarded_proxies, &chain.hops[1], FORWARDED_RFC7239, &line, 1, &again);
    assert_false(again.is_malformed);
    assert_true(ip_eq(&again.hops[0], &chain.hops[0]));
    element = (struct forwarded_element){.host = SPAN("a'b")};
    line = test_element(room, &chain, element);
    assert_true(span_eq(line, SPAN("for=\"[2001:db8::7]\", for=10.0.0.1")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forwarded_rightmost_untrusted_hop_is_the_client),
        cmocka_unit_test(test_forwarded_malformed_member_ends_the_walk),
        cmocka_unit_test(test_forwarded_rfc7239_elements_are_read),
        cmocka_unit_test(test_forwarded_proto_and_host_come_from_the_member_of_the_client),
        cmocka_unit_test(test_forwarded_walk_ends_at_the_hop_limit),
        cmocka_unit_test(test_forwarded_is_rebuilt_from_verified_hops_only),
    };
    return cmocka_run_group_tests(tests, forwarded_setup, NULL);
}
