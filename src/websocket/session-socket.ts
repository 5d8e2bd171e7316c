/** What `ws` makes of a connection; it knows its session, so that all sessions share the functions that listen to theirs. */
import { type RawData, WebSocket } from 'ws';
import type { Connection } from '../realtime/connection.ts';

/** 1000 and no code at all (RFC 6455 section 7.4.1) say that the client is done; 1001, of a page that goes away, does not. */
const FAREWELLS = new Set([1000, 1005]);

export class SessionSocket extends WebSocket {
  connection: Connection | null = null;

  /** Hands over what comes to `connection`, and its end. */
  serve(connection: Connection): void {
    this.connection = connection;
    this.on('message', onMessage);
    this.on('close', onClose);
  }

  /** Takes the place of whoever listened for errors; without a listener one would end the process. */
  takeErrors(): void {
    this.removeAllListeners('error');
    this.on('error', onError);
  }
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  const { connection } = this as SessionSocket;
  if (isBinary) connection?.binary(data as Buffer);
  else connection?.text(data as Buffer);
}

function onClose(this: WebSocket, code: number): void {
  const { connection } = this as SessionSocket;
  if (FAREWELLS.has(code)) connection?.left();
  else connection?.gone();
}

/** `ws` closes by itself with the fitting code (1002, 1007, 1009); the session ends with the close. */
function onError(this: WebSocket): void {
  (this as SessionSocket).connection?.gone();
}
