// The values under the store's keys, but for pages. Integers are big-endian; a size is 8 bytes.
//
// A head and a time entry begin with the commit's version, which the engine fills in: so they are written
// in two parts, before and after it.

import { MvfuseError } from '../errors.js';
import { VERSION_BYTES, type Version, versionFromBytes, versionToBytes } from '../version.js';
import type { DaemonId, StageId } from './keys.js';
import { decodePageSet, encodePageSet } from './page-set.js';
import type {
  Change,
  Head,
  LogEntry,
  MaintenanceLock,
  NamespaceId,
  PageNumber,
  RetentionPolicy,
  Tag,
} from './types.js';

/** The parts of a head that do not come from the engine. */
export type HeadState = Omit<Head, 'version'>;

export interface NamespaceMeta {
  readonly name: string;
  readonly createdMs: number;
  /** What it was forked from, and how many forks deep it is. */
  readonly parent?: { readonly namespace: NamespaceId; readonly version: Version };
  readonly depth?: number;
  /** BLAKE3 of the secret that a mount must present, 64 hex digits. */
  readonly accessProof?: string;
  readonly retention?: RetentionPolicy;
  /** Permission bits, 0 to 0o777, where a chmod said which. */
  readonly mode?: number;
  /** When it was dropped: its name is nobody's, or another's. */
  readonly droppedMs?: number;
}

/** A namespace that was dropped: what it was called, and when. */
export interface DroppedRecord {
  readonly name: string;
  readonly droppedMs: number;
}

/** How far a namespace was freed of what only removed versions needed. */
export interface CollectedRecord {
  /** The commits up to here have been followed. */
  readonly upTo: Version;
  /** Where the commit after it, or a look at every page, goes on; 0: at its beginning. */
  readonly cursor: number;
  /** Whether every page is being looked at, since something that was held is no longer. */
  readonly isSweeping: boolean;
  /** What was held last. */
  readonly held: readonly Version[];
}

/** A commit whose pages are in a stage: `pageCount` of them, from `first` to `last`. */
export interface BulkRecord {
  readonly stage: StageId;
  readonly first: PageNumber;
  readonly last: PageNumber;
  readonly pageCount: number;
}

export type ChangeRecord = Omit<Change, 'version'>;

const HEAD_STATE_BYTES = 8 + 4 + 8;
const CHANGE_BYTES = HEAD_STATE_BYTES + 4 + 8 + 1;
const BULK_BYTES = 8 + 4 + 4 + 4;
const NONE = Buffer.alloc(0);
/** Flags of a changelog entry: the list of pages ends it; an origin comes before that. */
const LISTED = 1;
const COPIED = 2;

/** What follows the version in a head. */
export function encodeHeadState({ timeMs, pageBytes, sizeBytes }: HeadState): Buffer {
  const bytes = Buffer.alloc(HEAD_STATE_BYTES);
  bytes.writeBigUInt64BE(BigInt(timeMs), 0);
  bytes.writeUInt32BE(pageBytes, 8);
  bytes.writeBigUInt64BE(BigInt(sizeBytes), 12);
  return bytes;
}

export function encodeHead(head: Head): Buffer {
  return Buffer.concat([versionToBytes(head.version), encodeHeadState(head)]);
}

export function decodeHead(bytes: Buffer): Head {
  requireBytes(bytes, VERSION_BYTES + HEAD_STATE_BYTES, 'head');
  return { version: versionFromBytes(bytes), ...decodeHeadState(bytes, VERSION_BYTES) };
}

export function encodeChange(change: ChangeRecord): Buffer {
  const fixed = Buffer.alloc(CHANGE_BYTES);
  encodeHeadState(change).copy(fixed);
  fixed.writeUInt32BE(change.pageCount, HEAD_STATE_BYTES);
  fixed.writeBigUInt64BE(BigInt(change.bytes), HEAD_STATE_BYTES + 4);
  const list = change.pages && encodePageSet(change.pages);
  const origin = change.origin && versionToBytes(change.origin);
  fixed[CHANGE_BYTES - 1] = (list === undefined ? 0 : LISTED) | (origin === undefined ? 0 : COPIED);
  return Buffer.concat([fixed, origin ?? NONE, list ?? NONE]);
}

export function decodeChange(bytes: Buffer): ChangeRecord {
  requireBytes(bytes, CHANGE_BYTES, 'changelog entry');
  const flags = bytes[CHANGE_BYTES - 1]!;
  const isCopied = (flags & COPIED) !== 0;
  const listOffset = CHANGE_BYTES + (isCopied ? VERSION_BYTES : 0);
  requireBytes(bytes, listOffset, 'changelog entry');
  return {
    ...decodeHeadState(bytes, 0),
    pageCount: bytes.readUInt32BE(HEAD_STATE_BYTES),
    bytes: Number(bytes.readBigUInt64BE(HEAD_STATE_BYTES + 4)),
    pages: (flags & LISTED) === 0 ? undefined : decodePageSet(bytes.subarray(listOffset)),
    ...(isCopied ? { origin: versionFromBytes(bytes.subarray(CHANGE_BYTES)) } : {}),
  };
}

export function encodeBulk({ stage, first, last, pageCount }: BulkRecord): Buffer {
  const bytes = Buffer.alloc(BULK_BYTES);
  bytes.writeBigUInt64BE(BigInt(stage), 0);
  bytes.writeUInt32BE(first, 8);
  bytes.writeUInt32BE(last, 12);
  bytes.writeUInt32BE(pageCount, 16);
  return bytes;
}

export function decodeBulk(bytes: Buffer): BulkRecord {
  requireBytes(bytes, BULK_BYTES, 'bulk entry');
  return {
    stage: Number(bytes.readBigUInt64BE(0)),
    first: bytes.readUInt32BE(8) as PageNumber,
    last: bytes.readUInt32BE(12) as PageNumber,
    pageCount: bytes.readUInt32BE(16),
  };
}

/** Who may write a namespace: the holder of the newest token, until it is passed on or taken over. */
export interface LeaseRecord {
  readonly token: number;
  /** Undefined while nobody has it. */
  readonly owner: DaemonId | undefined;
}

export function encodeLease({ token, owner }: LeaseRecord): Buffer {
  return Buffer.concat([encodeNumber(token), Buffer.from(owner ?? '', 'hex')]);
}

export function decodeLease(bytes: Buffer): LeaseRecord {
  const owner = bytes.subarray(8).toString('hex');
  return { token: decodeNumber(bytes), owner: owner === '' ? undefined : owner };
}

/** A process, so that another one of the same machine can tell whether it is still there. */
export interface ProcessIdentity {
  /** The same for all that see each other's processes, and until the machine is started again. */
  readonly place: string;
  readonly pid: number;
  /** When it was started, in a unit of the machine's; a process id is used again. */
  readonly started: string;
}

/** A sign of life: others count how long it has not changed. */
export interface BeatRecord {
  readonly beat: number;
  readonly host: string;
  readonly pid: number;
  readonly identity: ProcessIdentity;
  /** How long it may not change before others take its leases. */
  readonly leaseMs: number;
}

export const encodeBeat = (beat: BeatRecord): Buffer => encodeJson(beat);
export const decodeBeat = (bytes: Buffer): BeatRecord => decodeJson(bytes, 'the sign of life of a daemon');

export const encodeLock = (lock: MaintenanceLock): Buffer => encodeJson(lock);
export const decodeLock = (bytes: Buffer): MaintenanceLock => decodeJson(bytes, 'a maintenance lock');

export const encodeDropped = (dropped: DroppedRecord): Buffer => encodeJson(dropped);
export const decodeDropped = (bytes: Buffer): DroppedRecord => decodeJson(bytes, 'the record of a dropped namespace');

export const encodePolicy = (policy: RetentionPolicy): Buffer => encodeJson(policy);
export const decodePolicy = (bytes: Buffer): RetentionPolicy => decodeJson(bytes, 'a retention policy');

/** The versions that a daemon has open, and how long after its last sign of life that still counts. */
export interface PinRecord {
  /** Ascending, at least one. */
  readonly versions: readonly Version[];
  readonly keptMs: number;
}

export function encodePin({ versions: [oldest, ...others], keptMs }: PinRecord): Buffer {
  return Buffer.concat([versionToBytes(oldest!), encodeNumber(keptMs), ...others.map(versionToBytes)]);
}

export function decodePin(bytes: Buffer): PinRecord {
  requireBytes(bytes, VERSION_BYTES + 8, 'pin');
  const others = decodeVersions(bytes.subarray(VERSION_BYTES + 8));
  return { versions: [versionFromBytes(bytes), ...others], keptMs: decodeNumber(bytes.subarray(VERSION_BYTES)) };
}

export function encodeTag({ version, createdMs }: Omit<Tag, 'name'>): Buffer {
  return Buffer.concat([versionToBytes(version), encodeNumber(createdMs)]);
}

export function decodeTag(bytes: Buffer): Omit<Tag, 'name'> {
  requireBytes(bytes, VERSION_BYTES + 8, 'tag');
  return { version: versionFromBytes(bytes), createdMs: decodeNumber(bytes.subarray(VERSION_BYTES)) };
}

export function decodeVersion(bytes: Buffer): Version {
  requireBytes(bytes, VERSION_BYTES, 'version');
  return versionFromBytes(bytes);
}

export function encodeCollected({ upTo, cursor, isSweeping, held }: CollectedRecord): Buffer {
  const state = Buffer.concat([encodeNumber(cursor), Buffer.from([isSweeping ? 1 : 0])]);
  return Buffer.concat([versionToBytes(upTo), state, ...held.map(versionToBytes)]);
}

export function decodeCollected(bytes: Buffer): CollectedRecord {
  const fixed = VERSION_BYTES + 8 + 1;
  requireBytes(bytes, fixed, 'record of a collection');
  return {
    upTo: versionFromBytes(bytes),
    cursor: decodeNumber(bytes.subarray(VERSION_BYTES)),
    isSweeping: bytes[fixed - 1] === 1,
    held: decodeVersions(bytes.subarray(fixed)),
  };
}

function decodeVersions(bytes: Buffer): Version[] {
  const count = Math.floor(bytes.length / VERSION_BYTES);
  return Array.from({ length: count }, (_, index) => versionFromBytes(bytes.subarray(index * VERSION_BYTES)));
}

export function encodeNumber(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export function decodeNumber(bytes: Buffer): number {
  requireBytes(bytes, 8, 'number');
  return Number(bytes.readBigUInt64BE());
}

export const encodeMeta = (meta: NamespaceMeta): Buffer => encodeJson(meta);
export const decodeMeta = (bytes: Buffer): NamespaceMeta => decodeJson(bytes, 'the description of a namespace');

function encodeJson(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** @throws CORRUPT */
function decodeJson<T>(bytes: Buffer, what: string): T {
  try {
    return JSON.parse(bytes.toString()) as T;
  } catch (cause) {
    throw new MvfuseError('CORRUPT', `${what} is damaged`, { cause });
  }
}

/** A change without its page list, as the log shows it. */
export function toLogEntry(version: Version, { pages: _, ...entry }: ChangeRecord): LogEntry {
  return { version, ...entry };
}

export function decodeNamespaceId(bytes: Buffer): NamespaceId {
  return decodeNumber(bytes) as NamespaceId;
}

function decodeHeadState(bytes: Buffer, offset: number): HeadState {
  return {
    timeMs: Number(bytes.readBigUInt64BE(offset)),
    pageBytes: bytes.readUInt32BE(offset + 8),
    sizeBytes: Number(bytes.readBigUInt64BE(offset + 12)),
  };
}

function requireBytes(bytes: Buffer, length: number, what: string): void {
  if (bytes.length < length)
    throw new MvfuseError('CORRUPT', `a ${what} of ${bytes.length} bytes: ${length} are needed`);
}
