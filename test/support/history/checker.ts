// Strict serialisability of a history, in the time that sorting it takes.
//
// No search for an order is needed: the table `ops` is the order, and every observation names its place in it. So each
// rule is looked at once: acknowledged writes are in the order exactly once, failed ones are not, indeterminate ones at
// most once; what returned before something else began lies before it in the order; and what a transaction saw at n
// is what the actions 1..n, replayed, make of the initial values.

import { type Acknowledged, apply, type History, type Invocation, type Operation } from './operations.js';
import { AnomalyLog, makeReport, type Report } from './report.js';

type AcknowledgedOperation = Invocation & Acknowledged;

interface Check {
  readonly history: History;
  readonly log: AnomalyLog;
  readonly byOp: ReadonlyMap<string, Operation>;
  /** The id of the operation at each version. */
  readonly opAt: ReadonlyMap<number, string>;
  /** The (first) version of each operation in the order. */
  readonly placeOf: ReadonlyMap<string, number>;
  readonly acknowledged: readonly AcknowledgedOperation[];
}

/** What hosts that die, hang or lose a lease may answer with. */
const EXPLAINED_ERROR = /^SQLITE_(BUSY|LOCKED|IOERR|CANTOPEN|FULL|PROTOCOL|READONLY)|^never answered$/;

export function checkHistory(history: History): Report {
  const check = prepare(history);
  checkOrder(check);
  checkAcknowledgements(check);
  checkRealTime(check);
  checkContent(check);
  checkErrors(check);
  return makeReport(history, check.log, check.placeOf);
}

function prepare(history: History): Check {
  const opAt = new Map<number, string>();
  const placeOf = new Map<string, number>();
  const sorted = [...history.order].sort((a, b) => a.n - b.n);
  for (const { n, op } of sorted) {
    opAt.set(n, op);
    if (!placeOf.has(op)) placeOf.set(op, n);
  }
  return {
    history,
    log: new AnomalyLog(),
    byOp: new Map(history.operations.map((operation) => [operation.op, operation])),
    opAt,
    placeOf,
    acknowledged: history.operations.filter(isAcknowledged),
  };
}

function isAcknowledged(operation: Operation): operation is AcknowledgedOperation {
  return operation.outcome === 'ok';
}

function checkOrder({ history, log, byOp, placeOf }: Check): void {
  const versions = history.order.map(({ n }) => n).sort((a, b) => a - b);
  for (const [index, n] of versions.entries()) {
    const before = versions[index - 1] ?? 0;
    if (n !== before + 1) log.add('broken-sequence', `version ${n} follows ${before}`);
  }
  for (const { n, op } of history.order) {
    const operation = byOp.get(op);
    if (operation === undefined) log.add('unknown-operation', `${op} at version ${n}`);
    else if (placeOf.get(op) !== n) {
      log.add('applied-twice', `at versions ${placeOf.get(op)} and ${n}`, operation);
    } else if (operation.outcome === 'failed') log.add('failed-but-applied', `at version ${n}`, operation);
  }
}

function checkAcknowledgements({ history, log, byOp, opAt, placeOf, acknowledged }: Check): void {
  for (const operation of history.operations) {
    const place = placeOf.get(operation.op);
    if (operation.outcome === 'failed' || operation.n === undefined || place === operation.n) continue;
    if (place !== undefined) log.add('moved-commit', `at version ${place}, not ${operation.n}`, operation);
    else if (operation.outcome === 'ok' && operation.wrote) {
      const instead = byOp.get(opAt.get(operation.n) ?? '');
      const message = `version ${operation.n} is ${instead?.op ?? 'missing'}`;
      log.add('lost-commit', message, operation, ...(instead === undefined ? [] : [instead]));
    }
  }
  const writers = new Map<number, Operation>();
  for (const operation of acknowledged.filter(({ wrote }) => wrote)) {
    const other = writers.get(operation.n);
    if (other !== undefined) log.add('same-version', `both wrote version ${operation.n}`, other, operation);
    writers.set(operation.n, operation);
  }
}

/** In the order of time: nobody goes back behind what had returned before he began, and no write even stays there. */
function checkRealTime({ history, log, placeOf, acknowledged }: Check): void {
  const returning = acknowledged
    .filter(({ op, wrote }) => !wrote || placeOf.has(op))
    .map((operation) => ({ operation, n: placeOf.get(operation.op) ?? operation.n }))
    .sort((a, b) => a.operation.respondedNs - b.operation.respondedNs);
  let newest: { readonly operation: Operation; readonly n: number } | undefined;
  let returned = 0;
  for (const operation of [...history.operations].sort((a, b) => a.invokedNs - b.invokedNs)) {
    for (; (returning[returned]?.operation.respondedNs ?? Number.POSITIVE_INFINITY) < operation.invokedNs; returned++) {
      if (newest === undefined || returning[returned]!.n > newest.n) newest = returning[returned]!;
    }
    if (newest === undefined) continue;
    const place = placeOf.get(operation.op);
    if (place !== undefined) {
      const message = `version ${place} began after version ${newest.n} had been seen`;
      if (place <= newest.n) log.add('misordered-write', message, newest.operation, operation);
    } else if (operation.outcome === 'ok' && !operation.wrote && operation.n < newest.n) {
      const message = `it read version ${operation.n} after version ${newest.n} had been seen`;
      log.add('stale-read', message, newest.operation, operation);
    }
  }
}

/** Replays the order, and compares what was seen at each version. */
function checkContent(check: Check): void {
  const { history, log, byOp, opAt } = check;
  const newestVersion = history.order.reduce((newest, { n }) => Math.max(newest, n), 0);
  const seenAt = new Map<number, AcknowledgedOperation[]>();
  for (const operation of check.acknowledged) {
    // A write that is not where it said has been reported as lost or moved.
    if (operation.wrote && opAt.get(operation.n) !== operation.op) continue;
    if (operation.n > newestVersion) log.add('vanished-version', `the newest is ${newestVersion}`, operation);
    const seen = seenAt.get(operation.n);
    if (seen === undefined) seenAt.set(operation.n, [operation]);
    else seen.push(operation);
    checkTotal(check, operation);
  }
  const values = [...history.initial];
  const everHeld = values.map((value) => new Set([value]));
  const differing: Array<{ readonly operation: Operation; readonly pairs: Acknowledged['values'] }> = [];
  for (let n = 0; n <= newestVersion; n++) {
    const writer = byOp.get(opAt.get(n) ?? '');
    if (writer !== undefined && !apply(writer.action, values)) {
      log.add('impossible-write', `version ${n - 1} holds ${JSON.stringify(values)}`, writer);
    }
    for (const [id, value] of values.entries()) everHeld[id]!.add(value);
    for (const operation of seenAt.get(n) ?? []) {
      if (!checkLast(check, operation)) continue;
      const pairs = operation.values.filter(([id, value]) => values[id] !== value);
      if (pairs.length > 0) differing.push({ operation, pairs });
    }
  }
  for (const { operation, pairs } of differing) {
    const isKnown = pairs.every(([id, value]) => everHeld[id]?.has(value));
    const message = `not of version ${operation.outcome === 'ok' ? operation.n : ''}: ${JSON.stringify(pairs)}`;
    log.add(isKnown ? 'torn-read' : 'unknown-value', message, operation);
  }
}

/** Whether the version that was seen is the one that has this number in the order. */
function checkLast({ log, opAt, placeOf }: Check, operation: AcknowledgedOperation): boolean {
  const { last, n } = operation;
  const expected = opAt.get(n) ?? null;
  if (last === undefined || last === expected) return true;
  const isTorn = last === null || placeOf.has(last);
  log.add(isTorn ? 'torn-read' : 'vanished-version', `version ${n} is ${expected}, it saw ${last}`, operation);
  return false;
}

function checkTotal({ history, log }: Check, operation: AcknowledgedOperation): void {
  if (history.total === undefined || operation.values.length !== history.initial.length) return;
  const total = operation.values.reduce((sum, [, value]) => sum + value, 0);
  if (total !== history.total) log.add('wrong-total', `${total}, not ${history.total}`, operation);
}

function checkErrors({ history, log }: Check): void {
  for (const operation of history.operations) {
    if (operation.outcome === 'ok' || EXPLAINED_ERROR.test(operation.error)) continue;
    log.add('damage', operation.error, operation);
  }
  for (const line of history.integrity) if (line !== 'ok') log.add('damage', line);
}
