/* mailbox.c: a locked list and one wake-up per run of messages.
 *
 * The one hard thing: the lock is held only to link and to take the whole list, never over a
 * message's function. The wake-up is sent only when the list goes from empty to non-empty.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/mailbox.h"

#include "core/loop_priv.h"

void mailbox_post(struct loop *to, struct message *m)
{
    must(m->run != NULL);
    must(pthread_mutex_lock(&to->mailbox_lock) == 0);
    bool was_empty = list_is_empty(&to->mailbox);
    list_push_back(&to->mailbox, &m->node);
    must(pthread_mutex_unlock(&to->mailbox_lock) == 0);
    if (was_empty)
        must(uv_async_send(&to->async) == 0);
}

void mailbox_deliver(struct loop *l)
{
    struct list taken;
    list_init(&taken);
    must(pthread_mutex_lock(&l->mailbox_lock) == 0);
    list_take_all(&taken, &l->mailbox);
    must(pthread_mutex_unlock(&l->mailbox_lock) == 0);
    for (struct list *node = list_pop_front(&taken); node != NULL; node = list_pop_front(&taken)) {
        struct message *m = container_of(node, struct message, node);
        m->run(m);
    }
}
