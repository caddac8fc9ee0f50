/* test_limit_cell.c: times that wrap, and cells that hold another rule's bytes.
 *
 * What a cell promises is tested through the table (test_limit_table.c).
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "core/random.h"
#include "edge/limit_cell.h"

static void test_limit_cell_reads_its_time_relative_to_now(void **state)
{
    (void)state;
    struct limit_rule_options options = {
        .name = SPAN("r"), .windows = {{1, 1000}}, .window_count = 1};
    struct limit_rule rule;
    assert_true(err_ok(limit_rule_init(&rule, &options, NULL)));
    static const uint64_t times_ms[] = {0, 1, 1000, (1ull << 40) - 1, 1ull << 40, 1ull << 50};
    for (size_t i = 0; i < COUNT_OF(times_ms); i++) {
        struct limit_cell cell;
        uint64_t at_ms = times_ms[i];
        limit_cell_start(&cell, 0x3ffff, &rule, at_ms);
        assert_int_equal(limit_cell_key_part(&cell), 0x3ffff);
        assert_int_equal(limit_cell_used_ms(&cell, at_ms), at_ms);
        assert_int_equal(limit_cell_used_ms(&cell, at_ms + 123456789), at_ms);
        if (at_ms >= 1000)
            assert_int_equal(limit_cell_used_ms(&cell, at_ms - 1000), at_ms);
        /* A life of 1,004 ms is rounded up to 1,024. */
        assert_false(limit_cell_is_expired(&cell, at_ms + 1023));
        assert_true(limit_cell_is_expired(&cell, at_ms + 1024));
    }
}

/* Two keys that collide may belong to different rules: odd counts then, but nothing worse. */
static void test_limit_cell_of_another_rule_does_no_harm(void **state)
{
    (void)state;
    struct random random;
    random_init_seeded(&random, 77);
    for (unsigned i = 0; i < 20000; i++) {
        struct limit_rule_options options = {
            .name = SPAN("r"), .window_count = 1 + (unsigned)random_below(&random, 4)};
        for (unsigned w = 0; w < options.window_count; w++) {
            uint64_t bound = 1ull << random_below(&random, 25);
            options.windows[w].count = 1 + (uint32_t)random_below(&random, bound) % LIMIT_COUNT_MAX;
            options.windows[w].window_ms = 1 + w + random_below(&random, 86400000) / 4 * 4;
        }
        struct limit_rule rule;
        if (!err_ok(limit_rule_init(&rule, &options, NULL)))
            continue; /* two windows of one length */
        struct limit_cell cell;
        random_bytes(&random, &cell, sizeof cell);
        uint64_t now_ms = random_u64(&random) >> random_below(&random, 40);
        for (unsigned step = 0; step < 20; step++) {
            struct limit_verdict v;
            now_ms += random_below(&random, 1ull << random_below(&random, 30));
            uint64_t at_ms = limit_cell_advance(&cell, &rule, now_ms);
            limit_cell_judge(&cell, &rule, at_ms, &v);
            if (!v.is_exceeded)
                limit_cell_charge(&cell, &rule, at_ms, &v);
            if (!v.is_exceeded && random_below(&random, 2) == 0)
                limit_cell_refund(&cell, &rule, at_ms, v.charged_ms);
            for (unsigned w = 0; w < v.window_count; w++)
                assert_true(v.windows[w].remaining <= v.windows[w].count);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_cell_reads_its_time_relative_to_now),
        cmocka_unit_test(test_limit_cell_of_another_rule_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
