/**
 * Who is nearest in the index of available drivers, with class and position: on a single server by one script and as one string.
 *
 * GEOSEARCH looks at everyone within its radius before it counts, so in a busy city most of its work is about people who are too far
 * away to be among the nearest. A search here begins in the circle that held enough of them around this place the last time, and
 * widens while it holds too few: the answer is that of the whole radius, for a part of the work.
 */
import type { LatLng } from '../../domain/geo.ts';
import type { VehicleClass } from '../../domain/roles.ts';
import type { Position } from '../../ports/positions.ts';
import { orAway, redisAway } from './connection.ts';
import { driverKey, POSITION_FIELDS, positionOf } from './position-fields.ts';
import type { ScriptedRedis } from './scripts.ts';

/** Places of about two kilometres share what is known of how close people are. */
const PLACES_PER_DEGREE = 50;
const MOST_PLACES = 10_000;
/** A circle is so much wider than the one that would just have done. */
const MARGIN = 1.3;
/** So much wider is the next, when it held too few. */
const WIDER = 3;
/** No circle is smaller: a crowd in one spot says nothing of the next street. */
const LEAST_M = 200;

/** How wide the circle around a place has to be, by what was found there. */
function createReach() {
  /** Square of the metres around a place for each who was found there. */
  const roomOf = new Map<string, number>();
  const placeOf = ({ lat, lng }: LatLng): string =>
    `${Math.round(lat * PLACES_PER_DEGREE)}:${Math.round(lng * PLACES_PER_DEGREE)}`;

  return {
    /** The first circle, metres. */
    begin(center: LatLng, radiusM: number, limit: number): number {
      const room = roomOf.get(placeOf(center));
      return room === undefined ? radiusM : Math.min(radiusM, Math.max(LEAST_M, MARGIN * Math.sqrt(room * limit)));
    },
    /** `farthestM` of those who were found; of the whole radius when there were too few. */
    learn(center: LatLng, count: number, farthestM: number): void {
      const place = placeOf(center);
      roomOf.delete(place);
      roomOf.set(place, Math.max(1, farthestM) ** 2 / Math.max(1, count));
      if (roomOf.size > MOST_PLACES) roomOf.delete(roomOf.keys().next().value!);
    },
  };
}

/**
 * KEYS 1 index, 2 classes (hash: driver → class), and undeclared the positions of who is found: for a single server only
 * ARGV 1 what the keys of positions begin with, 2 after so many found no further search is begun, then for each search: lng, lat,
 *   radius m, first circle m, limit
 * reply: JSON; for each search that was begun, in turn: false when nobody is there, or of each member: name, metres, class or false, and its
 *   position's values in the order of the fields, false where there is none, or the text of its error
 */
const findNear = `
local answers, left = {}, tonumber(ARGV[2])
for at = 3, #ARGV, 5 do
  if left <= 0 then break end
  local radius, reach, limit = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local near
  repeat
    near = redis.call('GEOSEARCH', KEYS[1], 'FROMLONLAT', ARGV[at], ARGV[at + 1], 'BYRADIUS', reach, 'm', 'ASC', 'COUNT', limit, 'WITHDIST')
    local whole = reach >= radius
    reach = math.min(radius, reach * ${WIDER})
  until #near >= limit or whole
  left = left - #near
  local names, found = {}, {}
  for i, one in ipairs(near) do names[i] = one[1] end
  local classes = #near > 0 and redis.call('HMGET', KEYS[2], unpack(names))
  for i, one in ipairs(near) do
    local values = redis.pcall('HMGET', ARGV[1] .. one[1], ${POSITION_FIELDS.map((field) => `'${field}'`).join(', ')})
    found[i] = { one[1], one[2], classes[i], values.err or values }
  end
  answers[#answers + 1] = #near > 0 and found
end
return cjson.encode(answers)
`;

/** A script holds Redis up while it runs: more are read in parts. */
const MOST_IN_SCRIPT = 256;
/** So do searches that find nobody. */
const MOST_SEARCHES = 64;

/** Who is near, with what stands beside him; without a position he is there no more. */
export interface Near {
  driverId: string;
  distanceM: number;
  vehicleClass: VehicleClass | null;
  position: Position | null;
}

export interface NearOptions {
  /** Keys of the index and of the classes. */
  index: string;
  classes: string;
  /** Reads one position. */
  read(key: string): Promise<Position | null>;
  /** Told how many positions were read by the script. */
  readCount(count: number): void;
}

type Found = [driverId: string, distance: string];
type FoundInScript = [...Found, vehicleClass: string | false, values: readonly (string | false)[] | string];

/** A search that waits for the others of its moment. */
interface Asked {
  /** As the script wants it: lng, lat, radius m, first circle m, limit. */
  search: [lng: number, lat: number, radiusM: number, reachM: number, limit: number];
  answer: PromiseWithResolvers<FoundInScript[]>;
}

/** The nearest `limit` within `radiusM`, nearest first. Rejects with RIDE_UNAVAILABLE. */
export function createNearSearch(redis: ScriptedRedis, { index, classes, read, readCount }: NearOptions) {
  redis.defineCommand('rideFindNear', { numberOfKeys: 2, lua: findNear });
  const scripts = redis as unknown as { rideFindNear(...args: (string | number)[]): Promise<string> };
  const reach = createReach();

  let waiting: Asked[] = [];

  /** Some searches by one script, which does as many of them as may hold Redis up; the others are left to the next. */
  async function ask(asked: readonly Asked[]): Promise<readonly Asked[]> {
    const searches = asked.flatMap(({ search }) => search);
    const reply = await orAway(scripts.rideFindNear(index, classes, driverKey(''), MOST_IN_SCRIPT, ...searches));
    const answers = JSON.parse(reply) as (FoundInScript[] | false)[];
    for (const [i, answer] of answers.entries()) asked[i]!.answer.resolve(answer || []);
    return asked.slice(answers.length);
  }

  async function askAll(): Promise<void> {
    let left: readonly Asked[] = waiting;
    waiting = [];
    try {
      while (left.length > 0) left = [...(await ask(left.slice(0, MOST_SEARCHES))), ...left.slice(MOST_SEARCHES)];
    } catch (error) {
      for (const { answer } of left) answer.reject(error);
    }
  }

  /** Together with what else is searched for at this moment. */
  async function inScript({ lat, lng }: LatLng, radiusM: number, reachM: number, limit: number): Promise<Near[]> {
    const answer = Promise.withResolvers<FoundInScript[]>();
    if (waiting.push({ search: [lng, lat, radiusM, reachM, limit], answer }) === 1) queueMicrotask(askAll);
    const found = await answer.promise;
    readCount(found.length);
    return found.map(([driverId, distance, vehicleClass, values]) => {
      if (typeof values === 'string') throw redisAway(new Error(values));
      const position = positionOf(values);
      return { driverId, distanceM: Number(distance), vehicleClass: (vehicleClass || null) as VehicleClass, position };
    });
  }

  async function inSteps({ lat, lng }: LatLng, radiusM: number, firstM: number, limit: number): Promise<Near[]> {
    let found: Found[];
    for (let reachM = firstM; ; reachM = Math.min(radiusM, WIDER * reachM)) {
      const circle = ['FROMLONLAT', lng, lat, 'BYRADIUS', reachM, 'm', 'ASC', 'COUNT', limit, 'WITHDIST'] as const;
      found = (await orAway(redis.call('GEOSEARCH', index, ...circle))) as Found[];
      if (found.length >= limit || reachM >= radiusM) break;
    }
    if (found.length === 0) return [];
    const driverIds = found.map(([driverId]) => driverId);
    const [kinds, positions] = await Promise.all([
      orAway(redis.hmget(classes, ...driverIds)) as Promise<(VehicleClass | null)[]>,
      Promise.all(driverIds.map((driverId) => read(driverKey(driverId)))),
    ]);
    return found.map(([driverId, distance], i) => ({
      driverId,
      distanceM: Number(distance),
      vehicleClass: kinds[i]!,
      position: positions[i]!,
    }));
  }

  return async (center: LatLng, radiusM: number, limit: number): Promise<Near[]> => {
    const firstM = reach.begin(center, radiusM, limit);
    // Keys of a cluster lie on many nodes, which no script spans.
    const found =
      redis.isCluster || limit > MOST_IN_SCRIPT
        ? await inSteps(center, radiusM, firstM, limit)
        : await inScript(center, radiusM, firstM, limit);
    reach.learn(center, found.length, found.length < limit ? radiusM : found.at(-1)!.distanceM);
    return found;
  };
}
