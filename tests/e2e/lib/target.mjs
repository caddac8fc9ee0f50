// target.mjs: a target in a process of its own, which can be killed. Run by processes.mjs.
//
//   node target.mjs PORT JOURNAL
//
// Every request is answered at once with 200. Before a POST is answered its x-id is appended to
// the journal, by one synchronous write: what a killed target has seen is not lost.
// /slow/N waits N milliseconds.

import { appendFileSync } from 'node:fs';
import http from 'node:http';

const [port, journal] = process.argv.slice(2);

const server = http.createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    if (request.method === 'POST') appendFileSync(journal, `${request.headers['x-id']}\n`);
    const slow = /^\/slow\/(\d+)/.exec(request.url);
    const body = `${port}`;
    response.setHeader('content-length', body.length);
    if (slow === null) response.end(body);
    else setTimeout(() => response.end(body), Number(slow[1]));
  });
});
server.keepAliveTimeout = 75_000;
server.listen(Number(port), '127.0.0.1', () => process.stdout.write('listening\n'));
