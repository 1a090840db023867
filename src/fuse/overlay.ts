// A file of uncommitted bytes over a base that does not change: the dirty set of a database, or a whole journal
// (whose base is empty).
//
// Kept in blocks; a block written in part is filled up from the base first, so a block always holds what a reader
// must see. Base bytes past the smallest size that the file ever had read as zeros, as on any filesystem.

import { BLOCK_BYTES, BlockMap } from './block-map.js';
import type { DirtyBudget } from './dirty-budget.js';
import { type ByteRange, EVERYTHING, rangesOfPages } from './kernel-cache.js';
import { PageBitmap } from './page-bitmap.js';

/** Of more blocks than that nobody lists the ranges. */
const RANGE_BLOCKS_MAX = 4096;

export interface Base {
  readonly sizeBytes: number;
  /** Exactly `length` bytes; only asked for bytes before `sizeBytes`. */
  read(offset: number, length: number): Promise<Buffer>;
}

export const EMPTY_BASE: Base = {
  sizeBytes: 0,
  read: async (_offset, length) => Buffer.alloc(length),
};

export class Overlay {
  readonly #base: Base;
  readonly #budget: DirtyBudget;
  readonly #blocks: BlockMap;
  #sizeBytes: number;
  /** Base bytes before this offset are still visible. */
  #baseVisible: number;
  #touched = false;

  constructor(base: Base, budget: DirtyBudget) {
    this.#base = base;
    this.#budget = budget;
    this.#blocks = new BlockMap(budget);
    this.#sizeBytes = base.sizeBytes;
    this.#baseVisible = base.sizeBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Bytes from the start of which those that were not written are the base's; all others are zeros. */
  get baseBytes(): number {
    return Math.min(this.#baseVisible, this.#sizeBytes);
  }

  /** Bytes of the base before `end` that were cut off, and read as zeros since a larger size covers them again. */
  zeroedBytes(end: number): number {
    return Math.max(0, Math.min(end, this.#sizeBytes, this.#base.sizeBytes) - this.#baseVisible);
  }

  /** Bytes kept, in memory or spilled. */
  get heldBytes(): number {
    return this.#blocks.count * BLOCK_BYTES;
  }

  /** Whether anything was written, or the size changed, even if back to what it was. */
  get touched(): boolean {
    return this.#touched;
  }

  async write(offset: number, data: Buffer): Promise<void> {
    this.#touched = true;
    let done = 0;
    while (done < data.length) {
      const at = offset + done;
      const block = Math.floor(at / BLOCK_BYTES);
      const within = at - block * BLOCK_BYTES;
      const length = Math.min(BLOCK_BYTES - within, data.length - done);
      const piece = data.subarray(done, done + length);
      if (length === BLOCK_BYTES) {
        await this.#blocks.set(block, piece);
      } else {
        const filled = await this.#block(block);
        piece.copy(filled, within);
        await this.#blocks.set(block, filled);
      }
      done += length;
    }
    this.#sizeBytes = Math.max(this.#sizeBytes, offset + data.length);
  }

  /** The bytes from `offset`, `length` of them or as many as there are before the end. */
  async read(offset: number, length: number): Promise<Buffer> {
    const end = Math.min(offset + length, this.#sizeBytes);
    if (end <= offset) return Buffer.alloc(0);
    const result = Buffer.alloc(end - offset);
    let at = offset;
    while (at < end) {
      const block = Math.floor(at / BLOCK_BYTES);
      const within = at - block * BLOCK_BYTES;
      const whole = within === 0 ? Math.floor((end - at) / BLOCK_BYTES) : 0;
      const copied = whole === 0 ? 0 : await this.#blocks.copyRun(block, whole, result, at - offset);
      at += copied * BLOCK_BYTES;
      if (copied > 0) continue;
      const own = whole > 0 ? undefined : await this.#blocks.get(block);
      if (own !== undefined) {
        const stop = Math.min((block + 1) * BLOCK_BYTES, end);
        own.copy(result, at - offset, within, within + stop - at);
        at = stop;
        continue;
      }
      // A run of blocks that only the base has: one read.
      let next = block + 1;
      while (next * BLOCK_BYTES < end && !this.#blocks.has(next)) next += 1;
      const stop = Math.min(next * BLOCK_BYTES, end);
      await this.#readBase(at, stop, result, at - offset);
      at = stop;
    }
    return result;
  }

  async truncate(sizeBytes: number): Promise<void> {
    if (sizeBytes === this.#sizeBytes) return;
    this.#touched = true;
    if (sizeBytes < this.#sizeBytes) {
      const last = Math.floor(sizeBytes / BLOCK_BYTES);
      const kept = sizeBytes - last * BLOCK_BYTES;
      await this.#blocks.removeFrom(kept === 0 ? last : last + 1);
      const partial = kept === 0 ? undefined : await this.#blocks.get(last);
      if (partial !== undefined) {
        const cut = Buffer.alloc(BLOCK_BYTES);
        partial.copy(cut, 0, 0, kept);
        await this.#blocks.set(last, cut);
      }
      this.#baseVisible = Math.min(this.#baseVisible, sizeBytes);
    }
    this.#sizeBytes = sizeBytes;
  }

  /** Whether any byte of first..last (both included) was written. */
  covers(first: number, last: number): boolean {
    for (let block = Math.floor(first / BLOCK_BYTES); block * BLOCK_BYTES <= last; block += 1) {
      if (this.#blocks.has(block)) return true;
    }
    return false;
  }

  /** Whether nothing was written at `end` or behind it. */
  touchedOnly(end: number): boolean {
    if (this.#blocks.count > Math.ceil(end / BLOCK_BYTES)) return false;
    return [...this.#blocks.numbers()].every((block) => block * BLOCK_BYTES < end);
  }

  /** What reads differently once this is thrown away. */
  ranges(): readonly ByteRange[] {
    if (this.#blocks.count > RANGE_BLOCKS_MAX) return EVERYTHING;
    const blocks = [...this.#blocks.numbers()].map((block) => block + 1);
    const end = Math.min(this.#baseVisible, this.#base.sizeBytes);
    return [...rangesOfPages(blocks, BLOCK_BYTES).filter(({ offset }) => offset < end), { offset: end }];
  }

  /**
   * 1-based numbers of the pages that may differ from the base, none past the end.
   * @param baseCount pages past it are zeros where nothing else is known of them
   */
  pagesTouched(pageBytes: number, baseCount: number): PageBitmap {
    const pages = new PageBitmap();
    const lastPage = Math.ceil(this.#sizeBytes / pageBytes);
    for (const block of this.#blocks.numbers()) {
      const from = Math.floor((block * BLOCK_BYTES) / pageBytes) + 1;
      const to = Math.floor(((block + 1) * BLOCK_BYTES - 1) / pageBytes) + 1;
      for (let page = from; page <= Math.min(to, lastPage); page += 1) pages.add(page);
    }
    // What was cut off is zeros now: where a larger size covers it again, and in the page of the cut.
    if (this.#baseVisible < this.#base.sizeBytes) {
      const cutTo = Math.max(this.#baseVisible, Math.min(this.#sizeBytes, this.#base.sizeBytes));
      const from = Math.floor(this.#baseVisible / pageBytes) + 1;
      const to = Math.min(Math.ceil(cutTo / pageBytes), lastPage, baseCount);
      for (let page = from; page <= to; page += 1) pages.add(page);
    }
    return pages;
  }

  /** @throws ENOSPC when `bytes`, of which those kept here are a part, are past what may be uncommitted */
  requireRoom(bytes: number): void {
    this.#budget.require(bytes - this.heldBytes);
  }

  /** Gives back memory and temporary file; the overlay must not be used afterwards. */
  async dispose(): Promise<void> {
    await this.#blocks.clear();
  }

  /** The block as it must read now, in a buffer that may be changed. */
  async #block(block: number): Promise<Buffer> {
    const own = await this.#blocks.get(block);
    if (own !== undefined) return own;
    const filled = Buffer.alloc(BLOCK_BYTES);
    await this.#readBase(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES, filled, 0);
    return filled;
  }

  async #readBase(from: number, to: number, target: Buffer, at: number): Promise<void> {
    const end = Math.min(to, this.#baseVisible);
    if (end <= from) return;
    (await this.#base.read(from, end - from)).copy(target, at);
  }
}
