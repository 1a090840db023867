// Room on the disk of the store for what is not committed yet.
//
// SQLite can say "database or disk is full" only where it writes; at the fsync that commits, a full disk would be an
// I/O error. So every write first finds out whether the store will have room for all that is uncommitted now, with a
// reserve for its log and for whatever else the disk is used for.

import { statfsSync } from 'node:fs';
import { SPACE_FLOOR_BYTES } from '../limits.js';
import { LimitError } from './errno.js';

/** How long a figure of the free space is good for; the reserve covers what others write meanwhile. */
const FREE_SPACE_MS_MAX = 500;
/** Stored bytes for each byte of a page: keys, checksums, half-filled pages of the store's own file. */
const STORED_FACTOR = 1.25;

export class SpaceBudget {
  readonly #directory: string | undefined;
  readonly #nowMs: () => number;
  readonly #held = new Map<object, number>();
  #heldBytes = 0;
  #freeBytes = 0;
  #readMs = Number.NEGATIVE_INFINITY;

  /** @param directory on the filesystem of the store; undefined for a store in memory, which is not watched */
  constructor(directory: string | undefined, nowMs: () => number) {
    this.#directory = directory;
    this.#nowMs = nowMs;
  }

  /** Sets how many bytes `holder` has uncommitted. @throws ENOSPC when the store might have no room for them */
  hold(holder: object, bytes: number): void {
    if (this.#directory === undefined) return;
    const before = this.#held.get(holder) ?? 0;
    const total = this.#heldBytes - before + bytes;
    if (bytes > before && this.#free() - total * STORED_FACTOR < SPACE_FLOOR_BYTES) {
      throw new LimitError('ENOSPC', "bytes that stay free on the store's disk", undefined, SPACE_FLOOR_BYTES);
    }
    this.#held.set(holder, bytes);
    this.#heldBytes = total;
  }

  /** The holder committed or gave up everything. */
  release(holder: object): void {
    this.#heldBytes -= this.#held.get(holder) ?? 0;
    this.#held.delete(holder);
    // What was committed takes space now.
    this.#readMs = Number.NEGATIVE_INFINITY;
  }

  #free(): number {
    const nowMs = this.#nowMs();
    if (nowMs - this.#readMs > FREE_SPACE_MS_MAX) {
      const { bavail, bsize } = statfsSync(this.#directory!);
      this.#freeBytes = bavail * bsize;
      this.#readMs = nowMs;
    }
    return this.#freeBytes;
  }
}
