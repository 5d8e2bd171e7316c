/** Writes docs/settings.md from the table in src/config.ts. */
import { writeFile } from 'node:fs/promises';
import { settings } from '../src/config.ts';

const HEAD = `# Settings

Written by \`script/contracts\` from [src/config.ts](../src/config.ts); do not edit.

Every setting is an environment variable. A value that breaks its rule stops the start with exit code 1 before anything listens; the
message names the variable, the value and the rule, and all that is wrong is said at once. An empty value counts as none.

Durations are written \`250ms\`, \`5s\`, \`10m\`, \`24h\`, \`7d\`. *Domain time* runs faster than the wall clock when CLOCK_SPEED says so.

| variable | default | must be | what it does |
|---|---|---|---|
`;

const TAIL = `
## Rules between settings

- \`HEARTBEAT_TIMEOUT\` must be longer than \`HEARTBEAT_INTERVAL\`.
- \`GRPC_TLS_CERT_FILE\` and \`GRPC_TLS_KEY_FILE\` come together; \`GRPC_TLS_CLIENT_CA_FILE\` comes with them.
- \`ROUTING_ENGINE\` other than none comes with \`ROUTING_URL\`.
- \`PERSISTENCE_SINK\` \`kafka\` takes \`KAFKA_BROKERS\`, \`pulsar\` takes \`PULSAR_URL\`; \`KAFKA_SASL_USERNAME\` and \`KAFKA_SASL_PASSWORD\` come together,
  \`KAFKA_TLS_CERT_FILE\` and \`KAFKA_TLS_KEY_FILE\` too; the files of TLS come with \`KAFKA_TLS\` on.
- In production mode \`JWT_SECRET\`, and \`QUOTE_SECRET\` and \`QUOTE_SECRET_PREVIOUS\` where they are given, must be secrets of at least 32 characters, and \`CLOCK_SPEED\` and \`CLOCK_START\` must be left alone.
- In production mode \`PAYMENTS_PROVIDER\` must not be \`development\`.
- Processes on one \`REDIS_URL\` whose clock is changed must share \`CLOCK_ANCHOR\`.
- In development mode a listener without a host binds to 127.0.0.1, in production to all addresses.
`;

/** A cell of a Markdown table. */
const cell = (text: string): string => text.replaceAll('|', '\\|');

export function settingsDoc(): string {
  const rows = Object.values(settings).map(({ name, kind, doc, ...rest }) => {
    const value = 'default' in rest ? `\`${rest.default}\`` : '';
    return `| \`${name}\` | ${value} | ${cell(kind.rule)} | ${cell(doc)} |\n`;
  });
  return `${HEAD}${rows.join('')}${TAIL}`;
}

if (import.meta.main) await writeFile(new URL('../docs/settings.md', import.meta.url), settingsDoc());
