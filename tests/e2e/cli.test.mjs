// cli.test.mjs: every command of `plimsoll help`, and how the process starts and ends.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';

import { makeCertificate } from './lib/certificates.mjs';
import { command, order, statusOf } from './lib/command.mjs';
import { eventually, request } from './lib/http.mjs';
import { freePort, runPlimsoll, scratchFolder, startPlimsoll, withoutBinary } from './lib/plimsoll.mjs';
import { startApp, startShop } from './lib/upstream.mjs';
import { connectWebSocket } from './lib/websocket.mjs';

const skip = withoutBinary;
const isRoot = process.getuid() === 0;
const asRoot = skip || (isRoot ? false : 'only root can be refused');
const COMMANDS = ['serve', 'check', 'reload', 'status', 'target', 'breaker', 'docs', 'help', 'version'];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const FIXED = { routes: [{ match: { path: '/' }, respond: { body: 'fixed' } }] };

// ---- words ----

test('help names every command, and tells about each', { skip }, async () => {
  for (const words of [['help'], ['--help'], ['-h']]) {
    const { code, stdout, stderr } = await runPlimsoll(words);
    assert.deepEqual([code, stderr], [0, ''], words.join());
    const named = [...stdout.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(([, name]) => name);
    assert.deepEqual(named.sort(), [...COMMANDS].sort());
  }
  for (const name of COMMANDS) {
    const texts = new Set();
    for (const words of [['help', name], [name, '--help'], [name, '-h']]) {
      const { code, stdout } = await runPlimsoll(words);
      assert.equal(code, 0, words.join(' '));
      assert.match(stdout, new RegExp(`^Usage: plimsoll ${name}`, 'm'));
      texts.add(stdout);
    }
    assert.equal(texts.size, 1, `${name}: the three ways say the same`);
  }
  const { stdout } = await runPlimsoll(['version']);
  assert.match(stdout, /^plimsoll \d+\.\d+\.\d+\n$/);
  assert.equal((await runPlimsoll(['--version'])).stdout, stdout);
});

test('wrong usage exits with 2 and says what is wrong on stderr', { skip }, async () => {
  for (const words of [[], ['sevre'], ['--sevre'], ['help', 'sevre'],
    ['serve'], ['serve', '--upstream'], ['serve', '--upstram', 'a:1'], ['serve', 'words'],
    ['serve', '--config', 'a', '--upstream', '127.0.0.1:1'], ['serve', '--config', 'a', '--listen', '127.0.0.1:1'],
    ['check', 'a', 'b'], ['check', 'a', '--config', 'b'], ['check', '--json'],
    ['reload', 'now'], ['status', 'all'], ['status', '--jsn'],
    ['target'], ['target', 'drain', 'app'], ['target', 'stop', 'app', 'a:1'], ['target', 'drain', 'app', 'a:1', 'b'],
    ['breaker'], ['breaker', 'half', 'app'], ['breaker', 'open', 'a', 'b'],
    ['docs', 'folder'], ['docs', '--folder', 'x'], ['version', 'x'], ['help', 'serve', 'x']]) {
    const { code, stdout, stderr } = await runPlimsoll(words);
    assert.equal(code, 2, words.join(' '));
    assert.equal(stdout, '', words.join(' '));
    assert.ok(stderr.length > 10, words.join(' '));
  }
});

// ---- check ----

test('check is silent about a right file and names every error of a wrong one', { skip }, async () => {
  const folder = scratchFolder();
  const check = (text, name = 'plimsoll.yaml') => {
    writeFileSync(join(folder, name), text);
    return runPlimsoll(['check', name], { cwd: folder });
  };
  const good = await check('listen: [{address: "127.0.0.1:8080"}]\nroutes: [{respond: {body: x}}]\n');
  assert.deepEqual([good.code, good.stdout, good.stderr], [0, 'plimsoll.yaml: no errors\n', '']);
  // The default, and by flag.
  assert.equal((await runPlimsoll(['check'], { cwd: folder })).code, 0);
  assert.equal((await runPlimsoll(['check', '--config', 'plimsoll.yaml'], { cwd: folder })).code, 0);

  const wrong = await check([
    'listen:',
    '  - address: 127.0.0.1:70000',
    'uptreams: {}',
    'threads: many',
    'timeouts: {header: 1 parsec}',
    'routes:',
    '  - match: {path: /}',
    '    limits: [{rate: 100/fortnight}]',
    '    to: nowhere',
  ].join('\n'));
  assert.equal(wrong.code, 1);
  assert.equal(wrong.stdout, '');
  const positions = [...wrong.stderr.matchAll(/^plimsoll\.yaml:(\d+):(\d+): (\S+)/gm)].map(([, line]) => Number(line));
  for (const line of [2, 3, 4, 5, 8]) assert.ok(positions.includes(line), `line ${line} in:\n${wrong.stderr}`);

  // What only the parts can tell is found as well, when the rest is right.
  const nowhere = await check('listen: [{address: "127.0.0.1:8080"}]\nroutes:\n  - match: {path: /}\n    to: nowhere\n');
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.stderr, /^plimsoll\.yaml:4:\d+: routes\[0\]\.to: .*nowhere/m);
  const pair = await check('listen: [{address: "127.0.0.1:8080"}]\nroutes:\n  - respond: {body: a}\n    redirect: {to: b}\n');
  assert.match(pair.stderr, /^plimsoll\.yaml:3:\d+: .*exactly one of to, redirect and respond/m);
  const broken = await check('listen: [{address: "127.0.0.1:8080"\n');
  assert.equal(broken.code, 1);
  assert.match(broken.stderr, /^plimsoll\.yaml:\d+:\d+: /m);
  const missing = await runPlimsoll(['check', 'absent.yaml'], { cwd: folder });
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /absent\.yaml: .*No such file/);
  // Certificates are read.
  const made = makeCertificate(folder, 'cert', { names: ['a.test'] });
  const tls = (certificate, key) => check(`listen: [{address: "127.0.0.1:8443", tls: {certificate: ${certificate}, key: ${key}}}]\nroutes: [{respond: {body: x}}]\n`);
  assert.equal((await tls(made.certificate, made.key)).code, 0);
  assert.match((await tls(made.certificate, '/nonexistent.key')).stderr, /^plimsoll\.yaml:1:\d+: .*\/nonexistent\.key/m);
  chmodSync(made.key, 0o644);
  assert.match((await tls(made.certificate, made.key)).stderr, /^plimsoll\.yaml:1:\d+: .*cert\.key/m, 'a key that everybody may read');
  // Nothing was started or left behind.
  assert.deepEqual(readdirSync(folder).sort(), ['cert.key', 'cert.pem', 'plimsoll.yaml']);
});

// ---- docs ----

test('docs writes the pages that are in docs/', { skip }, async () => {
  const folder = scratchFolder();
  const { code, stdout } = await runPlimsoll(['docs', '--output', folder]);
  assert.equal(code, 0);
  for (const name of ['configuration.md', 'metrics.md', 'plimsoll.schema.json']) {
    assert.match(stdout, new RegExp(name.replace('.', '\\.')));
    assert.equal(readFileSync(join(folder, name), 'utf8'),
      readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8'), name);
  }
  const schema = JSON.parse(readFileSync(join(folder, 'plimsoll.schema.json'), 'utf8'));
  assert.ok(schema.$schema && schema.properties.listen);
  const nowhere = await runPlimsoll(['docs', '--output', '/nonexistent']);
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.stderr, /\/nonexistent/);
});

// ---- a running process ----

test('without a process, its commands say where they looked', { skip }, async () => {
  const folder = scratchFolder();
  for (const words of [['status'], ['reload'], ['target', 'drain', 'a', 'b:1'], ['breaker', 'open', 'a']]) {
    const { code, stderr } = await runPlimsoll(words, { cwd: folder });
    assert.equal(code, 1, words.join(' '));
    assert.match(stderr, /no Plimsoll answers on the control socket var\/plimsoll\.sock/, words.join(' '));
    const other = await runPlimsoll([...words, '--socket', '/tmp/none.sock'], { cwd: folder });
    assert.match(other.stderr, /\/tmp\/none\.sock/);
  }
});

test('status, as text and as JSON, by configuration and by socket', { skip }, async () => {
  const app = await startApp((req, res) => res.end('ok'));
  const plimsoll = await startPlimsoll({ config: {
    upstreams: { app: { targets: [`127.0.0.1:${app.port}`] } }, routes: [{ match: { path: '/' }, to: 'app' }] } });
  await request({ port: plimsoll.port });
  const text = await order(plimsoll, 'status');
  assert.match(text, new RegExp(`^plimsoll \\d+\\.\\d+\\.\\d+, pid ${plimsoll.pid}, up \\d+ s$`, 'm'));
  assert.match(text, new RegExp(`^listens +127\\.0\\.0\\.1:${plimsoll.port}$`, 'm'));
  assert.match(text, new RegExp(`127\\.0\\.0\\.1:${app.port} +up +in flight 0 .*tries 1 +failures 0$`, 'm'));
  assert.match(text, /^ +app +breaker closed/m);
  assert.doesNotMatch(text, /\u001b/, 'no colours into a pipe');
  const status = await statusOf(plimsoll);
  assert.equal(status.upstreams[0].targets[0].tries, 1);
  assert.equal(status.configuration, plimsoll.configPath);
  const socket = join(plimsoll.folder, 'plimsoll.sock');
  const bySocket = await runPlimsoll(['status', '--json', '--socket', socket], { cwd: '/' });
  assert.equal(JSON.parse(bySocket.stdout).pid, plimsoll.pid);
  // plimsoll.yaml of the working folder is the default.
  const byFolder = await runPlimsoll(['status', '--json'], { cwd: plimsoll.folder });
  assert.equal(JSON.parse(byFolder.stdout).pid, plimsoll.pid);
  assert.equal(statSync(socket).mode & 0o777, 0o600, 'the socket is for its owner alone');
  // What changes something is not served on the admin address.
  const refused = await plimsoll.admin('/api/admin/reload', { method: 'POST' });
  assert.equal(refused.status, 403);
  await plimsoll.stop();
  assert.equal(existsSync(socket), false, 'the socket goes with its process');
  await app.stop();
});

test('a process that was started by flags cannot reload, and says so', { skip }, async () => {
  const app = await startApp((req, res) => res.end('ok'));
  const plimsoll = await startPlimsoll({ args: ['--upstream', `127.0.0.1:${app.port}`,
    '--listen', '127.0.0.1:@PORT@', '--admin', '127.0.0.1:@ADMIN@', '--log', 'logs'] });
  const { code, stderr } = await runPlimsoll(['reload'], { cwd: plimsoll.folder });
  assert.equal(code, 1);
  assert.match(stderr, /no configuration file/);
  const { stdout } = await runPlimsoll(['status', '--json'], { cwd: plimsoll.folder });
  assert.equal(JSON.parse(stdout).upstreams[0].name, 'app');
  assert.match((await runPlimsoll(['status'], { cwd: plimsoll.folder })).stdout, /^plimsoll /);
  plimsoll.reload();
  assert.equal((await request({ port: plimsoll.port })).body, 'ok');
  await eventually('the log folder is used', async () =>
    readdirSync(join(plimsoll.folder, 'logs')).some((name) => name.startsWith('access-')));
  await plimsoll.stop();
  await app.stop();
});

// ---- start ----

test('root is refused without a user, and serves as that user with one', { skip: asRoot }, async () => {
  const flags = async () => ['serve', '--upstream', '127.0.0.1:9', '--listen', `127.0.0.1:${await freePort()}`,
    '--admin', `127.0.0.1:${await freePort()}`];
  const folder = scratchFolder();
  const refused = await runPlimsoll(await flags(), { staysRoot: true, cwd: folder });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /refusing to serve as root/);
  for (const [user, pattern] of [['root', /is root/], ['no-such-user', /no user "no-such-user"/]]) {
    const wrong = await runPlimsoll([...await flags(), '--user', user], { staysRoot: true, cwd: folder });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, pattern);
  }
  assert.deepEqual(readdirSync(folder), []);
  const plimsoll = await startPlimsoll({ staysRoot: true, config: { ...FIXED, user: 'nobody', log: { directory: 'a/b/log' } } });
  const status = readFileSync(`/proc/${plimsoll.pid}/status`, 'utf8');
  assert.match(status, /^Uid:\t65534\t65534\t65534\t65534$/m);
  assert.match(status, /^Gid:\t65534\t65534\t65534\t65534$/m);
  assert.match(status, /^CapEff:\t0+$/m);
  assert.equal(statSync(join(plimsoll.folder, 'a/b/log')).uid, 65534);
  assert.equal(statSync(join(plimsoll.folder, 'plimsoll.sock')).uid, 65534, 'its user may use the control socket');
  assert.equal((await request({ port: plimsoll.port })).body, 'fixed');
  await plimsoll.stop();
});

test('an address in use is told by name, for traffic and for the admin listener', { skip }, async () => {
  const plimsoll = await startPlimsoll({ config: FIXED });
  const folder = scratchFolder();
  const second = async (listen, admin) => runPlimsoll(['serve', '--upstream', '127.0.0.1:9',
    '--listen', `127.0.0.1:${listen}`, '--admin', `127.0.0.1:${admin}`], { cwd: folder });
  const other = await freePort();
  for (const [listen, admin, port] of [[plimsoll.port, other, plimsoll.port], [other, plimsoll.adminPort, plimsoll.adminPort]]) {
    const { code, stderr } = await second(listen, admin);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`^plimsoll: .*127\\.0\\.0\\.1:${port}.*[Aa]ddress (already )?in use`, 'm'));
  }
  // The control socket as well: a second process must not take it from a first that lives.
  const third = await runPlimsoll(['serve', '--config', plimsoll.configPath], { cwd: plimsoll.folder });
  assert.equal(third.code, 1);
  writeFileSync(join(folder, 'third.yaml'), JSON.stringify({ ...FIXED, listen: [{ address: `127.0.0.1:${await freePort()}` }],
    admin: { address: `127.0.0.1:${await freePort()}`, socket: join(plimsoll.folder, 'plimsoll.sock') } }));
  const fourth = await runPlimsoll(['serve', '--config', 'third.yaml'], { cwd: folder, timeoutMs: 5000 });
  assert.equal(fourth.code, 1, 'a control socket in use');
  assert.match(fourth.stderr, /plimsoll\.sock.*in use/);
  assert.match(await order(plimsoll, 'status'), new RegExp(`pid ${plimsoll.pid}`), 'the first one still answers');
  await plimsoll.stop();
});

test('a control socket that was left behind is no hindrance', { skip }, async () => {
  const plimsoll = await startPlimsoll({ config: FIXED });
  const socket = join(plimsoll.folder, 'plimsoll.sock');
  plimsoll.child.process.kill('SIGKILL');
  await plimsoll.child.ended;
  assert.ok(existsSync(socket));
  const again = await startPlimsoll({ config: (node) => ({ ...FIXED,
    admin: { address: `127.0.0.1:${node.adminPort}`, socket } }) });
  assert.match(await order(again, 'status'), new RegExp(`pid ${again.pid}`));
  await again.stop();
});

test('a folder that cannot be written gives a clear error, and nothing is served', { skip }, async () => {
  const folder = scratchFolder();
  const inside = join(folder, 'closed');
  mkdirSync(inside);
  chmodSync(inside, 0o555);
  const serve = async (...more) => runPlimsoll(['serve', '--upstream', '127.0.0.1:9', '--listen', `127.0.0.1:${await freePort()}`,
    '--admin', `127.0.0.1:${await freePort()}`, ...more], { cwd: inside, timeoutMs: 5000 });
  const socket = await serve();
  assert.equal(socket.code, 1);
  assert.match(socket.stderr, /^plimsoll: .*\bvar\b.*[Pp]ermission denied/m);
  const log = await serve('--log', '/proc/nothing');
  assert.equal(log.code, 1);
});

test('an address that is none, or a port that may not be bound, is an error at the start', { skip }, async () => {
  const folder = scratchFolder();
  for (const [flag, value] of [['--listen', 'nonsense'], ['--listen', '127.0.0.1:99999'], ['--upstream', 'no port'], ['--admin', ':x']]) {
    const { code, stderr } = await runPlimsoll(['serve', '--upstream', '127.0.0.1:9', flag, value], { cwd: folder, timeoutMs: 5000 });
    assert.equal(code, 1, `${flag} ${value}`);
    assert.ok(stderr.includes(value.split(' ')[0]), stderr);
  }
  const elsewhere = await runPlimsoll(['serve', '--upstream', '127.0.0.1:9', '--listen', '192.0.2.1:8080',
    '--admin', `127.0.0.1:${await freePort()}`], { cwd: folder, timeoutMs: 5000 });
  assert.equal(elsewhere.code, 1);
  assert.match(elsewhere.stderr, /192\.0\.2\.1:8080/);
});

// ---- end ----

test('SIGTERM: running requests end, new connections are refused, and the exit is 0', { skip }, async () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const app = await startApp((req, res) => setTimeout(() => res.end('late'), 900));
    const plimsoll = await startPlimsoll({ config: {
      upstreams: { app: { targets: [`127.0.0.1:${app.port}`] } }, routes: [{ match: { path: '/' }, to: 'app' }] } });
    const agent = new http.Agent({ keepAlive: true });
    const idle = net.connect(plimsoll.port, '127.0.0.1');
    const idleClosed = new Promise((resolve) => { idle.on('close', resolve).on('error', () => {}); });
    idle.resume();
    const running = request({ port: plimsoll.port, agent });
    await eventually('it runs', async () => app.requests === 1);
    const stopped = plimsoll.stop({ signal });
    await eventually('new connections are refused', () => new Promise((resolve, reject) => {
      const socket = net.connect(plimsoll.port, '127.0.0.1', () => { socket.destroy(); reject(new Error('connected')); });
      socket.on('error', (error) => resolve(error.code === 'ECONNREFUSED'));
    }), { timeoutMs: 700 });
    await idleClosed;
    const reply = await running;
    assert.deepEqual([reply.status, reply.body, reply.headers.connection], [200, 'late', 'close'], signal);
    assert.equal((await stopped).code, 0);
    agent.destroy();
    await app.stop();
  }
});

test('WebSockets get the time for draining, then the process ends all the same', { skip }, async () => {
  const shop = await startShop({ name: 'a' });
  const plimsoll = await startPlimsoll({ config: { timeouts: { drain: '600ms' },
    upstreams: { app: { targets: [`127.0.0.1:${shop.port}`] } }, routes: [{ match: { path: '/' }, to: 'app' }] } });
  const ws = await connectWebSocket({ port: plimsoll.port });
  const started = Date.now();
  const stopped = plimsoll.stop();
  await sleep(200);
  assert.equal(await ws.echo('still here'), 'still here');
  await stopped;
  const ms = Date.now() - started;
  assert.ok(ms >= 550 && ms < 5000, `${ms} ms`);
  await ws.closed;
  await shop.stop();
});

test('a second SIGTERM ends it at once', { skip }, async () => {
  const app = await startApp((req) => req.resume());
  const plimsoll = await startPlimsoll({ config: {
    upstreams: { app: { targets: [`127.0.0.1:${app.port}`] } }, routes: [{ match: { path: '/' }, to: 'app' }] } });
  const running = request({ port: plimsoll.port, timeoutMs: 20_000 }).then(() => 'answered', () => 'cut');
  await eventually('it runs', async () => app.requests === 1);
  const started = Date.now();
  plimsoll.child.process.kill('SIGTERM');
  await eventually('it drains', async () => (await statusOf(plimsoll)).draining === true);
  assert.match(await order(plimsoll, 'status'), /, draining$/m);
  plimsoll.child.process.kill('SIGTERM');
  const { code } = await plimsoll.child.ended;
  assert.equal(code, 0);
  assert.ok(Date.now() - started < 5000);
  assert.equal(await running, 'cut');
  await app.stop();
});

test('a reload while it drains changes nothing', { skip }, async () => {
  const app = await startApp((req, res) => setTimeout(() => res.end('late'), 1000));
  const config = { upstreams: { app: { targets: [`127.0.0.1:${app.port}`] } }, routes: [{ match: { path: '/' }, to: 'app' }] };
  const plimsoll = await startPlimsoll({ config });
  const running = request({ port: plimsoll.port });
  await eventually('it runs', async () => app.requests === 1);
  plimsoll.child.process.kill('SIGTERM');
  plimsoll.reload();
  await command(plimsoll, 'reload');
  await assert.rejects(request({ port: plimsoll.port }), /ECONNREFUSED/);
  assert.equal((await running).body, 'late');
  assert.equal((await plimsoll.child.ended).code, 0);
  await app.stop();
});

test('a configuration that broke is still enough to find the process, which tells what is wrong', { skip }, async () => {
  const admin = { address: '127.0.0.1:@ADMIN@' }; // the socket stays where it is by default
  const plimsoll = await startPlimsoll({ config: { ...FIXED, admin } });
  plimsoll.writeConfig({ ...FIXED, admin, threads: 'many' });
  const elsewhere = await runPlimsoll(['reload', '--config', plimsoll.configPath]);
  assert.equal(elsewhere.code, 1);
  assert.match(elsewhere.stdout + elsewhere.stderr, /plimsoll\.yaml:\d+:\d+: threads: /);
  const within = await runPlimsoll(['reload'], { cwd: plimsoll.folder });
  assert.match(within.stdout + within.stderr, /plimsoll\.yaml:\d+:\d+: threads: /);
  await plimsoll.stop();
});
