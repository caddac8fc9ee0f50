// websocket.mjs: a small RFC 6455 client, written against the RFC and not against our server.

import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

// Resolves after the 101; rejects with the status line otherwise.
export function connectWebSocket({ port, host = '127.0.0.1', path = '/ws', headers = {}, timeoutMs = 5000 }) {
  return new Promise((resolve, reject) => {
    const key = randomBytes(16).toString('base64');
    const socket = net.connect({ port, host, noDelay: true });
    const lines = Object.entries({
      host: `${host}:${port}`, upgrade: 'websocket', connection: 'Upgrade',
      'sec-websocket-key': key, 'sec-websocket-version': '13', ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`).join('');
    let head = Buffer.alloc(0);
    const timer = setTimeout(() => fail(new Error('no handshake in time')), timeoutMs);
    const fail = (error) => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const onClose = () => fail(new Error(`closed in the handshake: ${head.toString('latin1')}`));
    const onData = (chunk) => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const text = head.subarray(0, end).toString('latin1');
      const accept = createHash('sha1').update(key + GUID).digest('base64');
      if (!/^HTTP\/1\.1 101 /.test(text)) return fail(new Error(text.split('\r\n')[0]));
      if (!text.toLowerCase().includes(`sec-websocket-accept: ${accept.toLowerCase()}`)) {
        return fail(new Error('a wrong sec-websocket-accept'));
      }
      clearTimeout(timer);
      socket.off('data', onData).off('close', onClose).off('error', fail);
      resolve(new Client(socket, head.subarray(end + 4)));
    };
    socket.on('connect', () => socket.write(`GET ${path} HTTP/1.1\r\n${lines}\r\n`));
    socket.on('data', onData).on('close', onClose).on('error', fail);
  });
}

class Client {
  constructor(socket, received) {
    this.socket = socket;
    this.received = received;
    this.messages = []; // { op, payload } that nobody waited for
    this.waiting = [];
    this.isClosed = false;
    this.closeCode = undefined;
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.isClosed = true;
        for (const { reject } of this.waiting.splice(0)) reject(new Error('the WebSocket is closed'));
        resolve(this.closeCode);
      });
    });
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.read();
    });
    this.read();
  }

  sendText(text) { this.sendFrame(1, Buffer.from(text)); }

  sendFrame(op, payload, { isLast = true, isMasked = true } = {}) {
    const mask = randomBytes(4);
    const size = payload.length;
    const lengthBytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
    const head = Buffer.alloc(2 + lengthBytes);
    head[0] = (isLast ? 0x80 : 0) | op;
    head[1] = (isMasked ? 0x80 : 0) | (lengthBytes === 0 ? size : lengthBytes === 2 ? 126 : 127);
    if (lengthBytes === 2) head.writeUInt16BE(size, 2);
    if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(size), 2);
    const body = Buffer.from(payload);
    if (isMasked) for (let i = 0; i < size; i++) body[i] ^= mask[i & 3];
    this.socket.write(Buffer.concat(isMasked ? [head, mask, body] : [head, body]));
  }

  // The next text, binary or pong frame.
  next(timeoutMs = 5000) {
    if (this.messages.length > 0) return Promise.resolve(this.messages.shift());
    if (this.isClosed) return Promise.reject(new Error('the WebSocket is closed'));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no message in time')), timeoutMs);
      this.waiting.push({
        resolve: (message) => { clearTimeout(timer); resolve(message); },
        reject: (error) => { clearTimeout(timer); reject(error); },
      });
    });
  }

  async nextText(timeoutMs) { return (await this.next(timeoutMs)).payload.toString('utf8'); }

  async echo(text, timeoutMs) {
    this.sendText(text);
    return this.nextText(timeoutMs);
  }

  close(code = 1000) {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.sendFrame(8, payload);
    return this.closed;
  }

  read() {
    for (;;) {
      const bytes = this.received;
      if (bytes.length < 2) return;
      let size = bytes[1] & 0x7f;
      let at = 2;
      if (size === 126) {
        if (bytes.length < 4) return;
        size = bytes.readUInt16BE(2);
        at = 4;
      } else if (size === 127) {
        if (bytes.length < 10) return;
        size = Number(bytes.readBigUInt64BE(2));
        at = 10;
      }
      if (bytes.length < at + size) return;
      const message = { op: bytes[0] & 0x0f, payload: Buffer.from(bytes.subarray(at, at + size)) };
      this.received = bytes.subarray(at + size);
      if (message.op === 8) {
        this.closeCode = size >= 2 ? message.payload.readUInt16BE(0) : 1005;
        this.socket.end();
      } else if (this.waiting.length > 0) {
        this.waiting.shift().resolve(message);
      } else {
        this.messages.push(message);
      }
    }
  }
}
