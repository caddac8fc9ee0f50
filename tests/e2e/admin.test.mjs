// admin.test.mjs: what operators and their tools see on the admin listener.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { eventually, request } from './lib/http.mjs';
import { load } from './lib/load.mjs';
import { startPlimsoll, withoutBinary } from './lib/plimsoll.mjs';
import { startApp, startShop } from './lib/upstream.mjs';

const skip = withoutBinary;

async function withShop(body) {
  const shop = await startShop({ name: 'a' });
  const plimsoll = await startPlimsoll({ config: {
    upstreams: { shop: { targets: [`127.0.0.1:${shop.port}`], health: { path: '/healthz', interval: '200ms' } } },
    routes: [{ match: { path: '/' }, to: 'shop' }],
  } });
  try {
    await body(plimsoll, shop);
  } finally {
    await plimsoll.stop();
    await shop.stop();
  }
}

test('/metrics is what promtool accepts, and counts requests per route and upstream', { skip }, async () => {
  await withShop(async (plimsoll) => {
    await load({ port: plimsoll.port, path: '/api/products', connections: 2, requests: 50 });
    const text = await eventually('the requests are counted', async () => {
      const { body } = await plimsoll.admin('/metrics');
      return /http_server_request_duration_seconds_count\{[^}]*\} 50\b/.test(body) && body;
    });
    assert.match(text, /^# TYPE http_server_request_duration_seconds histogram$/m);
    assert.match(text, /le="0\.005"/);
    const promtool = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    assert.equal(promtool.error, undefined);
    assert.equal(promtool.status, 0, promtool.stdout + promtool.stderr);
    assert.equal((promtool.stdout + promtool.stderr).trim(), '');
  });
});

test('/metrics speaks OpenMetrics to who asks for it', { skip }, async () => {
  await withShop(async (plimsoll) => {
    const reply = await plimsoll.admin('/metrics', {
      headers: { accept: 'application/openmetrics-text; version=1.0.0' },
    });
    assert.match(reply.headers['content-type'], /^application\/openmetrics-text/);
    assert.ok(reply.body.endsWith('# EOF\n'));
  });
});

test('the health pages answer in their form', { skip }, async () => {
  await withShop(async (plimsoll) => {
    for (const path of ['/health/live', '/health/ready', '/health/system', '/api/health']) {
      const reply = await plimsoll.admin(path);
      assert.equal(reply.status, 200, path);
      assert.match(reply.headers['content-type'], /^application\/health\+json/, path);
      // A busy machine may be worth a warning to /health/system.
      assert.match(JSON.parse(reply.body).status, path === '/health/system' ? /^(pass|warn)$/ : /^pass$/, path);
    }
  });
});

test('draining shows on /health/ready', { skip }, async () => {
  const app = await startApp((req, res) => setTimeout(() => res.end('late'), 1500));
  const plimsoll = await startPlimsoll({ config: {
    upstreams: { app: { targets: [`127.0.0.1:${app.port}`] } },
    routes: [{ match: { path: '/' }, to: 'app' }],
  } });
  const running = request({ port: plimsoll.port });
  await new Promise((resolve) => setTimeout(resolve, 300));
  const stopped = plimsoll.stop();
  await eventually('it is not ready', async () => (await plimsoll.admin('/health/ready')).status === 503,
    { timeoutMs: 1200 });
  assert.equal((await running).body, 'late');
  await stopped;
  await app.stop();
});

test('the admin pages are not on the traffic listener', { skip }, async () => {
  await withShop(async (plimsoll) => {
    for (const path of ['/metrics', '/health/ready', '/api/health']) {
      assert.equal((await request({ port: plimsoll.port, path })).status, 404, path);
    }
  });
});
