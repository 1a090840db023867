// What a check of a history found: anomalies, and figures of the run.

import type { History, Operation } from './operations.js';

export type AnomalyKind =
  /** Acknowledged, and not in the serial order. */
  | 'lost-commit'
  /** In the serial order more than once. */
  | 'applied-twice'
  /** In the serial order, though it said that it failed. */
  | 'failed-but-applied'
  /** In the serial order, and nobody asked for it. */
  | 'unknown-operation'
  /** Versions of the serial order are not 1, 2, 3, … */
  | 'broken-sequence'
  /** Two writes were acknowledged as the same version. */
  | 'same-version'
  /** At another version of the serial order than the one that it reported. */
  | 'moved-commit'
  /** Written where its row does not allow it. */
  | 'impossible-write'
  /** A write's version lies before, or at, what had been seen before it began. */
  | 'misordered-write'
  /** A read's version is older than what had been seen before it began. */
  | 'stale-read'
  /** Rows of several versions in one transaction. */
  | 'torn-read'
  /** A value that no version holds. */
  | 'unknown-value'
  /** A version that is not in the serial order, or is another one there. */
  | 'vanished-version'
  | 'wrong-total'
  /** An error that no fault of a host explains, or a failed integrity check. */
  | 'damage';

export interface Anomaly {
  readonly kind: AnomalyKind;
  readonly message: string;
  readonly operations: readonly Operation[];
}

export interface Summary {
  readonly operations: number;
  readonly acknowledged: number;
  readonly acknowledgedWrites: number;
  readonly failed: number;
  readonly indeterminate: number;
  /** Those of the indeterminate that took place. */
  readonly indeterminateApplied: number;
  /** The longest time without an acknowledged operation, overall and by host. */
  readonly longestStallMs: number;
  readonly longestStallMsByHost: Readonly<Record<string, number>>;
  readonly durationMs: number;
  /** How many operations ended with each error. */
  readonly errors: Readonly<Record<string, number>>;
}

export interface Report {
  readonly seed: number;
  /** At most KEPT_MAX of a kind; `counts` has them all. */
  readonly anomalies: readonly Anomaly[];
  readonly counts: Readonly<Partial<Record<AnomalyKind, number>>>;
  readonly summary: Summary;
  /** All of it, to be read: times are since the first invocation. */
  readonly text: string;
}

/** One lost version shows in everything after it; the first ones tell. */
const KEPT_MAX = 10;

export class AnomalyLog {
  readonly anomalies: Anomaly[] = [];
  readonly counts: Partial<Record<AnomalyKind, number>> = {};

  add(kind: AnomalyKind, message: string, ...operations: Operation[]): void {
    const count = (this.counts[kind] ?? 0) + 1;
    this.counts[kind] = count;
    if (count <= KEPT_MAX) this.anomalies.push({ kind, message, operations });
  }
}

export function makeReport(history: History, log: AnomalyLog, placeOf: ReadonlyMap<string, number>): Report {
  const summary = summarise(history.operations, placeOf);
  const { anomalies, counts } = log;
  const text = describe(history, anomalies, counts, summary);
  return { seed: history.seed, anomalies, counts, summary, text };
}

function summarise(operations: readonly Operation[], placeOf: ReadonlyMap<string, number>): Summary {
  const acknowledged = operations.filter(({ outcome }) => outcome === 'ok');
  const indeterminate = operations.filter(({ outcome }) => outcome === 'indeterminate');
  const errors: Record<string, number> = {};
  for (const operation of operations) {
    if (operation.outcome !== 'ok') errors[operation.error] = (errors[operation.error] ?? 0) + 1;
  }
  const hosts = [...new Set(operations.map(({ host }) => host))].sort();
  return {
    operations: operations.length,
    acknowledged: acknowledged.length,
    acknowledgedWrites: acknowledged.filter((operation) => operation.outcome === 'ok' && operation.wrote).length,
    failed: operations.length - acknowledged.length - indeterminate.length,
    indeterminate: indeterminate.length,
    indeterminateApplied: indeterminate.filter(({ op }) => placeOf.has(op)).length,
    longestStallMs: longestStallMs(operations),
    longestStallMsByHost: Object.fromEntries(
      hosts.map((host) => [host, longestStallMs(operations.filter((operation) => operation.host === host))]),
    ),
    durationMs: durationMs(operations),
    errors,
  };
}

/** From the first invocation to the last event, the longest time between two acknowledgements. */
function longestStallMs(operations: readonly Operation[]): number {
  const times = operations.filter(({ outcome }) => outcome === 'ok').map(({ respondedNs }) => respondedNs!);
  times.sort((a, b) => a - b);
  let longestNs = 0;
  let beforeNs = firstNs(operations);
  for (const atNs of [...times, lastNs(operations)]) {
    longestNs = Math.max(longestNs, atNs - beforeNs);
    beforeNs = atNs;
  }
  return Math.round(longestNs / 1e6);
}

function durationMs(operations: readonly Operation[]): number {
  return Math.round((lastNs(operations) - firstNs(operations)) / 1e6);
}

function firstNs(operations: readonly Operation[]): number {
  if (operations.length === 0) return 0;
  return operations.reduce((least, { invokedNs }) => Math.min(least, invokedNs), Number.POSITIVE_INFINITY);
}

function lastNs(operations: readonly Operation[]): number {
  return operations.reduce((most, { respondedNs, invokedNs }) => Math.max(most, respondedNs ?? invokedNs), 0);
}

function describe(history: History, anomalies: readonly Anomaly[], counts: Report['counts'], summary: Summary): string {
  const startNs = firstNs(history.operations);
  const found = Object.entries(counts).map(([kind, count]) => `${kind}: ${count}`);
  return [
    `seed ${history.seed}: ${found.length === 0 ? 'no anomaly' : found.join(', ')}`,
    JSON.stringify(summary),
    ...anomalies.flatMap(({ kind, message, operations }) => [
      `${kind}: ${message}`,
      ...operations.map((operation) => `    ${describeOperation(operation, startNs)}`),
    ]),
  ].join('\n');
}

function describeOperation(operation: Operation, startNs: number): string {
  const { op, client, host, action, style, invokedNs, respondedNs, ...result } = operation;
  const ms = (ns: number | undefined) => (ns === undefined ? 'never' : `${((ns - startNs) / 1e6).toFixed(3)} ms`);
  const what = `${style ?? ''} ${JSON.stringify(action)}`.trim();
  return `${op} of ${client} on ${host}, ${ms(invokedNs)} to ${ms(respondedNs)}: ${what} → ${JSON.stringify(result)}`;
}
