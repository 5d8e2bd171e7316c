/**
 * A real headless Chromium for the tests of the web pages, with a fresh profile, and a page that keeps account of everything
 * that a correct page never does: requests to elsewhere, errors on the console.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';

const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';

/** False when there is no browser; under CI that is a failure, not a reason to skip. */
export const browserAvailable = existsSync(executablePath);
export const skipReason = `no Chromium at ${executablePath} (set CHROMIUM)`;

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface Screen {
  width?: number;
  height?: number;
  colorScheme?: 'light' | 'dark';
  touch?: boolean;
  deviceScaleFactor?: number;
  reducedMotion?: 'reduce' | 'no-preference';
}

export async function openBrowser(screen: Screen = {}) {
  const { width = 1280, height = 800, touch = false, ...rest } = screen;
  const profile = mkdtempSync(join(tmpdir(), 'ridestream-browser-'));
  const context: BrowserContext = await chromium.launchPersistentContext(profile, {
    executablePath,
    args: FLAGS,
    viewport: { width, height },
    hasTouch: touch,
    isMobile: touch,
    ...rest,
  });
  return {
    context,
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A new page at `url` that collects faults. `expected` tells which console errors the case itself provokes. */
export async function openPage(
  context: BrowserContext,
  url: string,
  expected: (text: string) => boolean = () => false,
) {
  const page: Page = await context.newPage();
  const { origin, host } = new URL(url);
  const faults: string[] = [];
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    const text = `${message.type()}: ${message.text()} (${message.location().url})`;
    if (!expected(text)) faults.push(text);
  });
  page.on('pageerror', (error) => faults.push(`uncaught: ${error.stack ?? error}`));
  page.on('request', (request) => {
    const to = request.url();
    if (!to.startsWith(`${origin}/`) && !to.startsWith('data:')) faults.push(`request to ${to}`);
  });
  page.on('websocket', (socket) => {
    if (new URL(socket.url()).host !== host) faults.push(`socket to ${socket.url()}`);
  });
  await page.goto(url);
  return { page, faults };
}
