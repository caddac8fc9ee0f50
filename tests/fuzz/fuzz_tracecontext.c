/* fuzz_tracecontext.c: any traceparent and tracestate; what was read is written and read again.
 *
 * The first line is the traceparent, the others are tracestate lines.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "wire/tracecontext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tracecontext read;
    struct tracecontext again;
    char text[TRACECONTEXT_TEXT_BYTES];
    struct tracecontext_state state = {0};
    struct span rest = span_of((const char *)data, size);
    struct span traceparent = span_cut(&rest, '\n');
    if (err_ok(tracecontext_parse(traceparent, &read))) {
        tracecontext_format(&read, text);
        must(err_ok(tracecontext_parse(span_of(text, sizeof text), &again)));
        must(memcmp(&read, &again, sizeof read) == 0);
        must(span_eq(span_of(text + 3, 49), span_of(traceparent.at + 3, 49)));
    }
    while (rest.at != NULL)
        if (!err_ok(tracecontext_state_add(&state, span_cut(&rest, '\n'))))
            return 0;
    must(state.members <= TRACECONTEXT_STATE_MEMBERS_MAX);
    must(state.bytes <= TRACECONTEXT_STATE_BYTES_MAX);
    return 0;
}
