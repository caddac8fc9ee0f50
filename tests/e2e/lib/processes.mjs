// processes.mjs: targets that live in processes of their own, so that SIGKILL is what it says.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

import { freePort } from './plimsoll.mjs';

const running = new Set();
after(() => { setTimeout(() => { for (const child of running) child.kill('SIGKILL'); }, 10_000).unref(); });

const PROGRAM = fileURLToPath(new URL('target.mjs', import.meta.url));

// { port, start(), kill(), signal(name), seen() -> ids of POSTs }
export async function startTarget(folder, { port } = {}) {
  const target = { port: port ?? await freePort() };
  const journal = join(folder, `journal-${target.port}`);
  let child;
  target.start = async () => {
    child = spawn(process.execPath, [PROGRAM, String(target.port), journal], { stdio: ['ignore', 'pipe', 'inherit'] });
    const started = child;
    running.add(started);
    started.once('exit', () => running.delete(started));
    await new Promise((resolve, reject) => {
      child.stdout.once('data', resolve);
      child.once('exit', () => reject(new Error('the target did not start')));
    });
  };
  target.kill = async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  };
  target.signal = (signal) => child.kill(signal);
  target.seen = () => existsSync(journal) ? readFileSync(journal, 'utf8').split('\n').filter(Boolean) : [];
  await target.start();
  return target;
}
