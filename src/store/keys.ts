// Every key of the store, and no key anywhere else. The values are in records.ts and page-codec.ts.
//
//   FORMAT                                  → the format of what is below
//   NAME      name                          → namespace id
//   SEQUENCE  namespace | stage             → the last id issued
//   STAGING   namespace, stage              → alive and a token | dead: a bulk commit that was not published
//   DAEMON    daemon                        → its beat
//   POLICY                                  → retention of namespaces without a policy of their own
//   REMOVED   namespace                     → its name: what is left of it is being removed
//   DROPPED   namespace                     → name, time: deleted, and to be removed when nobody wants it back
//   NAMESPACE id META                       → name, created, parent of a fork, access proof, retention
//   NAMESPACE id HEAD                       → version, page size, size, time
//   NAMESPACE id PAGE    number, version    → page
//   NAMESPACE id SHRINK  version            → page number past which nothing older is visible
//   NAMESPACE id LOG     version            → changelog entry
//   NAMESPACE id BULK    version            → stage id and its page numbers
//   NAMESPACE id STAGE   stage, number      → page
//   NAMESPACE id TIME    ms                 → version
//   NAMESPACE id LEASE                      → token, owner
//   NAMESPACE id WANTED                     → who asks for the lease
//   NAMESPACE id PIN     daemon             → the versions open there, how long they are kept
//   NAMESPACE id TAG     name               → version
//   NAMESPACE id FORK    child              → version that the fork goes on from
//   NAMESPACE id WATERMARK                  → older versions are gone, but for those that are held
//   NAMESPACE id COLLECTED                  → how far what they alone needed was removed
//   NAMESPACE id LOCK                       → owner and versions of a maintenance lock
//
// STAGING is apart from the namespaces so that what a crash left is found without a look at every one.
// The numbers are part of the format.

import { keyAfter } from '../kv/bytes.js';
import { type KeyRange, packTuple, packVersionPrefix, tupleRange, unpackTuple } from '../kv/tuple.js';
import type { Version } from '../version.js';
import type { NamespaceId, PageNumber } from './types.js';

const FORMAT = 0;
const NAME = 1;
const SEQUENCE = 2;
const STAGING = 3;
const NAMESPACE = 4;
const DAEMON = 5;
const POLICY = 6;
const REMOVED = 7;
const DROPPED = 8;

const META = 0;
const HEAD = 1;
const PAGE = 2;
const SHRINK = 3;
const LOG = 4;
const BULK = 5;
const STAGE = 6;
const TIME = 7;
const LEASE = 8;
const WANTED = 9;
const PIN = 10;
const TAG = 11;
const FORK = 12;
const WATERMARK = 13;
const COLLECTED = 14;
const LOCK = 15;

export type StageId = number & { readonly stageIdBrand?: never };

/** 32 hex digits, drawn at each start. */
export type DaemonId = string & { readonly daemonIdBrand?: never };

export const formatKey = packTuple(FORMAT);
export const namespaceSequenceKey = packTuple(SEQUENCE, 0);
export const stageSequenceKey = packTuple(SEQUENCE, 1);
export const nameRange = tupleRange(packTuple(NAME));
export const stagingRange = tupleRange(packTuple(STAGING));

export const policyKey = packTuple(POLICY);
export const removedRange = tupleRange(packTuple(REMOVED));
export const removedKey = (namespace: NamespaceId): Buffer => packTuple(REMOVED, namespace);
export const namespaceOfRemovedKey = (key: Buffer): NamespaceId => unpackTuple(key)[1] as NamespaceId;

export const droppedRange = tupleRange(packTuple(DROPPED));
export const droppedKey = (namespace: NamespaceId): Buffer => packTuple(DROPPED, namespace);
export const namespaceOfDroppedKey = (key: Buffer): NamespaceId => unpackTuple(key)[1] as NamespaceId;

export const nameKey = (name: string): Buffer => packTuple(NAME, name);
/** Of the names that begin with `prefix`. */
export function nameRangeOf(prefix: string): KeyRange {
  const begin = nameKey(prefix).subarray(0, -1);
  return { begin, end: Buffer.concat([begin, Buffer.of(0xff)]) };
}
export const nameOfKey = (key: Buffer): string => unpackTuple(key)[1] as string;

export const stagingKey = (namespace: NamespaceId, stage: StageId): Buffer => packTuple(STAGING, namespace, stage);

/** The unpublished stages of one namespace. */
export const stagingRangeOf = (namespace: NamespaceId): KeyRange => tupleRange(packTuple(STAGING, namespace));

export function stageOfStagingKey(key: Buffer): { namespace: NamespaceId; stage: StageId } {
  const [, namespace, stage] = unpackTuple(key);
  return { namespace: namespace as NamespaceId, stage: stage as StageId };
}

export const metaKey = (namespace: NamespaceId): Buffer => packTuple(NAMESPACE, namespace, META);
export const headKey = (namespace: NamespaceId): Buffer => packTuple(NAMESPACE, namespace, HEAD);

export const timeKey = (namespace: NamespaceId, timeMs: number): Buffer =>
  packTuple(NAMESPACE, namespace, TIME, timeMs);

export const leaseKey = (namespace: NamespaceId): Buffer => packTuple(NAMESPACE, namespace, LEASE);
export const wantedKey = (namespace: NamespaceId): Buffer => packTuple(NAMESPACE, namespace, WANTED);
export const daemonKey = (daemon: DaemonId): Buffer => packTuple(DAEMON, daemon);
export const daemonRange = tupleRange(packTuple(DAEMON));
export const daemonOfKey = (key: Buffer): DaemonId => unpackTuple(key).at(-1) as DaemonId;
export const pinKey = (namespace: NamespaceId, daemon: DaemonId): Buffer =>
  packTuple(NAMESPACE, namespace, PIN, daemon);

export const pinRange = (namespace: NamespaceId): KeyRange => tupleRange(packTuple(NAMESPACE, namespace, PIN));

export const tagKey = (namespace: NamespaceId, name: string): Buffer => packTuple(NAMESPACE, namespace, TAG, name);
export const tagRange = (namespace: NamespaceId): KeyRange => tupleRange(packTuple(NAMESPACE, namespace, TAG));
export const tagOfKey = (key: Buffer): string => unpackTuple(key)[3] as string;

export const forkKey = (namespace: NamespaceId, child: NamespaceId): Buffer =>
  packTuple(NAMESPACE, namespace, FORK, child);
export const forkRange = (namespace: NamespaceId): KeyRange => tupleRange(packTuple(NAMESPACE, namespace, FORK));
export const childOfForkKey = (key: Buffer): NamespaceId => unpackTuple(key)[3] as NamespaceId;

export const watermarkKey = (namespace: NamespaceId): Buffer => packTuple(NAMESPACE, namespace, WATERMARK);
export const collectedKey = (namespace: NamespaceId): Buffer => packTuple(NAMESPACE, namespace, COLLECTED);
export const lockKey = (namespace: NamespaceId): Buffer => packTuple(NAMESPACE, namespace, LOCK);

/** Everything of a namespace. */
export const namespaceRange = (namespace: NamespaceId): KeyRange => tupleRange(packTuple(NAMESPACE, namespace));

/** Time entries up to and including `timeMs`. */
export const timeRangeUpTo = (namespace: NamespaceId, timeMs: number): KeyRange => ({
  begin: tupleRange(packTuple(NAMESPACE, namespace, TIME)).begin,
  end: keyAfter(timeKey(namespace, timeMs)),
});
export const timeRangeAfter = (namespace: NamespaceId, timeMs: number): KeyRange => ({
  begin: keyAfter(timeKey(namespace, timeMs)),
  end: tupleRange(packTuple(NAMESPACE, namespace, TIME)).end,
});
export const timeOfKey = (key: Buffer): number => unpackTuple(key)[3] as number;

export const logKey = (namespace: NamespaceId, version: Version): Buffer =>
  packTuple(NAMESPACE, namespace, LOG, { version });
export const logKeyPrefix = (namespace: NamespaceId): Buffer => packVersionPrefix(NAMESPACE, namespace, LOG);
export const logRange = (namespace: NamespaceId): KeyRange => tupleRange(packTuple(NAMESPACE, namespace, LOG));

/** Changelog entries of the commits after `version`. */
export const logRangeAfter = (namespace: NamespaceId, version: Version): KeyRange =>
  rangeAfter(namespace, LOG, version);

export const shrinkKeyPrefix = (namespace: NamespaceId): Buffer => packVersionPrefix(NAMESPACE, namespace, SHRINK);
export const bulkKeyPrefix = (namespace: NamespaceId): Buffer => packVersionPrefix(NAMESPACE, namespace, BULK);

/** Changelog entries of the commits from `version` on. */
export const logRangeFrom = (namespace: NamespaceId, version: Version): KeyRange => ({
  begin: logKey(namespace, version),
  end: logRange(namespace).end,
});

export const shrinkKey = (namespace: NamespaceId, version: Version): Buffer =>
  packTuple(NAMESPACE, namespace, SHRINK, { version });
export const bulkKey = (namespace: NamespaceId, version: Version): Buffer =>
  packTuple(NAMESPACE, namespace, BULK, { version });

/** Shrink entries of the commits after `version`. */
export const shrinkRangeAfter = (namespace: NamespaceId, version: Version): KeyRange =>
  rangeAfter(namespace, SHRINK, version);
/** Bulk entries of the commits after `version`. */
export const bulkRangeAfter = (namespace: NamespaceId, version: Version): KeyRange =>
  rangeAfter(namespace, BULK, version);

export const pageKeyPrefix = (namespace: NamespaceId, page: PageNumber): Buffer =>
  packVersionPrefix(NAMESPACE, namespace, PAGE, page);

/** The images of a page up to and including `version`. */
export function pageRangeUpTo(namespace: NamespaceId, page: PageNumber, version: Version): KeyRange {
  const begin = pageKeyPrefix(namespace, page);
  return { begin, end: keyAfter(Buffer.concat([begin, Buffer.from(version, 'hex')])) };
}

/** The images of a page before `version`. */
export const pageRangeBefore = (namespace: NamespaceId, page: PageNumber, version: Version): KeyRange => ({
  begin: pageKeyPrefix(namespace, page),
  end: pageKey(namespace, page, version),
});
export const pageKey = (namespace: NamespaceId, page: PageNumber, version: Version): Buffer =>
  packTuple(NAMESPACE, namespace, PAGE, page, { version });
/** The images of all pages from `first` to `last`. */
export const pagesRange = (namespace: NamespaceId, first: PageNumber, last: PageNumber): KeyRange => ({
  begin: packTuple(NAMESPACE, namespace, PAGE, first),
  end: packTuple(NAMESPACE, namespace, PAGE, last + 1),
});
export const pageOfKey = (key: Buffer): PageNumber => unpackTuple(key)[3] as PageNumber;

export const stagePageKey = (namespace: NamespaceId, stage: StageId, page: PageNumber): Buffer =>
  packTuple(NAMESPACE, namespace, STAGE, stage, page);
export const stagePageRange = (namespace: NamespaceId, stage: StageId): KeyRange =>
  tupleRange(packTuple(NAMESPACE, namespace, STAGE, stage));
/** The pages of a stage from `first` to `last`. */
export const stagePagesRange = (
  namespace: NamespaceId,
  stage: StageId,
  first: PageNumber,
  last: PageNumber,
): KeyRange => ({
  begin: stagePageKey(namespace, stage, first),
  end: packTuple(NAMESPACE, namespace, STAGE, stage, last + 1),
});
export const pageOfStagePageKey = (key: Buffer): PageNumber => unpackTuple(key)[4] as PageNumber;

/** The version that a key of a versioned record (page, shrink, log, bulk) ends with. */
export function versionOfKey(key: Buffer): Version {
  const element = unpackTuple(key).at(-1) as { version: Version };
  return element.version;
}

function rangeAfter(namespace: NamespaceId, kind: number, version: Version): KeyRange {
  const all = tupleRange(packTuple(NAMESPACE, namespace, kind));
  return { begin: keyAfter(packTuple(NAMESPACE, namespace, kind, { version })), end: all.end };
}
