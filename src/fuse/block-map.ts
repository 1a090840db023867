// Blocks of uncommitted bytes: in memory as far as the budget allows, past that in a temporary file.
//
// The temporary file is unlinked as soon as it is open, so that nothing of it outlives the process. A block that
// is set again after it was spilled is in memory again; its place in the file is used for another one.

import { randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { DirtyBudget } from './dirty-budget.js';
import { PlaceTable } from './place-table.js';

export const BLOCK_BYTES = 4096;
/** Blocks written to the file at once; Linux takes at most 1,024 pieces. */
const SPILL_BLOCKS = 512;

export class BlockMap {
  readonly #budget: DirtyBudget;
  readonly #memory = new Map<number, Buffer>();
  /** Places in the temporary file; a block is in memory or here. */
  readonly #spilled = new PlaceTable();
  #file: FileHandle | undefined;
  #places = 0;
  #freePlaces: number[] = [];

  constructor(budget: DirtyBudget) {
    this.#budget = budget;
  }

  get count(): number {
    return this.#memory.size + this.#spilled.count;
  }

  has(block: number): boolean {
    return this.#memory.has(block) || this.#spilled.get(block) !== undefined;
  }

  /** In no order. */
  *numbers(): Generator<number> {
    yield* this.#memory.keys();
    yield* this.#spilled.blocks();
  }

  /** The block's bytes, or undefined; changing them in place is allowed only for what `set` gets afterwards. */
  async get(block: number): Promise<Buffer | undefined> {
    const held = this.#memory.get(block);
    if (held !== undefined) return held;
    const place = this.#spilled.get(block);
    if (place === undefined) return undefined;
    const bytes = Buffer.allocUnsafe(BLOCK_BYTES);
    await this.#file!.read(bytes, 0, BLOCK_BYTES, place * BLOCK_BYTES);
    return bytes;
  }

  /**
   * Copies blocks from `first` on into `target` at `at`, as many as one read gives and `countMax` allows; how many that
   * were. None means that the first is not kept here.
   */
  async copyRun(first: number, countMax: number, target: Buffer, at: number): Promise<number> {
    const held = this.#memory.get(first);
    if (held !== undefined) {
      held.copy(target, at);
      return 1;
    }
    const place = this.#spilled.get(first);
    if (place === undefined) return 0;
    let count = 1;
    while (count < countMax && this.#spilled.get(first + count) === place + count) count += 1;
    await this.#file!.read(target, at, count * BLOCK_BYTES, place * BLOCK_BYTES);
    return count;
  }

  /** Keeps `bytes`, which the caller gives away. @throws ENOSPC past the quota or on a full disk; then nothing changed */
  async set(block: number, bytes: Buffer): Promise<void> {
    if (!this.#memory.has(block)) {
      const inMemory = this.#memory.size * BLOCK_BYTES;
      if (inMemory > 0 && this.#budget.mustSpill(inMemory, BLOCK_BYTES)) await this.#spill();
      const place = this.#spilled.take(block);
      if (place === undefined) this.#budget.take(BLOCK_BYTES);
      else this.#freePlaces.push(place);
      this.#budget.moveMemory(BLOCK_BYTES);
    }
    this.#memory.set(block, bytes);
  }

  /** Forgets the blocks from `first` on. */
  async removeFrom(first: number): Promise<void> {
    const before = this.count;
    for (const block of this.#memory.keys()) {
      if (block >= first && this.#memory.delete(block)) this.#budget.moveMemory(-BLOCK_BYTES);
    }
    for (const block of this.#spilled.blocks()) {
      if (block >= first) this.#freePlaces.push(this.#spilled.take(block)!);
    }
    this.#budget.give((before - this.count) * BLOCK_BYTES);
    if (this.#spilled.count === 0) await this.#closeFile();
  }

  /** Forgets everything and gives the temporary file's space back. */
  async clear(): Promise<void> {
    this.#budget.moveMemory(-this.#memory.size * BLOCK_BYTES);
    this.#budget.give(this.count * BLOCK_BYTES);
    this.#memory.clear();
    this.#spilled.clear();
    await this.#closeFile();
  }

  async #closeFile(): Promise<void> {
    this.#places = 0;
    this.#freePlaces = [];
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  /** Writes what is in memory to the file, in as few and as large pieces as free places allow. */
  async #spill(): Promise<void> {
    const file = await this.#open();
    const blocks = [...this.#memory];
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
      for (const [index, [block]] of group.entries()) {
        this.#memory.delete(block);
        this.#spilled.set(block, place + index);
      }
      this.#budget.moveMemory(-group.length * BLOCK_BYTES);
      done += group.length;
    }
  }

  async #open(): Promise<FileHandle> {
    if (this.#file === undefined) {
      const path = join(this.#budget.directory, `mvfuse-spill-${randomUUID()}`);
      this.#file = await open(path, 'wx+', 0o600);
      await unlink(path);
    }
    return this.#file;
  }
}
