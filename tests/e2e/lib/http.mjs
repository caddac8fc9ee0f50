// http.mjs: one request by Node's own client, answer collected, no redirects followed.

import http from 'node:http';

// { status, headers, body (string), rawHeaders }; rejects when no whole answer came.
export function request({ port, host = '127.0.0.1', method = 'GET', path = '/', headers = {},
  body, agent, timeoutMs = 10_000, signal, ...tls }) {
  return new Promise((resolve, reject) => {
    const sent = http.request({ port, host, method, path, headers, agent, signal, ...tls }, (reply) => {
      const chunks = [];
      reply.on('data', (chunk) => chunks.push(chunk));
      reply.on('error', reject);
      reply.on('end', () => resolve({
        status: reply.statusCode,
        headers: reply.headers,
        rawHeaders: reply.rawHeaders,
        body: Buffer.concat(chunks).toString('utf8'),
      }));
    });
    sent.setTimeout(timeoutMs, () => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    sent.on('error', reject);
    sent.end(body);
  });
}

export async function requestJson(options) {
  const reply = await request(options);
  return { ...reply, json: JSON.parse(reply.body) };
}

// Until `probe` gives something true; errors of the probe count as not yet.
export async function eventually(what, probe, { timeoutMs = 10_000, everyMs = 25 } = {}) {
  const deadline = Date.now() + timeoutMs;
  let last;
  while (Date.now() < deadline) {
    try {
      const result = await probe();
      if (result) return result;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}${last ? ` (${last.message})` : ''}`);
}
