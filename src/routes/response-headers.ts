/** What answers say in their headers, for the API's document. What every answer says is in src/plugins/openapi.ts. */

/** By name as it is written; fields of HTTP are the same in any case. */
const HEADERS = {
  ETag: { type: 'string', description: 'What is answered, for If-Match or If-None-Match: its version, in quotes' },
  Location: { type: 'string', description: 'The path of what was made' },
  'Retry-After': { type: 'integer', minimum: 1, description: 'After so many seconds it may be tried again' },
  'Topic-Position': {
    type: 'string',
    description: 'Where the topic of the trip or booking was before it was read, for `since` or Last-Event-ID',
  },
} as const;

/** The schema of an answer that is sent with these headers. */
export const sends = <S extends object>(schema: S, ...names: (keyof typeof HEADERS)[]): S => ({
  ...schema,
  headers: Object.fromEntries(names.map((name) => [name, HEADERS[name]])),
});
