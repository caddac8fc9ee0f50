// limits.test.mjs: rate limits as a client meets them.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { request } from './lib/http.mjs';
import { load } from './lib/load.mjs';
import { startPlimsoll, withoutBinary } from './lib/plimsoll.mjs';
import { startRawUpstream } from './lib/upstream.mjs';

const skip = withoutBinary;
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

async function withLimits(limits, body) {
  const upstream = await startRawUpstream(OK);
  const config = {
    upstreams: { app: { targets: [`127.0.0.1:${upstream.port}`] } },
    routes: [
      { match: { path: '/free' }, to: 'app' },
      { match: { path: '/' }, limits, to: 'app' },
    ],
  };
  const plimsoll = await startPlimsoll({ config });
  try {
    await body(plimsoll, upstream, config);
  } finally {
    await plimsoll.stop();
    await upstream.stop();
  }
}

test('exactly so many pass, however many ask at once', { skip }, async () => {
  await withLimits([{ per: 'ip', rate: '50/h' }], async ({ port }, upstream) => {
    const result = await load({ port, connections: 20, requests: 400 });
    assert.deepEqual(result.failures, []);
    assert.deepEqual(result.statuses, { 200: 50, 429: 350 });
    assert.equal(upstream.requests.length, 50, 'what is refused never reaches the application');
  });
});

test('a refusal says when to come back, as fields and as a problem document', { skip }, async () => {
  await withLimits([{ per: 'ip', rate: '2/min' }], async ({ port }) => {
    const first = await request({ port });
    assert.equal(first.headers['x-ratelimit-limit'], '2');
    assert.equal(first.headers['x-ratelimit-remaining'], '1');
    await request({ port });
    const refused = await request({ port });
    assert.equal(refused.status, 429);
    assert.equal(refused.headers['content-type'], 'application/problem+json');
    const seconds = Number(refused.headers['retry-after']);
    assert.ok(seconds >= 1 && seconds <= 61, `retry-after ${seconds}`);
    assert.equal(refused.headers['x-ratelimit-remaining'], '0');
    assert.match(refused.headers['ratelimit-policy'], /q=2;.*w=60|w=60;.*q=2/);
    assert.match(refused.headers.ratelimit, /r=0/);
    const problem = JSON.parse(refused.body);
    assert.equal(problem.status, 429);
    assert.match(problem.type, /quota-exceeded/);
  });
});

test('another route is not touched', { skip }, async () => {
  await withLimits([{ per: 'ip', rate: '1/h' }], async ({ port }) => {
    await request({ port });
    assert.equal((await request({ port })).status, 429);
    assert.equal((await request({ port, path: '/free' })).status, 200);
  });
});
