/**
 * Holds real answers against the API's document: the operation must be documented, so must the status and the content type, and
 * the body must match its schema, and so must the headers that tell a client what to do next.
 */
import { Ajv2020, type AnySchema, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { FastifyInstance } from 'fastify';
import type { Rest, TestServer } from '../helper.ts';

// biome-ignore lint/suspicious/noExplicitAny: the document of OpenAPI, read as it comes
export type Document = Record<string, any>;

interface Operation {
  /** `getTrip` */
  id: string;
  method: string;
  path: string;
  pattern: RegExp;
}

export interface Contract {
  operations: readonly Operation[];
  /** What is wrong with an answer, or null. Counts the operation's status as seen. */
  check(method: string, path: string, answer: Rest): string | null;
  /** Pairs `operationId status` that were checked. */
  seen: ReadonlySet<string>;
  /** Triples `operationId status header` of `TOLD` that came with them. */
  sent: ReadonlySet<string>;
}

/** Headers that an answer may have only where they are documented. */
export const TOLD = [
  'ETag',
  'Location',
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
  'Retry-After',
  'Topic-Position',
  'X-Correlation-Id',
];

const pointer = (part: string): string => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));

export function readContract(document: Document): Contract {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  (formats as unknown as (ajv: Ajv2020) => void)(ajv);
  ajv.addSchema({ $id: 'openapi', ...document } as AnySchema, 'openapi', false, false);
  const validators = new Map<string, ValidateFunction>();
  const seen = new Set<string>();
  const sent = new Set<string>();
  const operations: Operation[] = [];
  for (const [path, methods] of Object.entries(document.paths as Document)) {
    const pattern = new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`);
    for (const [method, { operationId }] of Object.entries(methods as Document)) {
      operations.push({ id: operationId, method: method.toUpperCase(), path, pattern });
    }
  }

  function validator(ref: string): ValidateFunction {
    const known = validators.get(ref) ?? ajv.compile({ $ref: ref });
    validators.set(ref, known);
    return known;
  }

  return {
    operations,
    seen,
    sent,
    check(method, path, { status, headers, body }) {
      const plain = path.split('?')[0]!;
      // The more literal path wins: /drivers/me before /drivers/{id}.
      const found = operations
        .filter((o) => o.method === method && o.pattern.test(plain))
        .sort((a, b) => a.path.split('{').length - b.path.split('{').length)[0];
      if (!found) return status === 404 || status === 405 ? null : `${method} ${plain} is not documented`;
      seen.add(`${found.id} ${status}`);
      const operation = document.paths[found.path][method.toLowerCase()];
      if (!operation.responses[status]) return `${found.id} does not document ${status}: ${JSON.stringify(body)}`;
      const response = resolved(document, operation.responses[status]);
      const told = TOLD.filter((name) => headers.has(name));
      for (const name of told) sent.add(`${found.id} ${status} ${name}`);
      const untold = told.filter((name) => response.headers?.[name] === undefined);
      if (untold.length > 0) return `${found.id} ${status} does not document ${untold}`;
      const content = response.content as Document | undefined;
      if (!content) return body === '' ? null : `${found.id} ${status} should have no body`;
      const type = (headers.get('content-type') ?? '').split(';')[0]!;
      if (!content[type]) return `${found.id} ${status} does not document ${type}`;
      const ref =
        operation.responses[status].$ref ??
        `#/${['paths', found.path, method.toLowerCase(), 'responses', String(status)].map(pointer).join('/')}`;
      const validate = validator(`openapi${ref}/content/${pointer(type)}/schema`);
      return validate(body) ? null : `${found.id} ${status}: ${ajv.errorsText(validate.errors)}`;
    },
  };
}

/** What a part of the document refers to, or is. */
export function resolved(document: Document, part: Document): Document {
  const { $ref } = part;
  if ($ref === undefined) return part;
  return $ref
    .slice('#/'.length)
    .split('/')
    .reduce((value: Document, key: string) => value[key], document);
}

/** `s.rest`, but an answer that breaks the contract rejects. */
export function checkedRest(s: TestServer): { rest: TestServer['rest']; contract: Contract } {
  const contract = readContract((s.server.app as FastifyInstance).swagger() as Document);
  return {
    contract,
    async rest(method, path, ...more) {
      const answer = await s.rest(method, path, ...more);
      const problem = contract.check(method, path, answer);
      if (problem) throw new Error(problem);
      return answer;
    },
  };
}
