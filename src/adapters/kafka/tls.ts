/**
 * TLS to the brokers. What is wrong with a file is said at the start, by its name, and not when the first event leaves. Certificates are
 * short-lived: a file that was replaced since is read again for the next connection.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import { RideError } from '../../errors.ts';
import type { Logger } from '../../ports/logger.ts';

/** PEM files. */
export interface TlsFiles {
  /** Authorities that certificates of brokers must come from; without it those that Node.js brings. */
  ca?: string | undefined;
  /** For brokers that ask who connects (mutual TLS): a certificate, and the private key of it. */
  cert?: string | undefined;
  key?: string | undefined;
}

/**
 * @returns what a connection that is made now goes by; while files that were replaced cannot be used, what there was before, which is logged
 * @throws RideError RIDE_UNAVAILABLE that names a file which cannot be read or used
 */
export function openTls(files: TlsFiles, log: Logger): () => SecureContext {
  let stamp = stampOf(files);
  let context = read(files);
  let unusable = '';
  return () => {
    // Taken before the files are read: what changes between the two is read again the next time.
    const now = stampOf(files);
    if (now === stamp) return context;
    try {
      context = read(files);
      stamp = now;
      log.info({}, 'TLS to Kafka: new connections go by the files as they are now');
    } catch (error) {
      // Read again for each connection, for it may not lie with the files; said once.
      const message = 'TLS to Kafka: a file was replaced and cannot be used; what there was before goes on';
      if (now !== unusable) log.warn({ err: error }, message);
      unusable = now;
    }
    return context;
  };
}

/** Tells whether a file was written or replaced since. What keeps one from being looked at is said when it is read. */
function stampOf({ ca, cert, key }: TlsFiles): string {
  const parts = [ca, cert, key].map((path) => {
    if (!path) return '';
    try {
      const { ino, size, mtimeMs } = statSync(path);
      return `${ino}.${size}.${mtimeMs}`;
    } catch (error) {
      return String(error);
    }
  });
  return parts.join();
}

function read(files: TlsFiles): SecureContext {
  const [ca, cert, key] = [files.ca, files.cert, files.key].map(
    (path) => path && attempt(path, () => readFileSync(path)),
  );
  // Alone an authority that is none would be passed over in silence, and no broker believed.
  if (ca) attempt(files.ca!, () => new X509Certificate(ca));
  return attempt([files.cert, files.key].filter(Boolean).join(', '), () => createSecureContext({ ca, cert, key }));
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RideError('RIDE_UNAVAILABLE', `TLS to Kafka: ${path}: ${why}`, { cause });
  }
}
