/** The flow control window of a connection: as the setting says once a caller is known, and never used up by a stream that is held. */
import { type ClientHttp2Session, connect } from 'node:http2';
import t, { type Test } from 'tap';
import type { SignedIn } from '../../src/realtime/sign-in.ts';
import { until } from '../until.ts';
import { serveKnocked } from './knocking.ts';
import { framed, HEADERS } from './streams.ts';

/** What HTTP/2 begins with (RFC 9113, 6.9.2), for a stream as for a connection. */
const INITIAL = 65_535;
const WINDOW = 1 << 20;

async function serve(t: Test, connectionWindow: number) {
  const { port, ...knocked } = await serveKnocked(t, { maxUnsignedCalls: 10, connectionWindow });
  const session = connect(`http://127.0.0.1:${port}`);
  t.teardown(() => session.destroy());
  return { session, ...knocked };
}

/** The server hears and answers: what it had to say before goes out with that. */
const pinged = (session: ClientHttp2Session): Promise<void> =>
  new Promise((resolve, reject) => session.ping((error) => (error ? reject(error) : resolve())));

/** Bytes that the client may send on the connection. */
const room = ({ state }: ClientHttp2Session): number => state.remoteWindowSize!;

function open(session: ClientHttp2Session) {
  const request = session.request(HEADERS);
  // The session is cut off with them.
  request.on('error', () => {});
  return request;
}

for (const window of [INITIAL, WINDOW]) {
  t.test(`a connection has ${window} bytes once a caller is known`, async (t) => {
    const { session, knocking, streams } = await serve(t, window);
    open(session);
    await until(() => knocking.length === 1, 'the sign-in to be under way');
    t.equal(room(session), INITIAL, 'nobody is known');
    knocking[0]!.resolve({} as SignedIn);
    await until(() => streams.length === 1, 'the sign-in');
    await pinged(session);
    await until(() => room(session) === window, 'the window');
    open(session);
    await until(() => knocking.length === 2, 'another stream');
    knocking[1]!.resolve({} as SignedIn);
    await until(() => streams.length === 2, 'its sign-in');
    // The second answer is behind whatever went out with the first.
    await pinged(session);
    await pinged(session);
    t.equal(room(session), window, 'it is widened once');
  });
}

t.test('a stream that is held takes no more than its own window, and the others go on', async (t) => {
  const { session, knocking, streams, heard } = await serve(t, WINDOW);
  const held = open(session);
  await until(() => knocking.length === 1, 'its sign-in');
  knocking[0]!.resolve({} as SignedIn);
  await until(() => streams.length === 1, 'its end of the core');
  await pinged(session);
  await until(() => room(session) === WINDOW, 'the window');
  streams[0]!.pauseReading();
  for (let n = 0; n < 4; n++) held.write(framed(Buffer.alloc(60_000, n)));
  await until(() => room(session) <= WINDOW - INITIAL, 'its window to be full');
  const other = open(session);
  await until(() => knocking.length === 2, 'another stream');
  knocking[1]!.resolve({} as SignedIn);
  other.write(framed('other'));
  await until(() => heard.length > 0, 'what the other says');
  t.same(heard, ['other']);
  t.ok(room(session) > WINDOW - 4 * 60_000, 'the held one has not sent all that it has to say');
  streams[0]!.resumeReading();
  await until(() => heard.length === 5, 'what was held');
});
