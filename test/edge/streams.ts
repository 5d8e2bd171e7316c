/** What the tests of bad input share: how a refusal must look on a stream, and that the session goes on after it. */
import type { Test } from 'tap';
import type { Message } from '../clients/inbox.ts';
import { connect, type Peer, type TransportName, transports } from '../clients/peer.ts';
import type { TestServer } from '../helper.ts';
import { member } from '../scene.ts';

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
