// pages.mjs: the shop's HTML. No inline style or script, so a strict content policy holds.

import { priceOf, productOf, products } from './catalogue.mjs';
import { totalMinor } from './cart.mjs';

const escapes = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text) => String(text).replace(/[&<>"']/g, (char) => escapes[char]);

const picture = (product) =>
  `<svg class="picture" viewBox="0 0 120 120" aria-hidden="true">${product.picture}</svg>`;

function page(title, content, { instance = '', cart = new Map() } = {}) {
  const count = [...cart.values()].reduce((sum, n) => sum + n, 0);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)} · The Load Line</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" href="data:,">
<header>
  <a class="brand" href="/">
    <svg viewBox="0 0 40 40" aria-hidden="true"><circle cx="20" cy="20" r="12" class="line"/><path d="M2 20h36" class="line"/></svg>
    The Load Line
  </a>
  <nav aria-label="Main">
    <a href="/live">Live</a>
    <a href="/upload">Upload</a>
    <a href="/chaos">Chaos</a>
    <a href="/cart">Cart${count > 0 ? ` <span class="badge">${count}</span>` : ''}</a>
  </nav>
</header>
<main>
${content}
</main>
<footer>An example application behind Plimsoll${instance ? `, answered by instance <b>${escape(instance)}</b>` : ''}.</footer>
</html>
`;
}

const addForm = (product) => `<form method="post" action="/cart/add">
  <input type="hidden" name="item" value="${product.id}">
  <button aria-label="Add ${escape(product.name)} to the cart">Add to cart</button>
</form>`;

export function home(shop, cart) {
  const cards = products.map((product) => `<li class="card">
  <a href="/product/${product.id}">${picture(product)}<h2>${escape(product.name)}</h2></a>
  <p class="price">${priceOf(product.price_minor)}</p>
  ${addForm(product)}
</li>`).join('\n');
  return page('Everything for small ships', `<h1>Everything for small ships</h1>
<ul class="grid">
${cards}
</ul>`, { instance: shop.name, cart });
}

export function product(shop, cart, item) {
  return page(item.name, `<article class="product">
${picture(item)}
<div>
  <h1>${escape(item.name)}</h1>
  <p>${escape(item.text)}</p>
  <p class="price">${priceOf(item.price_minor)}</p>
  ${addForm(item)}
</div>
</article>`, { instance: shop.name, cart });
}

export function cart(shop, content) {
  if (content.size === 0) {
    return page('Cart', '<h1>Your cart is empty</h1>\n<p><a href="/">Look around</a></p>',
      { instance: shop.name });
  }
  const rows = [...content].map(([id, count]) => {
    const item = productOf(id);
    return `<tr>
  <th scope="row"><a href="/product/${id}">${escape(item.name)}</a></th>
  <td>${count}</td>
  <td>${priceOf(item.price_minor * count)}</td>
  <td><form method="post" action="/cart/remove"><input type="hidden" name="item" value="${id}"><button class="quiet" aria-label="Remove ${escape(item.name)}">Remove</button></form></td>
</tr>`;
  }).join('\n');
  return page('Cart', `<h1>Cart</h1>
<table>
<thead><tr><th scope="col">Product</th><th scope="col">Count</th><th scope="col">Price</th><td></td></tr></thead>
<tbody>
${rows}
</tbody>
<tfoot><tr><th scope="row" colspan="2">Total</th><td>${priceOf(totalMinor(content))}</td><td></td></tr></tfoot>
</table>
<form method="post" action="/checkout"><button>Check out</button></form>`,
  { instance: shop.name, cart: content });
}

export function thanks(shop) {
  return page('Thank you', '<h1>Thank you</h1>\n<p>Nothing was charged and nothing will arrive: this is an example.</p>',
    { instance: shop.name });
}

export function upload(shop, cart) {
  return page('Upload', `<h1>Upload</h1>
<p>The file is streamed through, counted and hashed, and kept nowhere.</p>
<form id="upload">
  <label>File <input type="file" name="file" required></label>
  <button>Send</button>
</form>
<pre id="upload-result" role="status"></pre>
<script src="/client.js" defer></script>`, { instance: shop.name, cart });
}

export function live(shop, cart) {
  return page('Live', `<h1>Live</h1>
<p>A WebSocket to <code>/ws?ticker</code>: once a second the instance says what it has served.</p>
<pre id="ticker" role="status">connecting …</pre>
<script src="/client.js" defer></script>`, { instance: shop.name, cart });
}

const knob = (name, label, max, value, unit) => `<label>${label}
  <span><input type="number" name="${name}" min="0" max="${max}" value="${value || ''}" placeholder="0"> ${unit}</span>
</label>`;

export function chaos(shop, cart) {
  const now = shop.chaos.report();
  const status = now.seconds_left > 0
    ? `<p class="warning">Instance ${escape(shop.name)} misbehaves for ${now.seconds_left} more seconds.</p>`
    : `<p>Instance ${escape(shop.name)} behaves.</p>`;
  return page('Chaos', `<h1>Chaos</h1>
${status}
<p>Make the shop misbehave and watch what Plimsoll makes of it. It ends by itself.</p>
<form method="post" action="/chaos" class="knobs">
${knob('slow_ms', 'Slow: wait before each answer', 30000, now.slow_ms, 'ms')}
${knob('fail_percent', 'Failing: answer 503', 100, now.fail_percent, '%')}
${knob('hang_percent', 'Hanging: never answer', 100, now.hang_percent, '%')}
${knob('cut_percent', 'Cutting: close in the middle of the body', 100, now.cut_percent, '%')}
${knob('leak_mb', 'Leaking: keep memory with each request', 10, now.leak_mb, 'MB')}
<label>Unhealthy: /healthz answers 503 <span><input type="checkbox" name="unhealthy" value="1"${now.unhealthy ? ' checked' : ''}></span></label>
<label>For <span><input type="number" name="seconds" min="1" max="600" value="30"> seconds</span></label>
<label>All instances, not only this one <span><input type="checkbox" name="all" value="1"></span></label>
<p class="actions"><button name="action" value="on">Start</button> <button class="quiet" name="action" value="off">Stop</button></p>
</form>`, { instance: shop.name, cart });
}

export function problem(status, message) {
  return page(`Error ${status}`, `<h1>${status}</h1>\n<p>${escape(message)}</p>\n<p><a href="/">Back to the shop</a></p>`);
}
