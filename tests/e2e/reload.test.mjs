// reload.test.mjs: a hundred reloads under load, and reloads that must change nothing.

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';

import { fingerprint, makeCertificate } from './lib/certificates.mjs';
import { command, order, statusPage } from './lib/command.mjs';
import { eventually, request } from './lib/http.mjs';
import { startLoad } from './lib/load.mjs';
import { freePort, memoryOf, startPlimsoll, withoutBinary } from './lib/plimsoll.mjs';
import { startRawUpstream, startShop } from './lib/upstream.mjs';
import { connectWebSocket } from './lib/websocket.mjs';

const skip = withoutBinary;
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const RELOADS = 100;
const REQUESTS = 100_000;
const WEBSOCKETS = 200;
// What the allocator may keep of its own after a hundred snapshots came and went.
const MEMORY_TOLERANCE = 1024 * 1024;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// An upstream that keeps no record of what it was asked.
const startQuiet = () => startRawUpstream(() => OK, { isForgetful: true });

// Each round changes a route, a limit, the targets of one upstream, whether another exists, and
// the certificate.
function configOf(round, { port, tlsPort, apps, shop, folder }) {
  const targets = [[apps[0]], [apps[0], apps[1]], [apps[1]]][round % 3].map(({ port: p }) => `127.0.0.1:${p}`);
  return {
    listen: [{ address: `127.0.0.1:${port}` },
      { address: `127.0.0.1:${tlsPort}`, tls: { certificate: join(folder, 'cert.pem'), key: join(folder, 'cert.key') } }],
    // Few enough cells that all their memory is in use from the start: what is measured is leaks.
    limit_keys: 4096,
    upstreams: {
      app: { targets },
      ...(round % 2 === 0 ? { shop: { targets: [`127.0.0.1:${shop.port}`] } } : { market: { targets: [`127.0.0.1:${shop.port}`] } }),
    },
    routes: [
      { name: 'socket', match: { path: '/ws' }, to: round % 2 === 0 ? 'shop' : 'market' },
      { name: 'round', match: { path: `/round/${round}` }, respond: { body: String(round) } },
      { name: 'app', match: { path: '/' }, limits: [{ per: 'ip', rate: `${1_000_000 + round}/s` }], to: 'app' },
    ],
  };
}

// Sends a message, awaits its echo, and so on until told to stop.
async function chatter(sockets, run) {
  await Promise.all(sockets.map(async (socket, i) => {
    while (!run.isStopping) {
      const text = `${i}:${run.echoes}`;
      assert.equal(await socket.echo(text, 20_000), text);
      run.echoes += 1;
      await sleep(100 + i);
    }
  }));
}

const certificateServed = (port) => new Promise((resolve, reject) => {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
    resolve(socket.getPeerCertificate().fingerprint256);
    socket.destroy();
  });
  socket.on('error', reject);
});

test('100 reloads under load: no request fails, no WebSocket drops, memory does not grow', { skip, timeout: 240_000 }, async (t) => {
  const apps = [await startQuiet(), await startQuiet()];
  const shop = await startShop({ name: 'a' });
  const tlsPort = await freePort();
  const place = { apps, shop, tlsPort };
  const plimsoll = await startPlimsoll({ kind: 'release', config: (node) => {
    Object.assign(place, { port: node.port, folder: node.folder });
    makeCertificate(node.folder, 'cert', { names: ['localhost'] });
    return configOf(0, place);
  } });
  const sockets = [];
  for (let i = 0; i < WEBSOCKETS; i++) sockets.push(await connectWebSocket({ port: plimsoll.port }));
  const chat = { isStopping: false, echoes: 0 };
  const chatting = chatter(sockets, chat);
  const clear = startLoad({ port: plimsoll.port, connections: 20 });
  const secure = startLoad({ port: tlsPort, connections: 4, isSecure: true });
  const sent = () => clear.run.sent + secure.run.sent;

  // Half of them by signal, half by command; every tenth with a new certificate.
  const reload = async (round) => {
    const renews = round % 10 === 0;
    if (renews) makeCertificate(plimsoll.folder, 'cert', { names: ['localhost'] });
    plimsoll.writeConfig(configOf(round, place));
    if (round % 2 === 0) plimsoll.reload();
    else assert.match(await order(plimsoll, 'reload'), /^reloaded$/m);
    await eventually(`round ${round} is served`, async () =>
      (await request({ port: plimsoll.port, path: `/round/${round}` })).body === String(round));
    if (renews) {
      assert.equal(await certificateServed(tlsPort), fingerprint(join(plimsoll.folder, 'cert.pem')));
    }
  };

  // Settle: everything that is made once, or up to a bound, has been made.
  const settling = 12;
  for (let round = 1; round <= settling; round++) await reload(round);
  while (sent() < 15_000) await sleep(50);
  const before = await memoryOf(plimsoll.pid);
  const sentBefore = sent();
  const started = Date.now();

  let round = settling;
  while (round < settling + RELOADS || sent() < sentBefore + REQUESTS) {
    if (round < settling + RELOADS) await reload(++round);
    else await sleep(50);
    if (clear.run.failed + secure.run.failed > 0) break;
  }
  const result = await clear.stop();
  const resultSecure = await secure.stop();
  chat.isStopping = true;
  await chatting;
  const requests = sent() - sentBefore;
  const seconds = (Date.now() - started) / 1000;
  await sleep(500);
  const after = await memoryOf(plimsoll.pid);
  t.diagnostic(`${round - settling} reloads in ${seconds.toFixed(1)} s, ${requests} requests (${resultSecure.sent} over TLS), `
    + `${result.failed + resultSecure.failed} failed, ${sockets.length} WebSockets kept with ${chat.echoes} echoes, `
    + `memory ${Math.round(before / 1024)} -> ${Math.round(after / 1024)} KiB`);

  assert.deepEqual([...result.failures, ...resultSecure.failures], []);
  assert.deepEqual({ ...result.statuses, ...resultSecure.statuses }, { 200: resultSecure.statuses[200] });
  assert.ok(requests >= REQUESTS);
  for (const [i, socket] of sockets.entries()) {
    assert.equal(socket.isClosed, false, `WebSocket ${i} was dropped`);
    assert.equal(await socket.echo(`still ${i}`), `still ${i}`);
  }
  assert.equal((await statusPage(plimsoll)).traffic.tunnels, WEBSOCKETS);
  assert.ok(after <= before + MEMORY_TOLERANCE, `memory grew from ${before} to ${after}`);
  for (const socket of sockets) socket.socket.destroy();
  await plimsoll.stop();
  for (const upstream of [...apps, shop]) await upstream.stop();
});

test('a reload brings the new routes to connections that are open', { skip }, async () => {
  const upstream = await startRawUpstream(OK);
  const base = { upstreams: { app: { targets: [`127.0.0.1:${upstream.port}`] } } };
  const plimsoll = await startPlimsoll({ config: { ...base, routes: [{ match: { path: '/old' }, to: 'app' }] } });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const status = async (path) => (await request({ port: plimsoll.port, path, agent })).status;
  assert.equal(await status('/old'), 200);
  assert.equal(await status('/new'), 404);
  plimsoll.writeConfig({ ...base, routes: [{ match: { path: '/new' }, to: 'app' }] });
  plimsoll.reload();
  await eventually('the new route answers', async () => await status('/new') === 200);
  assert.equal(await status('/old'), 404);
  agent.destroy();
  await plimsoll.stop();
  await upstream.stop();
});

test('a request keeps the routes and the upstream that it began with', { skip }, async () => {
  const waiting = [];
  const upstream = await startRawUpstream((head, socket) => { waiting.push(socket); });
  const config = {
    upstreams: { old: { targets: [`127.0.0.1:${upstream.port}`] } },
    routes: [{ match: { path: '/' }, response_headers: { 'x-round': '1' }, to: 'old' }],
  };
  const plimsoll = await startPlimsoll({ config });
  const running = request({ port: plimsoll.port });
  await eventually('the request is with the upstream', async () => waiting.length === 1);
  plimsoll.writeConfig({ upstreams: {}, routes: [{ match: { path: '/' }, respond: { body: 'new' } }] });
  await order(plimsoll, 'reload');
  assert.equal((await request({ port: plimsoll.port })).body, 'new');
  waiting[0].write(OK);
  const reply = await running;
  assert.deepEqual([reply.status, reply.body, reply.headers['x-round']], [200, 'ok', '1']);
  await plimsoll.stop();
  await upstream.stop();
});

test('a reload that is wrong changes nothing and says where', { skip }, async (t) => {
  const upstream = await startRawUpstream(OK);
  const good = {
    upstreams: { app: { targets: [`127.0.0.1:${upstream.port}`] } },
    routes: [{ match: { path: '/' }, limits: [{ rate: '1000/s' }], to: 'app' }],
  };
  const plimsoll = await startPlimsoll({ config: good });
  const refused = async (what, wrong, pattern) => {
    plimsoll.writeConfig(wrong);
    const { code, stdout, stderr } = await command(plimsoll, 'reload', '--socket', join(plimsoll.folder, 'plimsoll.sock'));
    assert.equal(code, 1, what);
    assert.equal(stdout, '', what);
    assert.match(stderr, pattern, what);
    assert.match(stderr, /not reloaded, nothing has changed/, what);
    // The same by signal goes to the log.
    plimsoll.child.stdout = '';
    plimsoll.reload();
    const line = await eventually(`${what} is logged`, async () =>
      plimsoll.child.stdout.split('\n').find((text) => text.includes('"configuration_refused"')));
    const record = JSON.parse(line);
    assert.equal(record.level, 'error', line);
    assert.match(`${record.file}:${record.line}:${record.column}: ${record.detail}`, pattern, line);
    const reply = await request({ port: plimsoll.port });
    assert.deepEqual([reply.status, reply.body], [200, 'ok'], what);
  };
  await refused('no YAML', 'listen: [{address: "127.0.0.1:@PORT@"\nroutes: ]\n', /plimsoll\.yaml:\d+:\d+: /);
  await refused('an unknown key', { ...good, uptreams: {} }, /plimsoll\.yaml:\d+:\d+: .*uptreams/);
  await refused('an unknown upstream', { ...good, routes: [{ match: { path: '/' }, to: 'nowhere' }] },
    /plimsoll\.yaml:\d+:\d+: .*nowhere/);
  await refused('a rate that is none', { ...good, routes: [{ match: { path: '/' }, limits: [{ rate: 'often' }], to: 'app' }] },
    /plimsoll\.yaml:\d+:\d+: .*often/);
  await refused('a missing certificate', { ...good, listen: [{ address: `127.0.0.1:${plimsoll.port}`,
    tls: { certificate: '/nonexistent/cert.pem', key: '/nonexistent/key.pem' } }] },
  /plimsoll\.yaml:\d+:\d+: .*\/nonexistent\/(cert|key)\.pem/);
  await refused('two routes alike', { ...good, routes: [...good.routes, ...good.routes] }, /plimsoll\.yaml:\d+:\d+: /);
  rmSync(plimsoll.configPath);
  const gone = await command(plimsoll, 'reload', '--socket', join(plimsoll.folder, 'plimsoll.sock'));
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /plimsoll\.yaml/);
  assert.equal((await request({ port: plimsoll.port })).status, 200);
  plimsoll.writeConfig(good);
  assert.match(await order(plimsoll, 'reload'), /^reloaded$/m, 'and a right one is taken again');
  t.diagnostic('7 wrong configurations refused twice each');
  await plimsoll.stop();
  await upstream.stop();
});

test('a key that needs a restart is told, and the rest is taken', { skip }, async () => {
  const config = { threads: 1, routes: [{ match: { path: '/' }, respond: { body: 'one' } }] };
  const plimsoll = await startPlimsoll({ config });
  plimsoll.writeConfig({ threads: 2, routes: [{ match: { path: '/' }, respond: { body: 'two' } }] });
  const told = await order(plimsoll, 'reload');
  assert.match(told, /1 changed key\(s\) wait for a restart/);
  assert.equal((await request({ port: plimsoll.port })).body, 'two');
  await eventually('the log names the key', async () =>
    /"configuration_needs_restart".*threads/.test(plimsoll.child.stdout));
  await plimsoll.stop();
});
