/** What the tests of bad input share: how a refusal must look on a stream, and that the session goes on after it. */
import type { Test } from 'tap';
import type { Message } from '../clients/inbox.ts';
import { connect, type Peer, type TransportName, transports } from '../clients/peer.ts';
import type { TestServer } from '../helper.ts';
import { member, requestedTrip, somewhere } from '../scene.ts';

export interface Refusal {
  code: string;
  field: string;
  /** All of the rule or a pattern of it. */
  rule: string | RegExp;
}

/** Asserts code, field and rule of an error envelope. */
export function isRefused(t: Test, answer: Message, expected: Refusal, what: string): void {
  const error = answer.error ?? {};
  t.equal(error.code, expected.code, `${what}: code`);
  t.equal(error.field ?? '', expected.field, `${what}: field`);
  if (typeof expected.rule === 'string') t.equal(error.rule ?? '', expected.rule, `${what}: rule`);
  else t.match(error.rule, expected.rule, `${what}: rule`);
  t.ok(error.message, `${what}: says why`);
}

/** A heartbeat is answered: the refusal before it did not end the session. */
export async function livesOn(t: Test, peer: Peer, what: string): Promise<void> {
  const answer = await peer.ask({ heartbeat: {} });
  t.ok(answer.ack, `${what}: the session lives on`);
}

export interface BadMessage {
  name: string;
  message: Message;
  refusal: Refusal;
  /** Only where the transport can carry it. */
  only?: readonly TransportName[];
}

/** Sends each bad message over each transport as `role`; every one is refused alike and the session lives on. */
export async function refusedAlike(t: Test, s: TestServer, role: string, cases: readonly BadMessage[]): Promise<void> {
  for (const transport of transports) {
    await t.test(`${transport}, ${role}`, async (t) => {
      const { token } = await member(s, role);
      const peer = await connect(t, s.at, transport, token);
      for (const { name, message, refusal, only } of cases) {
        if (only && !only.includes(transport)) continue;
        isRefused(t, await peer.ask(message), refusal, name);
        await livesOn(t, peer, name);
      }
    });
  }
}

/** Neither trip, beyond so many good ones, nor alert, position or status came of what was refused; and good ones still pass. */
export async function nothingWritten(t: Test, s: TestServer, trips: number): Promise<void> {
  const operator = await member(s, 'admin');
  const { body } = await s.rest('GET', '/admin/stats', operator.token);
  const total = Object.values(body.trips as Record<string, number>).reduce((a, b) => a + b, 0);
  t.equal(total, trips, 'trips');
  t.equal(body.drivers.available, 0);
  const watcher = await connect(t, s.at, 'websocket-json', operator.token, { path: '/ws/admin' });
  const alerts = await watcher.ask({ subscribe: { topic: 'sos:alerts', since_offset: '0' } });
  t.equal(alerts.subscribed.replayed ?? 0, 0, 'no alert');
  const probe = await member(s, 'driver');
  for (const lat of [1, 10, 90, -90]) {
    const near = await s.rest('GET', `/api/v1/drivers/nearby?lat=${lat}&lng=2&radius_m=100000`, operator.token);
    t.same(near.body.items, [], `nobody near latitude ${lat}`);
  }
  t.equal((await s.rest('GET', '/api/v1/drivers/me', probe.token)).body.status, 'offline');
  await requestedTrip(s, await member(s, 'rider'), somewhere());
}
