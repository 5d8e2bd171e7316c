/** What the cases of the map page share: drivers to draw, a browser for a file of cases, a server and a page for each. */
import type { BrowserContext } from 'playwright-core';
import t, { type Test } from 'tap';
import { browserAvailable, openBrowser, openPage, skipReason } from './browser.ts';
import { type MapServer, startMapServer } from './map-server.ts';

export const DRIVERS = [
  { driverId: 'driver-free', lat: 40.76, lng: -73.98, headingDeg: 45, status: 'available' },
  { driverId: 'driver-busy', lat: 40.74, lng: -73.99, status: 'on_trip' },
  { driverId: 'driver-old', lat: 40.75, lng: -73.96, status: 'available', ageMs: 120_000 },
];

/** A server and a page on it, both gone at the end of the case, which fails on any fault of the page. */
export async function openMap(
  t: Test,
  context: BrowserContext,
  options: Parameters<typeof startMapServer>[0] = {},
  arrange?: (s: MapServer) => void,
) {
  const server = await startMapServer(options);
  t.teardown(() => server.close());
  arrange?.(server);
  const expected = { console: (_text: string) => false };
  const { page, faults } = await openPage(context, `${server.origin}/map/`, (text) => expected.console(text));
  t.teardown(() => page.close());
  const faultless = () => t.same(faults, [], 'no outside request, no console error');
  return { server, page, expected, faultless };
}

/** Runs the cases in a browser; where there is none they are skipped, but under CI. */
export async function inBrowser(
  name: string,
  cases: (t: Test, context: BrowserContext) => Promise<void>,
): Promise<void> {
  if (browserAvailable) {
    const browser = await openBrowser();
    t.teardown(() => browser.close());
    await cases(t, browser.context);
  } else if (process.env.CI === 'true') {
    t.fail(skipReason);
  } else {
    t.test(name, { skip: skipReason }, async () => {});
  }
}
