/* scripted.c: see scripted.h.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/scripted.h"

#include <sys/socket.h>
#include <sys/un.h>

static void scripted_read(struct scripted *s, int fd)
{
    size_t len = 0;
    while (len + 1 < sizeof s->request && strstr(s->request, "\r\n\r\n") == NULL) {
        ssize_t got = read(fd, s->request + len, sizeof s->request - 1 - len);
        if (got <= 0)
            return;
        len += (size_t)got;
        s->request[len] = '\0';
    }
}

static void *scripted_run(void *arg)
{
    struct scripted *s = arg;
    int fd = accept(s->listener, NULL, NULL);
    if (fd < 0)
        return NULL;
    scripted_read(s, fd);
    size_t total = strlen(s->answer);
    for (size_t at = 0; at < total;) {
        size_t step = s->step_bytes == 0 || s->step_bytes > total - at ? total - at : s->step_bytes;
        ssize_t sent = send(fd, s->answer + at, step, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        at += (size_t)sent;
    }
    (void)close(fd);
    return NULL;
}

void scripted_begin(struct scripted *s, const char *answer, size_t step_bytes)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memset(s, 0, sizeof *s);
    s->answer = answer;
    s->step_bytes = step_bytes;
    scratch_make(&s->folder);
    (void)snprintf(s->path, sizeof s->path, "%s/s.sock", s->folder.path);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", s->path);
    s->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(s->listener >= 0);
    assert_int_equal(bind(s->listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(s->listener, 1), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, scripted_run, s), 0);
}

void scripted_end(struct scripted *s)
{
    /* A client that never came would be waited for without end. */
    (void)shutdown(s->listener, SHUT_RDWR);
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    assert_int_equal(close(s->listener), 0);
    scratch_remove(&s->folder);
}

void scripted_capture(struct scripted_output *o)
{
    memset(o, 0, sizeof *o);
    (void)fflush(stdout);
    for (int i = 0; i < 2; i++) {
        o->files[i] = tmpfile();
        assert_non_null(o->files[i]);
        o->saved[i] = dup(i + 1);
        assert_true(o->saved[i] >= 0);
        assert_int_equal(dup2(fileno(o->files[i]), i + 1), i + 1);
    }
}

void scripted_release(struct scripted_output *o)
{
    (void)fflush(stdout);
    (void)fflush(stderr);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dup2(o->saved[i], i + 1), i + 1);
        assert_int_equal(close(o->saved[i]), 0);
        ssize_t got = pread(fileno(o->files[i]), o->text[i], sizeof o->text[i] - 1, 0);
        assert_true(got >= 0);
        assert_int_equal(fclose(o->files[i]), 0);
    }
}
