/** Another system on Pulsar: reads a topic from its beginning over the reader endpoint of the WebSocket API. */
import WebSocket from 'ws';
import type { TestScope } from '../servers/process.ts';

export interface PulsarRead {
  key: string;
  properties: Record<string, string>;
  payload: Buffer;
}

/** Everything on the topic, as it comes. Rejects when the topic cannot be read. */
export async function pulsarReader(
  t: TestScope,
  { url, token }: { url: string; token: string },
  topic: string,
): Promise<PulsarRead[]> {
  const path = `/ws/v2/reader/persistent/public/default/${topic}?messageId=earliest`;
  const socket = new WebSocket(url + path, { headers: { authorization: `Bearer ${token}` } });
  const read: PulsarRead[] = [];
  socket.on('message', (data) => {
    const { messageId, key, properties, payload } = JSON.parse(data.toString());
    read.push({ key, properties, payload: Buffer.from(payload, 'base64') });
    socket.send(JSON.stringify({ messageId }));
  });
  const opened = Promise.withResolvers<void>();
  socket.once('open', opened.resolve);
  // Also when the server is killed, which is not this reader's matter.
  socket.on('error', opened.reject);
  t.after(() => socket.terminate());
  await opened.promise;
  return read;
}
