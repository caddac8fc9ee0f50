/* part.c: walks the parts, forward to start and backward to stop.
 *
 * The one hard thing: a part that failed to start leaves the ones before it running; the walk back
 * covers every part, so each done must accept a part that was never begun. Main thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/part.h"

#include "core/config.h"
#include "core/metric.h"

static unsigned part_count(const struct node *n)
{
    unsigned count = 0;
    while (n->parts[count] != NULL)
        count++;
    return count;
}

err part_init_all(struct node *n, struct fault *why)
{
    for (unsigned i = 0; n->parts[i] != NULL; i++)
        for (unsigned k = 0; n->parts[i]->metrics != NULL && n->parts[i]->metrics[k] != NULL; k++)
            metric_register(n->metrics, n->parts[i]->metrics[k]);
    for (unsigned i = 0; n->parts[i] != NULL; i++)
        if (n->parts[i]->init != NULL)
            TRY(n->parts[i]->init(n, why));
    return OK;
}

err part_start_all(struct node *n, struct fault *why)
{
    for (unsigned i = 0; n->parts[i] != NULL; i++)
        if (n->parts[i]->start != NULL)
            TRY(n->parts[i]->start(n, why));
    return OK;
}

void part_drain_all(struct node *n)
{
    n->is_draining = true;
    for (unsigned i = 0; n->parts[i] != NULL; i++)
        if (n->parts[i]->drain != NULL)
            n->parts[i]->drain(n);
}

bool part_all_idle(struct node *n)
{
    for (unsigned i = 0; n->parts[i] != NULL; i++)
        if (n->parts[i]->is_idle != NULL && !n->parts[i]->is_idle(n))
            return false;
    return true;
}

void part_stop_all(struct node *n)
{
    for (unsigned i = part_count(n); i > 0; i--)
        if (n->parts[i - 1]->stop != NULL)
            n->parts[i - 1]->stop(n);
}

void part_done_all(struct node *n)
{
    for (unsigned i = part_count(n); i > 0; i--)
        if (n->parts[i - 1]->done != NULL)
            n->parts[i - 1]->done(n);
}

static void part_discard_first(struct node *n, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (n->parts[i]->discard != NULL)
            n->parts[i]->discard(n);
}

err part_reload_all(struct node *n, struct config *next, struct config_report *report)
{
    for (unsigned i = 0; n->parts[i] != NULL; i++) {
        if (n->parts[i]->prepare == NULL)
            continue;
        err outcome = n->parts[i]->prepare(n, next, report);
        if (!err_ok(outcome)) {
            part_discard_first(n, i);
            return outcome;
        }
    }
    config_unref(n->config);
    n->config = config_ref(next);
    for (unsigned i = 0; n->parts[i] != NULL; i++)
        if (n->parts[i]->commit != NULL)
            n->parts[i]->commit(n);
    return OK;
}

unsigned part_config_tables(const struct part *const *parts, const struct config_key **tables,
                            unsigned max)
{
    unsigned count = 0;
    for (unsigned i = 0; parts[i] != NULL; i++) {
        if (parts[i]->config == NULL)
            continue;
        must(count + 1 < max);
        tables[count++] = parts[i]->config;
    }
    tables[count] = NULL;
    return count;
}
