/* fuzz_tls.c: whatever a peer sends, a session answers with data, an error or silence.
 *
 * The first byte chooses the depth: raw bytes; the content of one handshake record; changes of a
 * real client's bytes; plaintext and chunk sizes on an open connection, where what goes in must
 * come out.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/tls_fixture.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__asan_default_options(void);

/* OpenSSL allocates much; a full stack for each block makes a run thirty times slower. */
const char *__asan_default_options(void)
{
    return "malloc_context_size=2:quarantine_size_mb=16";
}

static struct tls_context *fuzz_tls_server;
static struct tls_context *fuzz_tls_client;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    struct tls_fixture files;
    struct tls_tickets *tickets;
    tls_fixture_init(&files);
    struct tls_fixture_paths paths = tls_fixture_make(
        &files,
        &(struct tls_fixture_spec){.stem = "fuzz", .alt_names = "DNS:a.example,DNS:*.a.example"});
    must(err_ok(tls_tickets_new(&clock_system, &tickets)));
    fuzz_tls_server = tls_fixture_server(&paths, tickets);
    fuzz_tls_client = tls_fixture_client(&files);
    tls_tickets_unref(tickets);
    tls_fixture_done(&files);
    return 0;
}

/* Drains plaintext and output, as an owner would. */
static void fuzz_tls_drain(struct tls_session *s)
{
    char out[512];
    size_t got;
    (void)tls_fixture_read_all(s, out, sizeof out, &got).code;
    must(err_ok(tls_session_settle(s)));
    tls_session_output_sent(s, tls_session_output(s).len);
    must((tls_session_fault(s) != NULL) == err_is(tls_session_read(s, out, 1, &got), ERR_TLS));
}

static void fuzz_tls_feed(struct tls_session *s, struct span bytes, size_t step)
{
    while (bytes.len > 0) {
        size_t part = bytes.len < step ? bytes.len : step;
        if (!err_ok(tls_session_feed(s, span_of(bytes.at, part))))
            break;
        fuzz_tls_drain(s);
        bytes = span_skip(bytes, part);
    }
    fuzz_tls_drain(s);
}

static void fuzz_tls_raw(struct span bytes, bool is_record)
{
    struct tls_session *s;
    struct tls_session_options options = {.context = fuzz_tls_server};
    must(err_ok(tls_session_new(&options, &s)));
    if (is_record && bytes.len <= 16384) {
        char header[5] = {0x16, 3, 1, (char)(bytes.len >> 8), (char)bytes.len};
        fuzz_tls_feed(s, span_of(header, sizeof header), 5);
    }
    fuzz_tls_feed(s, bytes, is_record ? 16384 : 100);
    tls_session_free(s);
}

/* Each input byte that is not zero changes the byte of the client at its place. */
static void fuzz_tls_changed(struct span changes)
{
    struct tls_fixture_pair pair;
    size_t at = 0;
    tls_fixture_pair_init(&pair, fuzz_tls_client, fuzz_tls_server, "a.example", NULL);
    for (int turn = 0; turn < 4; turn++) {
        struct buf out = {0};
        tls_session_output_take(pair.client, &out);
        for (size_t i = 0; i < out.len && at < changes.len; i++, at++)
            out.at[i] = (char)(out.at[i] ^ changes.at[at]);
        err outcome = tls_session_feed(pair.server, buf_span(&out));
        if (err_ok(outcome))
            outcome = tls_session_settle(pair.server);
        buf_done(&out);
        if (!err_ok(outcome))
            break;
        (void)tls_fixture_move(pair.server, pair.client, 4096).code;
    }
    tls_fixture_pair_done(&pair);
}

static void fuzz_tls_echo(struct span plain)
{
    struct tls_fixture_pair pair;
    tls_fixture_pair_init(&pair, fuzz_tls_client, fuzz_tls_server, "b.a.example", NULL);
    must(err_ok(tls_fixture_pump(pair.client, pair.server, 4096)));
    while (plain.len > 1) {
        char heard[512];
        size_t taken, got;
        size_t head = (unsigned char)plain.at[0] % plain.len;
        /* iovec has no const form; write does not write through it. */
        char *bytes = mem_alloc_raw(plain.len);
        memcpy(bytes, plain.at, plain.len);
        struct iovec pieces[] = {{bytes, head},
                                 {bytes + head, plain.len < 400 ? plain.len - head : 0}};
        must(err_ok(tls_session_write(pair.client, pieces, 2, &taken)));
        must(err_ok(tls_fixture_move(pair.client, pair.server, 1 + head % 97)));
        must(err_is(tls_fixture_read_all(pair.server, heard, sizeof heard, &got), ERR_AGAIN));
        must(got == taken && memcmp(heard, bytes, got) == 0);
        mem_free(bytes);
        plain = span_skip(plain, taken < plain.len ? taken + 1 : plain.len);
    }
    tls_session_close(pair.client);
    must(err_ok(tls_fixture_pump(pair.client, pair.server, 10)));
    tls_fixture_pair_done(&pair);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span bytes = span_of((const char *)data + 1, size - 1);
    switch (data[0] & 3) {
    case 0:
        fuzz_tls_raw(bytes, false);
        break;
    case 1:
        fuzz_tls_raw(bytes, true);
        break;
    case 2:
        fuzz_tls_changed(bytes);
        break;
    case 3:
        fuzz_tls_echo(bytes.len > 400 ? span_of(bytes.at, 400) : bytes);
        break;
    }
    return 0;
}
