/** What a trip's events end here: a topic that one has no part in any more, and never the connection of who may follow others. */
import { create, toBinary } from '@bufbuild/protobuf';
import t, { type Test } from 'tap';
import { RideError } from '../../src/errors.ts';
import { Frame } from '../../src/realtime/frame.ts';
import { ServerEnvelopeSchema } from '../../src/realtime/generated/ride/v1/ride_pb.js';
import { createTripTap, type TripTapOptions } from '../../src/realtime/trip-tap.ts';
import { startRedis } from '../servers/redis.ts';
import { until } from '../until.ts';
import { realtimeNode } from './node.ts';

const redis = await startRedis(t);
const TOPIC = 'trip:t1';

async function scene(t: Test, any: () => Promise<unknown> = async () => ({})) {
  const node = await realtimeNode(t, redis.url);
  const tap = createTripTap({
    trips: { changed() {}, any, mayRead: ({ userId }: { userId: string }) => userId === 'seated' },
    presence: { mayFollow: async () => true },
    locations: { onTripEvent() {} },
    broker: () => node.broker,
  } as unknown as TripTapOptions);
  /** What comes on the trip's own topic. */
  const tell = (type: string, more: object = {}): void => {
    const value = { tripId: 't1', seq: 1n, type, status: 'requested', ...more };
    const envelope = create(ServerEnvelopeSchema, { payload: { case: 'tripEvent', value } });
    tap(new Frame(Buffer.from(toBinary(ServerEnvelopeSchema, envelope)), 'trip_event', TOPIC));
  };
  /** One who follows the trip, and nothing else yet. */
  const follower = async (userId: string, isListener = false) => {
    const { session, peer } = node.connect(userId);
    if (isListener) session.listensTo = TOPIC;
    await node.broker.subscribe(session, TOPIC);
    return { session, peer, follows: () => session.subscriptions.get(TOPIC) !== undefined };
  };
  return { node, tell, follower };
}

t.test('an offer that is over ends its topic; only who came for that alone is sent away', async (t) => {
  const { tell, follower } = await scene(t);
  const [early, listener, other] = [await follower('d'), await follower('d', true), await follower('other')];
  tell('offer_withdrawn', { driverId: 'd' });
  t.equal(early.follows(), false);
  t.equal(early.session.closed, false, 'his own topic is about to be followed');
  t.equal(listener.peer.closed, 'RIDE_FORBIDDEN');
  t.same([other.follows(), other.session.closed], [true, false]);
});

t.test('seats that were lost: each is asked about who does not hear it on his own topic', async (t) => {
  const { node, tell, follower } = await scene(t);
  const [early, listener, seated] = [await follower('p'), await follower('p', true), await follower('seated', true)];
  const told = await follower('told');
  await node.broker.subscribe(told.session, 'user:told');
  tell('booking_cancelled', { riderId: 'p', seatsFree: 1 });
  await until(() => !early.follows(), 'him to be asked about');
  t.equal(early.session.closed, false);
  t.equal(listener.peer.closed, 'RIDE_FORBIDDEN');
  t.ok(seated.follows());
  t.ok(told.follows(), 'his own topic says it');
});

t.test('while nobody can be asked, whoever would hear what is not his comes again', async (t) => {
  const { tell, follower } = await scene(t, () => Promise.reject(new RideError('RIDE_UNAVAILABLE', 'away')));
  const listener = await follower('p', true);
  tell('no_show', { riderId: 'q', seatsFree: 1 });
  await until(() => listener.peer.closed !== null, 'the end');
  t.equal(listener.peer.closed, 'RIDE_UNAVAILABLE');
});
t.end();
