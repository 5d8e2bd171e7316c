/** Certificates that are renewed while the server runs, against a peer that asks for them as a broker does. */
import { once } from 'node:events';
import { copyFile, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import t from 'tap';
import { baseOptions } from '../../../src/adapters/kafka/connection.ts';
import { openTls } from '../../../src/adapters/kafka/tls.ts';
import { quiet } from '../../realtime/node.ts';
import { makeCertificates } from '../../servers/certificates.ts';

t.test('new connections go by the files as they are; what cannot be used leaves what there was', async (t) => {
  const hosts = 'DNS:localhost,IP:127.0.0.1';
  const file = await makeCertificates(t, { server: hosts, first: hosts, second: hosts });
  const [ca, cert, key] = [file('ca.crt'), file('client.crt'), file('client.key')];
  /** As who renews certificates does it: one file after the other. */
  const renew = async (name: string, kinds = ['crt', 'key']) => {
    for (const kind of kinds) await copyFile(file(`${name}.${kind}`), file(`client.${kind}`));
  };
  const pems = {
    ca: [await readFile(ca)],
    cert: await readFile(file('server.crt')),
    key: await readFile(file('server.key')),
  };
  const server = createServer({ ...pems, requestCert: true, rejectUnauthorized: true });
  const peers: string[] = [];
  server.on('secureConnection', (socket: TLSSocket) => {
    peers.push(String(socket.getPeerCertificate().subject.CN));
    socket.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;

  await renew('first');
  const warnings: unknown[] = [];
  const log = { ...quiet, warn: (facts: unknown) => void warnings.push(facts) };
  const options = baseOptions({
    brokers: [`127.0.0.1:${port}`],
    clientId: 'test',
    tls: openTls({ ca, cert, key }, log),
  });
  /** As the library does it: with the options of TLS as they are at that moment. @returns who the peer saw */
  async function seen(): Promise<string | undefined> {
    const socket = connect(port, '127.0.0.1', { ...(options.tls as object) });
    socket.resume();
    await once(socket, 'close');
    return peers.pop();
  }
  t.equal(await seen(), 'first');
  await renew('second', ['crt']);
  t.equal(await seen(), 'first', 'the key is not there yet');
  t.equal(await seen(), 'first');
  t.equal(warnings.length, 1, 'said once');
  await renew('second', ['key']);
  t.equal(await seen(), 'second');
  await rm(cert);
  t.equal(await seen(), 'second');
  await writeFile(cert, 'no certificate');
  t.equal(await seen(), 'second');
  await renew('first');
  t.equal(await seen(), 'first', 'and is believed again when it is right');
  t.throws(() => openTls({ ca: file('none') }, log), { code: 'RIDE_UNAVAILABLE', message: /none: ENOENT/ });
  // One that cannot even be looked at, as in a folder without the right to enter it.
  const hidden = file('n'.repeat(300));
  t.throws(() => openTls({ ca: hidden }, log), { code: 'RIDE_UNAVAILABLE', message: /ENAMETOOLONG/ });
  const files = { ca, cert, key };
  const contextNow = openTls(files, log);
  const context = contextNow();
  files.cert = hidden;
  t.equal(contextNow(), context, 'what there was before goes on');
  files.cert = cert;
  const good = await readFile(cert);
  for (const content of [Buffer.alloc(good.length), good]) {
    await writeFile(cert, content);
    await utimes(cert, 1_700_000_000, 1_700_000_000);
    t.equal(
      contextNow() === context,
      content !== good,
      'what could not be used is read again, though nothing tells that it changed',
    );
  }
});
t.end();
