// Blocks of uncommitted bytes, in memory up to a limit and past it in a temporary file.
//
// The temporary file is unlinked as soon as it is open, so that nothing of it outlives the process. A block that
// is set again after it was spilled is in memory again; its place in the file is used for another one.

import { randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';

export const BLOCK_BYTES = 4096;

export interface SpillOptions {
  readonly memoryBytesMax: number;
  /** Where temporary files are made. */
  readonly directory: string;
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

  /** Keeps `bytes`, which the caller gives away. */
  async set(block: number, bytes: Buffer): Promise<void> {
    const held = this.#blocks.get(block);
    if (typeof held === 'number') this.#freePlaces.push(held);
    if (typeof held !== 'object') this.#inMemory += 1;
    this.#blocks.set(block, bytes);
    if (this.#inMemory * BLOCK_BYTES > this.#options.memoryBytesMax) await this.#spill();
  }

  /** Forgets the blocks from `first` on. */
  removeFrom(first: number): void {
    for (const [block, held] of this.#blocks) {
      if (block < first) continue;
      if (typeof held === 'number') this.#freePlaces.push(held);
      else this.#inMemory -= 1;
      this.#blocks.delete(block);
    }
  }

  /** Forgets everything and gives the temporary file's space back. */
  async clear(): Promise<void> {
    this.#blocks.clear();
    this.#inMemory = 0;
    this.#places = 0;
    this.#freePlaces = [];
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #spill(): Promise<void> {
    const file = await this.#open();
    for (const [block, held] of this.#blocks) {
      if (typeof held === 'number') continue;
      const place = this.#freePlaces.pop() ?? this.#places++;
      try {
        await file.write(held, 0, BLOCK_BYTES, place * BLOCK_BYTES);
      } catch (error) {
        this.#freePlaces.push(place);
        throw error;
      }
      this.#blocks.set(block, place);
      this.#inMemory -= 1;
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
