/**
 * script/conformance: the suite against any server, or against one of its own. One line a case, then a summary; ends with 1 when
 * a case failed.
 */
import { parseArgs } from 'node:util';
import { clientsOf, type TestScope } from '../../clients/clients.ts';
import { transports } from '../../clients/peer.ts';
import { standApart } from '../../scene.ts';
import type { Place } from './case.ts';
import { ownPlace, signToken } from './own-server.ts';
import { type Outcome, runProtocol } from './suite.ts';
import { USAGE } from './usage.ts';

const DAY_S = 86_400;

/** Tokens from the development route, of which an address may have so many a minute: beyond it everyone waits. */
function fromRoute(scope: TestScope, at: Place['at']): Place['token'] {
  const { rest } = clientsOf(scope, at);
  return async (role, userId, more = {}) => {
    for (;;) {
      const answer = await rest('POST', '/api/v1/auth/token', undefined, { role, user_id: userId, ...more });
      if (answer.status === 200) return answer.body.access_token;
      if (answer.status !== 429)
        throw new Error(`no token from the development route (${answer.status}): give --token-secret`);
      const waitMs = Number(answer.body.retry_after_ms);
      process.stderr.write(`waiting ${waitMs} ms for the limit of the token route\n`);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  };
}

function foreignPlace(
  scope: TestScope,
  url: string,
  { grpc, secret, alarms }: { grpc: string | undefined; secret: string | undefined; alarms: boolean },
): Place {
  const { host, hostname } = new URL(url);
  const at = { http: host, grpc: grpc ?? `${hostname}:7443` };
  const sign = secret === undefined ? null : (claims: object) => signToken(secret, claims);
  const exp = Math.floor(Date.now() / 1000) + DAY_S;
  return {
    ...clientsOf(scope, at),
    token: sign ? async (role, userId, more = {}) => sign({ sub: userId, role, exp, ...more }) : fromRoute(scope, at),
    sign,
    alarms,
    start: null,
  };
}

function lineOf({ section, title, transport, result, reason, error, tookMs }: Outcome): string {
  const mark = { ok: 'ok     ', failed: 'FAILED ', skipped: 'skipped' }[result];
  const why = reason ? ` (${reason})` : '';
  const fault = error === undefined ? '' : `\n        ${String(error).replaceAll('\n', '\n        ')}`;
  return `${mark} ${section} | ${title} [${transport}] ${Math.round(tookMs)} ms${why}${fault}\n`;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      grpc: { type: 'string' },
      'token-secret': { type: 'string' },
      alarms: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      over: { type: 'string', default: transports.join() },
      'at-once': { type: 'string', default: '4' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const hooks: (() => Promise<void> | void)[] = [];
  const scope: TestScope = { after: (hook) => void hooks.push(hook) };
  standApart();
  const place = values.url
    ? foreignPlace(scope, values.url, {
        grpc: values.grpc,
        secret: values['token-secret'],
        alarms: values.alarms,
      })
    : await ownPlace(scope);
  const startedAt = performance.now();
  const outcomes = await runProtocol(place, {
    atOnce: Number(values['at-once']),
    only: values.only,
    over: transports.filter((name) => values.over.split(',').includes(name)),
    onDone: (outcome) => void process.stdout.write(lineOf(outcome)),
  });
  for (const hook of hooks.reverse()) await hook();
  const count = (result: Outcome['result']): number => outcomes.filter((one) => one.result === result).length;
  const tookS = ((performance.now() - startedAt) / 1000).toFixed(1);
  const where = values.url ?? 'a server of its own';
  process.stdout.write(
    `\n${where}: ${count('ok')} passed, ${count('failed')} failed, ${count('skipped')} skipped in ${tookS} s\n`,
  );
  return count('failed') > 0 || count('ok') === 0 ? 1 : 0;
}

process.exitCode = await main();
