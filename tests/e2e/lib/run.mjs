// run.mjs: other people's programs, without holding up the event loop that the test's servers use.

import { spawn } from 'node:child_process';

// { code, stdout, stderr }; killed after timeoutMs.
export function run(program, args, { input = '', timeoutMs = 15_000, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    const out = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => { out[name] += text; });
    }
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, ...out });
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}
