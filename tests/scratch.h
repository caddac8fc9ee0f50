/* scratch.h: a folder for one test, and looks into it.
 *
 * Each function fails the test when the system does not do as asked.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "core/buf.h"

struct scratch {
    char path[64];
};

static inline void scratch_make(struct scratch *s)
{
    (void)snprintf(s->path, sizeof s->path, "/tmp/plimsoll-test-XXXXXX");
    assert_non_null(mkdtemp(s->path));
}

/* A path inside; valid until the next call. */
static inline const char *scratch_path(const struct scratch *s, const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", s->path, name);
    return path;
}

static inline void scratch_remove(struct scratch *s)
{
    DIR *dir = opendir(s->path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.')
            assert_int_equal(remove(scratch_path(s, entry->d_name)), 0);
    assert_int_equal(closedir(dir), 0);
    assert_int_equal(rmdir(s->path), 0);
}

static inline bool scratch_has(const struct scratch *s, const char *name)
{
    return access(scratch_path(s, name), F_OK) == 0;
}

static inline unsigned scratch_count(const struct scratch *s)
{
    unsigned count = 0;
    DIR *dir = opendir(s->path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    assert_int_equal(closedir(dir), 0);
    return count;
}

static inline void scratch_write(const struct scratch *s, const char *name, const char *text)
{
    int fd = open(scratch_path(s, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

/* A file of this size that holds nothing. */
static inline void scratch_size(const struct scratch *s, const char *name, long long size_bytes)
{
    scratch_write(s, name, "");
    assert_int_equal(truncate(scratch_path(s, name), size_bytes), 0);
}

/* Appends the descriptor's content from its start. */
static inline void scratch_read_fd(int fd, struct buf *out)
{
    char block[4096];
    off_t at = 0;
    for (ssize_t got; (got = pread(fd, block, sizeof block, at)) > 0; at += got)
        assert_true(err_ok(buf_append(out, block, (size_t)got)));
}

/* The file's content, NUL-terminated in the buf. */
static inline const char *scratch_read(const struct scratch *s, const char *name, struct buf *out)
{
    int fd = open(scratch_path(s, name), O_RDONLY);
    if (fd < 0)
        fail_msg("no file %s", name);
    buf_reset(out);
    scratch_read_fd(fd, out);
    assert_int_equal(close(fd), 0);
    assert_true(err_ok(buf_append(out, "", 1)));
    out->len--;
    return out->at;
}
