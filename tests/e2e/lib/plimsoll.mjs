// plimsoll.mjs: the real binary with a configuration of the test's own.
//
// PLIMSOLL_BIN names the binary (build/dev/plimsoll by default); PLIMSOLL_RELEASE_BIN the one for
// tests that measure. Plimsoll refuses to stay root, so as root the tests start it as nobody, with
// a copy of the binary that nobody can read.

import { spawn } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { after } from 'node:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { eventually, request } from './http.mjs';
import { listen } from './upstream.mjs';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const NOBODY = 65534;
const IS_ROOT = process.getuid() === 0;
const LOG_CHARS_MAX = 1_000_000;

// A test that failed half way leaves its processes; they would keep the test run from ending.
const running = new Set();
after(() => {
  // Not at once: hooks of the test's own come later.
  setTimeout(() => { for (const child of running) child.kill('SIGKILL'); }, 10_000).unref();
});

const binaries = {
  dev: process.env.PLIMSOLL_BIN ?? join(ROOT, 'build/dev/plimsoll'),
  release: process.env.PLIMSOLL_RELEASE_BIN ?? join(ROOT, 'build/release/plimsoll'),
};

// For { skip }: a reason when there is no binary, so that a test without one does not pass.
export const withoutBinary = existsSync(binaries.dev) ? false : `no binary at ${binaries.dev}`;

export async function freePort() {
  const server = net.createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export function scratchFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-e2e-'));
  if (IS_ROOT) chownSync(folder, NOBODY, NOBODY);
  return folder;
}

const readable = new Map();
function readableBinary(kind) {
  const binary = binaries[kind];
  if (!IS_ROOT) return binary;
  if (!readable.has(kind)) {
    const folder = mkdtempSync(join(tmpdir(), 'plimsoll-bin-'));
    chmodSync(folder, 0o755);
    const copy = join(folder, 'plimsoll');
    copyFileSync(binary, copy);
    chmodSync(copy, 0o755);
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    readable.set(kind, copy);
  }
  return readable.get(kind);
}

// Runs the binary to its end: { code, signal, stdout, stderr }.
export async function runPlimsoll(args, { kind = 'dev', cwd = tmpdir(), env = {}, timeoutMs = 20_000, staysRoot = false } = {}) {
  const child = launch(args, { kind, cwd, env, staysRoot });
  const timer = setTimeout(() => child.process.kill('SIGKILL'), timeoutMs);
  const end = await child.ended;
  clearTimeout(timer);
  return { ...end, stdout: child.stdout, stderr: child.stderr };
}

function launch(args, { kind, cwd, env, staysRoot = false, descriptors }) {
  const child = { stdout: '', stderr: '' };
  const line = [readableBinary(kind), ...args];
  if (descriptors !== undefined) line.unshift('sh', '-c', `ulimit -n ${descriptors} && exec "$0" "$@"`);
  child.process = spawn(line[0], line.slice(1), {
    cwd,
    env: { PATH: process.env.PATH, ASAN_OPTIONS: 'abort_on_error=0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(IS_ROOT && !staysRoot ? { uid: NOBODY, gid: NOBODY } : {}),
  });
  running.add(child.process);
  child.process.once('close', () => running.delete(child.process));
  for (const stream of ['stdout', 'stderr']) {
    child.process[stream].setEncoding('utf8');
    child.process[stream].on('data', (text) => {
      child[stream] = (child[stream] + text).slice(-LOG_CHARS_MAX);
    });
  }
  child.ended = new Promise((resolve) => {
    child.process.once('error', (error) => resolve({ code: null, signal: null, error }));
    child.process.once('close', (code, signal) => resolve({ code, signal }));
  });
  return child;
}

// Starts `plimsoll serve` and waits until it is ready.
//   config    an object (JSON is YAML) or YAML text; an object gets listen, admin, and no limits on
//             clients, because all of a test's clients have one address; or a function of the
//             node that returns one
//   args      instead of a configuration: the flags behind `serve`
//   staysRoot as root, it is started as root
//   descriptors  how many it may have open
// { port, adminPort, folder, configPath, writeConfig, reload, admin, stop, child }
export async function startPlimsoll({ config, args, kind = 'dev', env = {}, staysRoot = false, descriptors } = {}) {
  const folder = scratchFolder();
  const port = await freePort();
  const adminPort = await freePort();
  const configPath = join(folder, 'plimsoll.yaml');
  const node = { folder, port, adminPort, configPath, kind };

  node.writeConfig = (next) => {
    const text = typeof next === 'string' ? next : JSON.stringify({
      listen: [{ address: `127.0.0.1:${port}` }],
      admin: { address: `127.0.0.1:${adminPort}`, socket: join(folder, 'plimsoll.sock') },
      limits: false,
      connections: { per_ip: 10_000 },
      ...next,
    }, null, 2);
    writeFileSync(configPath, text.replaceAll('@PORT@', port).replaceAll('@ADMIN@', adminPort));
  };
  if (config !== undefined) node.writeConfig(typeof config === 'function' ? config(node) : config);
  const flags = args ?? ['--config', configPath];
  const child = launch(
    ['serve', ...flags.map((flag) => flag.replaceAll('@PORT@', port).replaceAll('@ADMIN@', adminPort))],
    { kind, cwd: folder, env, staysRoot, descriptors });
  node.child = child;
  node.pid = child.process.pid;

  let end;
  child.ended.then((result) => { end = result; });
  const story = () => `${child.stdout}\n${child.stderr}`;
  node.admin = (path, options = {}) => request({ port: adminPort, path, ...options });
  node.reload = () => child.process.kill('SIGHUP');
  // Drains and checks that it ended well: a sanitizer's finding or a failed must() ends otherwise.
  node.stop = async ({ signal = 'SIGTERM', timeoutMs = 20_000, code = 0 } = {}) => {
    child.process.kill(signal);
    const timer = setTimeout(() => child.process.kill('SIGKILL'), timeoutMs);
    const result = await child.ended;
    clearTimeout(timer);
    rmSync(folder, { recursive: true, force: true });
    if (result.code !== code) {
      throw new Error(`plimsoll ended with ${result.code ?? result.signal}:\n${story()}`);
    }
    return result;
  };
  try {
    await eventually('plimsoll is ready', async () => {
      if (end !== undefined) return true;
      return (await node.admin('/health/ready', { timeoutMs: 1000 })).status === 200;
    }, { timeoutMs: 15_000 });
  } catch (error) {
    child.process.kill('SIGKILL');
    throw new Error(`${error.message}\n${story()}`);
  }
  if (end !== undefined) {
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`plimsoll ended while it started (${end.code ?? end.error ?? end.signal}):\n${story()}`);
  }
  return node;
}

// Resident memory in bytes.
export async function memoryOf(pid) {
  const { readFile } = await import('node:fs/promises');
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)[1]) * 1024;
}
