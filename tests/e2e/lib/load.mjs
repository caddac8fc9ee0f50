// load.mjs: keep-alive load over plain sockets, so that the client is not what limits the test.
//
// Every request must get one whole answer: a connection that closes in between, or an answer that
// cannot be read, is a failure with its reason. Answers need content-length or chunked framing.

import net from 'node:net';
import tls from 'node:tls';

// Runs until `seconds` are over, `requests` were sent, or stop() is called.
// start(...) -> { stop(), done: Promise<{ sent, statuses: {200: n}, failures: [..], seconds }> }
export function startLoad({ port, host = '127.0.0.1', connections = 10, seconds = Infinity,
  requests = Infinity, method = 'GET', path = '/', headers = {}, body = '', isSecure = false }) {
  const lines = Object.entries({
    host: `${host}:${port}`,
    ...(body ? { 'content-length': Buffer.byteLength(body) } : {}),
    ...headers,
  });
  const bytes = Buffer.from(`${method} ${path} HTTP/1.1\r\n`
    + `${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`);
  const run = {
    port, host, bytes, requests, sent: 0, statuses: {}, failures: [], failed: 0,
    isStopping: false, isHead: method === 'HEAD', isSecure,
  };
  const started = Date.now();
  const timer = Number.isFinite(seconds)
    ? setTimeout(() => { run.isStopping = true; }, seconds * 1000) : undefined;
  const done = Promise.all(Array.from({ length: connections }, () => worker(run))).then(() => {
    clearTimeout(timer);
    return {
      sent: run.sent, statuses: run.statuses, failures: run.failures, failed: run.failed,
      seconds: (Date.now() - started) / 1000,
    };
  });
  return { stop: () => { run.isStopping = true; return done; }, done, run };
}

export const load = (options) => startLoad(options).done;

async function worker(run) {
  while (!run.isStopping && run.sent < run.requests) {
    await connection(run);
  }
}

// One connection, one request after the other, until it closes or the run is over.
function connection(run) {
  return new Promise((resolve) => {
    const to = { port: run.port, host: run.host, noDelay: true };
    const socket = run.isSecure ? tls.connect({ ...to, rejectUnauthorized: false }) : net.connect(to);
    let received = '';
    let isWaiting = false;
    let isOver = false;
    const finish = (failure) => {
      if (isOver) return;
      isOver = true;
      if (failure !== undefined) note(run, failure);
      socket.destroy();
      // A breath after a failure, so that a dead port does not spin.
      if (failure === undefined) resolve();
      else setTimeout(resolve, 10);
    };
    const send = () => {
      if (run.isStopping || run.sent >= run.requests) return finish();
      run.sent += 1;
      isWaiting = true;
      socket.write(run.bytes);
    };
    socket.on(run.isSecure ? 'secureConnect' : 'connect', send);
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      const answer = wholeAnswer(received, run.isHead);
      if (answer === null) return;
      if (answer.failure !== undefined) return finish(answer.failure);
      received = received.slice(answer.length);
      isWaiting = false;
      run.statuses[answer.status] = (run.statuses[answer.status] ?? 0) + 1;
      if (answer.isLast) finish();
      else send();
    });
    socket.on('error', (error) => finish(isWaiting || error.code === 'ECONNREFUSED'
      ? `${error.code} ${isWaiting ? 'in a request' : 'on connect'}` : undefined));
    socket.on('close', () => finish(isWaiting ? `closed in an answer after ${received.length} bytes` : undefined));
  });
}

function note(run, failure) {
  run.failed += 1;
  if (run.failures.length < 20) run.failures.push(failure);
}

// { status, length, isLast } of the answer at the start of the text, null when more is needed.
function wholeAnswer(text, isHead) {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const head = text.slice(0, end + 2).toLowerCase();
  const status = Number(head.slice(9, 12));
  if (!head.startsWith('http/1.1 ') || !(status >= 200)) return { failure: `not an answer: ${head.slice(0, 40)}` };
  const isLast = /\r\nconnection:[^\r]*close/.test(head);
  if (isHead || status === 204 || status === 304) return { status, length: end + 4, isLast };
  const found = /\r\ncontent-length: *(\d+)/.exec(head);
  if (found !== null) {
    const length = end + 4 + Number(found[1]);
    return text.length < length ? null : { status, length, isLast };
  }
  if (!/\r\ntransfer-encoding: *chunked/.test(head)) return { failure: 'an answer without framing' };
  const last = text.indexOf('0\r\n\r\n', end + 4); // bodies of the tests hold no such bytes
  return last < 0 ? null : { status, length: last + 5, isLast };
}
