// Order-preserving encoding of tuples as keys: comparing two keys byte by byte compares their elements.
//
// The encoding is a subset of FoundationDB's tuple layer (its specification: design/tuple.md in
// apple/foundationdb), so that a cluster's own tools can read the keys:
//   bytes    01, the bytes with each 00 written as 00 FF, 00
//   string   02, UTF-8 in the same way, 00
//   integer  14 + n, then the n significant bytes, big-endian (0 is the single byte 14)
//   version  32, then its 10 bytes
// The encoding of a tuple is a prefix of the encodings of all tuples that begin with it, and no other's.
// Across types the order is bytes, strings, integers, versions.

import { MvfuseError } from '../errors.js';
import { VERSION_BYTES, type Version, versionFromBytes, versionToBytes } from '../version.js';

export interface VersionElement {
  readonly version: Version;
}
/** An integer is a non-negative safe one. */
export type TupleElement = Uint8Array | string | number | VersionElement;

const BYTES_CODE = 0x01;
const STRING_CODE = 0x02;
const INTEGER_CODE = 0x14;
const INTEGER_BYTES_MAX = 7;
const VERSION_CODE = 0x32;

export interface KeyRange {
  readonly begin: Buffer;
  /** Exclusive. */
  readonly end: Buffer;
}

/** @throws INVALID_ARGUMENT for a number that is negative or no safe integer. */
export function packTuple(...elements: readonly TupleElement[]): Buffer {
  const bytes: number[] = [];
  for (const element of elements) packElement(element, bytes);
  return Buffer.from(bytes);
}

/** The key up to and including a version's type byte: what precedes the 10 bytes in a versionstamped key. */
export function packVersionPrefix(...elements: readonly TupleElement[]): Buffer {
  return Buffer.concat([packTuple(...elements), Buffer.of(VERSION_CODE)]);
}

/** The keys of all tuples that are longer than `prefix` and begin with it. */
export function tupleRange(prefix: Uint8Array): KeyRange {
  return {
    begin: Buffer.concat([prefix, Buffer.of(0x00)]),
    end: Buffer.concat([prefix, Buffer.of(0xff)]),
  };
}

/** @throws CORRUPT when `key` is not the encoding of a tuple. */
export function unpackTuple(key: Uint8Array): TupleElement[] {
  const elements: TupleElement[] = [];
  let offset = 0;
  while (offset < key.length) {
    const { element, next } = unpackElement(key, offset);
    elements.push(element);
    offset = next;
  }
  return elements;
}

function packElement(element: TupleElement, bytes: number[]): void {
  if (typeof element === 'number') packInteger(element, bytes);
  else if (typeof element === 'string') packEscaped(STRING_CODE, Buffer.from(element, 'utf8'), bytes);
  else if (element instanceof Uint8Array) packEscaped(BYTES_CODE, element, bytes);
  else bytes.push(VERSION_CODE, ...versionToBytes(element.version));
}

function packInteger(value: number, bytes: number[]): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new MvfuseError(
      'INVALID_ARGUMENT',
      `${value} cannot be part of a key: a non-negative safe integer is needed`,
    );
  }
  const significant: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) significant.unshift(rest % 256);
  bytes.push(INTEGER_CODE + significant.length, ...significant);
}

function packEscaped(code: number, content: Uint8Array, bytes: number[]): void {
  bytes.push(code);
  for (const byte of content) {
    bytes.push(byte);
    if (byte === 0) bytes.push(0xff);
  }
  bytes.push(0);
}

function unpackElement(key: Uint8Array, offset: number): { element: TupleElement; next: number } {
  const code = key[offset]!;
  if (code === BYTES_CODE) return unpackEscaped(key, offset + 1);
  if (code === STRING_CODE) {
    const { element, next } = unpackEscaped(key, offset + 1);
    return { element: element.toString('utf8'), next };
  }
  if (code === VERSION_CODE) {
    const next = requireLength(key, offset + 1 + VERSION_BYTES);
    return { element: { version: versionFromBytes(key.subarray(offset + 1, next)) }, next };
  }
  const length = code - INTEGER_CODE;
  if (length < 0 || length > INTEGER_BYTES_MAX)
    throw new MvfuseError('CORRUPT', `a key holds the unknown type ${code}`);
  const next = requireLength(key, offset + 1 + length);
  let value = 0;
  for (const byte of key.subarray(offset + 1, next)) value = value * 256 + byte;
  return { element: value, next };
}

function unpackEscaped(key: Uint8Array, offset: number): { element: Buffer; next: number } {
  const content: number[] = [];
  for (let index = offset; index < key.length; index++) {
    const byte = key[index]!;
    if (byte === 0) {
      if (key[index + 1] !== 0xff) return { element: Buffer.from(content), next: index + 1 };
      index++;
    }
    content.push(byte);
  }
  throw new MvfuseError('CORRUPT', 'a key ends inside an element');
}

function requireLength(key: Uint8Array, length: number): number {
  if (key.length < length) throw new MvfuseError('CORRUPT', 'a key ends inside an element');
  return length;
}
