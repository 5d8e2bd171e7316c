// Reads and writes the text frames of `ride.v1.json`: protobuf JSON of the stream envelopes. In protobuf JSON 64-bit
// integers are strings and fields at their default are left out, so a missing latitude is 0 and a missing list is empty;
// from here on the page has plain numbers and nothing missing.

/**
 * @typedef {{driverId: string, lat: number, lng: number, headingDeg: number | null, status: string, ageMs: number,
 *   accuracyM: number | null, source: string, staleReason: string}} ZonePosition
 * @typedef {{tripId: string, seq: number, type: string, status: string, version: number, driverId: string, actorId: string,
 *   riderId: string, reason: string, atMs: number}} TripEvent
 * @typedef {{id: string, status: string, version: number, seq: number, riderId: string, driverId: string,
 *   vehicleClass: string, pickup: Place | null, dropoff: Place | null, createdAt: number, updatedAt: number}} Trip
 * @typedef {{lat: number, lng: number, address?: string}} Place
 */

/** A proto number: an absent one is 0. @param {unknown} value @returns {number} */
function number(value) {
  const n = value === undefined || value === null ? 0 : Number(value);
  return Number.isFinite(n) ? n : 0;
}

/** An optional proto number. @param {unknown} value @returns {number | null} */
function optional(value) {
  if (value === undefined || value === null) return null;
  const n = Number(value);
  return Number.isFinite(n) ? n : null;
}

/** @param {unknown} value */
const text = (value) => (typeof value === 'string' ? value : '');

/** @param {unknown} value @returns {string[]} */
const texts = (value) => (Array.isArray(value) ? value.map(text) : []);

/** @type {Record<string, (body: any) => any>} */
const readers = {
  welcome: (b) => ({
    userId: text(b.user_id),
    role: text(b.role),
    serverTimeMs: number(b.server_time_ms),
    heartbeatIntervalMs: number(b.heartbeat_interval_ms),
    heartbeatTimeoutMs: number(b.heartbeat_timeout_ms),
  }),
  ack: (b) => ({ serverTimeMs: number(b.server_time_ms) }),
  error: (b) => ({
    code: text(b.code),
    message: text(b.message),
    retryable: b.retryable === true,
    retryAfterMs: number(b.retry_after_ms),
  }),
  go_away: (b) => ({ reason: text(b.reason), reconnectAfterMs: number(b.reconnect_after_ms) }),
  subscribed: (b) => ({ topic: text(b.topic), recovered: b.recovered === true }),
  zone_broadcast: (b) => ({
    city: text(b.city),
    positions: (b.positions ?? []).map((/** @type {any} */ p) => ({
      driverId: text(p.driver_id),
      lat: number(p.lat),
      lng: number(p.lng),
      headingDeg: optional(p.heading_deg),
      status: text(p.status),
      ageMs: number(p.age_ms),
      accuracyM: optional(p.accuracy_m),
      source: text(p.source),
      staleReason: text(p.stale_reason),
    })),
  }),
  location: (b) => ({
    tripId: text(b.trip_id),
    driverId: text(b.driver_id),
    lat: number(b.lat),
    lng: number(b.lng),
    speedMps: optional(b.speed_mps),
    headingDeg: optional(b.heading_deg),
    accuracyM: optional(b.accuracy_m),
    ageMs: number(b.age_ms),
    source: text(b.source),
    staleReason: text(b.stale_reason),
  }),
  eta_refresh: (b) => ({
    tripId: text(b.trip_id),
    etaS: number(b.eta_s),
    distanceM: number(b.distance_m),
    leg: text(b.leg),
    source: text(b.source),
    ageMs: number(b.age_ms),
    staleReason: text(b.stale_reason),
  }),
  check_in: (b) => ({
    tripId: text(b.trip_id),
    status: text(b.status),
    hazards: texts(b.hazards),
    riderId: text(b.rider_id),
    driverId: text(b.driver_id),
    deadlineMs: number(b.deadline_ms),
    atMs: number(b.at_ms),
  }),
  anomaly_flag: (b) => ({
    id: text(b.anomaly_id),
    kind: text(b.kind),
    subjectId: text(b.subject_id),
    subjectRole: text(b.subject_role),
    score: number(b.score),
    atMs: number(b.at_ms),
    facts: text(b.evidence),
  }),
  trip_event: (b) => ({
    tripId: text(b.trip_id),
    seq: number(b.seq),
    type: text(b.type),
    status: text(b.status),
    version: number(b.version),
    driverId: text(b.driver_id),
    actorId: text(b.actor_id),
    riderId: text(b.rider_id),
    reason: text(b.reason),
    atMs: number(b.at_ms),
  }),
};

/**
 * One server envelope. A kind that this page has no use for comes back as `kind: 'other'`.
 * @param {string} frame
 * @returns {{kind: string, corrId: string, topic: string, eventId: string, sentAtMs: number, body: any}}
 * @throws {SyntaxError} when the frame is not JSON of an object
 */
export function readEnvelope(frame) {
  const raw = JSON.parse(frame);
  if (raw === null || typeof raw !== 'object' || Array.isArray(raw)) throw new SyntaxError('not an envelope');
  const kind = Object.keys(readers).find((name) => raw[name] !== undefined && raw[name] !== null) ?? 'other';
  return {
    kind,
    corrId: text(raw.corr_id),
    topic: text(raw.topic),
    eventId: text(raw.event_id),
    sentAtMs: number(raw.sent_at_ms),
    body: readers[kind]?.(raw[kind]) ?? null,
  };
}

/** A trip of the REST API. @param {any} raw @returns {Trip} */
export function readTrip(raw) {
  return {
    id: text(raw.id),
    status: text(raw.status),
    version: number(raw.version),
    seq: number(raw.event_seq),
    riderId: text(raw.rider_id),
    driverId: text(raw.driver_id),
    vehicleClass: text(raw.vehicle_class),
    pickup: readPlace(raw.pickup),
    dropoff: readPlace(raw.dropoff),
    createdAt: number(raw.created_at),
    updatedAt: number(raw.updated_at),
  };
}

/** A check-in of the REST API. @param {any} raw @returns {import('./safety.js').CheckIn} */
export const readCheckIn = (raw) => ({
  tripId: text(raw.trip_id),
  status: text(raw.status),
  hazards: texts(raw.hazards),
  riderId: text(raw.rider_id),
  driverId: text(raw.driver_id),
  deadlineMs: number(raw.deadline),
  atMs: number(raw.updated_at),
});

/** A flag of the REST API. @param {any} raw @returns {import('./safety.js').Flag} */
export const readFlag = (raw) => ({
  id: text(raw.id),
  kind: text(raw.kind),
  subjectId: text(raw.subject_id),
  subjectRole: text(raw.subject_role),
  score: number(raw.score),
  atMs: number(raw.last_at),
  facts: JSON.stringify(raw.evidence?.at?.(-1)?.facts ?? {}),
});

/** @param {any} raw @returns {Place | null} */
function readPlace(raw) {
  if (raw === undefined || raw === null || typeof raw.lat !== 'number' || typeof raw.lng !== 'number') return null;
  return { lat: raw.lat, lng: raw.lng, address: text(raw.address) };
}

/** @param {string} corrId @param {string} kind @param {Record<string, unknown>} body */
export function writeEnvelope(corrId, kind, body) {
  return JSON.stringify({ corr_id: corrId, [kind]: body });
}
