/* test_edge_probes.c: the targets of a configuration are checked from the start, and those of the
 * next one after a reload.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edge/edge_probes.h"
#include "edge_fixture.h"

#define SHOP                                                                                       \
    "upstreams:\n"                                                                                 \
    "  shop:\n"                                                                                    \
    "    targets: ['127.0.0.1:%u']\n"                                                              \
    "    health: {path: %s, interval: 1h, fall: 1}\n"                                              \
    "  plain: {targets: ['127.0.0.1:%u']}\n"                                                       \
    "routes: [{match: {path: /}, to: shop}]\n"

static enum target_check checked(const struct edge_fixture *f, unsigned upstream)
{
    const struct settings *s = edge_settings(&f->node);
    struct target_view v;
    target_look(s->upstreams[upstream].upstream->set.members[0].target,
                clock_mono_ms(&clock_system), &v);
    return v.check;
}

static void answer(struct peer_server *server, const char *text)
{
    for (unsigned i = 0; i < server->count; i++) {
        struct peer *p = &server->peers[i];
        if (p->requests > 0 || !peer_has(p, "\r\n\r\n"))
            continue;
        p->requests = 1;
        peer_say(p, text);
    }
}

static void test_edge_probes_follow_the_configuration(void **state)
{
    (void)state;
    struct edge_fixture f;
    struct peer_server server;
    char text[512];
    peer_server_init(&server, PEER_SERVER_ACCEPTS);
    (void)snprintf(text, sizeof text, SHOP, server.port, "/live", server.port);
    edge_fixture_open(&f, text);
    EDGE_FIXTURE_UNTIL(
        &f, &server,
        (answer(&server, "HTTP/1.1 204 No Content\r\n\r\n"), checked(&f, 0) != TARGET_CHECK_NONE));
    assert_int_equal(checked(&f, 0), TARGET_CHECK_PASSED);
    assert_int_equal(checked(&f, 1), TARGET_CHECK_NONE);
    assert_true(peer_has(&server.peers[0], "GET /live "));
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, "plimsoll_health_checks_total", "shop", "passed"), 1);

    (void)snprintf(text, sizeof text, SHOP, server.port, "/ready", server.port);
    edge_fixture_reload(&f, text);
    EDGE_FIXTURE_UNTIL(&f, &server,
                       (answer(&server, "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"),
                        checked(&f, 0) == TARGET_CHECK_STATUS));
    assert_int_equal(server.count, 2);
    assert_true(peer_has(&server.peers[1], "GET /ready "));
    assert_int_equal(EDGE_FIXTURE_METRIC(&f, "plimsoll_target_up", "shop", server.text), 0);
    edge_fixture_done(&f);
    peer_server_done(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edge_probes_follow_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
