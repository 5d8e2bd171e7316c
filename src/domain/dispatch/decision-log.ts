/** Writes decisions down before anybody is asked, reads them back, and replays them. */
import type { Clock } from '../../ports/clock.ts';
import type { Collection, Page } from '../../ports/store.ts';
import { type Ids, shardKeyOf } from '../ids.ts';
import { removeAll } from '../pages.ts';
import { Recent } from '../recent.ts';
import type { DispatchDecision, TripDecision } from './decision.ts';
import { type Decision, type DecisionInput, type DriverFacts, decide, explain, RULES_VERSION } from './rules.ts';

export interface DecisionLogDeps {
  decisions: Collection<DispatchDecision>;
  tripDecisions: Collection<TripDecision>;
  clock: Clock;
  ids: Ids;
}

/** `same`: the stored input gives the stored result. `other_rules`: the rules have changed since, so it need not. */
export type Replay = 'same' | 'differs' | 'other_rules';

export interface LoggedDecision extends TripDecision {
  replay: Replay;
  greedyTrips: number;
  settings: DecisionInput['settings'];
  /** What was known of each driver. */
  drivers: ReadonlyMap<string, DriverFacts>;
}

/** Candidates kept of one trip for reading; the stored input has all. */
const SHOWN = 40;
/** So long it is remembered why nobody is asked about a trip, domain ms; then it is written down once more. */
const UNCHANGED_MS = 60_000;

/** Why nobody is asked, and of whom that was found: how far they are changes with every look, and changes nothing. */
function groundsOf({ reason, ranked, rankedCount, rejected, rejectedCounts }: TripDecision): string {
  if (rankedCount === 0 && rejected.length === 0) return reason;
  return JSON.stringify([
    reason,
    ranked.map(({ driverId }) => driverId).sort(),
    rankedCount,
    rejected.map((one) => `${one.driverId} ${one.reason}`).sort(),
    Object.entries(rejectedCounts).sort(),
  ]);
}

/** What a decision made of its stored input gives today, against what it gave. */
export function replayOf({ input, outcome }: Pick<DispatchDecision, 'input' | 'outcome'>): Replay {
  if (input.rules !== RULES_VERSION) return 'other_rules';
  return JSON.stringify(decide(input)) === JSON.stringify(outcome) ? 'same' : 'differs';
}

export type DecisionLog = ReturnType<typeof createDecisionLog>;

export function createDecisionLog({ decisions, tripDecisions, clock, ids }: DecisionLogDeps) {
  /** Trips of which this node wrote last that nobody is asked, and why. */
  const waiting = new Recent<{ grounds: string }>(UNCHANGED_MS, clock.now);

  /** While nothing changes, a look every few seconds says nothing new: the first one is kept, and one a minute or so. */
  const isNews = (part: TripDecision): boolean =>
    part.reason === 'cheapest' || waiting.peek(part.tripId)?.grounds !== groundsOf(part);

  function written(part: TripDecision): void {
    if (part.reason === 'cheapest') waiting.delete(part.tripId);
    else waiting.set(part.tripId, { grounds: groundsOf(part) });
  }

  function partOf(decision: DispatchDecision, index: number): TripDecision {
    const { tripId, reason, driverIds } = decision.outcome.choices[index]!;
    const { ranked, rejected } = explain(decision.input, tripId);
    const rejectedCounts: TripDecision['rejectedCounts'] = {};
    for (const one of rejected) rejectedCounts[one.reason] = (rejectedCounts[one.reason] ?? 0) + 1;
    return {
      id: `${decision.id}.${tripId}`,
      region: decision.region,
      createdAt: decision.createdAt,
      version: 1,
      tripId,
      decisionId: decision.id,
      at: decision.input.at,
      trips: decision.input.trips.length,
      reason,
      driverIds,
      ranked: ranked.slice(0, SHOWN),
      rankedCount: ranked.length,
      rejected: rejected.slice(0, SHOWN),
      rejectedCounts,
    };
  }

  return {
    /**
     * Resolves once the decision can be read, as far as it says something new: the part of each trip.
     * @throws RideError RIDE_UNAVAILABLE
     */
    async write(city: string, input: DecisionInput, outcome: Decision): Promise<TripDecision[]> {
      const id = ids.next('dec');
      const decision: DispatchDecision = {
        id,
        ...shardKeyOf(id, ids.region, input.at),
        version: 1,
        city,
        input,
        outcome,
      };
      const isAlone = outcome.choices.length === 1;
      const parts = outcome.choices.map((_, index) => partOf(decision, index));
      const news = parts.filter(isNews);
      // A part without its whole, which a failure may leave, is not read: nobody was asked then.
      await Promise.all([
        news.length > 0 && !isAlone ? decisions.insert(decision) : null,
        tripDecisions.insertMany(isAlone ? news.map((part) => ({ ...part, whole: { input, outcome } })) : news),
      ]);
      for (const part of news) written(part);
      return parts;
    },

    /** The decisions about a trip, the latest first, each replayed. */
    async ofTrip(tripId: string, pageSize: number, pageToken?: string): Promise<Page<LoggedDecision>> {
      const page = await tripDecisions.page({ where: { tripId }, pageSize, pageToken });
      const shared = page.items.filter(({ whole }) => whole === undefined).map(({ decisionId }) => decisionId);
      const found = shared.length === 0 ? [] : await decisions.getMany(shared);
      const byId = new Map(found.map((decision) => [decision.id, decision]));
      const items = page.items.flatMap((part): LoggedDecision[] => {
        const decision = part.whole ?? byId.get(part.decisionId);
        // Both are kept equally long; the input may have gone a moment before.
        if (!decision) return [];
        const { outcome, input } = decision;
        const { settings } = input;
        const drivers = new Map(input.drivers.map((driver) => [driver.driverId, driver]));
        return [{ ...part, replay: replayOf(decision), greedyTrips: outcome.greedyTrips, settings, drivers }];
      });
      return { items, nextPageToken: page.nextPageToken };
    },

    /** Forgets what is older; resolves how many documents. */
    async removeBefore(before: number): Promise<number> {
      const where = { createdAt: { lt: before } };
      const parts = await removeAll((limit) => tripDecisions.remove(where, limit));
      return parts + (await removeAll((limit) => decisions.remove(where, limit)));
    },
  };
}
