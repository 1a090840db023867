// Which version a moment is.
//
// A time is the newest version at or before it. What happened before the oldest version that is kept cannot be told any
// more, not even with a tag that is older: the versions between are gone. Tags and versions themselves can be read as
// long as something holds them.

import { MvfuseError } from '../errors.js';
import type { ReadTransaction } from '../kv/engine.js';
import type { Moment } from '../moment.js';
import { type Version, ZERO_VERSION } from '../version.js';
import { readHeadAt } from './heads.js';
import { readWatermark, requireReadable } from './held-versions.js';
import { logRange, tagKey, timeOfKey, timeRangeAfter, timeRangeUpTo, versionOfKey } from './keys.js';
import { readHead, readMeta } from './namespaces.js';
import { decodeTag, decodeVersion } from './records.js';
import type { Head, MaintenanceLock, NamespaceId } from './types.js';

export interface MomentQuery {
  readonly namespace: NamespaceId;
  readonly moment: Moment;
  /** Wall clock. */
  readonly nowMs: number;
  /** What is open in this process, where it alone has the store. */
  readonly open: readonly Version[];
  /** While it is there, nothing newer is the latest. */
  readonly lock: MaintenanceLock | undefined;
}

/** @throws NOT_FOUND, GONE, saying what there is instead */
export async function resolveMoment(transaction: ReadTransaction, query: MomentQuery): Promise<Head> {
  const { namespace, open } = query;
  const version = await versionOf(transaction, query);
  const head = await readHeadAt(transaction, namespace, version);
  await requireReadable(transaction, namespace, version, open);
  if (head === undefined)
    throw new MvfuseError('NOT_FOUND', `${await nameOf(transaction, query)} has no version ${version}`);
  return head;
}

/** The newest version at or before `timeMs`, and the oldest after it. */
export async function readTimePoints(
  transaction: ReadTransaction,
  namespace: NamespaceId,
  timeMs: number,
): Promise<{ notAfter: TimePoint | undefined; after: TimePoint | undefined }> {
  const [before, after] = [timeRangeUpTo(namespace, timeMs), timeRangeAfter(namespace, timeMs)];
  const [[notAfter], [next]] = await Promise.all([
    transaction.getRange(before.begin, before.end, { limit: 1, reverse: true }),
    transaction.getRange(after.begin, after.end, { limit: 1 }),
  ]);
  const point = (pair: typeof notAfter) => pair && { version: decodeVersion(pair.value), timeMs: timeOfKey(pair.key) };
  return { notAfter: point(notAfter), after: point(next) };
}

export interface TimePoint {
  readonly version: Version;
  readonly timeMs: number;
}

async function versionOf(transaction: ReadTransaction, query: MomentQuery): Promise<Version> {
  const { namespace, moment, nowMs, lock } = query;
  switch (moment.kind) {
    case 'latest':
      return lock?.version ?? (await readHead(transaction, namespace)).version;
    case 'version':
      return moment.version;
    case 'tag': {
      const tag = await transaction.get(tagKey(namespace, moment.name));
      if (tag !== undefined) return decodeTag(tag).version;
      throw new MvfuseError('NOT_FOUND', `${await nameOf(transaction, query)} has no tag "${moment.name}"`);
    }
    case 'time':
      return atTime(transaction, query, moment.timeMs);
    case 'ago':
      return atTime(transaction, query, nowMs - moment.agoMs);
  }
}

async function atTime(transaction: ReadTransaction, query: MomentQuery, timeMs: number): Promise<Version> {
  const { namespace, lock } = query;
  const [{ notAfter }, watermark] = await Promise.all([
    readTimePoints(transaction, namespace, Math.max(0, timeMs)),
    readWatermark(transaction, namespace),
  ]);
  if (notAfter !== undefined && notAfter.version >= watermark) {
    return lock !== undefined && notAfter.version > lock.version ? lock.version : notAfter.version;
  }
  const [name, when] = [await nameOf(transaction, query), isoTime(timeMs)];
  if (watermark !== ZERO_VERSION) {
    const oldest = (await readHeadAt(transaction, namespace, watermark))!;
    throw new MvfuseError(
      'GONE',
      `what ${name} was at ${when} was removed: the oldest version that is kept is ${watermark} of ${isoTime(oldest.timeMs)}`,
    );
  }
  const { begin, end } = logRange(namespace);
  const [first] = await transaction.getRange(begin, end, { limit: 1 });
  if (first === undefined) throw new MvfuseError('NOT_FOUND', `${name} has no version yet`);
  const { timeMs: firstMs } = (await readHeadAt(transaction, namespace, versionOfKey(first.key)))!;
  throw new MvfuseError(
    'NOT_FOUND',
    `${name} has no version as old as ${when}: its first one, ${versionOfKey(first.key)}, is of ${isoTime(firstMs)}`,
  );
}

async function nameOf(transaction: ReadTransaction, { namespace }: MomentQuery): Promise<string> {
  return `namespace "${(await readMeta(transaction, namespace)).name}"`;
}

function isoTime(timeMs: number): string {
  const date = new Date(timeMs);
  return Number.isNaN(date.getTime()) ? `${timeMs} ms` : date.toISOString();
}
