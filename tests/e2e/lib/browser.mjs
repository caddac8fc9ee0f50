// browser.mjs: Debian's Chromium, driven by playwright-core; both are installed by scripts/install
// and scripts/test.

import { existsSync } from 'node:fs';

const BINARY = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium';

let chromium;
try {
  ({ chromium } = await import('playwright-core'));
} catch {
  chromium = undefined;
}

// For { skip }: a reason when there is nothing to drive.
export const withoutBrowser = !existsSync(BINARY) ? `no browser at ${BINARY}`
  : chromium === undefined ? 'playwright-core is not installed in tests/e2e' : false;

export function startBrowser() {
  return chromium.launch({
    executablePath: BINARY,
    // As root Chromium has no sandbox to give; the only pages are ours.
    args: ['--disable-gpu', ...(process.getuid() === 0 ? ['--no-sandbox'] : [])],
  });
}

// A page that writes down what it complains of: { page, complaints, close }. `options` are those of
// a browser context: viewport, colorScheme, ...
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`));
  page.on('response', (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`);
  });
  await page.goto(url);
  return { page, complaints, close: () => context.close() };
}
