// limit_kinds.test.mjs: every preset and every kind of key, what clients are told, and what lasts.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { order, statusPage } from './lib/command.mjs';
import { eventually, request } from './lib/http.mjs';
import { load } from './lib/load.mjs';
import { startPlimsoll, withoutBinary } from './lib/plimsoll.mjs';

const skip = withoutBinary;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const PRESETS = { auth: [5, 60], admin: [10, 60], api: [100, 60], uploads: [20, 3600], client: [10, 1], global: [100, 1] };

// One process for all: a route for each test, at its own path. Requests come through a trusted
// proxy, so that a test can be many clients.
const route = (path, limits) => ({ name: path.slice(1), match: { path }, limits, respond: { body: 'ok' } });
const config = (more = []) => ({
  trusted_proxies: ['127.0.0.0/8'],
  routes: [
    ...Object.keys(PRESETS).map((preset) => route(`/preset/${preset}`, [{ preset }])),
    route('/ip', [{ rate: '2/h' }]),
    route('/route', [{ per: 'route', rate: '3/h' }]),
    route('/header', [{ per: 'header', header: 'X-Api-Key', rate: '2/h' }]),
    route('/global/a', [{ per: 'global', rate: '3/h', name: 'all' }]),
    route('/windows', [{ rates: ['3/s', '5/min', '100/h'], name: 'w' }]),
    route('/two', [{ rate: '100/min', name: 'wide' }, { per: 'header', header: 'x-user', rate: '2/min', name: 'narrow' }]),
    route('/shadow', [{ rate: '2/h', shadow: true, name: 'dry' }]),
    route('/shadow-and-real', [{ rate: '1/h', shadow: true, name: 'dry2' }, { rate: '3/h', name: 'real' }]),
    route('/reload', [{ rate: '4/h', name: 'kept' }]),
    route('/page', [{ rate: '1/h' }]),
    route('/method', [{ rate: '1/h' }]),
    ...more,
  ],
});

let plimsoll;
let clients = 0;
before(async () => { if (!skip) plimsoll = await startPlimsoll({ config: config() }); });
after(async () => { await plimsoll?.stop(); });

const get = (path, headers = {}, more = {}) => request({ port: plimsoll.port, path, headers, ...more });
const from = (ip, headers = {}) => ({ 'x-forwarded-for': ip, ...headers });
const someone = () => `198.51.${Math.floor(clients / 250)}.${(clients++ % 250) + 1}`;
async function statuses(count, path, headers, more) {
  const seen = [];
  for (let i = 0; i < count; i++) seen.push((await get(path, typeof headers === 'function' ? headers(i) : headers, more)).status);
  return seen;
}
const tally = (seen) => seen.reduce((counts, status) => ({ ...counts, [status]: (counts[status] ?? 0) + 1 }), {});

test('each preset admits exactly what it says', { skip }, async (t) => {
  const told = [];
  for (const [preset, [quota, window]] of Object.entries(PRESETS)) {
    const ip = someone();
    const first = await get(`/preset/${preset}`, from(ip));
    assert.match(first.headers['ratelimit-policy'], new RegExp(`"preset/${preset}-${preset}";q=${quota};w=${window}\\b`), preset);
    assert.equal(first.headers['x-ratelimit-limit'], String(quota), preset);
    assert.equal(first.headers['x-ratelimit-remaining'], String(quota - 1), preset);
    const { statuses: counts } = await load({ port: plimsoll.port, path: `/preset/${preset}`, headers: from(ip),
      connections: 4, requests: quota + 10 });
    // In a window of a second a slow machine may see the next one begin.
    if (window > 1) assert.deepEqual(counts, { 200: quota - 1, 429: 11 }, preset);
    else assert.ok(counts[200] >= quota - 1 && counts[429] >= 1, `${preset}: ${JSON.stringify(counts)}`);
    const elsewhere = (await get(`/preset/${preset}`, from(someone()))).status;
    if (preset !== 'global') assert.equal(elsewhere, 200, `${preset}: another client is another count`);
    told.push(`${preset} ${JSON.stringify(counts)}`);
  }
  t.diagnostic(told.join(', '));
});

test('per ip: IPv6 clients are counted by their /64, IPv4 each', { skip }, async () => {
  assert.deepEqual(await statuses(3, '/ip', from('203.0.113.7')), [200, 200, 429]);
  assert.deepEqual(await statuses(1, '/ip', from('203.0.113.8')), [200]);
  const sixes = ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9', '2001:db8:1:2:1:2:3:4'];
  assert.deepEqual(await statuses(3, '/ip', (i) => from(sixes[i])), [200, 200, 429], 'one /64');
  assert.deepEqual(await statuses(1, '/ip', from('2001:db8:1:3::1')), [200], 'the next /64');
  // An IPv4 address in IPv6 form is that address.
  assert.deepEqual(await statuses(1, '/ip', from('::ffff:203.0.113.7')), [429]);
});

test('per ip: what nobody trusted says about addresses is not believed', { skip }, async () => {
  const open = await startPlimsoll({ config: { routes: [route('/ip', [{ rate: '2/h' }])] } });
  const seen = [];
  for (let i = 0; i < 4; i++) seen.push((await request({ port: open.port, path: '/ip', headers: from(someone()) })).status);
  assert.deepEqual(seen, [200, 200, 429, 429]);
  await open.stop();
});

test('per route, per header and global share their counts as they say', { skip }, async () => {
  assert.deepEqual(await statuses(5, '/route', () => from(someone())), [200, 200, 200, 429, 429], 'all clients of a route');
  const key = (name) => from(someone(), name === undefined ? {} : { 'x-api-key': name });
  assert.deepEqual(await statuses(3, '/header', () => key('one')), [200, 200, 429]);
  assert.deepEqual(await statuses(3, '/header', () => key('two')), [200, 200, 429]);
  assert.deepEqual(await statuses(3, '/header', () => key()), [200, 200, 429], 'those without it share one count');
  assert.deepEqual(await statuses(4, '/global/a', () => from(someone())), [200, 200, 200, 429]);
});

test('several windows hold together, and the one that refused is the one that is told', { skip }, async () => {
  const ip = someone();
  const first = await get('/windows', from(ip));
  for (const policy of ['"w-second";q=3;w=1', '"w-minute";q=5;w=60', '"w-hour";q=100;w=3600']) {
    assert.ok(first.headers['ratelimit-policy'].includes(policy), first.headers['ratelimit-policy']);
  }
  const rest = await statuses(3, '/windows', from(ip));
  await sleep(1100);
  rest.push(...await statuses(4, '/windows', from(ip)));
  assert.equal(tally(rest)[200], 4, `5 a minute: ${rest}`);
  const refused = await get('/windows', from(ip));
  assert.equal(refused.status, 429);
  assert.equal(refused.headers['x-ratelimit-limit'], '5');
  assert.equal(refused.headers['x-ratelimit-remaining'], '0');
  const wait = Number(refused.headers['retry-after']);
  assert.ok(wait > 1 && wait <= 60, `retry-after ${wait}`);
  assert.match(refused.headers.ratelimit, /"w-minute";r=0;t=\d+/);
  assert.match(refused.headers.ratelimit, /"w-hour";r=9[5-9]/);
  assert.deepEqual(JSON.parse(refused.body)['violated-policies'], ['w-minute']);
});

test('of several limits the deciding one is told', { skip }, async () => {
  const ip = someone();
  const as = (user) => from(ip, { 'x-user': user });
  const first = await get('/two', as('a'));
  assert.equal(first.headers['x-ratelimit-limit'], '2', 'the tighter one');
  assert.match(first.headers['ratelimit-policy'], /"wide";q=100;w=60.*"narrow";q=2;w=60/);
  await get('/two', as('a'));
  const refused = await get('/two', as('a'));
  assert.equal(refused.status, 429);
  assert.deepEqual([refused.headers['x-ratelimit-limit'], refused.headers['x-ratelimit-remaining']], ['2', '0']);
  const document = JSON.parse(refused.body);
  assert.deepEqual([document.status, document['violated-policies']], [429, ['narrow']]);
  assert.equal(refused.headers['content-type'], 'application/problem+json');
  assert.equal(document.request_id, refused.headers['x-request-id']);
  const reset = Number(refused.headers['x-ratelimit-reset']) - Date.now() / 1000;
  const wait = Number(refused.headers['retry-after']);
  assert.ok(Math.abs(reset - wait) < 5, `reset in ${reset} s, retry after ${wait} s`);
  // What one limit refused is not counted by the other.
  const next = await get('/two', as('b'));
  assert.match(next.headers.ratelimit, /"wide";r=97/);
});

test('shadow: refuses nobody, and is recorded', { skip }, async () => {
  const ip = someone();
  assert.deepEqual(await statuses(5, '/shadow', from(ip)), [200, 200, 200, 200, 200]);
  const reply = await get('/shadow', from(ip, { 'x-request-id': 'shadowed' }));
  assert.equal(reply.headers['ratelimit-policy'], undefined, 'clients are not told');
  await eventually('the log has it', async () => plimsoll.child.stdout.split('\n')
    .some((line) => line.includes('"shadowed"') && JSON.parse(line).limit_shadow === true));
  const beside = someone();
  assert.deepEqual(await statuses(4, '/shadow-and-real', from(beside)), [200, 200, 200, 429]);
  const refused = await get('/shadow-and-real', from(beside));
  assert.deepEqual(JSON.parse(refused.body)['violated-policies'], ['real']);
});

test('a browser gets a page, a script a problem document, HEAD neither', { skip }, async () => {
  const ip = someone();
  await get('/page', from(ip));
  const page = await get('/page', from(ip, { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }));
  assert.equal(page.status, 429);
  assert.match(page.headers['content-type'], /^text\/html; charset=utf-8/);
  assert.match(page.body, /<html lang="en">/);
  assert.match(page.body, /<title>[^<]+<\/title>/);
  assert.ok(page.body.includes(page.headers['x-request-id']));
  assert.ok(Number(page.headers['retry-after']) > 0);
  assert.match(page.headers['cache-control'], /no-store/);
  const document = await get('/page', from(ip, { accept: 'application/json' }));
  assert.equal(document.headers['content-type'], 'application/problem+json');
  const head = await get('/page', from(ip), { method: 'HEAD' });
  assert.deepEqual([head.status, head.body], [429, '']);
});

test('counts survive a reload, and so do those of limits that did not change', { skip }, async () => {
  const ip = someone();
  assert.deepEqual(await statuses(3, '/reload', from(ip)), [200, 200, 200]);
  plimsoll.writeConfig(config([route('/new', [{ rate: '1/h' }])]));
  await order(plimsoll, 'reload');
  assert.deepEqual(await statuses(2, '/reload', from(ip)), [200, 429]);
  assert.deepEqual(await statuses(2, '/new', from(ip)), [200, 429]);
  const { limits } = await statusPage(plimsoll);
  assert.ok(limits.keys > 10 && limits.keys <= limits.keys_max, JSON.stringify(limits));
});

test('limits of every client stand by default, and can be turned off', { skip }, async () => {
  const node = await startPlimsoll({ config: { limits: undefined, routes: [{ respond: { body: 'x' } }] } });
  const { headers } = await request({ port: node.port });
  for (const policy of [/q=100;w=1\b/, /q=3000;w=60\b/, /q=60000;w=3600\b/]) assert.match(headers['ratelimit-policy'], policy);
  const { statuses: counts } = await load({ port: node.port, connections: 4, requests: 400 });
  assert.ok(counts[429] > 0 && counts[200] >= 99, JSON.stringify(counts));
  node.writeConfig({ limits: false, limit_headers: false, routes: [{ respond: { body: 'x' }, limits: [{ rate: '1/h' }] }] });
  await order(node, 'reload');
  const quiet = await request({ port: node.port });
  for (const name of ['ratelimit', 'ratelimit-policy', 'x-ratelimit-limit']) assert.equal(quiet.headers[name], undefined, name);
  const refused = await request({ port: node.port });
  assert.equal(refused.status, 429);
  assert.ok(Number(refused.headers['retry-after']) > 0, 'a refusal says when to come back all the same');
  await node.stop();
});
