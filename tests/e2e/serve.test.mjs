// serve.test.mjs: the main job: `plimsoll serve --upstream` in front of an application, with no
// configuration file and every default protection on.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import { request } from './lib/http.mjs';
import { runPlimsoll, startPlimsoll, withoutBinary } from './lib/plimsoll.mjs';
import { parseResponses, rawExchange } from './lib/raw.mjs';
import { startApp, startRawUpstream, startShop } from './lib/upstream.mjs';
import { connectWebSocket } from './lib/websocket.mjs';

const skip = withoutBinary;
const flagsFor = (port) => ['--upstream', `127.0.0.1:${port}`,
  '--listen', '127.0.0.1:@PORT@', '--admin', '127.0.0.1:@ADMIN@'];

// Runs `body` with Plimsoll before an upstream, and checks that it ends without a complaint.
async function inFront(upstream, body) {
  const plimsoll = await startPlimsoll({ args: flagsFor(upstream.port) });
  try {
    await body(plimsoll);
  } finally {
    await upstream.stop();
    await plimsoll.stop();
  }
}

const plain = (body = 'ok', extra = '') =>
  `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}\r\n${extra}\r\n${body}`;

test('a request passes and its answer comes back', { skip }, async () => {
  await inFront(await startShop({ name: 'a' }), async ({ port }) => {
    const reply = await request({ port, path: '/api/products' });
    assert.equal(reply.status, 200);
    assert.equal(JSON.parse(reply.body).products.length, 8);
    assert.equal(reply.headers['x-shop-instance'], 'a');
  });
});

test('every answer carries the protections and a request id', { skip }, async () => {
  const upstream = await startRawUpstream(plain('ok', 'server: secret/1.0\r\nx-powered-by: luck\r\n'));
  await inFront(upstream, async ({ port }) => {
    const { headers } = await request({ port });
    assert.match(headers['x-request-id'], /^[\w-]{8,}$/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    for (const name of ['x-frame-options', 'referrer-policy', 'permissions-policy',
      'content-security-policy', 'cross-origin-opener-policy', 'cross-origin-resource-policy']) {
      assert.ok(headers[name], name);
    }
    assert.equal(headers['strict-transport-security'], undefined, 'not without TLS');
    assert.equal(headers['x-powered-by'], undefined);
    assert.doesNotMatch(String(headers.server), /secret/);
  });
});

test('a request id of the client is kept, and the application sees it', { skip }, async () => {
  const upstream = await startRawUpstream(plain());
  await inFront(upstream, async ({ port }) => {
    const { headers } = await request({ port, headers: { 'x-request-id': 'abc-12345678' } });
    assert.equal(headers['x-request-id'], 'abc-12345678');
    assert.match(upstream.requests[0], /\r\nx-request-id: abc-12345678\r\n/i);
  });
});

test('a trace is continued, and begun where there is none', { skip }, async () => {
  const upstream = await startRawUpstream(plain());
  await inFront(upstream, async ({ port }) => {
    const trace = '0af7651916cd43dd8448eb211c80319c';
    await request({ port, headers: { traceparent: `00-${trace}-b7ad6b7169203331-01` } });
    const continued = /\r\ntraceparent: 00-(\w{32})-(\w{16})-01\r\n/i.exec(upstream.requests[0]);
    assert.equal(continued[1], trace);
    assert.notEqual(continued[2], 'b7ad6b7169203331', 'the span is a new one');
    await request({ port });
    assert.match(upstream.requests[1], /\r\ntraceparent: 00-(?!0{32})\w{32}-\w{16}-0[01]\r\n/i);
    await request({ port, headers: { traceparent: '00-zz-zz-01' } });
    assert.match(upstream.requests[2], /\r\ntraceparent: 00-\w{32}-\w{16}-0[01]\r\n/i);
  });
});

test('who asks is told by Plimsoll and not by the client', { skip }, async () => {
  const upstream = await startRawUpstream(plain());
  await inFront(upstream, async ({ port }) => {
    await request({ port, headers: {
      'x-forwarded-for': '6.6.6.6', 'x-real-ip': '6.6.6.6', forwarded: 'for=6.6.6.6',
      'x-forwarded-proto': 'https', 'x-forwarded-host': 'evil.example',
    } });
    assert.doesNotMatch(upstream.requests[0], /6\.6\.6\.6|evil\.example|x-forwarded-proto: https/i);
    assert.match(upstream.requests[0], /\r\nx-forwarded-for: 127\.0\.0\.1\r\n/i);
    assert.match(upstream.requests[0], /\r\nx-forwarded-proto: http\r\n/i);
  });
});

test('hop-by-hop fields and those that Connection names stay on their side', { skip }, async () => {
  const upstream = await startRawUpstream(plain('ok', 'connection: x-inner\r\nx-inner: 1\r\nkeep-alive: timeout=9\r\n'));
  await inFront(upstream, async ({ port }) => {
    const reply = await rawExchange({ port, until: 'ok', bytes:
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n'
      + 'TE: gzip\r\nProxy-Connection: keep-alive\r\nX-Stays: 1\r\n\r\n' });
    assert.match(upstream.requests[0], /\r\nx-stays: 1\r\n/i);
    assert.doesNotMatch(upstream.requests[0], /x-hop|keep-alive: 5|te: gzip|proxy-connection/i);
    assert.doesNotMatch(reply.text, /x-inner|timeout=9/i);
  });
});

test('HEAD, 204 and 304 have no body, and the connection stays in step', { skip }, async () => {
  const answers = {
    '/head': 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n',
    '/204': 'HTTP/1.1 204 No Content\r\n\r\n',
    '/304': 'HTTP/1.1 304 Not Modified\r\netag: "a"\r\ncontent-length: 5\r\n\r\n',
    '/last': plain('last'),
  };
  const upstream = await startRawUpstream((head) => answers[head.split(' ')[1]]);
  await inFront(upstream, async ({ port }) => {
    const get = (path, method = 'GET') => `${method} ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
    const { text } = await rawExchange({ port, until: 'last',
      bytes: get('/head', 'HEAD') + get('/204') + get('/304') + get('/last') });
    assert.deepEqual([...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((m) => m[1]), ['200', '204', '304', '200']);
    assert.ok(text.endsWith('last'));
  });
});

test('pipelined requests are answered in order', { skip }, async () => {
  const app = await startApp((req, res) => setTimeout(() => res.end(req.url), req.url === '/1' ? 80 : 0));
  await inFront(app, async ({ port }) => {
    const bytes = ['/1', '/2', '/3'].map((path, i) =>
      `GET ${path} HTTP/1.1\r\nHost: a\r\n${i === 2 ? 'Connection: close\r\n' : ''}\r\n`).join('');
    const { text } = await rawExchange({ port, bytes });
    assert.deepEqual(parseResponses(text).map((r) => r.body), ['/1', '/2', '/3']);
  });
});

test('bodies pass whole in both directions, by length, chunked and until close', { skip }, async () => {
  const big = Buffer.alloc(600_000, 'plimsoll ');
  const app = await startApp(async (req, res) => {
    const hash = createHash('sha256');
    for await (const chunk of req) hash.update(chunk);
    if (req.url === '/close') {
      res.useChunkedEncodingByDefault = false;
      res.shouldKeepAlive = false;
    }
    res.setHeader('x-hash', hash.digest('hex'));
    if (req.url === '/length') res.setHeader('content-length', big.length);
    res.write(big.subarray(0, 100_000));
    res.end(big.subarray(100_000));
  });
  const hash = createHash('sha256').update(big).digest('hex');
  await inFront(app, async ({ port }) => {
    for (const path of ['/length', '/chunked', '/close']) {
      for (const headers of [{ 'content-length': big.length }, { 'transfer-encoding': 'chunked' }]) {
        const reply = await request({ port, path, method: 'POST', headers, body: big });
        assert.equal(reply.headers['x-hash'], hash, `${path} ${Object.keys(headers)}`);
        assert.equal(createHash('sha256').update(reply.body).digest('hex'), hash, path);
      }
    }
  });
});

test('a byte at a time is a request too', { skip }, async () => {
  await inFront(await startRawUpstream(plain()), async ({ port }) => {
    const bytes = 'POST /slow?x=1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n';
    const { text } = await rawExchange({ port, bytes, pieces: bytes.length });
    assert.equal(parseResponses(text)[0].status, 200);
  });
});

test('Expect: 100-continue is answered before the body comes', { skip }, async () => {
  const app = await startApp((req, res) => {
    req.resume();
    req.on('end', () => res.end('done'));
  });
  await inFront(app, async ({ port }) => {
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n';
    const first = await rawExchange({ port, bytes: head, until: '\r\n\r\n' });
    assert.match(first.text, /^HTTP\/1\.1 100 /);
    // With the body already there the interim answer may be left out (RFC 9110 section 10.1.1).
    const whole = await rawExchange({ port, bytes: `${head}body`, until: 'done' });
    assert.equal(parseResponses(whole.text).at(-1).status, 200);
  });
});

test('an upstream that is away gives a problem document, or a page to a browser', { skip }, async () => {
  const app = await startApp((req, res) => res.end());
  const { port: gone } = app;
  await app.stop();
  await inFront({ port: gone, stop: async () => {} }, async ({ port }) => {
    const reply = await request({ port });
    assert.equal(reply.status, 502);
    assert.equal(reply.headers['content-type'], 'application/problem+json');
    const problem = JSON.parse(reply.body);
    assert.equal(problem.status, 502);
    assert.equal(problem.request_id, reply.headers['x-request-id']);
    assert.ok(problem.type && problem.title);
    const page = await request({ port, headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } });
    assert.match(page.headers['content-type'], /^text\/html/);
    assert.match(page.body, /<html lang="en">/);
  });
});

test('malformed answers of the upstream become 502 and are not passed on', { skip }, async () => {
  const bad = {
    'obs-fold': 'HTTP/1.1 200 OK\r\nx-a: 1\r\n 2\r\ncontent-length: 2\r\n\r\nok',
    'two lengths': 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok',
    'length and chunked': 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    'space before colon': 'HTTP/1.1 200 OK\r\nx-a : 1\r\ncontent-length: 2\r\n\r\nok',
    'bare line feed': 'HTTP/1.1 200 OK\nx-a: 1\r\ncontent-length: 2\r\n\r\nok',
    'no status': 'HTTP/1.1 OK\r\ncontent-length: 2\r\n\r\nok',
    'not http': 'SSH-2.0-OpenSSH_9.2\r\n\r\n',
  };
  const upstream = await startRawUpstream((head) => bad[decodeURIComponent(head.split(' ')[1].slice(1))]);
  await inFront(upstream, async ({ port }) => {
    for (const name of Object.keys(bad)) {
      const reply = await request({ port, method: 'POST', path: `/${encodeURIComponent(name)}` });
      assert.equal(reply.status, 502, name);
    }
  });
});

test('a WebSocket is tunnelled, and only after the upstream agreed', { skip }, async () => {
  const shop = await startShop({ name: 'a' });
  await inFront(shop, async ({ port }) => {
    const ws = await connectWebSocket({ port });
    assert.equal(await ws.echo('ahoy'), 'ahoy');
    const long = 'x'.repeat(300_000);
    assert.equal(await ws.echo(long), long);
    assert.equal(await ws.close(), 1000);
    await assert.rejects(connectWebSocket({ port, path: '/elsewhere' }), /404/);
  });
});

test('SIGTERM lets a running request finish, and the process ends with 0', { skip }, async () => {
  const shop = await startShop({ name: 'a' });
  const plimsoll = await startPlimsoll({ args: flagsFor(shop.port) });
  const running = request({ port: plimsoll.port, path: '/slow?ms=800' });
  await new Promise((resolve) => setTimeout(resolve, 200));
  const stopped = plimsoll.stop();
  assert.equal((await running).status, 200);
  await stopped;
  await assert.rejects(request({ port: plimsoll.port }));
  await shop.stop();
});

test('a wrong flag or file is told on stderr, and nothing is served', { skip }, async () => {
  const wrong = await runPlimsoll(['serve', '--upstram', '127.0.0.1:1']);
  assert.notEqual(wrong.code, 0);
  assert.match(wrong.stderr, /--upstram/);
  const missing = await runPlimsoll(['serve', '--config', '/nonexistent/plimsoll.yaml']);
  assert.notEqual(missing.code, 0);
  assert.match(missing.stderr, /nonexistent\/plimsoll\.yaml/);
});

test('help is there for the whole and for each command', { skip }, async () => {
  const { code, stdout } = await runPlimsoll(['--help']);
  assert.equal(code, 0);
  for (const command of ['serve', 'check', 'reload', 'status', 'target', 'breaker']) {
    assert.match(stdout, new RegExp(`^ +${command}\\b`, 'm'), command);
    const help = await runPlimsoll([command, '--help']);
    assert.equal(help.code, 0, command);
    assert.match(help.stdout, new RegExp(`plimsoll ${command}`), command);
  }
});
