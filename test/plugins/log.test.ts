/** Logs of the real program at its most talkative: everything can be traced by its correlation id, and no secret is in them. */
import t from 'tap';
import { connect, openGrpc, openWebSocket } from '../clients/peer.ts';
import { member, north, somewhere } from '../scene.ts';
import { startProgram } from '../servers/program.ts';
import { until } from '../until.ts';

const SECRET = 'a-secret-of-the-tests-that-is-long-enough';
const s = await startProgram(t, { LOG_LEVEL: 'trace', JWT_SECRET: SECRET, NODE_ID: 'chatty' });

t.test('every answer names its request: the caller’s id where it is fit, one of the server’s where not', async (t) => {
  const ask = async (id: string | undefined, path = '/api/v1/nothing') =>
    s.rest('GET', path, undefined, undefined, id === undefined ? {} : { 'x-correlation-id': id });
  const own = await ask('trace-1:a.b_c');
  t.equal(own.headers.get('x-correlation-id'), 'trace-1:a.b_c');
  t.equal(own.body.corr_id, 'trace-1:a.b_c', 'in the problem document too');
  for (const unfit of [undefined, '', 'x'.repeat(65), 'two words', 'a"b', 'ä']) {
    const given = unfit === 'ä' ? Buffer.from(unfit).toString('latin1') : unfit;
    const answer = await ask(given);
    t.match(answer.body.corr_id, /^[0-9a-f]{32}$/, `${unfit}: a new one`);
    t.equal(answer.headers.get('x-correlation-id'), answer.body.corr_id);
  }
  const many = await Promise.all(Array.from({ length: 150 }, async () => (await ask(undefined)).body.corr_id));
  t.equal(new Set(many).size, many.length, 'each its own');
  t.equal((await ask('alive-1', '/livez')).headers.get('x-correlation-id'), 'alive-1', 'on what succeeds as well');
  t.equal((await ask('bad-1', '/api/v1/trips')).body.corr_id, 'bad-1', 'and where sign-in fails');
  const { body } = await s.rest('POST', '/api/v1/auth/token', undefined, '{', { 'x-correlation-id': 'broken-1' });
  t.hasStrict(body, { code: 'RIDE_MALFORMED', corr_id: 'broken-1' }, 'and where nothing can be read');
});

t.test('tokens and secrets are in no line', async (t) => {
  const rider = await member(s, 'rider');
  const bad = `${rider.token.slice(0, -4)}evil`;
  const tokens = [rider.token, bad];
  for (const token of tokens) {
    await s.rest('GET', '/api/v1/trips', token, undefined, { 'x-correlation-id': `header-${tokens.indexOf(token)}` });
    await s.rest('GET', `/api/v1/trips?access_token=${token}`, undefined, undefined, { 'x-correlation-id': 'query' });
    await s.rest('GET', `/nowhere?access_token=${token}`);
    await s.rest('POST', '/api/v1/auth/token', undefined, { role: 'rider', access_token: token });
    await openGrpc(s.at, bad).ended;
    for (const options of [
      { path: `/ws?access_token=${token}` },
      { protocols: ['ride.v1.json', `bearer.${token}`] },
      { path: `/ws/admin?access_token=${token}` },
      { path: `/ws/none?access_token=${token}` },
    ])
      await openWebSocket(s.at, 'websocket-json', undefined, options).then(
        (peer) => peer.cut(),
        () => {},
      );
    const abort = new AbortController();
    const stream = `http://${s.at.http}/api/v1/trips/none/events/stream?access_token=${token}`;
    await fetch(stream, { signal: abort.signal });
    abort.abort();
  }
  const peer = await connect(t, s.at, 'websocket-json', rider.token);
  await peer.ask({ chat_send: { trip_id: rider.token, message_id: 'm', text: 'x' } });
  const here = somewhere();
  await s.rest('POST', '/api/v1/trips', rider.token, { pickup: here, dropoff: north(here, 900) });
  await s.rest('GET', '/livez', undefined, undefined, { 'x-correlation-id': 'the-last' });
  await until(async () => (await s.log()).some((line) => line.corr_id === 'the-last'), 'the last line');

  const lines = await s.log();
  const text = JSON.stringify(lines);
  const signatures = tokens.map((token) => token.split('.')[2]!);
  for (const [name, secret] of [
    ['a token', rider.token],
    ['a refused token', bad],
    ['a signature', signatures[0]!],
    ['a refused signature', signatures[1]!],
    ['the claims', rider.token.split('.')[1]!],
    ['the secret', SECRET],
  ] as const)
    t.notOk(text.includes(secret), `${name} is in no line`);
  const ofQuery = lines.filter((line) => line.corr_id === 'query');
  t.ok(ofQuery.length > 0, 'the requests themselves are there');
  t.ok(
    ofQuery.some((line) => line.req?.path === '/api/v1/trips'),
    'by path, without the query',
  );
});

t.test('each line is JSON, says which node, and when it is about a request, which', async (t) => {
  await s.rest('GET', '/api/v1/trips', undefined, undefined, { 'x-correlation-id': 'trace-me' });
  const about = async () => (await s.log()).filter((line) => line.corr_id === 'trace-me');
  await until(async () => (await about()).length >= 3, 'the lines of one request');
  const lines = await s.log();
  for (const line of lines) {
    if (line.node_id !== 'chatty' || line.region !== 'test' || typeof line.time !== 'number' || !line.msg) {
      t.fail('a line lacks its node, region, time or message', { found: line });
    }
  }
  t.ok(lines.length > 10);
  t.same(
    (await about()).map((line) => line.msg),
    ['incoming request', 'request refused', 'request completed'],
  );
  const refused = (await about())[1];
  t.hasStrict(refused, { code: 'RIDE_UNAUTHENTICATED', field: 'authorization' });
});
t.end();
