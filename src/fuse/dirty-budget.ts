// What all uncommitted bytes of a mount may take: dirty sets and journals of every connection, in memory and in
// temporary files. Past the memory they are spilled; past the quota a write is refused, which SQLite reports as
// SQLITE_FULL and rolls back.

import { DIRTY_MEMORY_SHARE } from '../limits.js';
import type { Usage } from '../status.js';
import { LimitError } from './errno.js';

export interface DirtyLimits {
  /** Of all files together. */
  readonly memoryBytesMax: number;
  /** Of all files together, in memory or spilled. */
  readonly bytesMax: number;
  /** Where temporary files are made. */
  readonly directory: string;
}

export class DirtyBudget {
  readonly #limits: DirtyLimits;
  #bytes = 0;
  #memoryBytes = 0;

  constructor(limits: DirtyLimits) {
    this.#limits = limits;
  }

  get directory(): string {
    return this.#limits.directory;
  }

  get usage(): Usage {
    return { now: this.#bytes, max: this.#limits.bytesMax };
  }

  get memoryUsage(): Usage {
    return { now: this.#memoryBytes, max: this.#limits.memoryBytesMax };
  }

  /** Whether a file that has `ownBytes` in memory must spill them before it takes so many bytes more. */
  mustSpill(ownBytes: number, bytes: number): boolean {
    const { memoryBytesMax } = this.#limits;
    return this.#memoryBytes + bytes > memoryBytesMax || ownBytes + bytes > memoryBytesMax * DIRTY_MEMORY_SHARE;
  }

  /** Another so many bytes are uncommitted. @throws ENOSPC past the quota; then nothing is taken */
  take(bytes: number): void {
    this.require(bytes);
    this.#bytes += bytes;
  }

  /** @throws ENOSPC when so many bytes more would be past the quota */
  require(bytes: number): void {
    const { bytesMax } = this.#limits;
    if (this.#bytes + bytes > bytesMax) {
      throw new LimitError('ENOSPC', 'uncommitted bytes of all connections', '--dirty-limit', bytesMax);
    }
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** So many bytes more (or fewer) are in memory. */
  moveMemory(bytes: number): void {
    this.#memoryBytes += bytes;
  }
}
