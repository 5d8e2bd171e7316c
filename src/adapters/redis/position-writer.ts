/**
 * Writes positions. Updates of a few milliseconds travel in one pipeline, and of several updates of one driver only the newest
 * is written: the others would be replaced before anyone could read them. Each promise settles with the reply that covers it,
 * so an acknowledged update is one that Redis has, or has a newer one of.
 */
import type { Logger } from '../../ports/logger.ts';
import type { Position } from '../../ports/positions.ts';
import { redisAway } from './connection.ts';
import { driverKey, fieldsOf, tripKey } from './position-fields.ts';
import type { ScriptedRedis } from './scripts.ts';
import { type KeyCommand, type Reply, sendAll } from './slots.ts';

export interface PositionWriterOptions {
  ttlMs: number;
  /** Longest wait for company while another pipeline is under way, milliseconds. */
  flushMs: number;
  log: Logger;
  /** A driver of whom no position was known. */
  first(driverId: string): void;
  /** Moves available drivers, in one command for the whole flush. */
  move(positions: readonly Position[]): void;
}

const MAX_PIPELINE = 500;

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

export function createPositionWriter(
  redis: ScriptedRedis,
  options: PositionWriterOptions,
): (position: Position) => Promise<boolean> {
  let groups = new Map<string, Group>();
  let size = 0;
  let timer: NodeJS.Timeout | null = null;
  /** A flush at the end of this turn of the event loop is due. */
  let flushing = false;
  /** Pipelines whose replies are not here yet. */
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
    const commands: KeyCommand[] = [];
    const write = (key: string, p: Position): void =>
      void commands.push(['rideRecordPosition', key, p.recordedAt, options.ttlMs, ...fieldsOf(p)]);
    for (const { newest, onTrip } of batch) {
      write(driverKey(newest.driverId), newest);
      if (onTrip) write(tripKey(onTrip.tripId), onTrip);
    }
    underWay++;
    const replies = await sendAll(redis, commands);
    underWay--;
    if (size > 0 && !flushing) flush();
    const moved: Position[] = [];
    let at = 0;
    for (const group of batch) {
      const count = group.onTrip ? 2 : 1;
      const mine = replies.slice(at, at + count);
      at += count;
      if (settle(group, mine) && group.newest.tripId === '') moved.push(group.newest);
    }
    if (moved.length > 0) options.move(moved);
  }

  /** Kept is what is not older than what was stored, or than what came before it; true when the newest was. */
  function settle({ newest, waiting }: Group, replies: readonly Reply[]): boolean {
    const failure = replies.find(([error]) => error !== null);
    if (failure) {
      for (const one of waiting) one.reject(redisAway(failure[0]));
      return false;
    }
    const stored = replies[0]![1] as string;
    if (stored === '') options.first(newest.driverId);
    let last = stored === '' ? Number.NEGATIVE_INFINITY : Number(stored);
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
    // A pipeline holds one trip of a driver: when he goes to another, what is there is sent first.
    if (onTrip && group.onTrip && onTrip.tripId !== group.onTrip.tripId) {
      flush();
      add(position, one);
      return;
    }
    group.waiting.push(one);
    if (position.recordedAt >= group.newest.recordedAt) group.newest = position;
    if (onTrip && (!group.onTrip || onTrip.recordedAt >= group.onTrip.recordedAt)) group.onTrip = onTrip;
  }

  /** An idle Redis is asked at the end of the turn; while it is busy, updates gather for its next answer, or for flushMs. */
  function gather(): void {
    if (underWay > 0) timer ??= setTimeout(flush, options.flushMs);
    else if (!flushing) {
      flushing = true;
      setImmediate(flush);
    }
  }

  return (position) =>
    new Promise<boolean>((resolve, reject) => {
      add(position, { recordedAt: position.recordedAt, resolve, reject });
      if (++size >= MAX_PIPELINE) flush();
      else gather();
    });
}
