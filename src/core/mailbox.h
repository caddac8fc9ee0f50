/* mailbox.h: the only way to reach what belongs to another thread's loop.
 *
 * A message is moved: from mailbox_post until its run function, which executes on the receiving
 * loop's thread, it belongs to the mailbox. Messages of one sender arrive in order.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "core/list.h"

struct loop;

struct message {
    struct list node;
    void (*run)(struct message *m); /* frees or reuses the message */
};

/* Any thread; never blocks for longer than a list insertion of another sender. */
void mailbox_post(struct loop *to, struct message *m);
