/** Ports of this machine that several processes are to share. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type ListenOptions, type Server } from 'node:net';

export interface Address {
  host: string;
  port: number;
}

async function listen(options: ListenOptions): Promise<Server> {
  const server = createServer();
  server.listen(options);
  await once(server, 'listening');
  return server;
}

async function close(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}

/** Whether this system lets several processes listen on one port and spreads connections over them (not macOS, not Windows). */
export async function canSharePorts(host: string): Promise<boolean> {
  try {
    await close(await listen({ host, port: 0, reusePort: true }));
    return true;
  } catch (error) {
    if (['ENOTSUP', 'ENOSYS', 'EINVAL', 'ENOPROTOOPT'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return false;
    throw error;
  }
}

/**
 * The same addresses with real ports for 0, each of them free a moment ago: processes that share a port would not notice that
 * strangers share it too.
 * @throws Error EADDRINUSE when somebody listens on one
 */
export async function freeAddresses<T extends readonly Address[]>(addresses: T): Promise<{ [K in keyof T]: Address }> {
  const servers: Server[] = [];
  try {
    for (const { host, port } of addresses) servers.push(await listen({ host, port, exclusive: true }));
    return addresses.map(({ host }, index) => ({
      host,
      port: (servers[index]!.address() as AddressInfo).port,
    })) as { [K in keyof T]: Address };
  } finally {
    await Promise.all(servers.map(close));
  }
}
