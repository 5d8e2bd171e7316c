/** Writes decisions down before anybody is asked, reads them back, and replays them. */
import type { Collection, Page } from '../../ports/store.ts';
import { type Ids, shardKeyOf } from '../ids.ts';
import type { DispatchDecision, TripDecision } from './decision.ts';
import { type Decision, type DecisionInput, decide, explain, RULES_VERSION } from './rules.ts';

export interface DecisionLogDeps {
  decisions: Collection<DispatchDecision>;
  tripDecisions: Collection<TripDecision>;
  ids: Ids;
}

/** `same`: the stored input gives the stored result. `other_rules`: the rules have changed since, so it need not. */
export type Replay = 'same' | 'differs' | 'other_rules';

export interface LoggedDecision extends TripDecision {
  replay: Replay;
  greedyTrips: number;
  settings: DecisionInput['settings'];
}

/** Candidates kept of one trip for reading; the stored input has all. */
const SHOWN = 40;

/** What a decision made of its stored input gives today, against what it gave. */
export function replayOf({ input, outcome }: Pick<DispatchDecision, 'input' | 'outcome'>): Replay {
  if (input.rules !== RULES_VERSION) return 'other_rules';
  return JSON.stringify(decide(input)) === JSON.stringify(outcome) ? 'same' : 'differs';
}

export type DecisionLog = ReturnType<typeof createDecisionLog>;

export function createDecisionLog({ decisions, tripDecisions, ids }: DecisionLogDeps) {
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
    /** Resolves once the decision can be read: the part of each trip. @throws RideError RIDE_UNAVAILABLE */
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
      if (outcome.choices.length === 1) {
        const part = { ...partOf(decision, 0), whole: { input, outcome } };
        await tripDecisions.insert(part);
        return [part];
      }
      await decisions.insert(decision);
      const parts = outcome.choices.map((_, index) => partOf(decision, index));
      await Promise.all(parts.map((part) => tripDecisions.insert(part)));
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
        return [{ ...part, replay: replayOf(decision), greedyTrips: outcome.greedyTrips, settings: input.settings }];
      });
      return { items, nextPageToken: page.nextPageToken };
    },

    /** Forgets what is older; resolves how many documents. */
    async removeBefore(before: number, limit: number): Promise<number> {
      const where = { createdAt: { lt: before } };
      return (await tripDecisions.remove(where, 10 * limit)) + (await decisions.remove(where, limit));
    },
  };
}
