/** What a reader missed of a topic, out of the topic's history: everything since its place, or an honest no. */
import type { HistoryPage, TopicPosition as Position } from '../ports/bus.ts';
import type { Logger } from '../ports/logger.ts';
import { frameOf, outsideOf } from './envelope.ts';
import type { Frame } from './frame.ts';

/** History is read in pages of this many. */
export const PAGE = 100;
/**
 * So much of what one reader missed is held for him, bytes; what is beyond it is read when he has taken that. Held, it is his
 * however slowly he reads; in history it may be over by then.
 */
const MAX_AHEAD_BYTES = 4 << 20;

/** Before the first message of any epoch. */
export const BEGINNING: Position = { offset: 0, epoch: '' };

export interface Page extends Position {
  frames: Frame[];
  complete: boolean;
}

/** A page of the bus, as readers are given it. */
export const framed = ({ messages, epoch, offset, complete }: HistoryPage, log: Logger): Page => ({
  frames: messages.map((message) => frameOf(message, outsideOf(message, log), log)),
  epoch,
  offset,
  complete,
});

export type ReadPage = (since: Position, limit: number) => Promise<Page>;

export interface Missed {
  /** In order and without a hole; the first of it when it is much. */
  frames: Frame[];
  /** How many messages it is. */
  count: number;
  /** Nothing since the reader's place is missing. */
  recovered: boolean;
  /** The place after which `frames` begin. */
  from: Position;
}

/**
 * @param keepRest when something is missing: what is still kept, instead of nothing
 * @throws RideError RIDE_UNAVAILABLE
 */
export async function readMissed(read: ReadPage, since: Position, keepRest = false): Promise<Missed> {
  const frames: Frame[] = [];
  let bytes = 0;
  let { epoch } = since;
  for (;;) {
    const page = await read({ epoch, offset: since.offset + frames.length }, PAGE);
    if (epoch === '' && since.offset === 0) epoch = page.epoch;
    if (page.epoch !== epoch || !page.complete) {
      if (keepRest) return readKept(read);
      // Never a part of what was missed: the client is told and reads the resource again.
      return { frames: [], count: 0, recovered: false, from: { epoch: page.epoch, offset: page.offset } };
    }
    frames.push(...page.frames);
    bytes += bytesOf(page.frames);
    if (page.frames.length < PAGE || bytes >= MAX_AHEAD_BYTES) {
      const from = epoch === since.epoch ? since : { offset: since.offset, epoch };
      return { frames, count: countOf(frames, page, from), recovered: true, from };
    }
  }
}

const bytesOf = (frames: readonly Frame[]): number => frames.reduce((sum, frame) => sum + frame.bytes, 0);

/** With a full last page there may be more, up to where the topic was when that was read. */
const countOf = (frames: readonly Frame[], last: Page, from: Position): number =>
  last.frames.length < PAGE ? frames.length : Math.max(frames.length, last.offset - from.offset);

/** From the oldest message that is kept. */
async function readKept(read: ReadPage): Promise<Missed> {
  let frames: Frame[] = [];
  let bytes = 0;
  let at = BEGINNING;
  let from: Position | null = null;
  for (;;) {
    const page = await read(at, PAGE);
    if (from !== null && page.epoch !== from.epoch) {
      // The topic began anew while it was read: what was read before is no longer its past.
      frames = [];
      bytes = 0;
      from = null;
      at = BEGINNING;
      continue;
    }
    from ??= { epoch: page.epoch, offset: page.frames[0] ? page.frames[0].offset - 1 : page.offset };
    frames.push(...page.frames);
    bytes += bytesOf(page.frames);
    const last = page.frames.at(-1);
    if (page.frames.length < PAGE || !last || bytes >= MAX_AHEAD_BYTES) {
      return { frames, count: countOf(frames, page, from), recovered: false, from };
    }
    at = { epoch: page.epoch, offset: last.offset };
  }
}
