// hostile.test.mjs: clients and web pages that mean harm, and configurations that nobody tried.

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';

import { eventually, request } from './lib/http.mjs';
import { runPlimsoll, scratchFolder, startPlimsoll, withoutBinary } from './lib/plimsoll.mjs';
import { parseResponses, rawExchange } from './lib/raw.mjs';
import { startApp, startRawUpstream } from './lib/upstream.mjs';

const skip = withoutBinary;
const plain = (body = 'ok', extra = '') =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n${extra}\r\n${body}`;
const get = (path, lines = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`;

async function inFront(config, body, answer = plain()) {
  const upstream = await startRawUpstream(answer);
  const plimsoll = await startPlimsoll({ config: {
    upstreams: { app: { targets: [`127.0.0.1:${upstream.port}`] } },
    routes: [{ match: { path: '/' }, to: 'app' }],
    ...config,
  } });
  try {
    await body(plimsoll, upstream);
  } finally {
    await upstream.stop();
    await plimsoll.stop();
  }
}

test('what a trusted proxy says stands behind what the client said, however often', { skip }, async () => {
  await inFront({ trusted_proxies: ['127.0.0.1'] }, async ({ port }, upstream) => {
    const forged = 'X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n'.repeat(40);
    await rawExchange({ port, until: 'ok', bytes: get('/', `${forged}X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: http\r\n`) });
    assert.match(upstream.requests[0], /\r\nx-forwarded-for: 9\.9\.9\.9, 127\.0\.0\.1\r\n/);
    assert.match(upstream.requests[0], /\r\nx-forwarded-proto: http\r\n/);
  });
});

test('a location that would be too long is refused, and nothing else happens', { skip }, async () => {
  const to = 'https://x.example{path}{query}?{path}{path}{path}{path}';
  await inFront({ routes: [{ match: { path: '/' }, redirect: { to } }] }, async ({ port }) => {
    const long = await rawExchange({ port, bytes: get(`/${'a'.repeat(7000)}?b`, 'Connection: close\r\n') });
    assert.equal(parseResponses(long.text)[0].status, 414);
    const short = await rawExchange({ port, bytes: get('/a?b', 'Connection: close\r\n') });
    assert.equal(parseResponses(short.text)[0].headers.location, 'https://x.example/a?b?/a/a/a/a');
  });
});

const configOf = (more) => JSON.stringify({
  listen: [{ address: '127.0.0.1:1' }],
  upstreams: { app: { targets: ['127.0.0.1:2'] } },
  routes: [{ match: { path: '/' }, to: 'app' }],
  ...more,
});

async function assertRefused(more, pattern) {
  const folder = scratchFolder();
  try {
    writeFileSync(`${folder}/plimsoll.yaml`, configOf(more));
    const result = await runPlimsoll(['check', 'plimsoll.yaml'], { cwd: folder });
    assert.equal(result.code, 1, result.stdout);
    assert.match(result.stderr, pattern);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('headers that do not fit into any answer are refused with the configuration', { skip }, async () => {
  const csp = 'a'.repeat(4000);
  await assertRefused({ protections: { content_security_policy: csp, permissions_policy: csp } }, /bytes together/);
  const limits = Array.from({ length: 8 }, (_, i) => ({ name: `${'n'.repeat(36)}${i}`, per: 'ip', rates: ['10/s', '100/min', '1000/h', '9999/d'] }));
  await assertRefused({ routes: [{ match: { path: '/' }, to: 'app', limits, protections: { content_security_policy: csp } }] }, /bytes together/);
});

test('a name that resolves to the loopback address does not open the admin pages', { skip }, async () => {
  await inFront({}, async ({ adminPort: port }) => {
    for (const host of ['evil.example', `evil.example:${port}`]) {
      for (const path of ['/metrics', '/api/admin/status', '/health/system']) {
        assert.equal((await request({ port, path, headers: { host } })).status, 421, path);
      }
    }
    for (const host of ['localhost', `localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, 'LOCALHOST']) {
      assert.equal((await request({ port, path: '/metrics', headers: { host } })).status, 200, host);
    }
  });
});

test('more clients than descriptors do not cut off the upstream, nor blame it', { skip }, async () => {
  const app = await startApp((req, res) => res.end('ok'));
  const plimsoll = await startPlimsoll({ descriptors: 64, config: {
    upstreams: { app: { targets: [`127.0.0.1:${app.port}`] } },
    routes: [{ match: { path: '/' }, to: 'app' }],
  } });
  const clients = Array.from({ length: 200 }, () => {
    const socket = net.connect(plimsoll.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(get('/'));
    return socket.resume();
  });
  const isRefusing = async () => /refused_total\{reason="descriptors"\} [1-9]/.test((await plimsoll.admin('/metrics')).body);
  await eventually('clients are refused', isRefusing);
  for (const socket of clients) socket.destroy();
  await eventually('it serves again', async () => (await request({ port: plimsoll.port })).body === 'ok');
  const { upstreams: [found] } = JSON.parse((await plimsoll.admin('/api/admin/status')).body);
  assert.equal(found.breaker.state, 'closed');
  assert.equal(found.targets[0].state, 'up');
  assert.equal(found.targets[0].failures, 0);
  await plimsoll.stop();
  await app.stop();
});

test('the log names the upstream whose breaker opens', { skip }, async () => {
  await inFront({}, async (plimsoll) => {
    for (let i = 0; i < 60; i++) await request({ port: plimsoll.port, method: 'POST' });
    await eventually('it is logged', async () => plimsoll.child.stdout.includes('"breaker_changed"'));
    assert.match(plimsoll.child.stdout, /"event":"breaker_changed","upstream":"app","from":"closed","to":"open"/);
  }, 'HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n');
});

test('headers that Plimsoll writes itself cannot be set a second time', { skip }, async () => {
  const route = (more) => ({ routes: [{ match: { path: '/' }, to: 'app', ...more }] });
  await assertRefused(route({ response_headers: { 'X-Frame-Options': 'DENY' } }), /X-Frame-Options: .*protections/);
  await assertRefused(route({ request_headers: { 'x-forwarded-proto': 'https' } }), /writes this header itself/);
  await assertRefused(route({ response_headers: { 'x-a': 'b\r\nset-cookie: c' } }), /expected a text/);
  await assertRefused(route({ request_headers: { 'x-a\r\nx-b': 'c' } }), /cannot be set here|expected|control character/);
});

test('secrets do not get into the access log', { skip }, async () => {
  await inFront({}, async ({ port, child }) => {
    await request({ port, path: '/reset?token=HIDDEN&user=SHOWN&access_token=HIDDEN&X-Amz-Signature=HIDDEN',
      headers: { authorization: 'Bearer HIDDEN', cookie: 'sid=HIDDEN', 'x-api-key': 'HIDDEN' } });
    await eventually('it is logged', async () => child.stdout.includes('SHOWN'));
    assert.doesNotMatch(child.stdout, /HIDDEN/);
    assert.match(child.stdout, /"query":"token=REDACTED&user=SHOWN&access_token=REDACTED&X-Amz-Signature=REDACTED"/);
  });
});
