/**
 * What drivers' devices say of themselves (telematics of document A): the newest of each is kept, to tell why a position is stale and
 * for operators. Nobody waits for it, and what repeats itself is written again only now and then.
 */
import { invalidInput, RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { TelematicsBoard } from '../../ports/telematics.ts';
import { type Freshness, freshnessOf, type Shown, type Sighting, type StaleReason } from '../locations/rules.ts';
import { Recent } from '../recent.ts';
import { isSame, staleReasonOf, type Telematics, type TelematicsInput, telematicsViolation } from './rules.ts';

export interface TelematicsDeps {
  board: TelematicsBoard;
  clock: Clock;
  /** Age past which a position is stale, domain ms. */
  freshnessMs: number;
}

export type TelematicsDesk = ReturnType<typeof createTelematics>;

export function createTelematics({ board, clock, freshnessMs }: TelematicsDeps) {
  /** Of the drivers whom this node hears. */
  const heard = new Recent<Telematics>(freshnessMs, () => clock.now());
  /** So long the same need not be written again: half of how long it explains a position that comes after it. */
  const repeatMs = freshnessMs / 2;

  /** Why his position of `recordedAt` is stale. @throws RideError RIDE_UNAVAILABLE */
  const whyStale = async (driverId: string, recordedAt: number): Promise<StaleReason> =>
    staleReasonOf(await board.of(driverId), recordedAt, freshnessMs);

  /** The same, undefined where nobody can be asked: what is told or decided anyway does not wait for the reason. */
  async function whyStaleIfKnown(driverId: string, recordedAt: number): Promise<StaleReason | undefined> {
    try {
      return await whyStale(driverId, recordedAt);
    } catch (error) {
      if (error instanceof RideError && error.code === 'RIDE_UNAVAILABLE') return undefined;
      throw error;
    }
  }

  /** How old a position is and why; what is not stale, as nearly all that is asked for, costs nothing. */
  async function explained(
    { driverId, recordedAt }: { driverId: string; recordedAt: number },
    why: typeof whyStaleIfKnown,
  ): Promise<Freshness> {
    const fresh = freshnessOf(recordedAt, clock.now(), freshnessMs);
    if (fresh.stale) fresh.staleReason = await why(driverId, recordedAt);
    return fresh;
  }

  return {
    /** @throws RideError RIDE_INVALID_INPUT (field, rule) */
    check(input: TelematicsInput): void {
      const violation = telematicsViolation(input);
      if (violation) throw invalidInput(violation.field, violation.rule);
    },

    /** Takes note of what was checked. */
    heard(driverId: string, input: TelematicsInput): void {
      const at = clock.now();
      const last = heard.peek(driverId);
      if (last && isSame(last, input) && at - last.at < repeatMs) return;
      const said = { ...input, at };
      heard.set(driverId, said);
      // The board says that it cannot be written; here it is only known that the next heartbeat has to bring it.
      board.keep(driverId, said).catch(() => {
        if (heard.peek(driverId) === said) heard.delete(driverId);
      });
    },

    /** The driver's last session on this node ended. */
    forget(driverId: string): void {
      heard.delete(driverId);
    },

    /** The newest, from whichever node heard it. @throws RideError RIDE_UNAVAILABLE */
    of: (driverId: string): Promise<Telematics | null> => board.of(driverId),

    whyStaleIfKnown,

    /** How old a position is and why. @throws RideError RIDE_UNAVAILABLE */
    freshness: (position: { driverId: string; recordedAt: number }): Promise<Freshness> =>
      explained(position, whyStale),

    /** A place where a user was, as it is shown now; the device is `userId`'s. Also while nobody can be asked why it is stale. */
    async shown(userId: string, seen: Sighting): Promise<Shown> {
      const { recordedAt } = seen;
      if (recordedAt === undefined) return seen;
      return { ...seen, ...(await explained({ driverId: userId, recordedAt }, whyStaleIfKnown)) };
    },

    /** How old a position is and, as far as this node has heard, why: for what must not wait. */
    freshnessHere({ driverId, recordedAt }: { driverId: string; recordedAt: number }): Freshness {
      const freshness = freshnessOf(recordedAt, clock.now(), freshnessMs);
      if (freshness.stale) freshness.staleReason = staleReasonOf(heard.peek(driverId) ?? null, recordedAt, freshnessMs);
      return freshness;
    },
  };
}
