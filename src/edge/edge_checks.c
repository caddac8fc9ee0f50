/* edge_checks.c: accepting, upstreams, certificates.
 *
 * An upstream without any target that may serve fails readiness only when no other upstream has
 * one either: a gateway that can serve part of its routes is more use than one that is taken out.
 * Control thread.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/edge_checks.h"

#include <stdio.h>

#include "edge/edge.h"

#define EDGE_CHECKS_WARN_DAYS 21.0

static void edge_checks_accepting(const struct node *n, struct check_sink *sink)
{
    struct check_result r = {.status = n->is_draining ? CHECK_FAIL : CHECK_PASS,
                             .output = "draining: no new connections are accepted"};
    sink->add(sink, &r);
}

static unsigned edge_checks_available(const struct upstream *u, uint64_t now_ms)
{
    unsigned count = 0;
    for (unsigned i = 0; i < u->set.member_count; i++)
        count += target_is_available(u->set.members[i].target, now_ms) ? 1 : 0;
    return count;
}

static void edge_checks_upstreams(const struct node *n, struct check_sink *sink)
{
    const struct settings *s = edge_settings(n);
    uint64_t now_ms = clock_mono_ms(n->clock);
    bool has_any = false;
    for (unsigned i = 0; i < s->upstream_count; i++)
        has_any = has_any || edge_checks_available(s->upstreams[i].upstream, now_ms) > 0;
    for (unsigned i = 0; i < s->upstream_count; i++) {
        const struct upstream *u = s->upstreams[i].upstream;
        unsigned available = edge_checks_available(u, now_ms);
        struct check_result r = {
            .component_id = u->name, .has_value = true, .value = available, .unit = "targets"};
        if (available == 0) {
            r.status = has_any ? CHECK_WARN : CHECK_FAIL;
            r.output = "no target is available";
        } else if (available < u->set.member_count) {
            r.status = CHECK_WARN;
            r.output = "some targets are not available";
        }
        sink->add(sink, &r);
    }
}

static void edge_checks_breakers(const struct node *n, struct check_sink *sink)
{
    const struct settings *s = edge_settings(n);
    for (unsigned i = 0; i < s->upstream_count; i++) {
        const struct upstream *u = s->upstreams[i].upstream;
        if (u->breaker == NULL)
            continue;
        enum breaker_state state = breaker_state_now(u->breaker);
        bool is_closed = state == BREAKER_CLOSED || state == BREAKER_FORCED_CLOSED;
        struct check_result r = {.component_id = u->name,
                                 .status = is_closed ? CHECK_PASS : CHECK_WARN,
                                 .output = state == BREAKER_HALF_OPEN
                                               ? "the breaker is half-open: it lets probes through"
                                               : "the breaker is open: requests are refused"};
        sink->add(sink, &r);
    }
}

static void edge_checks_certificates(const struct node *n, struct check_sink *sink)
{
    const struct settings *s = edge_settings(n);
    double now_s = (double)clock_wall_ns(n->clock) / 1e9;
    for (unsigned i = 0; i < s->listener_count; i++) {
        const struct tls_context *tls = s->listeners[i].tls;
        for (size_t k = 0; tls != NULL && k < tls_context_certificate_count(tls); k++) {
            const struct tls_context_certificate *c = tls_context_certificate(tls, k);
            struct check_result r = {.component_id = c->subject, .has_value = true, .unit = "days"};
            r.value = ((double)c->not_after_s - now_s) / 86400.0;
            if (r.value <= 0) {
                r.status = CHECK_FAIL;
                r.output = "the certificate has expired";
            } else if (r.value < EDGE_CHECKS_WARN_DAYS) {
                r.status = CHECK_WARN;
                r.output = "the certificate expires soon";
            }
            sink->add(sink, &r);
        }
    }
}

const struct check edge_checks_table[] = {
    {"edge:accepting", "component", CHECK_READY, "Whether connections are accepted.",
     edge_checks_accepting},
    {"upstream:targets", "component", CHECK_READY, "Targets that may get requests.",
     edge_checks_upstreams},
    {"upstream:breaker", "component", CHECK_READY, "Circuit breakers that refuse requests.",
     edge_checks_breakers},
    {"certificate:expiry", "component", CHECK_SYSTEM, "Days until each certificate expires.",
     edge_checks_certificates},
    {0}};
