// certificates.mjs: keys and certificates by the openssl command, in a folder of the test's own.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const NOBODY = 65534;
const KEYS = {
  rsa: ['-newkey', 'rsa:2048'],
  ecdsa: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
};

export function openssl(args, options = {}) {
  const run = spawnSync('openssl', args, { encoding: 'utf8', timeout: 20_000, ...options });
  assert.equal(run.error, undefined, String(run.error));
  return run;
}

// A certificate for `names`, of its own issuer or of `issuer`: { certificate, key } are paths.
export function makeCertificate(folder, file, { names, kind = 'ecdsa', issuer }) {
  const paths = { certificate: join(folder, `${file}.pem`), key: join(folder, `${file}.key`) };
  const signed = issuer === undefined ? [] : ['-CA', issuer.certificate, '-CAkey', issuer.key];
  const run = openssl(['req', '-x509', ...KEYS[kind], ...signed, '-nodes', '-days', '30', '-sha256',
    '-subj', `/CN=${names[0]}`, '-keyout', paths.key, '-out', paths.certificate,
    '-addext', `subjectAltName=${names.map((name) => /^[\d.]+$/.test(name) ? `IP:${name}` : `DNS:${name}`).join()}`,
    ...(issuer === undefined ? [] : ['-addext', 'basicConstraints=critical,CA:FALSE'])]);
  assert.equal(run.status, 0, run.stderr);
  give(paths.certificate);
  give(paths.key);
  return paths;
}

// Only its owner may read a key, and in the tests that is who Plimsoll runs as.
function give(path) {
  chmodSync(path, 0o600);
  if (process.getuid() === 0) chownSync(path, NOBODY, NOBODY);
}

export function fingerprint(path) {
  return openssl(['x509', '-in', path, '-noout', '-fingerprint', '-sha256']).stdout
    .split('=')[1].trim();
}

export function writeOwned(path, text) {
  writeFileSync(path, text);
  give(path);
}
