/** Location intelligence, put together over the ports: what stands around the watch. */
import type { Clock } from '../../ports/clock.ts';
import type { FenceMarks } from '../../ports/fence-marks.ts';
import type { Logger } from '../../ports/logger.ts';
import type { Position, Positions } from '../../ports/positions.ts';
import type { Publisher } from '../../ports/publisher.ts';
import type { Scheduler } from '../../ports/scheduler.ts';
import type { Collection, Store, StoredDocument } from '../../ports/store.ts';
import type { Tracing } from '../../ports/tracing.ts';
import { createDuty, type Duty } from '../anomalies/duty.ts';
import { type Anomalies, anomalyCollection, conductCollection, createAnomalies } from '../anomalies/service.ts';
import { checkInCollection } from '../check-ins/check-in.ts';
import { type CheckIns, createCheckIns } from '../check-ins/service.ts';
import type { Drivers } from '../drivers/service.ts';
import { crossingCollection, geofenceCollection } from '../geofences/geofence.ts';
import { createGeofences, type Geofences } from '../geofences/service.ts';
import type { Idempotency } from '../idempotency/service.ts';
import type { Ids } from '../ids.ts';
import { createRelay, type OutboxHandler, type Relay } from '../outbox/relay.ts';
import { tracedHandler } from '../outbox/tracing.ts';
import type { Routing } from '../routing/service.ts';
import type { SafetyLimits } from '../safety/rules.ts';
import type { Sos } from '../sos/service.ts';
import type { Surge } from '../surge/service.ts';
import type { TelematicsDesk } from '../telematics/service.ts';
import { createTracks, type Tracks } from '../tracks/service.ts';
import type { Trips } from '../trips/service.ts';
import { createWatch, type Watch } from './service.ts';

/** What is counted, by a label: `refused` positions, `distrusted` drivers, `crossing`s, `check_in` events, `anomaly` flags. */
export type WatchCount = (what: 'refused' | 'distrusted' | 'crossing' | 'check_in' | 'anomaly', label: string) => void;

export interface WatchSettings {
  safety: SafetyLimits;
  /** One position in so many is a sample. */
  sampleEvery: number;
  /** Domain ms. */
  checkInAnswerMs: number;
  /** How long after a sign of spoofing matching does not see a driver, domain ms. */
  distrustMs: number;
  /** A clock that is farther behind is not believed, domain ms. */
  staleClockMs: number;
}

export interface WatchPorts {
  store: Store;
  marks: FenceMarks;
  positions: Positions;
  scheduler: Scheduler;
  publisher: Publisher;
  clock: Clock;
  ids: Ids;
  log: Logger;
  tracing: Tracing;
  zoneOf(lat: number, lng: number): string;
  onWatched?: WatchCount;
  onSample?(position: Position): void;
}

export interface Intelligence {
  tracks: Tracks;
  geofences: Geofences;
  checkIns: CheckIns;
  anomalies: Anomalies;
  watch: Watch;
  duty: Duty;
  watchRelays: readonly Relay[];
}

/** What stands already. */
export interface IntelligenceServices {
  trips: Trips;
  drivers: Drivers;
  routing: Routing;
  surge: Surge;
  sos: Sos;
  idempotency: Idempotency;
  telematics: TelematicsDesk;
}

export function createIntelligence(
  ports: WatchPorts,
  { trips, drivers, routing, surge, sos, idempotency, telematics }: IntelligenceServices,
  settings: WatchSettings,
): Intelligence {
  const { store, positions, scheduler, publisher, clock, ids, log } = ports;
  const count: WatchCount = ports.onWatched ?? (() => {});
  const crossings = store.collection(crossingCollection);
  const checkInDocuments = store.collection(checkInCollection);
  const flags = store.collection(anomalyCollection);

  const tracks = createTracks({ tracks: store.tracks, trips, clock, log });
  const geofences: Geofences = createGeofences({
    geofences: store.collection(geofenceCollection),
    crossings,
    relay: () => crossingRelay,
    marks: ports.marks,
    publisher,
    clock,
    ids,
    idempotency,
    telematics,
    onCrossing: (type) => count('crossing', type),
  });
  const checkIns: CheckIns = createCheckIns({
    checkIns: checkInDocuments,
    trips,
    sos,
    telematics,
    relay: () => checkInRelay,
    scheduler,
    publisher,
    clock,
    ids,
    answerMs: settings.checkInAnswerMs,
    onEvent: (type) => count('check_in', type),
  });
  const anomalies: Anomalies = createAnomalies({
    flags,
    conduct: store.collection(conductCollection),
    relay: () => flagRelay,
    publisher,
    clock,
    ids,
    onFlag: (kind) => count('anomaly', kind),
  });
  const watch = createWatch({
    tracks,
    geofences,
    checkIns,
    alarmed: sos.alarmed,
    anomalies,
    positions,
    drivers,
    trips,
    telematics,
    clock,
    safety: settings.safety,
    sampleEvery: settings.sampleEvery,
    onSample: ports.onSample ?? (() => {}),
    lineTo: routing.lineTo,
    distrustMs: settings.distrustMs,
    staleClockMs: settings.staleClockMs,
    onRefused: (reason) => count('refused', reason),
    onDistrusted: (reason) => count('distrusted', reason),
    log,
  });

  const duty = createDuty({
    anomalies,
    positions,
    clock,
    zoneOf: ports.zoneOf,
    surgeAt: async (zone) => (await surge.at(zone)).multiplierPermille / 1000,
    log,
  });

  const quietly = async (): Promise<void> => {};
  const relayOf = <T extends StoredDocument>(documents: Collection<T>, handler: OutboxHandler): Relay =>
    createRelay(documents, tracedHandler(handler, ports.tracing), clock, log);
  const crossingRelay = relayOf(crossings, {
    publish: (_id, event) => geofences.publish(event),
    react: quietly,
  });
  const checkInRelay = relayOf(checkInDocuments, {
    publish: (_id, event) => checkIns.publish(event),
    react: (_id, event) => checkIns.react(event),
  });
  const flagRelay = relayOf(flags, { publish: (_id, event) => anomalies.publish(event), react: quietly });
  return { tracks, geofences, checkIns, anomalies, watch, duty, watchRelays: [crossingRelay, checkInRelay, flagRelay] };
}
