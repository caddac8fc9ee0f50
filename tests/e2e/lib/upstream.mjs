// upstream.mjs: applications for Plimsoll to stand in front of, inside the test's process.

import http from 'node:http';
import net from 'node:net';

import { createShop } from '../../../examples/shop/shop.mjs';

export async function listen(server, port = 0) {
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
    server.unref(); // a test that failed does not stop it
  });
  return server.address().port;
}

// The example shop: { port, shop, stop }.
export async function startShop(options = {}) {
  const shop = createShop(options);
  const port = await listen(shop.server, options.port);
  return {
    port,
    shop,
    stop: async () => {
      const closed = new Promise((resolve) => shop.server.once('close', resolve));
      shop.stop();
      shop.server.closeAllConnections();
      await closed;
    },
  };
}

// An HTTP application out of one handler: { port, requests, connections, stop }.
export async function startApp(handler, { port: wantedPort = 0 } = {}) {
  const app = { requests: 0, connections: 0 };
  const server = http.createServer((request, response) => {
    app.requests += 1;
    handler(request, response);
  });
  server.keepAliveTimeout = 75_000;
  server.on('connection', () => { app.connections += 1; });
  app.server = server;
  app.port = await listen(server, wantedPort);
  app.stop = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };
  return app;
}

// An upstream that says exactly these bytes (latin-1), whatever it is asked:
// `answer` is a string, or a function of (requestText, socket, n) that returns one or undefined.
// It answers each time that a whole head has come; bodies are the caller's matter. A forgetful one
// keeps no record of the requests.
export async function startRawUpstream(answer, { closes = false, isForgetful = false, port: wantedPort = 0 } = {}) {
  const upstream = { requests: [], connections: 0 };
  const sockets = new Set();
  const server = net.createServer({ noDelay: true }, (socket) => {
    upstream.connections += 1;
    sockets.add(socket);
    let text = '';
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      let end;
      while ((end = text.indexOf('\r\n\r\n')) >= 0) {
        const head = text.slice(0, end + 4);
        text = text.slice(end + 4);
        if (!isForgetful) upstream.requests.push(head);
        const reply = typeof answer === 'function'
          ? answer(head, socket, upstream.requests.length) : answer;
        if (reply !== undefined && socket.writable) socket.write(Buffer.from(reply, 'latin1'));
        if (closes) socket.end();
      }
    });
  });
  upstream.server = server;
  upstream.sockets = sockets;
  upstream.port = await listen(server, wantedPort);
  upstream.stop = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return upstream;
}
