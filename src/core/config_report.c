/* config_report.c: the errors of one load, in the order of the file.
 *
 * The one hard thing: checks do not run in file order (a missing key is known at the end of its
 * group, names between parts later still), so each fault is put where it belongs. Owned by the
 * caller of the load; one thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "core/config_priv.h"

static bool config_report_is_before(const struct config_place *place, const struct fault *other)
{
    return place->line != other->line ? place->line < other->line : place->column < other->column;
}

void config_report_add(struct config_report *report, const struct config_place *place,
                       const char *format, ...)
{
    must(report->count <= CONFIG_REPORT_MAX);
    unsigned at = report->count;
    while (at > 0 && config_report_is_before(place, &report->faults[at - 1]))
        at--;
    bool is_full = report->count == CONFIG_REPORT_MAX;
    report->has_more = report->has_more || is_full;
    if (at == CONFIG_REPORT_MAX)
        return;
    unsigned moved = report->count - at - (is_full ? 1 : 0);
    memmove(&report->faults[at + 1], &report->faults[at], moved * sizeof report->faults[0]);
    report->count += is_full ? 0 : 1;
    struct fault *fault = &report->faults[at];
    *fault = (struct fault){.code = ERR_CONFIG, .line = place->line, .column = place->column};
    (void)snprintf(fault->file, sizeof fault->file, "%s", place->file);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(fault->text, sizeof fault->text, format, args);
    va_end(args);
}

err config_report_write(const struct config_report *report, struct buf *out)
{
    for (unsigned i = 0; i < report->count; i++) {
        const struct fault *fault = &report->faults[i];
        TRY(buf_printf(out, "%s:", fault->file));
        if (fault->line > 0)
            TRY(buf_printf(out, "%u:%u:", fault->line, fault->column));
        TRY(buf_printf(out, " %s\n", fault->text));
    }
    if (report->has_more)
        TRY(buf_printf(out, "and more: these are the first %u\n", report->count));
    return OK;
}
