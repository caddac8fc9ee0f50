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

test('what was used stays used across a reload', { skip }, async () => {
  await withLimits([{ per: 'ip', rate: '3/h' }], async (plimsoll, upstream, config) => {
    await request({ port: plimsoll.port });
    await request({ port: plimsoll.port });
    plimsoll.writeConfig(config);
    plimsoll.reload();
    await new Promise((resolve) => setTimeout(resolve, 500));
    const result = await load({ port: plimsoll.port, connections: 2, requests: 10 });
    assert.deepEqual(result.statuses, { 200: 1, 429: 9 });
  });
});

test('several windows hold at once', { skip }, async () => {
  await withLimits([{ per: 'ip', rate: '1000/h' }, { per: 'ip', rate: '5/min' }], async ({ port }) => {
    const result = await load({ port, connections: 4, requests: 20 });
    assert.deepEqual(result.statuses, { 200: 5, 429: 15 });
    const { headers } = await request({ port });
    assert.match(headers['ratelimit-policy'], /w=3600/);
    assert.match(headers['ratelimit-policy'], /w=60/);
  });
});

test('the limits that hold without a word of configuration have their names and numbers', { skip }, async () => {
  const upstream = await startRawUpstream(OK);
  const plimsoll = await startPlimsoll({ args: ['--upstream', `127.0.0.1:${upstream.port}`,
    '--listen', '127.0.0.1:@PORT@', '--admin', '127.0.0.1:@ADMIN@'] });
  const { headers } = await request({ port: plimsoll.port });
  assert.match(headers['ratelimit-policy'], /^"client[^"]*";q=100;w=1, "client[^"]*";q=3000;w=60, "client[^"]*";q=60000;w=3600$/);
  assert.match(headers.ratelimit, /^"client[^"]*";r=99;t=\d+, /);
  await plimsoll.stop();
  await upstream.stop();
});
