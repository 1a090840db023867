// What the interposer recorded: the calls of one process below its store and at /dev/fuse, in the order in which they
// were made. The layout is that of struct Record in store-interposer.h.

import { readFileSync } from 'node:fs';

export type StoreFile = 'data' | 'wal' | 'journal' | 'directory';

export type TraceEvent =
  /** An opening that makes the file unless it exists. */
  | { readonly kind: 'create' | 'unlink'; readonly file: StoreFile }
  | { readonly kind: 'write'; readonly file: StoreFile; readonly offset: number; readonly data: Buffer }
  | { readonly kind: 'truncate'; readonly file: StoreFile; readonly size: number }
  | { readonly kind: 'syncBegin'; readonly file: StoreFile; readonly id: number }
  /** errno 0: what was written before its beginning is on the disk. */
  | { readonly kind: 'syncEnd'; readonly file: StoreFile; readonly id: number; readonly errno: number }
  | { readonly kind: 'request'; readonly unique: number; readonly opcode: number; readonly pid: number }
  | { readonly kind: 'answer'; readonly unique: number; readonly errno: number }
  | { readonly kind: 'note'; readonly text: string };

/** <linux/fuse.h> */
export const FUSE_UNLINK = 10;
export const FUSE_FSYNC = 20;
export const FUSE_FLUSH = 25;

const HEADER_BYTES = 32;
const KINDS = [
  '',
  'create',
  'unlink',
  'write',
  'truncate',
  'syncBegin',
  'syncEnd',
  'request',
  'answer',
  'note',
] as const;
const FILES: ReadonlyArray<StoreFile | undefined> = [undefined, 'data', 'wal', 'journal', 'directory'];

/** A record that its process did not finish, being killed, is left out. */
export function readTrace(path: string): TraceEvent[] {
  const bytes = readFileSync(path);
  const events: TraceEvent[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const end = at + HEADER_BYTES + bytes.readUInt32LE(at);
    if (end > bytes.length) break;
    events.push(decode(bytes.subarray(at, end)));
    at = end;
  }
  return events;
}

function decode(record: Buffer): TraceEvent {
  const kind = KINDS[record.readUInt16LE(4)];
  const file = FILES[record.readUInt16LE(6)]!;
  const [a, b, c] = [8, 16, 24].map((at) => Number(record.readBigInt64LE(at))) as [number, number, number];
  const data = record.subarray(HEADER_BYTES);
  switch (kind) {
    case 'create':
    case 'unlink':
      return { kind, file };
    case 'write':
      return { kind, file, offset: a, data };
    case 'truncate':
      return { kind, file, size: a };
    case 'syncBegin':
      return { kind, file, id: a };
    case 'syncEnd':
      return { kind, file, id: a, errno: b };
    case 'request':
      return { kind, unique: a, opcode: b, pid: c };
    case 'answer':
      return { kind, unique: a, errno: b };
    case 'note':
      return { kind, text: data.toString() };
    default:
      throw new RangeError(`a record of kind ${record.readUInt16LE(4)}`);
  }
}
