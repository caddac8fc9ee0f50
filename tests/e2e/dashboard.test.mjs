// dashboard.test.mjs: the status page in a real browser, before real traffic.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openPage, startBrowser, withoutBrowser } from './lib/browser.mjs';
import { order, statusPage } from './lib/command.mjs';
import { eventually } from './lib/http.mjs';
import { startLoad } from './lib/load.mjs';
import { startPlimsoll, withoutBinary } from './lib/plimsoll.mjs';
import { startShop } from './lib/upstream.mjs';
import { connectWebSocket } from './lib/websocket.mjs';

const skip = withoutBinary || withoutBrowser;
const timeout = 60_000;

let browser;
before(async () => { if (!skip) browser = await startBrowser(); });
after(() => browser?.close());

const textOf = (page, selector) => page.locator(selector).first().innerText();
const shows = (page, selector, pattern, timeoutMs = 15_000) => eventually(
  `${selector} shows ${pattern}`, async () => pattern.test(await textOf(page, selector)), { timeoutMs });

// Two shops behind Plimsoll, and the page.
async function withPage(options, body) {
  const shops = [await startShop(), await startShop()];
  const plimsoll = await startPlimsoll({
    config: {
      upstreams: {
        shop: {
          targets: shops.map(({ port }) => `127.0.0.1:${port}`),
          health: { path: '/healthz', interval: '200ms', timeout: '2s' },
        },
      },
      routes: [{ match: { path: '/' }, to: 'shop' }],
    },
  });
  const view = await openPage(browser, `http://127.0.0.1:${plimsoll.adminPort}/`, options);
  try {
    await body({ ...view, plimsoll, shops });
  } finally {
    await view.close();
    await plimsoll.stop().catch((error) => { if (!plimsoll.isStopped) throw error; });
    for (const shop of shops) await shop.stop().catch(() => {});
  }
}

test('the page shows the traffic, and complains of nothing', { skip, timeout }, async () => {
  await withPage({}, async ({ page, complaints, plimsoll, shops }) => {
    const load = startLoad({ port: plimsoll.port, connections: 4, path: '/healthz' });
    const socket = await connectWebSocket({ port: plimsoll.port });
    await shows(page, '#requests', /^[1-9]/);
    await shows(page, '#p99', / (ms|s)$/);
    await shows(page, '#tunnels', /^1$/);
    const connections = Number(await textOf(page, '#connections'));
    assert.ok(connections >= 5, `${connections} connections`);
    const status = await statusPage(plimsoll);
    assert.equal(await textOf(page, '#version'), status.version);
    assert.ok(status.now.requests_per_s > 0 && status.now.status_2xx_per_s > 0);
    assert.ok(status.totals.status_2xx > 0);
    assert.equal(await page.locator('#overall').getAttribute('data-state'), status.overall.state);
    for (const { port } of shops) {
      const row = page.getByRole('row', { name: `127.0.0.1:${port}` });
      assert.match(await row.innerText(), /up/);
      assert.match(await row.innerText(), /passed/);
    }
    assert.match(await textOf(page, '#upstreams-aside'), /2 of 2 targets up/);
    // The chart has a line that is not flat.
    await eventually('a line is drawn', async () => /L/.test(await page.locator('#requests-chart .a').getAttribute('d')));
    socket.socket?.destroy();
    await load.stop();
    assert.deepEqual(complaints, []);
  });
});

test('a target that dies and a breaker that opens are told in words', { skip, timeout }, async () => {
  await withPage({}, async ({ page, complaints, plimsoll, shops }) => {
    await shows(page, '#upstreams-aside', /2 of 2 targets up/);
    await shops[1].stop();
    const row = page.getByRole('row', { name: `127.0.0.1:${shops[1].port}` });
    await eventually('the target is down', async () => /down\s[\s\S]*refused/.test(await row.innerText()));
    await shows(page, '#overall-word', /^Degraded$/);
    await shows(page, '#findings', /shop some targets are not available/);
    await shows(page, '#changes', new RegExp(`target 127\\.0\\.0\\.1:${shops[1].port} is down \\(active checks fail: refused\\)`));
    assert.match(await page.title(), /^Degraded/);
    await order(plimsoll, 'breaker', 'open', 'shop');
    await shows(page, '#upstreams', /breaker forced-open/);
    await shows(page, '#findings', /the breaker is open/);
    await order(plimsoll, 'breaker', 'auto', 'shop');
    await shows(page, '#upstreams', /breaker closed/);
    await order(plimsoll, 'target', 'drain', 'shop', `127.0.0.1:${shops[0].port}`);
    await shows(page, '#overall-word', /^Down$/);
    await shows(page, '#upstreams', /draining/);
    assert.deepEqual(complaints, []);
  });
});

test('the page says so when Plimsoll goes away', { skip, timeout }, async () => {
  await withPage({}, async ({ page, plimsoll }) => {
    await shows(page, '#upstreams-aside', /2 of 2 targets up/);
    await plimsoll.stop();
    plimsoll.isStopped = true;
    await shows(page, '#overall-word', /^No answer$/);
    await shows(page, '#overall-text', /has not answered since \d\d:\d\d:\d\d/);
    await shows(page, '#changes', /Plimsoll does not answer/);
    assert.equal(await page.evaluate(() => document.body.classList.contains('is-stale')), true);
    assert.match(await textOf(page, '#upstreams-aside'), /2 of 2/); // what was known stays
  });
});

test('the policy lets nothing inline run', { skip, timeout }, async () => {
  await withPage({}, async ({ page, plimsoll }) => {
    const { headers } = await plimsoll.admin('/');
    assert.equal(headers['content-security-policy'],
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
      + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    assert.equal(headers['x-frame-options'], 'DENY');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['content-type'], 'text/html; charset=utf-8');
    const { ran, violations } = await page.evaluate(async () => {
      const seen = [];
      document.addEventListener('securitypolicyviolation', (event) => seen.push(event.effectiveDirective));
      const script = document.createElement('script');
      script.textContent = 'globalThis.hasRun = true';
      document.body.append(script);
      const box = document.createElement('div');
      box.innerHTML = '<p style="color: red">x</p>';
      document.body.append(box);
      await new Promise((resolve) => { setTimeout(resolve, 200); });
      return { ran: globalThis.hasRun === true, violations: seen.sort() };
    });
    assert.equal(ran, false);
    assert.deepEqual(violations, ['script-src-elem', 'style-src-attr']);
    assert.equal((await plimsoll.admin('/assets/nothing.js')).status, 404);
    assert.equal((await plimsoll.admin('/assets/..%2findex.html')).status, 400);
  });
});

test('the page has landmarks, headings and a table with headers', { skip, timeout }, async () => {
  await withPage({}, async ({ page }) => {
    await shows(page, '#upstreams-aside', /2 of 2 targets up/);
    for (const role of ['banner', 'main', 'contentinfo', 'navigation', 'log']) {
      assert.equal(await page.getByRole(role).count(), 1, role);
    }
    const table = page.getByRole('table', { name: 'Targets of shop' });
    assert.deepEqual(await table.getByRole('columnheader').allInnerTexts(),
      ['Target', 'State', 'In flight', 'Latency', 'Tries', 'Failures', 'Last check']);
    assert.equal(await table.getByRole('rowheader').count(), 2);
    assert.equal(await page.getByRole('img', { name: /Requests per second, the last five minutes/ }).count(), 1);
    assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
    assert.equal(await page.locator('[aria-live=polite]').count(), 2);
    const levels = await page.locator('h1, h2, h3').evaluateAll((nodes) => nodes.map((node) => Number(node.tagName[1])));
    levels.forEach((level, i) => assert.ok(i === 0 ? level === 1 : level <= levels[i - 1] + 1, levels.join(' ')));
  });
});

// The contrast of each text against what is behind it (WCAG 2.2, 1.4.3).
function poorContrasts() {
  const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const pixel = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (let at = node; at !== null; at = at.parentElement) {
      const colour = pixel(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const node of document.querySelectorAll('body *')) {
    const hasText = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim() !== '');
    if (!hasText || node.closest('noscript, .skip, svg') || node.offsetParent === null) continue;
    const [a, b] = [light(pixel(getComputedStyle(node).color)), light(ground(node))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) poor.push(`${node.textContent.trim().slice(0, 30)}: ${contrast.toFixed(2)}`);
  }
  return poor;
}

for (const colorScheme of ['light', 'dark']) {
  test(`every text can be read in ${colorScheme}`, { skip, timeout }, async () => {
    await withPage({ colorScheme }, async ({ page, shops }) => {
      await shops[1].stop();
      await shows(page, '#upstreams', /down/);
      await shows(page, '#overall-word', /^Degraded$/);
      assert.deepEqual(await page.evaluate(poorContrasts), []);
      const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      assert.equal(Number(/\d+/.exec(ground)[0]) < 128, colorScheme === 'dark', ground);
    });
  });
}

for (const width of [360, 768, 1280]) {
  test(`nothing is cut off at ${width} px`, { skip, timeout }, async () => {
    await withPage({ viewport: { width, height: 800 } }, async ({ page, shops }) => {
      await shops[1].stop();
      await shows(page, '#upstreams', /active checks fail: refused/);
      const { wide, over } = await page.evaluate(() => ({
        wide: document.documentElement.scrollWidth,
        over: [...document.querySelectorAll('main *, footer *')]
          .filter((node) => !node.closest('thead, svg') && node.getBoundingClientRect().right > innerWidth + 1)
          .map((node) => node.textContent.trim().slice(0, 40)),
      }));
      assert.ok(wide <= width, `${wide} px wide`);
      assert.deepEqual(over, []);
    });
  });
}
