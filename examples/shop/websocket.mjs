// websocket.mjs: the server's side of RFC 6455, as much as an echo and a ticker need.
//
// Frames of a client must be masked (section 5.1); messages may come in fragments with control
// frames between them (5.4); text must be UTF-8 (8.1). Breaking a rule closes with its code (7.4).

import { createHash } from 'node:crypto';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const MESSAGE_BYTES_MAX = 1024 * 1024;
const CLOSE_WAIT_MS = 2000;
const OP = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 };

// Answers the handshake; null when it was refused.
export function acceptWebSocket(request, socket, head) {
  const key = request.headers['sec-websocket-key'];
  const isRight = request.method === 'GET'
    && request.headers['sec-websocket-version'] === '13'
    && String(request.headers.upgrade).toLowerCase() === 'websocket'
    && typeof key === 'string' && Buffer.from(key, 'base64').length === 16;
  if (!isRight) {
    socket.end('HTTP/1.1 400 Bad Request\r\nsec-websocket-version: 13\r\n'
      + 'connection: close\r\ncontent-length: 0\r\n\r\n');
    return null;
  }
  const accept = createHash('sha1').update(key + GUID).digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n'
    + `sec-websocket-accept: ${accept}\r\n\r\n`);
  socket.setTimeout(0);
  socket.setNoDelay(true);
  return new WebSocketConnection(socket, head);
}

class WebSocketConnection {
  onMessage = () => {}; // (Buffer, isText)
  onClose = () => {};

  constructor(socket, head) {
    this.socket = socket;
    this.received = head;
    this.fragments = [];
    this.fragmentBytes = 0;
    this.fragmentOp = 0; // 0 = between messages
    this.isClosing = false;
    socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.readFrames();
    });
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
    socket.on('close', () => this.onClose());
    if (head.length > 0) setImmediate(() => this.readFrames());
  }

  send(data, isText = true) {
    if (!this.isClosing) this.writeFrame(isText ? OP.TEXT : OP.BINARY, Buffer.from(data));
  }

  // Starts the closing handshake; a client that does not answer it is cut off.
  close(code = 1000, reason = '') {
    if (this.isClosing) return;
    this.isClosing = true;
    const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
    payload.writeUInt16BE(code);
    payload.write(reason, 2);
    this.writeFrame(OP.CLOSE, payload);
    setTimeout(() => this.socket.destroy(), CLOSE_WAIT_MS).unref();
  }

  writeFrame(op, payload) {
    if (!this.socket.writable) return;
    let head;
    if (payload.length < 126) {
      head = Buffer.from([0x80 | op, payload.length]);
    } else if (payload.length < 65536) {
      head = Buffer.from([0x80 | op, 126, 0, 0]);
      head.writeUInt16BE(payload.length, 2);
    } else {
      head = Buffer.alloc(10);
      head[0] = 0x80 | op;
      head[1] = 127;
      head.writeBigUInt64BE(BigInt(payload.length), 2);
    }
    this.socket.write(Buffer.concat([head, payload]));
  }

  readFrames() {
    let frame;
    while (!this.socket.destroyed && (frame = this.nextFrame()) !== null) this.handleFrame(frame);
  }

  // The next whole frame, taken off the front of what was received, or null.
  nextFrame() {
    const bytes = this.received;
    if (bytes.length < 2) return null;
    const isControl = (bytes[0] & 0x08) !== 0;
    let length = bytes[1] & 0x7f;
    let at = 2;
    if ((bytes[0] & 0x70) !== 0 || (bytes[1] & 0x80) === 0) return this.breakOff(1002);
    if (isControl && (length > 125 || (bytes[0] & 0x80) === 0)) return this.breakOff(1002);
    if (length === 126) {
      if (bytes.length < 4) return null;
      length = bytes.readUInt16BE(2);
      at = 4;
    } else if (length === 127) {
      if (bytes.length < 10) return null;
      length = Number(bytes.readBigUInt64BE(2));
      at = 10;
    }
    if (length + this.fragmentBytes > MESSAGE_BYTES_MAX) return this.breakOff(1009);
    if (bytes.length < at + 4 + length) return null;
    const mask = bytes.subarray(at, at + 4);
    const payload = Buffer.from(bytes.subarray(at + 4, at + 4 + length));
    for (let i = 0; i < payload.length; i++) payload[i] ^= mask[i & 3];
    this.received = bytes.subarray(at + 4 + length);
    return { op: bytes[0] & 0x0f, isLast: (bytes[0] & 0x80) !== 0, payload };
  }

  handleFrame({ op, isLast, payload }) {
    switch (op) {
      case OP.PING:
        if (!this.isClosing) this.writeFrame(OP.PONG, payload);
        break;
      case OP.PONG:
        break;
      case OP.CLOSE:
        if (!this.isClosing) this.close(payload.length >= 2 ? payload.readUInt16BE(0) : 1000);
        this.socket.end();
        break;
      case OP.TEXT:
      case OP.BINARY:
      case OP.CONTINUATION:
        this.handleFragment(op, isLast, payload);
        break;
      default:
        this.breakOff(1002);
    }
  }

  handleFragment(op, isLast, payload) {
    const isFirst = op !== OP.CONTINUATION;
    if (isFirst !== (this.fragmentOp === 0)) {
      this.breakOff(1002);
      return;
    }
    if (isFirst) this.fragmentOp = op;
    this.fragments.push(payload);
    this.fragmentBytes += payload.length;
    if (!isLast) return;
    const message = Buffer.concat(this.fragments);
    const isText = this.fragmentOp === OP.TEXT;
    this.fragments = [];
    this.fragmentBytes = 0;
    this.fragmentOp = 0;
    if (isText && !isUtf8(message)) this.breakOff(1007);
    else this.onMessage(message, isText);
  }

  breakOff(code) {
    this.close(code);
    this.received = Buffer.alloc(0);
    this.socket.end();
    return null;
  }
}

function isUtf8(bytes) {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
