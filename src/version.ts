// Versions: the name of a commit, store-wide and ascending.
//
// A version is 10 bytes, written as 20 lower-case hex digits, so that comparing two of them as
// strings compares their age. The zero version names the state before the first commit.

import { MvfuseError } from './errors.js';

declare const versionBrand: unique symbol;
/** 20 lower-case hex digits; `a < b` as strings means that a was committed before b. */
export type Version = string & { readonly [versionBrand]: true };

export const VERSION_BYTES = 10;
export const ZERO_VERSION = '0'.repeat(2 * VERSION_BYTES) as Version;

export function isVersion(text: string): text is Version {
  return /^[0-9a-f]{20}$/.test(text);
}

/** @throws INVALID_ARGUMENT when `text` is not 20 hex digits (either case). */
export function parseVersion(text: string): Version {
  const lower = text.toLowerCase();
  if (!isVersion(lower)) {
    throw new MvfuseError('INVALID_ARGUMENT', `"${text}" is not a version: 20 hex digits are needed`);
  }
  return lower;
}

export function versionFromBytes(bytes: Uint8Array): Version {
  return Buffer.from(bytes.buffer, bytes.byteOffset, VERSION_BYTES).toString('hex') as Version;
}

export function versionToBytes(version: Version): Buffer {
  return Buffer.from(version, 'hex');
}
