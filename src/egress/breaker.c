/* breaker.c: closed, open, half-open, and the two states that an operator forces.
 *
 * The one hard thing is to decide among many threads without a lock. All that a decision depends
 * on is one 64-bit word, changed only by compare-and-swap:
 *
 *     value (40) | generation (16) | round (5) | state (3)
 *
 * The value is the time from which calls count (CLOSED), the time at which probes begin (OPEN), or
 * the probes' results (HALF_OPEN). The generation changes with every transition, so that a call
 * that began in one state cannot be counted in another. Two threads that see a reason for a
 * transition at once both try; one wins and tells the observer.
 *
 *             too many failures or slow calls [breaker_record]
 *      CLOSED ------------------------------------------------> OPEN <------+
 *        ^                                                       |          | enough probes failed
 *        |                       open time over [breaker_allow]  v          | or were slow
 *        +------------------------------------------------- HALF_OPEN ------+ [breaker_record]
 *             all probes reported, and not too many failed
 *
 *      FORCED_OPEN, FORCED_CLOSED: from and to any state, by breaker_force alone; breaker_force
 *      also leads from any state to CLOSED.
 *
 *      CLOSED         calls pass; the window is counted from the time in the value
 *      OPEN           no call passes before the time in the value
 *      HALF_OPEN      at most probe_count leases are out; calls without one are refused
 *      FORCED_*       all or no calls pass; outcomes are counted (closed) but decide nothing
 *
 * The window is a ring of 32 buckets, one word each: epoch (13), calls, failed, slow (17 each). A
 * bucket whose epoch is not the present round of the ring is empty. Counts that would overflow
 * stop together, which leaves the rates of the bucket as they are.
 *
 * A lease is serial (24) | deadline (40); a deadline of 0 means free. An unreturned lease holds
 * its place until the deadline, also across generations: what may be in flight is counted.
 *
 * Shared by all threads, owned by its upstream's shared state.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "egress/breaker.h"

#define BREAKER_MAGIC      0xb4ea4e40u
#define BREAKER_TIME_BITS  40
#define BREAKER_TIME_MASK  ((1ull << BREAKER_TIME_BITS) - 1)
#define BREAKER_ROUND_MAX  31u
#define BREAKER_COUNT_BITS 17
#define BREAKER_COUNT_MAX  ((1u << BREAKER_COUNT_BITS) - 1)
#define BREAKER_EPOCH_MASK 0x1fffu
#define BREAKER_BUSY_MS    1000u /* refused while all probes are out: ask again after this */

/* The word, taken apart. */
struct breaker_word {
    enum breaker_state state;
    unsigned round; /* half-open rounds that failed in a row */
    uint32_t generation;
    uint64_t value;
};

struct breaker_sums {
    uint64_t volume;
    uint64_t failed;
    uint64_t slow;
};

static const char *const breaker_texts[] = {
#define X(name, text) [BREAKER_##name] = text,
    BREAKER_STATE_TABLE(X)
#undef X
};

#define BREAKER_TO(name) (1u << BREAKER_##name)

/* Which states may follow; drawn above. */
static const unsigned breaker_successors[] = {
    [BREAKER_CLOSED] = BREAKER_TO(OPEN) | BREAKER_TO(FORCED_OPEN) | BREAKER_TO(FORCED_CLOSED),
    [BREAKER_OPEN] = BREAKER_TO(HALF_OPEN) | BREAKER_TO(CLOSED) | BREAKER_TO(FORCED_OPEN) |
                     BREAKER_TO(FORCED_CLOSED),
    [BREAKER_HALF_OPEN] =
        BREAKER_TO(OPEN) | BREAKER_TO(CLOSED) | BREAKER_TO(FORCED_OPEN) | BREAKER_TO(FORCED_CLOSED),
    [BREAKER_FORCED_OPEN] = BREAKER_TO(CLOSED) | BREAKER_TO(FORCED_CLOSED),
    [BREAKER_FORCED_CLOSED] = BREAKER_TO(CLOSED) | BREAKER_TO(FORCED_OPEN),
};

static struct breaker_word breaker_unpack(uint64_t word)
{
    return (struct breaker_word){.state = (enum breaker_state)(word & 7),
                                 .round = (unsigned)(word >> 3) & BREAKER_ROUND_MAX,
                                 .generation = (uint32_t)(word >> 8) & 0xffff,
                                 .value = word >> 24};
}

static uint64_t breaker_pack(struct breaker_word w)
{
    return (w.value & BREAKER_TIME_MASK) << 24 | (uint64_t)(w.generation & 0xffff) << 8 |
           (uint64_t)w.round << 3 | (uint64_t)w.state;
}

/* A time of 40 bits, within 17 years of now, in full. */
static uint64_t breaker_time(uint64_t value, uint64_t now_ms)
{
    uint64_t ahead = (value - now_ms) & BREAKER_TIME_MASK;
    return ahead > BREAKER_TIME_MASK / 2 ? now_ms - (BREAKER_TIME_MASK + 1 - ahead)
                                         : now_ms + ahead;
}

static struct breaker_word breaker_load(const struct breaker *b, uint64_t *word)
{
    *word = atomic_load_explicit(&b->word, memory_order_acquire);
    return breaker_unpack(*word);
}

/* Stateless pseudo-random number (splitmix64) for the jitter of one generation. */
static double breaker_jitter(const struct breaker *b, uint32_t generation)
{
    uint64_t z = b->seed + generation * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    double unit = (double)((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
    return 1 + (2 * unit - 1) * b->options.jitter_percent / 100.0;
}

static uint64_t breaker_open_time_ms(const struct breaker *b, unsigned round, uint32_t generation)
{
    uint64_t base_ms = (uint64_t)b->options.open_ms << round;
    if (base_ms > b->options.open_max_ms)
        base_ms = b->options.open_max_ms;
    return (uint64_t)((double)base_ms * breaker_jitter(b, generation));
}

static uint64_t breaker_bucket_epoch(uint64_t slot)
{
    return (slot / BREAKER_BUCKETS) & BREAKER_EPOCH_MASK;
}

/* The one way from state to state. False when another thread changed the word first. */
static bool breaker_enter(struct breaker *b, uint64_t from_word, enum breaker_state state,
                          uint64_t now_ms)
{
    struct breaker_word from = breaker_unpack(from_word);
    must((breaker_successors[from.state] & 1u << state) != 0);
    struct breaker_word to = {.state = state, .generation = (from.generation + 1) & 0xffff};
    uint64_t wait_ms = 0;
    if (state == BREAKER_OPEN) {
        if (from.state == BREAKER_HALF_OPEN)
            to.round = from.round < BREAKER_ROUND_MAX ? from.round + 1 : from.round;
        wait_ms = breaker_open_time_ms(b, to.round, to.generation);
        to.value = now_ms + wait_ms;
    } else if (state == BREAKER_HALF_OPEN) {
        to.round = from.round;
    } else if (state == BREAKER_CLOSED) {
        /* Buckets before this one do not count any more; this one starts empty. */
        uint64_t slot = now_ms / b->bucket_ms;
        atomic_store_explicit(&b->buckets[slot % BREAKER_BUCKETS], breaker_bucket_epoch(slot) << 51,
                              memory_order_relaxed);
        to.value = now_ms;
    }
    if (!atomic_compare_exchange_strong_explicit(&b->word, &from_word, breaker_pack(to),
                                                 memory_order_acq_rel, memory_order_relaxed))
        return false;
    atomic_store_explicit(&b->since_ms, now_ms, memory_order_relaxed);
    if (state == BREAKER_OPEN)
        atomic_fetch_add_explicit(&b->opened_count, 1, memory_order_relaxed);
    struct breaker_change change = {
        .breaker = b, .from = from.state, .to = state, .now_ms = now_ms, .retry_after_ms = wait_ms};
    if (b->observer != NULL)
        b->observer->changed(b->observer, &change);
    return true;
}

static err breaker_check(bool is_right, struct fault *why, const char *text)
{
    return is_right ? OK : fault_set(why, ERR_INVALID, "%s", text);
}

err breaker_options_validate(const struct breaker_options *o, struct fault *why)
{
    TRY(breaker_check(o->window_ms >= BREAKER_WINDOW_BUCKETS && o->window_ms <= 3600000, why,
                      "a breaker's window is 30 ms to 1 h"));
    TRY(breaker_check(o->volume_min >= 1, why, "a breaker's minimum volume is at least 1"));
    TRY(breaker_check(o->failure_rate_percent <= 100 && o->slow_rate_percent <= 100, why,
                      "a breaker's rates are at most 100 %"));
    TRY(breaker_check(o->slow_rate_percent == 0 || o->slow_call_ms >= 1, why,
                      "a breaker with a slow-call rate needs the length of a slow call"));
    TRY(breaker_check(o->open_ms >= 1 && o->open_ms <= o->open_max_ms, why,
                      "a breaker's open time is at least 1 ms and at most its maximum"));
    TRY(breaker_check(o->open_max_ms <= 86400000, why, "a breaker is open for at most 1 day"));
    TRY(breaker_check(o->jitter_percent <= 90, why, "a breaker's jitter is at most 90 %"));
    TRY(breaker_check(o->probe_count >= 1 && o->probe_count <= BREAKER_PROBE_MAX, why,
                      "a breaker has 1 to 8 probes"));
    return breaker_check(o->probe_lease_ms >= 1 && o->probe_lease_ms <= 86400000, why,
                         "a probe's lease is 1 ms to 1 day");
}

void breaker_init(struct breaker *b, const struct breaker_options *options,
                  struct breaker_observer *observer, struct random *random, uint64_t now_ms)
{
    *b = (struct breaker){.magic = BREAKER_MAGIC,
                          .options = *options,
                          .bucket_ms = options->window_ms / BREAKER_WINDOW_BUCKETS,
                          .seed = random_u64(random),
                          .observer = observer};
    must(b->bucket_ms > 0 && options->probe_count <= BREAKER_PROBE_MAX);
    struct breaker_word first = {.state = BREAKER_CLOSED, .value = now_ms};
    atomic_store(&b->word, breaker_pack(first));
    atomic_store(&b->since_ms, now_ms);
    atomic_store(&b->last_slot, now_ms / b->bucket_ms);
}

void breaker_done(struct breaker *b)
{
    b->magic = 0;
}

static bool breaker_lease_is_free(uint64_t lease, uint64_t now_ms)
{
    uint64_t deadline = lease & BREAKER_TIME_MASK;
    return deadline == 0 || breaker_time(deadline, now_ms) <= now_ms;
}

static err breaker_lease(struct breaker *b, uint32_t generation, uint64_t now_ms,
                         struct breaker_permit *out)
{
    uint64_t deadline = (now_ms + b->options.probe_lease_ms) & BREAKER_TIME_MASK;
    deadline = deadline == 0 ? 1 : deadline;
    for (uint32_t slot = 0; slot < b->options.probe_count; slot++) {
        uint64_t old = atomic_load_explicit(&b->leases[slot], memory_order_relaxed);
        if (!breaker_lease_is_free(old, now_ms))
            continue;
        uint64_t serial = (old >> BREAKER_TIME_BITS) + 1;
        uint64_t lease = serial << BREAKER_TIME_BITS | deadline;
        if (atomic_compare_exchange_strong_explicit(&b->leases[slot], &old, lease,
                                                    memory_order_acq_rel, memory_order_relaxed)) {
            *out = (struct breaker_permit){lease, generation, slot};
            return OK;
        }
    }
    return FAIL(BREAKER_OPEN);
}

err breaker_allow(struct breaker *b, uint64_t now_ms, struct breaker_permit *out)
{
    must(b->magic == BREAKER_MAGIC);
    uint64_t word;
    struct breaker_word w = breaker_load(b, &word);
    if (__builtin_expect(w.state == BREAKER_CLOSED || w.state == BREAKER_FORCED_CLOSED, 1)) {
        *out = (struct breaker_permit){0, w.generation, 0};
        return OK;
    }
    if (w.state == BREAKER_OPEN && breaker_time(w.value, now_ms) <= now_ms) {
        (void)breaker_enter(b, word, BREAKER_HALF_OPEN, now_ms); /* or another thread did */
        w = breaker_load(b, &word);
    }
    if (w.state == BREAKER_HALF_OPEN && err_ok(breaker_lease(b, w.generation, now_ms, out)))
        return OK;
    atomic_fetch_add_explicit(&b->refused_count, 1, memory_order_relaxed);
    return FAIL(BREAKER_OPEN);
}

static unsigned breaker_probes_out(const struct breaker *b, uint64_t now_ms)
{
    unsigned count = 0;
    for (unsigned slot = 0; slot < b->options.probe_count; slot++)
        count += !breaker_lease_is_free(
            atomic_load_explicit(&b->leases[slot], memory_order_relaxed), now_ms);
    return count;
}

static uint64_t breaker_lease_end_ms(const struct breaker *b, uint64_t now_ms)
{
    uint64_t first_ms = UINT64_MAX;
    for (unsigned slot = 0; slot < b->options.probe_count; slot++) {
        uint64_t lease = atomic_load_explicit(&b->leases[slot], memory_order_relaxed);
        if (breaker_lease_is_free(lease, now_ms))
            return now_ms;
        uint64_t end_ms = breaker_time(lease & BREAKER_TIME_MASK, now_ms);
        first_ms = end_ms < first_ms ? end_ms : first_ms;
    }
    return first_ms;
}

uint64_t breaker_retry_after_ms(const struct breaker *b, uint64_t now_ms)
{
    uint64_t word;
    struct breaker_word w = breaker_load(b, &word);
    switch (w.state) {
    case BREAKER_CLOSED:
    case BREAKER_FORCED_CLOSED:
        return 0;
    case BREAKER_FORCED_OPEN:
        return UINT64_MAX;
    case BREAKER_OPEN: {
        uint64_t until_ms = breaker_time(w.value, now_ms);
        return until_ms > now_ms ? until_ms - now_ms : 0;
    }
    case BREAKER_HALF_OPEN: {
        uint64_t wait_ms = breaker_lease_end_ms(b, now_ms) - now_ms;
        return wait_ms < BREAKER_BUSY_MS ? wait_ms : BREAKER_BUSY_MS;
    }
    }
    must_fail("the state is one of the enum", __FILE__, __LINE__);
}

/* The window up to now, from the slot in which the breaker closed. */
static struct breaker_sums breaker_sum(const struct breaker *b, struct breaker_word w,
                                       uint64_t now_ms)
{
    struct breaker_sums sums = {0};
    uint64_t last = now_ms / b->bucket_ms;
    uint64_t first = last >= BREAKER_WINDOW_BUCKETS - 1 ? last - (BREAKER_WINDOW_BUCKETS - 1) : 0;
    if (w.state == BREAKER_CLOSED) {
        uint64_t closed = breaker_time(w.value, now_ms) / b->bucket_ms;
        first = closed > first ? closed : first;
    }
    for (uint64_t slot = first; slot <= last; slot++) {
        uint64_t bucket =
            atomic_load_explicit(&b->buckets[slot % BREAKER_BUCKETS], memory_order_relaxed);
        if (bucket >> 51 != breaker_bucket_epoch(slot))
            continue;
        sums.volume += bucket >> 34 & BREAKER_COUNT_MAX;
        sums.failed += bucket >> 17 & BREAKER_COUNT_MAX;
        sums.slow += bucket & BREAKER_COUNT_MAX;
    }
    return sums;
}

/* After a silence longer than the ring, epochs may have come round: nothing in it is valid. */
static void breaker_turn(struct breaker *b, uint64_t slot)
{
    uint64_t last = atomic_load_explicit(&b->last_slot, memory_order_relaxed);
    if (slot <= last)
        return;
    if (slot - last >= BREAKER_BUCKETS) {
        for (unsigned i = 0; i < BREAKER_BUCKETS; i++)
            atomic_store_explicit(&b->buckets[i], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&b->last_slot, slot, memory_order_relaxed);
}

static void breaker_count(struct breaker *b, bool is_failed, bool is_slow, uint64_t now_ms)
{
    uint64_t slot = now_ms / b->bucket_ms;
    breaker_turn(b, slot);
    _Atomic uint64_t *bucket = &b->buckets[slot % BREAKER_BUCKETS];
    uint64_t epoch = breaker_bucket_epoch(slot);
    uint64_t one = 1ull << 34 | (uint64_t)is_failed << 17 | (uint64_t)is_slow;
    uint64_t old = atomic_load_explicit(bucket, memory_order_relaxed);
    uint64_t sum;
    do {
        if (old >> 51 != epoch)
            sum = epoch << 51 | one;
        else if ((old >> 34 & BREAKER_COUNT_MAX) == BREAKER_COUNT_MAX)
            return;
        else
            sum = old + one;
    } while (!atomic_compare_exchange_weak_explicit(bucket, &old, sum, memory_order_relaxed,
                                                    memory_order_relaxed));
}

/* Whether part is at least percent of whole; percent 0 never. */
static bool breaker_reaches(uint64_t part, uint64_t whole, uint32_t percent)
{
    return percent > 0 && part * 100 >= whole * percent;
}

static bool breaker_is_over(const struct breaker *b, uint64_t failed, uint64_t slow, uint64_t whole)
{
    return breaker_reaches(failed, whole, b->options.failure_rate_percent) ||
           breaker_reaches(slow, whole, b->options.slow_rate_percent);
}

/* Opens if the window says so. Successes matter too, as they complete the minimum volume; they
 * are judged only while the window holds trouble, so that the healthy path sums nothing. */
static void breaker_judge(struct breaker *b, uint64_t word, bool is_trouble, uint64_t now_ms)
{
    if (is_trouble)
        atomic_store(&b->is_troubled, 1);
    else if (__builtin_expect(atomic_load_explicit(&b->is_troubled, memory_order_relaxed) == 0, 1))
        return;
    else
        atomic_store(&b->is_troubled, 0); /* before the sums, so that no new trouble is missed */
    struct breaker_sums sums = breaker_sum(b, breaker_unpack(word), now_ms);
    if (sums.failed + sums.slow > 0)
        atomic_store(&b->is_troubled, 1);
    if (sums.volume >= b->options.volume_min &&
        breaker_is_over(b, sums.failed, sums.slow, sums.volume))
        (void)breaker_enter(b, word, BREAKER_OPEN, now_ms); /* or another thread did */
}

/* Results in the value of HALF_OPEN: good (8), failed (8), slow (8). */
static void breaker_record_probe(struct breaker *b, uint32_t generation, bool is_failed,
                                 bool is_slow, uint64_t now_ms)
{
    uint64_t word;
    struct breaker_word w = breaker_load(b, &word);
    while (w.generation == generation && w.state == BREAKER_HALF_OPEN) {
        uint64_t value = w.value + (is_failed ? 1u << 8 : 1u) + (is_slow ? 1u << 16 : 0u);
        uint64_t good = value & 0xff, failed = value >> 8 & 0xff, slow = value >> 16 & 0xff;
        uint64_t judged = b->options.probe_count;
        if (breaker_is_over(b, failed, slow, judged)) {
            if (breaker_enter(b, word, BREAKER_OPEN, now_ms))
                return;
        } else if (good + failed >= judged) {
            if (breaker_enter(b, word, BREAKER_CLOSED, now_ms))
                return;
        } else {
            struct breaker_word next = w;
            next.value = value;
            uint64_t expected = word;
            if (atomic_compare_exchange_strong_explicit(&b->word, &expected, breaker_pack(next),
                                                        memory_order_acq_rel, memory_order_relaxed))
                return;
        }
        w = breaker_load(b, &word);
    }
}

void breaker_record(struct breaker *b, const struct breaker_permit *permit,
                    enum breaker_outcome outcome, uint64_t duration_ms, uint64_t now_ms)
{
    must(b->magic == BREAKER_MAGIC && permit->slot < BREAKER_PROBE_MAX);
    if (permit->lease != 0) {
        uint64_t lease = permit->lease;
        (void)atomic_compare_exchange_strong_explicit(
            &b->leases[permit->slot], &lease, lease & ~BREAKER_TIME_MASK, memory_order_acq_rel,
            memory_order_relaxed); /* fails when the lease ran out and was given to another */
    }
    if (outcome == BREAKER_IGNORED)
        return;
    bool is_failed = outcome == BREAKER_FAILURE;
    bool is_slow = b->options.slow_rate_percent > 0 && duration_ms >= b->options.slow_call_ms;
    if (permit->lease != 0) {
        breaker_record_probe(b, permit->generation, is_failed, is_slow, now_ms);
        return;
    }
    uint64_t word;
    struct breaker_word w = breaker_load(b, &word);
    if (w.generation != permit->generation)
        return;
    breaker_count(b, is_failed, is_slow, now_ms);
    if (w.state == BREAKER_CLOSED)
        breaker_judge(b, word, is_failed || is_slow, now_ms);
}

void breaker_force(struct breaker *b, enum breaker_state state, uint64_t now_ms)
{
    must(state == BREAKER_FORCED_OPEN || state == BREAKER_FORCED_CLOSED || state == BREAKER_CLOSED);
    uint64_t word;
    while (breaker_load(b, &word).state != state) {
        if (breaker_enter(b, word, state, now_ms))
            return;
    }
}

static unsigned breaker_percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (unsigned)(part * 100 / whole);
}

void breaker_look(const struct breaker *b, uint64_t now_ms, struct breaker_view *out)
{
    uint64_t word;
    struct breaker_word w = breaker_load(b, &word);
    struct breaker_sums sums = breaker_sum(b, w, now_ms);
    bool has_rate = sums.volume >= b->options.volume_min;
    *out = (struct breaker_view){
        .state = w.state,
        .since_ms = atomic_load_explicit(&b->since_ms, memory_order_relaxed),
        .next_probe_ms = w.state == BREAKER_OPEN ? breaker_time(w.value, now_ms) : 0,
        .volume = sums.volume,
        .failed = sums.failed,
        .slow = sums.slow,
        .failure_rate_percent = has_rate ? breaker_percent(sums.failed, sums.volume) : 0,
        .slow_rate_percent = has_rate ? breaker_percent(sums.slow, sums.volume) : 0,
        .probes_in_flight = breaker_probes_out(b, now_ms),
        .opened_count = atomic_load_explicit(&b->opened_count, memory_order_relaxed),
        .refused_count = atomic_load_explicit(&b->refused_count, memory_order_relaxed),
    };
}

enum breaker_state breaker_state_now(const struct breaker *b)
{
    uint64_t word;
    return breaker_load(b, &word).state;
}

const char *breaker_state_text(enum breaker_state state)
{
    return breaker_texts[state];
}

enum breaker_outcome breaker_outcome_of_status(unsigned status)
{
    if (status == 429)
        return BREAKER_IGNORED;
    if (status == 408)
        return BREAKER_FAILURE;
    /* 501 and 505 say what the service is, not how it is. */
    bool is_failure = status >= 500 && status != 501 && status != 505;
    return is_failure ? BREAKER_FAILURE : BREAKER_SUCCESS;
}
