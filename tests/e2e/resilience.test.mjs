// resilience.test.mjs: what clients of the shop see while one of its instances is in trouble.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually, request } from './lib/http.mjs';
import { load } from './lib/load.mjs';
import { startPlimsoll, withoutBinary } from './lib/plimsoll.mjs';
import { rawExchange } from './lib/raw.mjs';
import { startRawUpstream, startShop } from './lib/upstream.mjs';

const skip = withoutBinary;
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

const configFor = (upstreams, more = {}) => ({
  upstreams: { app: { targets: upstreams.map(({ port }) => `127.0.0.1:${port}`), ...more } },
  routes: [{ match: { path: '/' }, to: 'app' }],
});

test('one failing instance of two is not noticed by those who only read', { skip }, async () => {
  const [a, b] = [await startShop({ name: 'a' }), await startShop({ name: 'b' })];
  const plimsoll = await startPlimsoll({ config: configFor([a, b]) });
  a.shop.chaos.set({ fail_percent: 100, seconds: 60 });
  const result = await load({ port: plimsoll.port, path: '/api/products', connections: 4, requests: 200 });
  await plimsoll.stop();
  await a.stop();
  await b.stop();
  assert.deepEqual(result.failures, []);
  assert.deepEqual(result.statuses, { 200: 200 });
});

test('a target that cuts its answers does not spoil the next one', { skip }, async () => {
  const upstream = await startRawUpstream((head, socket, n) => {
    if (n % 2 === 0) return OK;
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart');
    return undefined;
  });
  const plimsoll = await startPlimsoll({ config: configFor([upstream]) });
  const cut = await rawExchange({ port: plimsoll.port, bytes: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n' });
  assert.ok(cut.text.endsWith('part'), cut.text);
  assert.notEqual(cut.ended, 'timeout', 'the client must see that the body was cut');
  assert.equal((await request({ port: plimsoll.port })).body, 'ok');
  await plimsoll.stop();
  await upstream.stop();
});

test('an unhealthy target gets no requests until it is well again', { skip }, async () => {
  const [a, b] = [await startShop({ name: 'a' }), await startShop({ name: 'b' })];
  const plimsoll = await startPlimsoll({
    config: configFor([a, b], { health: { path: '/healthz', interval: '100ms' } }),
  });
  const instances = async () => {
    const seen = new Set();
    for (let i = 0; i < 20; i++) {
      seen.add((await request({ port: plimsoll.port })).headers['x-shop-instance']);
    }
    return [...seen].sort().join();
  };
  assert.equal(await instances(), 'a,b');
  a.shop.chaos.set({ unhealthy: true, seconds: 60 });
  await eventually('only b answers', async () => await instances() === 'b');
  a.shop.chaos.off();
  await eventually('both answer', async () => await instances() === 'a,b');
  await plimsoll.stop();
  await a.stop();
  await b.stop();
});
