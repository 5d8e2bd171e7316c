/** The API's document: as the routes are, valid OpenAPI 3.1, and complete. */
import { readFile } from 'node:fs/promises';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import t from 'tap';
import { parse } from 'yaml';
import { openapiYaml } from '../../script/openapi.ts';
import { build } from '../helper.ts';
import { type Document, resolved } from './answers.ts';

const s = await build(t);
const document = s.server.app.swagger() as Document;

interface Operation {
  name: string;
  path: string;
  operation: Document;
}

const operations: Operation[] = Object.entries(document.paths as Document).flatMap(([path, methods]) =>
  Object.entries(methods as Document).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${path}`,
    path,
    operation,
  })),
);

t.test('openapi/openapi.yaml is what the routes say', async (t) => {
  const text = await readFile(new URL('../../openapi/openapi.yaml', import.meta.url), 'utf8');
  t.equal(text, openapiYaml(s.server.app), 'run script/contracts');
  t.same(parse(text), JSON.parse(JSON.stringify(document)));
});

t.test('it is valid OpenAPI 3.1, as others see it', async (t) => {
  const { valid, errors } = await new Validator().validate(JSON.parse(JSON.stringify(document)));
  t.ok(valid, JSON.stringify(errors));
  t.equal(document.openapi, '3.1.0');
  const broken = { ...JSON.parse(JSON.stringify(document)), paths: { trips: {} } };
  t.notOk((await new Validator().validate(broken)).valid, 'and the validator does see what is wrong');
});

t.test('every operation is described', async (t) => {
  const declared = new Set(document.tags.map((tag: { name: string }) => tag.name));
  const ids = operations.map(({ operation }) => operation.operationId);
  t.equal(new Set(ids).size, ids.length, 'each has an id of its own');
  for (const { name, operation } of operations) {
    t.match(operation.operationId, /^[a-z][A-Za-z]+$/, `${name}: operationId`);
    t.ok(operation.summary, `${name}: summary`);
    t.ok(operation.tags?.length === 1 && declared.has(operation.tags[0]), `${name}: one declared tag`);
    for (const [status, response] of Object.entries(operation.responses as Document)) {
      t.not(resolved(document, response).description, 'Default Response', `${name} ${status}: says what it is`);
    }
  }
});

const ajv = new Ajv2020({ strict: false });
ajv.addSchema({ $id: 'openapi', ...document }, 'openapi', false, false);

const validators = new Map<string, ValidateFunction>();

/** What is wrong with an example, or null. */
function faultOf(schema: Document, example: unknown): string | null {
  const text = JSON.stringify(schema).replaceAll('"#/components', '"openapi#/components');
  const validate = validators.get(text) ?? ajv.compile(JSON.parse(text));
  validators.set(text, validate);
  return validate(example) ? null : ajv.errorsText(validate.errors);
}

t.test('bodies have examples, and the examples are good', async (t) => {
  const optional: string[] = [];
  for (const { name, operation } of operations) {
    const media = operation.requestBody?.content?.['application/json'];
    if (!media) continue;
    const examples = media.example === undefined ? Object.values(media.examples ?? {}) : [{ value: media.example }];
    if (examples.length === 0) optional.push(operation.operationId);
    for (const { value } of examples as { value: unknown }[]) {
      t.equal(faultOf(media.schema, value), null, name);
    }
  }
  const empty = ['acceptOffer', 'arriveTrip', 'boardBooking', 'completeTrip', 'missBooking', 'startTrip'];
  empty.push('arriveDeparture', 'completeDeparture', 'retryPayment', 'startDeparture');
  t.same(optional.sort(), empty.sort(), 'only what takes {} has none');
});

t.test('parameters have examples, and the examples are good', async (t) => {
  let count = 0;
  for (const { name, operation } of operations) {
    for (const parameter of operation.parameters ?? []) {
      count++;
      t.not(parameter.example, undefined, `${name} ${parameter.name}: has an example`);
      t.equal(faultOf(parameter.schema, parameter.example), null, `${name} ${parameter.name}`);
    }
  }
  t.ok(count > 150, `of ${count} parameters`);
  const { parameters } = document.paths['/api/v1/drivers/nearby'].get;
  const { schema } = parameters.find((one: Document) => one.name === 'lat');
  t.match(faultOf(schema, 91), /must be <= 90/);
});

t.test('every call that changes something takes an Idempotency-Key', async (t) => {
  const changing = operations.filter(({ name }) => !/^GET |\/auth\/token$/.test(name));
  t.ok(changing.length > 25, `${changing.length} operations`);
  for (const { name, operation } of changing) {
    const header = operation.parameters?.find((one: Document) => one.name === 'idempotency-key');
    t.hasStrict(header, { in: 'header', required: false, schema: { maxLength: 128 } }, name);
    t.ok(operation.responses['422'] && operation.responses['409'], `${name}: documents its refusals`);
  }
});

t.test('answers have examples, and the examples are good', async (t) => {
  for (const { name, operation } of operations) {
    for (const [status, response] of Object.entries(operation.responses as Document)) {
      for (const [type, media] of Object.entries((resolved(document, response).content ?? {}) as Document)) {
        if (type === 'text/event-stream') continue;
        const examples = Object.values((media.examples ?? {}) as Document).map((one) => resolved(document, one).value);
        t.ok(examples.length > 0, `${name} ${status}: has an example`);
        for (const example of examples) {
          t.equal(faultOf(media.schema, example), null, `${name} ${status}`);
          if (type === 'application/problem+json')
            t.equal(example.status, Number(status), `${name} ${status}: of its own`);
        }
      }
    }
  }
  const { schema } = document.paths['/api/v1/trips/{trip_id}'].get.responses['200'].content['application/json'];
  t.match(faultOf(schema, { ...document.components.examples.Trip.value, version: 'one' }), /must be integer/);
});

t.test('every operation documents its refusals', async (t) => {
  const PROBLEM = { $ref: '#/components/schemas/Problem' };
  for (const { name, path, operation } of operations) {
    const { responses, parameters = [], requestBody, security } = operation;
    const isProbe = /^\/\w+z$/.test(path);
    for (const [status, response] of Object.entries(responses as Document)) {
      if (Number(status) < 400 || isProbe) continue;
      const { content, headers } = resolved(document, response);
      t.same(Object.keys(content), ['application/problem+json'], `${name} ${status}: a problem document`);
      t.same(content['application/problem+json'].schema, PROBLEM, `${name} ${status}: the one there is`);
      if (status === '429' || status === '503')
        t.ok(headers['Retry-After'], `${name} ${status}: says when to try again`);
    }
    const needs = isProbe ? [] : [429, 500];
    if (parameters.length > 0 || requestBody) needs.push(400);
    if (requestBody) needs.push(413, 415);
    if (security) needs.push(401, 503);
    for (const status of needs) t.ok(responses[status], `${name}: documents ${status}`);
    const isOpen = isProbe || path === '/api/v1/auth/token';
    t.equal(security === undefined, isOpen, `${name}: ${isOpen ? 'open' : 'signed in'}`);
  }
});

t.end();
