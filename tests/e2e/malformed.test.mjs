// malformed.test.mjs: every case of tests/data/http1 against the running server.
//
// The same cases drive the codec's unit tests; here the whole server has to give the answer, and
// to close the connection behind everything that it refused.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { readCases } from './lib/cases.mjs';
import { startPlimsoll, withoutBinary } from './lib/plimsoll.mjs';
import { parseResponses, rawExchange } from './lib/raw.mjs';
import { startRawUpstream } from './lib/upstream.mjs';

const DATA = new URL('../data/http1/', import.meta.url);
const requests = readCases(new URL('requests.txt', DATA), ['expected', 'name']);
const responses = readCases(new URL('responses.txt', DATA), ['expected', 'method', 'name']);
const skip = withoutBinary;
const SILENCE_MS = 150; // long enough to see that nothing is answered

let upstream;
let plimsoll;

before(async () => {
  if (skip) return;
  // One answer a connection: whatever follows the head is a body and no request.
  upstream = await startRawUpstream((head) => {
    const found = /^\w+ \/response\/(\d+) /.exec(head);
    if (found !== null) return responses[Number(found[1])].bytes;
    return 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok';
  }, { closes: true });
  plimsoll = await startPlimsoll({ config: {
    upstreams: { app: { targets: [`127.0.0.1:${upstream.port}`], breaker_on: false,
      outlier: { failures: 0 }, retry: { tries: 1 } } },
    routes: [{ match: { path: '/' }, to: 'app' }],
  } });
});

after(async () => {
  await plimsoll?.stop();
  await upstream?.stop();
});

// A head that is whole is passed on before its body has come, and the application here answers at
// once; the codec's tests are the ones that look at unfinished bodies.
const hasWholeHead = (bytes) => bytes.replace(/^\r\n/, '').includes('\r\n\r\n');

async function assertRequest({ expected, bytes }, pieces) {
  if (expected === 'more') {
    const { text, ended } = await rawExchange({ port: plimsoll.port, bytes, pieces, timeoutMs: SILENCE_MS });
    assert.deepEqual({ text, ended }, { text: '', ended: 'timeout' });
    return;
  }
  const isFinal = (text) => parseResponses(text).some(({ status }) => status >= 200);
  const passes = expected === '200';
  const { text, ended } = await rawExchange({ port: plimsoll.port, bytes, pieces, until: passes ? isFinal : undefined });
  const answers = parseResponses(text).filter(({ status }) => status >= 200);
  if (passes && bytes.startsWith('OPTIONS * ')) {
    assert.equal(answers[0]?.status, 204); // about the server itself, so the server answers
    return;
  }
  assert.equal(answers[0]?.status, Number(expected), text.slice(0, 300));
  if (passes) return;
  assert.notEqual(ended, 'timeout', 'the connection is closed after a refusal');
  assert.equal(answers.length, 1, 'nothing is answered behind a refusal');
}

for (const [i, found] of requests.entries()) {
  if (found.expected === 'more' && hasWholeHead(found.bytes)) continue;
  test(`request ${found.name} gets ${found.expected}`, { skip }, async () => {
    await assertRequest(found, 1);
    await assertRequest(found, 2 + (i % 7));
  });
}

for (const [i, { expected: onTheWire, method, name, bytes }] of responses.entries()) {
  if (method === 'CONNECT') continue; // no tunnels to strangers: refused before any upstream
  const expected = onTheWire === 'more' && hasWholeHead(bytes) ? 'cut' : onTheWire;
  test(`response ${name} becomes ${expected}`, { skip }, async () => {
    const { text, ended } = await rawExchange({ port: plimsoll.port, bytes:
      `${method} /response/${i} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n` });
    assert.notEqual(ended, 'timeout');
    const status = parseResponses(text).find((answer) => answer.status >= 200)?.status;
    const wanted = Number(/^HTTP\/\d\.\d (\d+)/.exec(bytes)?.[1]);
    if (expected === 'ok' && wanted >= 200) {
      assert.equal(status, wanted);
    } else if (expected === 'cut') {
      assert.ok(status === wanted || status === 502, `status ${status}`);
      assert.doesNotMatch(text, /\r\n0\r\n\r\n$/, 'a broken body must not look whole');
    } else {
      assert.equal(status, 502, 'refused, or ended before it was an answer');
    }
  });
}
