// What the daemon must understand of a write-ahead log (https://sqlite.org/fileformat2.html#walformat): where its frames
// lie, which page each one holds, and which one ends a transaction.

import { PAGE_BYTES_MAX, PAGE_BYTES_MIN } from '../limits.js';

export const WAL_HEADER_BYTES = 32;
export const FRAME_HEADER_BYTES = 24;

/** The last bit says in which byte order the checksums are. */
const MAGIC = 0x377f_0682;
const PAGE_SIZE_AT = 8;

/** The page size that the log's header states, or undefined where the bytes are none. */
export function pageBytesOfLog(header: Buffer): number | undefined {
  if (header.length < WAL_HEADER_BYTES || (header.readUInt32BE(0) & ~1) !== MAGIC) return undefined;
  const pageBytes = header.readUInt32BE(PAGE_SIZE_AT);
  const valid = pageBytes >= PAGE_BYTES_MIN && pageBytes <= PAGE_BYTES_MAX && (pageBytes & (pageBytes - 1)) === 0;
  return valid ? pageBytes : undefined;
}

/** Where a frame begins; the first one is 1. */
export function frameAt(frame: number, pageBytes: number): number {
  return WAL_HEADER_BYTES + (frame - 1) * (FRAME_HEADER_BYTES + pageBytes);
}

/** The frame of which `offset` is the end, or undefined where none ends. */
export function frameEndingAt(offset: number, pageBytes: number): number | undefined {
  const frame = (offset - WAL_HEADER_BYTES) / (FRAME_HEADER_BYTES + pageBytes);
  return Number.isInteger(frame) && frame >= 1 ? frame : undefined;
}

export interface FrameHeader {
  readonly page: number;
  /** Pages of the database after the transaction that this frame ends; 0 where it ends none. */
  readonly pageCount: number;
}

export function readFrameHeader(header: Buffer): FrameHeader {
  return { page: header.readUInt32BE(0), pageCount: header.readUInt32BE(4) };
}
