/** The gRPC port with TLS and with mutual TLS. */
import { readFile } from 'node:fs/promises';
import { type ChannelCredentials, Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import t from 'tap';
import { decodeServer } from '../clients/peer.ts';
import { build } from '../helper.ts';
import { makeCertificates } from '../servers/certificates.ts';

const METHOD = '/ride.v1.RideStreamService/Connect';

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
  const hosts = 'DNS:localhost,IP:127.0.0.1';
  const file = await makeCertificates(t, { server: hosts, client: hosts });
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
