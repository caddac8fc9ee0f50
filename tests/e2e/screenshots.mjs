// screenshots.mjs: the pictures of the status page in docs/.
//
//   node tests/e2e/screenshots.mjs [FOLDER [SECONDS]]
//
// Runs three applications with changing load behind Plimsoll for SECONDS (310: a full chart), kills
// a target on the way, and takes a picture each of light, dark and narrow.

import { join } from 'node:path';

import { openPage, startBrowser } from './lib/browser.mjs';
import { request } from './lib/http.mjs';
import { startPlimsoll } from './lib/plimsoll.mjs';
import { startApp } from './lib/upstream.mjs';

const [folder = 'docs', seconds = '310'] = process.argv.slice(2);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Answers after a random time around `ms`, with a long tail, and fails now and then.
const application = (ms, failing) => startApp((asked, answer) => {
  const wait = asked.url === '/healthz' ? 0 : ms * (0.5 + Math.random() ** 4 * 6);
  setTimeout(() => {
    answer.statusCode = asked.url !== '/healthz' && Math.random() < failing ? 500 : 200;
    answer.end('fine\n');
  }, wait);
});

const apps = {
  shop: [await application(12, 0.004), await application(14, 0.004)],
  accounts: [await application(5, 0), await application(6, 0), await application(5, 0)],
  search: [await application(45, 0.02)],
};

const plimsoll = await startPlimsoll({
  kind: 'release',
  config: {
    limits: [{ per: 'header', header: 'x-client', rate: '20/s' }],
    upstreams: Object.fromEntries(Object.entries(apps).map(([name, targets]) => [name, {
      targets: targets.map(({ port }) => `127.0.0.1:${port}`),
      health: { path: '/healthz', interval: '1s' },
    }])),
    routes: [
      { match: { path: '/' }, to: 'shop' },
      { match: { path: '/accounts/' }, to: 'accounts' },
      { match: { path: '/search' }, to: 'search' },
    ],
  },
});

let isRunning = true;
const started = Date.now();
// Calm, then busier, in slow waves.
const busy = () => 1 + 0.6 * Math.sin((Date.now() - started) / 23_000) + 0.3 * Math.sin((Date.now() - started) / 7_000);
async function visit(path, everyMs, client) {
  while (isRunning) {
    await request({ port: plimsoll.port, path, headers: { 'x-client': client } }).catch(() => {});
    await sleep((everyMs / busy()) * (0.5 + Math.random()));
  }
}
const visits = [];
for (let i = 0; i < 14; i += 1) visits.push(visit('/', 160, `c${i}`));
for (let i = 0; i < 8; i += 1) visits.push(visit('/accounts/me', 210, `a${i}`));
for (let i = 0; i < 4; i += 1) visits.push(visit('/search', 260, `s${i}`));
visits.push(visit('/accounts/list', 30, 'impatient'));

const url = `http://127.0.0.1:${plimsoll.adminPort}/`;
const views = [
  ['light', { colorScheme: 'light', viewport: { width: 1180, height: 900 } }],
  ['dark', { colorScheme: 'dark', viewport: { width: 1180, height: 900 } }],
  ['narrow', { colorScheme: 'light', viewport: { width: 360, height: 1000 } }],
];
const pages = [];

await sleep(Math.max(0, Number(seconds) - 16) * 1000);
const browser = await startBrowser();
for (const [name, options] of views) pages.push({ name, ...await openPage(browser, url, options) });
await sleep(4000);
await apps.accounts[2].stop();
await sleep(12_000);
for (const { name, page, complaints } of pages) {
  await page.bringToFront();
  await sleep(1500);
  await page.screenshot({ path: join(folder, `status-${name}.png`), fullPage: name !== 'narrow' });
  for (const complaint of complaints) console.log(`${name}: ${complaint}`);
}

isRunning = false;
await browser.close();
await Promise.all(visits);
await plimsoll.stop();
for (const app of Object.values(apps).flat()) await app.stop().catch(() => {});
