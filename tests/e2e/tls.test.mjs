// tls.test.mjs: TLS as curl and openssl see it, towards clients and towards upstreams.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import tls from 'node:tls';

import { fingerprint, makeCertificate } from './lib/certificates.mjs';
import { command, order } from './lib/command.mjs';
import { eventually, request } from './lib/http.mjs';
import { freePort, startPlimsoll, withoutBinary } from './lib/plimsoll.mjs';
import { run } from './lib/run.mjs';
import { listen, startApp } from './lib/upstream.mjs';

const skip = withoutBinary;
const BIG = Buffer.alloc(5_000_000, 'plimsoll, the line on the hull. ');
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');

let app;
let plimsoll;
let port; // of TLS
let ca;
let files;

const configOf = () => ({
  listen: [
    { address: `127.0.0.1:${plimsoll.port}` },
    { address: `127.0.0.1:${port}`, tls: { certificates: [files.one, files.oneRsa, files.two, files.wild] } },
  ],
  upstreams: { app: { targets: [`127.0.0.1:${app.port}`] } },
  routes: [{ match: { path: '/' }, to: 'app', body_max: '100mb' }],
});

before(async () => {
  if (skip) return;
  app = await startApp(async (req, res) => {
    const hash = createHash('sha256');
    for await (const chunk of req) hash.update(chunk);
    res.setHeader('x-hash', hash.digest('hex'));
    res.setHeader('x-proto', String(req.headers['x-forwarded-proto']));
    res.end(req.url === '/big' ? BIG : `${req.headers.host} ${req.url}`);
  });
  port = await freePort();
  plimsoll = await startPlimsoll({ config: (node) => {
    plimsoll = node;
    ca = makeCertificate(node.folder, 'ca', { names: ['plimsoll test issuer'] });
    files = {
      one: makeCertificate(node.folder, 'one', { names: ['one.test'], issuer: ca }),
      oneRsa: makeCertificate(node.folder, 'one-rsa', { names: ['one.test'], kind: 'rsa', issuer: ca }),
      two: makeCertificate(node.folder, 'two', { names: ['two.test', 'deux.test'], kind: 'rsa', issuer: ca }),
      wild: makeCertificate(node.folder, 'wild', { names: ['*.wild.test'], issuer: ca }),
    };
    return configOf();
  } });
});

after(async () => {
  await plimsoll?.stop();
  await app?.stop();
});

const curl = (host, path, ...args) => run('curl', ['-sS', '--max-time', '12', '--cacert', ca.certificate,
  '--resolve', `${host}:${port}:127.0.0.1`, '-w', '\n%{http_code} %{http_version} %{ssl_verify_result}',
  ...args, `https://${host}:${port}${path}`]);

// Shakes hands, sends one request and reads to the end.
async function sClient(args, { host = 'one.test', input } = {}) {
  const text = input ?? `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  const done = await run('openssl', ['s_client', '-connect', `127.0.0.1:${port}`,
    ...(args.includes('-noservername') ? [] : ['-servername', host]),
    '-CAfile', ca.certificate, '-ign_eof', ...args], { input: text });
  const found = (pattern) => pattern.exec(done.stdout)?.[1];
  return {
    ...done,
    protocol: found(/^New, (TLSv[\d.]+),/m) ?? found(/^Reused, (TLSv[\d.]+),/m),
    isReused: /^Reused, /m.test(done.stdout),
    alpn: found(/^ALPN protocol: (.*)$/m),
    keyType: found(/^Peer signature type: (.*)$/m),
    verify: found(/Verification(?:: | error: )(.*)/),
    status: found(/^HTTP\/1\.1 (\d+)/m),
    subject: found(/^subject=(.*)$/m),
  };
}

test('each name gets its certificate, and curl accepts it', { skip }, async () => {
  for (const host of ['one.test', 'two.test', 'deux.test', 'any.wild.test', 'ONE.test']) {
    const { code, stdout, stderr } = await curl(host, '/x');
    assert.equal(code, 0, `${host}: ${stderr}`);
    assert.match(stdout, /\/x\n200 1\.1 0$/, host);
  }
  const subjects = {};
  for (const host of ['one.test', 'two.test', 'deux.test', 'a.wild.test', 'a.b.wild.test', 'unknown.test']) {
    subjects[host] = (await sClient([], { host })).subject;
  }
  assert.deepEqual(subjects, {
    'one.test': 'CN = one.test', 'two.test': 'CN = two.test', 'deux.test': 'CN = two.test',
    'a.wild.test': 'CN = *.wild.test', 'a.b.wild.test': 'CN = one.test', 'unknown.test': 'CN = one.test',
  }, 'a wildcard is one label; the first serves the rest');
  // Without a name the first one too.
  assert.equal((await sClient(['-noservername'], { host: 'one.test' })).subject, 'CN = one.test');
});

test('of RSA and ECDSA under one name the client\'s signatures choose', { skip }, async () => {
  assert.match((await sClient(['-sigalgs', 'RSA-PSS+SHA256:RSA+SHA256'])).keyType, /^RSA/);
  assert.match((await sClient(['-sigalgs', 'ECDSA+SHA256'])).keyType, /^ECDSA/);
  assert.match((await sClient(['-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'])).keyType, /^RSA/);
  assert.match((await sClient(['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256'])).keyType, /^ECDSA/);
});

test('TLS 1.2 and 1.3 are spoken, older versions and weak ciphers are not', { skip }, async () => {
  for (const [flag, version] of [['-tls1_2', 'TLSv1.2'], ['-tls1_3', 'TLSv1.3']]) {
    const reply = await sClient([flag]);
    assert.deepEqual([reply.protocol, reply.status, reply.verify], [version, '200', 'OK'], flag);
  }
  for (const flag of ['-tls1_1', '-tls1']) {
    const refused = await sClient([flag, '-cipher', 'ALL:@SECLEVEL=0']);
    assert.notEqual(refused.code, 0, flag);
    assert.equal(refused.status, undefined, flag);
    assert.match(refused.stderr + refused.stdout, /alert protocol version|no protocols available|unsupported protocol/, flag);
  }
  for (const cipher of ['AES128-SHA', 'ECDHE-RSA-AES128-SHA', 'DHE-RSA-AES128-GCM-SHA256', 'AES128-GCM-SHA256']) {
    const refused = await sClient(['-tls1_2', '-cipher', `${cipher}:@SECLEVEL=0`]);
    assert.equal(refused.status, undefined, cipher);
    assert.match(refused.stderr, /handshake failure/, cipher);
  }
});

test('ALPN agrees on http/1.1, and refuses what is not spoken', { skip }, async () => {
  assert.equal((await sClient(['-alpn', 'http/1.1'])).alpn, 'http/1.1');
  assert.equal((await sClient(['-alpn', 'h2,http/1.1'])).alpn, 'http/1.1');
  const none = await sClient([]);
  assert.equal(none.alpn, undefined);
  assert.equal(none.status, '200', 'no ALPN is fine');
  const refused = await sClient(['-alpn', 'spdy/3']);
  assert.equal(refused.status, undefined);
  assert.match(refused.stderr, /no application protocol/);
});

test('a session is resumed, also over a reload, and not for another name', { skip }, async () => {
  for (const flag of ['-tls1_2', '-tls1_3']) {
    const file = join(plimsoll.folder, `session${flag}`);
    const first = await sClient([flag, '-sess_out', file]);
    assert.equal(first.isReused, false);
    assert.equal((await sClient([flag, '-sess_in', file])).isReused, true, flag);
    await order(plimsoll, 'reload');
    const resumed = await sClient([flag, '-sess_in', file, '-sess_out', file]);
    assert.deepEqual([resumed.isReused, resumed.status], [true, '200'], `${flag} over a reload`);
    assert.equal((await sClient([flag, '-sess_in', file], { host: 'two.test' })).isReused, false, `${flag} for another name`);
  }
});

test('HSTS is sent on TLS and only there', { skip }, async () => {
  const secure = await curl('one.test', '/', '-i');
  assert.match(secure.stdout, /^strict-transport-security: max-age=\d+/mi);
  assert.match(secure.stdout, /^x-proto: https/mi);
  const { headers } = await request({ port: plimsoll.port });
  assert.equal(headers['strict-transport-security'], undefined);
  assert.equal(headers['x-proto'], 'http');
});

test('a Host of another certificate is misdirected: 421', { skip }, async () => {
  const misdirected = await sClient([], { input: 'GET / HTTP/1.1\r\nHost: two.test\r\nConnection: close\r\n\r\n' });
  assert.equal(misdirected.status, '421');
  assert.match(misdirected.stdout, /application\/problem\+json/);
  const same = await sClient([], { input: 'GET / HTTP/1.1\r\nHost: ONE.test:8443\r\nConnection: close\r\n\r\n' });
  assert.equal(same.status, '200', 'case and port are no difference');
  const wild = await sClient([], { host: 'a.wild.test', input: 'GET / HTTP/1.1\r\nHost: b.wild.test\r\nConnection: close\r\n\r\n' });
  assert.equal(wild.status, '200');
});

test('large bodies pass whole in both directions, in one connection', { skip }, async () => {
  const file = join(plimsoll.folder, 'big');
  writeFileSync(file, BIG);
  for (const version of ['--tls-max=1.2', '--tlsv1.3']) {
    const flags = version === '--tlsv1.3' ? [version] : ['--tls-max', '1.2'];
    const out = join(plimsoll.folder, 'out');
    const { stdout, stderr, code } = await curl('one.test', '/big', ...flags, '--data-binary', `@${file}`,
      '-H', 'Expect: 100-continue', '-D', '-', '-o', out);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`x-hash: ${digest(BIG)}`, 'i'), version);
    assert.equal(digest(readFileSync(out)), digest(BIG), version);
  }
  // Several at a time, each connection used again.
  const agent = new https.Agent({ keepAlive: true, maxSockets: 4 });
  await Promise.all(Array.from({ length: 12 }, () => new Promise((resolve, reject) => {
    https.request({ port, agent, host: '127.0.0.1', servername: 'two.test', headers: { host: 'two.test' },
      path: '/big', method: 'POST', ca: readFileSync(ca.certificate) }, (res) => {
      const hash = createHash('sha256');
      res.on('data', (chunk) => hash.update(chunk)).on('error', reject).on('end', () => {
        assert.equal(res.headers['x-hash'], digest(BIG));
        assert.equal(hash.digest('hex'), digest(BIG));
        resolve();
      });
    }).on('error', reject).end(BIG);
  })));
  agent.destroy();
});

test('a reload serves a renewed certificate, and open connections stay', { skip }, async () => {
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'one.test', rejectUnauthorized: false });
  await new Promise((resolve, reject) => { socket.once('secureConnect', resolve).once('error', reject); });
  const ask = () => new Promise((resolve) => {
    socket.once('data', (chunk) => resolve(String(chunk)));
    socket.write('GET /kept HTTP/1.1\r\nHost: one.test\r\n\r\n');
  });
  assert.match(await ask(), /^HTTP\/1\.1 200 /);
  const served = async () => {
    const { stdout } = await sClient(['-sigalgs', 'ECDSA+SHA256', '-showcerts']);
    return run('openssl', ['x509', '-noout', '-fingerprint', '-sha256'], { input: stdout });
  };
  const old = fingerprint(files.one.certificate);
  assert.ok((await served()).stdout.includes(old));
  makeCertificate(plimsoll.folder, 'one', { names: ['one.test'], issuer: ca });
  const renewed = fingerprint(files.one.certificate);
  assert.notEqual(renewed, old);
  assert.ok((await served()).stdout.includes(old), 'not before the reload');
  await order(plimsoll, 'reload');
  await eventually('the renewed one is served', async () => (await served()).stdout.includes(renewed));
  assert.match(await ask(), /^HTTP\/1\.1 200 /, 'the open connection goes on');
  socket.destroy();
});

test('a broken certificate is refused at reload, and the old one is served', { skip }, async () => {
  const key = readFileSync(files.wild.key);
  writeFileSync(files.wild.key, readFileSync(files.two.key)); // of another certificate
  const reload = await command(plimsoll, 'reload');
  assert.equal(reload.code, 1);
  assert.match(reload.stderr, /wild\.(key|pem)/);
  assert.equal((await sClient([], { host: 'a.wild.test' })).subject, 'CN = *.wild.test');
  writeFileSync(files.wild.key, key);
  await order(plimsoll, 'reload');
});

test('plain HTTP on the TLS port, and TLS on the plain one, are refused and hurt nobody', { skip }, async () => {
  const plain = await run('curl', ['-sS', '--max-time', '5', `http://127.0.0.1:${port}/`]);
  assert.notEqual(plain.code, 0);
  const secure = await run('curl', ['-sSk', '--max-time', '5', `https://127.0.0.1:${plimsoll.port}/`]);
  assert.notEqual(secure.code, 0);
  assert.match((await curl('one.test', '/')).stdout, /200 1\.1 0$/);
});

test('TLS towards upstreams: verified by default, by name, and turned off only on purpose', { skip }, async () => {
  const good = makeCertificate(plimsoll.folder, 'up', { names: ['up.test', '127.0.0.1'], issuer: ca });
  const server = https.createServer({ cert: readFileSync(good.certificate), key: readFileSync(good.key) },
    (req, res) => res.end(`secure ${req.socket.servername || 'no name'}`));
  const upPort = await listen(server);
  const node = await startPlimsoll({ config: { routes: [{ match: { path: '/' }, respond: { body: 'x' } }] } });
  const answers = async (settings) => {
    node.writeConfig({
      upstreams: { app: { targets: [`127.0.0.1:${upPort}`], tls: settings, breaker_on: false, outlier: { failures: 0 } } },
      routes: [{ match: { path: '/' }, to: 'app' }],
    });
    await order(node, 'reload');
    const { status, body } = await request({ port: node.port });
    return status === 200 ? body : status;
  };
  const log = () => node.child.stdout;
  assert.equal(await answers({ verify: false }), 'secure no name', 'not verified, on purpose');
  // What was opened without verification is not used for those who want it.
  assert.equal(await answers({}), 502, 'an issuer that the system does not know');
  assert.equal(await answers({ ca: ca.certificate }), 'secure no name', 'the address is in the certificate');
  assert.equal(await answers({ ca: ca.certificate, server_name: 'up.test' }), 'secure up.test');
  assert.equal(await answers({ ca: ca.certificate, server_name: 'other.test' }), 502, 'a name that is not');
  // The log says why; the client is not told.
  const reasons = await eventually('both refusals are logged', async () => {
    const found = log().split('\n').filter((line) => line.includes('"upstream_tls_failed"')).map((line) => JSON.parse(line).detail);
    return found.some((text) => /name|host/i.test(text)) && found.some((text) => /issuer|self|signed/i.test(text)) && found;
  });
  assert.ok(reasons.length >= 2, reasons.join());
  node.writeConfig({
    upstreams: { app: { targets: [`127.0.0.1:${upPort}`], tls: { ca: '/nonexistent/ca.pem' } } },
    routes: [{ match: { path: '/' }, to: 'app' }],
  });
  await assert.rejects(order(node, 'reload'), /plimsoll\.yaml:\d+:\d+: .*\/nonexistent\/ca\.pem/);
  await node.stop();
  server.closeAllConnections();
  server.close();
});
