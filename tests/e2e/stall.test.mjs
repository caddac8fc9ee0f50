// stall.test.mjs: clients and upstreams that stop half way: memory stays bounded, the deadlines
// fire with the right answer, and everybody else is served as before.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { upstreamOf } from './lib/command.mjs';
import { eventually, request } from './lib/http.mjs';
import { memoryOf, startPlimsoll, withoutBinary } from './lib/plimsoll.mjs';
import { startTarget } from './lib/processes.mjs';
import { parseResponses, rawExchange } from './lib/raw.mjs';
import { startApp, startRawUpstream, startShop } from './lib/upstream.mjs';
import { connectWebSocket } from './lib/websocket.mjs';

const skip = withoutBinary;
const CHUNK = Buffer.alloc(65536, 'x');
const PER_CONNECTION_MAX = 256 * 1024; // of resident memory: a few blocks and what surrounds them
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const kib = (bytes) => Math.round(bytes / 1024);

// Serves /well at once, /flood without end, and reads or ignores bodies by path.
const startStalling = () => startApp((req, res) => {
  if (req.url === '/well') return res.end('well');
  if (req.url === '/ignore') return req.pause();
  if (req.url === '/silent') return req.resume();
  if (req.url === '/half') {
    res.setHeader('content-length', 1000);
    return res.write('half');
  }
  if (req.url === '/flood') {
    const more = () => { while (!res.destroyed && res.write(CHUNK)); };
    res.on('drain', more);
    return more();
  }
  req.resume();
  return req.on('end', () => res.end('read'));
});

async function inFront({ kind = 'dev', upstream = {}, ...more }, body) {
  const app = await startStalling();
  const plimsoll = await startPlimsoll({ kind, config: {
    upstreams: { app: { targets: [`127.0.0.1:${app.port}`], ...upstream } },
    routes: [{ match: { path: '/' }, to: 'app', body_max: '1gb' },
      { match: { path: '/own' }, respond: { body: 'x'.repeat(60_000) } }],
    ...more,
  } });
  try {
    await body(plimsoll, app);
  } finally {
    await app.stop();
    await plimsoll.stop();
  }
}

// Connections that send `bytes` and never read: { close }.
function unreading(port, count, bytes) {
  const sockets = Array.from({ length: count }, () => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.pause();
    socket.write(bytes);
    return socket;
  });
  return { close: () => { for (const socket of sockets) socket.destroy(); } };
}

// The times of `count` requests, one after the other, in order of their length.
async function timesOf(port, count) {
  const times = [];
  for (let i = 0; i < count; i++) {
    const started = process.hrtime.bigint();
    assert.equal((await request({ port, path: '/well' })).body, 'well');
    times.push(Number(process.hrtime.bigint() - started) / 1e6);
  }
  return times.sort((a, b) => a - b);
}

async function assertBounded(t, what, plimsoll, count, begin) {
  await timesOf(plimsoll.port, 50);
  const quiet = await timesOf(plimsoll.port, 200);
  const before = await memoryOf(plimsoll.pid);
  const end = begin();
  await sleep(1000);
  const first = (await memoryOf(plimsoll.pid)) - before;
  await sleep(1000);
  const second = (await memoryOf(plimsoll.pid)) - before;
  const beside = await timesOf(plimsoll.port, 200);
  end();
  t.diagnostic(`${count} ${what}: ${kib(first)} KiB more after 1 s, ${kib(second)} KiB after 2 s; `
    + `others: median ${quiet[100].toFixed(2)} ms alone, ${beside[100].toFixed(2)} ms beside them, longest ${beside[199].toFixed(1)} ms`);
  assert.ok(second < count * PER_CONNECTION_MAX, `${what}: grew by ${second} bytes`);
  // What Node and a busy machine add is not counted: a request behind a stalled one would wait seconds.
  assert.ok(beside[100] < quiet[100] * 10 + 20 && beside[199] < 900, `${what}: others wait ${beside[100]} ms, at most ${beside[199]} ms`);
}

test('clients that do not read a large answer', { skip, timeout: 60_000 }, async (t) => {
  await inFront({ kind: 'release' }, async (plimsoll) => {
    await assertBounded(t, 'clients that read nothing', plimsoll, 100, () =>
      unreading(plimsoll.port, 100, 'GET /flood HTTP/1.1\r\nHost: a\r\n\r\n').close);
  });
});

test('clients that send pipelined requests and read no answer', { skip, timeout: 60_000 }, async (t) => {
  await inFront({ kind: 'release' }, async (plimsoll) => {
    await assertBounded(t, 'clients that only ask', plimsoll, 50, () =>
      unreading(plimsoll.port, 50, 'GET /own HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(20_000)).close);
  });
});

test('uploads that the application does not read', { skip, timeout: 60_000 }, async (t) => {
  await inFront({ kind: 'release' }, async (plimsoll) => {
    await assertBounded(t, 'uploads that nobody reads', plimsoll, 50, () =>
      unreading(plimsoll.port, 50, Buffer.concat([
        Buffer.from('POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n'), Buffer.alloc(4_000_000, 'x'),
      ])).close);
  });
});

test('clients that never finish a head, or a body', { skip, timeout: 60_000 }, async (t) => {
  await inFront({ kind: 'release' }, async (plimsoll) => {
    await assertBounded(t, 'unfinished heads', plimsoll, 200, () =>
      unreading(plimsoll.port, 200, `GET /well HTTP/1.1\r\nHost: a\r\nX-Long: ${'y'.repeat(8000)}`).close);
    await assertBounded(t, 'unfinished bodies', plimsoll, 200, () =>
      unreading(plimsoll.port, 200, `POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${'y'.repeat(8000)}`).close);
  });
});

test('a WebSocket whose one side does not read', { skip, timeout: 60_000 }, async (t) => {
  const upstream = await startRawUpstream((head, socket) => {
    if (!/upgrade: websocket/i.test(head)) return 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwell';
    socket.removeAllListeners('data');
    socket.pause(); // and so the client's frames are not read
    const key = /sec-websocket-key: (\S+)/i.exec(head)[1];
    import('node:crypto').then(({ createHash }) => {
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`);
      const more = () => { while (!socket.destroyed && socket.write(CHUNK)); };
      socket.on('drain', more);
      more();
    });
    return undefined;
  });
  const plimsoll = await startPlimsoll({ kind: 'release', config: {
    upstreams: { app: { targets: [`127.0.0.1:${upstream.port}`] } }, routes: [{ match: { path: '/' }, to: 'app' }],
  } });
  const handshake = 'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
    + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
  await assertBounded(t, 'WebSockets that nobody reads', plimsoll, 50, () =>
    unreading(plimsoll.port, 50, Buffer.concat([Buffer.from(handshake), Buffer.alloc(2_000_000, 'z')])).close);
  await plimsoll.stop();
  await upstream.stop();
});

// ---- the deadlines ----

// Sends `first`, then one byte each `everyMs` until the other side closes.
function trickle({ port, first = '', text, everyMs }) {
  return new Promise((resolve) => {
    const started = Date.now();
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    let received = '';
    let at = 0;
    const timer = setInterval(() => { if (!socket.destroyed) socket.write(text[at++ % text.length]); }, everyMs);
    const end = () => {
      clearInterval(timer);
      socket.destroy();
      resolve({ text: received, status: parseResponses(received)[0]?.status, ms: Date.now() - started });
    };
    socket.on('connect', () => { if (first !== '') socket.write(first); });
    socket.on('data', (chunk) => { received += chunk.toString('latin1'); });
    socket.on('end', end).on('error', end).on('close', end);
  });
}

const within = (ms, least, most) => assert.ok(ms >= least && ms <= most, `after ${ms} ms, not ${least} to ${most}`);
const SLACK_MS = 2500; // for a busy machine

test('a head that comes byte by byte gets 408 at its deadline', { skip }, async () => {
  await inFront({ timeouts: { header: '600ms' } }, async ({ port }) => {
    const slow = await trickle({ port, text: 'GET / HTTP/1.1\r\nHost: a\r\nX-A: ', everyMs: 100 });
    assert.equal(slow.status, 408);
    within(slow.ms, 550, 600 + SLACK_MS);
    assert.match(slow.text, /\r\nconnection: close\r\n/i);
    // The next head of a connection as well.
    const second = await trickle({ port, first: 'GET /well HTTP/1.1\r\nHost: a\r\n\r\n', text: 'GET / HTTP', everyMs: 100 });
    assert.deepEqual(parseResponses(second.text).map(({ status }) => status), [200, 408]);
  });
});

test('a connection that says nothing is closed without a word', { skip }, async () => {
  await inFront({ timeouts: { header: '400ms', idle: '400ms' } }, async ({ port }) => {
    const silent = await rawExchange({ port, bytes: '' });
    assert.deepEqual([silent.text, silent.ended], ['', 'closed']);
    within(silent.ms, 350, 400 + SLACK_MS);
    const idle = await rawExchange({ port, bytes: 'GET /well HTTP/1.1\r\nHost: a\r\n\r\n' });
    assert.equal(parseResponses(idle.text).length, 1);
    assert.equal(idle.ended, 'closed');
    within(idle.ms, 350, 400 + SLACK_MS);
  });
});

test('a body below the least rate gets 408, and one above it passes', { skip }, async () => {
  await inFront({ http: { body_rate: '200b', body_rate_grace: '500ms' } }, async ({ port }, app) => {
    const head = 'POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 400\r\n\r\n';
    const slow = await trickle({ port, first: head, text: 'x', everyMs: 50 });
    assert.equal(slow.status, 408);
    within(slow.ms, 450, 1000 + SLACK_MS);
    const none = await rawExchange({ port, bytes: head });
    assert.equal(parseResponses(none.text)[0].status, 408);
    const enough = await new Promise((resolve) => {
      const pieces = Array.from({ length: 8 }, () => 'x'.repeat(50));
      const socket = net.connect(port, '127.0.0.1', () => socket.write(head));
      const timer = setInterval(() => { if (pieces.length > 0) socket.write(pieces.pop()); }, 100);
      socket.once('data', (chunk) => { clearInterval(timer); socket.destroy(); resolve(String(chunk)); });
    });
    assert.match(enough, /^HTTP\/1\.1 200 /);
    assert.ok(app.requests >= 3);
  });
});

test('a body that is fast enough but without end gets 408 at the deadline of the request', { skip }, async () => {
  await inFront({ timeouts: { request: '800ms' }, http: { body_rate: '0b', body_rate_grace: '300ms' } }, async ({ port }) => {
    const slow = await trickle({ port, first: 'POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n', text: 'x', everyMs: 20 });
    assert.equal(slow.status, 408);
    within(slow.ms, 700, 1100 + SLACK_MS);
  });
});

test('a client that does not read is cut off, and its target is not blamed', { skip }, async () => {
  const upstream = { outlier: { failures: 2 }, breaker: { volume: 2 } };
  await inFront({ timeouts: { stall: '400ms' }, upstream }, async (plimsoll) => {
    const stalled = unreading(plimsoll.port, 6, 'GET /flood HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually('they are served', async () => (await upstreamOf(plimsoll, 'app')).targets[0].in_flight === 6);
    await eventually('they are cut off', async () => (await upstreamOf(plimsoll, 'app')).targets[0].in_flight === 0);
    const { targets: [target], breaker } = await upstreamOf(plimsoll, 'app');
    assert.deepEqual([target.state, target.failures, breaker.state], ['up', 0, 'closed']);
    assert.equal((await request({ port: plimsoll.port, path: '/well' })).status, 200);
    stalled.close();
  });
});

test('a client that does not read an answer of our own is cut off', { skip }, async () => {
  await inFront({ timeouts: { stall: '400ms' } }, async (plimsoll) => {
    const stalled = unreading(plimsoll.port, 4, 'GET /own HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(400));
    const connections = async () => JSON.parse((await plimsoll.admin('/api/admin/status')).body).traffic.connections;
    await eventually('they are there', async () => await connections() === 4);
    await eventually('they are cut off', async () => await connections() === 0);
    stalled.close();
  });
});

test('an upstream that does not answer gets its time, then the client gets 504', { skip }, async () => {
  await inFront({ upstream: { timeout: '500ms', retry: { tries: 1 } } }, async ({ port }) => {
    const started = Date.now();
    const reply = await request({ port, path: '/silent' });
    assert.equal(reply.status, 504);
    assert.equal(reply.headers['content-type'], 'application/problem+json');
    within(Date.now() - started, 450, 500 + SLACK_MS);
  });
});

test('a target that hangs costs one try, and another answers', { skip }, async () => {
  const hanging = await startApp((req) => req.resume());
  const well = await startApp((req, res) => res.end('well'));
  const plimsoll = await startPlimsoll({ config: {
    upstreams: { app: { targets: [hanging, well].map(({ port }) => `127.0.0.1:${port}`), try_timeout: '200ms', timeout: '5s' } },
    routes: [{ match: { path: '/' }, to: 'app' }],
  } });
  for (let i = 0; i < 6; i++) assert.equal((await request({ port: plimsoll.port })).body, 'well');
  assert.ok(hanging.requests > 0);
  assert.equal((await request({ port: plimsoll.port, method: 'POST' })).status === 200 || hanging.requests > 0, true);
  await plimsoll.stop();
  for (const app of [hanging, well]) await app.stop();
});

test('a stopped process takes connections and says nothing: 504, and it recovers', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-stall-'));
  const target = await startTarget(folder);
  const plimsoll = await startPlimsoll({ config: {
    upstreams: { app: { targets: [`127.0.0.1:${target.port}`], timeout: '400ms', retry: { tries: 1 }, breaker_on: false, outlier: { failures: 0 } } },
    routes: [{ match: { path: '/' }, to: 'app' }],
  } });
  assert.equal((await request({ port: plimsoll.port })).status, 200);
  target.signal('SIGSTOP');
  const replies = await Promise.all(Array.from({ length: 20 }, () => request({ port: plimsoll.port })));
  assert.deepEqual([...new Set(replies.map(({ status }) => status))], [504]);
  target.signal('SIGCONT');
  await eventually('it answers again', async () => (await request({ port: plimsoll.port })).status === 200);
  await plimsoll.stop();
  await target.kill();
  rmSync(folder, { recursive: true, force: true });
});

test('an upstream that stops reading an upload: 504, and the target is blamed', { skip }, async () => {
  await inFront({ timeouts: { stall: '600ms' }, upstream: { retry: { tries: 1 } } }, async (plimsoll) => {
    const started = Date.now();
    const { text } = await rawExchange({ port: plimsoll.port, until: '\r\n\r\n', timeoutMs: 8000, bytes:
      `POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n${'x'.repeat(29_000_000)}` });
    assert.equal(parseResponses(text)[0]?.status, 504, text.slice(0, 200));
    within(Date.now() - started, 550, 1500 + SLACK_MS);
    assert.equal((await upstreamOf(plimsoll, 'app')).targets[0].failures, 1);
  });
});

test('an answer that stops half way is cut, so that it cannot be taken for whole', { skip }, async () => {
  await inFront({ timeouts: { stall: '400ms' } }, async (plimsoll) => {
    const { text, ended, ms } = await rawExchange({ port: plimsoll.port, bytes: 'GET /half HTTP/1.1\r\nHost: a\r\n\r\n' });
    assert.ok(text.endsWith('half'), text);
    assert.notEqual(ended, 'timeout');
    within(ms, 350, 400 + SLACK_MS);
    assert.equal((await upstreamOf(plimsoll, 'app')).targets[0].failures, 1);
  });
});

test('a WebSocket without a byte either way is closed at its deadline', { skip }, async () => {
  const shop = await startShop({ name: 'a' });
  const plimsoll = await startPlimsoll({ config: {
    upstreams: { app: { targets: [`127.0.0.1:${shop.port}`] } }, routes: [{ match: { path: '/' }, to: 'app' }],
    timeouts: { tunnel_idle: '1s' },
  } });
  const busy = await connectWebSocket({ port: plimsoll.port });
  const idle = await connectWebSocket({ port: plimsoll.port });
  const started = Date.now();
  const chat = setInterval(() => busy.sendText('here'), 200);
  await idle.closed;
  within(Date.now() - started, 900, 1000 + SLACK_MS);
  assert.equal(busy.isClosed, false);
  clearInterval(chat);
  busy.socket.destroy();
  await plimsoll.stop();
  await shop.stop();
});

test('the time that a client takes to send is not counted as the upstream\'s', { skip }, async () => {
  // It reads nothing for a while at the end, so that the last bytes wait for it.
  const app = await startApp((req, res) => {
    let received = 0;
    req.on('data', (chunk) => {
      received += chunk.length;
      if (received > 1_000_000 && received < 1_000_000 + chunk.length + 1) {
        req.pause();
        setTimeout(() => req.resume(), 300);
      }
    });
    req.on('end', () => res.end(String(received)));
  });
  const plimsoll = await startPlimsoll({ config: {
    upstreams: { app: { targets: [`127.0.0.1:${app.port}`], timeout: '500ms', try_timeout: '400ms', retry: { tries: 1 } } },
    routes: [{ match: { path: '/' }, to: 'app', body_max: '1gb' }],
  } });
  const first = 1_000_000;
  const last = 9_000_000;
  const answer = await new Promise((resolve) => {
    const socket = net.connect(plimsoll.port, '127.0.0.1', async () => {
      socket.write(`POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${first + last}\r\n\r\n`);
      for (let i = 0; i < 5; i++) {
        socket.write(Buffer.alloc(first / 5, 'x'));
        await sleep(200);
      }
      socket.write(Buffer.alloc(last, 'y'));
    });
    let text = '';
    socket.on('data', (chunk) => { text += chunk; });
    socket.on('error', () => {}).on('close', () => resolve(text));
  });
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.ok(answer.endsWith(String(first + last)), answer);
  await plimsoll.stop();
  await app.stop();
});

test('slow readers and long WebSockets are no slow calls of the upstream', { skip }, async () => {
  const large = 20_000_000;
  const app = await startApp((req, res) => res.end(Buffer.alloc(large, 'x')));
  const shop = await startShop({ name: 'a' });
  const breaker = { slow_call: '300ms', slow_rate: '50%', volume: 3 };
  const plimsoll = await startPlimsoll({ config: {
    upstreams: { app: { targets: [`127.0.0.1:${app.port}`], breaker }, shop: { targets: [`127.0.0.1:${shop.port}`], breaker } },
    routes: [{ match: { path: '/' }, to: 'app' }, { match: { path: '/ws' }, to: 'shop' }],
  } });
  const sockets = await Promise.all(Array.from({ length: 5 }, () => connectWebSocket({ port: plimsoll.port })));
  const readers = await Promise.all(Array.from({ length: 5 }, () => new Promise((resolve) => {
    let received = 0;
    const socket = net.connect(plimsoll.port, '127.0.0.1', () => {
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      socket.pause();
      setTimeout(() => socket.resume(), 600);
    });
    socket.on('data', (chunk) => { received += chunk.length; });
    socket.on('close', () => resolve(received));
  })));
  for (const received of readers) assert.ok(received > large, `${received} bytes`);
  for (const socket of sockets) await socket.close();
  for (const name of ['app', 'shop']) {
    const { breaker: seen } = await eventually('all are counted', async () => {
      const upstream = await upstreamOf(plimsoll, name);
      return upstream.breaker.volume === 5 && upstream;
    });
    assert.deepEqual([seen.state, seen.slow_rate_percent], ['closed', 0], name);
  }
  await plimsoll.stop();
  await app.stop();
  await shop.stop();
});
