/* fuzz_record.c: any bytes in a record of any room.
 *
 * A record that has room says the same as json.h; one that has not is still one whole line.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "core/json.h"
#include "core/mem.h"
#include "core/record.h"

#define FUZZ_RECORD_ROOM (RECORD_MIN_BYTES + 6 * RECORD_STRING_MAX)

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* Quotes and braces match, no control bytes, the line feed last. */
static void fuzz_record_check(struct span line)
{
    bool in_string = false;
    size_t closed = 0;
    for (size_t i = 0; i + 1 < line.len; i++) {
        must((unsigned char)line.at[i] >= 0x20 &&
             (in_string || span_utf8_length(span_skip(line, i))));
        if (in_string && line.at[i] == '\\')
            i++;
        else if (line.at[i] == '"')
            in_string = !in_string;
        else if (!in_string)
            closed += line.at[i] == '}';
    }
    must(!in_string && closed == 1 && span_ends(line, SPAN("}\n")));
}

static struct span fuzz_record_make(char *room, size_t size, struct span value)
{
    struct record r;
    record_begin(&r, room, size, SPAN(""));
    record_str(&r, RECORD_KEY("s"), value);
    size_t used = record_end(&r);
    must(used <= size);
    return span_of(room, used);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size < 1)
        return 0;
    struct span value = span_of((const char *)data + 1, size - 1);
    size_t tight = RECORD_MIN_BYTES + data[0];
    char *room = mem_alloc_raw(tight);
    fuzz_record_check(fuzz_record_make(room, tight, value));
    mem_free(room);
    if (value.len > RECORD_STRING_MAX)
        return 0;
    room = mem_alloc_raw(FUZZ_RECORD_ROOM);
    struct span line = fuzz_record_make(room, FUZZ_RECORD_ROOM, value);
    fuzz_record_check(line);
    struct buf expected;
    buf_init(&expected, FUZZ_RECORD_ROOM);
    must(err_ok(buf_add(&expected, SPAN("{\"time\":\"\",\"s\":\""))));
    must(err_ok(json_escape(&expected, value)));
    must(err_ok(buf_add(&expected, SPAN("\"}\n"))));
    must(span_eq(line, buf_span(&expected)));
    buf_done(&expected);
    mem_free(room);
    return 0;
}
