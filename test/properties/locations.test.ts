/**
 * Document C, property 1: for any location update sent by a driver, if the update is acknowledged, querying the location within
 * 100 ms returns the same coordinates. Here the moment it is acknowledged, whichever node is asked, over whatever transport and from
 * however many devices at a time it came. Where one that was measured later is known, that one.
 */
import fc from 'fast-check';
import t from 'tap';
import { openGrpc, openWebSocket, type Peer } from '../clients/peer.ts';
import type { TestServer } from '../helper.ts';
import { assignedRide, type Ride } from '../scene.ts';
import { twoNodes } from './two-nodes.ts';

const DEVICES = 4;

/** Some locations in one message of a device, and who is asked when they are acknowledged. */
interface Report {
  device: number;
  places: { lat: number; lng: number }[];
  askedNode: number;
  /** Does not wait for the acknowledgement of what was sent before it. */
  rush: boolean;
}

/** Millionths of a degree are 11 cm. */
const coordinate = (limit: number): fc.Arbitrary<number> =>
  fc.integer({ min: -limit * 1e6, max: limit * 1e6 }).map((millionths) => millionths / 1e6);
const report: fc.Arbitrary<Report> = fc.record({
  device: fc.nat(DEVICES - 1),
  places: fc.array(fc.record({ lat: coordinate(90), lng: coordinate(180) }), { minLength: 1, maxLength: 4 }),
  askedNode: fc.nat(1),
  rush: fc.boolean(),
});
/** `order`: in which order they were measured, where that is not the order of sending. */
const program = fc.record({
  reports: fc.array(report, { minLength: 1, maxLength: 8 }),
  order: fc.array(fc.nat(1000), { minLength: 8 * 4, maxLength: 8 * 4 }),
});

interface Update {
  lat: number;
  lng: number;
  recorded_at_ms: number;
}

type Send = (updates: Update[]) => Promise<void>;

function bySocket(peer: Peer, tripId: string): Send {
  return async (updates) => {
    const own = updates.map((update) => ({ ...update, trip_id: tripId }));
    const message = own.length === 1 ? { location_update: own[0] } : { location_batch: { updates: own } };
    const answer = await peer.ask(message);
    if (!answer.ack) throw new Error(`not acknowledged: ${JSON.stringify(answer)}`);
  };
}

function byRest(s: TestServer, { id, driver }: Ride): Send {
  return async (updates) => {
    const body = { updates: updates.map((update) => ({ ...update, trip_id: id })) };
    const answer = await s.rest('POST', '/api/v1/drivers/me/locations', driver.token, body);
    if (answer.status !== 200) throw new Error(`not acknowledged: ${JSON.stringify(answer.body)}`);
  };
}

/** Resolves what was wrong. */
async function play(nodes: [TestServer, TestServer], { reports, order }: { reports: Report[]; order: number[] }) {
  const [a, b] = nodes;
  const hooks: (() => Promise<void> | void)[] = [];
  const ride = await assignedRide({ after: (hook) => void hooks.push(hook) }, a);
  const { token } = ride.driver;
  const peers = [
    await openWebSocket(a.at, 'websocket-json', token),
    await openWebSocket(b.at, 'websocket-protobuf', token),
    openGrpc(a.at, token),
  ];
  const devices = [...peers.map((peer) => bySocket(peer, ride.id)), byRest(b, ride)];
  const faults: string[] = [];
  const sent: Update[] = [];
  let newestAcknowledged = 0;
  const from = Date.now() - 20_000;

  async function ask(node: TestServer): Promise<void> {
    const due = newestAcknowledged;
    const { status, body } = await node.rest('GET', `/api/v1/trips/${ride.id}/location`, ride.rider.token);
    const { lat, lng, recorded_at_ms } = body;
    const one = sent.find((update) => update.recorded_at_ms === recorded_at_ms);
    if (status !== 200) faults.push(`no location: ${status} ${JSON.stringify(body)}`);
    else if (!one || one.lat !== lat || one.lng !== lng)
      faults.push(`${lat}, ${lng} was never sent as of ${recorded_at_ms}`);
    else if (recorded_at_ms < due) faults.push(`${recorded_at_ms - from} is older than the acknowledged ${due - from}`);
  }

  async function tell({ device, places, askedNode }: Report): Promise<void> {
    const updates = places.map((place): Update => {
      // No two measured at the same moment.
      const at = { ...place, recorded_at_ms: from + order[sent.length]! * 16 + (sent.length % 16) };
      sent.push(at);
      return at;
    });
    await devices[device]!(updates);
    newestAcknowledged = Math.max(newestAcknowledged, ...updates.map((update) => update.recorded_at_ms));
    await ask(nodes[askedNode]!);
  }

  try {
    const all: Promise<void>[] = [];
    for (const one of reports) {
      const told = tell(one);
      all.push(told);
      if (!one.rush) await told;
    }
    await Promise.all(all);
  } finally {
    for (const peer of peers) peer.cut();
    for (const hook of hooks) await hook();
  }
  return faults;
}

t.test('what was acknowledged is what anybody reads', async (t) => {
  const nodes = await twoNodes(t);
  const property = fc.asyncProperty(program, async (given) => {
    const faults = await play(nodes, given);
    if (faults.length > 0) throw new Error(faults.join('\n'));
  });
  await t.resolves(fc.assert(property, { numRuns: 60, interruptAfterTimeLimit: 30_000, includeErrorInReport: true }));
});
t.end();
