/* rights.c: never serving as root.
 *
 * The one hard thing: dropping must be complete and checked: groups, then group, then user, and
 * afterwards the way back must be shut. Start of the process, one thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "operate/rights.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define RIGHTS_LOOKUP_BYTES 8192
#define RIGHTS_FOLDER_MODE  0750

err rights_find(const struct config_node *root, struct rights *out, struct fault *why)
{
    struct span user = config_span(root, "user");
    struct passwd entry, *found = NULL;
    char room[RIGHTS_LOOKUP_BYTES];
    *out = (struct rights){0};
    if (geteuid() != 0)
        return OK; /* an ordinary user cannot become another one, and need not */
    if (user.at == NULL)
        return fault_set(why, ERR_CONFIG,
                         "refusing to serve as root: set `user:` in the configuration, or give "
                         "--user NAME (for example www-data or nobody)");
    if (getpwnam_r(user.at, &entry, room, sizeof room, &found) != 0 || found == NULL)
        return fault_set(why, ERR_CONFIG, "user: there is no user \"%s\" on this machine", user.at);
    if (found->pw_uid == 0)
        return fault_set(why, ERR_CONFIG, "user: \"%s\" is root; name an ordinary user", user.at);
    out->drops = true;
    out->uid = found->pw_uid;
    out->gid = found->pw_gid;
    (void)snprintf(out->name, sizeof out->name, "%s", user.at);
    return OK;
}

static err rights_make_folder(const char *path, const struct rights *r, struct fault *why)
{
    struct stat seen;
    if (path[0] == '\0')
        return OK;
    if (stat(path, &seen) == 0)
        return S_ISDIR(seen.st_mode) ? OK : fault_set(why, ERR_IO, "%s is not a folder", path);
    if (mkdir(path, RIGHTS_FOLDER_MODE) != 0 && errno != EEXIST)
        return fault_errno(why, ERR_IO, "make the folder %s", path);
    if (r->drops && chown(path, r->uid, r->gid) != 0)
        return fault_errno(why, ERR_IO, "give the folder %s to %s", path, r->name);
    return OK;
}

/* Makes what is missing of a/b/c, one after the other. */
static err rights_make_path(struct span path, const struct rights *r, struct fault *why)
{
    char text[4096];
    if (path.len >= sizeof text)
        return fault_set(why, ERR_IO, "a folder's path is too long");
    for (size_t i = 1; i <= path.len; i++) {
        if (i < path.len && path.at[i] != '/')
            continue;
        memcpy(text, path.at, i);
        text[i] = '\0';
        TRY(rights_make_folder(text, r, why));
    }
    return OK;
}

static struct span rights_parent(struct span path)
{
    while (path.len > 0 && path.at[path.len - 1] != '/')
        path.len--;
    if (path.len > 1)
        path.len--;
    return path;
}

err rights_make_folders(const struct config_node *root, const struct rights *r, struct fault *why)
{
    struct span socket = config_span(config_child(root, "admin"), "socket");
    struct span log = config_span(config_child(root, "log"), "directory");
    if (socket.at != NULL)
        TRY(rights_make_path(rights_parent(socket), r, why));
    return log.at == NULL ? OK : rights_make_path(log, r, why);
}

err rights_give_socket(const struct config_node *root, const struct rights *r, struct fault *why)
{
    struct span socket = config_span(config_child(root, "admin"), "socket");
    if (r->drops && socket.at != NULL && chown(socket.at, r->uid, r->gid) != 0)
        return fault_errno(why, ERR_IO, "give the control socket to %s", r->name);
    return OK;
}

void rights_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* the soft limit serves too */
}

err rights_drop(const struct rights *r, struct fault *why)
{
    if (!r->drops)
        return OK;
    if (initgroups(r->name, r->gid) != 0 || setresgid(r->gid, r->gid, r->gid) != 0 ||
        setresuid(r->uid, r->uid, r->uid) != 0)
        return fault_errno(why, ERR_IO, "become user %s", r->name);
    if (setuid(0) == 0)
        return fault_set(why, ERR_IO, "become user %s: root could be taken back", r->name);
    return OK;
}
