// Blocks of uncommitted bytes, in memory up to a limit and past it in a temporary file. Besides the limit of each file
// there is one for all of them together; past it those spill that are written and hold much.
//
// The temporary file is unlinked as soon as it is open, so that nothing of it outlives the process. A block that
// is set again after it was spilled is in memory again; its place in the file is used for another one.

import { randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { DIRTY_MEMORY_KEPT_BYTES } from '../limits.js';

export const BLOCK_BYTES = 4096;
/** Blocks written to the file at once; Linux takes at most 1,024 pieces. */
const SPILL_BLOCKS = 512;

export interface SpillOptions {
  readonly memoryBytesMax: number;
  /** Where temporary files are made. */
  readonly directory: string;
  /** What all files may have in memory together; without it, nothing but their own limits holds. */
  readonly shared?: SharedMemory;
}

/** Counts what several files have in memory. */
export class SharedMemory {
  readonly bytesMax: number;
  heldBytes = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }
}

export class BlockMap {
  readonly #options: SpillOptions;
  /** A buffer of BLOCK_BYTES, or the number of a place in the temporary file. */
  readonly #blocks = new Map<number, Buffer | number>();
  #inMemory = 0;
  #file: FileHandle | undefined;
  #places = 0;
  #freePlaces: number[] = [];

  constructor(options: SpillOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#blocks.size;
  }

  has(block: number): boolean {
    return this.#blocks.has(block);
  }

  numbers(): IterableIterator<number> {
    return this.#blocks.keys();
  }

  /** The block's bytes, or undefined; changing them in place is allowed only for what `set` gets afterwards. */
  async get(block: number): Promise<Buffer | undefined> {
    const held = this.#blocks.get(block);
    if (typeof held !== 'number') return held;
    const bytes = Buffer.allocUnsafe(BLOCK_BYTES);
    await this.#file!.read(bytes, 0, BLOCK_BYTES, held * BLOCK_BYTES);
    return bytes;
  }

  /**
   * Copies blocks from `first` on into `target` at `at`, as many as one read gives and `countMax` allows; how many that
   * were. None means that the first is not kept here.
   */
  async copyRun(first: number, countMax: number, target: Buffer, at: number): Promise<number> {
    const held = this.#blocks.get(first);
    if (held === undefined) return 0;
    if (typeof held === 'object') {
      held.copy(target, at);
      return 1;
    }
    let count = 1;
    while (count < countMax && this.#blocks.get(first + count) === held + count) count += 1;
    await this.#file!.read(target, at, count * BLOCK_BYTES, held * BLOCK_BYTES);
    return count;
  }

  /** Keeps `bytes`, which the caller gives away. */
  async set(block: number, bytes: Buffer): Promise<void> {
    const held = this.#blocks.get(block);
    if (typeof held === 'number') this.#freePlaces.push(held);
    if (typeof held !== 'object') this.#keep(1);
    this.#blocks.set(block, bytes);
    if (this.#tooMany) await this.#spill();
  }

  /** Forgets the blocks from `first` on. */
  removeFrom(first: number): void {
    for (const [block, held] of this.#blocks) {
      if (block < first) continue;
      if (typeof held === 'number') this.#freePlaces.push(held);
      else this.#keep(-1);
      this.#blocks.delete(block);
    }
  }

  /** Forgets everything and gives the temporary file's space back. */
  async clear(): Promise<void> {
    this.#blocks.clear();
    this.#keep(-this.#inMemory);
    this.#places = 0;
    this.#freePlaces = [];
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  get #tooMany(): boolean {
    const { memoryBytesMax, shared } = this.#options;
    const bytes = this.#inMemory * BLOCK_BYTES;
    if (bytes > memoryBytesMax) return true;
    return shared !== undefined && shared.heldBytes > shared.bytesMax && bytes > DIRTY_MEMORY_KEPT_BYTES;
  }

  /** Counts blocks that come into memory, or leave it. */
  #keep(blocks: number): void {
    this.#inMemory += blocks;
    if (this.#options.shared !== undefined) this.#options.shared.heldBytes += blocks * BLOCK_BYTES;
  }

  /** Writes what is in memory to the file, in as few and as large pieces as free places allow. */
  async #spill(): Promise<void> {
    const file = await this.#open();
    const blocks = [...this.#blocks].filter((entry): entry is [number, Buffer] => typeof entry[1] === 'object');
    blocks.sort(([a], [b]) => a - b);
    for (let done = 0; done < blocks.length; ) {
      const reused = this.#freePlaces.pop();
      const group = blocks.slice(done, done + (reused === undefined ? SPILL_BLOCKS : 1));
      const place = reused ?? this.#places;
      const pieces = group.map(([, bytes]) => bytes);
      try {
        const { bytesWritten } = await file.writev(pieces, place * BLOCK_BYTES);
        // The next write would say so too; a device that is full may take a part first.
        if (bytesWritten < group.length * BLOCK_BYTES)
          throw Object.assign(new Error('short write'), { code: 'ENOSPC' });
      } catch (error) {
        if (reused !== undefined) this.#freePlaces.push(reused);
        throw error;
      }
      if (reused === undefined) this.#places += group.length;
      for (const [index, [block]] of group.entries()) this.#blocks.set(block, place + index);
      this.#keep(-group.length);
      done += group.length;
    }
  }

  async #open(): Promise<FileHandle> {
    if (this.#file === undefined) {
      const path = join(this.#options.directory, `mvfuse-spill-${randomUUID()}`);
      this.#file = await open(path, 'wx+', 0o600);
      await unlink(path);
    }
    return this.#file;
  }
}
