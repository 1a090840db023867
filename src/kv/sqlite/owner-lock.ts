// One process owns a store at a time: owner.lock is a SQLite database held in BEGIN EXCLUSIVE.
//
// SQLite's lock is one of the operating system (fcntl), which ends with the process however it dies, so
// a lock is never left behind. The file stays empty. owner.pid beside it names the owner, for messages only.
// No code of this process may open owner.lock by other means: closing it would drop the lock.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { MvfuseError } from '../../errors.js';

export class OwnerLock {
  readonly #db: Database.Database;
  readonly #pidPath: string;

  private constructor(db: Database.Database, pidPath: string) {
    this.#db = db;
    this.#pidPath = pidPath;
  }

  /** @throws STORE_OWNED, naming the process, while another one (or this one, once more) holds the lock */
  static acquire(directory: string): OwnerLock {
    const pidPath = join(directory, 'owner.pid');
    const db = new Database(join(directory, 'owner.lock'), { timeout: 0 });
    try {
      db.exec('BEGIN EXCLUSIVE');
      writeFileSync(pidPath, `${process.pid}\n`);
    } catch (error) {
      db.close();
      if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error;
      throw new MvfuseError('STORE_OWNED', `${directory} is in use by ${describeOwner(pidPath)}`, { cause: error });
    }
    return new OwnerLock(db, pidPath);
  }

  release(): void {
    rmSync(this.#pidPath, { force: true });
    this.#db.close();
  }
}

function describeOwner(pidPath: string): string {
  try {
    return `process ${readFileSync(pidPath, 'utf8').trim()}`;
  } catch {
    return 'another process';
  }
}
