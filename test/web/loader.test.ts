/** Sign-in and reads: bounded pages, few calls, patience when the server asks for it. */
import t from 'tap';
import { makeTrip } from './map-server.ts';
import { api as a, loader as l, state as s, trips as tr } from './modules.ts';

function memory(): Storage {
  const map = new Map<string, string>();
  return {
    getItem: (k: string) => map.get(k) ?? null,
    setItem: (k: string, v: string) => void map.set(k, v),
    removeItem: (k: string) => void map.delete(k),
  } as unknown as Storage;
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...headers } });

/** What a promise fails with; null when it does not. */
const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

function client(development: boolean, answer: (path: string, auth: string) => Response, storage = memory()) {
  const calls: string[] = [];
  const fetch = async (url: URL, init: RequestInit) => {
    const path = url.pathname.replace('/base/', '') + url.search;
    calls.push(`${init.method ?? 'GET'} ${path}`);
    return answer(path, new Headers(init.headers).get('authorization') ?? '');
  };
  return { api: a.createApi({ base: new URL('http://x/base/'), development, storage, fetch }), calls, storage };
}

t.test('in development the page gets itself a token, once, and the next when it expired', async (t) => {
  let issued = 0;
  let valid = '';
  const { api, calls } = client(true, (path, auth) => {
    if (path === 'api/v1/auth/token') {
      valid = `token-${++issued}`;
      return json(200, { access_token: valid });
    }
    return auth === `Bearer ${valid}`
      ? json(200, { ok: true })
      : json(401, { code: 'RIDE_TOKEN_EXPIRED', title: 'old' });
  });
  await Promise.all([api.get('a'), api.get('b')]);
  t.equal(issued, 1);
  valid = 'something else';
  t.same(await api.get('c'), { ok: true });
  t.equal(issued, 2);
  t.same(calls.filter((call) => call.startsWith('POST')).length, 2);
});

t.test('otherwise it asks for one and keeps it for the tab', async (t) => {
  const answer = (_: string, auth: string) => (auth === 'Bearer mine' ? json(200, {}) : json(401, { detail: 'no' }));
  const { api, storage, calls } = client(false, answer);
  t.match(await failureOf(api.get('x')), { status: 401, fatal: true });
  t.equal(calls.length, 0, 'without a token nothing is sent');
  api.use('  mine ');
  t.same(await api.get('x'), {});
  t.same(await client(false, answer, storage).api.get('x'), {}, 'a reload finds it');
  api.forget();
  t.match(await failureOf(client(false, answer, storage).api.get('x')), { status: 401 });
});

t.test('failures say what the server said', async (t) => {
  const { api } = client(true, (path) =>
    path.startsWith('api/v1/auth')
      ? json(200, { access_token: 't' })
      : path === 'limited'
        ? json(429, { code: 'RIDE_RATE_LIMITED', title: 'Too many requests' }, { 'retry-after': '7' })
        : new Response('<html>', { status: path === 'ok-html' ? 200 : 502, statusText: 'Bad Gateway' }),
  );
  t.match(await failureOf(api.get('limited')), {
    status: 429,
    message: 'Too many requests',
    retryAfterMs: 7_000,
    fatal: false,
  });
  t.match(await failureOf(api.get('html')), { status: 502, message: 'Bad Gateway' });
  t.match(await failureOf(api.get('ok-html')), { status: 200, message: /not JSON/ });
});

/** A loader on a server made of a list of trips. */
function reader(list: ReturnType<typeof makeTrip>[], pageSize = 200) {
  const state = s.createState();
  const paths: string[] = [];
  const problems: string[] = [];
  const signIns: string[] = [];
  const world = { now: 1_000_000, failure: null as Error | null };
  const api = {
    async get(path: string) {
      paths.push(path);
      if (world.failure) throw world.failure;
      const url = new URL(path, 'http://x/');
      const one = /^\/api\/v1\/trips\/(.+)$/.exec(url.pathname);
      if (one) {
        const found = list.find((trip) => trip.id === decodeURIComponent(one[1]!));
        if (!found) throw new a.ApiError(404, 'RIDE_NOT_FOUND', 'gone');
        return found;
      }
      if (url.pathname === '/admin/stats') return { trips: { completed: 5 } };
      const of = list.filter((trip) => trip.status === url.searchParams.get('status'));
      const from = Number(url.searchParams.get('page_token') ?? 0);
      const items = of.slice(from, from + pageSize);
      return { items, ...(from + pageSize < of.length ? { next_page_token: String(from + pageSize) } : {}) };
    },
  };
  const onProblem = (text: string) => problems.push(text);
  const onSignIn = (text: string) => signIns.push(text);
  const loader = l.createLoader({ api, city: 'x', state, onProblem, onSignIn, now: () => world.now });
  return { state, loader, paths, problems, signIns, world };
}

const many = (n: number, status: string) => Array.from({ length: n }, () => makeTrip({ status, event_seq: 1 }));

/** Tells the page of trips by events only. */
function tell(state: object, list: ReturnType<typeof makeTrip>[]): void {
  for (const trip of list) {
    const rest = { version: 1, driverId: '', actorId: '', riderId: '', reason: '', atMs: 1 };
    tr.applyTripEvent(state, { tripId: trip.id, seq: 1, type: 'requested', status: trip.status, ...rest }, 1);
  }
}

t.test('a snapshot reads every page of every open status, and forgets what is gone', async (t) => {
  const { state, loader } = reader(
    [...many(250, 'requested'), ...many(3, 'in_progress'), ...many(4, 'completed')],
    100,
  );
  tr.applyTrip(state, { id: 'gone', status: 'assigned', seq: 1, pickup: null, dropoff: null, updatedAt: 1 }, 1);
  t.ok(await loader.snapshot());
  t.equal(state.trips.size, 253);
  t.equal(state.truncated, false);
});

t.test('more trips than it reads: it says so and forgets nothing', async (t) => {
  const { state, loader, paths } = reader(many(30, 'requested'), 2);
  tr.applyTrip(state, { id: 'kept', status: 'assigned', seq: 1, pickup: null, dropoff: null, updatedAt: 1 }, 1);
  t.ok(await loader.snapshot());
  t.equal(state.truncated, true);
  t.ok(state.trips.has('kept'));
  t.equal(paths.length, 14, 'ten pages of requested and one of each other status');
});

t.test('few unknown trips are read one by one, many by pages', async (t) => {
  const few = many(2, 'requested');
  const f = reader(few);
  tell(f.state, few);
  await f.loader.resolve();
  t.equal(f.state.unresolved.size, 0);
  t.same(
    f.paths,
    few.map((trip) => `api/v1/trips/${trip.id}`),
  );

  const lot = many(50, 'requested');
  const r = reader(lot);
  tell(r.state, lot);
  t.equal(r.state.unresolved.size, 50);
  await r.loader.resolve();
  t.equal(r.state.unresolved.size, 0);
  t.equal(r.paths.length, 1, 'one page for all');
  await r.loader.resolve();
  t.equal(r.paths.length, 1, 'and nothing when nothing is unknown');
});

t.test('a trip that cannot be read any more leaves the map', async (t) => {
  const { state, loader } = reader([]);
  tell(state, many(1, 'requested'));
  await loader.resolve();
  t.equal(state.trips.size, 0);
});

t.test('a failure is shown, waited out and taken back', async (t) => {
  const r = reader(many(1, 'requested'));
  r.world.failure = new a.ApiError(429, 'RIDE_RATE_LIMITED', 'Too many requests', 5_000);
  t.notOk(await r.loader.snapshot());
  t.match(r.problems.at(-1), /Too many requests/);
  const asked = r.paths.length;
  r.world.now += 4_999;
  t.notOk(await r.loader.snapshot());
  t.equal(r.paths.length, asked, 'the server is left alone');
  r.world.now += 2;
  r.world.failure = null;
  t.ok(await r.loader.snapshot());
  t.equal(r.problems.at(-1), '');
  r.world.failure = new a.ApiError(401, 'RIDE_UNAUTHENTICATED', 'no');
  t.notOk(await r.loader.stats());
  t.same(r.signIns, ['no']);
});

t.test('totals are taken over', async (t) => {
  const { state, loader } = reader([]);
  t.ok(await loader.stats());
  t.equal(state.closed.completed, 5);
});
