// A page as it is stored: codec (1 byte), CRC-32 (4 bytes, big-endian), the page.
//
// The checksum is zlib's, begun at the page's number, so that a page read under another's key fails too.
// Codec 0 stores the page as it is; a reader refuses codecs that it does not know.

import { crc32 } from 'node:zlib';
import { MvfuseError } from '../errors.js';
import type { PageNumber } from './types.js';

const CODEC_RAW = 0;
const HEADER_BYTES = 5;

/** What names a stored page in messages. */
export interface StoredPageName {
  readonly namespace: number;
  readonly page: PageNumber;
  readonly version: string;
}

/** A new buffer; its page is at `pageOfStored`. */
export function encodePage(page: PageNumber, data: Uint8Array): Buffer {
  // Not from Buffer's pool: a cached page would keep a whole slab of it.
  const stored = Buffer.allocUnsafeSlow(HEADER_BYTES + data.length);
  stored[0] = CODEC_RAW;
  stored.writeUInt32BE(crc32(data, page), 1);
  stored.set(data, HEADER_BYTES);
  return stored;
}

/** The page inside of what encodePage made; a view. */
export function pageOfStored(stored: Buffer): Buffer {
  return stored.subarray(HEADER_BYTES);
}

/**
 * A view of `stored` where it is whole, else a copy filled up with zeros to `pageBytes`.
 * @throws CORRUPT, naming the page, when the bytes are not those that were stored
 */
export function decodePage(stored: Buffer, pageBytes: number, name: StoredPageName): Buffer {
  const data = pageOfStored(stored);
  if (stored.length <= HEADER_BYTES || data.length > pageBytes)
    throw corrupt(name, `it is ${stored.length} bytes long`);
  if (stored[0] !== CODEC_RAW) throw corrupt(name, `its codec is ${stored[0]}`);
  if (stored.readUInt32BE(1) !== crc32(data, name.page)) throw corrupt(name, 'its checksum does not match');
  return padPage(data, pageBytes);
}

export function padPage(data: Buffer, pageBytes: number): Buffer {
  return data.length === pageBytes ? data : Buffer.concat([data], pageBytes);
}

function corrupt({ namespace, page, version }: StoredPageName, reason: string): MvfuseError {
  return new MvfuseError(
    'CORRUPT',
    `page ${page} of namespace ${namespace} at version ${version} is damaged: ${reason}`,
  );
}
