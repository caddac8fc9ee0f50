// raw.mjs: bytes over TCP, for what a proper HTTP client would refuse to send or to see.

import net from 'node:net';

// Sends `bytes` (a string is latin-1) and collects what comes back until the other side closes,
// or until `until` (a string in what was received, or a function of it) says that it is enough.
// Never rejects for a reset: { text, ended: 'closed' | 'reset' | 'enough' | 'timeout', ms }.
export function rawExchange({ port, host = '127.0.0.1', bytes, until, timeoutMs = 5000, pieces = 1 }) {
  return new Promise((resolve) => {
    const started = Date.now();
    const socket = net.connect({ port, host, noDelay: true });
    let text = '';
    let isOver = false;
    const finish = (ended) => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, ended, ms: Date.now() - started });
    };
    const timer = setTimeout(() => finish('timeout'), timeoutMs);
    const isEnough = typeof until === 'string' ? () => text.includes(until) : until;
    socket.on('connect', () => writePieces(socket, Buffer.from(bytes, 'latin1'), pieces));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (isEnough?.(text)) finish('enough');
    });
    socket.on('end', () => finish('closed'));
    socket.on('close', () => finish('closed'));
    socket.on('error', () => finish('reset'));
  });
}

// In several writes, so that the reader meets every boundary.
function writePieces(socket, bytes, pieces) {
  const size = Math.max(1, Math.ceil(bytes.length / pieces));
  const writeFrom = (at) => {
    if (at >= bytes.length || socket.destroyed) return;
    socket.write(bytes.subarray(at, at + size));
    setImmediate(writeFrom, at + size);
  };
  writeFrom(0);
}

// The responses in received text, as far as they are complete: { status, headers, body }.
export function parseResponses(text) {
  const responses = [];
  let rest = text;
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) break;
    const [statusLine, ...lines] = rest.slice(0, end).split('\r\n');
    const headers = {};
    for (const line of lines) {
      const colon = line.indexOf(':');
      const name = line.slice(0, colon).toLowerCase();
      const value = line.slice(colon + 1).trim();
      headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
    }
    const status = Number(statusLine.split(' ')[1]);
    const body = bodyOf(status, headers, rest.slice(end + 4));
    responses.push({ status, headers, body: body.text });
    rest = rest.slice(end + 4 + body.length);
  }
  return responses;
}

function bodyOf(status, headers, rest) {
  if (status < 200 || status === 204 || status === 304) return { text: '', length: 0 };
  if (headers['transfer-encoding'] === 'chunked') return chunkedBody(rest);
  const length = headers['content-length'] === undefined
    ? rest.length : Number(headers['content-length']);
  return { text: rest.slice(0, length), length };
}

function chunkedBody(rest) {
  let text = '';
  let at = 0;
  while (at < rest.length) {
    const lineEnd = rest.indexOf('\r\n', at);
    if (lineEnd < 0) break;
    const size = parseInt(rest.slice(at, lineEnd), 16);
    if (size === 0) {
      const end = rest.indexOf('\r\n\r\n', lineEnd);
      return { text, length: end < 0 ? rest.length : end + 4 };
    }
    text += rest.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
  }
  return { text, length: rest.length };
}
