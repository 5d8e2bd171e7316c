/** TLS to the brokers. What is wrong with a file is said at the start, by its name, and not when the first event leaves. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { RideError } from '../../errors.ts';

/** PEM files. */
export interface TlsFiles {
  /** Authorities that certificates of brokers must come from; without it those that Node.js brings. */
  ca?: string | undefined;
  /** For brokers that ask who connects (mutual TLS): a certificate, and the private key of it. */
  cert?: string | undefined;
  key?: string | undefined;
}

/** @throws RideError RIDE_UNAVAILABLE that names a file which cannot be read or used */
export async function openTls(files: TlsFiles): Promise<SecureContext> {
  const [ca, cert, key] = await Promise.all([files.ca, files.cert, files.key].map((path) => path && read(path)));
  // Alone an authority that is none would be passed over in silence, and no broker believed.
  if (ca) attempt(files.ca!, () => new X509Certificate(ca));
  return attempt([files.cert, files.key].filter(Boolean).join(', '), () => createSecureContext({ ca, cert, key }));
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw unusable(path, cause);
  }
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw unusable(path, cause);
  }
}

const unusable = (path: string, cause: unknown): RideError =>
  new RideError(
    'RIDE_UNAVAILABLE',
    `TLS to Kafka: ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
    {
      cause,
    },
  );
