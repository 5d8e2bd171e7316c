/**
 * A made-up town for routing engines, written as an OpenStreetMap extract (osm.pbf), so that tests know every way by heart: streets
 * 200 m apart, those from west to east one-way in turn, avenues both ways, everything at 36 km/h; and an island that no road reaches.
 * The format is that of https://wiki.openstreetmap.org/wiki/PBF_Format, without compression.
 */
import { writeFile } from 'node:fs/promises';

export interface Corner {
  lat: number;
  lng: number;
}

export const TOWN = { size: 14, stepM: 200, speedKmh: 36, origin: { lat: 40.7, lng: -74.0 } } as const;
const METRES_PER_DEGREE = 111_195;

/** `street` counts from the south, `avenue` from the west. Even streets run east, odd ones west. */
export const corner = (street: number, avenue: number): Corner => ({
  lat: TOWN.origin.lat + (street * TOWN.stepM) / METRES_PER_DEGREE,
  lng: TOWN.origin.lng + (avenue * TOWN.stepM) / (METRES_PER_DEGREE * Math.cos((TOWN.origin.lat * Math.PI) / 180)),
});

/** North of the town by more than any engine looks. */
export const island = corner(TOWN.size + 20, 3);
/** In the sea. */
export const sea = corner(-40, 3);

type Node = { id: number } & Corner;
type Way = { id: number; refs: number[]; tags: Record<string, string> };

function town(): { nodes: Node[]; ways: Way[] } {
  const { size } = TOWN;
  const idAt = (street: number, avenue: number): number => 1 + street * size + avenue;
  const all = [...Array(size).keys()];
  const nodes = all.flatMap((street) => all.map((avenue) => ({ id: idAt(street, avenue), ...corner(street, avenue) })));
  const tags = { highway: 'tertiary', maxspeed: String(TOWN.speedKmh) };
  const ways: Way[] = all.flatMap((n) => {
    const alongStreet = all.map((avenue) => idAt(n, n % 2 === 0 ? avenue : size - 1 - avenue));
    return [
      { id: 1 + 2 * n, refs: alongStreet, tags: { ...tags, name: `Street ${n}`, oneway: 'yes' } },
      { id: 2 + 2 * n, refs: all.map((street) => idAt(street, n)), tags: { ...tags, name: `Avenue ${n}` } },
    ];
  });
  const first = size * size + 1;
  nodes.push(
    { id: first, ...island },
    { id: first + 1, ...corner(size + 20, 4) },
    { id: first + 2, ...corner(size + 21, 4) },
  );
  ways.push({ id: 2 * size + 1, refs: [first, first + 1, first + 2], tags: { ...tags, name: 'Island Road' } });
  return { nodes, ways };
}

/** Writes the town to `file`, which should end in .osm.pbf. */
export async function writeGridTown(file: string): Promise<void> {
  const { nodes, ways } = town();
  const header = message([bytes(4, text('OsmSchema-V0.6'))]);
  await writeFile(
    file,
    Buffer.concat([blob('OSMHeader', header), blob('OSMData', block([], nodes)), blob('OSMData', block(ways, []))]),
  );
}

/** A PrimitiveBlock: its table of strings, and one group. */
function block(ways: readonly Way[], nodes: readonly Node[]): Buffer {
  const strings = [...new Set(['', ...ways.flatMap(({ tags }) => Object.entries(tags).flat())])];
  const table = message(strings.map((string) => bytes(1, text(string))));
  const group = message([
    ...nodes.map(({ id, lat, lng }) =>
      bytes(1, message([number(1, zigzag(id)), number(8, zigzag(degrees(lat))), number(9, zigzag(degrees(lng)))])),
    ),
    ...ways.map(({ id, refs, tags }) =>
      bytes(
        3,
        message([
          number(1, id),
          bytes(2, packed(Object.keys(tags).map((key) => strings.indexOf(key)))),
          bytes(3, packed(Object.values(tags).map((value) => strings.indexOf(value)))),
          bytes(8, packed(refs.map((ref, i) => zigzag(ref - (refs[i - 1] ?? 0))))),
        ]),
      ),
    ),
  ]);
  return message([bytes(1, table), bytes(2, group)]);
}

/** In the format's default unit of 100 nanodegrees. */
const degrees = (value: number): number => Math.round(value * 1e7);
const zigzag = (n: number): number => (n < 0 ? -2 * n - 1 : 2 * n);
const text = (s: string): Buffer => Buffer.from(s, 'utf8');
const message = (fields: readonly Buffer[]): Buffer => Buffer.concat(fields);
const packed = (values: readonly number[]): Buffer => Buffer.concat(values.map(varint));
const number = (field: number, value: number): Buffer => Buffer.concat([varint(field * 8), varint(value)]);
const bytes = (field: number, value: Buffer): Buffer =>
  Buffer.concat([varint(field * 8 + 2), varint(value.length), value]);

function varint(value: number): Buffer {
  const out: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  out.push(rest);
  return Buffer.from(out);
}

function blob(type: string, data: Buffer): Buffer {
  const body = message([bytes(1, data)]);
  const header = message([bytes(1, text(type)), number(3, body.length)]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(header.length);
  return Buffer.concat([length, header, body]);
}
