/**
 * From waiting trips to offers: facts are gathered, a decision is made and written down, the chosen drivers are reserved and
 * asked. One trip at a time, or all that wait in a city together when there is a window.
 */
import { RideError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { DispatchMeter } from '../../ports/dispatch-meter.ts';
import type { Offers } from '../../ports/offers.ts';
import type { Scheduler } from '../../ports/scheduler.ts';
import type { Ids } from '../ids.ts';
import type { Asked, Offer } from '../offers/rules.ts';
import type { Trips } from '../trips/service.ts';
import type { Trip } from '../trips/trip.ts';
import type { DecisionLog } from './decision-log.ts';
import { type MatchingSettings, RESERVATION_GRACE_MS } from './deps.ts';
import type { createFacts } from './facts.ts';
import { type Choice, type Decision, type DecisionInput, decide, explain } from './rules.ts';

export interface MatchingDeps {
  trips: Trips;
  offers: Offers;
  scheduler: Scheduler;
  clock: Clock;
  ids: Ids;
  gather: ReturnType<typeof createFacts>;
  decisions: DecisionLog;
  settings: MatchingSettings;
  meter: DispatchMeter;
}

/** `queued`: the next window decides; `later`: a ride for later, sought ahead of its time. */
export type MatchOutcome = 'offered' | 'no_driver' | 'not_waiting' | 'expired' | 'queued' | 'later';

/** Drivers reserved for the offers of one decision. */
type Held = Map<string, string>;

export function createMatching(deps: MatchingDeps) {
  const { trips, offers, scheduler, clock, ids, gather, decisions, settings, meter } = deps;

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
  async function reserve(choices: readonly Choice[], offerIds: ReadonlyMap<string, string>, held: Held) {
    const wanted = new Map(
      choices.flatMap(({ tripId, driverIds }) => driverIds.map((id) => [id, offerIds.get(tripId)!])),
    );
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
      const { lat, lng } = input.drivers.find((one) => one.driverId === driverId)!;
      return { driverId, etaS, source, distanceM, lat, lng };
    });
    const [first, ...others] = asked;
    return { id, ...first!, expiresAt: clock.now() + settings.offerTtlMs, ...(others.length > 0 ? { others } : {}) };
  }

  /** Asks the drivers of one choice. `again`: one of them is out of this trip since the decision was made. */
  async function ask(
    input: DecisionInput,
    choice: Choice,
    offerId: string,
    held: Held,
  ): Promise<MatchOutcome | 'again'> {
    if (choice.driverIds.length === 0) return 'no_driver';
    try {
      await trips.command(choice.tripId, { type: 'offer', offer: offerOf(input, choice, offerId) });
      return 'offered';
    } catch (error) {
      await release(held, choice.driverIds);
      if (error instanceof RideError && error.code === 'RIDE_ILLEGAL_TRANSITION') return 'not_waiting';
      if (error instanceof RideError && error.code === 'RIDE_OFFER_CLOSED') return 'again';
      throw error;
    }
  }

  /** One decision about some waiting trips of a city, and what came of it for each. */
  async function decideTogether(waiting: readonly Trip[]): Promise<Map<string, MatchOutcome | 'again'>> {
    const offerIds = new Map(waiting.map(({ id }) => [id, ids.next('ofr')] as const));
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
      const outcomes = decided.decision.choices.map(
        async (choice) =>
          [choice.tripId, await ask(decided.input, choice, offerIds.get(choice.tripId)!, held)] as const,
      );
      const settled = await Promise.allSettled(outcomes);
      const failed = settled.find((one) => one.status === 'rejected');
      if (failed) throw failed.reason;
      return new Map(settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
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

  async function expire(tripId: string, reason: string): Promise<MatchOutcome> {
    await trips.command(tripId, { type: 'expire', reason });
    return 'expired';
  }

  /** Null when drivers may be sought now. */
  async function notNow(trip: Trip): Promise<MatchOutcome | null> {
    const now = clock.now();
    if (now >= trip.matchDeadline) return expire(trip.id, 'no_driver_in_time');
    if (trip.offersMade >= settings.maxOffers) return expire(trip.id, 'too_many_offers');
    if (now >= trip.matchFrom) return null;
    await scheduler.schedule('trip_match', { tripId: trip.id }, trip.matchFrom - now, `${trip.id}.ahead`);
    return 'later';
  }

  /** All nodes name the windows of a city alike, so each is decided once. */
  async function queue(city: string, waitMs: number): Promise<void> {
    const now = clock.now();
    const window = Math.floor((now + waitMs) / settings.windowMs) + 1;
    await scheduler.schedule('dispatch_window', { city }, window * settings.windowMs - now, `${city}.${window}`);
  }

  async function again(trip: Trip): Promise<void> {
    const waitMs = Math.min(settings.retryMs, Math.max(0, trip.matchDeadline - clock.now()));
    const round = Math.floor(clock.now() / settings.retryMs);
    await scheduler.schedule('trip_match', { tripId: trip.id }, waitMs, `${trip.id}.${trip.version}.${round}`);
  }

  /** Looks for a driver for a waiting trip; asks again later when there is none, gives up at the trip's deadline. */
  async function match(tripId: string): Promise<MatchOutcome> {
    for (;;) {
      const trip = await trips.find(tripId);
      if (trip?.status !== 'requested') return 'not_waiting';
      const other = await notNow(trip);
      if (other) return other;
      if (settings.windowMs > 0) {
        await queue(trip.source.city, 0);
        return 'queued';
      }
      const outcome = (await decideTogether([trip])).get(tripId)!;
      if (outcome === 'again') continue;
      if (outcome === 'no_driver') await again(trip);
      return outcome;
    }
  }

  return {
    match,

    /** Decides about all trips that wait in a city; resolves how many drivers were found. */
    async matchWindow(city: string): Promise<number> {
      const waiting = await trips.waitingIn(city, clock.now(), settings.windowTrips);
      const due: Trip[] = [];
      for (const trip of waiting) if ((await notNow(trip)) === null) due.push(trip);
      if (due.length === 0) return 0;
      const outcomes = [...(await decideTogether(due)).values()];
      if (waiting.length === settings.windowTrips || outcomes.includes('again')) await queue(city, 0);
      else if (outcomes.includes('no_driver')) await queue(city, settings.retryMs);
      return outcomes.filter((outcome) => outcome === 'offered').length;
    },
  };
}
