/** The gRPC port with TLS and with mutual TLS. The certificates are made here, by openssl. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ChannelCredentials, Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { decodeServer } from '../clients/peer.ts';
import { build } from '../helper.ts';

const run = promisify(execFile);
const METHOD = '/ride.v1.RideStreamService/Connect';

/** A CA, and a certificate of it for the server and one for a client; file names without ending. */
async function certificates(t: Test): Promise<(name: string) => string> {
  const folder = await mkdtemp(join(tmpdir(), 'ridestream-tls-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): Promise<unknown> => run('openssl', args);
  const newKey = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl(
    ...newKey,
    '-x509',
    '-days',
    '1',
    '-subj',
    '/CN=test CA',
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.crt'),
  );
  await writeFile(file('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1');
  for (const name of ['server', 'client']) {
    await openssl(...newKey, '-subj', `/CN=${name}`, '-keyout', file(`${name}.key`), '-out', file(`${name}.csr`));
    const sign = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial', '-extfile', file('names')];
    await openssl('x509', '-req', '-days', '1', '-in', file(`${name}.csr`), ...sign, '-out', file(`${name}.crt`));
  }
  return file;
}

/** The first message of a session, or why there is none. */
function welcome(address: string, token: string, how: ChannelCredentials): Promise<string> {
  const client = new Client(address, how, {
    'grpc.use_local_subchannel_pool': 1,
    // A name, as TLS wants one.
    'grpc.ssl_target_name_override': 'localhost',
  });
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  const call = client.makeBidiStreamRequest(METHOD, (bytes: Buffer) => bytes, decodeServer, metadata);
  return new Promise<string>((resolve) => {
    call.on('data', (message) => resolve(`welcome ${message.welcome?.user_id}`));
    call.on('error', (error: ServiceError) => resolve(`code ${error.code}`));
  }).finally(() => {
    call.on('error', () => {});
    call.cancel();
    client.close();
  });
}

t.test('TLS and mutual TLS', async (t) => {
  const file = await certificates(t);
  const [ca, key, cert] = await Promise.all(['ca.crt', 'client.key', 'client.crt'].map((name) => readFile(file(name))));
  const tls = { GRPC_TLS_CERT_FILE: file('server.crt'), GRPC_TLS_KEY_FILE: file('server.key') };

  await t.test('with a certificate, nobody comes in unencrypted', async (t) => {
    const s = await build(t, { env: tls });
    const token = await s.token('rider', 'rider-1');
    t.equal(await welcome(s.at.grpc, token, credentials.createSsl(ca)), 'welcome rider-1');
    t.equal(await welcome(s.at.grpc, token, credentials.createInsecure()), 'code 14');
  });

  await t.test('with a CA for clients, nobody comes in without a certificate of it', async (t) => {
    const s = await build(t, { env: { ...tls, GRPC_TLS_CLIENT_CA_FILE: file('ca.crt') } });
    const token = await s.token('rider', 'rider-1');
    t.equal(await welcome(s.at.grpc, token, credentials.createSsl(ca, key, cert)), 'welcome rider-1');
    t.equal(await welcome(s.at.grpc, token, credentials.createSsl(ca)), 'code 14');
  });
});
