/** The whole suite, and running it: cases side by side, each with connections and users of its own. */
import type { TestScope } from '../../clients/clients.ts';
import { type TransportName, transports } from '../../clients/peer.ts';
import { type Place, type ProtocolCase, Skipped } from './case.ts';
import { envelopeCases } from './envelopes.ts';
import { fallbackCases } from './fallbacks.ts';
import { messageCases } from './messages.ts';
import { recoveryCases } from './recovery.ts';
import { sessionCases } from './sessions.ts';
import { topicCases } from './topics.ts';

export const protocolCases: readonly ProtocolCase[] = [
  ...sessionCases,
  ...envelopeCases,
  ...messageCases,
  ...topicCases,
  ...recoveryCases,
  ...fallbackCases,
];

export interface Outcome {
  section: string;
  title: string;
  transport: TransportName;
  result: 'ok' | 'failed' | 'skipped';
  /** Why it was skipped. */
  reason?: string;
  error?: unknown;
  tookMs: number;
}

export interface RunOptions {
  atOnce?: number;
  only?: string;
  over?: readonly TransportName[];
  onDone?(outcome: Outcome): void;
}

/** A case that takes longer has failed. */
const LIMIT_MS = 90_000;

async function runCase(place: Place, one: ProtocolCase, transport: TransportName): Promise<Outcome> {
  const hooks: (() => Promise<void> | void)[] = [];
  const scope: TestScope = { after: (hook) => void hooks.push(hook) };
  const startedAt = performance.now();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`not done within ${LIMIT_MS} ms`)), LIMIT_MS);
  const outcome: Outcome = { section: one.section, title: one.title, transport, result: 'ok', tookMs: 0 };
  try {
    await Promise.race([one.run({ place, transport, scope }), late]);
  } catch (error) {
    if (error instanceof Skipped) Object.assign(outcome, { result: 'skipped', reason: error.message });
    else Object.assign(outcome, { result: 'failed', error });
  }
  clearTimeout(timer);
  for (const hook of hooks.reverse()) await hook();
  return { ...outcome, tookMs: performance.now() - startedAt };
}

/**
 * Runs the cases at a place, `atOnce` at a time.
 * @param only part of a section or title; every case when left out
 * @param over the transports that are tried; all when left out
 * @param onDone called with each outcome as it comes
 */
export async function runProtocol(
  place: Place,
  { atOnce = 4, only = '', over = transports, onDone }: RunOptions = {},
): Promise<Outcome[]> {
  const runs = protocolCases
    .filter(({ section, title }) => `${section}: ${title}`.toLowerCase().includes(only.toLowerCase()))
    .flatMap((one) => one.on.filter((name) => over.includes(name)).map((transport) => ({ one, transport })));
  const outcomes: Outcome[] = [];
  const lane = async (): Promise<void> => {
    for (let next = runs.shift(); next; next = runs.shift()) {
      const outcome = await runCase(place, next.one, next.transport);
      outcomes.push(outcome);
      onDone?.(outcome);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return outcomes;
}
