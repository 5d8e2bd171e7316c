/** Looks into the map page from a test: what it knows, what it drew, and what its canvas shows. */
import type { Page } from 'playwright-core';

export interface MapSnapshot {
  drivers: Record<'available' | 'on_trip' | 'stale', number>;
  trips: Record<string, number>;
  waiting: number;
  active: number;
  closed: Record<'completed' | 'cancelled' | 'expired', number>;
  drawn: { drivers: number; trips: number; alarms: number; frames: number; frameMs: number };
  surge: { zones: number; dear: number };
  safety: { checkIns: number; flags: number; known: boolean };
  phase: string;
  complete: boolean;
  unresolved: number;
  zoom: number;
}

interface Point {
  x: number;
  y: number;
}

interface Canvas {
  width: number;
  height: number;
  clientWidth: number;
  getContext(kind: '2d', options?: { willReadFrequently: boolean }): Brush;
}

interface Brush {
  drawImage(from: Canvas, ...places: number[]): void;
  getImageData(x: number, y: number, width: number, height: number): { data: Uint8ClampedArray };
}

// The few globals of the page that the functions below use there.
declare const __map: { snapshot(): MapSnapshot; pointOfDriver(id: string): Point };
declare const requestAnimationFrame: (run: () => void) => void;
declare const document: { querySelector(selector: string): Canvas; createElement(tag: 'canvas'): Canvas };

const PATIENCE_MS = 15_000;

/** Null while the page's modules are not there yet. */
export const snapshot = (page: Page): Promise<MapSnapshot | null> =>
  page.evaluate(() => (typeof __map === 'undefined' ? null : __map.snapshot()));

/** Asks again until the answer will do; the error says what the last one was. */
export async function until<T>(ask: () => Promise<T>, wanted: (value: T) => boolean, what: string): Promise<T> {
  const giveUpAt = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await ask();
    if (wanted(value)) return value;
    if (Date.now() > giveUpAt) throw new Error(`${what}: still ${JSON.stringify(value)} after ${PATIENCE_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Waits until the page knows or shows something. */
export async function shows(page: Page, what: string, wanted: (map: MapSnapshot) => boolean): Promise<MapSnapshot> {
  const map = await until(
    () => snapshot(page),
    (value) => value !== null && wanted(value),
    what,
  );
  return map!;
}

/** Live, and the first full read is done. */
export const ready = (page: Page) => shows(page, 'live and complete', (map) => map.phase === 'live' && map.complete);

export const drawn = (page: Page, drivers: number) =>
  shows(page, `${drivers} drivers drawn`, (map) => map.drawn.drivers === drivers);

export const textIs = (page: Page, selector: string, text: string) =>
  until(
    () => page.locator(selector).textContent(),
    (value) => value === text,
    `${selector} is '${text}'`,
  );

/** A driver's place on the screen, CSS pixels. */
export const pointOf = (page: Page, driverId: string): Promise<Point> =>
  page.evaluate((id) => __map.pointOfDriver(id), driverId);

/** The most frequent opaque colour within a few pixels of a place of a canvas, as `r,g,b`; `none` when there is none. */
export function colourOf(page: Page, selector: string, place: Point): Promise<string> {
  return page.evaluate(
    (asked) => {
      const canvas = document.querySelector(asked.selector);
      const ratio = canvas.width / canvas.clientWidth;
      // Through a copy: reading the page's own canvas would slow it down, and the browser would say so.
      const copy = document.createElement('canvas');
      copy.width = 8;
      copy.height = 8;
      const brush = copy.getContext('2d', { willReadFrequently: true });
      brush.drawImage(canvas, asked.place.x * ratio - 4, asked.place.y * ratio - 4, 8, 8, 0, 0, 8, 8);
      const { data } = brush.getImageData(0, 0, 8, 8);
      const counts = new Map<string, number>();
      for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3]! < 255) continue;
        const colour = `${data[i]},${data[i + 1]},${data[i + 2]}`;
        counts.set(colour, (counts.get(colour) ?? 0) + 1);
      }
      return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 'none';
    },
    { selector, place },
  );
}

export const driverColour = async (page: Page, driverId: string) =>
  colourOf(page, '.driver-canvas', await pointOf(page, driverId));

/** x of a driver's marker in each frame from its first movement until it has rested for ten frames. */
export const watchMovement = (page: Page, driverId: string): Promise<number[]> =>
  page.evaluate(async (id) => {
    const seen: number[] = [];
    const start = __map.pointOfDriver(id).x;
    for (let rest = 0; rest < 10; ) {
      await new Promise<void>(requestAnimationFrame);
      const { x } = __map.pointOfDriver(id);
      rest = seen.length > 0 && x === seen.at(-1) ? rest + 1 : 0;
      if (seen.length > 0 || x !== start) seen.push(x);
    }
    return seen;
  }, driverId);
