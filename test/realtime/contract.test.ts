/** The messages, the proto file, the generated code and the protocol's page say the same. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create, type DescMessage, fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import t from 'tap';
import { roles } from '../../src/domain/roles.ts';
import { errorCodes } from '../../src/errors.ts';
import { ClientEnvelopeSchema, ServerEnvelopeSchema } from '../../src/realtime/generated/ride/v1/ride_pb.js';
import { clientMessages, deliveryOf, serverMessages } from '../../src/realtime/messages/index.ts';
import { BINARY_PROTOCOL, JSON_PROTOCOL } from '../../src/websocket/upgrades.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const payloads = (envelope: DescMessage) => envelope.oneofs[0]!.fields;

/** What the server says to one session by itself, without a definition of delivery. */
const ANSWERS = ['welcome', 'ack', 'error', 'go_away', 'subscribed'];

t.test('client messages: every case of the envelope has a definition and the reverse', async (t) => {
  const cases = payloads(ClientEnvelopeSchema).map((field) => field.localName);
  t.same(Object.keys(clientMessages).sort(), [...cases].sort());
  for (const [name, message] of Object.entries(clientMessages)) {
    const field = payloads(ClientEnvelopeSchema).find((one) => one.localName === name)!;
    t.equal(message.kind, field.name, `${name}: its kind is the field's name`);
    t.equal(message.case, field.localName);
    t.match(message.doc, /^[A-Z].+\.$/, `${name}: documented in sentences`);
    t.ok(message.roles.length > 0 && message.roles.every((role) => roles.includes(role)), `${name}: for known roles`);
    t.ok(['general', 'location', 'chat', 'none'].includes(message.rate), `${name}: a known rate class`);
    const json = { corr_id: 'c', [message.kind]: message.example } as JsonValue;
    const envelope = fromJson(ClientEnvelopeSchema, json);
    t.equal(envelope.payload.case, name, `${name}: its example is one`);
    t.same(toJson(ClientEnvelopeSchema, envelope, { useProtoFieldName: true }), json, `${name}: and complete`);
    t.ok(Object.keys(message.example).length > 0, `${name}: and says something`);
  }
});

t.test('server messages: every case of the envelope is sent by a definition or an answer', async (t) => {
  const names = payloads(ServerEnvelopeSchema).map((field) => field.name);
  t.same([...Object.keys(serverMessages), ...ANSWERS].sort(), [...names].sort());
  for (const [kind, message] of Object.entries(serverMessages)) {
    t.equal(message.kind, kind);
    t.ok(['latest', 'ordered', 'ephemeral'].includes(message.delivery), `${kind}: a known delivery class`);
    t.equal(deliveryOf(kind), message.delivery);
    t.match(message.doc, /^[A-Z].+\.$/, `${kind}: documented in sentences`);
  }
  for (const kind of ANSWERS) t.equal(deliveryOf(kind), 'reply', `${kind} is never dropped`);
});

t.test('scalars whose zero means something can be told from none', async (t) => {
  const envelopes = [ClientEnvelopeSchema, ServerEnvelopeSchema] as DescMessage[];
  const seen = new Set<string>();
  const visit = (message: DescMessage): void => {
    if (seen.has(message.typeName)) return;
    seen.add(message.typeName);
    for (const field of message.fields) {
      if (field.message) visit(field.message);
      if (field.fieldKind !== 'scalar' || !/^(lat|lng|speed_mps|heading_deg|accuracy_m)$/.test(field.name)) continue;
      // What the server always fills in needs no presence.
      const always = ['ride.v1.Location', 'ride.v1.ZonePosition'].includes(message.typeName) && /^l/.test(field.name);
      t.ok(always || field.proto.proto3Optional, `${message.typeName}.${field.name} is optional`);
    }
  };
  envelopes.forEach(visit);
  t.ok(seen.size > 20, 'every message was looked at');
  t.equal(create(ClientEnvelopeSchema).payload.case, undefined);
});

/** Runs a program of ours; resolves its output and exit code. */
async function run(command: string, args: string[]): Promise<{ code: number; output: string }> {
  const child = spawn(join(ROOT, 'node_modules/.bin', command), args, { cwd: ROOT });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const [code] = await once(child, 'close');
  return { code, output };
}

t.test('the generated code is what buf makes of the proto now', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-buf-'));
  t.after(() => rm(folder, { recursive: true }));
  const { code, output } = await run('buf', ['generate', '-o', folder]);
  t.equal(code, 0, output);
  const made = join(folder, 'src/realtime/generated/ride/v1');
  const kept = join(ROOT, 'src/realtime/generated/ride/v1');
  t.same((await readdir(made)).sort(), (await readdir(kept)).sort());
  for (const name of await readdir(made)) {
    const fresh = await readFile(join(made, name), 'utf8');
    t.equal(await readFile(join(kept, name), 'utf8'), fresh, `${name}: run script/contracts`);
  }
});

t.test('the proto file is clean by buf’s rules', async (t) => {
  t.same(await run('buf', ['lint']), { code: 0, output: '' });
});

t.test('docs/protocol.md', async (t) => {
  const page = await readFile(join(ROOT, 'docs/protocol.md'), 'utf8');
  const rowOf = (name: string): string =>
    page.split('\n').find((line) => line.startsWith('|') && line.includes(name)) ?? '';

  t.test('names every message, with its senders and limits or its delivery class', async (t) => {
    for (const { kind, rate, roles: from } of Object.values(clientMessages)) {
      const row = rowOf(`\`${kind}\` |`);
      t.match(row, `| ${rate} |`, `${kind}: limit`);
      if (from.length < roles.length)
        for (const role of from) t.match(row.split('|')[2], role, `${kind}: from ${role}`);
    }
    for (const { kind, delivery } of Object.values(serverMessages)) {
      t.match(rowOf(`| \`${kind}\` |`), `| ${delivery} |`, `${kind}: class`);
    }
    for (const kind of ANSWERS) t.match(page, `\`${kind}\``, kind);
  });

  t.test('names no message that is none', async (t) => {
    const known = new Set([...payloads(ClientEnvelopeSchema), ...payloads(ServerEnvelopeSchema)].map((f) => f.name));
    const tables = page.slice(page.indexOf('### What a client sends'), page.indexOf('## Topics'));
    for (const [, names] of tables.matchAll(/^\| ((?:`\w+`(?:, )?)+) \|/gm)) {
      for (const [, name] of names!.matchAll(/`(\w+)`/g)) t.ok(known.has(name!), `${name} is in the contract`);
    }
  });

  t.test('names every field of both envelopes', async (t) => {
    for (const { fields } of [ClientEnvelopeSchema, ServerEnvelopeSchema]) {
      for (const field of fields.filter((one) => !one.oneof)) t.match(page, `\`${field.name}\``, field.name);
    }
  });

  t.test('names every topic, close code, namespace, subprotocol and class', async (t) => {
    for (const topic of [
      'trip:<id>',
      'order:<id>',
      'booking:<id>',
      'user:<id>',
      'presence:<user id>',
      'zone:<h3>',
      'city:<city>',
      'sos:alerts',
    ])
      t.match(page, `\`${topic}\``, topic);
    for (const [code, spec] of Object.entries(errorCodes)) {
      if ('close' in spec && spec.close !== undefined) t.match(rowOf(`| ${spec.close} |`), `\`${code}\``, code);
    }
    for (const path of ['/ws', '/ws/client', '/ws/porter', '/ws/driver', '/ws/admin'])
      t.match(page, `\`${path}\``, path);
    for (const protocol of [JSON_PROTOCOL, BINARY_PROTOCOL]) t.match(page, `\`${protocol}\``, protocol);
    for (const delivery of ['ordered', 'latest', 'ephemeral']) t.match(page, `- **${delivery}**`, delivery);
    for (const [, code] of page.matchAll(/`(RIDE_[A-Z_]+)`/g)) t.ok(code! in errorCodes, `${code} is a code`);
  });

  t.test('every line of its example is a message of the contract', async (t) => {
    const lines = [...page.matchAll(/^([→←]) (\{.*\})$/gm)];
    t.ok(lines.length > 10);
    for (const [, direction, text] of lines) {
      const schema: DescMessage = direction === '→' ? ClientEnvelopeSchema : ServerEnvelopeSchema;
      const json = JSON.parse(text!) as JsonValue;
      const envelope = fromJson(schema, json);
      t.same(toJson(schema, envelope, { useProtoFieldName: true }), json, text!.slice(0, 60));
    }
  });

  t.test('what it says of settings is so', async (t) => {
    const settings = await readFile(join(ROOT, 'docs/settings.md'), 'utf8');
    for (const [, name] of page.matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`/g)) {
      if (
        /^(RIDE|STATUS)_/.test(name!) ||
        /^(DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|PERMISSION_DENIED|ENHANCE_YOUR_CALM)$/.test(name!)
      )
        continue;
      t.match(settings, `| \`${name}\` |`, name!);
    }
  });
});
