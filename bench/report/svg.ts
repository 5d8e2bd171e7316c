/** Line plots with two logarithmic axes, as SVG that reads on a light and on a dark page. */
import type { Plot, Series } from '../harness/result.ts';

const WIDTH = 760;
const HEIGHT = 420;
const LEFT = 70;
const RIGHT = 24;
const TOP = 44;
const BOTTOM = 96;
const COLOURS = ['#2f7ed8', '#1b9e77', '#d95f02', '#a6458f', '#8c6d31'];
const MARKS = 3.5;

const escaped = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const plain = (text: string): string => escaped(text.replaceAll('`', ''));

interface Axis {
  low: number;
  high: number;
  /** From a value to a place on the page. */
  place(value: number): number;
  ticks: number[];
}

function logAxis(values: readonly number[], from: number, to: number): Axis {
  const low = 10 ** Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(10 ** Math.ceil(Math.log10(Math.max(...values))), low * 10);
  const scale = (to - from) / (Math.log10(high) - Math.log10(low));
  const decades = Math.round(Math.log10(high / low));
  const ticks = Array.from({ length: decades + 1 }, (_, i) => low * 10 ** i);
  return { low, high, ticks, place: (value) => from + (Math.log10(value) - Math.log10(low)) * scale };
}

const label = (value: number): string =>
  value >= 1000 ? value.toLocaleString('en') : String(Number(value.toPrecision(3)));

function grid(x: Axis, y: Axis): string[] {
  const bottom = HEIGHT - BOTTOM;
  const right = WIDTH - RIGHT;
  return [
    ...x.ticks.map(
      (tick) =>
        `<path class="grid" d="M${x.place(tick).toFixed(1)} ${TOP}V${bottom}"/><text x="${x.place(tick).toFixed(1)}" y="${bottom + 16}" text-anchor="middle">${label(tick)}</text>`,
    ),
    ...y.ticks.map(
      (tick) =>
        `<path class="grid" d="M${LEFT} ${y.place(tick).toFixed(1)}H${right}"/><text x="${LEFT - 6}" y="${(y.place(tick) + 4).toFixed(1)}" text-anchor="end">${label(tick)}</text>`,
    ),
  ];
}

function line({ name, points }: Series, index: number, x: Axis, y: Axis): string {
  const colour = COLOURS[index % COLOURS.length]!;
  const places = points.map(([px, py]) => `${x.place(px).toFixed(1)} ${y.place(py).toFixed(1)}`);
  const dots = places.map((place) => {
    const [cx, cy] = place.split(' ');
    return `<circle cx="${cx}" cy="${cy}" r="${MARKS}" fill="${colour}"/>`;
  });
  const column = LEFT + (index % 2) * 340;
  const row = HEIGHT - BOTTOM + 54 + Math.floor(index / 2) * 18;
  return [
    `<path d="M${places.join('L')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...dots,
    `<path d="M${column} ${row - 4}h22" stroke="${colour}" stroke-width="3"/><text x="${column + 28}" y="${row}">${plain(name)}</text>`,
  ].join('');
}

const usable = ([x, y]: readonly [number, number]): boolean =>
  x > 0 && y > 0 && Number.isFinite(x) && Number.isFinite(y);

/** An SVG document; points that a logarithm cannot show are left out. */
export function plotSvg(plot: Plot): string {
  const series = plot.series
    .map(({ name, points }) => ({ name, points: points.filter(usable) }))
    .filter(({ points }) => points.length > 0);
  const all = series.flatMap(({ points }) => points);
  if (all.length === 0) throw new Error(`${plot.file}: nothing to plot`);
  const limits = plot.limit ? [plot.limit.y] : [];
  const x = logAxis(
    all.map(([value]) => value),
    LEFT,
    WIDTH - RIGHT,
  );
  const y = logAxis([...all.map(([, value]) => value), ...limits], HEIGHT - BOTTOM, TOP);
  const middle = (LEFT + WIDTH - RIGHT) / 2;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${plain(plot.title)}">`,
    '<style>text{font:12px system-ui,sans-serif;fill:#444}.title{font-size:15px;font-weight:600}.grid{stroke:#9995;stroke-width:1}.limit{stroke:#c33;stroke-dasharray:5 4}svg{background:#fff}</style>',
    `<text class="title" x="${LEFT}" y="24">${plain(plot.title)}</text>`,
    ...grid(x, y),
    `<text x="${middle}" y="${HEIGHT - BOTTOM + 34}" text-anchor="middle">${plain(plot.x)}</text>`,
    `<text transform="translate(16 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">${plain(plot.y)}</text>`,
    ...(plot.limit
      ? [
          `<path class="limit" d="M${LEFT} ${y.place(plot.limit.y).toFixed(1)}H${WIDTH - RIGHT}"/>`,
          `<text x="${WIDTH - RIGHT - 4}" y="${(y.place(plot.limit.y) - 5).toFixed(1)}" text-anchor="end">${plain(plot.limit.label)}</text>`,
        ]
      : []),
    ...series.map((one, index) => line(one, index, x, y)),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}
