// targets.test.mjs: targets that die, are drained, ejected, and breakers: what clients see of it.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { command, order, statusOf, upstreamOf } from './lib/command.mjs';
import { eventually, request } from './lib/http.mjs';
import { load, startLoad } from './lib/load.mjs';
import { startPlimsoll, withoutBinary } from './lib/plimsoll.mjs';
import { startTarget } from './lib/processes.mjs';
import { startApp } from './lib/upstream.mjs';

const skip = withoutBinary;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const configFor = (targets, more = {}) => ({
  upstreams: { app: { targets: targets.map(({ port }) => `127.0.0.1:${port}`), ...more } },
  routes: [{ match: { path: '/' }, to: 'app' }],
});

// `count` targets in processes of their own, and Plimsoll before them.
async function withTargets(count, more, body, kind = 'dev') {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-targets-'));
  const targets = [];
  for (let i = 0; i < count; i++) targets.push(await startTarget(folder));
  const plimsoll = await startPlimsoll({ config: configFor(targets, more), kind });
  try {
    await body(plimsoll, targets);
  } finally {
    for (const target of targets) await target.kill().catch(() => {});
    await plimsoll.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

// Outliers come back soon, so that each round meets all targets again.
const SOON = { outlier: { eject: '200ms', eject_max: '400ms' } };

for (const count of [2, 3]) {
  test(`${count} targets killed and started again under load: no idempotent request fails`, { skip, timeout: 90_000 }, async (t) => {
    await withTargets(count, SOON, async (plimsoll, targets) => {
      const gets = startLoad({ port: plimsoll.port, connections: 12 });
      const slow = startLoad({ port: plimsoll.port, connections: 4, path: '/slow/20' });
      const puts = startLoad({ port: plimsoll.port, connections: 2, method: 'PUT', body: 'x'.repeat(2000) });
      let kills = 0;
      for (let round = 0; round < 6; round++) {
        const target = targets[round % count];
        await sleep(300);
        await target.kill();
        kills += 1;
        await sleep(300);
        await target.start();
        await sleep(450); // until the ejection of a target that is back is over
      }
      const results = [await gets.stop(), await slow.stop(), await puts.stop()];
      const sent = results.reduce((sum, { sent: n }) => sum + n, 0);
      const { targets: seen } = await upstreamOf(plimsoll, 'app');
      t.diagnostic(`${kills} kills, ${sent} requests, ${results.reduce((n, r) => n + r.failed, 0)} failed, `
        + `${seen.reduce((n, one) => n + one.failures, 0)} tries failed, ${seen.reduce((n, one) => n + one.ejections, 0)} ejections`);
      for (const result of results) {
        assert.deepEqual(result.failures, []);
        assert.deepEqual(Object.keys(result.statuses), ['200']);
      }
      assert.ok(seen.some(({ failures }) => failures > 0), 'the kills were felt');
    }, 'release');
  });
}

// Sends POSTs one after the other on several connections, each with an id of its own.
async function post(port, { connections, run, headers = {} }) {
  const results = { sent: 0, statuses: {} };
  await Promise.all(Array.from({ length: connections }, async (_, lane) => {
    for (let i = 0; !run.isStopping; i++) {
      const id = `${lane}-${i}`;
      const named = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value(id)]));
      const reply = await request({ port, method: 'POST', path: '/slow/5', headers: { 'x-id': id, ...named }, body: 'order' });
      results.sent += 1;
      results.statuses[reply.status] = (results.statuses[reply.status] ?? 0) + 1;
    }
  }));
  return results;
}

async function postWhileKilling(plimsoll, targets, headers) {
  const run = { isStopping: false };
  const posting = post(plimsoll.port, { connections: 8, run, headers });
  for (let round = 0; round < 4; round++) {
    await sleep(250);
    await targets[round % 2].kill();
    await sleep(150);
    await targets[round % 2].start();
    await sleep(450);
  }
  run.isStopping = true;
  const results = await posting;
  const seen = targets.flatMap((target) => target.seen());
  return { ...results, seen: seen.length, repeated: seen.length - new Set(seen).size };
}

test('a POST that a target may have carried out is not repeated', { skip, timeout: 60_000 }, async (t) => {
  await withTargets(2, SOON, async (plimsoll, targets) => {
    const result = await postWhileKilling(plimsoll, targets, {});
    t.diagnostic(`${result.sent} POSTs ${JSON.stringify(result.statuses)}, ${result.seen} seen, ${result.repeated} repeated`);
    assert.equal(result.repeated, 0);
    assert.ok(result.statuses[200] > 0);
    for (const status of Object.keys(result.statuses)) assert.match(status, /^(200|502)$/);
    assert.ok(result.statuses[502] > 0, 'those under way when a target died are told so');
  });
});

test('a POST with an Idempotency-Key is repeated until it succeeds', { skip, timeout: 60_000 }, async (t) => {
  await withTargets(2, SOON, async (plimsoll, targets) => {
    const result = await postWhileKilling(plimsoll, targets, { 'idempotency-key': (id) => `"${id}"` });
    t.diagnostic(`${result.sent} POSTs ${JSON.stringify(result.statuses)}, ${result.seen} seen, ${result.repeated} repeated`);
    assert.deepEqual(Object.keys(result.statuses), ['200']);
  });
});

test('drain takes a target out without a failure, and undrain brings it back', { skip }, async () => {
  await withTargets(2, {}, async (plimsoll, [a, b]) => {
    const running = startLoad({ port: plimsoll.port, connections: 8 });
    const slow = startLoad({ port: plimsoll.port, connections: 4, path: '/slow/30' });
    const triesOf = async (port) => (await upstreamOf(plimsoll, 'app')).targets
      .find(({ address }) => address.endsWith(`:${port}`));
    await eventually('both are asked', async () => (await triesOf(a.port)).tries > 20 && (await triesOf(b.port)).tries > 20);
    const told = await order(plimsoll, 'target', 'drain', 'app', `127.0.0.1:${a.port}`);
    assert.match(told, new RegExp(`^127\\.0\\.0\\.1:${a.port}: draining`));
    await eventually('nothing runs on it', async () => (await triesOf(a.port)).in_flight === 0);
    const { tries } = await triesOf(a.port);
    // Idle connections to it are of no more use; the target may go away.
    await a.kill();
    await sleep(400);
    assert.equal((await triesOf(a.port)).tries, tries, 'it gets no new request');
    await a.start();
    // It holds over a reload, and the status says so.
    await order(plimsoll, 'reload');
    assert.equal((await triesOf(a.port)).state, 'draining');
    assert.match(await order(plimsoll, 'status'), new RegExp(`127\\.0\\.0\\.1:${a.port} +draining`));
    assert.equal((await triesOf(a.port)).tries, tries);
    assert.match(await order(plimsoll, 'target', 'undrain', 'app', `127.0.0.1:${a.port}`), /: up$/m);
    await eventually('it is asked again', async () => (await triesOf(a.port)).tries > tries + 20);
    for (const result of [await running.stop(), await slow.stop()]) {
      assert.deepEqual(result.failures, []);
      assert.deepEqual(Object.keys(result.statuses), ['200']);
    }
    const unknown = await command(plimsoll, 'target', 'drain', 'app', '127.0.0.1:1');
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /has no target "127\.0\.0\.1:1"/);
    assert.equal((await command(plimsoll, 'target', 'drain', 'nowhere', '127.0.0.1:1')).code, 1);
  });
});

test('a target that keeps failing is ejected, longer each time, and returns', { skip }, async (t) => {
  let isFailing = true;
  const bad = await startApp((req, res) => { res.statusCode = isFailing ? 500 : 200; res.end('bad'); });
  const good = await startApp((req, res) => res.end('good'));
  const plimsoll = await startPlimsoll({
    config: configFor([bad, good], { breaker_on: false, outlier: { failures: 3, eject: '300ms', eject_max: '5s' } }),
  });
  const running = startLoad({ port: plimsoll.port, connections: 4 });
  const badNow = async () => (await upstreamOf(plimsoll, 'app')).targets[0];
  const first = await eventually('it is ejected', async () => {
    const seen = await badNow();
    return seen.state === 'ejected' && seen;
  });
  assert.ok(first.for_ms <= 300, `out for ${first.for_ms} ms`);
  const third = await eventually('it is ejected for longer', async () => {
    const seen = await badNow();
    return seen.ejections >= 3 && seen.state === 'ejected' && seen;
  });
  assert.ok(third.for_ms > 300, `the third time for ${third.for_ms} ms`);
  isFailing = false;
  const before = bad.requests;
  await eventually('it is asked and stays', async () =>
    bad.requests > before + 200 && (await badNow()).state === 'up');
  const result = await running.stop();
  t.diagnostic(`${result.sent} requests ${JSON.stringify(result.statuses)}, ${(await badNow()).ejections} ejections`);
  // Three failures an ejection, and what each loop had under way.
  assert.ok(result.statuses[500] <= (await badNow()).ejections * (3 + 4), JSON.stringify(result.statuses));
  assert.deepEqual(result.failures, []);
  await plimsoll.stop();
  for (const app of [bad, good]) await app.stop();
});

test('the breaker opens, refuses fast with Retry-After, probes, and closes', { skip, timeout: 60_000 }, async (t) => {
  const app = { isWell: false };
  const upstream = await startApp((req, res) => {
    res.statusCode = app.isWell ? 200 : 500;
    setTimeout(() => res.end(), 5);
  });
  const breaker = { open: '1200ms', volume: 20, failure_rate: '50%', probes: 3 };
  const plimsoll = await startPlimsoll({ config: configFor([upstream], { breaker, outlier: { failures: 0 } }) });
  const state = async () => (await statusOf(plimsoll)).upstreams[0].breaker;
  assert.equal((await state()).state, 'closed');

  const failing = await load({ port: plimsoll.port, connections: 4, requests: 100 });
  const reached = upstream.requests;
  const open = await state();
  assert.equal(open.state, 'open');
  assert.ok(open.volume >= 20 && open.failure_rate_percent === 100, JSON.stringify(open));
  assert.equal(open.refused, failing.statuses[503]);
  assert.ok(reached >= 20 && reached <= 20 + 4, `${reached} reached the application`);

  const refused = await request({ port: plimsoll.port });
  assert.equal(refused.status, 503);
  assert.equal(refused.headers['content-type'], 'application/problem+json');
  const seconds = Number(refused.headers['retry-after']);
  assert.ok(seconds >= 1 && seconds <= 3, `retry-after ${refused.headers['retry-after']}`);
  const started = process.hrtime.bigint();
  const fast = await load({ port: plimsoll.port, connections: 1, requests: 50 });
  const each = Number(process.hrtime.bigint() - started) / 1e6 / 50;
  assert.deepEqual(fast.statuses, { 503: 50 });
  assert.equal(upstream.requests, reached, 'nothing reaches the application');

  // Its first probing fails: open again, for longer.
  await eventually('it was probed and opened again', async () => {
    await request({ port: plimsoll.port });
    return (await upstreamOf(plimsoll, 'app')).breaker.opened === 2;
  });
  const again = await state();
  assert.equal(again.state, 'open');
  assert.ok(upstream.requests - reached <= 3, `${upstream.requests - reached} probes`);
  assert.ok(again.probes_after_ms > 1200 * 0.9, `probes after ${again.probes_after_ms} ms`);

  app.isWell = true;
  const states = new Set();
  await eventually('it closes', async () => {
    await request({ port: plimsoll.port });
    const { state: now } = (await upstreamOf(plimsoll, 'app')).breaker;
    states.add(now);
    return now === 'closed';
  }, { timeoutMs: 10_000, everyMs: 10 });
  assert.ok(states.has('half-open'), [...states].join());
  assert.deepEqual((await load({ port: plimsoll.port, connections: 4, requests: 100 })).statuses, { 200: 100 });
  t.diagnostic(`${reached} failures opened it, ${open.refused} refused at once, ${each.toFixed(2)} ms a refusal; ${[...states].join(' -> ')}`);

  // By hand.
  assert.match(await order(plimsoll, 'breaker', 'open', 'app'), /^app: forced-open$/m);
  assert.equal((await request({ port: plimsoll.port })).status, 503);
  assert.match(await order(plimsoll, 'status'), /breaker forced-open/);
  app.isWell = false;
  assert.match(await order(plimsoll, 'breaker', 'close', 'app'), /^app: forced-closed$/m);
  assert.deepEqual((await load({ port: plimsoll.port, connections: 4, requests: 60 })).statuses, { 500: 60 });
  assert.match(await order(plimsoll, 'breaker', 'auto', 'app'), /^app: closed$/m);
  assert.equal((await command(plimsoll, 'breaker', 'auto', 'nowhere')).code, 1);
  await plimsoll.stop();
  await upstream.stop();
});

test('slow answers open the breaker too', { skip }, async () => {
  const upstream = await startApp((req, res) => setTimeout(() => res.end(), 60));
  const breaker = { slow_call: '50ms', slow_rate: '80%', volume: 10, open: '10s' };
  const plimsoll = await startPlimsoll({ config: configFor([upstream], { breaker }) });
  const result = await load({ port: plimsoll.port, connections: 5, requests: 60 });
  assert.ok(result.statuses[200] >= 10 && result.statuses[503] > 0, JSON.stringify(result.statuses));
  assert.equal((await upstreamOf(plimsoll, 'app')).breaker.state, 'open');
  await plimsoll.stop();
  await upstream.stop();
});

test('an upstream that asks for a pause by Retry-After gets it', { skip }, async () => {
  let isBusy = true;
  const busy = await startApp((req, res) => {
    if (isBusy) res.writeHead(503, { 'retry-after': '1' });
    res.end();
  });
  const other = await startApp((req, res) => res.end());
  const plimsoll = await startPlimsoll({ config: configFor([busy, other], { breaker_on: false }) });
  const result = await load({ port: plimsoll.port, connections: 4, requests: 200 });
  assert.deepEqual(result.statuses, { 200: 200 });
  assert.ok(busy.requests <= 10, `${busy.requests} requests in its pause`);
  isBusy = false;
  await eventually('it is asked again after the pause', async () => {
    await request({ port: plimsoll.port });
    return busy.requests > 10;
  });
  await plimsoll.stop();
  for (const app of [busy, other]) await app.stop();
});
