// Colours of the canvas, read from the style sheet: light and dark are decided there, once, for panels and canvas alike.

import { closedStatuses, driverConditions, openStatuses } from './format.js';

/** @typedef {ReturnType<typeof readTheme>} Theme */

/** Colours as they are now. @param {Element} element whose custom properties hold */
export function readTheme(element) {
  const style = getComputedStyle(element);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  /** @type {Record<string, string>} */
  const drivers = {};
  for (const name of driverConditions) drivers[name] = colour(`driver-${name}`);
  /** @type {Record<string, string>} */
  const trips = {};
  for (const name of [...openStatuses, ...closedStatuses]) trips[name] = colour(`trip-${name}`);
  return {
    drivers,
    trips,
    /** @type {Record<string, string>} */
    checkIns: { asked: colour('check-in-asked'), escalated: colour('check-in-escalated') },
    outline: colour('outline'),
    select: colour('select'),
    grid: colour('grid'),
    gridText: colour('grid-text'),
    land: colour('land'),
    landLine: colour('land-line'),
    road: colour('road'),
    roadMajor: colour('road-major'),
  };
}

/** Calls back when the reader's light or dark preference changes. @param {() => void} onChange */
export function watchTheme(onChange) {
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', onChange);
}
