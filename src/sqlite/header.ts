// The first 100 bytes of a SQLite database (https://sqlite.org/fileformat2.html#the_database_header).
//
// Three fields are not content: the change counter, the copy of it that says for which counter the page
// count is valid, and the number of the library that wrote it. The two format numbers say whether the file
// wants a write-ahead log. A header can be presented with another counter and without that wish only where
// it is plain: with the magic and without reserved bytes, which an encryption or checksum extension uses.

import { PAGE_BYTES_MAX, PAGE_BYTES_MIN } from '../limits.js';

export const HEADER_BYTES = 100;
const MAGIC = Buffer.from('SQLite format 3\0', 'latin1');
const PAGE_SIZE_AT = 16;
const WRITE_FORMAT_AT = 18;
const READ_FORMAT_AT = 19;
const RESERVED_AT = 20;
export const CHANGE_COUNTER_AT = 24;
export const PAGE_COUNT_AT = 28;
export const VALID_FOR_AT = 92;
export const LIBRARY_NUMBER_AT = 96;
const ROLLBACK_FORMAT = 1;

export interface Header {
  readonly pageBytes: number;
  readonly reservedBytes: number;
  readonly changeCounter: number;
  /** The page count field when it is valid for the change counter, else undefined. */
  readonly pageCount: number | undefined;
  /** Whether counters and format numbers may be presented differently (magic, and no reserved bytes). */
  readonly plain: boolean;
  /** Whether the file asks for a write-ahead log. */
  readonly wantsWal: boolean;
}

/** The header of page 1, or undefined where the bytes are no SQLite database. */
export function readHeader(page: Uint8Array): Header | undefined {
  if (page.length < HEADER_BYTES) return undefined;
  const bytes = Buffer.from(page.buffer, page.byteOffset, page.length);
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const sizeField = bytes.readUInt16BE(PAGE_SIZE_AT);
  const pageBytes = sizeField === 1 ? PAGE_BYTES_MAX : sizeField;
  if (pageBytes < PAGE_BYTES_MIN || (pageBytes & (pageBytes - 1)) !== 0) return undefined;
  const changeCounter = bytes.readUInt32BE(CHANGE_COUNTER_AT);
  const count = bytes.readUInt32BE(PAGE_COUNT_AT);
  const valid = count > 0 && bytes.readUInt32BE(VALID_FOR_AT) === changeCounter;
  const reservedBytes = bytes.readUInt8(RESERVED_AT);
  return {
    pageBytes,
    reservedBytes,
    changeCounter,
    pageCount: valid ? count : undefined,
    plain: reservedBytes === 0,
    wantsWal: bytes.readUInt8(WRITE_FORMAT_AT) > ROLLBACK_FORMAT || bytes.readUInt8(READ_FORMAT_AT) > ROLLBACK_FORMAT,
  };
}

/** Whether the file size agrees with what page 1 states: a whole number of pages, and that many where it says so. */
export function isWhole(header: Header, sizeBytes: number): boolean {
  if (sizeBytes === 0 || sizeBytes % header.pageBytes !== 0) return false;
  return header.pageCount === undefined || sizeBytes === header.pageCount * header.pageBytes;
}

/** Whether the file has whole pages behind those that page 1 states. */
export function exceedsStated(header: Header, sizeBytes: number): boolean {
  if (header.pageCount === undefined || sizeBytes % header.pageBytes !== 0) return false;
  return sizeBytes > header.pageCount * header.pageBytes;
}

/**
 * Writes `counter` into a plain page 1, in place, and clears the wish for a write-ahead log. The page count field
 * stays valid exactly if it was.
 */
export function stampHeader(page: Buffer, counter: number): void {
  const valid = page.readUInt32BE(CHANGE_COUNTER_AT) === page.readUInt32BE(VALID_FOR_AT);
  page.writeUInt8(ROLLBACK_FORMAT, WRITE_FORMAT_AT);
  page.writeUInt8(ROLLBACK_FORMAT, READ_FORMAT_AT);
  page.writeUInt32BE(counter >>> 0, CHANGE_COUNTER_AT);
  page.writeUInt32BE((valid ? counter : counter - 1) >>> 0, VALID_FOR_AT);
}

/** Whether two plain page-1 images hold the same content, counters, format and library numbers aside. */
export function sameContent(a: Buffer, b: Buffer): boolean {
  if (a.length !== b.length) return false;
  const equal = (from: number, to: number): boolean => a.subarray(from, to).equals(b.subarray(from, to));
  return (
    equal(0, WRITE_FORMAT_AT) &&
    equal(RESERVED_AT, CHANGE_COUNTER_AT) &&
    equal(CHANGE_COUNTER_AT + 4, VALID_FOR_AT) &&
    equal(LIBRARY_NUMBER_AT + 4, a.length)
  );
}
