/* rights.h: which user we run as, and the folders that user needs.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <sys/types.h>

#include "core/config.h"

struct rights {
    bool drops; /* we are root and become uid and gid */
    uid_t uid;
    gid_t gid;
    char name[40];
};

/* Whom the configuration wants. ERR_CONFIG when we are root and no other user is named, or the
 * user does not exist. Start of the process. */
err rights_find(const struct config_node *root, struct rights *out, struct fault *why);
/* Makes the folders of the control socket and the log, owned by that user. ERR_IO. */
err rights_make_folders(const struct config_node *root, const struct rights *r, struct fault *why);
/* Gives the bound control socket to that user, who may then use it as root may. ERR_IO. */
err rights_give_socket(const struct config_node *root, const struct rights *r, struct fault *why);
/* Raises the soft limit of descriptors, which is made for select(2), to the hard one. */
void rights_raise_descriptors(void);
/* Becomes the user, for good. ERR_IO. */
err rights_drop(const struct rights *r, struct fault *why);
