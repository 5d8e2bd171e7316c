/**
 * The thread that owns the SQLite file. Group commit: all writes that have arrived since the last turn share one
 * transaction and so one fsync, and are answered only after COMMIT. Reads go first, in one snapshot of what is
 * committed; they never wait for a lock that another process holds on writing.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Database } from './database.ts';
import {
  asFailure,
  type Failure,
  type Inbound,
  isBusy,
  isOfStatement,
  type PendingRequest,
  type ReadRequest,
  type WorkerSettings,
  type WriteRequest,
} from './protocol.ts';

/** Writes of one transaction; bounds how long a read can wait behind it. */
const MAX_GROUP = 256;
/** Pause before another try for a lock that another process holds, milliseconds: this and up to as much again. */
const RETRY_MS = 1;
/** Longest wait of a write that nobody waits for, for others with which it may share a transaction, milliseconds. */
const LATE_MS = 20;

const port = parentPort!;
const settings = workerData as WorkerSettings;

interface Waiting {
  request: WriteRequest;
  /** From this on it is to be written, also if by itself; milliseconds of performance.now(), as is the next. */
  due: number;
  /** After this it is given up. */
  deadline: number;
}

let reads: (ReadRequest | PendingRequest)[] = [];
let readsBusySince: number | null = null;
let writes: Waiting[] = [];
let replies: unknown[] = [];
let scheduled = false;
let late: NodeJS.Timeout | undefined;
let closing = false;

/** A later statement of an op failed, so that the group has to be run again with each op in a savepoint. */
class NeedsIsolation extends Error {}

const db = open();
if (db) port.on('message', receive);

function open(): Database | null {
  try {
    const opened = new Database(settings);
    port.postMessage(null);
    return opened;
  } catch (error) {
    port.postMessage(asFailure(error));
    return null;
  }
}

function accept(message: Inbound): void {
  if (message === null) {
    closing = true;
    return;
  }
  const now = performance.now();
  for (const request of message) {
    if (request[1] === 'rows' || request[1] === 'pending') {
      reads.push(request);
      continue;
    }
    const due = request[1] === 'late' ? now + LATE_MS : now;
    writes.push({ request, due, deadline: due + settings.busyTimeoutMs });
  }
}

/** A write is due, and with it all that wait. */
function isDue(): boolean {
  const now = performance.now();
  return writes.length > 0 && (closing || writes.length >= MAX_GROUP || writes.some(({ due }) => due <= now));
}

function receive(message: Inbound): void {
  accept(message);
  drain();
  if (!scheduled) turn();
  else if (readsBusySince === null) serveReads();
  flush();
}

function drain(): void {
  for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) accept(next.message as Inbound);
}

function turn(): void {
  scheduled = false;
  let waitMs = 0;
  serveReads();
  flush();
  if (isDue() && !commitGroup()) waitMs = RETRY_MS + Math.random() * RETRY_MS;
  flush();
  if (reads.length > 0 || isDue()) {
    scheduled = true;
    if (waitMs > 0 || readsBusySince !== null) setTimeout(again, waitMs || RETRY_MS);
    else setImmediate(again);
  } else if (writes.length > 0) {
    late ??= setTimeout(lateTurn, LATE_MS);
  } else if (closing) {
    clearTimeout(late);
    db!.close();
    port.close();
  }
}

function again(): void {
  drain();
  turn();
}

function lateTurn(): void {
  late = undefined;
  if (!scheduled) again();
}

function serveReads(): void {
  if (reads.length === 0) return;
  const batch = reads;
  reads = [];
  let snapshot = false;
  for (const request of batch) {
    try {
      if (!snapshot && (batch.length > 1 || request[1] === 'pending')) {
        db!.change(['BEGIN']);
        snapshot = true;
      }
      const rows = request[1] === 'rows' ? db!.rows(request[2]) : db!.pending(request);
      replies.push(request[0], false, rows);
    } catch (error) {
      const failure = asFailure(error);
      if (isBusy(failure) && performance.now() - (readsBusySince ?? performance.now()) < settings.busyTimeoutMs) {
        reads.push(request);
      } else {
        replies.push(request[0], true, failure);
      }
    }
  }
  if (db!.inTransaction) db!.change(['COMMIT']);
  readsBusySince = reads.length > 0 ? (readsBusySince ?? performance.now()) : null;
}

/**
 * Returns false when another process holds the lock; the writes are still waiting then, save for those that waited too
 * long.
 */
function commitGroup(): boolean {
  const group = writes.slice(0, MAX_GROUP);
  try {
    db!.change(['BEGIN IMMEDIATE']);
  } catch (error) {
    const failure = asFailure(error);
    const now = performance.now();
    if (isBusy(failure)) giveUp((write) => write.deadline <= now, failure);
    else giveUp(() => true, failure);
    return false;
  }
  const results = runGroup(group);
  writes = writes.slice(group.length);
  for (const result of results) replies.push(...result);
  return true;
}

function giveUp(which: (write: Waiting) => boolean, failure: Failure): void {
  for (const write of writes) if (which(write)) replies.push(write.request[0], true, failure);
  writes = writes.filter((write) => !which(write));
}

type Result = [id: number, failed: boolean, value: unknown];

/** Within a transaction; ends it. */
function runGroup(group: readonly Waiting[]): Result[] {
  try {
    let results: Result[];
    try {
      results = group.map(({ request }) => runWrite(request, false));
    } catch (error) {
      if (!(error instanceof NeedsIsolation)) throw error;
      db!.change(['ROLLBACK']);
      db!.change(['BEGIN IMMEDIATE']);
      results = group.map(({ request }) => runWrite(request, true));
    }
    db!.change(['COMMIT']);
    return results;
  } catch (error) {
    const failure = asFailure(error);
    if (db!.inTransaction) db!.change(['ROLLBACK']);
    // Disk or lock, no single statement's fault: nothing of the group was written.
    return group.map(({ request }) => [request[0], true, failure]);
  }
}

function runWrite(request: WriteRequest, isolated: boolean): Result {
  const [id, , guarded, statements] = request;
  if (isolated) db!.change(['SAVEPOINT op']);
  let changed = 0;
  for (const [i, statement] of statements.entries()) {
    try {
      const count = db!.change(statement);
      if (guarded === 'sum') changed += count;
      else if (i === 0 || !guarded) changed = count;
    } catch (error) {
      const failure = asFailure(error);
      if (!isOfStatement(failure)) throw error;
      // A failed statement has undone itself; only what went before it in this op needs a savepoint.
      if (i > 0 && !isolated) throw new NeedsIsolation();
      if (isolated) db!.change(['ROLLBACK TO op']);
      if (isolated) db!.change(['RELEASE op']);
      return [id, true, failure];
    }
    if (guarded === true && changed === 0) break;
  }
  if (isolated) db!.change(['RELEASE op']);
  return [id, false, changed];
}

function flush(): void {
  if (replies.length === 0) return;
  port.postMessage(replies);
  replies = [];
}
