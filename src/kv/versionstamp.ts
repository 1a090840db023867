// Versions as the embedded engines issue them: a counter in 8 bytes, big-endian, and two zero bytes.
//
// The counter is the clock in microseconds, or one more than the last one where the clock did not move
// on or went back; so it only grows, and it stays a safe integer until the year 2255.

import { VERSION_BYTES, type Version, versionFromBytes } from '../version.js';

export function nextCounter(last: number, clockMs: number): number {
  const next = Math.max(last + 1, Math.floor(clockMs * 1_000));
  if (!Number.isSafeInteger(next)) throw new RangeError(`the clock states ${clockMs} ms: no version can follow`);
  return next;
}

/** The 10 bytes of the version with that counter. */
export function counterToBytes(counter: number): Buffer {
  const bytes = Buffer.alloc(VERSION_BYTES);
  bytes.writeBigUInt64BE(BigInt(counter));
  return bytes;
}

export function counterToVersion(counter: number): Version {
  return versionFromBytes(counterToBytes(counter));
}
