/**
 * Writes positions. Updates of a few milliseconds travel in one script call, and of several updates of one driver only the newest
 * is written: the others would be replaced before anyone could read them. Each promise settles with the reply that covers it,
 * so an acknowledged update is one that Redis has, or has a newer one of.
 */
import type { Position } from '../../ports/positions.ts';
import { redisAway } from './connection.ts';
import { driverKey, recordOf, tripKey } from './position-fields.ts';
import type { ScriptedRedis } from './scripts.ts';
import { type KeyCommand, sendAll } from './slots.ts';

export interface PositionWriterOptions {
  ttlMs: number;
  /** Writes begin no sooner after one another, milliseconds: one that comes alone to an idle writer waits for nobody. */
  flushMs: number;
  /** So many positions were answered for by Redis. */
  answered(count: number): void;
  /** A driver of whom no position was known. */
  first(driverId: string): void;
  /** Sorted set of the places of available drivers, who move in it as they are written. */
  index: string;
  /** Latitudes beyond this have no place in the index: they are given to `move`. */
  indexLatMax: number;
  /** Moves available drivers whom the write itself could not move. */
  move(positions: readonly Position[]): void;
  /** Drivers were written, and not moved. */
  notMoved(error: Error): void;
}

/** Positions of one write. */
const MAX_TOGETHER = 500;
/** So many make a write of their own while others are under way, so that Redis and this process work at the same time. */
const ENOUGH = 50;
const MAX_UNDER_WAY = 4;

interface Waiting {
  recordedAt: number;
  resolve(kept: boolean): void;
  reject(error: unknown): void;
}

/** What one driver sent since the last flush. */
interface Group {
  newest: Position;
  /** The newest that names a trip. */
  onTrip: Position | null;
  waiting: Waiting[];
}

/** The timestamp that a key had before, '' when it was new; or why it was not written. */
type Written = string | Error;

const written = (reply: string): Written => (reply.startsWith('!') ? redisAway(new Error(reply.slice(1))) : reply);

export interface PositionWriter {
  record(position: Position): Promise<boolean>;
  /** His newest position that is not on its way to Redis yet. */
  waitingOf(driverId: string): Position | null;
}

export function createPositionWriter(redis: ScriptedRedis, options: PositionWriterOptions): PositionWriter {
  let groups = new Map<string, Group>();
  let size = 0;
  let timer: NodeJS.Timeout | null = null;
  /** A flush at the end of this turn of the event loop is due. */
  let flushing = false;
  /** When the last write began, process clock. */
  let sentAt = Number.NEGATIVE_INFINITY;
  /** Writes whose replies are not here yet. */
  let underWay = 0;

  function flush(): void {
    if (timer) clearTimeout(timer);
    timer = null;
    flushing = false;
    const batch = [...groups.values()];
    groups = new Map();
    size = 0;
    if (batch.length > 0) void send(batch);
  }

  async function send(batch: readonly Group[]): Promise<void> {
    sentAt = performance.now();
    underWay++;
    const replies = await write(batch).catch((error: unknown) => redisAway(error));
    underWay--;
    // They waited only because so many were under way.
    if (size >= ENOUGH) flush();
    const moved: Position[] = [];
    let at = 0;
    for (const group of batch) {
      const reply = replies instanceof Error ? replies : replies[at]!;
      const ofTrip = replies instanceof Error || group.onTrip === null ? reply : replies[at + 1]!;
      at += group.onTrip ? 2 : 1;
      const { newest } = group;
      if (settle(group, reply, ofTrip) && newest.tripId === '' && !movesByItself(newest)) moved.push(newest);
    }
    if (moved.length > 0) options.move(moved);
  }

  /** What was stored under each key before, or why it was not written; the driver's key, then his trip's. */
  function write(batch: readonly Group[]): Promise<Written[]> {
    return redis.isCluster ? writeApart(batch) : writeTogether(batch);
  }

  async function writeTogether(batch: readonly Group[]): Promise<Written[]> {
    const keys: string[] = [];
    const values: (string | number)[] = [options.ttlMs, options.index];
    for (const { newest, onTrip } of batch) {
      keys.push(driverKey(newest.driverId));
      if (onTrip) keys.push(tripKey(onTrip.tripId));
      values.push(recordOf(newest, onTrip === newest ? 2 : movesByItself(newest) ? -1 : 1));
      if (onTrip && onTrip !== newest) values.push(recordOf(onTrip, 1));
    }
    const replies = (await redis.rideRecordPositions(keys.length, ...keys, ...values)).map(written);
    if (replies.length > keys.length) options.notMoved(replies.pop() as Error);
    return replies;
  }

  /** The script that writes it moves the driver too: the index of a cluster lies elsewhere. */
  const movesByItself = ({ tripId, lat }: Position): boolean =>
    !redis.isCluster && tripId === '' && Math.abs(lat) <= options.indexLatMax;

  /** On a cluster each key may lie elsewhere. */
  async function writeApart(batch: readonly Group[]): Promise<Written[]> {
    const commands: KeyCommand[] = [];
    const add = (key: string, p: Position): void =>
      void commands.push(['rideRecordPosition', key, options.ttlMs, '', recordOf(p, 1)]);
    for (const { newest, onTrip } of batch) {
      add(driverKey(newest.driverId), newest);
      if (onTrip) add(tripKey(onTrip.tripId), onTrip);
    }
    const replies = await sendAll(redis, commands);
    return replies.map(([error, reply]) => (error ? redisAway(error) : written((reply as [string])[0])));
  }

  /** Kept is what is not older than what was stored, or than what came before it; true when the newest was. */
  function settle({ newest, waiting }: Group, reply: Written, ofTrip: Written): boolean {
    const failure = reply instanceof Error ? reply : ofTrip;
    if (reply instanceof Error || failure instanceof Error) {
      for (const one of waiting) one.reject(failure);
      return false;
    }
    options.answered(waiting.length);
    if (reply === '') options.first(newest.driverId);
    let last = reply === '' ? Number.NEGATIVE_INFINITY : Number(reply);
    for (const one of waiting) {
      const kept = one.recordedAt >= last;
      if (kept) last = one.recordedAt;
      one.resolve(kept);
    }
    return newest.recordedAt === last;
  }

  function add(position: Position, one: Waiting): void {
    const group = groups.get(position.driverId);
    const onTrip = position.tripId === '' ? null : position;
    if (!group) {
      groups.set(position.driverId, { newest: position, onTrip, waiting: [one] });
      return;
    }
    // A write holds one trip of a driver: when he goes to another, what is there is sent first.
    if (onTrip && group.onTrip && onTrip.tripId !== group.onTrip.tripId) {
      flush();
      add(position, one);
      return;
    }
    group.waiting.push(one);
    if (position.recordedAt >= group.newest.recordedAt) group.newest = position;
    if (onTrip && (!group.onTrip || onTrip.recordedAt >= group.onTrip.recordedAt)) group.onTrip = onTrip;
  }

  /** The first to come says when all who come meanwhile are written: at the end of this turn, or a little after the last write. */
  function gather(): void {
    if (flushing || timer !== null) return;
    const waitMs = options.flushMs - (performance.now() - sentAt);
    if (waitMs > 0) timer = setTimeout(flush, waitMs);
    else {
      flushing = true;
      setImmediate(flush);
    }
  }

  return {
    record: (position) =>
      new Promise<boolean>((resolve, reject) => {
        add(position, { recordedAt: position.recordedAt, resolve, reject });
        if (++size >= MAX_TOGETHER || (size >= ENOUGH && underWay < MAX_UNDER_WAY)) flush();
        else gather();
      }),
    waitingOf: (driverId) => groups.get(driverId)?.newest ?? null,
  };
}
