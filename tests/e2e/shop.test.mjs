// shop.test.mjs: the example application by itself, without Plimsoll in front.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';

import { request, requestJson } from './lib/http.mjs';
import { rawExchange } from './lib/raw.mjs';
import { startShop } from './lib/upstream.mjs';
import { connectWebSocket } from './lib/websocket.mjs';

let shop;
let peer;
let at; // options of a request to the shop

before(async () => {
  peer = await startShop({ name: 'b' });
  shop = await startShop({ name: 'a', peers: [peer.port], random: () => 0.5 });
  at = { port: shop.port };
});

after(async () => {
  await shop.stop();
  await peer.stop();
});

beforeEach(() => {
  shop.shop.chaos.off();
  peer.shop.chaos.off();
});

const form = (fields) => ({
  method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams(fields).toString(),
});
const setChaos = (wishes, path = '/api/chaos') =>
  requestJson({ ...at, method: 'POST', path, body: JSON.stringify(wishes) });

test('the home page lists the products and names the instance', async () => {
  const reply = await request({ ...at, path: '/' });
  assert.equal(reply.status, 200);
  assert.match(reply.headers['content-type'], /^text\/html/);
  assert.equal(reply.headers['x-shop-instance'], 'a');
  assert.match(reply.body, /Brass compass/);
  assert.doesNotMatch(reply.body, /<script>|style="/, 'a strict content policy must hold');
});

test('HEAD answers as GET without a body', async () => {
  const reply = await request({ ...at, method: 'HEAD', path: '/api/products' });
  assert.equal(reply.status, 200);
  assert.equal(reply.body, '');
  assert.ok(Number(reply.headers['content-length']) > 100);
});

test('what does not exist is 404, a wrong method 405, as JSON or as a page', async () => {
  assert.equal((await requestJson({ ...at, path: '/nothing' })).status, 404);
  assert.equal((await request({ ...at, path: '/product/nothing' })).status, 404);
  assert.equal((await request({ ...at, method: 'DELETE', path: '/cart' })).status, 405);
  const page = await request({ ...at, path: '/nothing', headers: { accept: 'text/html' } });
  assert.match(page.body, /<h1>404<\/h1>/);
});

test('the API lists products with prices in cents', async () => {
  const { json } = await requestJson({ ...at, path: '/api/products' });
  assert.equal(json.products.length, 8);
  for (const product of json.products) assert.ok(Number.isInteger(product.price_minor));
});

test('the cart is kept in a cookie, adds up and can be emptied', async () => {
  let cookie = '';
  for (const item of ['mug', 'mug', 'cap']) {
    const reply = await request({
      ...at, ...form({ item }), path: '/cart/add',
      headers: { 'content-type': 'application/x-www-form-urlencoded', cookie },
    });
    assert.equal(reply.status, 303);
    cookie = reply.headers['set-cookie'][0].split(';')[0];
  }
  assert.equal(cookie, 'cart=mug:2,cap:1');
  assert.match((await request({ ...at, path: '/cart', headers: { cookie } })).body, /€ 52\.00/);
  const removed = await request({ ...at, ...form({ item: 'mug' }), path: '/cart/remove', headers: { cookie } });
  assert.match(removed.headers['set-cookie'][0], /^cart=cap:1;/);
});

test('a forged cart cookie and an unknown product are not believed', async () => {
  const headers = { cookie: 'cart=mug:-1,gold:3,cap:1000,__proto__:1' };
  assert.match((await request({ ...at, path: '/cart', headers })).body, /cart is empty/);
  assert.equal((await request({ ...at, ...form({ item: 'gold' }), path: '/cart/add' })).status, 400);
});

test('a form from another site is refused', async () => {
  const reply = await request({
    ...at, ...form({ item: 'mug' }), path: '/cart/add', headers: { 'sec-fetch-site': 'cross-site' },
  });
  assert.equal(reply.status, 403);
});

test('/slow waits as long as it is told and refuses nonsense', async () => {
  const started = Date.now();
  assert.equal((await requestJson({ ...at, path: '/slow?ms=60' })).json.waited_ms, 60);
  assert.ok(Date.now() - started >= 55);
  assert.equal((await request({ ...at, path: '/slow?ms=-1' })).status, 400);
  assert.equal((await request({ ...at, path: '/slow?ms=60001' })).status, 400);
});

test('/fail fails at the rate and with the status that are asked for', async () => {
  assert.equal((await request({ ...at, path: '/fail' })).status, 500);
  assert.equal((await request({ ...at, path: '/fail?rate=50' })).status, 200);
  assert.equal((await request({ ...at, path: '/fail?rate=51' })).status, 500);
  const busy = await request({ ...at, path: '/fail?status=503' });
  assert.equal(busy.status, 503);
  assert.equal(busy.headers['retry-after'], '1');
});

test('an upload is counted and hashed', async () => {
  const body = Buffer.alloc(3_000_000, 'plimsoll ');
  const { json } = await requestJson({ ...at, method: 'POST', path: '/upload', body });
  assert.deepEqual(json, { bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') });
});

test('chaos fails, and ends when it is switched off', async () => {
  const { json } = await setChaos({ fail_percent: 100, seconds: 60 });
  assert.equal(json.seconds_left, 60);
  assert.equal((await request({ ...at, path: '/api/products' })).status, 503);
  assert.equal((await request({ ...at, path: '/chaos' })).status, 200, 'the way out stays open');
  assert.equal((await request({ ...at, path: '/healthz' })).status, 200);
  await request({ ...at, method: 'DELETE', path: '/api/chaos' });
  assert.equal((await request({ ...at, path: '/api/products' })).status, 200);
});

test('chaos ends by itself', async () => {
  await setChaos({ fail_percent: 100, seconds: 1 });
  await new Promise((resolve) => setTimeout(resolve, 1100));
  assert.equal((await request({ ...at, path: '/api/products' })).status, 200);
});

test('chaos hangs until it ends, then lets go', async () => {
  await setChaos({ hang_percent: 100, seconds: 60 });
  const hanging = assert.rejects(request({ ...at, path: '/api/products' }));
  while ((await requestJson({ ...at, path: '/api/chaos' })).json.hanging === 0);
  await request({ ...at, method: 'DELETE', path: '/api/chaos' });
  await hanging;
});

test('chaos cuts answers in the middle', async () => {
  await setChaos({ cut_percent: 100, seconds: 60 });
  const { text, ended } = await rawExchange({ ...at, bytes: 'GET / HTTP/1.1\r\nhost: a\r\n\r\n' });
  assert.match(text, /content-length: 1000/);
  assert.match(text, /first part of an answer that$/);
  assert.notEqual(ended, 'timeout');
});

test('chaos leaks up to a limit and gives the memory back', async () => {
  await setChaos({ leak_mb: 10, seconds: 60 });
  for (let i = 0; i < 30; i++) await request({ ...at, path: '/api/products' });
  assert.equal((await requestJson({ ...at, path: '/api/chaos' })).json.leaked_mb, 250);
  await request({ ...at, method: 'DELETE', path: '/api/chaos' });
  assert.equal((await requestJson({ ...at, path: '/api/chaos' })).json.leaked_mb, 0);
});

test('chaos makes the health check fail', async () => {
  await setChaos({ unhealthy: true });
  assert.equal((await request({ ...at, path: '/healthz' })).status, 503);
});

test('chaos refuses what it does not know and then changes nothing', async () => {
  for (const wishes of [{ fire: 1 }, { slow_ms: -1 }, { fail_percent: 101 }, { seconds: 0 },
    { unhealthy: 1 }, { slow_ms: '5' }]) {
    assert.equal((await setChaos(wishes)).status, 400, JSON.stringify(wishes));
  }
  assert.equal((await request({ ...at, method: 'POST', path: '/api/chaos', body: '[]' })).status, 400);
  assert.equal((await requestJson({ ...at, path: '/api/chaos' })).json.seconds_left, 0);
});

test('chaos reaches the other instances when asked to', async () => {
  const { json } = await setChaos({ fail_percent: 100 }, '/api/chaos?all');
  assert.deepEqual(json.peers, [{ port: peer.port, status: 200 }]);
  assert.equal((await request({ port: peer.port, path: '/' })).status, 503);
  await request({ ...at, method: 'DELETE', path: '/api/chaos?all' });
  assert.equal((await request({ port: peer.port, path: '/' })).status, 200);
});

test('the chaos page sets and stops by its form', async () => {
  const on = { ...form({ fail_percent: '100', slow_ms: '', seconds: '60', action: 'on' }), path: '/chaos' };
  assert.equal((await request({ ...at, ...on })).status, 303);
  assert.equal((await request({ ...at, path: '/' })).status, 503);
  assert.match((await request({ ...at, path: '/chaos' })).body, /misbehaves for/);
  await request({ ...at, ...form({ action: 'off' }), path: '/chaos' });
  assert.equal((await request({ ...at, path: '/' })).status, 200);
});

test('the WebSocket echoes text, binary, long and fragmented messages, and answers pings', async () => {
  const ws = await connectWebSocket(at);
  assert.equal(await ws.echo('ahoy €'), 'ahoy €');
  const long = 'x'.repeat(70_000);
  assert.equal(await ws.echo(long), long);
  ws.sendFrame(1, Buffer.from('one '), { isLast: false });
  ws.sendFrame(9, Buffer.from('ping'));
  ws.sendFrame(0, Buffer.from('two'));
  assert.deepEqual(await ws.next(), { op: 10, payload: Buffer.from('ping') });
  assert.equal(await ws.nextText(), 'one two');
  ws.sendFrame(2, Buffer.from([0, 255]));
  assert.deepEqual(await ws.next(), { op: 2, payload: Buffer.from([0, 255]) });
  assert.equal(await ws.close(), 1000);
});

test('the WebSocket ticker tells what was served', async () => {
  const ws = await connectWebSocket({ ...at, path: '/ws?ticker' });
  assert.equal(JSON.parse(await ws.nextText()).instance, 'a');
  await ws.close();
});

test('the WebSocket closes with the right code when a rule is broken', async () => {
  const cases = [
    [1002, (ws) => ws.sendFrame(1, Buffer.from('x'), { isMasked: false })],
    [1002, (ws) => ws.sendFrame(0, Buffer.from('x'))],
    [1002, (ws) => ws.sendFrame(3, Buffer.from('x'))],
    [1002, (ws) => ws.sendFrame(9, Buffer.alloc(126))],
    [1007, (ws) => ws.sendFrame(1, Buffer.from([0xc3, 0x28]))],
    [1009, (ws) => ws.sendFrame(2, Buffer.alloc(1024 * 1024 + 1))],
  ];
  for (const [code, breakRule] of cases) {
    const ws = await connectWebSocket(at);
    breakRule(ws);
    assert.equal(await ws.closed, code);
  }
});

test('a bad WebSocket handshake is refused', async () => {
  await assert.rejects(connectWebSocket({ ...at, headers: { 'sec-websocket-version': '8' } }), /400/);
  await assert.rejects(connectWebSocket({ ...at, path: '/elsewhere' }), /404/);
});
