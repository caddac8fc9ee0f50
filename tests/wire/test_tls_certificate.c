/* test_tls_certificate.c: what is read from PEM files, and what a person is told about bad ones.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include "core/fault_point.h"
#include "wire/tls_fixture.h"
#include "wire/tls_priv.h"

static struct tls_fixture certificate_files;

static int certificate_setup(void **state)
{
    (void)state;
    tls_fixture_init(&certificate_files);
    return 0;
}

static int certificate_teardown(void **state)
{
    (void)state;
    tls_fixture_done(&certificate_files);
    return 0;
}

static err certificate_load(const char *certificate, const char *key, bool accepts_readable_keys,
                            struct fault *why)
{
    struct tls_certificate loaded;
    struct arena texts;
    struct tls_context_source source = {certificate, key};
    arena_init(&texts, NULL, 1 << 20);
    err outcome = tls_certificate_load(&source, accepts_readable_keys, &texts, &loaded, why);
    tls_certificate_done(&loaded);
    arena_done(&texts);
    return outcome;
}

static void certificate_expect(const char *certificate, const char *key, const char *file,
                               const char *text)
{
    struct fault why = {0};
    assert_int_equal(certificate_load(certificate, key, false, &why).code, ERR_CONFIG);
    assert_int_equal(why.code, ERR_CONFIG);
    assert_string_equal(why.file, file);
    if (strstr(why.text, text) == NULL)
        fail_msg("%s: %s", why.file, why.text);
    assert_int_equal(ERR_peek_error(), 0);
}

static void test_tls_certificate_tells_its_names_and_dates(void **state)
{
    (void)state;
    struct tls_certificate c;
    struct arena texts;
    struct tls_fixture_paths paths = tls_fixture_make(
        &certificate_files,
        &(struct tls_fixture_spec){.stem = "full",
                                   .common_name = "ignored.example",
                                   .alt_names = "DNS:Shop.Example,DNS:*.shop.example,IP:192.0.2.1,"
                                                "IP:2001:db8::1,email:a@b.example",
                                   .rsa_bits = 2048,
                                   .has_chain = true});
    arena_init(&texts, NULL, 1 << 20);
    struct tls_context_source source = {paths.certificate, paths.key};
    struct fault why;
    assert_true(err_ok(tls_certificate_load(&source, false, &texts, &c, &why)));
    static const char *const names[] = {"shop.example", "*.shop.example", "192.0.2.1",
                                        "2001:db8::1"};
    assert_int_equal(c.about.name_count, COUNT_OF(names));
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_true(span_eq(c.about.names[i], span_from(names[i])));
    assert_string_equal(c.about.path, paths.certificate);
    assert_true(span_eq(c.about.subject, SPAN("CN=ignored.example")));
    assert_true(span_starts(c.about.issuer, SPAN("CN=/tmp/")));
    assert_true(span_eq(c.about.key_type, SPAN("RSA 2048")));
    assert_int_equal(c.about.fingerprint.len, 64);
    assert_int_equal(c.about.chain_length, 2);
    assert_false(c.about.is_chain_broken);
    uint64_t now_s = clock_wall_ns(&clock_system) / 1000000000u;
    assert_in_range(c.about.not_before_s, now_s - 120, now_s - 30);
    assert_in_range(c.about.not_after_s, now_s + 30 * 86400 - 60, now_s + 30 * 86400 + 60);
    tls_certificate_done(&c);
    tls_certificate_done(&c);
    arena_done(&texts);
}

static void test_tls_certificate_without_alt_names_has_its_common_name(void **state)
{
    (void)state;
    struct tls_certificate c;
    struct arena texts;
    struct tls_fixture_paths paths = tls_fixture_make(
        &certificate_files,
        &(struct tls_fixture_spec){.stem = "common", .common_name = "Old.Example"});
    arena_init(&texts, NULL, 1 << 20);
    struct tls_context_source source = {paths.certificate, paths.key};
    assert_true(err_ok(tls_certificate_load(&source, false, &texts, &c, NULL)));
    assert_int_equal(c.about.name_count, 1);
    assert_true(span_eq(c.about.names[0], SPAN("old.example")));
    assert_true(span_eq(c.about.key_type, SPAN("EC prime256v1")));
    assert_int_equal(c.about.chain_length, 1);
    tls_certificate_done(&c);
    arena_done(&texts);
}

static void certificate_append(const char *from, const char *to)
{
    char bytes[8192];
    FILE *in = fopen(from, "r");
    FILE *out = fopen(to, "a");
    assert_non_null(in);
    assert_non_null(out);
    size_t len = fread(bytes, 1, sizeof bytes, in);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    (void)fclose(in);
    assert_int_equal(fclose(out), 0);
}

static void test_tls_certificate_chain_with_a_gap_is_flagged(void **state)
{
    (void)state;
    struct tls_certificate c;
    struct arena texts;
    struct tls_fixture_paths a =
        tls_fixture_make(&certificate_files, &(struct tls_fixture_spec){.stem = "gap"});
    struct tls_fixture_paths b =
        tls_fixture_make(&certificate_files, &(struct tls_fixture_spec){.stem = "stranger"});
    certificate_append(b.certificate, a.certificate);
    certificate_append(certificate_files.ca_path, a.certificate);
    arena_init(&texts, NULL, 1 << 20);
    struct tls_context_source source = {a.certificate, a.key};
    assert_true(err_ok(tls_certificate_load(&source, false, &texts, &c, NULL)));
    assert_int_equal(c.about.chain_length, 3);
    assert_true(c.about.is_chain_broken);
    tls_certificate_done(&c);
    arena_done(&texts);
}

static void certificate_copy(const char *from, const char *to, size_t drop_at)
{

    char bytes[8192];
    FILE *in = fopen(from, "r");
    assert_non_null(in);
    size_t len = fread(bytes, 1, sizeof bytes - 1, in);
    (void)fclose(in);
    bytes[len] = '\0';
    if (drop_at < len)
        memmove(bytes + drop_at, bytes + drop_at + 1, len - drop_at);
    tls_fixture_write(to, bytes);
}

static void test_tls_certificate_faults_name_the_file_and_the_reason(void **state)
{
    (void)state;
    struct tls_fixture_paths a =
        tls_fixture_make(&certificate_files, &(struct tls_fixture_spec){.stem = "a"});
    struct tls_fixture_paths b =
        tls_fixture_make(&certificate_files, &(struct tls_fixture_spec){.stem = "b"});
    char other[256];
    (void)snprintf(other, sizeof other, "%s/other", certificate_files.dir);
    certificate_expect("/nowhere/a.crt", a.key, "/nowhere/a.crt",
                       "cannot be opened: No such file or directory");
    certificate_expect(a.certificate, "/nowhere/a.key", "/nowhere/a.key", "No such file");
    certificate_expect(certificate_files.dir, a.key, certificate_files.dir,
                       "is not a regular file");
    certificate_expect(a.certificate, b.key, b.key,
                       "the private key does not belong to the first certificate of");
    certificate_expect(a.key, a.key, a.key, "holds no certificate in PEM form");
    certificate_copy(a.certificate, other, SIZE_MAX); /* closed to others */
    certificate_expect(a.certificate, other, other, "holds no private key in PEM form");
    tls_fixture_write(other, "");
    certificate_expect(other, a.key, other, "holds no certificate in PEM form");
    certificate_expect(a.certificate, other, other, "holds no private key in PEM form");
    certificate_copy(a.certificate, other, 200);
    certificate_expect(other, a.key, other, "holds a damaged certificate");
    certificate_copy(a.key, other, 60);
    certificate_expect(a.certificate, other, other, "holds a damaged private key");
}

static void test_tls_certificate_encrypted_key_is_told_apart(void **state)
{
    (void)state;
    struct tls_fixture_paths a =
        tls_fixture_make(&certificate_files, &(struct tls_fixture_spec){.stem = "plain"});
    FILE *in = fopen(a.key, "r");
    EVP_PKEY *key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
    (void)fclose(in);
    char other[256];
    (void)snprintf(other, sizeof other, "%s/locked.key", certificate_files.dir);
    FILE *out = tls_fixture_open(other, 0600);
    must(PEM_write_PKCS8PrivateKey(out, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL) == 1);
    (void)fclose(out);
    EVP_PKEY_free(key);
    certificate_expect(a.certificate, other, other, "the private key is encrypted");
}

static void test_tls_certificate_key_open_to_others_is_refused(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        bool is_fine;
    } cases[] = {{0600, true},  {0400, true},  {0640, true},  {0660, true},
                 {0644, false}, {0604, false}, {0602, false}, {0666, false}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tls_fixture_paths a =
            tls_fixture_make(&certificate_files,
                             &(struct tls_fixture_spec){.stem = "mode", .key_mode = cases[i].mode});
        struct fault why = {0};
        assert_int_equal(err_ok(certificate_load(a.certificate, a.key, false, &why)),
                         cases[i].is_fine);
        if (!cases[i].is_fine) {
            assert_string_equal(why.file, a.key);
            assert_non_null(strstr(why.text, "open to every user (mode 06"));
        }
        assert_true(err_ok(certificate_load(a.certificate, a.key, true, &why)));
    }
}

static void test_tls_certificate_file_has_a_size_limit(void **state)
{
    (void)state;
    char big[256];
    struct tls_fixture_paths a =
        tls_fixture_make(&certificate_files, &(struct tls_fixture_spec){.stem = "size"});
    (void)snprintf(big, sizeof big, "%s/big", certificate_files.dir);
    certificate_copy(a.certificate, big, SIZE_MAX);
    assert_int_equal(truncate(big, 1024 * 1024), 0);
    struct fault why = {0};
    assert_true(err_ok(certificate_load(big, a.key, false, &why)));
    assert_int_equal(truncate(big, 1024 * 1024 + 1), 0);
    certificate_expect(big, a.key, big, "at most 1 MiB");
}

static void test_tls_certificate_read_failures_are_faults(void **state)
{
    (void)state;
    struct tls_fixture_paths a =
        tls_fixture_make(&certificate_files, &(struct tls_fixture_spec){.stem = "fault"});
    for (unsigned nth = 1;; nth++) {
        struct fault why = {0};
        fault_point_arm("tls.read", nth, false);
        err outcome = certificate_load(a.certificate, a.key, false, &why);
        unsigned fired = fault_point_fired();
        fault_point_disarm();
        if (fired == 0) {
            assert_true(err_ok(outcome));
            assert_int_equal(nth, 5); /* two reads a file, the second of them empty */
            return;
        }
        assert_int_equal(outcome.code, ERR_CONFIG);
        assert_string_equal(why.file, nth <= 2 ? a.certificate : a.key);
    }
}

static void test_tls_certificate_damage_anywhere_is_an_error_and_no_crash(void **state)
{
    (void)state;
    char other[256];
    struct tls_fixture_paths a = tls_fixture_make(
        &certificate_files, &(struct tls_fixture_spec){.stem = "whole", .has_chain = true});
    (void)snprintf(other, sizeof other, "%s/damaged", certificate_files.dir);
    for (size_t at = 0; at < 1000; at += 7) {
        struct fault why = {0};
        certificate_copy(a.certificate, other, at);
        err outcome = certificate_load(other, a.key, false, &why);
        /* A byte of white space or between the blocks may be lost without harm. */
        assert_true(err_ok(outcome) || (err_is(outcome, ERR_CONFIG) && why.text[0] != '\0'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls_certificate_tells_its_names_and_dates),
        cmocka_unit_test(test_tls_certificate_without_alt_names_has_its_common_name),
        cmocka_unit_test(test_tls_certificate_chain_with_a_gap_is_flagged),
        cmocka_unit_test(test_tls_certificate_faults_name_the_file_and_the_reason),
        cmocka_unit_test(test_tls_certificate_encrypted_key_is_told_apart),
        cmocka_unit_test(test_tls_certificate_key_open_to_others_is_refused),
        cmocka_unit_test(test_tls_certificate_file_has_a_size_limit),
        cmocka_unit_test(test_tls_certificate_read_failures_are_faults),
        cmocka_unit_test(test_tls_certificate_damage_anywhere_is_an_error_and_no_crash),
    };
    return cmocka_run_group_tests(tests, certificate_setup, certificate_teardown);
}
