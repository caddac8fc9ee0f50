/* cli_client.c: HTTP/1.1 over the control socket, blocking.
 *
 * Main thread of the command line.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/config.h"
#include "core/mem.h"
#include "core/part.h"
#include "core/sock_address.h"
#include "wire/http1.h"

#define CLI_CLIENT_DEFAULT_CONFIG "plimsoll.yaml"
#define CLI_CLIENT_DEFAULT_SOCKET "var/plimsoll.sock"
#define CLI_CLIENT_ANSWER_MAX     (64 * 1024 * 1024)
#define CLI_CLIENT_FIELDS_MAX     64

/* The socket's path from the configuration, copied; NULL without a valid one: *broken says why. */
static char *cli_client_configured(const struct part *const *parts, const char *path,
                                   struct fault *broken)
{
    const struct config_key *tables[PART_TABLES_MAX];
    struct config *config = NULL;
    char *found = NULL;
    struct config_report *report = MEM_NEW(struct config_report);
    (void)part_config_tables(parts, tables, PART_TABLES_MAX);
    if (err_ok(config_load_file(tables, path, &config, report))) {
        struct span socket = config_span(config_child(config_root(config), "admin"), "socket");
        found = socket.at == NULL ? NULL : mem_strdup(socket.at);
    } else if (report->count > 0) {
        *broken = report->faults[0];
    }
    config_unref(config);
    mem_free(report);
    return found;
}

/* The default socket of a process that was started with this configuration. A file that is broken
 * by now was not when the process read it, and "reload" has to reach the process to say so. */
static char *cli_client_beside(const char *path)
{
    const char *slash = path == NULL ? NULL : strrchr(path, '/');
    size_t folder_len = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    char *found = mem_alloc(size_add(folder_len, sizeof CLI_CLIENT_DEFAULT_SOCKET));
    if (folder_len > 0)
        memcpy(found, path, folder_len);
    memcpy(found + folder_len, CLI_CLIENT_DEFAULT_SOCKET, sizeof CLI_CLIENT_DEFAULT_SOCKET);
    return found;
}

static char *cli_client_socket(const struct part *const *parts,
                               const struct cli_client_where *where, struct fault *broken)
{
    if (where->socket_path != NULL)
        return mem_strdup(where->socket_path);
    const char *path = where->config_path;
    if (path == NULL && access(CLI_CLIENT_DEFAULT_CONFIG, R_OK) == 0)
        path = CLI_CLIENT_DEFAULT_CONFIG;
    char *configured = path == NULL ? NULL : cli_client_configured(parts, path, broken);
    return configured != NULL ? configured : cli_client_beside(path);
}

static err cli_client_connect(const char *path, int *out_fd, struct fault *why)
{
    struct sock_address address;
    char text[sizeof address.un.sun_path + 8];
    int length = snprintf(text, sizeof text, "unix:%s", path);
    if (length < 0 || (size_t)length >= sizeof text ||
        !err_ok(sock_address_parse(span_of(text, (size_t)length), &address)))
        return fault_set(why, ERR_IO, "%s is too long for a socket's path", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fault_errno(why, ERR_IO, "socket");
    if (connect(fd, &address.any, address.len) != 0) {
        err outcome =
            fault_errno(why, ERR_IO, "no Plimsoll answers on the control socket %s", path);
        (void)close(fd);
        return outcome;
    }
    *out_fd = fd;
    return OK;
}

static err cli_client_exchange(int fd, const char *method, const char *path, struct buf *raw,
                               struct fault *why)
{
    struct buf head CLEANUP(buf_done);
    buf_init(&head, 8192);
    TRY(buf_printf(&head,
                   "%s %s HTTP/1.1\r\nhost: control\r\ncontent-length: 0\r\n"
                   "connection: close\r\n\r\n",
                   method, path));
    if (write(fd, head.at, head.len) != (ssize_t)head.len)
        return fault_errno(why, ERR_IO, "write to the control socket");
    for (;;) {
        TRY(buf_reserve(raw, 16384));
        ssize_t got = read(fd, raw->at + raw->len, 16384);
        if (got == 0)
            return OK;
        if (got < 0 && errno != EINTR)
            return fault_errno(why, ERR_IO, "read from the control socket");
        raw->len += got > 0 ? (size_t)got : 0;
    }
}

static err cli_client_parse(const struct buf *raw, struct cli_client_answer *out, struct fault *why)
{
    struct http_field fields[CLI_CLIENT_FIELDS_MAX];
    struct http_response response = {
        .head = {.fields = fields, .field_max = CLI_CLIENT_FIELDS_MAX}};
    struct http1_limits limits = {.target_bytes = 8192,
                                  .head_bytes = 65536,
                                  .field_count = CLI_CLIENT_FIELDS_MAX,
                                  .trailer_bytes = 1024,
                                  .chunk_line_bytes = 256};
    struct http1_head_parser parser = {0};
    if (!err_ok(http1_parse_response(&parser, &limits, HTTP_GET, buf_span(raw), &response, why)))
        return fault_set(why, ERR_IO, "the control socket gave no HTTP answer");
    size_t len = raw->len - response.head.head_bytes;
    if (response.head.body == HTTP_BODY_LENGTH && len != response.head.content_length)
        return fault_set(why, ERR_IO, "the answer of the control socket was cut off");
    out->status = response.status;
    buf_init(&out->body, CLI_CLIENT_ANSWER_MAX);
    return buf_append(&out->body, raw->at + response.head.head_bytes, len);
}

err cli_client_call(const struct part *const *parts, const struct cli_client_where *where,
                    const char *method, const char *path, struct cli_client_answer *out,
                    struct fault *why)
{
    struct buf raw CLEANUP(buf_done);
    struct fault broken = {0};
    char *socket_path = cli_client_socket(parts, where, &broken);
    int fd = -1;
    buf_init(&raw, CLI_CLIENT_ANSWER_MAX);
    err outcome = cli_client_connect(socket_path, &fd, why);
    mem_free(socket_path);
    /* The default socket was tried because the file, which may name another, has errors. */
    if (!err_ok(outcome) && broken.text[0] != '\0')
        return fault_set(why, outcome.code,
                         "%s:%u:%u: %s\nplimsoll: so its control socket is not known, and none "
                         "answers at " CLI_CLIENT_DEFAULT_SOCKET "; give --socket PATH",
                         broken.file, broken.line, broken.column, broken.text);
    TRY(outcome);
    outcome = cli_client_exchange(fd, method, path, &raw, why);
    (void)close(fd);
    TRY(outcome);
    return cli_client_parse(&raw, out, why);
}
