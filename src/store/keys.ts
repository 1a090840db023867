// Every key of the store, and no key anywhere else. The values are in records.ts and page-codec.ts.
//
//   FORMAT                                  → the format of what is below
//   NAME      name                          → namespace id
//   SEQUENCE  namespace | stage             → the last id issued
//   STAGING   namespace, stage              → alive and a token | dead: a bulk commit that was not published
//   DAEMON    daemon                        → its beat
//   NAMESPACE id META                       → name, created
//   NAMESPACE id HEAD                       → version, page size, size, time
//   NAMESPACE id PAGE    number, version    → page
//   NAMESPACE id SHRINK  version            → page number past which nothing older is visible
//   NAMESPACE id LOG     version            → changelog entry
//   NAMESPACE id BULK    version            → stage id and its page numbers
//   NAMESPACE id STAGE   stage, number      → page
//   NAMESPACE id TIME    ms                 → version
//   NAMESPACE id LEASE                      → token, owner
//   NAMESPACE id WANTED                     → who asks for the lease
//   NAMESPACE id PIN     daemon             → the oldest version open there, how long it is kept
//
// STAGING is apart from the namespaces so that what a crash left is found without a look at every one.
// The numbers are part of the format; those up to 15 are kept for tags and forks.

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

export type StageId = number & { readonly stageIdBrand?: never };

/** 32 hex digits, drawn at each start. */
export type DaemonId = string & { readonly daemonIdBrand?: never };

export const formatKey = packTuple(FORMAT);
export const namespaceSequenceKey = packTuple(SEQUENCE, 0);
export const stageSequenceKey = packTuple(SEQUENCE, 1);
export const nameRange = tupleRange(packTuple(NAME));
export const stagingRange = tupleRange(packTuple(STAGING));

export const nameKey = (name: string): Buffer => packTuple(NAME, name);
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

export const logKey = (namespace: NamespaceId, version: Version): Buffer =>
  packTuple(NAMESPACE, namespace, LOG, { version });
export const logKeyPrefix = (namespace: NamespaceId): Buffer => packVersionPrefix(NAMESPACE, namespace, LOG);
export const logRange = (namespace: NamespaceId): KeyRange => tupleRange(packTuple(NAMESPACE, namespace, LOG));

/** Changelog entries of the commits after `version`. */
export const logRangeAfter = (namespace: NamespaceId, version: Version): KeyRange =>
  rangeAfter(namespace, LOG, version);

export const shrinkKeyPrefix = (namespace: NamespaceId): Buffer => packVersionPrefix(NAMESPACE, namespace, SHRINK);
export const bulkKeyPrefix = (namespace: NamespaceId): Buffer => packVersionPrefix(NAMESPACE, namespace, BULK);

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

export const stagePageKey = (namespace: NamespaceId, stage: StageId, page: PageNumber): Buffer =>
  packTuple(NAMESPACE, namespace, STAGE, stage, page);
export const stagePageRange = (namespace: NamespaceId, stage: StageId): KeyRange =>
  tupleRange(packTuple(NAMESPACE, namespace, STAGE, stage));
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
