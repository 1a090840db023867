// What the contract asks of keys, values and ranges, checked before anything is done with them.

import { MvfuseError } from '../errors.js';
import { KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX } from '../limits.js';
import type { RangeOptions } from './engine.js';

export function copyKey(key: Uint8Array): Buffer {
  requireKeyBytes(key.length);
  return Buffer.from(key);
}

export function copyValue(value: Uint8Array): Buffer {
  requireValueBytes(value.length);
  return Buffer.from(value);
}

export function requireKeyBytes(length: number): void {
  if (length > KV_KEY_BYTES_MAX)
    throw new MvfuseError('LIMIT', `a key of ${length} bytes; at most ${KV_KEY_BYTES_MAX} are allowed`);
}

export function requireValueBytes(length: number): void {
  if (length > KV_VALUE_BYTES_MAX)
    throw new MvfuseError('LIMIT', `a value of ${length} bytes; at most ${KV_VALUE_BYTES_MAX} are allowed`);
}

export function requireOrder(begin: Uint8Array, end: Uint8Array): void {
  if (Buffer.compare(begin, end) > 0) throw new MvfuseError('INVALID_ARGUMENT', 'a range ends before it begins');
}

export function requireRange(begin: Uint8Array, end: Uint8Array, { limit }: RangeOptions): void {
  requireKeyBytes(Math.max(begin.length, end.length));
  requireOrder(begin, end);
  if (limit === undefined || (Number.isSafeInteger(limit) && limit > 0)) return;
  throw new MvfuseError('INVALID_ARGUMENT', `a range's limit must be a positive integer, not ${limit}`);
}
