// shop.mjs: the shop as one http.Server: routes, static files, errors, and its end.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

import { Chaos } from './chaos.mjs';
import { addToCart, cartOf, cookieOf, emptyCookie, removeFromCart } from './cart.mjs';
import { products, productOf } from './catalogue.mjs';
import { HttpError, delay, readForm, readJson, sendHtml, sendJson, seeOther } from './reply.mjs';
import * as pages from './pages.mjs';
import { acceptWebSocket } from './websocket.mjs';

const SLOW_MS_MAX = 60_000;
const STATIC = { '/style.css': 'text/css', '/client.js': 'text/javascript' };

export function createShop({ name = 'shop', peers = [], random = Math.random } = {}) {
  const chaos = new Chaos({ random });
  const sockets = new Set(); // open WebSockets
  const shop = { name, peers, random, chaos, sockets, served: 0 };

  const server = createServer((request, response) => {
    shop.served += 1;
    response.setHeader('x-shop-instance', name);
    handle(shop, request, response).catch((error) => answerError(request, response, error));
  });
  // Longer than the proxy keeps idle connections, so that the proxy closes first and no request
  // meets a connection that is just going away.
  server.keepAliveTimeout = 75_000;
  server.on('upgrade', (request, socket, head) => upgrade(shop, request, socket, head));
  server.on('clientError', (error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n');
  });

  shop.server = server;
  shop.stop = () => {
    chaos.off();
    for (const ws of sockets) ws.close(1001, 'the shop is closing');
    server.close();
    server.closeIdleConnections();
  };
  return shop;
}

const listing = products.map(({ id, name, price_minor, text }) => (
  { id, name, price_minor, currency: 'EUR', text }));

const routes = {
  'GET /': ({ shop, response, cart }) => sendHtml(response, pages.home(shop, cart)),
  'GET /cart': ({ shop, response, cart }) => sendHtml(response, pages.cart(shop, cart)),
  'POST /cart/add': (exchange) => changeCart(exchange, addToCart),
  'POST /cart/remove': (exchange) => changeCart(exchange, removeFromCart),
  'POST /checkout': ({ shop, response }) => {
    response.setHeader('set-cookie', emptyCookie());
    sendHtml(response, pages.thanks(shop));
  },
  'GET /api/products': ({ response }) => sendJson(response, 200, { products: listing }),
  'GET /slow': slow,
  'GET /fail': fail,
  'GET /upload': ({ shop, response, cart }) => sendHtml(response, pages.upload(shop, cart)),
  'POST /upload': upload,
  'GET /live': ({ shop, response, cart }) => sendHtml(response, pages.live(shop, cart)),
  'GET /healthz': ({ shop, response }) => {
    const isWell = !shop.chaos.state.unhealthy;
    sendJson(response, isWell ? 200 : 503, { status: isWell ? 'ok' : 'unhealthy' });
  },
  'GET /chaos': ({ shop, response, cart }) => sendHtml(response, pages.chaos(shop, cart)),
  'POST /chaos': chaosForm,
  'GET /api/chaos': ({ shop, response }) => sendJson(response, 200, chaosReport(shop)),
  'POST /api/chaos': chaosSet,
  'DELETE /api/chaos': chaosOff,
};

// What must keep working while the rest misbehaves on purpose.
const isSpared = (path) =>
  path === '/chaos' || path === '/api/chaos' || path === '/healthz' || path in STATIC;

async function handle(shop, request, response) {
  const url = new URL(request.url, 'http://shop');
  if (!isSpared(url.pathname) && (await shop.chaos.strike(request, response))) return;

  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const exchange = { shop, request, response, url, cart: cartOf(request.headers.cookie) };
  if (method === 'POST' && request.headers['sec-fetch-site'] === 'cross-site') {
    throw new HttpError(403, 'This form was sent from another site.');
  }
  const route = routes[`${method} ${url.pathname}`];
  if (route !== undefined) return route(exchange);
  if (method === 'GET' && url.pathname in STATIC) return sendStatic(response, url.pathname);
  if (method === 'GET' && url.pathname.startsWith('/product/')) return product(exchange);
  if (Object.keys(routes).some((key) => key.endsWith(` ${url.pathname}`))) {
    throw new HttpError(405, `${request.method} is not possible here.`);
  }
  throw new HttpError(404, 'There is nothing here.');
}

function answerError(request, response, error) {
  const isOurs = error instanceof HttpError;
  const status = isOurs ? error.status : 500;
  const message = isOurs ? error.message : 'The shop failed.';
  if (!isOurs) console.error(error);
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  // A body that was not read would be taken for the next request.
  if (!request.complete) response.setHeader('connection', 'close');
  if (String(request.headers.accept).includes('text/html')) {
    sendHtml(response, pages.problem(status, message), status);
  } else {
    sendJson(response, status, { error: message });
  }
}

function sendStatic(response, path) {
  response.setHeader('content-type', `${STATIC[path]}; charset=utf-8`);
  response.setHeader('cache-control', 'public, max-age=300');
  response.end(readFileSync(fileURLToPath(new URL(`.${path}`, import.meta.url))));
}

function product({ shop, response, url, cart }) {
  const found = productOf(url.pathname.slice('/product/'.length));
  if (found === undefined) throw new HttpError(404, 'This product does not exist.');
  sendHtml(response, pages.product(shop, cart, found));
}

async function changeCart({ request, response, cart }, change) {
  const form = await readForm(request);
  if (productOf(form.get('item')) === undefined) throw new HttpError(400, 'No such product.');
  response.setHeader('set-cookie', cookieOf(change(cart, form.get('item'))));
  seeOther(response, '/cart');
}

async function slow({ response, url }) {
  const ms = numberOf(url, 'ms', 1000, SLOW_MS_MAX);
  await delay(ms, response);
  if (!response.destroyed) sendJson(response, 200, { waited_ms: ms });
}

// rate: how many of a hundred requests fail; status: with what.
function fail({ shop, response, url }) {
  const rate = numberOf(url, 'rate', 100, 100);
  const status = numberOf(url, 'status', 500, 599);
  if (shop.random() * 100 >= rate) return sendJson(response, 200, { failed: false });
  if (status === 429 || status === 503) response.setHeader('retry-after', '1');
  sendJson(response, Math.max(status, 400), { failed: true });
}

// The body is read as it comes and never kept, so a large upload costs no memory.
async function upload({ request, response }) {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    hash.update(chunk);
  }
  sendJson(response, 200, { bytes, sha256: hash.digest('hex') });
}

function numberOf(url, key, fallback, max) {
  const text = url.searchParams.get(key) ?? String(fallback);
  const value = Number(text);
  if (text === '' || !Number.isInteger(value) || value < 0 || value > max) {
    throw new HttpError(400, `${key} is a whole number from 0 to ${max}.`);
  }
  return value;
}

const chaosReport = (shop) => ({ instance: shop.name, ...shop.chaos.report() });

async function chaosSet({ shop, request, response, url }) {
  const wishes = await readJson(request);
  shop.chaos.set(wishes);
  const peers = url.searchParams.has('all') ? await tellPeers(shop, 'POST', wishes) : [];
  sendJson(response, 200, { ...chaosReport(shop), peers });
}

async function chaosOff({ shop, response, url }) {
  shop.chaos.off();
  const peers = url.searchParams.has('all') ? await tellPeers(shop, 'DELETE') : [];
  sendJson(response, 200, { ...chaosReport(shop), peers });
}

async function chaosForm({ shop, request, response }) {
  const form = await readForm(request);
  const wishes = {};
  for (const key of Object.keys(shop.chaos.state)) {
    if (form.get(key)) wishes[key] = key === 'unhealthy' ? true : Number(form.get(key));
  }
  if (form.get('seconds')) wishes.seconds = Number(form.get('seconds'));
  const isOff = form.get('action') === 'off';
  if (isOff) shop.chaos.off();
  else shop.chaos.set(wishes);
  if (form.get('all')) await tellPeers(shop, isOff ? 'DELETE' : 'POST', wishes);
  seeOther(response, '/chaos');
}

// The other instances do the same; one that is away does not hold up the rest.
async function tellPeers(shop, method, wishes) {
  const body = method === 'POST' ? JSON.stringify(wishes) : undefined;
  return Promise.all(shop.peers.map(async (port) => {
    try {
      const reply = await fetch(`http://127.0.0.1:${port}/api/chaos`, {
        method, body, headers: { 'content-type': 'application/json' },
        signal: AbortSignal.timeout(2000),
      });
      await reply.arrayBuffer();
      return { port, status: reply.status };
    } catch (error) {
      return { port, error: error.message };
    }
  }));
}

function upgrade(shop, request, socket, head) {
  const url = new URL(request.url, 'http://shop');
  if (url.pathname !== '/ws') {
    socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    return;
  }
  const ws = acceptWebSocket(request, socket, head);
  if (ws === null) return;
  shop.sockets.add(ws);
  let ticker;
  if (url.searchParams.has('ticker')) {
    ticker = setInterval(() => {
      ws.send(JSON.stringify({ instance: shop.name, served: shop.served, sockets: shop.sockets.size }));
    }, 1000);
  }
  ws.onMessage = (data, isText) => ws.send(data, isText); // echo
  ws.onClose = () => {
    clearInterval(ticker);
    shop.sockets.delete(ws);
  };
}
