/* target.c: the counters and times of one target.
 *
 * The one hard thing is that nothing here is a state machine: each source writes its own field,
 * and the state is what the fields say now. So ejections and pauses end by themselves, and a drain
 * survives whatever the checks find meanwhile. Fields are independent, so their order in memory
 * does not matter and all accesses are relaxed.
 *
 * Owned by its references; any thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "egress/target.h"

#include "core/mem.h"

#define TARGET_MAGIC 0x7a46e701u

/* The word `checks`. */
#define TARGET_CHECK_DOWN    1u
#define TARGET_CHECK_BAD     2u /* the last result */
#define TARGET_CHECK_RUN     2  /* shift of the number of equal results */
#define TARGET_CHECK_RUN_MAX (UINT32_MAX >> TARGET_CHECK_RUN)

/* The word `check_last`: enum target_check, and the status above it. */
#define TARGET_LAST_STATUS 8

static const char *const target_check_texts[] = {
#define X(name, text) [TARGET_CHECK_##name] = text,
    TARGET_CHECK_TABLE(X)
#undef X
};

static const char *const target_texts[] = {
#define X(name, text) [TARGET_##name] = text,
    TARGET_STATE_TABLE(X)
#undef X
};

static const char *const target_reasons[] = {
    [TARGET_DRAINING] = "an operator drains it",
    [TARGET_DOWN] = "active checks fail",
    [TARGET_PAUSED] = "it asked for a pause",
    [TARGET_EJECTED] = "too many requests in a row failed",
    [TARGET_UP] = "",
};

struct target *target_new(struct span address)
{
    struct target *t = mem_alloc(size_add(sizeof *t, size_add(address.len, 1)));
    char *copy = (char *)(t + 1);
    memcpy(copy, address.at, address.len);
    t->magic = TARGET_MAGIC;
    t->address = span_of(copy, address.len);
    atomic_store(&t->refs, 1);
    return t;
}

struct target *target_ref(struct target *t)
{
    must(t->magic == TARGET_MAGIC);
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void target_unref(struct target *t)
{
    if (t == NULL)
        return;
    must(t->magic == TARGET_MAGIC);
    if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1)
        return;
    t->magic = 0;
    mem_free(t);
}

enum target_state target_state(const struct target *t, uint64_t now_ms)
{
    if (atomic_load_explicit(&t->is_draining, memory_order_relaxed))
        return TARGET_DRAINING;
    if ((atomic_load_explicit(&t->checks, memory_order_relaxed) & TARGET_CHECK_DOWN) != 0)
        return TARGET_DOWN;
    if (atomic_load_explicit(&t->paused_until_ms, memory_order_relaxed) > now_ms)
        return TARGET_PAUSED;
    if (atomic_load_explicit(&t->ejected_until_ms, memory_order_relaxed) > now_ms)
        return TARGET_EJECTED;
    return TARGET_UP;
}

const char *target_state_text(enum target_state state)
{
    must(state < TARGET_STATE_COUNT);
    return target_texts[state];
}

const char *target_check_text(enum target_check check)
{
    must(check < TARGET_CHECK_COUNT);
    return target_check_texts[check];
}

static uint64_t target_until_ms(const struct target *t, enum target_state state)
{
    if (state == TARGET_PAUSED)
        return atomic_load_explicit(&t->paused_until_ms, memory_order_relaxed);
    if (state == TARGET_EJECTED)
        return atomic_load_explicit(&t->ejected_until_ms, memory_order_relaxed);
    return 0;
}

void target_look(const struct target *t, uint64_t now_ms, struct target_view *out)
{
    must(t->magic == TARGET_MAGIC);
    enum target_state state = target_state(t, now_ms);
    unsigned checks = atomic_load_explicit(&t->checks, memory_order_relaxed);
    unsigned last = atomic_load_explicit(&t->check_last, memory_order_relaxed);
    *out = (struct target_view){
        .state = state,
        .reason = target_reasons[state],
        .until_ms = target_until_ms(t, state),
        .in_flight = atomic_load_explicit(&t->in_flight, memory_order_relaxed),
        .failures_in_a_row = atomic_load_explicit(&t->failures_in_a_row, memory_order_relaxed),
        .check_run = checks >> TARGET_CHECK_RUN,
        .is_check_passing = (checks & TARGET_CHECK_BAD) == 0,
        .check = (enum target_check)(last & ((1u << TARGET_LAST_STATUS) - 1)),
        .check_status = last >> TARGET_LAST_STATUS,
        .latency_us = atomic_load_explicit(&t->latency_us, memory_order_relaxed),
        .tries = atomic_load_explicit(&t->tries, memory_order_relaxed),
        .failures = atomic_load_explicit(&t->failures, memory_order_relaxed),
        .connect_failures = atomic_load_explicit(&t->connect_failures, memory_order_relaxed),
        .ejected_count = atomic_load_explicit(&t->ejected_count, memory_order_relaxed),
        .paused_count = atomic_load_explicit(&t->paused_count, memory_order_relaxed),
        .down_count = atomic_load_explicit(&t->down_count, memory_order_relaxed),
    };
}

void target_begin(struct target *t)
{
    must(t->magic == TARGET_MAGIC);
    atomic_fetch_add_explicit(&t->in_flight, 1, memory_order_relaxed);
}

/* Two threads may overwrite one another's sample; an average bears that. */
static void target_add_latency(struct target *t, uint64_t latency_us)
{
    int64_t sample = latency_us < INT32_MAX ? (int64_t)latency_us : INT32_MAX;
    int64_t old = atomic_load_explicit(&t->latency_us, memory_order_relaxed);
    int64_t mean = old == 0 ? sample : old + (sample - old) / 8;
    atomic_store_explicit(&t->latency_us, (unsigned)mean, memory_order_relaxed);
}

unsigned target_finish(struct target *t, enum target_outcome outcome, uint64_t latency_us)
{
    unsigned in_flight = atomic_fetch_sub_explicit(&t->in_flight, 1, memory_order_relaxed);
    must(t->magic == TARGET_MAGIC && in_flight > 0);
    atomic_fetch_add_explicit(&t->tries, 1, memory_order_relaxed);
    switch (outcome) {
    case TARGET_SUCCESS:
        if (atomic_load_explicit(&t->failures_in_a_row, memory_order_relaxed) != 0)
            atomic_store_explicit(&t->failures_in_a_row, 0, memory_order_relaxed);
        target_add_latency(t, latency_us);
        return 0;
    case TARGET_NO_CONNECT:
        atomic_fetch_add_explicit(&t->connect_failures, 1, memory_order_relaxed);
        break;
    case TARGET_FAILURE:
        break;
    case TARGET_IGNORED:
        return atomic_load_explicit(&t->failures_in_a_row, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&t->failures, 1, memory_order_relaxed);
    return atomic_fetch_add_explicit(&t->failures_in_a_row, 1, memory_order_relaxed) + 1;
}

uint64_t target_eject(struct target *t, const struct target_outlier_options *options,
                      uint64_t now_ms)
{
    uint64_t ended_ms = atomic_load_explicit(&t->ejected_until_ms, memory_order_relaxed);
    uint64_t recent = atomic_load_explicit(&t->ejections, memory_order_relaxed);
    uint64_t forgiven = ended_ms < now_ms ? (now_ms - ended_ms) / options->eject_ms : 0;
    recent = (recent > forgiven ? recent - forgiven : 0) + 1;
    uint64_t time_ms = recent * options->eject_ms;
    if (time_ms > options->eject_max_ms) {
        time_ms = options->eject_max_ms;
        /* Growth ends here as well, so that forgiving takes no longer than the longest time. */
        recent = options->eject_max_ms / options->eject_ms + 1;
    }
    atomic_store_explicit(&t->ejections, (unsigned)recent, memory_order_relaxed);
    atomic_store_explicit(&t->failures_in_a_row, 0, memory_order_relaxed);
    atomic_store_explicit(&t->ejected_until_ms, now_ms + time_ms, memory_order_relaxed);
    atomic_fetch_add_explicit(&t->ejected_count, 1, memory_order_relaxed);
    return now_ms + time_ms;
}

void target_pause(struct target *t, uint64_t pause_ms, uint64_t now_ms)
{
    uint64_t until_ms = now_ms + pause_ms;
    uint64_t old = atomic_load_explicit(&t->paused_until_ms, memory_order_relaxed);
    while (old < until_ms) {
        if (atomic_compare_exchange_weak_explicit(&t->paused_until_ms, &old, until_ms,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            atomic_fetch_add_explicit(&t->paused_count, 1, memory_order_relaxed);
            return;
        }
    }
}

void target_drain(struct target *t, bool is_draining)
{
    atomic_store_explicit(&t->is_draining, is_draining, memory_order_relaxed);
}

bool target_check_result(struct target *t, bool is_good, unsigned rise, unsigned fall)
{
    must(t->magic == TARGET_MAGIC && rise > 0 && fall > 0);
    unsigned old = atomic_load_explicit(&t->checks, memory_order_relaxed);
    bool was_good = (old & TARGET_CHECK_BAD) == 0, was_down = (old & TARGET_CHECK_DOWN) != 0;
    unsigned run = was_good == is_good ? old >> TARGET_CHECK_RUN : 0;
    run = run < TARGET_CHECK_RUN_MAX ? run + 1 : run;
    bool is_down = was_down ? !(is_good && run >= rise) : !is_good && run >= fall;
    unsigned checks = run << TARGET_CHECK_RUN | (is_good ? 0 : TARGET_CHECK_BAD) |
                      (is_down ? TARGET_CHECK_DOWN : 0);
    atomic_store_explicit(&t->checks, checks, memory_order_relaxed);
    if (is_down && !was_down)
        atomic_fetch_add_explicit(&t->down_count, 1, memory_order_relaxed);
    return is_down != was_down;
}

void target_check_tell(struct target *t, enum target_check check, unsigned status)
{
    must(t->magic == TARGET_MAGIC && check < TARGET_CHECK_COUNT);
    atomic_store_explicit(&t->check_last, (unsigned)check | status << TARGET_LAST_STATUS,
                          memory_order_relaxed);
}

void target_check_forget(struct target *t)
{
    must(t->magic == TARGET_MAGIC);
    atomic_store_explicit(&t->checks, 0, memory_order_relaxed);
    atomic_store_explicit(&t->check_last, TARGET_CHECK_NONE, memory_order_relaxed);
}
