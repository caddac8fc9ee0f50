/* test_ip.c: addresses and networks as text, and the key of one customer.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <arpa/inet.h>

#include "core/random.h"
#include "wire/ip.h"

static void test_ip_text_is_written_in_its_canonical_form(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"192.0.2.10", "192.0.2.10"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
        {"fe80::1:2:3:4", "fe80::1:2:3:4"},
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
        {"1:2:3:4:5:6:77.77.88.88", "1:2:3:4:5:6:4d4d:5858"},
        {"0:0:1:0:0:0:0:0", "0:0:1::"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ip_address ip;
        char out[IP_TEXT_MAX];
        assert_true(err_ok(ip_parse(span_from(cases[i][0]), &ip)));
        assert_int_equal(ip_format(&ip, out), strlen(cases[i][1]));
        assert_string_equal(out, cases[i][1]);
    }
}

static void test_ip_refuses_what_readers_could_take_differently(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.",
        ".1.2.3",
        "1..2.3",
        "256.1.1.1",
        "01.2.3.4",
        "1.2.3.04",
        "0x1.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4",
        "+1.2.3.4",
        "1.2.3.-4",
        "1.2.3.4:80",
        ":",
        ":::",
        "1:",
        ":1",
        "1::2::3",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "12345::",
        "g::",
        "1:2:3:4:5:6:7:8::",
        "::1:2:3:4:5:6:7:8",
        "1::2:3:4:5:6:7:8",
        "[::1]",
        "fe80::1%lo",
        "1.2.3.4::",
        "::1.2.3",
        "::1.2.3.4:5",
        "::256.1.1.1",
        "1:2:3:4:5:6:7:1.2.3.4",
        ":1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
    };
    struct ip_address ip;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (err_ok(ip_parse(span_from(cases[i]), &ip)))
            fail_msg("accepted \"%s\"", cases[i]);
    assert_false(err_ok(ip_parse(span_of("1.2.3.4\0", 8), &ip)));
    assert_false(err_ok(ip_parse(span_of(NULL, 0), &ip)));
}

/* glibc's writer follows RFC 5952 but for IPv4-compatible addresses, which no peer has. */
static void test_ip_text_agrees_with_the_system_on_random_addresses(void **state)
{
    (void)state;
    struct random random;
    random_init_seeded(&random, 7);
    for (int i = 0; i < 20000; i++) {
        struct ip_address ip;
        struct ip_address again;
        char ours[IP_TEXT_MAX];
        char theirs[INET6_ADDRSTRLEN];
        random_bytes(&random, ip.bytes, sizeof ip.bytes);
        uint64_t zeroed = random_u64(&random);
        for (unsigned g = 0; g < 8; g++)
            if (zeroed >> g & 1)
                ip.bytes[2 * g] = ip.bytes[2 * g + 1] = 0;
        ip.bytes[0] |= 1;
        (void)ip_format(&ip, ours);
        assert_non_null(inet_ntop(AF_INET6, ip.bytes, theirs, sizeof theirs));
        assert_string_equal(ours, theirs);
        assert_true(err_ok(ip_parse(span_from(ours), &again)));
        assert_memory_equal(&again, &ip, sizeof ip);
    }
    random_done(&random);
}

static void test_ip_accepts_exactly_what_the_system_accepts(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789abF:.:.::";
    struct random random;
    random_init_seeded(&random, 11);
    for (int i = 0; i < 200000; i++) {
        char text[48];
        struct ip_address ours;
        struct ip_address theirs = {{[10] = 0xff, [11] = 0xff}};
        size_t len = 1 + (size_t)random_below(&random, 20);
        for (size_t c = 0; c < len; c++)
            text[c] = alphabet[random_below(&random, sizeof alphabet - 1)];
        text[len] = '\0';
        bool is_v6 = memchr(text, ':', len) != NULL;
        bool theirs_ok = is_v6 ? inet_pton(AF_INET6, text, theirs.bytes) == 1
                               : inet_pton(AF_INET, text, theirs.bytes + 12) == 1;
        bool ours_ok = err_ok(ip_parse(span_of(text, len), &ours));
        if (ours_ok != theirs_ok)
            fail_msg("\"%s\": we %d, the system %d", text, ours_ok, theirs_ok);
        if (ours_ok)
            assert_memory_equal(&ours, &theirs, sizeof ours);
    }
    random_done(&random);
}

static void test_ip_socket_addresses_keep_address_and_port(void **state)
{
    (void)state;
    static const char *const cases[] = {"192.0.2.1", "2001:db8::5"};
    struct ip_address ip;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ip_address again;
        struct sockaddr_storage storage;
        uint16_t port = 0;
        assert_true(err_ok(ip_parse(span_from(cases[i]), &ip)));
        socklen_t len = ip_to_sockaddr(&ip, 8443, &storage);
        assert_int_equal(len, i == 0 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        assert_int_equal(storage.ss_family, i == 0 ? AF_INET : AF_INET6);
        assert_true(err_ok(ip_from_sockaddr((struct sockaddr *)&storage, &again, &port)));
        assert_true(ip_eq(&ip, &again));
        assert_int_equal(port, 8443);
    }
    struct sockaddr other = {.sa_family = AF_UNIX};
    assert_int_equal(ip_from_sockaddr(&other, &ip, NULL).code, ERR_INVALID);
}

static void test_ip_network_holds_exactly_its_block(void **state)
{
    (void)state;
    static const struct {
        const char *network, *address;
        bool is_in;
    } cases[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "9.255.255.255", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "10.0.0.1", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"::1", "::1", true},
        {"::1/128", "::2", false},
        {"::ffff:10.0.0.0/104", "10.9.9.9", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ip_network network;
        struct ip_address ip;
        assert_true(err_ok(ip_network_parse(span_from(cases[i].network), &network, NULL)));
        assert_true(err_ok(ip_parse(span_from(cases[i].address), &ip)));
        if (ip_network_has(&network, &ip) != cases[i].is_in)
            fail_msg("%s in %s", cases[i].address, cases[i].network);
    }
}

static void test_ip_network_errors_tell_what_is_wrong(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"10.0.0.0/33", "up to 32"},
        {"10.0.0.0/", "up to 32"},
        {"10.0.0.0/08", "up to 32"},
        {"::/129", "up to 128"},
        {"::/-1", "up to 128"},
        {"10.0.0/8", "is not an IP address"},
        {"localhost", "is not an IP address"},
        {"", "is not an IP address"},
        {"10.0.0.1/8", "the network is 10.0.0.0/8"},
        {"2001:db8::1/64", "the network is 2001:db8::/64"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ip_network network;
        struct fault why = {0};
        err outcome = ip_network_parse(span_from(cases[i][0]), &network, &why);
        assert_int_equal(outcome.code, ERR_INVALID);
        if (strstr(why.text, cases[i][1]) == NULL)
            fail_msg("\"%s\": %s", cases[i][0], why.text);
    }
}

static void test_ip_customer_key_joins_a_v6_host_and_keeps_v4_apart(void **state)
{
    (void)state;
    struct ip_address a, b, key_a, key_b;
    char text[IP_TEXT_MAX];
    assert_true(err_ok(ip_parse(SPAN("2001:db8:1:2:3:4:5:6"), &a)));
    assert_true(err_ok(ip_parse(SPAN("2001:db8:1:2:ffff::9"), &b)));
    key_a = ip_prefix64(&a);
    key_b = ip_prefix64(&b);
    assert_true(ip_eq(&key_a, &key_b));
    (void)ip_format(&key_a, text);
    assert_string_equal(text, "2001:db8:1:2::");
    assert_true(err_ok(ip_parse(SPAN("192.0.2.1"), &a)));
    assert_true(err_ok(ip_parse(SPAN("192.0.2.2"), &b)));
    key_a = ip_prefix64(&a);
    key_b = ip_prefix64(&b);
    assert_false(ip_eq(&key_a, &key_b));
    assert_true(ip_eq(&key_a, &a));
}

static void test_ip_loopback_is_known_in_both_families(void **state)
{
    (void)state;
    struct ip_address ip;
    assert_true(err_ok(ip_parse(SPAN("127.8.9.1"), &ip)));
    assert_true(ip_is_loopback(&ip) && ip_is_v4(&ip));
    assert_true(err_ok(ip_parse(SPAN("::1"), &ip)));
    assert_true(ip_is_loopback(&ip) && !ip_is_v4(&ip));
    assert_true(err_ok(ip_parse(SPAN("128.0.0.1"), &ip)));
    assert_false(ip_is_loopback(&ip));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ip_text_is_written_in_its_canonical_form),
        cmocka_unit_test(test_ip_refuses_what_readers_could_take_differently),
        cmocka_unit_test(test_ip_text_agrees_with_the_system_on_random_addresses),
        cmocka_unit_test(test_ip_accepts_exactly_what_the_system_accepts),
        cmocka_unit_test(test_ip_socket_addresses_keep_address_and_port),
        cmocka_unit_test(test_ip_network_holds_exactly_its_block),
        cmocka_unit_test(test_ip_network_errors_tell_what_is_wrong),
        cmocka_unit_test(test_ip_customer_key_joins_a_v6_host_and_keeps_v4_apart),
        cmocka_unit_test(test_ip_loopback_is_known_in_both_families),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
