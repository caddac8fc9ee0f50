// observe.test.mjs: what logs, metrics, traces and health pages say, read by those they are made
// for: a JSON parser, promtool, a real Prometheus.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { order, statusPage } from './lib/command.mjs';
import { eventually, request, requestJson } from './lib/http.mjs';
import { load } from './lib/load.mjs';
import { freePort, startPlimsoll, withoutBinary } from './lib/plimsoll.mjs';
import { rawExchange } from './lib/raw.mjs';
import { run } from './lib/run.mjs';
import { startApp, startRawUpstream, startShop } from './lib/upstream.mjs';
import { connectWebSocket } from './lib/websocket.mjs';

const skip = withoutBinary;
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

const configFor = (port, more = {}, route = {}) => ({
  upstreams: { app: { targets: [`127.0.0.1:${port}`], ...more } },
  routes: [{ name: 'all', match: { path: '/' }, to: 'app', ...route }],
});

const lines = (text) => text.split('\n').filter(Boolean).map((line) => JSON.parse(line));

test('the access log has one JSON record a request, with what is promised', { skip }, async () => {
  let n = 0;
  const app = await startRawUpstream((head) => {
    if (head.includes('/flaky')) return n++ === 0 ? 'HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n' : OK;
    return OK;
  });
  const plimsoll = await startPlimsoll({ config: {
    ...configFor(app.port, {}, { limits: [{ per: 'header', header: 'x-key', rate: '1/h', name: 'keys' }] }),
    log: { directory: 'log' },
  } });
  const { port } = plimsoll;
  await request({ port, path: '/a%20b/%22x?q=1&r=%0d', headers: {
    'x-request-id': 'given-1', 'x-key': 'one', traceparent: `00-${TRACE}-${SPAN}-01`, 'user-agent': 'tests "1"\t\\' } });
  await request({ port, path: '/flaky', headers: { 'x-request-id': 'given-2', 'x-key': 'two' } });
  await request({ port, method: 'POST', path: '/body', headers: { 'x-request-id': 'given-3', 'x-key': 'three' }, body: 'x'.repeat(1000) });
  await request({ port, path: '/over', headers: { 'x-request-id': 'given-4', 'x-key': 'one' } });
  await rawExchange({ port, bytes: 'GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n' });
  const records = await eventually('all are written', async () => {
    const file = readdirSync(join(plimsoll.folder, 'log')).find((name) => name.includes('access'));
    const found = lines(readFileSync(join(plimsoll.folder, 'log', file), 'utf8'));
    return found.length >= 5 && found;
  });
  const of = (id) => records.find((record) => record.request_id === id);
  const first = of('given-1');
  assert.deepEqual({ ...first, time: '', span_id: '', receive_ms: 0, wait_ms: 0, duration_ms: 0 }, {
    time: '', request_id: 'given-1', trace_id: TRACE, span_id: '', method: 'GET', host: '127.0.0.1',
    path: first.path, query: 'q=1&r=%0d', status: 200, client: '127.0.0.1', scheme: 'http', route: 'all',
    user_agent: 'tests "1"\t\\', upstream: 'app', target: `127.0.0.1:${app.port}`, tries: 1, breaker: 'closed',
    receive_ms: 0, wait_ms: 0, duration_ms: 0, bytes_in: 0, bytes_out: 2,
  });
  assert.match(first.path, /^\/a%20b\/%22x$/);
  assert.match(first.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.ok(Math.abs(Date.now() - Date.parse(first.time)) < 60_000);
  assert.match(first.span_id, /^[0-9a-f]{16}$/);
  assert.notEqual(first.span_id, SPAN);
  for (const phase of ['receive_ms', 'wait_ms', 'duration_ms']) assert.equal(typeof first[phase], 'number', phase);
  assert.ok(first.duration_ms >= first.wait_ms);
  assert.equal(of('given-2').tries, 2);
  assert.equal(of('given-3').bytes_in, 1000);
  const limited = of('given-4');
  assert.deepEqual([limited.status, limited.limited_by, limited.error, limited.upstream], [429, 'keys', 'RATE_LIMITED', undefined]);
  const bad = records.find((record) => record.status === 400);
  assert.equal(bad.error, 'BAD_REQUEST');
  assert.ok(bad.detail.length > 5, bad.detail);
  for (const record of records) assert.match(record.trace_id, /^(?!0{32})[0-9a-f]{32}$/);
  await plimsoll.stop();
  await app.stop();
});

test('a client that leaves is recorded as 499, a WebSocket when it ends', { skip }, async () => {
  const app = await startApp((req) => req.resume());
  const shop = await startShop({ name: 'a' });
  const plimsoll = await startPlimsoll({ config: {
    upstreams: { app: { targets: [`127.0.0.1:${app.port}`] }, shop: { targets: [`127.0.0.1:${shop.port}`] } },
    routes: [{ match: { path: '/' }, to: 'app' }, { match: { path: '/ws' }, to: 'shop' }],
  } });
  const recorded = (status) => eventually(`a ${status} is recorded`, async () =>
    lines(plimsoll.child.stdout).find((record) => record.status === status));
  await request({ port: plimsoll.port, timeoutMs: 150 }).catch(() => {});
  const left = await recorded(499);
  assert.ok(left.duration_ms >= 100, `${left.duration_ms} ms`);
  const ws = await connectWebSocket({ port: plimsoll.port });
  await ws.echo('x');
  await ws.close();
  assert.equal((await recorded(101)).upstream, 'shop');
  await plimsoll.stop();
  await app.stop();
  await shop.stop();
});

test('a trace is continued: same trace id, a new span id, its state passed on', { skip }, async () => {
  const app = await startRawUpstream(OK);
  const plimsoll = await startPlimsoll({ config: configFor(app.port) });
  const seen = async (headers) => {
    await request({ port: plimsoll.port, headers });
    const text = app.requests.at(-1);
    const [, traceId, spanId, flags] = /\r\ntraceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\r\n/i.exec(text);
    return { traceId, spanId, flags, state: /\r\ntracestate: ([^\r]*)\r\n/i.exec(text)?.[1],
      requestId: /\r\nx-request-id: ([^\r]*)\r\n/i.exec(text)[1] };
  };
  const sampled = await seen({ traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'vendor=1,other=2' });
  assert.deepEqual([sampled.traceId, sampled.flags, sampled.state], [TRACE, '01', 'vendor=1,other=2']);
  assert.notEqual(sampled.spanId, SPAN);
  const unsampled = await seen({ traceparent: `00-${TRACE}-${SPAN}-00` });
  assert.deepEqual([unsampled.traceId, unsampled.flags], [TRACE, '00'], 'a decision not to sample is kept');
  const begun = await seen({});
  assert.notEqual(begun.traceId, TRACE);
  for (const wrong of [`00-${'0'.repeat(32)}-${SPAN}-01`, `00-${TRACE}-${'0'.repeat(16)}-01`, `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`, `00-${TRACE}-${SPAN}`]) {
    assert.notEqual((await seen({ traceparent: wrong })).traceId, TRACE, wrong);
  }
  // A later version is read as far as it is known (W3C Trace Context section 3.2.4).
  assert.equal((await seen({ traceparent: `cc-${TRACE}-${SPAN}-01-what-comes` })).traceId, TRACE);
  assert.notEqual((await seen({})).requestId, (await seen({})).requestId);
  assert.equal((await seen({ 'x-request-id': 'mine.1_2-3' })).requestId, 'mine.1_2-3');
  for (const wrong of ['with space', 'a"b', 'x'.repeat(500), 'new\u0001line']) {
    const text = await rawExchange({ port: plimsoll.port, until: 'ok', timeoutMs: 1000,
      bytes: `GET / HTTP/1.1\r\nHost: a\r\nx-request-id: ${wrong}\r\n\r\n` });
    assert.doesNotMatch(text.text, /x-request-id: (with space|a"b|x{200}|new)/i, wrong);
  }
  await plimsoll.stop();
  await app.stop();
});

test('health pages: statuses, form, and what makes them fail', { skip }, async () => {
  const app = await startApp((req, res) => res.end('ok'));
  const plimsoll = await startPlimsoll({ config: configFor(app.port, { outlier: { failures: 1, ejected_max: '100%' } }) });
  const page = async (path) => {
    const { status, headers, json } = await requestJson({ port: plimsoll.adminPort, path });
    assert.match(headers['content-type'], /^application\/health\+json/, path);
    assert.match(headers['cache-control'], /no-store/, path);
    return { code: status, ...json };
  };
  for (const path of ['/health/live', '/health/ready', '/health/system', '/api/health']) {
    const { code, status, checks, serviceId, version } = await page(path);
    assert.equal(code, 200, path);
    assert.match(status, /^(pass|warn)$/, path);
    assert.deepEqual([serviceId, typeof version], ['plimsoll', 'string']);
    for (const [name, entries] of Object.entries(checks)) {
      assert.ok(entries.length > 0, name);
      for (const entry of entries) {
        assert.match(entry.status, /^(pass|warn|fail)$/, name);
        assert.ok(!Number.isNaN(Date.parse(entry.time)), name);
        assert.ok(entry.componentType, name);
      }
    }
  }
  const live = await page('/health/live');
  assert.deepEqual(Object.keys(live.checks), ['uptime']);
  assert.ok(live.checks.uptime[0].observedValue > 0);
  const system = await page('/health/system');
  for (const name of ['memory:utilization', 'cpu:load', 'disk:utilization', 'descriptors:utilization', 'log:writes']) {
    assert.ok(name in system.checks, name);
  }
  // Without any target there is nothing to serve: not ready, but alive.
  await app.stop();
  await request({ port: plimsoll.port });
  const ready = await eventually('it is not ready', async () => {
    const seen = await page('/health/ready');
    return seen.code === 503 && seen;
  });
  assert.equal(ready.status, 'fail');
  assert.match(ready.checks['upstream:targets'][0].output, /no target/);
  assert.equal((await page('/health/live')).code, 200);
  const other = await request({ port: plimsoll.adminPort, path: '/health/nothing' });
  assert.equal(other.status, 404);
  await plimsoll.stop();
});

test('promtool finds nothing wrong with /metrics, in either format', { skip }, async () => {
  const app = await startApp((req, res) => { res.statusCode = req.url === '/500' ? 500 : 200; res.end(); });
  const plimsoll = await startPlimsoll({ config: {
    ...configFor(app.port, { retry: { tries: 2 } }),
    routes: [{ name: 'name with "quotes", \\ and ü', match: { path: '/' }, to: 'app' },
      { match: { path: '/limited' }, limits: [{ rate: '1/h' }], to: 'app' }],
  } });
  for (const path of ['/', '/500', '/limited', '/limited', '/']) await request({ port: plimsoll.port, path });
  const text = await eventually('they are counted', async () => {
    const { body } = await plimsoll.admin('/metrics');
    return /plimsoll_requests_limited_total\{[^}]*\} 1\b/.test(body) && body;
  });
  const checked = await run('promtool', ['check', 'metrics'], { input: text });
  assert.deepEqual([checked.code, (checked.stdout + checked.stderr).trim()], [0, '']);
  const bounds = [...text.matchAll(/^http_server_request_duration_seconds_bucket\{[^}]*http_response_status_code="429",le="([^"]+)"/gm)];
  assert.deepEqual(bounds.map(([, bound]) => Number(bound.replace('+Inf', 'Infinity'))),
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, Infinity]);
  const open = await plimsoll.admin('/metrics', { headers: { accept: 'application/openmetrics-text; version=1.0.0' } });
  assert.match(open.headers['content-type'], /^application\/openmetrics-text; version=1\.0\.0/);
  assert.ok(open.body.endsWith('# EOF\n'));
  assert.match(open.body, / # \{trace_id="[0-9a-f]{32}"\} [0-9.e-]+ [0-9.]+\n/, 'an exemplar');
  const plain = await plimsoll.admin('/metrics', { headers: { accept: 'text/plain' } });
  assert.match(plain.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  assert.doesNotMatch(plain.body, / # \{/);
  await plimsoll.stop();
  await app.stop();
});

// A Prometheus of the test's own, which scrapes twice a second: { url, stop }.
async function startPrometheus(target) {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-prometheus-'));
  const port = await freePort();
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify({
    global: { scrape_interval: '500ms', scrape_timeout: '500ms' },
    scrape_configs: [{ job_name: 'plimsoll', static_configs: [{ targets: [target] }] }],
  }));
  const child = spawn('prometheus', [`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`,
    `--web.listen-address=127.0.0.1:${port}`, '--enable-feature=exemplar-storage', '--log.level=warn'],
  { stdio: ['ignore', 'ignore', 'pipe'] });
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { told += text; });
  const ended = new Promise((resolve) => { child.once('exit', resolve).once('error', resolve); });
  const kill = setTimeout(() => child.kill('SIGKILL'), 60_000);
  return {
    query: async (path, parameters) => {
      const { json } = await requestJson({ port, path: `/api/v1/${path}?${new URLSearchParams(parameters)}` });
      assert.equal(json.status, 'success', JSON.stringify(json));
      return json.data;
    },
    told: () => told,
    stop: async () => {
      clearTimeout(kill);
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

test('Prometheus scrapes series and exemplars', { skip, timeout: 90_000 }, async (t) => {
  const app = await startApp((req, res) => res.end('ok'));
  const plimsoll = await startPlimsoll({ config: configFor(app.port) });
  const prometheus = await startPrometheus(`127.0.0.1:${plimsoll.adminPort}`);
  try {
    const since = Date.now() / 1000 - 5;
    await load({ port: plimsoll.port, connections: 4, requests: 500, headers: { traceparent: `00-${TRACE}-${SPAN}-01` } });
    const count = 'sum(http_server_request_duration_seconds_count{job="plimsoll",http_route="all",http_response_status_code="200"})';
    const value = await eventually('the count is scraped', async () => {
      const { result } = await prometheus.query('query', { query: count });
      return result[0]?.value[1] === '500' && Number(result[0].value[1]);
    }, { timeoutMs: 30_000, everyMs: 200 });
    const exemplars = await eventually('an exemplar is scraped', async () => {
      const found = await prometheus.query('query_exemplars', {
        query: 'http_server_request_duration_seconds_bucket', start: since, end: Date.now() / 1000 + 60 });
      return found.flatMap(({ exemplars: each }) => each).length > 0 && found.flatMap(({ exemplars: each }) => each);
    }, { timeoutMs: 15_000, everyMs: 200 });
    assert.equal(exemplars[0].labels.trace_id, TRACE);
    const { activeTargets: [target] } = await prometheus.query('targets', {});
    assert.deepEqual([target.health, target.lastError], ['up', '']);
    const names = await prometheus.query('label/__name__/values', {});
    for (const name of ['http_client_request_duration_seconds_bucket', 'plimsoll_connections', 'plimsoll_log_records_total']) {
      assert.ok(names.includes(name), name);
    }
    const metadata = await prometheus.query('metadata', { metric: 'http_server_request_duration_seconds' });
    assert.equal(metadata.http_server_request_duration_seconds[0].type, 'histogram');
    const quantile = await prometheus.query('query', {
      query: 'histogram_quantile(0.99, sum by (le) (http_server_request_duration_seconds_bucket))' });
    assert.ok(Number(quantile.result[0].value[1]) > 0);
    t.diagnostic(`Prometheus: ${value} requests, ${exemplars.length} exemplars, ${names.length} series names; it complains of: ${prometheus.told() || 'nothing'}`);
    assert.equal(prometheus.told(), '');
  } finally {
    await prometheus.stop();
    await plimsoll.stop();
    await app.stop();
  }
});

test('the status document counts what runs', { skip }, async () => {
  const waiting = [];
  const app = await startApp((req, res) => { waiting.push(res); });
  const plimsoll = await startPlimsoll({ config: configFor(app.port) });
  const running = [request({ port: plimsoll.port }), request({ port: plimsoll.port })];
  const status = await eventually('two requests run', async () => {
    const seen = await statusPage(plimsoll);
    return seen.traffic.requests_running === 2 && seen;
  });
  assert.deepEqual([status.traffic.connections, status.traffic.tunnels, status.draining], [2, 0, false]);
  assert.equal(status.pid, plimsoll.pid);
  assert.equal(status.upstreams[0].targets[0].in_flight, 2);
  assert.deepEqual(status.routes, ['all']);
  assert.match(await order(plimsoll, 'status'), /2 connections, 2 requests, 0 WebSockets/);
  for (const response of waiting) response.end();
  await Promise.all(running);
  await eventually('nothing runs', async () => (await statusPage(plimsoll)).traffic.requests_running === 0);
  await plimsoll.stop();
  await app.stop();
});
