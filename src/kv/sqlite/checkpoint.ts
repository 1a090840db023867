// Copying the write-ahead log back into the database file, between groups and not inside a commit.
//
// A passive checkpoint copies what no reader needs; once all of it is copied, SQLite starts the log anew.
// Readers that overlap without a gap would keep it growing, so past a length writers pause until the
// readers of now are done (at most RESTART_WAIT_MS; the next group tries again).

import type Database from 'better-sqlite3';
import { isPassing, toStoreError } from './sqlite-error.js';

const CHECKPOINT_BYTES = 8 * 1024 * 1024;
const RESTART_FRAMES = 65_536;
const RESTART_WAIT_MS = 200;

export class Checkpointer {
  readonly #db: Database.Database;
  #writtenBytes = 0;

  constructor(db: Database.Database) {
    this.#db = db;
  }

  /**
   * To be called after a group; `bytes` is about what it wrote. Without space the log stays as it is, and a
   * later group tries again.
   * @throws STORE_FAILED, CORRUPT
   */
  afterGroup(bytes: number): void {
    this.#writtenBytes += bytes;
    if (this.#writtenBytes >= CHECKPOINT_BYTES) this.copyBack();
  }

  /** Copies back now; the file is only cut by this. @throws STORE_FAILED, CORRUPT */
  copyBack(): void {
    this.#writtenBytes = 0;
    try {
      this.#copyBack();
    } catch (cause) {
      const error = toStoreError(cause, 'checkpointing the store failed');
      if (!isPassing(error)) throw error;
    }
  }

  #copyBack(): void {
    const [result] = this.#db.pragma('wal_checkpoint(PASSIVE)') as { log: number; checkpointed: number }[];
    if (result === undefined || result.log - result.checkpointed < RESTART_FRAMES) return;
    const timeoutMs = this.#db.pragma('busy_timeout', { simple: true }) as number;
    this.#db.pragma(`busy_timeout = ${RESTART_WAIT_MS}`);
    this.#db.pragma('wal_checkpoint(RESTART)');
    this.#db.pragma(`busy_timeout = ${timeoutMs}`);
  }
}
