/** A WebSocket connection in the JSON subprotocol, as any rider's app would open it. */
import { WebSocket } from 'ws';
import type { Envelope, Link, LinkEvents } from './link.ts';

/** `url` like ws://127.0.0.1:8080/ws/client. */
export function openWsLink(url: string, token: string, events: LinkEvents): Link {
  const socket = new WebSocket(url, 'ride.v1.json', {
    headers: { authorization: `Bearer ${token}` },
    handshakeTimeout: 10_000,
    perMessageDeflate: false,
  });
  let failure = '';
  socket.on('message', (data) => events.onMessage(JSON.parse(data.toString()) as Envelope));
  // `close` follows every `error`.
  socket.on('error', (error) => {
    failure = error.message;
  });
  socket.on('close', (code, reason) => events.onEnd(failure || `closed with ${code} ${reason.toString()}`));
  return {
    send: (envelope) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(envelope));
    },
    // A peer that is gone does not answer a closing handshake.
    close: () => (socket.readyState === WebSocket.OPEN ? socket.close(1000) : socket.terminate()),
  };
}
