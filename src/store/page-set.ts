// Which pages a commit wrote, for its changelog entry: runs of neighbours, as pairs of varints.
//
// Each pair is the gap since the previous run and the length of this one. A set that needs more than
// PAGE_SET_BYTES_MAX is not listed at all, since an engine's values are limited; it reads as undefined.

import { MvfuseError } from '../errors.js';
import { PAGE_SET_BYTES_MAX } from '../limits.js';
import type { PageNumber } from './types.js';

/** `pages` ascend. Undefined when the list is too long to be kept. */
export function encodePageSet(pages: readonly PageNumber[]): Buffer | undefined {
  const bytes: number[] = [];
  let next = 1;
  for (let index = 0; index < pages.length; ) {
    const first = pages[index]!;
    let length = 1;
    while (pages[index + length] === first + length) length++;
    putVarint(bytes, first - next);
    putVarint(bytes, length);
    if (bytes.length > PAGE_SET_BYTES_MAX) return undefined;
    next = first + length;
    index += length;
  }
  return Buffer.from(bytes);
}

/** @throws CORRUPT */
export function decodePageSet(bytes: Uint8Array): PageNumber[] {
  const pages: PageNumber[] = [];
  let next = 1;
  for (let offset = 0; offset < bytes.length; ) {
    const gap = takeVarint(bytes, offset);
    const run = takeVarint(bytes, gap.offset);
    for (let page = next + gap.value; page < next + gap.value + run.value; page++) pages.push(page as PageNumber);
    next += gap.value + run.value;
    offset = run.offset;
  }
  return pages;
}

function putVarint(bytes: number[], value: number): void {
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(128 + (rest % 128));
  bytes.push(rest);
}

function takeVarint(bytes: Uint8Array, start: number): { value: number; offset: number } {
  let value = 0;
  for (let offset = start, scale = 1; offset < bytes.length; offset++, scale *= 128) {
    const byte = bytes[offset]!;
    value += (byte % 128) * scale;
    if (byte < 128) return { value, offset: offset + 1 };
  }
  throw new MvfuseError('CORRUPT', 'a list of pages ends inside a number');
}
