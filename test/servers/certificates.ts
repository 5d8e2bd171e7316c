/** A certificate authority for one test and certificates of it, made by openssl. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestScope } from './process.ts';

const NEW_KEY = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const run = promisify(execFile);

/**
 * Resolves the path of a file by its name: `ca.crt`, and for each of `names` its `.crt`, `.key`, and both in one, `.pem`.
 * @param names who it is for, with the hosts that it names: `{ server: 'DNS:localhost,IP:127.0.0.1' }`
 */
export async function makeCertificates(
  t: TestScope,
  names: Readonly<Record<string, string>>,
): Promise<(name: string) => string> {
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-tls-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): Promise<unknown> => run('openssl', args);
  const authority = ['-keyout', file('ca.key'), '-out', file('ca.crt')];
  await openssl(...NEW_KEY, '-x509', '-days', '1', '-subj', '/CN=test CA', ...authority);
  for (const [name, hosts] of Object.entries(names)) {
    const [key, request, certificate] = ['key', 'csr', 'crt'].map((kind) => file(`${name}.${kind}`)) as [
      string,
      string,
      string,
    ];
    await writeFile(file(`${name}.names`), `subjectAltName=${hosts}`);
    await openssl(...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', key, '-out', request);
    const sign = [
      '-CA',
      file('ca.crt'),
      '-CAkey',
      file('ca.key'),
      '-CAcreateserial',
      '-extfile',
      file(`${name}.names`),
    ];
    await openssl('x509', '-req', '-days', '1', '-in', request, ...sign, '-out', certificate);
    await writeFile(file(`${name}.pem`), (await readFile(key, 'utf8')) + (await readFile(certificate, 'utf8')));
  }
  return file;
}
