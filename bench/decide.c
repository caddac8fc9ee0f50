/* decide.c: what the decisions about one request cost, and what a client costs in memory.
 *
 *     all       a limit of three windows, the breaker's permit and report, the retry budget's
 *               deposit, and for each request a failed try on which the retry rules decide
 *     limit     the limit alone with the hash of the client's key, one busy client
 *     clients   the limit alone, each request from another of a million clients
 *     new_key   a client that was never seen; prints the memory that N of them take
 *     breaker, retry, balance
 *
 * Time stands still but for 1 ms in 64 operations. One thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "egress/upstream.h"
#include "edge/limit_table.h"
#include "micro.h"

#define START   123456789ull
#define CLIENTS 1000000u

struct decide {
    struct limit_rule rule;
    struct limit_table *table;
    struct random random;
    struct breaker breaker;
    struct retry_budget budget;
    struct retry_policy policy;
    struct retry_try failed;
};

/* Limits so wide that requests pass: a refusal is cheaper. */
static void decide_start(struct decide *d)
{
    struct limit_rule_options options = {
        .name = SPAN("api"),
        .windows = {{1000000, 1000}, {10000000, 60000}, {16000000, 3600000}},
        .window_count = 3};
    struct breaker_options breaker = BREAKER_OPTIONS_DEFAULT;
    struct retry_budget_options budget = RETRY_BUDGET_DEFAULT;
    must(err_ok(limit_rule_init(&d->rule, &options, NULL)));
    must(err_ok(limit_table_new(CLIENTS, &d->table)));
    random_init_seeded(&d->random, 1);
    breaker_init(&d->breaker, &breaker, NULL, &d->random, START);
    retry_budget_init(&d->budget, &budget);
    d->policy = RETRY_POLICY_DEFAULT;
    d->failed = (struct retry_try){.tries_made = 1,
                                   .method = HTTP_GET,
                                   .is_sent = true,
                                   .is_body_replayable = true,
                                   .status = 503,
                                   .deadline_ms = UINT64_MAX};
}

static void decide_limit(struct decide *d, uint64_t client, uint64_t now_ms)
{
    uint64_t key = limit_rule_key(&d->rule, span_of((const char *)&client, sizeof client));
    struct limit_verdict verdict;
    limit_table_admit(d->table, &d->rule, key, now_ms, &verdict);
    micro_keep(&verdict);
}

static void decide_breaker(struct decide *d, uint64_t now_ms)
{
    struct breaker_permit permit;
    must(err_ok(breaker_allow(&d->breaker, now_ms, &permit)));
    micro_keep(&permit);
    breaker_record(&d->breaker, &permit, BREAKER_SUCCESS, 5, now_ms);
}

static void decide_retry(struct decide *d, uint64_t now_ms)
{
    struct retry_verdict verdict;
    retry_budget_deposit(&d->budget, now_ms);
    retry_decide(&d->policy, &d->budget, &d->failed, now_ms, &d->random, &verdict);
    micro_keep(&verdict);
}

static void run_all(uint64_t count)
{
    static struct decide d;
    decide_start(&d);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t now_ms = START + i / 64;
        decide_limit(&d, 1, now_ms);
        decide_breaker(&d, now_ms);
        decide_retry(&d, now_ms);
    }
    limit_table_free(d.table);
}

static void run_limit(uint64_t count)
{
    static struct decide d;
    decide_start(&d);
    for (uint64_t i = 0; i < count; i++)
        decide_limit(&d, 1, START + i / 64);
    limit_table_free(d.table);
}

static void run_clients(uint64_t count)
{
    static struct decide d;
    decide_start(&d);
    for (uint64_t i = 0; i < CLIENTS; i++)
        decide_limit(&d, i, START);
    for (uint64_t i = 0; i < count; i++)
        decide_limit(&d, i * 7919 % CLIENTS, START + i / 64);
    limit_table_free(d.table);
}

static uint64_t resident_bytes(void)
{
    char text[128] = {0};
    FILE *statm = fopen("/proc/self/statm", "re");
    must(statm != NULL && fgets(text, sizeof text, statm) != NULL);
    (void)fclose(statm);
    struct span rest = span_from(text);
    uint64_t pages;
    (void)span_cut(&rest, ' ');
    must(err_ok(span_parse_u64(span_cut(&rest, ' '), UINT64_MAX, &pages)));
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void run_new_key(uint64_t count)
{
    static struct decide d;
    decide_start(&d);
    uint64_t before = resident_bytes();
    for (uint64_t i = 0; i < count; i++)
        decide_limit(&d, i, START);
    uint64_t after = resident_bytes();
    struct limit_table_stats stats;
    limit_table_stats(d.table, &stats);
    printf("%llu keys held, %llu evicted, %llu bytes resident, %.1f a key\n",
           (unsigned long long)stats.keys, (unsigned long long)stats.evicted_live,
           (unsigned long long)(after - before), (double)(after - before) / (double)stats.keys);
    limit_table_free(d.table);
}

static void run_breaker(uint64_t count)
{
    static struct decide d;
    decide_start(&d);
    for (uint64_t i = 0; i < count; i++)
        decide_breaker(&d, START + i / 64);
    limit_table_free(d.table);
}

static void run_retry(uint64_t count)
{
    static struct decide d;
    decide_start(&d);
    for (uint64_t i = 0; i < count; i++)
        decide_retry(&d, START + i / 64);
    limit_table_free(d.table);
}

static void run_balance(uint64_t count)
{
    struct random random;
    struct balance_member members[4];
    struct balance_set set = {members, COUNT_OF(members), BALANCE_ROUND_ROBIN};
    struct balance balance;
    random_init_seeded(&random, 1);
    for (size_t i = 0; i < COUNT_OF(members); i++)
        members[i] = (struct balance_member){target_new(SPAN("127.0.0.1:1")), 1};
    balance_init(&balance, &set);
    for (uint64_t i = 0; i < count; i++) {
        struct balance_tried tried = {0};
        struct balance_pick pick;
        must(err_ok(balance_next(&balance, &set, &tried, START, &random, &pick)));
        target_begin(pick.target);
        (void)target_finish(pick.target, TARGET_SUCCESS, 100);
    }
    balance_done(&balance);
    for (size_t i = 0; i < COUNT_OF(members); i++)
        target_unref(members[i].target);
}

static const struct micro_case cases[] = {{"all", run_all},         {"limit", run_limit},
                                          {"clients", run_clients}, {"new_key", run_new_key},
                                          {"breaker", run_breaker}, {"retry", run_retry},
                                          {"balance", run_balance}};

int main(int argc, char **argv)
{
    return micro_main(argc, argv, cases, COUNT_OF(cases));
}
