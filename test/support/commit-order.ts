// Finds in a trace, for each transaction of a client, when it was written to the log, synced and answered.
//
// A transaction carries a mark, a text of MARK_CHARACTERS, in what it inserts. The mark's first way into the store's
// write-ahead log says which of the store's transactions took it in; that one is whole with its commit frame, whose
// header states a database size (https://sqlite.org/fileformat2.html#wal_file_format).

import { strict as assert } from 'node:assert';
import type { TraceEvent } from './store-trace.js';

const MARK = 'mvmark-';
const NUMBER_CHARACTERS = 8;
const FRAME_HEADER_BYTES = 24;

/** An SQL expression: the mark of transaction `number`, often enough that a page border cannot hide it. */
export function markSql(number: number): string {
  return `replace(hex(zeroblob(200)), '00', '${MARK}${String(number).padStart(NUMBER_CHARACTERS, '0')}')`;
}

/** Places are indexes of the trace. */
export interface MarkedCommit {
  readonly number: number;
  /** The opcode of the request that committed it. */
  readonly opcode: number;
  readonly requestAt: number;
  /** Its last write to the log. */
  readonly writtenAt: number;
  readonly answeredAt: number;
  readonly errno: number;
  /** Marks that went into the same transaction of the store. */
  readonly groupSize: number;
  /** The end of the first sync that covers the commit and its file's place in the directory. */
  readonly durableAt: number;
}

interface StoreTransaction {
  readonly firstAt: number;
  readonly commitAt: number;
  readonly marks: ReadonlyMap<number, number>;
}

/**
 * The transactions among `numbers`, in the order in which the store took them.
 * @param trace from the process's start
 * @param pidOf the client that made it, which asks for one thing at a time
 */
export function markedCommits(
  trace: readonly TraceEvent[],
  numbers: readonly number[],
  pidOf: (number: number) => number,
): MarkedCommit[] {
  const seen = new Set<number>();
  const commits: MarkedCommit[] = [];
  for (const { marks, commitAt } of storeTransactions(trace)) {
    const fresh = [...marks].filter(([number]) => numbers.includes(number) && !seen.has(number));
    for (const [number, markAt] of fresh) {
      seen.add(number);
      const served = requestAround(trace, markAt, pidOf(number));
      assert.ok(served, `transaction ${number} was written while its client waited for no request`);
      const durableAt = endOfSync(trace, commitAt);
      commits.push({ number, ...served, writtenAt: commitAt, groupSize: fresh.length, durableAt });
    }
  }
  return commits;
}

/** @throws when an answer was given before what it stands for was durable */
export function assertDurableWhenAnswered(commits: readonly MarkedCommit[]): void {
  for (const { number, requestAt, writtenAt, answeredAt, durableAt, errno } of commits) {
    assert.equal(errno, 0, `transaction ${number}`);
    const places = `request ${requestAt}, written ${writtenAt}, durable ${durableAt}, answered ${answeredAt}`;
    assert.ok(requestAt < writtenAt && writtenAt < durableAt && durableAt < answeredAt, `${number}: ${places}`);
  }
}

function storeTransactions(trace: readonly TraceEvent[]): StoreTransaction[] {
  const transactions: StoreTransaction[] = [];
  let marks = new Map<number, number>();
  let firstAt = -1;
  let isLastFrame = false;
  for (const [at, event] of trace.entries()) {
    if (event.kind !== 'write' || event.file !== 'wal') continue;
    if (firstAt === -1) firstAt = at;
    if (event.data.length === FRAME_HEADER_BYTES) {
      isLastFrame = event.data.readUInt32BE(4) !== 0;
      continue;
    }
    for (const number of marksOf(event.data)) if (!marks.has(number)) marks.set(number, at);
    if (!isLastFrame) continue;
    transactions.push({ firstAt, commitAt: at, marks });
    marks = new Map();
    firstAt = -1;
    isLastFrame = false;
  }
  return transactions;
}

function marksOf(data: Buffer): Set<number> {
  const numbers = new Set<number>();
  for (let at = data.indexOf(MARK); at !== -1; at = data.indexOf(MARK, at + 1)) {
    const digits = data.toString('latin1', at + MARK.length, at + MARK.length + NUMBER_CHARACTERS);
    if (/^[0-9]{8}$/.test(digits)) numbers.add(Number(digits));
  }
  return numbers;
}

/** The request of that process which had been read and not been answered at that place. */
function requestAround(trace: readonly TraceEvent[], at: number, pid: number) {
  for (let requestAt = at; requestAt >= 0; requestAt--) {
    const request = trace[requestAt]!;
    if (request.kind !== 'request' || request.pid !== pid) continue;
    const { unique, opcode } = request;
    for (let answeredAt = requestAt + 1; answeredAt < trace.length; answeredAt++) {
      const answer = trace[answeredAt]!;
      if (answer.kind !== 'answer' || answer.unique !== unique) continue;
      return answeredAt < at ? undefined : { requestAt, opcode, answeredAt, errno: answer.errno };
    }
    return undefined;
  }
  return undefined;
}

/** Infinity when no sync that began after that place succeeded, or the log itself might be missing after it. */
function endOfSync(trace: readonly TraceEvent[], writtenAt: number): number {
  const logSyncedAt = syncAfter(trace, 'wal', writtenAt);
  let createdAt = -1;
  let isThere = false;
  for (const [at, event] of trace.slice(0, writtenAt).entries()) {
    if (!('file' in event) || event.file !== 'wal') continue;
    if (event.kind === 'unlink') isThere = false;
    if (event.kind !== 'create' || isThere) continue;
    isThere = true;
    createdAt = at;
  }
  return createdAt === -1 ? logSyncedAt : Math.max(logSyncedAt, syncAfter(trace, 'directory', createdAt));
}

function syncAfter(trace: readonly TraceEvent[], file: 'wal' | 'directory', at: number): number {
  const begun = new Set<number>();
  for (let index = at + 1; index < trace.length; index++) {
    const event = trace[index]!;
    if (event.kind === 'syncBegin' && event.file === file) begun.add(event.id);
    if (event.kind === 'syncEnd' && begun.has(event.id) && event.errno === 0) return index;
  }
  return Number.POSITIVE_INFINITY;
}
