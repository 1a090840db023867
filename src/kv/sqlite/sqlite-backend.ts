// The embedded engine on disk: a directory with data.sqlite (better-sqlite3, WAL, synchronous=FULL) and
// the lock of its owner. Reads are made here, on connections of their own; commits by the writer's thread.

import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { KV_READ_CONNECTIONS_MAX } from '../../limits.js';
import type { Snapshot } from '../buffered-transaction.js';
import type { Backend, PendingCommit } from '../embedded-engine.js';
import type { CONFLICT } from '../retry.js';
import { DATA_FILE } from './data-file.js';
import { syncDirectory } from './durable-start.js';
import { OwnerLock } from './owner-lock.js';
import { ReaderPool } from './reader-pool.js';
import type { Reclaimed } from './reclaim.js';
import { toStoreError } from './sqlite-error.js';
import { Writer } from './writer.js';

export interface SqliteOptions {
  /** The database file may not grow past this (NO_SPACE); without it, the disk is the limit. */
  readonly bytesMax?: number;
}

export class SqliteBackend implements Backend {
  readonly #lock: OwnerLock;
  readonly #writer: Writer;
  readonly #readers: ReaderPool;

  private constructor(lock: OwnerLock, writer: Writer, readers: ReaderPool) {
    this.#lock = lock;
    this.#writer = writer;
    this.#readers = readers;
  }

  /**
   * Creates the directory and the store when there is none.
   * @throws STORE_OWNED, STORE_FORMAT, STORE_FAILED, NO_SPACE
   */
  static async open(directory: string, { bytesMax }: SqliteOptions = {}): Promise<SqliteBackend> {
    const lock = lockDirectory(resolve(directory));
    try {
      const path = join(directory, DATA_FILE);
      const writer = await Writer.start({ path, bytesMax });
      return new SqliteBackend(lock, writer, new ReaderPool(path, KV_READ_CONNECTIONS_MAX));
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  async openSnapshot(): Promise<Snapshot> {
    if (this.#writer.failure !== undefined) throw this.#writer.failure;
    return this.#readers.openSnapshot();
  }

  commit(commit: PendingCommit): Promise<number | typeof CONFLICT> {
    return this.#writer.commit(commit);
  }

  reclaim(): Promise<Reclaimed> {
    return this.#writer.reclaim();
  }

  async close(): Promise<void> {
    this.#readers.close();
    await this.#writer.close();
    this.#lock.release();
  }
}

function lockDirectory(directory: string): OwnerLock {
  try {
    createDirectory(directory);
    return OwnerLock.acquire(directory);
  } catch (error) {
    throw toStoreError(error, `opening the store ${directory} failed`);
  }
}

/** Not mkdir's own recursion: it never ends below /proc, and does not make the entries durable. */
function createDirectory(directory: string): void {
  if (existsSync(directory)) return;
  const parent = dirname(directory);
  createDirectory(parent);
  mkdirSync(directory, { mode: 0o700 });
  syncDirectory(parent);
}
