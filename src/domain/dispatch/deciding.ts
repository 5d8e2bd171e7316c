/**
 * From waiting trips of a city to offers: facts are gathered, a decision is made and written down, the chosen drivers are reserved
 * and asked.
 */
import { RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { DispatchMeter } from '../../ports/dispatch-meter.ts';
import type { Offers } from '../../ports/offers.ts';
import type { Ids } from '../ids.ts';
import { type Settled, settled, unsettle } from '../joined.ts';
import type { Asked, Offer } from '../offers/rules.ts';
import type { Trips } from '../trips/service.ts';
import type { Trip } from '../trips/trip.ts';
import type { Callers } from './callers.ts';
import type { DecisionLog } from './decision-log.ts';
import { type MatchingSettings, RESERVATION_GRACE_MS } from './deps.ts';
import type { createFacts } from './facts.ts';
import { type Choice, type Decision, type DecisionInput, decide, explain } from './rules.ts';

export interface DecidingDeps {
  trips: Trips;
  offers: Offers;
  clock: Clock;
  ids: Ids;
  gather: ReturnType<typeof createFacts>;
  decisions: DecisionLog;
  callers: Callers;
  settings: MatchingSettings;
  meter: DispatchMeter;
}

/** `again`: one of the drivers is out of this trip since the decision was made. */
export type Decided = 'offered' | 'no_driver' | 'not_waiting' | 'again';

/** Drivers reserved for the offers of one decision. */
type Held = Map<string, string>;
/** The offer of each trip that had a driver in some round of its decision. */
type OfferIds = Map<string, string>;

const isAway = (error: unknown): boolean => error instanceof RideError && error.code === 'RIDE_UNAVAILABLE';

/** @returns decides about some waiting trips of a city together, and says what came of it for each */
export function createDeciding(deps: DecidingDeps) {
  const { trips, offers, clock, ids, gather, decisions, callers, settings, meter } = deps;

  /** Decides within the time allowed; the input that is returned gives the same decision without a clock. */
  function decideInTime(input: DecisionInput): { input: DecisionInput; decision: Decision } {
    const until = clock.now() + settings.decideMs / clock.toWallMs(1);
    const decision = decide(input, () => clock.now() >= until);
    if (decision.greedyTrips === 0) return { input, decision };
    return { input: { ...input, settings: { ...input.settings, maxSteps: decision.steps } }, decision };
  }

  async function release(held: Held, driverIds: Iterable<string> = [...held.keys()]): Promise<void> {
    for (const driverId of driverIds) {
      await offers.release(driverId, held.get(driverId)!);
      held.delete(driverId);
    }
  }

  /** Reserves who was chosen; resolves those who have another offer. */
  async function reserve(choices: readonly Choice[], offerIds: OfferIds, held: Held) {
    const wanted = new Map<string, string>();
    for (const { tripId, driverIds } of choices) {
      if (driverIds.length === 0) continue;
      if (!offerIds.has(tripId)) offerIds.set(tripId, ids.next('ofr'));
      for (const id of driverIds) wanted.set(id, offerIds.get(tripId)!);
    }
    await release(
      held,
      [...held.keys()].filter((id) => wanted.get(id) !== held.get(id)),
    );
    const ttlMs = clock.toWallMs(settings.offerTtlMs) + RESERVATION_GRACE_MS;
    const lost = await Promise.all(
      [...wanted].map(async ([driverId, offerId]) => {
        if (held.has(driverId)) return [];
        if (!(await offers.reserve(driverId, offerId, ttlMs))) return [driverId];
        held.set(driverId, offerId);
        return [];
      }),
    );
    return lost.flat();
  }

  function offerOf(input: DecisionInput, { tripId, driverIds }: Choice, id: string): Offer {
    const { ranked } = explain(input, tripId);
    const asked = driverIds.map((driverId): Asked => {
      const { etaS, source, distanceM } = ranked.find((one) => one.driverId === driverId)!;
      const facts = input.drivers.find((one) => one.driverId === driverId)!;
      const { lat, lng, recordedAt, accuracyM, positionSource } = facts;
      const asked: Asked = { driverId, etaS, source, distanceM, lat, lng, recordedAt };
      if (accuracyM !== undefined) asked.accuracyM = accuracyM;
      if (positionSource !== undefined) asked.positionSource = positionSource;
      return asked;
    });
    const [first, ...others] = asked;
    return { id, ...first!, expiresAt: clock.now() + settings.offerTtlMs, ...(others.length > 0 ? { others } : {}) };
  }

  /** Asks the drivers of one choice. */
  async function ask(input: DecisionInput, choice: Choice, offerId: string, held: Held): Promise<Decided> {
    try {
      const offer = offerOf(input, choice, offerId);
      await callers.within(choice.tripId, () => trips.command(choice.tripId, { type: 'offer', offer }));
      return 'offered';
    } catch (error) {
      await release(held, choice.driverIds);
      if (error instanceof RideError && error.code === 'RIDE_ILLEGAL_TRANSITION') return 'not_waiting';
      if (error instanceof RideError && error.code === 'RIDE_OFFER_CLOSED') return 'again';
      throw error;
    }
  }

  /** One decision, and what came of it for each trip. */
  async function decideTogether(waiting: readonly Trip[]): Promise<Map<string, Decided>> {
    const offerIds: OfferIds = new Map();
    const held: Held = new Map();
    try {
      const totalS = meter.stopwatch();
      let input = await gather(waiting);
      let assigningS = 0;
      const decideNow = () => {
        const spentS = meter.stopwatch();
        const made = decideInTime(input);
        assigningS += spentS();
        return made;
      };
      let decided = decideNow();
      // Every round takes somebody out, so there is an end.
      for (;;) {
        const lost = await reserve(decided.decision.choices, offerIds, held);
        if (lost.length === 0) break;
        input = { ...input, askedElsewhere: [...input.askedElsewhere, ...lost] };
        decided = decideNow();
      }
      const parts = await decisions.write(waiting[0]!.source.city, decided.input, decided.decision);
      const kind = settings.windowMs > 0 ? 'window' : 'trip';
      meter.decided(kind, parts, { assigningS, totalS: totalS(), greedyTrips: decided.decision.greedyTrips });
      const { choices } = decided.decision;
      const outcomes = new Map(choices.map(({ tripId }): [string, Decided] => [tripId, 'no_driver']));
      const asking = choices.filter(({ driverIds }) => driverIds.length > 0);
      const asked = await Promise.allSettled(
        asking.map((choice) => ask(decided.input, choice, offerIds.get(choice.tripId)!, held)),
      );
      for (const [i, { tripId }] of asking.entries()) outcomes.set(tripId, unsettle(asked[i]!));
      return outcomes;
    } catch (error) {
      // What was offered keeps its drivers reserved; the others are free again. With the store away nobody knows, and all are:
      // a reservation is a convenience, the driver's document decides.
      const offered = await trips.findMany(waiting.map(({ id }) => id)).catch(() => []);
      const bound = new Set(offered.flatMap((trip) => (trip.offer ? [trip.offer.id] : [])));
      await release(
        held,
        [...held].flatMap(([driverId, offerId]) => (bound.has(offerId) ? [] : [driverId])),
      );
      throw error;
    }
  }

  /** One trip that cannot be decided about must not keep the others from it: then each is looked at alone. */
  async function decideAll(waiting: readonly Trip[]): Promise<Map<string, Settled<Decided>>> {
    const answer = await settled(decideTogether(waiting));
    if (answer.status === 'fulfilled')
      return new Map([...answer.value].map(([id, value]) => [id, { status: 'fulfilled', value }]));
    if (waiting.length === 1 || isAway(answer.reason)) return new Map(waiting.map(({ id }) => [id, answer]));
    const each: Map<string, Settled<Decided>> = new Map();
    for (const trip of waiting) for (const [id, one] of await decideAll([trip])) each.set(id, one);
    return each;
  }

  return decideAll;
}
