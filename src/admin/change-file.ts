// Change files: the versions of a namespace after one version, up to another (docs/change-files.md).
//
// Each part ends with the SHA-256 of the checksum before it and the part itself, so what is left out, put elsewhere, cut off or
// damaged is seen at the next checksum. This file knows the parts; change-reader.ts reads them, export-changes.ts writes them.

import { createHash, type Hash } from 'node:crypto';
import { MvfuseError } from '../errors.js';
import { CHANGE_HEADER_BYTES_MAX, PAGE_BYTES_MAX, PAGE_BYTES_MIN } from '../limits.js';
import type { Head } from '../store/types.js';
import { isVersion, VERSION_BYTES, type Version, versionFromBytes, versionToBytes } from '../version.js';

export const CHANGE_FILE_FORMAT = 1;
/** The first byte is no text, and the last one is lost where line ends are translated. */
export const MAGIC = Buffer.from('\x8bmvfchg\n', 'latin1');
/** Magic, format, and the length of the description. */
export const PREFIX_BYTES = MAGIC.length + 4 + 4;
export const CHECKSUM_BYTES = 32;
/** What begins a version, and what ends the file. */
export const VERSION_MARK = 1;
export const END_MARK = 2;
/** Version, time, page size, size; the mark goes before. */
export const VERSION_HEAD_BYTES = VERSION_BYTES + 8 + 4 + 8;
export const COUNT_BYTES = 8;
export const PAGE_NUMBER_BYTES = 4;

/** What a change file says of itself. */
export interface ChangesHeader {
  /** The namespace's name in the store that it is from. */
  readonly namespace: string;
  readonly createdMs: number;
  /** The file goes on after this version; ZERO_VERSION: it begins the chain. */
  readonly from: Version;
  /** Its newest version; `from` when nothing was committed since. */
  readonly to: Version;
  /** What a mount must present the secret of. */
  readonly accessProof?: string;
}

/** The checksums of a file, each over the one before. */
export class ChecksumChain {
  #last: Buffer = Buffer.alloc(0);
  #hash: Hash | undefined;

  update(bytes: Uint8Array): void {
    this.#hash ??= createHash('sha256').update(this.#last);
    this.#hash.update(bytes);
  }

  /** Ends a part. */
  next(): Buffer {
    this.update(Buffer.alloc(0));
    this.#last = this.#hash!.digest();
    this.#hash = undefined;
    return this.#last;
  }
}

export function encodeHeader(header: ChangesHeader): Buffer {
  const description = Buffer.from(JSON.stringify(header));
  const numbers = Buffer.alloc(8);
  numbers.writeUInt32BE(CHANGE_FILE_FORMAT, 0);
  numbers.writeUInt32BE(description.length, 4);
  return Buffer.concat([MAGIC, numbers, description]);
}

/** The length of the description. @throws INVALID_ARGUMENT for what is no change file, or one of a later release; CORRUPT */
export function decodePrefix(prefix: Buffer): number {
  if (!prefix.subarray(0, MAGIC.length).equals(MAGIC))
    throw new MvfuseError('INVALID_ARGUMENT', 'this is no change file: mvfuse export --since makes them');
  const format = prefix.readUInt32BE(MAGIC.length);
  if (format !== CHANGE_FILE_FORMAT) {
    const message = `the change file has format ${format}, and this release reads format ${CHANGE_FILE_FORMAT}: use the release that wrote it, or a later one`;
    throw new MvfuseError('INVALID_ARGUMENT', message);
  }
  const bytes = prefix.readUInt32BE(MAGIC.length + 4);
  if (bytes > CHANGE_HEADER_BYTES_MAX) throw damaged('its description');
  return bytes;
}

/** Of a description whose checksum was right. @throws CORRUPT */
export function decodeDescription(bytes: Buffer): ChangesHeader {
  const header = parseJson(bytes) as Partial<ChangesHeader> | null;
  const isWhole =
    typeof header?.namespace === 'string' &&
    Number.isSafeInteger(header.createdMs) &&
    isVersion(header.from ?? '') &&
    isVersion(header.to ?? '') &&
    header.from! <= header.to! &&
    (header.accessProof === undefined || /^[0-9a-f]{64}$/.test(header.accessProof));
  if (!isWhole) throw damaged('its description');
  return header as ChangesHeader;
}

export function encodeVersionHead({ version, timeMs, pageBytes, sizeBytes }: Head): Buffer {
  const bytes = Buffer.alloc(1 + VERSION_HEAD_BYTES);
  bytes[0] = VERSION_MARK;
  versionToBytes(version).copy(bytes, 1);
  bytes.writeBigUInt64BE(BigInt(timeMs), 1 + VERSION_BYTES);
  bytes.writeUInt32BE(pageBytes, 1 + VERSION_BYTES + 8);
  bytes.writeBigUInt64BE(BigInt(sizeBytes), 1 + VERSION_BYTES + 12);
  return bytes;
}

/** Without the mark; its checksum was right. @throws CORRUPT */
export function decodeVersionHead(bytes: Buffer): Head {
  const head = {
    version: versionFromBytes(bytes),
    timeMs: Number(bytes.readBigUInt64BE(VERSION_BYTES)),
    pageBytes: bytes.readUInt32BE(VERSION_BYTES + 8),
    sizeBytes: Number(bytes.readBigUInt64BE(VERSION_BYTES + 12)),
  };
  const { timeMs, pageBytes, sizeBytes } = head;
  const isPageSize =
    Number.isInteger(Math.log2(pageBytes)) && pageBytes >= PAGE_BYTES_MIN && pageBytes <= PAGE_BYTES_MAX;
  if (!isPageSize || !Number.isSafeInteger(timeMs) || !Number.isSafeInteger(sizeBytes))
    throw damaged(`version ${head.version}`);
  return head;
}

export function encodePageNumber(number: number): Buffer {
  const bytes = Buffer.alloc(PAGE_NUMBER_BYTES);
  bytes.writeUInt32BE(number);
  return bytes;
}

export function encodeEnd(versions: number): Buffer {
  const bytes = Buffer.alloc(1 + COUNT_BYTES);
  bytes[0] = END_MARK;
  bytes.writeBigUInt64BE(BigInt(versions), 1);
  return bytes;
}

export function damaged(what: string): MvfuseError {
  return new MvfuseError('CORRUPT', `the change file is damaged: ${what} is not what was written`);
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return null;
  }
}
